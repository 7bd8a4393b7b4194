//! What waits to be written to one side, in order.
//!
//! Whoever reads a side's bytes writes them on itself when nothing waits, for handing over to another
//! thread costs more than the write; else they queue and the forwarder writes them when their
//! records are durable. Bounded: when it is full, reading stops and the sender feels it, as it would
//! feel a full pipe. The two directions share nothing here, so neither can hold up the other.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::door::Covered;
use super::fd;
use crate::frame::Frame;
use crate::limits::{OUTBOX_BYTES, OUTBOX_FRAMES, OUTBOX_KEPT, REFUSAL_BYTES};
use crate::mode::Permit;

/// Something to write, or to decide about.
pub(super) enum Item<T> {
    Frame(Covered<T>),
    /// Bytes of our own.
    Reply(Vec<u8>),
}

/// What becomes of an item.
pub(super) enum Decided {
    Forward(Frame, Permit),
    /// Bytes of our own, by themselves or in the place of a frame.
    Own(Vec<u8>),
    Nothing,
}

/// The other side takes nothing any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

pub(super) struct Outbox<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    queue: VecDeque<Item<T>>,
    bytes: usize,
    reply_bytes: usize,
    sink: Sink,
    /// Since when the forwarder decides about an item that it has taken: what comes after must wait.
    deciding: Option<Instant>,
    closed: bool,
    /// Threads that wait for a change: waking nobody is a system call too.
    waiting: usize,
}

/// Who may write. Ownership of the descriptor is the right to, so two threads cannot interleave.
enum Sink {
    Idle(OwnedFd),
    Writing,
    Gone,
}

/// Passes a frame on, byte for byte. There is no other way, and none without a permit.
fn forward(sink: &OwnedFd, frame: &Frame, permit: Permit) -> std::io::Result<()> {
    drop(permit);
    fd::write_all(sink, &frame.bytes)
}

impl<T> Outbox<T> {
    pub(super) fn new(sink: OwnedFd) -> Self {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            reply_bytes: 0,
            sink: Sink::Idle(sink),
            deciding: None,
            closed: false,
            waiting: 0,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Takes the next frame of a direction: writes it at once when nothing is before it and
    /// `permit` need not be waited for, else queues it, waiting for room.
    pub(super) fn send(&self, covered: Covered<T>, permit: Option<Permit>) -> Result<(), Gone> {
        let mut state = self.lock();
        if let Some(permit) = permit
            && state.queue.is_empty()
            && state.deciding.is_none()
            && let Some(sink) = state.take_sink()
        {
            drop(state);
            let written = forward(&sink, &covered.frame, permit);
            return self.put_back(sink, written.is_ok());
        }
        let length = covered.frame.bytes.len();
        loop {
            if state.is_gone() {
                return Err(Gone);
            }
            let room = state.bytes.saturating_add(length) <= OUTBOX_BYTES
                && state.queue.len() < OUTBOX_FRAMES;
            if room || state.queue.is_empty() {
                state.bytes += length;
                state.queue.push_back(Item::Frame(covered));
                self.tell(state);
                return Ok(());
            }
            state = self.wait(state, None);
        }
    }

    /// Queues bytes of our own without waiting for room; `false` when nobody will read them.
    pub(super) fn reply(&self, bytes: Vec<u8>) -> bool {
        let mut state = self.lock();
        if state.is_gone() || state.reply_bytes.saturating_add(bytes.len()) > REFUSAL_BYTES {
            return false;
        }
        state.reply_bytes += bytes.len();
        state.queue.push_back(Item::Reply(bytes));
        self.tell(state);
        true
    }

    /// Nothing will follow: when everything is written, the descriptor is closed.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.tell(state);
    }

