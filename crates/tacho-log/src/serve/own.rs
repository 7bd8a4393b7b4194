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
use crate::disk::{RealDisk, read_limited, replace};
use crate::limits::{CONFIG_DIGEST_BYTES, IN_FLIGHT_RECORDS, READ_BACK_INTENTS, RETRY_INTERVAL};
use crate::log::{AppendError, CommitError, Recovered};
use crate::open_calls::OpenCall;
use crate::reader::Reader;

/// How long a source may take to submit again after it came back.
const RECENT_FOR: Duration = Duration::from_secs(60);

/// `interrupted` records written in one batch.
const INTERRUPTED_BATCH: usize = 1_000;

impl Server {
    pub(super) fn record_opened(&mut self, recovered: &Recovered) -> Result<(), ServeError> {
        let mut details = vec![
            (
                "version",
                Detail::Text(Unredacted::from(self.options.version)),
            ),
            ("pid", Detail::Int(i64::from(std::process::id()))),
        ];
        if let Some(torn) = &recovered.torn {
            let bytes = i64::try_from(torn.bytes).unwrap_or(i64::MAX);
            details.push(("torn_bytes", Detail::Int(bytes)));
        }
        let config = Unredacted::from(self.options.config.as_str());
        details.push(("config", Detail::Text(config)));
        self.record_own(EventType::LogOpened, details)
    }

    /// Writes down that the configuration is another than at the last opening. A crash between the record
    /// and the file makes the next opening say it again, which is better than never.
    pub(super) fn record_config(&mut self, is_new: bool) -> Result<(), ServeError> {
        let path = self.dir.config_recorded();
        let recorded = read_limited(&RealDisk, &path, CONFIG_DIGEST_BYTES).ok();
        let recorded = recorded.and_then(|bytes| String::from_utf8(bytes).ok());
        let was = recorded.as_deref().map_or("none", str::trim_end);
        let now = self.options.config.clone();
        if recorded.is_some() && was == now {
            return Ok(());
        }
        if was != now && !is_new {
            let text = |text: &str| Detail::Text(Unredacted::from(text));
            let details = vec![("was", text(was)), ("now", text(&now))];
            if !self.record_own_as(EventType::ConfigChanged, Severity::Warning, details)? {
                return Ok(());
            }
        }
        // Derived: when it cannot be written, the next opening says it again.
        drop(replace(&RealDisk, &path, format!("{now}\n").as_bytes()));
        Ok(())
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
        self.tampered = self.tampered.saturating_add(1);
        let details = vec![("reason", reason)];
        self.record_own_as(EventType::TamperSuspected, Severity::Critical, details)
            .map(drop)
    }

