//! The one door into the log, in the process that saw the event.

use std::time::{Duration, Instant};

use tacho_event::Event;
use thiserror::Error;

/// Hands events to the one writer of the log. Cheap to clone; all clones share one connection.
#[derive(Clone, Debug)]
pub struct Recorder {}

impl Recorder {
    /// Queues `event`: it will be redacted, encoded and submitted, in the order of these calls. Returns
    /// at once unless the queue is full; then as long as `patience` allows.
    pub fn record(&self, event: Event, patience: Patience) -> Ticket {
        drop((event, patience));
        Ticket {}
    }
}

/// What to do when the queue to the writer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Wait for room: mode `strict`.
    Wait,
    /// Wait this long, then lose the event and count it: mode `blocking`.
    UpTo(Duration),
    /// Lose the event and count it: mode `best_effort`.
    Never,
}

/// A claim on a [`Receipt`].
#[must_use = "a call may be forwarded only with the receipt, or with a waiver in its place"]
#[derive(Debug)]
pub struct Ticket {}

impl Ticket {
    /// Whether [`Ticket::wait`] would return at once.
    pub fn is_settled(&self) -> bool {
        true
    }

    /// Waits until the record is durable, or cannot be any more, or `deadline` has passed.
    pub fn wait(self, deadline: Option<Instant>) -> Result<Receipt, RecordError> {
        drop(deadline);
        Ok(Receipt(()))
    }
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
