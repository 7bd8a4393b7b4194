//! The one way from a message to the log: observe, then record, under one lock.
//!
//! The lock makes the order of the log the order in which things were seen: no outcome before its
//! intent, whichever thread saw it. It is held for about a microsecond, and longer only while the
//! queue to the recorder is full, when both directions would have to wait anyway. It is never held
//! while a byte is read or written, and the supervisor never waits for it without a deadline.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use tacho_event::{Detail, Direction, Event};
use tacho_log::{Clock, Patience, RecordError, Recorder, Ticket};

use super::{Counts, Definitions, Ending};
use crate::exchange::{Answered, Argv, Asked, Cancel, Exchange, Moment, Observed};
use crate::frame::Frame;
use crate::message::Line;
use crate::mode::{Mode, Permit, Waiver};

/// How often a lock is tried that must not be waited for.
const RETRY: Duration = Duration::from_millis(2);

/// How long the counts are waited for when the session is over; nobody holds the lock then who is not
/// stuck.
const COUNTS_PATIENCE: Duration = Duration::from_millis(100);

/// For what is recorded because the recorder has just failed: it goes along if there is room, and nobody is
/// held up by it.
const AT_ONCE: Mode = Mode::Blocking {
    deadline: Duration::ZERO,
};

/// What records: a [`Recorder`], or a double that tests can make fail.
pub(super) trait Recording: Send + Sync + 'static {
    type Ticket: Send + 'static;

    fn record(&self, event: Event, patience: Patience) -> Self::Ticket;

    /// Whether the recorder's queue had no room for it in time.
    fn is_lost(ticket: &Self::Ticket) -> bool;

    /// Whether waiting would return at once.
    fn is_settled(ticket: &Self::Ticket) -> bool;

    fn wait(ticket: Self::Ticket, deadline: Option<Instant>) -> Result<Permit, RecordError>;
}

impl Recording for Recorder {
    type Ticket = Ticket;

    fn record(&self, event: Event, patience: Patience) -> Ticket {
        Self::record(self, event, patience)
    }

    fn is_lost(ticket: &Ticket) -> bool {
        ticket.is_lost()
    }

    fn is_settled(ticket: &Ticket) -> bool {
        ticket.is_settled()
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
    pub(super) answers: Vec<Answered>,
    pub(super) batch: bool,
    cancels: Vec<Cancel>,
    tickets: Vec<T>,
    mode: Mode,
    waits: bool,
    /// Known before anybody had to wait: its records could not be made.
    failed: Option<RecordError>,
}

pub(super) struct Door<R> {
    inner: Mutex<Inner>,
    recorder: R,
    clock: Arc<dyn Clock>,
    /// For what no message stands for.
    mode: Mode,
    /// Whether anything in the session may wait for its record.
    may_wait: bool,
    listed: Option<Listed>,
    /// As listed last; apart, so that they can be had whoever holds the other lock.
    definitions: Mutex<Definitions>,
    /// Bytes that have passed, and requests without an answer, for the supervisor to see.
    moved: AtomicU64,
    open: AtomicUsize,
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
    /// The recorder's queue had no room in time: nobody waits for it again until it has.
    behind: bool,
}

impl<R: Recording> Door<R> {
    pub(super) fn new(
        exchange: Exchange,
        recorder: R,
        clock: Arc<dyn Clock>,
        listed: Option<Listed>,
    ) -> Self {
        Self {
            definitions: Mutex::new(exchange.definitions().clone()),
            mode: exchange.rules().default_mode(),
            may_wait: exchange.rules().may_wait(),
            moved: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            inner: Mutex::new(Inner {
                exchange,
                closed: false,
                behind: false,
            }),
            recorder,
            clock,
            listed,
            refused: AtomicU64::new(0),
            withheld: AtomicU64::new(0),
            unrecorded: AtomicU64::new(0),
        }
    }