    /// Records one event of our own and makes it durable. When the disk does not take it now it is
    /// left out: nothing was done that would need it, and sources are told about theirs.
    pub(super) fn record_own(
        &mut self,
        kind: EventType,
        details: Vec<(&'static str, Detail)>,
    ) -> Result<(), ServeError> {
        self.record_own_as(kind, Severity::Info, details).map(drop)
    }

    /// The same; `false` when the disk did not take it.
    pub(super) fn record_own_as(
        &mut self,
        kind: EventType,
        severity: Severity,
        details: Vec<(&'static str, Detail)>,
    ) -> Result<bool, ServeError> {
        let now = self.options.clock.now();
        let mut event = Event::new(self.ids.event(now), now, kind, Arc::new(Context::none()));
        event.severity = severity;
        event.details = details;
        self.commit_own(vec![event])
    }

    /// Appends and commits events of our own; `false` when the disk did not take them.
    pub(super) fn commit_own(&mut self, events: Vec<Event>) -> Result<bool, ServeError> {
        // What sources submitted must not share its fate with ours.
        self.commit();
        self.acknowledge_without_recording()?;
        let now = self.options.clock.now();
        let mut appended = Vec::new();
        for event in events {
            let record = self.redactor.redact(event).encode();
            let mut seq = self.log.append(record.body(), now);
            if let Err(AppendError::CommitFirst) = seq {
                if !self.finish_own(&mut appended)? {
                    return Ok(false);
                }
                seq = self.log.append(record.body(), now);
            }
            match seq {
                Ok(seq) => appended.push((record.id(), record.stage(), seq)),
                Err(_full) => return Ok(false),
            }
        }
        self.finish_own(&mut appended)
    }

    fn finish_own(
        &mut self,
        appended: &mut Vec<(EventId, Stage, u64)>,
    ) -> Result<bool, ServeError> {
        match self.log.commit() {
            Ok(()) => {
                for (id, stage, seq) in appended.drain(..) {
                    self.calls.observe(id, stage, seq, None);
                }
                self.note_commit(Ok(()));
                Ok(true)
            }
            Err(error @ CommitError::Fatal { .. }) => Err(ServeError::Commit(error)),
            Err(error @ CommitError::Replaced { .. }) => {
                // Said at the next turn of the loop: it must not be lost because we met it first.
                self.trouble = Some(error);
                Ok(false)
            }
            Err(CommitError::Write { .. }) => Ok(false),
        }
    }

    /// An `interrupted` outcome for each of `open`, whose source is gone. Those that the disk does not
    /// take stay open, and are tried again.
    pub(super) fn record_interrupted(
        &mut self,
        open: &[(EventId, OpenCall)],
    ) -> Result<(), ServeError> {
        for part in open.chunks(INTERRUPTED_BATCH) {
            let mut intents = self.read_intents(part);
            let mut events = Vec::with_capacity(part.len());
            for (id, call) in part {
                let intent = intents.iter().position(|(seq, _)| *seq == call.seq);
                let intent = intent.map(|at| intents.swap_remove(at).1);
                let now = self.options.clock.now();
                events.push(interrupted(self.ids.event(now), now, *id, call, intent));
            }
            if !self.commit_own(events)? {
                self.orphans_until = Some(Instant::now() + RETRY_INTERVAL);
                break;
            }
        }
        Ok(())
    }

    /// Reads intents back for what an `interrupted` record repeats. Not all of very many: the others
    /// wait meanwhile. One that cannot be read is left out, and its record says less.
    fn read_intents(&self, open: &[(EventId, OpenCall)]) -> Vec<(u64, ParsedRecord)> {
        let reader = Reader::new(self.dir.log());
        let read = |seq: u64| {
            // The first one at or after `seq`, which is another where retention removed the intent.
            let (found, record) = reader.records_from(seq).next()?.ok()?;
            (found == seq).then_some(())?;
            Some((seq, ParsedRecord::parse(&record).ok()?))
        };
        let newest = open.iter().rev().take(READ_BACK_INTENTS);
        newest.filter_map(|(_, call)| read(call.seq)).collect()
    }

    /// Sources came back that will submit again what was not acknowledged.
    pub(super) fn expect_resubmissions(&mut self) {
        match &mut self.recent {
            Some(recent) => recent.renew(),
            None => {
                // What is in the batch must be among the ids read back.
                self.commit();
                self.recent = Recent::read(&self.dir);
            }
        }
    }

    pub(super) fn status(&self) -> Vec<u8> {
        let sources = self
            .connections
            .iter()
            .filter(|one| one.run().is_some())
            .count();
        serde_json::json!({
            "pid": std::process::id(),
            "version": self.options.version,
            "origin": self.log.origin(),
            "records": self.log.committed(),
            "sealed": self.log.sealed(),
            "sources": sources,
            "open_calls": self.calls.len(),
            "free_bytes": self.space.free(),
            "space": self.space.word(),
            "tamper_suspected": self.tampered,
            "retention": self.retaining.status(),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "witnesses": self.outside.is_configured(),
            "loss_window_seconds": self.loss_window_seconds(),
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
    let context = Context {
        session: call.run,
        ..Context::none()
    };
    let mut event = Event::new(id, now, EventType::Interrupted, Arc::new(context));
    event.stage = Stage::Outcome(intent_id);
    event.severity = Severity::Warning;
    event.outcome = Some(Outcome::Interrupted);
    if let Some(intent) = intent {
        event.call = intent.call.as_deref().and_then(CallId::parse);
        event.method = intent.method.map(Unredacted::new);
        event.tool = intent.tool.map(Unredacted::new);
        event
            .details
            .push(("type", Detail::Text(Unredacted::new(intent.kind))));
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
        let ids = records
            // What is encrypted is older than what a source submits again.
            .filter_map(|record| id_of(&record.ok()?.1));
        Some(Self {
            ids: ids.collect(),
            since: Instant::now(),
        })
    }

    pub(super) fn contains(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn remove(&mut self, id: EventId) {
        self.ids.remove(&id);
    }

    pub(super) fn renew(&mut self) {
        self.since = Instant::now();
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
