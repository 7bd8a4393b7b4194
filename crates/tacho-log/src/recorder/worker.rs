//! The worker thread: takes events from the queue, redacts, encodes, submits.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use tacho_event::limits::BODY_BYTES;
use tacho_event::{
    Body, Context, Detail, Event, EventType, IdSource, Outcome, Record, Redactor, Severity,
    Timestamp, Unredacted,
};

use super::ticket::TicketState;
use super::{
    InFlight, Link, LinkState, Lost, RecordError, RecorderOptions, Shared, WorkerState, lock, wait,
};
use crate::evidence::{EvidenceError, EvidenceStore};
use crate::limits::{IN_FLIGHT_BYTES, IN_FLIGHT_RECORDS, UNSENT_BYTES};
use crate::protocol::Frame;

/// While events keep coming the worker looks for them at this interval instead of being woken for
/// each, so that a caller that need not wait makes no system call.
const NAP: Duration = Duration::from_millis(1);

/// Naps without an event before the worker waits to be woken: an idle session costs nothing.
const NAPS_BEFORE_SLEEP: u32 = 20;

/// Frames are written together from this many bytes on: a socket's buffer holds about three times that.
const WRITE_BYTES: usize = 64 * 1024;

/// What to do when the socket's buffer is full.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// Wait for room.
    Wait,
    /// Go on with something better; the rest is sent later.
    GoOn,
}

pub(super) type Queued = (Event, Arc<TicketState>);

type Batch = VecDeque<Queued>;

pub(super) fn run(shared: &Shared) {
    let _guard = Guard(shared);
    let mut batch = Batch::new();
    while take(shared, &mut batch) {
        let mut encoder = lock(&shared.encoder);
        if encoder.is_ready(shared) {
            encoder.process(shared, &mut batch.drain(..));
            // While the recorder is busy with its disk the next events can be made records.
            let more = !lock(&shared.queue).events.is_empty();
            let full = if more { Full::GoOn } else { Full::Wait };
            write(&mut lock(&shared.link), full);
        } else {
            refuse(shared, &mut batch);
        }
    }
}

/// What makes records of events: the worker's, and lent to a caller who would only wait for it.
pub(super) struct Encoder {
    options: RecorderOptions,
    ids: IdSource,
    redactor: Option<Redactor>,
}

impl Encoder {
    pub(super) const fn new(options: RecorderOptions) -> Self {
        let ids = IdSource::new(options.entropy);
        Self {
            options,
            ids,
            redactor: None,
        }
    }

    /// Whether there is a redactor; for the first one, waits for the recorder's greeting.
    fn is_ready(&mut self, shared: &Shared) -> bool {
        if self.redactor.is_none() {
            let redaction = &self.options.redaction;
            self.redactor = greeted(shared).map(|key| Redactor::new(redaction, key));
            shared
                .may_lend
                .store(self.redactor.is_some(), Ordering::Release);
        }
        self.redactor.is_some()
    }

    /// Redacts, encodes and submits events in their order; what is not on its way after that is for
    /// [`write()`] to send.
    pub(super) fn process(&mut self, shared: &Shared, events: &mut dyn Iterator<Item = Queued>) {
        let gap = take_gap(shared, &self.options, &mut self.ids);
        let Some(redactor) = &mut self.redactor else {
            return;
        };
        for (event, ticket) in gap.into_iter().chain(events) {
            let timestamp = (event.kind != EventType::Gap).then_some(event.timestamp);
            // A defect in redaction must cost one event, not the session.
            let store = self.options.evidence.as_mut();
            let encoded = catch_unwind(AssertUnwindSafe(|| encode(redactor, store, event)));
            match encoded {
                Ok(Ok(record)) if record.body().len() <= BODY_BYTES => {
                    submit(shared, record, ticket, timestamp);
                }
                Ok(Err(error)) => {
                    lock(&shared.lost).add(timestamp);
                    ticket.settle(Err(RecordError::Evidence(error.to_string())));
                }
                Ok(Ok(_)) | Err(_) => {
                    let defect = "the event could not be made a record: a defect, please report it";
                    lock(&shared.lost).add(timestamp);
                    ticket.settle(Err(RecordError::Refused(defect.to_owned())));
                }
            }
        }
    }
}

