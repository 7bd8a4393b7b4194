//! The one door into the log, in the process that saw the event.
//!
//! ```text
//! record(event) ─ queue ─► worker: redact, encode ─ socket ─► recorder ─ ACK ─► Ticket ─► Receipt
//! ```
//!
//! [`Recorder::record`] only queues. The worker thread redacts, so that nothing unredacted leaves this
//! process, and submits; the link thread owns the connection, settles tickets, and when the recorder dies
//! finds or starts another and submits again what was not acknowledged. What cannot be recorded any more is
//! counted, and the count is recorded as a `gap` as soon as there is a recorder again.

mod link;
mod ticket;
mod worker;

use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tacho_event::{DigestKey, Event, Options, RunId};

pub use self::link::{Connect, ConnectError};
use self::ticket::TicketState;
pub use self::ticket::{Receipt, RecordError, Ticket};
use crate::clock::Clock;
use crate::evidence::EvidenceStore;
use crate::limits::{
    LENT_IN_FLIGHT, LENT_IN_FLIGHT_BYTES, QUEUED_BYTES, QUEUED_EVENTS, RECONNECT_TIMEOUT,
};

/// Hands events to the one writer of the log. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

/// What to do when the queue to the writer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Wait for room, however long.
    Wait,
    /// Wait this long, then lose the event and count it: modes `strict`, where the call is then refused, and
    /// `blocking`, where it goes on.
    UpTo(Duration),
    /// Lose the event and count it: mode `best_effort`. The writer is not woken for it either, so the
    /// caller makes no system call and the record follows within milliseconds.
    Never,
}

/// How a [`Recorder`] is made.
pub struct RecorderOptions {
    /// Names this connection in every record; the recorder uses it to tell returning sources.
    pub run: RunId,
    /// What redaction keeps.
    pub redaction: Options,
    /// Random bits of the operating system, for identifiers.
    pub entropy: u64,
    /// Where "now" comes from, for the recorder's own records.
    pub clock: Arc<dyn Clock>,
    /// Where whole bodies are kept, encrypted, if they are.
    pub evidence: Option<EvidenceStore>,
}

/// Ends the recorder's threads when the session is over.
pub struct RecorderThreads {
    shared: Arc<Shared>,
    worker: JoinHandle<()>,
    link: JoinHandle<()>,
}

pub(crate) struct Shared {
    queue: Mutex<Queue>,
    /// Signalled when the worker has something to do.
    work: Condvar,
    /// Signalled when the queue has room again, and when it is drained.
    room: Condvar,
    link: Mutex<Link>,
    /// Signalled when the link comes up or goes down, and when submissions are settled.
    link_changed: Condvar,
    lost: Mutex<Lost>,
    /// Locked by the worker while it works, or by the caller it is lent to.
    encoder: Mutex<worker::Encoder>,
    /// The encoder has its key.
    may_lend: AtomicBool,
    /// Bodies may be kept as evidence, which takes as long as the disk needs.
    keeps_evidence: bool,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<(Event, Arc<TicketState>)>,
    /// Bytes of their bodies.
    bytes: usize,
    worker: WorkerState,
    closing: bool,
    /// The worker has looked a last time whether a gap record is due.
    last_round: bool,
}

/// Whether the worker must be woken for a new event.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum WorkerState {
    #[default]
    Busy,
    /// It looks again within a millisecond; only an urgent event wakes it.
    Napping,
    /// It waits for an event.
    Asleep,
    /// A caller who would wait for it anyway does its work for one event.
    Lent,
}

/// The connection and everything that was submitted and not yet settled, under one lock: whoever
/// reconnects can neither miss a submission nor send one twice.
struct Link {
    state: LinkState,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    unsent: Unsent,
    next_number: u64,
    key: Option<DigestKey>,
}

/// Frames of submissions in flight that were not written yet; void as soon as the link goes down.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    /// So many of them are written.
    sent: usize,
    /// So many there were when the socket was last tried.
    tried: usize,
}

enum LinkState {
    /// Not connected; since when.
    Down {
        since: Instant,
        reason: String,
    },
    Up(Arc<UnixStream>),
    /// The session is over.
    Closed,
}

struct InFlight {
    number: u64,
    record: tacho_event::Record,
    ticket: Arc<TicketState>,
    /// When it happened; none of a gap record, which is no event of the source.
    timestamp: Option<tacho_event::Timestamp>,
}

/// Events that never made it into the log, until a `gap` record says so.
#[derive(Default)]
struct Lost {
    count: u64,
    first: Option<tacho_event::Timestamp>,
    last: Option<tacho_event::Timestamp>,
    /// What a `gap` record on its way counts, and that record's ticket.
    reported: Option<(Box<Self>, Arc<TicketState>)>,
}

