//! How much room the log's disk has left, and what becomes of records when it is little. The words are
//! those of auditd: say so, refuse, or go on and count.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tacho_event::{Detail, EventId, EventType, Severity, Stage, Timestamp, Unredacted};

use super::{Pending, ServeError, Server};
use crate::limits::{LOST_INTENTS, SPACE_CHECK_BYTES, SPACE_CHECK_INTERVAL};

/// The room on a file system, for a user like us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that can still be written.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Finds out how much room there is where a path leads.
pub type RoomProbe = Arc<dyn Fn(&Path) -> io::Result<Room> + Send + Sync>;

/// The room on the file system that `path` is on: statvfs(3).
///
/// # Errors
///
/// What the system said.
pub fn room(path: &Path) -> io::Result<Room> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Room {
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

/// How little is too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// So many bytes.
    Bytes(u64),
    /// This part of the file system.
    Percent(u8),
    /// So many bytes, but on a small file system no more than this part of it.
    AtMost {
        /// In bytes.
        bytes: u64,
        /// Of the file system.
        percent: u8,
    },
}

impl Threshold {
    /// The threshold on a file system of `total` bytes.
    pub fn bytes(self, total: u64) -> u64 {
        let part = |percent: u8| total / 100 * u64::from(percent);
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => part(percent),
            Self::AtMost { bytes, percent } => bytes.min(part(percent)),
        }
    }
}

/// What to do when there is less room than [`SpaceOptions::refuse`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenLow {
    /// Only say so.
    Warn,
    /// Refuse new calls; what is left is kept for the outcomes of those that are under way, and for our own
    /// records.
    #[default]
    Refuse,
    /// Record no new calls, let them go on, and count them.
    Count,
}

impl WhenLow {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Refuse => "refuse",
            Self::Count => "count",
        }
    }
}

/// When to say something about the room that is left, and when to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceOptions {
    /// Less than this is said.
    pub warn: Threshold,
    /// Less than this has consequences.
    pub refuse: Threshold,
    /// Which.
    pub when_low: WhenLow,
}

impl Default for SpaceOptions {
    fn default() -> Self {
        Self {
            warn: Threshold::AtMost {
                bytes: 2 << 30,
                percent: 10,
            },
            refuse: Threshold::AtMost {
                bytes: 256 << 20,
                percent: 5,
            },
            when_low: WhenLow::default(),
        }
    }
}

/// Which of the two thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Warn,
    Low,
}

/// A threshold was passed, downwards or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crossing {
    which: Which,
    free: u64,
    threshold: u64,
    recovered: bool,
}

/// Knows how much room there was when it looked last.
pub(super) struct Watch {
    options: SpaceOptions,
    probe: RoomProbe,
    looked: Option<Instant>,
    /// Bytes taken since then.
    taken: u64,
    room: Option<Room>,
    warned: bool,
    low: bool,
}

impl Watch {
    pub(super) const fn new(options: SpaceOptions, probe: RoomProbe) -> Self {
        Self {
            options,
            probe,
            looked: None,
            taken: 0,
            room: None,
            warned: false,
            low: false,
        }
    }

    /// Looks again when that is due: a second has passed, or much was written.
    pub(super) fn look(&mut self, now: Instant, log: &Path) -> Vec<Crossing> {
        let rested = self
            .looked
            .is_some_and(|at| now < at + SPACE_CHECK_INTERVAL);
        if rested && self.taken < SPACE_CHECK_BYTES {
            return Vec::new();
        }
        self.looked = Some(now);
        self.taken = 0;
        // What cannot be found out is as it was.
        (self.probe)(log).map_or_else(|_unknown| Vec::new(), |room| self.observe(room))
    }

