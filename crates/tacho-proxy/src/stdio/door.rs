//! The one way from a message to the log: observe, then record, under one lock.
//!
//! The lock makes the order of the log the order in which things were seen: no outcome before its
//! intent, whichever thread saw it. It is held for about a microsecond, and longer only while the
//! queue to the recorder is full, when both directions would have to wait anyway. It is never held
//! while a byte is read or written.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tacho_event::{Detail, Direction, Event};
use tacho_log::{Clock, Patience, RecordError, Recorder, Ticket};

use super::{Counts, Definitions, Ending};
use crate::exchange::{Asked, Exchange, Moment, Observed};
use crate::frame::Frame;
use crate::message::Line;
use crate::mode::{Mode, Permit, Waiver};

/// What records: a [`Recorder`], or a double that tests can make fail.
pub(super) trait Recording: Send + Sync + 'static {
    type Ticket: Send + 'static;

    fn record(&self, event: Event, patience: Patience) -> Self::Ticket;

    fn wait(ticket: Self::Ticket, deadline: Option<Instant>) -> Result<Permit, RecordError>;
}

impl Recording for Recorder {
    type Ticket = Ticket;

    fn record(&self, event: Event, patience: Patience) -> Ticket {
        Self::record(self, event, patience)
    }

    fn wait(ticket: Ticket, deadline: Option<Instant>) -> Result<Permit, RecordError> {
        ticket.wait(deadline).map(Permit::Receipt)
    }
}

/// A frame and the records that cover it.
#[derive(Debug)]
pub(super) struct Covered<T> {
    pub(super) frame: Frame,
    pub(super) received: Instant,
    pub(super) requests: Vec<Asked>,
    pub(super) answers: Vec<Bytes>,
    pub(super) batch: bool,
    pub(super) definitions: Option<Definitions>,
    tickets: Vec<T>,
    waits: bool,
}

pub(super) struct Door<R> {
    inner: Mutex<Inner>,
    recorder: R,
    clock: Arc<dyn Clock>,
    mode: Mode,
    listed: Option<Listed>,
    pub(super) refused: AtomicU64,
    pub(super) withheld: AtomicU64,
    pub(super) unrecorded: AtomicU64,
}

/// Called with the definitions of a server's tools whenever they were listed.
pub type Listed = Box<dyn Fn(&Definitions) + Send + Sync>;

struct Inner {
    exchange: Exchange,
    /// The session's last record is written; nothing may follow it.
    closed: bool,
}

impl<R: Recording> Door<R> {
    pub(super) fn new(
        exchange: Exchange,
        recorder: R,
        clock: Arc<dyn Clock>,
        mode: Mode,
        listed: Option<Listed>,
    ) -> Self {
        Self {
            inner: Mutex::new(Inner {
                exchange,
                closed: false,
            }),
            recorder,
            clock,
            mode,
            listed,
            refused: AtomicU64::new(0),
            withheld: AtomicU64::new(0),
            unrecorded: AtomicU64::new(0),
        }
    }

    /// Observes a frame and queues its records. `None` when the session is over: what cannot be
    /// recorded any more is not forwarded any more.
    pub(super) fn pass(&self, from: Direction, frame: Frame) -> Option<Covered<R::Ticket>> {
        let now = self.now();
        let line = Line::of(&frame);
        let mut inner = self.lock();
        if inner.closed {
            return None;
        }
        let Observed {
            events,
            waits,
            requests,
            answers,
            batch,
            definitions_changed,
        } = inner.exchange.observe_line(from, &frame, line, now);
        let tickets = self.record(events);
        let definitions = definitions_changed.then(|| inner.exchange.definitions().clone());
        drop(inner);
        let received = now.mono;
        Some(Covered {
            frame,
            received,
            requests,
            answers,
            batch,
            definitions,
            tickets,
            waits,
        })
    }

    /// Hands on the definitions that a frame listed; once the frame is on its way, for it may take long.
    pub(super) fn listed(&self, definitions: Option<&Definitions>) {
        if let (Some(definitions), Some(listed)) = (definitions, &self.listed) {
            listed(definitions);
        }
    }

    fn record(&self, events: Vec<Event>) -> Vec<R::Ticket> {
        let patience = self.mode.patience();
        events
            .into_iter()
            .map(|event| self.recorder.record(event, patience))
            .collect()
    }