impl Recorder {
    /// Starts the threads and returns at once; connecting goes on beside the caller.
    pub fn start(
        options: RecorderOptions,
        connect: Box<dyn Connect>,
    ) -> std::io::Result<(Self, RecorderThreads)> {
        let run = options.run;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            link: Mutex::new(Link {
                state: LinkState::Down {
                    since: Instant::now(),
                    reason: "not connected yet".to_owned(),
                },
                in_flight: VecDeque::new(),
                in_flight_bytes: 0,
                unsent: Unsent::default(),
                next_number: 1,
                key: None,
            }),
            lost: Mutex::default(),
            keeps_evidence: options.evidence.is_some(),
            encoder: Mutex::new(worker::Encoder::new(options)),
            may_lend: AtomicBool::new(false),
            link_changed: Condvar::new(),
        });
        let link = {
            let shared = Arc::clone(&shared);
            let builder = std::thread::Builder::new().name("recorder-link".to_owned());
            builder
                .stack_size(256 * 1024)
                .spawn(move || link::run(&shared, run, connect))?
        };
        let worker = {
            let shared = Arc::clone(&shared);
            let builder = std::thread::Builder::new().name("recorder-worker".to_owned());
            builder
                .stack_size(512 * 1024)
                .spawn(move || worker::run(&shared))?
        };
        Ok((
            Self {
                shared: Arc::clone(&shared),
            },
            RecorderThreads {
                shared,
                worker,
                link,
            },
        ))
    }

    /// Queues `event`: it will be redacted, encoded and submitted, in the order of these calls. Returns
    /// at once unless the queue is full; then as long as `patience` allows.
    pub fn record(&self, event: Event, patience: Patience) -> Ticket {
        let state = Arc::new(TicketState::default());
        let ticket = Ticket::new(Arc::clone(&state));
        let timestamp = event.timestamp;
        let deadline = match patience {
            Patience::Wait => None,
            Patience::UpTo(patience) => Some(Instant::now() + patience),
            Patience::Never => Some(Instant::now()),
        };
        let mut queue = lock(&self.shared.queue);
        while queue.is_full() && !queue.closing {
            let Some(left) = remaining(deadline) else {
                drop(queue);
                lock(&self.shared.lost).add(Some(timestamp));
                state.settle(Err(RecordError::Lost));
                return ticket;
            };
            queue = wait(&self.shared.room, queue, left);
        }
        if queue.closing {
            drop(queue);
            let closed = RecordError::Unavailable("the session is over".to_owned());
            state.settle(Err(closed));
            return ticket;
        }
        let quick = !self.shared.keeps_evidence || body_bytes(&event) == 0;
        let lend = patience != Patience::Never && quick;
        if lend && queue.worker_is_idle() && self.shared.is_calm() {
            queue.worker = WorkerState::Lent;
            drop(queue);
            let _lent = Lent(&self.shared);
            let mut encoder = lock(&self.shared.encoder);
            encoder.process(&self.shared, &mut std::iter::once((event, state)));
            worker::write(&mut lock(&self.shared.link), worker::Full::Wait);
            return ticket;
        }
        queue.bytes += body_bytes(&event);
        queue.events.push_back((event, state));
        let wake = match queue.worker {
            WorkerState::Busy | WorkerState::Lent => false,
            WorkerState::Napping => patience != Patience::Never,
            WorkerState::Asleep => true,
        };
        if wake {
            queue.worker = WorkerState::Busy;
        }
        drop(queue);
        if wake {
            self.shared.work.notify_one();
        }
        ticket
    }
}

impl RecorderThreads {
    /// Waits until everything queued is settled, at most `patience`, says goodbye and ends the threads.
    /// Returns how many events were lost and never reported in a `gap` record.
    pub fn close(self, patience: Duration) -> u64 {
        let deadline = Instant::now() + patience;
        {
            let mut queue = lock(&self.shared.queue);
            queue.closing = true;
            self.shared.work.notify_one();
            self.shared.room.notify_all();
            while !queue.events.is_empty() || queue.worker_is_at_work() {
                let Some(left) = remaining(Some(deadline)) else {
                    break;
                };
                queue = wait(&self.shared.room, queue, left);
            }
        }
        let mut link = lock(&self.shared.link);
        while !link.in_flight.is_empty() && !matches!(link.state, LinkState::Closed) {
            let Some(left) = remaining(Some(deadline)) else {
                break;
            };
            link = wait(&self.shared.link_changed, link, left);
        }
        link.close();
        drop(link);
        let lost = {
            let mut lost = lock(&self.shared.lost);
            lost.settle_report();
            lost.count
                + lost
                    .reported
                    .as_ref()
                    .map_or(0, |(reported, _)| reported.count)
        };
        self.shared.link_changed.notify_all();
        self.shared.work.notify_all();
        if Instant::now() < deadline {
            // A thread that panicked has nothing more to say.
            drop(self.worker.join());
            drop(self.link.join());
        }
        lost
    }
}