    /// Compares what is left with the thresholds. It comes back an eighth above the one it fell below, lest
    /// it be said again and again around it.
    fn observe(&mut self, room: Room) -> Vec<Crossing> {
        self.room = Some(room);
        let free = room.free;
        let mut crossings = Vec::new();
        for (which, threshold, is_below) in [
            (Which::Warn, self.options.warn, &mut self.warned),
            (Which::Low, self.options.refuse, &mut self.low),
        ] {
            let threshold = threshold.bytes(room.total);
            let enough = threshold.saturating_add(threshold / 8);
            let crossed = if *is_below {
                free >= enough
            } else {
                free < threshold
            };
            if crossed {
                *is_below = !*is_below;
                crossings.push(Crossing {
                    which,
                    free,
                    threshold,
                    recovered: !*is_below,
                });
            }
        }
        crossings
    }

    /// The record of a crossing was not taken: it is said when there is room for it.
    const fn unsay(&mut self, crossing: &Crossing) {
        match crossing.which {
            Which::Warn => self.warned = crossing.recovered,
            Which::Low => self.low = crossing.recovered,
        }
    }

    pub(super) const fn took(&mut self, bytes: u64) {
        self.taken = self.taken.saturating_add(bytes);
    }

    pub(super) const fn word(&self) -> &'static str {
        match (self.low, self.warned) {
            (true, _) => "low",
            (false, true) => "warn",
            (false, false) => "ok",
        }
    }

    pub(super) fn free(&self) -> Option<u64> {
        self.room.map(|room| room.free)
    }

    /// Whoever has to do without room wants to know when there is some again.
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.looked
            .filter(|_| self.low)
            .map(|at| at + SPACE_CHECK_INTERVAL)
    }

    /// What to do with new calls now.
    fn consequence(&self) -> Option<WhenLow> {
        let consequence = (self.options.when_low != WhenLow::Warn).then_some(self.options.when_low);
        consequence.filter(|_| self.low)
    }
}

/// Why a call is refused, for people on the other side of the socket.
impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Room { free, total } = self.room.unwrap_or(Room { free: 0, total: 0 });
        let threshold = self.options.refuse.bytes(total);
        write!(
            f,
            "No space left for new records: {free} bytes are free on the log's disk, less than {threshold} \
             ([space] in config.toml)"
        )
    }
}

/// What becomes of a submission while there is little room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Taken,
    Refused,
    Counted,
}

/// Submissions that were counted instead of recorded.
#[derive(Default)]
pub(super) struct Losses {
    count: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// When a record must say so at the latest.
    due: Option<Instant>,
    /// Intents among them: their outcomes would name what nobody finds.
    intents: HashSet<EventId>,
}

impl Losses {
    fn add(&mut self, timestamp: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.first = Some(self.first.map_or(timestamp, |first| first.min(timestamp)));
        self.last = self.last.max(Some(timestamp));
    }

