use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Instant;

use thiserror::Error;

use super::{Shared, lock, remaining, wait};

/// A claim on a [`Receipt`].
#[must_use = "a call may be forwarded only with the receipt, or with a waiver in its place"]
pub struct Ticket {
    state: Arc<TicketState>,
    shared: Arc<Shared>,
}

/// Proof that a record is durable: `fdatasync` has returned. Made here and nowhere else; whoever
/// forwards a call takes one.
#[must_use = "a receipt is what lets a call be forwarded"]
#[derive(Debug)]
pub struct Receipt(());

/// Why there is no receipt.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// The writer is there and refused the record; it is not in the log.
    #[error("the recorder refused the record: {0}")]
    Refused(String),
    /// No writer could be reached or started.
    #[error("no recorder: {0}")]
    Unavailable(String),
    /// The deadline passed; the record may still become durable.
    #[error("the recorder did not answer in time")]
    Deadline,
    /// The event was lost, and counted, as the mode allows.
    #[error("the event was lost: the queue to the recorder is full")]
    Lost,
}

impl Ticket {
    pub(super) const fn new(state: Arc<TicketState>, shared: Arc<Shared>) -> Self {
        Self { state, shared }
    }

    /// Whether [`Ticket::wait`] would return at once.
    pub fn is_settled(&self) -> bool {
        self.state.result.get().is_some()
    }

    /// Waits until the record is durable, or cannot be any more, or `deadline` has passed.
    pub fn wait(self, deadline: Option<Instant>) -> Result<Receipt, RecordError> {
        if !self.is_settled() {
            let settlement = &self.shared.settlement;
            self.state.awaited.store(true, Ordering::SeqCst);
            // Pairs with the fence in `settle_quietly`: either we see the result or they see us wait.
            fence(Ordering::SeqCst);
            let mut turn = lock(&settlement.turn);
            while !self.is_settled() {
                let left = remaining(deadline).ok_or(RecordError::Deadline)?;
                turn = wait(&settlement.settled, turn, left);
            }
        }
        match self.state.result.get() {
            Some(Ok(())) => Ok(Receipt(())),
            Some(Err(error)) => Err(error.clone()),
            None => Err(RecordError::Deadline),
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?})", self.state.result.get())
    }
}

/// What a ticket and the link share.
#[derive(Default)]
pub(crate) struct TicketState {
    result: OnceLock<Result<(), RecordError>>,
    /// Someone waits: only then is it worth waking them.
    awaited: AtomicBool,
}

/// Wakes those who wait for tickets.
#[derive(Default)]
pub(crate) struct Settlement {
    turn: Mutex<()>,
    settled: Condvar,
}

impl Settlement {
    /// What became of a submission, if that is known.
    pub(super) fn result(ticket: &TicketState) -> Option<Result<(), RecordError>> {
        ticket.result.get().cloned()
    }

    /// Settles one ticket and wakes whoever waits for it.
    pub(super) fn settle(&self, ticket: &TicketState, result: Result<(), RecordError>) {
        if self.settle_quietly(ticket, result) {
            self.wake();
        }
    }

    /// Settles one ticket; returns whether [`Settlement::wake`] must follow. The first result stands.
    pub(super) fn settle_quietly(
        &self,
        ticket: &TicketState,
        result: Result<(), RecordError>,
    ) -> bool {
        let first = ticket.result.set(result).is_ok();
        fence(Ordering::SeqCst);
        first && ticket.awaited.load(Ordering::SeqCst)
    }

    /// Wakes everybody who waits. Taking the lock first means that nobody is between looking at the
    /// ticket and going to sleep.
    pub(super) fn wake(&self) {
        drop(lock(&self.turn));
        self.settled.notify_all();
    }
}