impl Queue {
    /// Nothing is queued and nobody works: an event may overtake the worker's waking up.
    fn worker_is_idle(&self) -> bool {
        let idle = matches!(self.worker, WorkerState::Napping | WorkerState::Asleep);
        idle && self.events.is_empty()
    }

    const fn worker_is_at_work(&self) -> bool {
        matches!(self.worker, WorkerState::Busy | WorkerState::Lent)
    }

    fn is_full(&self) -> bool {
        self.events.len() >= QUEUED_EVENTS || self.bytes >= QUEUED_BYTES
    }
}

impl Shared {
    /// Whether a submission goes out at once: the link is up and not much is in flight.
    fn is_calm(&self) -> bool {
        let link = lock(&self.link);
        let up = matches!(link.state, LinkState::Up(_));
        self.may_lend.load(Ordering::Acquire)
            && up
            && link.in_flight.len() < LENT_IN_FLIGHT
            && link.in_flight_bytes < LENT_IN_FLIGHT_BYTES
    }
}

/// The encoder is with a caller; given back when this is dropped, also by a panic.
struct Lent<'a>(&'a Shared);

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        let more = !queue.events.is_empty() || queue.closing;
        queue.worker = if more {
            WorkerState::Busy
        } else {
            WorkerState::Asleep
        };
        drop(queue);
        self.0.room.notify_all();
        if more {
            self.0.work.notify_one();
        }
    }
}

/// What an event holds on to of the messages it came from.
fn body_bytes(event: &Event) -> usize {
    let bodies = [&event.args, &event.result];
    bodies
        .into_iter()
        .flatten()
        .map(|body| body.expose().len())
        .sum()
}

impl Unsent {
    fn clear(&mut self) {
        self.bytes.clear();
        (self.sent, self.tried) = (0, 0);
    }
}

impl Link {
    /// Whether a recorder is there, or may be there soon: until [`RECONNECT_TIMEOUT`] after it went
    /// away. The error is why calls are refused from then on.
    fn hope(&self) -> Result<(), RecordError> {
        match &self.state {
            LinkState::Up(_) => Ok(()),
            LinkState::Down { since, .. } if since.elapsed() < RECONNECT_TIMEOUT => Ok(()),
            LinkState::Down { reason, .. } => Err(RecordError::Unavailable(reason.clone())),
            LinkState::Closed => Err(RecordError::Unavailable("the session is over".to_owned())),
        }
    }

    fn close(&mut self) {
        if let LinkState::Up(stream) = &self.state {
            let mut bye = Vec::new();
            crate::protocol::Frame::Bye.encode(&mut bye);
            // If the recorder is gone there is nobody left to say goodbye to.
            drop(std::io::Write::write_all(&mut stream.as_ref(), &bye));
            drop(stream.shutdown(std::net::Shutdown::Both));
        }
        self.state = LinkState::Closed;
    }
}

impl Lost {
    /// Counts one; a gap record has no time.
    fn add(&mut self, timestamp: Option<tacho_event::Timestamp>) {
        self.count = self.count.saturating_add(1);
        // They are not lost in the order in which they happened.
        self.first = match self.first {
            None => timestamp,
            Some(first) => Some(timestamp.map_or(first, |timestamp| timestamp.min(first))),
        };
        self.last = self.last.max(timestamp);
    }

    /// Forgets what a `gap` record has told, or counts it again when that record was lost too.
    fn settle_report(&mut self) {
        let Some((reported, ticket)) = self.reported.take() else {
            return;
        };
        match ticket.result() {
            None => self.reported = Some((reported, ticket)),
            Some(Ok(())) => {}
            Some(Err(_)) => {
                // The gap record itself was counted when it was refused; it is no event of the source.
                self.count = self.count.saturating_sub(1).saturating_add(reported.count);
                self.first = reported.first.or(self.first);
                self.last = self.last.max(reported.last);
            }
        }
    }
}

/// A poisoned lock means that a thread of ours panicked while it held it; every section under these
/// locks leaves the data usable at each step, so the session goes on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits to be signalled, at most `left`; spurious wake-ups are the caller's to check.
fn wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    left: Option<Duration>,
) -> MutexGuard<'a, T> {
    match left {
        None => condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(left) => {
            condvar
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0
        }
    }
}

/// What is left until `deadline`: `Some(None)` without a deadline, `None` when it has passed.
fn remaining(deadline: Option<Instant>) -> Option<Option<Duration>> {
    match deadline {
        None => Some(None),
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            (!left.is_zero()).then_some(Some(left))
        }
    }
}
