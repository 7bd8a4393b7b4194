//! One direction, told once: read, frame, observe and record, forward with a permit.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tacho_event::Direction;
use tacho_log::RecordError;

use super::door::{Covered, Door, Recording};
use super::fd;
use super::outbox::{Decided, Gone, Item, Outbox};
use super::refusal;
use crate::frame::{End, Frame, Framer};
use crate::limits::READ_BYTES;

/// One direction of a connection.
pub(super) struct Relay<R: Recording> {
    pub(super) from: Direction,
    pub(super) door: Arc<Door<R>>,
    /// To whom its frames go.
    pub(super) to: Arc<Outbox<R::Ticket>>,
    /// Where its sender hears of refusals.
    pub(super) back: Arc<Outbox<R::Ticket>>,
    /// Lines longer than this are passed on in pieces.
    pub(super) message_bytes: usize,
}

impl<R: Recording> Relay<R> {
    /// (1) Bytes arrive and are framed; (2) what they say is recorded; (3) the same bytes are forwarded,
    /// here when nothing has to be waited for, else by [`Relay::forward_queued`] with the receipt.
    /// Ends when the source does. A receiver who takes nothing any more ends it too, unless what the
    /// source says is still worth recording.
    pub(super) fn read_all(&self, source: &OwnedFd, record_to_the_end: bool) {
        let mut framer = Framer::with_limit(self.message_bytes);
        let mut buffer = vec![0; READ_BYTES];
        let mut going = true;
        let pass = |frame: Frame, going: &mut bool| {
            if !*going {
                return;
            }
            let Some((mut covered, definitions)) = self.door.pass(self.from, frame) else {
                *going = false;
                return;
            };
            // Only the forwarder knows whether the beginning of an overlong line was withheld.
            let permit = if covered.frame.continued {
                None
            } else {
                self.door.permit_now(&mut covered)
            };
            if self.to.send(covered, permit) == Err(Gone) && !record_to_the_end {
                *going = false;
            }
            self.door.listed(definitions);
        };
        while going {
            // A source that cannot be read is one that has ended.
            let count = fd::read(source, &mut buffer).unwrap_or(0);
            if count == 0 {
                break;
            }
            let chunk = buffer.get(..count).unwrap_or_default();
            framer.push(chunk, |frame| pass(frame, &mut going));
        }
        if going && let Some(frame) = framer.finish() {
            pass(frame, &mut going);
        }
    }

    /// (3) continued: waits for the records of each frame in turn and forwards it, or says why not.
    pub(super) fn forward_queued(&self) {
        // The rest of an overlong line whose beginning was withheld is withheld too.
        let mut withholding = false;
        self.to.forward_all(|item| {
            let mut covered = match item {
                Item::Reply(bytes) => return Decided::Own(bytes),
                Item::Frame(covered) => covered,
            };
            if withholding && covered.frame.continued {
                withholding = covered.frame.end == End::Cut;
                return Decided::Nothing;
            }
            match self.door.settle(&mut covered) {
                Ok(permit) => Decided::Forward(covered.frame, permit),
                Err(error) => {
                    withholding = covered.frame.end == End::Cut;
                    self.refuse(&covered, &error)
                }
            }
        });
    }

    /// The frame is not forwarded: whoever asked is told, whoever waits for an answer gets an error in
    /// its place, and what needs no answer is counted.
    fn refuse(&self, covered: &Covered<R::Ticket>, error: &RecordError) -> Decided {
        let why = error.to_string();
        let count = |ids: usize| u64::try_from(ids).unwrap_or(u64::MAX);
        let asked = covered.requests.iter().map(|request| &request.id);
        if let Some(line) = refusal::refused(asked, covered.batch, &why) {
            self.door.denied(self.from, &covered.requests, &why);
            self.door
                .refused
                .fetch_add(count(covered.requests.len()), Ordering::Relaxed);
            if !self.back.reply(line) {
                self.door.withheld.fetch_add(1, Ordering::Relaxed);
            }
        }
        let answered = covered.answers.iter().map(|answer| &answer.id);
        if let Some(line) = refusal::replaced(answered, covered.batch, &why) {
            self.door.answers_withheld(&covered.answers, &why);
            self.door
                .refused
                .fetch_add(count(covered.answers.len()), Ordering::Relaxed);
            return Decided::Own(line);
        }
        if covered.requests.is_empty() {
            self.door.withheld.fetch_add(1, Ordering::Relaxed);
        }
        Decided::Nothing
    }
}
