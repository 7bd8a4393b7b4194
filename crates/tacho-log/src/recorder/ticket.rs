use std::fmt;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Instant;

use thiserror::Error;

use super::remaining;

/// A claim on a [`Receipt`].
#[must_use = "a call may be forwarded only with the receipt, or with a waiver in its place"]
pub struct Ticket {
    state: Arc<TicketState>,
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
    /// The recorder counted it instead, as the operator chose for a disk with little room.
    #[error("the recorder counts what it has no room for")]
    Counted,
    /// A body that is to be kept outside the record could not be kept, so there is no record either.
    #[error("{0}")]
    Evidence(String),
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
    pub(super) const fn new(state: Arc<TicketState>) -> Self {
        Self { state }
    }

    /// Whether [`Ticket::wait`] would return at once.
    pub fn is_settled(&self) -> bool {
        self.state.result.get().is_some()
    }

    /// Whether the event was lost because the queue had no room for it in time.
    pub fn is_lost(&self) -> bool {
        matches!(self.state.result.get(), Some(Err(RecordError::Lost)))
    }

    /// Waits until the record is durable, or cannot be any more, or `deadline` has passed.
    pub fn wait(self, deadline: Option<Instant>) -> Result<Receipt, RecordError> {
        if !self.is_settled() {
            drop(self.state.waiter.set(std::thread::current()));
            // Pairs with the fence in `settle`: either we see the result or they see us wait.
            fence(Ordering::SeqCst);
            while !self.is_settled() {
                match remaining(deadline).ok_or(RecordError::Deadline)? {
                    Some(left) => std::thread::park_timeout(left),
                    None => std::thread::park(),
                }
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

/// What a ticket and those who settle it share.
#[derive(Default)]
pub(crate) struct TicketState {
    result: OnceLock<Result<(), RecordError>>,
    /// Who waits: only that thread is woken.
    waiter: OnceLock<Thread>,
}

impl TicketState {
    /// What became of the submission, if that is known.
    pub(super) fn result(&self) -> Option<Result<(), RecordError>> {
        self.result.get().cloned()
    }

    /// Says what became of the submission and wakes whoever waits for it. The first word stands.
    pub(super) fn settle(&self, result: Result<(), RecordError>) {
        if self.result.set(result).is_ok() {
            fence(Ordering::SeqCst);
            if let Some(waiter) = self.waiter.get() {
                waiter.unpark();
            }
        }
    }
}