/// The record of an event; what it has no room for, or all where that is wanted, goes to the evidence first.
fn encode(
    redactor: &mut Redactor,
    store: Option<&mut EvidenceStore>,
    event: Event,
) -> Result<Record, EvidenceError> {
    let Some(store) = store else {
        return Ok(redactor.redact(event).encode());
    };
    let (id, time) = (event.id, event.timestamp);
    // Shared with the event, not copied.
    let (args, result) = (event.args.clone(), event.result.clone());
    let mut redacted = redactor.redact(event);
    for body in redacted.wanted() {
        let bytes = match body {
            Body::Args => &args,
            Body::Result => &result,
        };
        if let Some(bytes) = bytes {
            let commitment = store.keep(id, time, body, bytes)?;
            redacted.keep(body, commitment, bytes.expose().len());
        }
    }
    Ok(redacted.encode())
}

/// Without a worker nothing can be recorded any more: should it ever end by a panic, everybody who
/// waits is told, instead of waiting for ever.
struct Guard<'a>(&'a Shared);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        queue.closing = true;
        queue.worker = WorkerState::Asleep;
        queue.bytes = 0;
        let left = std::mem::take(&mut queue.events);
        drop(queue);
        for (event, ticket) in left {
            lock(&self.0.lost).add(Some(event.timestamp));
            let ended = RecordError::Unavailable("the recorder's worker ended".to_owned());
            ticket.settle(Err(ended));
        }
        self.0.room.notify_all();
    }
}

/// Moves what is queued into `batch`. Returns `false` when the session is over and all is done.
fn take(shared: &Shared, batch: &mut Batch) -> bool {
    let mut naps = 0;
    let mut queue = lock(&shared.queue);
    loop {
        if queue.worker == WorkerState::Lent {
            // Whoever has the encoder wakes us when there is something left to do.
            queue = wait(&shared.work, queue, None);
            continue;
        }
        if !queue.events.is_empty() {
            std::mem::swap(&mut queue.events, batch);
            queue.bytes = 0;
            queue.worker = WorkerState::Busy;
            drop(queue);
            shared.room.notify_all();
            return true;
        }
        if queue.closing && !queue.last_round {
            // Once more with nothing in hand: if something was lost, its gap record is still due.
            queue.last_round = true;
            queue.worker = WorkerState::Busy;
            return true;
        }
        if queue.closing {
            queue.worker = WorkerState::Asleep;
            drop(queue);
            shared.room.notify_all();
            return false;
        }
        naps += 1;
        let asleep = naps > NAPS_BEFORE_SLEEP;
        queue.worker = if asleep {
            WorkerState::Asleep
        } else {
            WorkerState::Napping
        };
        queue = wait(&shared.work, queue, (!asleep).then_some(NAP));
    }
}

/// The digest key from the first greeting; waits for it as long as there is hope of a recorder.
fn greeted(shared: &Shared) -> Option<tacho_event::DigestKey> {
    let mut link = lock(&shared.link);
    loop {
        if let Some(key) = &link.key {
            return Some(key.clone());
        }
        link.hope().ok()?;
        link = wait(&shared.link_changed, link, Some(Duration::from_millis(100)));
    }
}

/// Without a key nothing can be redacted, so nothing can be kept: the whole batch is refused.
fn refuse(shared: &Shared, batch: &mut Batch) {
    let error = lock(&shared.link)
        .hope()
        .err()
        .unwrap_or(RecordError::Deadline);
    for (event, ticket) in batch.drain(..) {
        lock(&shared.lost).add(Some(event.timestamp));
        ticket.settle(Err(error.clone()));
    }
}

