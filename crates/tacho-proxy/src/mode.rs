//! What happens when a record cannot be made durable: refuse, wait a while, or go on.

use std::time::Duration;

use tacho_log::Receipt;

use crate::limits::STRICT_DEADLINE;

/// How much a call depends on its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No record, no call: nothing a client says reaches the server, and no answer the client, before
    /// the record that covers it is durable. What a server merely notifies is recorded in order
    /// and not waited for.
    Strict {
        /// From the moment the message was received; a record that is not durable by then has failed.
        deadline: Duration,
    },
    /// Wait this long for the record, then go on; what was lost is counted and the count recorded.
    Blocking {
        /// From the moment the message was received.
        deadline: Duration,
    },
    /// Never wait. What is lost is counted and the count recorded.
    BestEffort,
}

impl Default for Mode {
    fn default() -> Self {
        Self::STRICT
    }
}

impl Mode {
    /// No record, no call, within the usual limit.
    pub const STRICT: Self = Self::Strict {
        deadline: STRICT_DEADLINE,
    };

    /// How long a record is waited for; `None`: not at all.
    pub(crate) const fn patience(self) -> Option<Duration> {
        match self {
            Self::Strict { deadline } | Self::Blocking { deadline } => Some(deadline),
            Self::BestEffort => None,
        }
    }

    /// The one of two that depends on the record the more; of two like ones the more patient one.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        let rank = |mode: Self| match mode {
            Self::BestEffort => (0, Duration::ZERO),
            Self::Blocking { deadline } => (1, deadline),
            Self::Strict { deadline } => (2, deadline),
        };
        if rank(self) >= rank(other) {
            self
        } else {
            other
        }
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
