//! Which records may go (`docs/format.md` §15). Deciding is pure; what it needs to know is surveyed by
//! [`crate::survey`], and carried out by the recorder.

mod protected;

use std::ops::Range;
use std::time::Duration;

use tacho_event::Timestamp;

pub use protected::{Hold, Protected, ProtectedError, read_holds, write_holds};

/// How long records are kept. Nothing in here removes a record that is held, not sealed, or not yet taken over
/// by a required reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Remove what is older than this; `None`: age is no reason.
    pub max_age: Option<Duration>,
    /// Remove the oldest while all segments together are larger than this, in bytes; `None`: size is no reason.
    pub max_bytes: Option<u64>,
    /// Keep what is younger than this, whatever its size.
    pub min_age: Duration,
}

impl Retention {
    /// Removes nothing, ever.
    pub const KEEP_ALL: Self = Self {
        max_age: None,
        max_bytes: None,
        min_age: Duration::ZERO,
    };

    /// Whether there is anything to be looked for.
    pub const fn keeps_all(&self) -> bool {
        self.max_age.is_none() && self.max_bytes.is_none()
    }
}

/// A closed segment, as far as deciding needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedSegment {
    /// Its first record.
    pub first: u64,
    /// The record after its last one.
    pub end: u64,
    /// Size of its file in bytes.
    pub bytes: u64,
    /// A time that its newest record is not before: spares reading a segment that is certainly too young.
    pub not_before: Timestamp,
}

/// What is to be removed, and why: the `details` of a `retention_pruned` record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruning {
    /// The first record that goes.
    pub from: u64,
    /// The first record that stays.
    pub to: u64,
    /// The time of the newest record that goes.
    pub newest: Timestamp,
    /// Why.
    pub reason: Reason,
    /// Size of the files that go.
    pub bytes: u64,
}

/// Why records are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// All of them are older than the limit.
    Age,
    /// Some of them are not, and the log is larger than the limit.
    Size,
}

impl Reason {
    /// The word in the record.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
        }
    }
}

/// Decides which of the closed segments, given oldest first, go now. `bytes` is the size of all segments,
/// the live one included; `sealed` is the size that the checkpoint covers; `newest` tells the time of the
/// newest record of a segment, and is asked only about those that may go.
///
/// # Errors
///
/// Whatever `newest` fails with: what cannot be read is not removed.
pub fn decide<E>(
    policy: &Retention,
    segments: &[ClosedSegment],
    bytes: u64,
    sealed: u64,
    protected: &Protected,
    now: Timestamp,
    newest: &mut dyn FnMut(usize) -> Result<Timestamp, E>,
) -> Result<Option<Pruning>, E> {
    let mut pruning: Option<Pruning> = None;
    let mut left = bytes;
    for (at, segment) in segments.iter().enumerate() {
        let range = segment.first..segment.end;
        if segment.end > sealed || !protected.allows(&range) {
            break;
        }
        let too_large = policy.max_bytes.is_some_and(|limit| left > limit);
        let due = |age: Duration| {
            let too_old = policy.max_age.is_some_and(|limit| age >= limit);
            let reason = if too_old { Reason::Age } else { Reason::Size };
            (age >= policy.min_age && (too_old || too_large)).then_some(reason)
        };
        // The age can only be less than this.
        if due(age(segment.not_before, now)).is_none() {
            break;
        }
        let newest = newest(at)?;
        let Some(reason) = due(age(newest, now)) else {
            break;
        };
        left = left.saturating_sub(segment.bytes);
        pruning = Some(match pruning {
            None => Pruning {
                from: range.start,
                to: range.end,
                newest,
                reason,
                bytes: segment.bytes,
            },
            Some(before) => before.and(&range, newest, reason, segment.bytes),
        });
    }
    Ok(pruning)
}

impl Pruning {
    fn and(self, range: &Range<u64>, newest: Timestamp, reason: Reason, bytes: u64) -> Self {
        Self {
            from: self.from,
            to: range.end,
            newest: self.newest.max(newest),
            reason: if reason == Reason::Size {
                reason
            } else {
                self.reason
            },
            bytes: self.bytes.saturating_add(bytes),
        }
    }

    /// The records that go.
    pub const fn range(&self) -> Range<u64> {
        self.from..self.to
    }
}

/// After a clock went back, records of the future are of no age at all.
fn age(newest: Timestamp, now: Timestamp) -> Duration {
    Duration::from_nanos(now.unix_nanos().saturating_sub(newest.unix_nanos()))
}

#[cfg(test)]
mod tests;