    /// Writes what is queued, in order, until [`Outbox::close`] or until the other side is gone.
    /// `decide` may take long; meanwhile the descriptor is nobody's, so that it can be looked at.
    pub(super) fn forward_all(&self, mut decide: impl FnMut(Item<T>) -> Decided) {
        while let Some(item) = self.next() {
            let decided = decide(item);
            let Some(sink) = self.sink_for_decided() else {
                return;
            };
            let written = match decided {
                Decided::Forward(frame, permit) => forward(&sink, &frame, permit),
                Decided::Own(bytes) => fd::write_all(&sink, &bytes),
                Decided::Nothing => Ok(()),
            };
            if self.put_back(sink, written.is_ok()) == Err(Gone) {
                return;
            }
        }
    }

    /// The next item to decide about; `None` when there will be none, and the descriptor is closed.
    fn next(&self) -> Option<Item<T>> {
        let mut state = self.lock();
        loop {
            if state.is_gone() {
                return None;
            }
            if let Some(item) = state.pop() {
                state.deciding = Some(Instant::now());
                // There is room again, for a reader that waits for it.
                self.tell(state);
                return Some(item);
            }
            if state.closed && state.take_sink().is_some() {
                state.sink = Sink::Gone;
                self.tell(state);
                return None;
            }
            state = self.wait(state, None);
        }
    }

    fn sink_for_decided(&self) -> Option<OwnedFd> {
        let mut state = self.lock();
        loop {
            if state.is_gone() {
                return None;
            }
            if let Some(sink) = state.take_sink() {
                state.deciding = None;
                return Some(sink);
            }
            state = self.wait(state, None);
        }
    }

    /// Whether the forwarder has waited longer than `patience` for the records of one frame.
    pub(super) fn is_stuck(&self, patience: Duration) -> bool {
        let since = self.lock().deciding;
        since.is_some_and(|since| since.elapsed() >= patience)
    }

    /// Waits until everything is written and the descriptor closed, or `patience` is over.
    pub(super) fn wait_gone(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        while !state.is_gone() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.wait(state, Some(left));
        }
        true
    }

    /// Whether the other side has closed its end, as far as can be seen without writing.
    pub(super) fn is_hung_up(&self) -> bool {
        match &self.lock().sink {
            Sink::Idle(sink) => fd::hung_up(sink),
            Sink::Writing => false,
            Sink::Gone => true,
        }
    }

    fn put_back(&self, sink: OwnedFd, usable: bool) -> Result<(), Gone> {
        let mut state = self.lock();
        if usable {
            state.sink = Sink::Idle(sink);
        } else {
            state.sink = Sink::Gone;
            state.queue.clear();
            state.bytes = 0;
        }
        // The common case is that nobody waits for the descriptor: an idle forwarder is left asleep.
        let quiet = usable && state.queue.is_empty() && state.deciding.is_none() && !state.closed;
        if quiet {
            drop(state);
        } else {
            self.tell(state);
        }
        if usable { Ok(()) } else { Err(Gone) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for what has been changed.
    fn tell(&self, state: MutexGuard<'_, State<T>>) {
        let waiting = state.waiting > 0;
        drop(state);
        if waiting {
            self.changed.notify_all();
        }
    }

    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State<T>>,
        left: Option<Duration>,
    ) -> MutexGuard<'a, State<T>> {
        state.waiting += 1;
        let mut state = match left {
            None => self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                self.changed
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        state.waiting -= 1;
        state
    }
}

impl<T> State<T> {
    const fn is_gone(&self) -> bool {
        matches!(self.sink, Sink::Gone)
    }

    fn take_sink(&mut self) -> Option<OwnedFd> {
        match std::mem::replace(&mut self.sink, Sink::Writing) {
            Sink::Idle(sink) => Some(sink),
            Sink::Writing => None,
            Sink::Gone => {
                self.sink = Sink::Gone;
                None
            }
        }
    }

    fn pop(&mut self) -> Option<Item<T>> {
        let item = self.queue.pop_front();
        match &item {
            Some(Item::Frame(covered)) => self.bytes -= covered.frame.bytes.len(),
            Some(Item::Reply(bytes)) => self.reply_bytes -= bytes.len(),
            None => {}
        }
        if self.queue.is_empty() && self.queue.capacity() > OUTBOX_KEPT {
            self.queue.shrink_to(OUTBOX_KEPT);
        }
        item
    }
}