    /// Whether the mode waits for records at all.
    pub(super) fn waits(&self) -> bool {
        self.mode != Mode::BestEffort
    }

    /// The permit of a frame that need not wait.
    pub(super) fn permit_now(&self, covered: &Covered<R::Ticket>) -> Option<Permit> {
        if covered.tickets.is_empty() {
            return Some(Permit::Waiver(Waiver::NothingToRecord));
        }
        let waits = covered.waits && self.waits();
        (!waits).then_some(Permit::Waiver(Waiver::NotWaitedFor))
    }

    /// Waits for the records of a frame, as long as the mode says. The error is why it may not be
    /// forwarded; only [`Mode::Strict`] has one.
    pub(super) fn settle(&self, covered: &mut Covered<R::Ticket>) -> Result<Permit, RecordError> {
        if let Some(permit) = self.permit_now(covered) {
            return Ok(permit);
        }
        let deadline = match self.mode {
            Mode::Strict | Mode::BestEffort => None,
            Mode::Blocking { deadline } => Some(covered.received + deadline),
        };
        let mut permit = Ok(Permit::Waiver(Waiver::NothingToRecord));
        for ticket in covered.tickets.drain(..) {
            // All are waited for, so that all are accounted for; the first failure counts.
            let settled = R::wait(ticket, deadline);
            permit = permit.and(settled);
        }
        match (permit, self.mode) {
            (Err(_), Mode::Blocking { .. } | Mode::BestEffort) => {
                self.unrecorded.fetch_add(1, Ordering::Relaxed);
                Ok(Permit::Waiver(Waiver::Unrecorded))
            }
            (permit, _) => permit,
        }
    }

    /// Records that requests were not forwarded. The recorder has just failed, so these may fail too.
    pub(super) fn denied(&self, from: Direction, requests: &[Asked], why: &str) {
        let now = self.now();
        let mut inner = self.lock();
        if !inner.closed {
            let events = inner.exchange.denied(from, requests, why, now);
            drop(self.record(events));
        }
    }

    pub(super) fn server_started(&self, command: &str, pid: u32) {
        let now = self.now();
        let mut inner = self.lock();
        let event = inner.exchange.server_started(command, pid, now);
        drop(self.record(vec![event]));
    }

    pub(super) fn expire(&self) {
        let now = self.now();
        let mut inner = self.lock();
        if !inner.closed {
            let events = inner.exchange.expire(now);
            drop(self.record(events));
        }
    }

    /// Ends what is open and writes the session's last record; gives back the tickets of these records.
    pub(super) fn close(&self, ending: &Ending, status: (&'static str, i32)) -> Vec<R::Ticket> {
        let now = self.now();
        let counts = self.counts();
        let mut inner = self.lock();
        let mut events = inner.exchange.close(ending, now);
        let mut exited = inner.exchange.server_exited(status, now);
        for (word, count) in [
            ("refused", counts.refused),
            ("withheld", counts.withheld),
            ("unrecorded", counts.unrecorded),
        ] {
            if count > 0 {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                exited.details.push((word, Detail::Int(count)));
            }
        }
        events.push(exited);
        inner.closed = true;
        self.record(events)
    }

    pub(super) fn counts(&self) -> Counts {
        let (from_client, from_server) = self.lock().exchange.traffic();
        Counts {
            from_client,
            from_server,
            refused: self.refused.load(Ordering::Relaxed),
            withheld: self.withheld.load(Ordering::Relaxed),
            unrecorded: self.unrecorded.load(Ordering::Relaxed),
        }
    }

    /// The bytes that have passed, and the requests without an answer.
    pub(super) fn activity(&self) -> (u64, usize) {
        let inner = self.lock();
        let (client, server) = inner.exchange.traffic();
        (
            client.bytes.wrapping_add(server.bytes),
            inner.exchange.open_requests(),
        )
    }

    pub(super) fn definitions(&self) -> Definitions {
        self.lock().exchange.definitions().clone()
    }

    fn now(&self) -> Moment {
        Moment {
            wall: self.clock.now(),
            mono: Instant::now(),
        }
    }

    /// A thread that panicked under the lock left the exchange between two messages at worst; to go on
    /// recording is better than to stop.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
