use std::collections::HashMap;
use std::io;
use std::path::Path;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;
use tacho_event::{Body, EventId};

use super::Report;
use super::pairs::Paired;
use crate::dir::LogDir;
use crate::evidence::{Erased, Kept, OpenError, State};
use crate::limits::{FINDINGS, GONE_BODIES};
use crate::recipients::{DecryptError, Identities};

/// Every body that a record names is there, or a sealed record says that it was erased; with identities, it is
/// also the one that was recorded (`docs/format.md` §14).
pub(super) struct Evidence<'a> {
    dir: &'a LogDir,
    identities: Option<&'a Identities>,
    /// Bodies that are not there, until a record says why.
    gone: HashMap<(EventId, Body), u64>,
    overflow: bool,
    /// Erasures of files that are still there.
    unfinished: Vec<(u64, Erased)>,
    /// The first erasure that no checkpoint covers.
    unsealed: Option<u64>,
    member: Finder<'static>,
}

/// The members of a record that are read only where there is something in them.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    evidence: Option<&'a RawValue>,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
}

impl<'a> Evidence<'a> {
    pub(super) fn new(dir: &'a LogDir, identities: Option<&'a Identities>) -> Self {
        Self {
            dir,
            identities,
            gone: HashMap::new(),
            overflow: false,
            unfinished: Vec::new(),
            unsealed: None,
            member: Finder::new("\"evidence\""),
        }
    }

    pub(super) fn take(
        &mut self,
        seq: u64,
        record: &Paired<'_>,
        line: &[u8],
        sealed: bool,
        file: &dyn Fn() -> String,
        report: &mut Report,
    ) {
        let erasure = record.kind.as_deref() == Some(Erased::KIND);
        if !erasure && self.member.find(line).is_none() {
            return;
        }
        // It is JSON, as whoever sealed it made sure of.
        let Ok(members) = serde_json::from_slice::<Members<'_>>(line) else {
            return;
        };
        if let Some(evidence) = members.evidence {
            let timestamp = record.timestamp.as_deref().unwrap_or_default();
            match Kept::read(seq, &record.id, timestamp, evidence.get()) {
                Some(kept) => kept.into_iter().for_each(|kept| self.look(&kept, report)),
                None => {
                    let what = "it does not say which bodies are kept as evidence".to_owned();
                    report.incomplete(Some(seq), Some(&file()), what);
                }
            }
        }
        if erasure {
            let details = members.details.map(RawValue::get);
            match details.and_then(Erased::read) {
                Some(erased) => self.erased(seq, erased, sealed, report),
                None => {
                    let what = "it does not say which body was erased".to_owned();
                    report.incomplete(Some(seq), Some(&file()), what);
                }
            }
        }
    }

    /// Looks for one body.
    fn look(&mut self, kept: &Kept, report: &mut Report) {
        let Kept { seq, body, .. } = kept;
        let name = kept.name();
        match kept.state(self.dir) {
            Ok(State::There) => {
                report.evidence.kept += 1;
                if let Some(identities) = self.identities {
                    self.open(kept, identities, report);
                }
            }
            Ok(State::Changed) => {
                report.evidence.kept += 1;
                let what = format!(
                    "the {body} kept as evidence were changed: the file has a wrong length"
                );
                report.tampered(Some(*seq), Some(&name), what);
            }
            Ok(State::Gone) if self.gone.len() < GONE_BODIES => {
                self.gone.insert((kept.id, *body), *seq);
            }
            Ok(State::Gone) => self.overflow = true,
            Err(error) => {
                let what = format!("the {body} kept as evidence cannot be read: {error}");
                report.incomplete(Some(*seq), Some(&name), what);
            }
        }
    }

    fn open(&mut self, kept: &Kept, identities: &Identities, report: &mut Report) {
        let Kept { seq, body, .. } = kept;
        let (seq, name) = (Some(*seq), kept.name());
        match kept.open(self.dir, identities, &mut io::sink()) {
            Ok(()) => report.evidence.checked += 1,
            // It was there a moment ago: somebody erases it, and a record further on says so.
            Err(OpenError::Gone) => {
                report.evidence.kept = report.evidence.kept.saturating_sub(1);
                self.gone.insert((kept.id, *body), kept.seq);
            }
            Err(error @ OpenError::Decrypt(DecryptError::NotForUs | DecryptError::Io(_))) => {
                let what = format!("the {body} kept as evidence were not checked: {error}");
                report.incomplete(seq, Some(&name), what);
            }
            Err(
                error @ (OpenError::Decrypt(DecryptError::Damaged(_))
                | OpenError::Differs
                | OpenError::TooLong(_)
                | OpenError::Write(_)),
            ) => {
                let what = format!("the {body} kept as evidence were changed: {error}");
                report.tampered(seq, Some(&name), what);
            }
        }
    }

    fn erased(&mut self, seq: u64, erased: Erased, sealed: bool, report: &mut Report) {
        if self.gone.remove(&(erased.id, erased.body)).is_some() {
            report.evidence.erased += 1;
            if !sealed {
                self.unsealed.get_or_insert(seq);
            }
        } else if is_there(&erased.path(self.dir)) && self.unfinished.len() < FINDINGS {
            self.unfinished.push((seq, erased));
        }
    }

    pub(super) fn report(self, writer_running: bool, all_read: bool, report: &mut Report) {
        let mut gone: Vec<(u64, Body)> = self
            .gone
            .into_iter()
            .map(|((_, body), seq)| (seq, body))
            .collect();
        gone.sort_unstable();
        report.evidence.missing = u64::try_from(gone.len()).unwrap_or(u64::MAX);
        for (seq, body) in gone {
            let what = format!(
                "the {body} kept as evidence are missing: the file is gone, and no record says that they were erased"
            );
            report.incomplete(Some(seq), None, what);
        }
        if self.overflow {
            let what = format!(
                "more than {GONE_BODIES} bodies kept as evidence are not there; the others were not looked for"
            );
            report.incomplete(None, None, what);
        }
        if let Some(seq) = self.unsealed.filter(|_| !writer_running) {
            let what = "it says that evidence was erased, and no checkpoint covers it yet";
            report.incomplete(Some(seq), None, what.to_owned());
        }
        for (seq, erased) in self.unfinished {
            // Whoever erases writes it down first.
            if is_there(&erased.path(self.dir)) {
                let what = format!(
                    "it says that the {} of {} were erased, and the file is still there: run tacho evidence erase again",
                    erased.body, erased.id
                );
                report.incomplete(Some(seq), None, what);
            }
        }
        if !all_read {
            // Records that could not be read may name the others.
            return;
        }
        let files = count_files(&self.dir.evidence());
        report.evidence.unnamed = files.saturating_sub(report.evidence.kept);
    }
}

fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// Files in the directories of all days. One that cannot be listed has none: what is missing in it was found
/// already.
fn count_files(evidence: &Path) -> u64 {
    let list = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let files = list(evidence).map(|day| list(&day.path()).count());
    u64::try_from(files.sum::<usize>()).unwrap_or(u64::MAX)
}