    fn details(&self) -> Vec<(&'static str, Detail)> {
        let count = i64::try_from(self.count).unwrap_or(i64::MAX);
        let mut details = vec![("lost", Detail::Int(count))];
        for (name, time) in [("first", self.first), ("last", self.last)] {
            details
                .extend(time.map(|time| (name, Detail::Text(Unredacted::new(time.to_string())))));
        }
        details.push(("reason", Detail::Word("no space left")));
        details
    }

    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Server {
    /// Looks how much room is left, and says when a threshold was passed.
    pub(super) fn look_at_space(&mut self) -> Result<(), ServeError> {
        let root = self.dir.log().root().to_owned();
        for crossing in self.space.look(Instant::now(), &root) {
            let int = |bytes: u64| Detail::Int(i64::try_from(bytes).unwrap_or(i64::MAX));
            let action = match crossing.which {
                Which::Warn => WhenLow::Warn,
                Which::Low => self.options.space.when_low,
            };
            let mut details = vec![
                ("free_bytes", int(crossing.free)),
                ("threshold_bytes", int(crossing.threshold)),
                ("action", Detail::Word(action.as_str())),
            ];
            if crossing.recovered {
                details.push(("recovered", Detail::Bool(true)));
            }
            let severity = match (crossing.recovered, crossing.which) {
                (true, _) => Severity::Info,
                (false, Which::Warn) => Severity::Warning,
                (false, Which::Low) => Severity::Critical,
            };
            if !self.record_own_as(EventType::SpaceLow, severity, details)? {
                self.space.unsay(&crossing);
            }
        }
        self.record_losses()
    }

    /// Says what was counted instead of recorded: when there is room again, and now and then before, so that
    /// a crash forgets little of it.
    fn record_losses(&mut self) -> Result<(), ServeError> {
        let due = self.losses.due.is_some_and(|due| due <= Instant::now());
        if self.losses.count == 0 || (self.space.consequence().is_some() && !due) {
            return Ok(());
        }
        self.record_losses_now()
    }

    pub(super) fn record_losses_now(&mut self) -> Result<(), ServeError> {
        if self.losses.count == 0 {
            return Ok(());
        }
        let details = self.losses.details();
        self.losses.due = Some(Instant::now() + self.options.checkpoint_interval);
        if self.record_own_as(EventType::Gap, Severity::Critical, details)? {
            self.losses = Losses {
                intents: std::mem::take(&mut self.losses.intents),
                ..Losses::default()
            };
        }
        Ok(())
    }

    /// What becomes of a submission, and counts it where that is all.
    pub(super) fn fate(&mut self, pending: &Pending, body: &[u8]) -> Fate {
        let orphaned = match pending.stage {
            Stage::Outcome(intent) => self.losses.intents.remove(&intent),
            Stage::Intent | Stage::Single => false,
        };
        let consequence = match self.space.consequence() {
            _ if orphaned => WhenLow::Count,
            Some(consequence) if !self.must_be_taken(pending, body) => consequence,
            Some(_) | None => return Fate::Taken,
        };
        let is_gap = type_of(body) == Some(EventType::Gap.as_str());
        if consequence == WhenLow::Refuse || is_gap {
            // A gap record that is refused is counted again by the source, and comes when there is room.
            return Fate::Refused;
        }
        let now = self.options.clock.now();
        self.losses.add(timestamp_of(body).unwrap_or(now));
        self.losses
            .due
            .get_or_insert(Instant::now() + self.options.checkpoint_interval);
        if pending.stage == Stage::Intent && self.losses.intents.len() < LOST_INTENTS {
            self.losses.intents.insert(pending.id);
        }
        Fate::Counted
    }

    /// What the last of the room is kept for: the outcomes of calls that are in the log, and whatever is no
    /// message and so does not come in any number.
    fn must_be_taken(&self, pending: &Pending, body: &[u8]) -> bool {
        match pending.stage {
            Stage::Intent => false,
            Stage::Outcome(intent) => {
                self.calls.contains(intent) || self.batch.iter().any(|other| other.id == intent)
            }
            Stage::Single => {
                let messages = [
                    EventType::McpNotification,
                    EventType::McpResponse,
                    EventType::McpUnparsed,
                    EventType::Gap,
                ];
                !messages
                    .iter()
                    .any(|kind| type_of(body) == Some(kind.as_str()))
            }
        }
    }
}

/// The first members of a record of ours: `id`, `timestamp`, `type`.
const HEAD_BYTES: usize = 160;

fn member<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    let head = body.get(..body.len().min(HEAD_BYTES))?;
    let at = memchr::memmem::find(head, name.as_bytes())? + name.len();
    let rest = head.get(at..)?;
    std::str::from_utf8(rest.get(..memchr::memchr(b'"', rest)?)?).ok()
}

fn type_of(body: &[u8]) -> Option<&str> {
    member(body, "\"type\":\"")
}

fn timestamp_of(body: &[u8]) -> Option<Timestamp> {
    Timestamp::parse(member(body, "\"timestamp\":\"")?).ok()
}

#[cfg(test)]
mod tests;
