//! Checks a whole log against its newest checkpoint and a key (`docs/format.md` §9). Reads only, in
//! bounded memory; a writer may be at work meanwhile.

mod beginning;
mod pairs;
mod report;
mod tiles;
mod walk;

use std::io;
use std::time::Duration;

use crate::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};
use crate::dir::LogDir;
use crate::disk::{RealDisk, read_limited};
use crate::key::VerifyingKey;
use crate::limits::{NOTE_BYTES, VERIFY_ATTEMPTS};
use crate::minimum::minimum_index;

pub use report::{Finding, Report, Verdict};

/// What the caller knows beyond the log and the key.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// A checkpoint of this log that somebody kept, as it stands in a file. It is the only thing that
    /// shows that a whole log was put back to an older state.
    pub known: Option<Vec<u8>>,
    /// A writer is at work: intents without an outcome, and a batch that is half written, are no news.
    pub writer_running: bool,
    /// Records that were younger than this when retention removed them are a finding.
    pub min_retention: Option<Duration>,
}

/// Checks everything that the log, the key and the options allow to be checked. Every failure is a
/// finding in the report; there is no other way to fail.
pub fn verify(dir: &LogDir, key: &VerifyingKey, options: &VerifyOptions) -> Report {
    let mut attempt = 1;
    loop {
        // Before the checkpoint: the one that is there after this number covers the record of it.
        let minimum = minimum_index(dir);
        let report = verify_from(dir, key, options, &minimum);
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
    key: &VerifyingKey,
    options: &VerifyOptions,
    minimum: &io::Result<u64>,
) -> Report {
    let mut report = Report::new(key);
    let file = Some("minimum-index");
    let minimum = match minimum {
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
    report.minimum_index = minimum;
    let known = options
        .known
        .as_deref()
        .and_then(|note| read_known(note, key, &mut report));
    // The checkpoint first: a writer may make newer ones while the records are read, and the records
    // of this one are there by now.
    let checkpoint = read_checkpoint(dir, key, &mut report);
    if let Some(checkpoint) = &checkpoint {
        report.checkpoint_size = Some(checkpoint.size());
        report.root = Some(checkpoint.root().to_string());
        if let Some(known) = known
            .as_ref()
            .filter(|known| known.size() > checkpoint.size())
        {
            report.tampered(
                Some(checkpoint.size()),
                Some("checkpoint"),
                format!(
                    "the log was put back: its checkpoint covers {} records, the one that was kept {}",
                    checkpoint.size(),
                    known.size()
                ),
            );
        }
    }
    walk::walk(
        dir,
        minimum,
        checkpoint.as_ref(),
        known.as_ref(),
        options,
        &mut report,
    );
    report
}

fn read_known(note: &[u8], key: &VerifyingKey, report: &mut Report) -> Option<VerifiedCheckpoint> {
    let known = SignedCheckpoint::parse(note).and_then(|signed| signed.verify(key));
    match known {
        Ok(known) => Some(known),
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
    key: &VerifyingKey,
    report: &mut Report,
) -> Option<VerifiedCheckpoint> {
    let file = Some("checkpoint");
    match read_limited(&RealDisk, &dir.checkpoint(), NOTE_BYTES) {
        Ok(bytes) => match SignedCheckpoint::parse(&bytes).and_then(|signed| signed.verify(key)) {
            Ok(checkpoint) => return Some(checkpoint),
            Err(error) => report.tampered(None, file, error.to_string()),
        },
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
