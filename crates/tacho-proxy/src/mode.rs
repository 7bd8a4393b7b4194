//! What happens when a record cannot be made durable: refuse, wait a while, or go on.

use std::time::Duration;

use tacho_log::Receipt;

/// How much a call depends on its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// No record, no call: nothing a client says reaches the server, and no answer the client, before
    /// the record that covers it is durable. What a server merely notifies is recorded in order
    /// and not waited for.
    #[default]
    Strict,
    /// Wait this long for the record, then go on; what was lost is counted and the count recorded.
    Blocking {
        /// From the moment the message was received.
        deadline: Duration,
    },
    /// Never wait. What is lost is counted and the count recorded.
    BestEffort,
}

impl Mode {
    pub(crate) const fn is_blocking(self) -> bool {
        matches!(self, Self::Blocking { .. })
    }
}

/// What lets a frame be forwarded: nothing is written to either side without one.
#[must_use]
#[derive(Debug)]
pub(crate) enum Permit {
    /// Its record is durable.
    Receipt(Receipt),
    /// Its record is not, or there is none, and it goes on all the same.
    Waiver(#[expect(dead_code, reason = "says in the code, and to a debugger, why")] Waiver),
}

/// Why a frame needs no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiver {
    /// A blank line, or the rest of an overlong one: there is no record of its own.
    NothingToRecord,
    /// The mode, or the kind of message, says not to wait.
    NotWaitedFor,
    /// The record failed or was too late, and the mode says to go on.
    Unrecorded,
}
