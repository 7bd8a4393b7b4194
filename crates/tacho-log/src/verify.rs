//! Checks a whole log against its newest checkpoint and a key (`docs/format.md` §9). Reads only, in
//! bounded memory; a writer may be at work meanwhile.

mod beginning;
mod evidence;
mod keys;
mod pairs;
mod quick;
mod report;
mod tiles;
mod walk;
mod witnessed;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tacho_event::Timestamp;

use crate::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};
use crate::dir::LogDir;
use crate::disk::{RealDisk, read_limited};
use crate::key::VerifyingKey;
use crate::limits::{NOTE_BYTES, VERIFY_ATTEMPTS};
use crate::minimum::minimum_index;
use crate::policy::Policy;
use crate::recipients::Identities;

use keys::Followed;
pub use keys::{KeyPolicy, KeyPolicyError, Validity};
pub use report::{EvidenceReport, Finding, Report, Verdict};

/// What the caller knows beyond the log and the key.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// A checkpoint of this log that somebody kept, as it stands in a file. It is the only thing that
    /// shows that a whole log was put back to an older state.
    pub known: Option<Vec<u8>>,
    /// A writer is at work: intents without an outcome, and a batch that is half written, are no news.
    pub writer_running: bool,
    /// The newest sealed record may not be older than this moment: a recorder at work seals a heartbeat
    /// even when nothing happens, so what is older was stopped, or put back.
    pub not_before: Option<Timestamp>,
    /// Records that were younger than this when retention removed them are a finding.
    pub min_retention: Option<Duration>,
    /// Private keys: for encrypted segments, of which what they do not open is checked by its hashes; and for
    /// the evidence, each body of which must be the one that was recorded.
    pub identities: Option<Arc<Identities>>,
    /// Which witnesses must have cosigned the log: `cosigned` has to fulfil it and to agree with the records.
    pub policy: Option<Policy>,
}

/// Checks everything that the log, the keys and the options allow to be checked. Every failure is a
/// finding in the report; there is no other way to fail.
pub fn verify(dir: &LogDir, keys: impl Into<KeyPolicy>, options: &VerifyOptions) -> Report {
    let keys = keys.into();
    let mut attempt = 1;
    loop {
        // Before the checkpoint: the one that is there after this number covers the record of it.
        let minimum = minimum_index(dir);
        let report = verify_from(dir, keys.clone(), options, &minimum);
        let same = minimum.ok() == minimum_index(dir).ok();
        // Records that retention removed while they were read are no finding.
        if same || attempt >= VERIFY_ATTEMPTS {
            return report;
        }
        attempt += 1;
    }
}

fn verify_from(
    dir: &LogDir,
    mut keys: KeyPolicy,
    options: &VerifyOptions,
    minimum: &io::Result<u64>,
) -> Report {
    let mut report = Report::new(keys.origin());
    let minimum = read_minimum(minimum, &mut report);
    let rotations = keys.follow(dir, &mut report);
    report.key = keys.newest().map_or_else(String::new, VerifyingKey::encode);
    let mut must = Vec::new();
    if let Some(known) = &options.known {
        must.extend(read_known(known, &keys, &mut report));
    }
    if let Some(policy) = &options.policy {
        must.extend(witnessed::read(dir, &keys, policy, &mut report));
    }
    // The checkpoint first: a writer may make newer ones while the records are read, and the records
    // of this one are there by now.
    let mut checkpoint = read_checkpoint(dir, &keys, &mut report);
    for Followed { file, rotation } in rotations {
        if let Ok(signed) = keys.verify(rotation.checkpoint()) {
            // A crash may come between keeping a change of the key and publishing its checkpoint.
            let newer = checkpoint
                .as_ref()
                .is_some_and(|old| old.size() < signed.size());
            if newer {
                checkpoint = Some(signed.clone());
            }
            let what = format!("{file} covers other records: there are two histories");
            must.push(Kept {
                checkpoint: signed,
                file: Some(file),
                what,
            });
        }
    }
    if let Some(checkpoint) = &checkpoint {
        report.checkpoint_size = Some(checkpoint.size());
        report.root = Some(checkpoint.root().to_string());
        for kept in must
            .iter()
            .filter(|kept| kept.checkpoint.size() > checkpoint.size())
        {
            report.tampered(
                Some(checkpoint.size()),
                Some("checkpoint"),
                format!(
                    "the log was put back: its checkpoint covers {} records, the one that was kept {}",
                    checkpoint.size(),
                    kept.checkpoint.size()
                ),
            );
        }
    }
    walk::walk(
        dir,
        minimum,
        checkpoint.as_ref(),
        &must,
        options,
        &mut report,
    );
    report
}

fn read_minimum(minimum: &io::Result<u64>, report: &mut Report) -> u64 {
    let file = Some("minimum-index");
    report.minimum_index = match minimum {
        Ok(minimum) => *minimum,
        Err(error) => {
            if error.kind() == io::ErrorKind::InvalidData {
                report.tampered(None, file, error.to_string());
            } else {
                report.incomplete(None, file, format!("cannot be read: {error}"));
            }
            0
        }
    };
    report.minimum_index
}

/// A checkpoint besides the newest one that the records have to agree with.
struct Kept {
    checkpoint: VerifiedCheckpoint,
    /// Where it stands, when it is in the log.
    file: Option<String>,
    /// What is said when they do not.
    what: String,
}

fn read_known(note: &[u8], keys: &KeyPolicy, report: &mut Report) -> Option<Kept> {
    let known = SignedCheckpoint::parse(note).and_then(|signed| keys.verify(&signed));
    match known {
        Ok(checkpoint) => Some(Kept {
            checkpoint,
            file: None,
            what: "the checkpoint that was kept covers other records: there are two histories"
                .to_owned(),
        }),
        Err(error) => {
            report.incomplete(
                None,
                None,
                format!("the checkpoint that was kept is unusable: {error}"),
            );
            None
        }
    }
}

fn read_checkpoint(
    dir: &LogDir,
    keys: &KeyPolicy,
    report: &mut Report,
) -> Option<VerifiedCheckpoint> {
    let file = Some("checkpoint");
    match read_limited(&RealDisk, &dir.checkpoint(), NOTE_BYTES) {
        Ok(bytes) => {
            match SignedCheckpoint::parse(&bytes).and_then(|signed| keys.verify(&signed)) {
                Ok(checkpoint) => return Some(checkpoint),
                Err(error) => report.tampered(None, file, error.to_string()),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what = "there is none: a log that was never sealed proves nothing";
            report.tampered(None, file, what.to_owned());
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            report.tampered(None, file, error.to_string());
        }
        Err(error) => report.incomplete(None, file, format!("cannot be read: {error}")),
    }
    None
}