    /// Observes a frame and queues its records; also gives the definitions that it listed, if any. `None`
    /// when the session is over: what cannot be recorded any more is not forwarded any more.
    pub(super) fn pass(
        &self,
        from: Direction,
        frame: Frame,
    ) -> Option<(Covered<R::Ticket>, Option<Definitions>)> {
        let now = self.now();
        let line = Line::of(&frame);
        let mut inner = self.lock();
        if inner.closed {
            return None;
        }
        let Observed {
            events,
            waits,
            mode,
            requests,
            answers,
            cancels,
            batch,
            definitions_changed,
        } = inner.exchange.observe_line(from, &frame, line, now);
        let waits = waits && mode != Mode::BestEffort;
        self.moved.fetch_add(
            u64::try_from(frame.bytes.len()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        let tickets = self.record(&mut inner, events, mode, now.mono, waits);
        let definitions = definitions_changed.then(|| inner.exchange.definitions().clone());
        drop(inner);
        let received = now.mono;
        let covered = Covered {
            frame,
            received,
            requests,
            answers,
            batch,
            cancels,
            tickets,
            mode,
            waits,
            failed: None,
        };
        Some((covered, definitions))
    }

    /// Hands on the definitions that a frame listed; once the frame is on its way, for it may take long.
    pub(super) fn listed(&self, definitions: Option<Definitions>) {
        let Some(definitions) = definitions else {
            return;
        };
        if let Some(listed) = &self.listed {
            listed(&definitions);
        }
        *self.definitions_lock() = definitions;
    }

    /// Queues records in order; gives back their tickets where they are wanted.
    fn record(
        &self,
        inner: &mut Inner,
        events: Vec<Event>,
        mode: Mode,
        received: Instant,
        wanted: bool,
    ) -> Vec<R::Ticket> {
        self.open
            .store(inner.exchange.open_requests(), Ordering::Relaxed);
        let mut tickets = Vec::with_capacity(if wanted { events.len() } else { 0 });
        for event in events {
            let ticket = self
                .recorder
                .record(event, patience(mode, inner.behind, received));
            let lost = R::is_lost(&ticket);
            if !lost || mode != Mode::BestEffort {
                // Who did not wait knows only that there was no room at that moment.
                inner.behind = lost;
            }
            if wanted {
                tickets.push(ticket);
            }
        }
        tickets
    }

    /// Whether anything in the session may wait for its record.
    pub(super) const fn may_wait(&self) -> bool {
        self.may_wait
    }

    /// The permit of a frame that need not wait.
    pub(super) fn permit_now(&self, covered: &mut Covered<R::Ticket>) -> Option<Permit> {
        let waiver = if !covered.waits {
            Waiver::NotWaitedFor
        } else if covered.failed.is_some() {
            return None;
        } else if covered.tickets.is_empty() {
            Waiver::NothingToRecord
        } else if covered.tickets.iter().all(R::is_settled) {
            let settled = self.settle(covered);
            return settled.map_err(|error| covered.failed = Some(error)).ok();
        } else {
            return None;
        };
        self.passes(covered);
        Some(Permit::Waiver(waiver))
    }

    /// The frame will be forwarded: only now is cancelled what it cancels.
    fn passes(&self, covered: &mut Covered<R::Ticket>) {
        if covered.cancels.is_empty() {
            return;
        }
        let cancels = std::mem::take(&mut covered.cancels);
        self.record_more(covered.mode, |exchange, now| {
            exchange.cancelled(&cancels, now)
        });
    }

    /// Records what nobody waits for.
    fn record_more(&self, mode: Mode, events: impl FnOnce(&mut Exchange, Moment) -> Vec<Event>) {
        let now = self.now();
        let mut inner = self.lock();
        if !inner.closed {
            let events = events(&mut inner.exchange, now);
            self.record(&mut inner, events, mode, now.mono, false);
        }
    }

    /// Waits for the records of a frame, as long as its mode says. The error is why it may not be
    /// forwarded; only with [`Mode::Strict`] is there one.
    pub(super) fn settle(&self, covered: &mut Covered<R::Ticket>) -> Result<Permit, RecordError> {
        if let Some(error) = covered.failed.take() {
            return Err(error);
        }
        if !covered.waits || covered.tickets.is_empty() {
            return self.permit_now(covered).ok_or(RecordError::Deadline);
        }
        let patience = covered.mode.patience().unwrap_or_default();
        let deadline = covered.received.checked_add(patience);
        let mut permit = Ok(Permit::Waiver(Waiver::NothingToRecord));
        for ticket in covered.tickets.drain(..) {
            // All are waited for, so that all are accounted for; the first failure counts.
            let settled = match R::wait(ticket, deadline) {
                // The operator chose so, whatever the mode: no room is no reason to stop.
                Err(RecordError::Counted) => {
                    self.unrecorded.fetch_add(1, Ordering::Relaxed);
                    Ok(Permit::Waiver(Waiver::Unrecorded))
                }
                settled => settled,
            };
            permit = permit.and(settled);
        }
        let permit = match (permit, covered.mode) {
            (Err(_), Mode::Blocking { .. } | Mode::BestEffort) => {
                self.unrecorded.fetch_add(1, Ordering::Relaxed);
                Ok(Permit::Waiver(Waiver::Unrecorded))
            }
            (permit, _) => permit,
        }?;
        self.passes(covered);
        Ok(permit)
    }

    /// Records that requests were not forwarded. The recorder has just failed, so these may fail too.
    pub(super) fn denied(&self, from: Direction, requests: &[Asked], why: &str) {
        self.record_more(AT_ONCE, |exchange, now| {
            exchange.denied(from, requests, why, now)
        });
    }

    /// Records that answers were not passed on; the same holds.
    pub(super) fn answers_withheld(&self, answers: &[Answered], why: &str) {
        self.record_more(AT_ONCE, |exchange, now| {
            exchange.withheld(answers, why, now)
        });
    }

    pub(super) fn server_started(&self, argv: &Argv, pid: u32) {
        self.record_more(self.mode, |exchange, now| {
            vec![exchange.server_started(argv, pid, now)]
        });
    }

    /// The session's only record: that there was none. Waits for it, but not past `deadline`.
    pub(super) fn launch_failed(&self, argv: &Argv, code: i32, why: String, deadline: Instant) {
        let now = self.now();
        let mut inner = self.lock();
        let event = inner.exchange.launch_failed(argv, code, why, now);
        inner.closed = true;
        let tickets = self.record(&mut inner, vec![event], self.mode, now.mono, self.may_wait);
        drop(inner);
        for ticket in tickets {
            // A failure is counted by the recorder; the error that is told is why there is no session.
            drop(R::wait(ticket, Some(deadline)));
        }
    }

    /// Ends the record of requests that have waited too long; `false` when the session is over.
    pub(super) fn expire(&self) -> bool {
        self.record_more(self.mode, Exchange::expire);
        !self.lock().closed
    }

    /// Ends what is open and writes the session's last record; gives back the tickets of these records.
    /// None when that is not possible until `deadline`: then the recorder ends what is open.
    pub(super) fn close(
        &self,
        ending: &Ending,
        status: (&'static str, i32),
        deadline: Instant,
    ) -> Vec<R::Ticket> {
        let now = self.now();
        let Some(mut inner) = self.lock_by(deadline) else {
            return Vec::new();
        };
        let mut events = inner.exchange.close(ending, now);
        let mut exited = inner.exchange.server_exited(status, now);
        for (word, count) in [
            ("refused", &self.refused),
            ("withheld", &self.withheld),
            ("unrecorded", &self.unrecorded),
        ] {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                exited.details.push((word, Detail::Int(count)));
            }
        }
        events.push(exited);
        inner.closed = true;
        let record = |event| {
            let patience = if self.may_wait {
                Patience::UpTo(deadline.saturating_duration_since(Instant::now()))
            } else {
                Patience::Never
            };
            self.recorder.record(event, patience)
        };
        events.into_iter().map(record).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        let inner = self.lock_by(Instant::now() + COUNTS_PATIENCE);
        let (from_client, from_server) = inner
            .map(|inner| inner.exchange.traffic())
            .unwrap_or_default();
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
        (
            self.moved.load(Ordering::Relaxed),
            self.open.load(Ordering::Relaxed),
        )
    }

    pub(super) fn definitions(&self) -> Definitions {
        self.definitions_lock().clone()
    }

    fn definitions_lock(&self) -> MutexGuard<'_, Definitions> {
        self.definitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

    /// The lock, unless somebody who is stuck holds it until `deadline`.
    fn lock_by(&self, deadline: Instant) -> Option<MutexGuard<'_, Inner>> {
        loop {
            match self.inner.try_lock() {
                Ok(inner) => return Some(inner),
                Err(TryLockError::Poisoned(inner)) => return Some(inner.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
                Err(TryLockError::WouldBlock) => std::thread::sleep(RETRY),
            }
        }
    }
}

/// How long the recorder's queue is waited for. The deadline is one for the whole message. Behind a full queue
/// only the first waits it out: else every message would hold up both directions for as long again.
fn patience(mode: Mode, behind: bool, received: Instant) -> Patience {
    match mode.patience() {
        None => Patience::Never,
        Some(_) if behind => Patience::UpTo(Duration::ZERO),
        Some(patience) => Patience::UpTo(patience.saturating_sub(received.elapsed())),
    }
}
