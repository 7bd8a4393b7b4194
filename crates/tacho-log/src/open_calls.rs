//! Intents without an outcome, so that a crash leaves none of them in silence.
//!
//! The set is derived from the records; `log/open-calls` keeps it as of some log size so that opening
//! a log reads nothing that a checkpoint covers (`docs/format.md` §8).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tacho_event::{EventId, ParsedRecord, RunId, Stage};

use crate::limits::OPEN_CALLS;

/// One intent without an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenCall {
    /// Position of the intent's record.
    pub(crate) seq: u64,
    /// The connection it came over.
    pub(crate) run: Option<RunId>,
}

/// The intents without an outcome at one log size.
#[derive(Debug, Default)]
pub(crate) struct OpenCalls {
    calls: HashMap<EventId, OpenCall>,
}

impl OpenCalls {
    /// Takes in a record that is now in the log.
    pub(crate) fn observe(&mut self, id: EventId, stage: Stage, seq: u64, run: Option<RunId>) {
        match stage {
            Stage::Single => {}
            Stage::Intent if self.calls.len() >= OPEN_CALLS => {}
            Stage::Intent => {
                self.calls.insert(id, OpenCall { seq, run });
            }
            Stage::Outcome(intent) => {
                self.calls.remove(&intent);
            }
        }
    }

    /// Takes in a record read back from the log; one that cannot be read opens and ends nothing.
    pub(crate) fn observe_record(&mut self, seq: u64, record: &[u8]) {
        let Ok(record) = ParsedRecord::parse(record) else {
            return;
        };
        let run = record.session.as_deref().and_then(RunId::parse);
        let stage = match (record.stage.as_deref(), &record.intent) {
            (Some("intent"), _) => Stage::Intent,
            (Some("outcome"), Some(intent)) => match EventId::parse(intent) {
                Some(intent) => Stage::Outcome(intent),
                None => return,
            },
            _ => return,
        };
        if let Some(id) = EventId::parse(&record.id) {
            self.observe(id, stage, seq, run);
        }
    }

    /// Whether an intent is in the log without an outcome.
    pub(crate) fn contains(&self, intent: EventId) -> bool {
        self.calls.contains_key(&intent)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Those for which `gone` says that their connection is gone, in log order.
    pub(crate) fn of_runs(&self, gone: impl Fn(Option<RunId>) -> bool) -> Vec<(EventId, OpenCall)> {
        let open = self.calls.iter().filter(|(_, call)| gone(call.run));
        let mut open: Vec<_> = open.map(|(id, call)| (*id, *call)).collect();
        open.sort_unstable_by_key(|(_, call)| call.seq);
        open
    }

    /// The file's bytes.
    pub(crate) fn to_json(&self, size: u64) -> Vec<u8> {
        let open = self.of_runs(|_| true);
        let open = open.iter().map(|(id, call)| StoredCall {
            id: id.to_string(),
            seq: call.seq,
            session: call.run.map(|run| run.to_string()),
        });
        let stored = Stored {
            size,
            open: open.collect(),
        };
        // Strings and numbers always serialise.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads the file back: the set and the log size it was true at. `None` for anything but a whole
    /// file, and then the log must be read from its beginning.
    pub(crate) fn from_json(bytes: &[u8]) -> Option<(Self, u64)> {
        let stored: Stored = serde_json::from_slice(bytes).ok()?;
        let mut calls = HashMap::new();
        for call in stored.open {
            let run = match call.session {
                Some(run) => Some(RunId::parse(&run)?),
                None => None,
            };
            calls.insert(EventId::parse(&call.id)?, OpenCall { seq: call.seq, run });
        }
        Some((Self { calls }, stored.size))
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    size: u64,
    open: Vec<StoredCall>,
}

#[derive(Serialize, Deserialize)]
struct StoredCall {
    id: String,
    seq: u64,
    session: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> EventId {
        EventId::from_bytes([n; 16])
    }

    #[test]
    fn an_outcome_ends_its_intent_and_the_file_reads_back() {
        let mut calls = OpenCalls::default();
        let run = RunId::from_bytes([1; 16]);
        calls.observe(id(1), Stage::Intent, 0, Some(run));
        calls.observe(id(2), Stage::Intent, 1, None);
        calls.observe(id(3), Stage::Outcome(id(1)), 2, Some(run));
        calls.observe(id(4), Stage::Outcome(id(9)), 3, None);
        assert_eq!(
            calls.of_runs(|_| true),
            vec![(id(2), OpenCall { seq: 1, run: None })]
        );

        let (read, size) = OpenCalls::from_json(&calls.to_json(4)).unwrap();
        assert_eq!((read.of_runs(|_| true), size), (calls.of_runs(|_| true), 4));
        assert!(OpenCalls::from_json(b"{\"size\":4,\"open\":[{").is_none());
    }

    #[test]
    fn records_read_back_count_the_same() {
        let mut calls = OpenCalls::default();
        let record = |stage: &str, own: u8, more: &str| {
            format!(
                r#"{{"v":1,"seq":0,"id":"{}","timestamp":"","type":"tool_call","stage":"{stage}"{more}}}"#,
                id(own)
            )
        };
        calls.observe_record(0, record("intent", 1, "").as_bytes());
        calls.observe_record(1, record("intent", 2, "").as_bytes());
        calls.observe_record(
            2,
            record("outcome", 3, &format!(r#","ref":"{}""#, id(1))).as_bytes(),
        );
        calls.observe_record(3, b"not a record");
        assert_eq!(calls.of_runs(|_| true).len(), 1);
        assert_eq!(calls.of_runs(|_| true)[0].0, id(2));
    }
}