/// A `gap` event for everything lost so far, once there is a recorder to take it. What it counts is
/// held until the gap itself is settled: it counts again if that is lost too.
fn take_gap(
    shared: &Shared,
    options: &RecorderOptions,
    ids: &mut IdSource,
) -> Option<(Event, Arc<TicketState>)> {
    let up = matches!(lock(&shared.link).state, LinkState::Up(_));
    let mut lost = lock(&shared.lost);
    lost.settle_report();
    if lost.count == 0 || lost.reported.is_some() || !up {
        return None;
    }
    let counted = std::mem::take(&mut *lost);
    let event = gap(&counted, options, ids);
    let ticket = Arc::<TicketState>::default();
    lost.reported = Some((Box::new(counted), Arc::clone(&ticket)));
    Some((event, ticket))
}

fn gap(lost: &Lost, options: &RecorderOptions, ids: &mut IdSource) -> Event {
    let now = options.clock.now();
    let context = Context {
        session: Some(options.run),
        ..Context::none()
    };
    let mut gap = Event::new(ids.event(now), now, EventType::Gap, Arc::new(context));
    gap.severity = Severity::Critical;
    gap.outcome = Some(Outcome::Error);
    gap.details.push((
        "lost",
        Detail::Int(i64::try_from(lost.count).unwrap_or(i64::MAX)),
    ));
    for (name, time) in [("first", lost.first), ("last", lost.last)] {
        if let Some(time) = time {
            gap.details
                .push((name, Detail::Text(Unredacted::new(time.to_string()))));
        }
    }
    gap.details
        .push(("reason", Detail::Word("could not be recorded in time")));
    gap
}

/// Enters one record into what is in flight; waits when that is too much.
fn submit(shared: &Shared, record: Record, ticket: Arc<TicketState>, timestamp: Option<Timestamp>) {
    let mut link = lock(&shared.link);
    while link.in_flight.len() >= IN_FLIGHT_RECORDS || link.in_flight_bytes >= IN_FLIGHT_BYTES {
        if link.hope().is_err() {
            break;
        }
        write(&mut link, Full::Wait);
        link = wait(&shared.link_changed, link, Some(Duration::from_millis(100)));
    }
    if let Err(error) = link.hope() {
        drop(link);
        lock(&shared.lost).add(timestamp);
        ticket.settle(Err(error));
        return;
    }
    let number = link.next_number;
    link.next_number += 1;
    link.in_flight_bytes += record.body().len();
    if matches!(link.state, LinkState::Up(_)) {
        let (id, stage, body) = (record.id(), record.stage(), record.body());
        Frame::Submit {
            number,
            id,
            stage,
            body,
        }
        .encode(&mut link.unsent.bytes);
    }
    // While the link is down the one who reconnects submits it with the rest in flight.
    link.in_flight.push_back(InFlight {
        number,
        record,
        ticket,
        timestamp,
    });
    let unsent = &link.unsent;
    if unsent.bytes.len() >= UNSENT_BYTES {
        write(&mut link, Full::Wait);
    } else if unsent.bytes.len() - unsent.tried >= WRITE_BYTES {
        write(&mut link, Full::GoOn);
    }
}

/// Sends what was encoded. A failure is the link thread's to repair: it sees the same broken socket,
/// and submits again everything in flight, of which these bytes are part.
pub(super) fn write(link: &mut Link, full: Full) {
    let unsent = &mut link.unsent;
    if let LinkState::Up(stream) = &link.state {
        let flags = match full {
            Full::Wait => SendFlags::NOSIGNAL,
            Full::GoOn => SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        };
        while let Some(rest @ [_, ..]) = unsent.bytes.get(unsent.sent..) {
            match send(stream, rest, flags) {
                Ok(sent) => unsent.sent += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if full == Full::GoOn => {
                    unsent.tried = unsent.bytes.len();
                    return;
                }
                Err(_broken) => {
                    // Wakes the link thread, should it not have noticed.
                    drop(stream.shutdown(std::net::Shutdown::Both));
                    break;
                }
            }
        }
    }
    unsent.clear();
}
