//! What the recorder itself records: openings, closings, heartbeats, interruptions, trouble.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tacho_event::{
    CallId, Context, Detail, Event, EventId, EventType, Outcome, ParsedRecord, Severity, Stage,
    Timestamp, Unredacted,
};

use super::{Left, ServeError, Server};
use crate::dir::DataDir;
use crate::limits::IN_FLIGHT_RECORDS;
use crate::log::{CommitError, Recovered};
use crate::open_calls::OpenCall;
use crate::reader::Reader;

/// How long a source may take to submit again after it came back.
const RECENT_FOR: Duration = Duration::from_secs(60);

/// `interrupted` records written in one batch.
const INTERRUPTED_BATCH: usize = 1_000;

impl Server {
    pub(super) fn record_opened(&mut self, recovered: &Recovered) -> Result<(), ServeError> {
        let mut details = vec![
            ("version", Detail::Text(Unredacted::from(self.options.version))),
            ("pid", Detail::Int(i64::from(std::process::id()))),
        ];
        if let Some(torn) = &recovered.torn {
            let bytes = i64::try_from(torn.bytes).unwrap_or(i64::MAX);
            details.push(("torn_bytes", Detail::Int(bytes)));
        }
        self.record_own(EventType::LogOpened, details)
    }

    pub(super) fn record_closed(&mut self, left: Left) -> Result<(), ServeError> {
        let reason = match left {
            Left::Stopped => "stopped",
            Left::Idle => "idle",
        };
        self.record_own(EventType::LogClosed, vec![("reason", Detail::Word(reason))])
    }

    /// Writes down that somebody touched the log.
    pub(super) fn record_tampering(&mut self, error: &CommitError) -> Result<(), ServeError> {
        let reason = Detail::Text(Unredacted::new(error.to_string()));
        self.record_own(EventType::TamperSuspected, vec![("reason", reason)])
    }

    /// Records one event of our own and makes it durable. When the disk does not take it now it is
    /// left out: nothing was done that would need it, and sources are told about theirs.
    pub(super) fn record_own(
        &mut self,
        kind: EventType,
        details: Vec<(&'static str, Detail)>,
    ) -> Result<(), ServeError> {
        let now = self.options.clock.now();
        let mut event = Event::new(self.ids.event(now), now, kind, Arc::new(Context::none()));
        if kind == EventType::TamperSuspected {
            event.severity = Severity::Critical;
        }
        event.details = details;
        self.append_own(event, now);
        self.commit_own()
    }

    fn append_own(&mut self, event: Event, now: Timestamp) -> bool {
        let record = self.redactor.redact(event).encode();
        match self.log.append(record.body(), now) {
            Ok(seq) => {
                self.calls.observe(record.id(), record.stage(), seq, None);
                true
            }
            Err(_full) => false,
        }
    }

    fn commit_own(&mut self) -> Result<(), ServeError> {
        match self.log.commit() {
            Err(error @ CommitError::Fatal { .. }) => Err(ServeError::Commit(error)),
            committed => {
                self.note_commit(committed);
                self.trouble = None;
                Ok(())
            }
        }
    }

    /// An `interrupted` outcome for each of `open`, whose source is gone.
    pub(super) fn record_interrupted(&mut self, open: &[(EventId, OpenCall)]) -> Result<(), ServeError> {
        for part in open.chunks(INTERRUPTED_BATCH) {
            let mut intents = self.read_intents(part);
            for (id, call) in part {
                let intent = intents.iter().position(|(seq, _)| *seq == call.seq);
                let intent = intent.map(|at| intents.swap_remove(at).1);
                let now = self.options.clock.now();
                let event = interrupted(self.ids.event(now), now, *id, call, intent);
                self.append_own(event, now);
            }
            self.commit_own()?;
        }
        Ok(())
    }

    /// Reads intents back for what an `interrupted` record repeats; one that cannot be read is left
    /// out, and its record says less.
    fn read_intents(&self, open: &[(EventId, OpenCall)]) -> Vec<(u64, ParsedRecord)> {
        let (Some((_, first)), Some((_, last))) = (open.first(), open.last()) else {
            return Vec::new();
        };
        let records = Reader::new(self.dir.log()).records_from(first.seq);
        let wanted: HashSet<u64> = open.iter().map(|(_, call)| call.seq).collect();
        records
            .map_while(Result::ok)
            .take_while(|(seq, _)| *seq <= last.seq)
            .filter(|(seq, _)| wanted.contains(seq))
            .filter_map(|(seq, record)| Some((seq, ParsedRecord::parse(&record).ok()?)))
            .collect()
    }

    pub(super) fn status(&self) -> Vec<u8> {
        let sources = self.connections.iter().filter(|one| one.run().is_some()).count();
        serde_json::json!({
            "pid": std::process::id(),
            "version": self.options.version,
            "origin": self.log.origin(),
            "records": self.log.committed(),
            "sealed": self.log.sealed(),
            "sources": sources,
            "open_calls": self.calls.len(),
            "uptime_seconds": self.started.elapsed().as_secs(),
        })
        .to_string()
        .into_bytes()
    }
}

fn interrupted(
    id: EventId,
    now: Timestamp,
    intent_id: EventId,
    call: &OpenCall,
    intent: Option<ParsedRecord>,
) -> Event {
    let context = Context { session: call.run, ..Context::none() };
    let mut event = Event::new(id, now, EventType::Interrupted, Arc::new(context));
    event.stage = Stage::Outcome(intent_id);
    event.severity = Severity::Warning;
    event.outcome = Some(Outcome::Interrupted);
    if let Some(intent) = intent {
        event.call = intent.call.as_deref().and_then(CallId::parse);
        event.method = intent.method.map(Unredacted::new);
        event.tool = intent.tool.map(Unredacted::new);
        event.details.push(("type", Detail::Text(Unredacted::new(intent.kind))));
    }
    event
}

/// The ids of the newest records, for sources that submit again what was not acknowledged.
pub(super) struct Recent {
    ids: HashSet<EventId>,
    since: Instant,
}

impl Recent {
    /// Reads them back from the log; `None` when it cannot be read, and then a record may be in the
    /// log twice, which is better than not at all.
    pub(super) fn read(dir: &DataDir) -> Option<Self> {
        let newest = u64::try_from(IN_FLIGHT_RECORDS).unwrap_or(u64::MAX);
        let records = Reader::new(dir.log()).last(newest).ok()?;
        let ids = records.map_while(Result::ok).filter_map(|(_, record)| id_of(&record));
        Some(Self { ids: ids.collect(), since: Instant::now() })
    }

    pub(super) fn contains(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn add(&mut self, id: EventId) {
        self.ids.insert(id);
    }

    pub(super) fn old_at(&self) -> Instant {
        self.since + RECENT_FOR
    }

    pub(super) fn is_old(&self, now: Instant) -> bool {
        self.old_at() <= now
    }
}

/// The id stands within the first bytes of a record of ours.
fn id_of(record: &[u8]) -> Option<EventId> {
    let head = record.get(..record.len().min(96))?;
    let at = memchr::memmem::find(head, b"\"id\":\"")? + 6;
    EventId::parse(std::str::from_utf8(record.get(at..at + 36)?).ok()?)
}
