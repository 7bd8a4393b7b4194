use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tacho_event::EventId;

use super::{Report, VerifyOptions};
use crate::dir::LogDir;
use crate::limits::{FINDINGS, OPEN_INTENTS};
use crate::reader::{Cursor, Step};

/// What pairing needs of a record. Everything else is only checked to be JSON.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Paired<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) stage: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "ref")]
    pub(super) intent: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) outcome: Option<Cow<'a, str>>,
}

/// Sixteen bytes that stand for an id, whatever its form.
type Key = [u8; 16];

fn key(id: &str) -> Key {
    if let Some(id) = EventId::parse(id) {
        return *id.as_bytes();
    }
    let hash: [u8; 32] = Sha256::digest(id).into();
    hash.first_chunk().copied().unwrap_or_default()
}

/// Every outcome names an intent before it; every intent has an outcome. A `denied` outcome may stand
/// alone: the call was not forwarded because its intent could not be recorded.
#[derive(Default)]
pub(super) struct Pairs {
    /// A tree: of a handful of open intents it is as fast as a hash table with a weak hash, and whoever wrote
    /// the log cannot make it slow.
    open: BTreeMap<Key, u64>,
    /// Outcomes whose intent is not open: it had an outcome before, or there is none.
    unmatched: Vec<Unmatched>,
    more_unmatched: u64,
    overflow: bool,
}

/// Which records an intent or an outcome may be among that was not seen.
pub(super) struct Unseen {
    pub(super) minimum: u64,
    /// After the last record that could not be read.
    pub(super) unread_to: Option<u64>,
}

struct Unmatched {
    intent: Key,
    seq: u64,
    file: String,
    what: String,
}

impl Pairs {
    pub(super) fn take(&mut self, seq: u64, record: &Paired<'_>, file: &dyn Fn() -> String) {
        match record.stage.as_deref() {
            Some("intent") if self.open.len() < OPEN_INTENTS => {
                self.open.insert(key(&record.id), seq);
            }
            Some("intent") => self.overflow = true,
            Some("outcome") => {
                let named = record.intent.as_deref().unwrap_or_default();
                let intent = key(named);
                let known = self.open.remove(&intent).is_some();
                if known || record.outcome.as_deref() == Some("denied") {
                    return;
                }
                if self.unmatched.len() < FINDINGS {
                    let what =
                        format!("the outcome names an intent, {named:.60}, that is not before it");
                    self.unmatched.push(Unmatched {
                        intent,
                        seq,
                        file: file(),
                        what,
                    });
                } else {
                    self.more_unmatched += 1;
                }
            }
            Some(_) | None => {}
        }
    }

    /// `file` is the newest segment.
    pub(super) fn report(
        mut self,
        dir: &LogDir,
        unseen: Unseen,
        options: &VerifyOptions,
        file: &str,
        report: &mut Report,
    ) {
        if self.overflow {
            let what = format!(
                "more than {OPEN_INTENTS} intents are open; their outcomes were not checked"
            );
            report.incomplete(None, None, what);
            return;
        }
        self.forget_second_outcomes(dir, options);
        self.excuse_unseen(&unseen, report);
        for Unmatched {
            seq, file, what, ..
        } in self.unmatched
        {
            report.incomplete(Some(seq), Some(&file), what);
        }
        if self.more_unmatched > 0 {
            let what = format!(
                "{} further outcomes name no open intent",
                self.more_unmatched
            );
            report.incomplete(None, None, what);
        }
        report.open_intents = u64::try_from(self.open.len()).unwrap_or(u64::MAX);
        let unread_to = unseen.unread_to.unwrap_or(0);
        let late = self.open.values().filter(|seq| **seq >= unread_to);
        let (count, first) = (late.clone().count(), late.min());
        if count < self.open.len() {
            let count = self.open.len() - count;
            report.notes.push(format!(
                "{count} intents have no outcome among the records that were read"
            ));
        }
        if let Some(first) = first.filter(|_| !options.writer_running) {
            let what = format!("{count} intents from here on have no outcome");
            report.incomplete(Some(*first), Some(file), what);
        }
    }

    /// The intent may be pruned, or encrypted to others, while its outcome is here.
    fn excuse_unseen(&mut self, unseen: &Unseen, report: &mut Report) {
        if unseen.minimum == 0 && unseen.unread_to.is_none() || self.unmatched.is_empty() {
            return;
        }
        let unmatched = u64::try_from(self.unmatched.len()).unwrap_or(u64::MAX);
        report.notes.push(format!(
            "{} outcomes name intents that were not read: they may be among the pruned or encrypted records",
            self.more_unmatched.saturating_add(unmatched)
        ));
        self.unmatched.clear();
        self.more_unmatched = 0;
    }

    /// A source may come back after its intent was written off as interrupted, so an intent may have
    /// two outcomes. To keep all intents in mind for that would take memory without bound; it is rare,
    /// so the log is read once more.
    fn forget_second_outcomes(&mut self, dir: &LogDir, options: &VerifyOptions) {
        let Some(last) = self.unmatched.last().map(|unmatched| unmatched.seq) else {
            return;
        };
        let mut cursor = Cursor::new(dir, 0).with_identities(options.identities.clone());
        loop {
            match cursor.next() {
                Ok(Step::Record { seq, line }) if seq < last => {
                    let Ok(record) = serde_json::from_slice::<Paired<'_>>(line) else {
                        continue;
                    };
                    if record.stage.as_deref() == Some("intent") {
                        let found = key(&record.id);
                        self.unmatched
                            .retain(|outcome| outcome.intent != found || outcome.seq < seq);
                    }
                }
                Ok(Step::Damage { .. } | Step::Unread { .. }) => {}
                Ok(Step::Record { .. } | Step::End { .. }) | Err(_) => return,
            }
        }
    }
}
