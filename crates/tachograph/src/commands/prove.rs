//! `tacho prove`: proofs for somebody who has only the log's key.

use std::path::Path;
use std::process::ExitCode;

use memchr::memmem::Finder;
use tacho_event::{EventId, ParsedRecord};
use tacho_log::LogDir;
use tacho_log::bundle::BundleError;
use tacho_log::checkpoint::SignedCheckpoint;
use tacho_log::disk::{RealDisk, replace};
use tacho_log::prove::{
    ProveError, checkpoint_of, cosigned_checkpoint, newest_checkpoint, prove_consistency,
    prove_inclusion,
};
use tacho_log::reader::Reader;

use super::verify::{has_writer, key_beside};
use crate::args::Prove;
use crate::error::{CliError, Exit, Result};
use crate::place;
use crate::terminal::{Output, message};

pub(crate) fn run(dir: Option<&Path>, args: &Prove) -> Result<ExitCode> {
    let log = place::readers_dir(dir)?;
    let path = place::data_path(dir)?;
    let refused = |error| refused(error, has_writer(&path));
    let proof = match (&args.record, args.from) {
        (Some(record), _) => {
            let seq = seq_of(&log, record)?;
            let checkpoint = signed(&log, covering(&log, seq).map_err(refused)?)?;
            let (proof, record) = prove_inclusion(&log, seq, checkpoint).map_err(refused)?;
            let proof = if args.bare {
                proof
            } else {
                proof.with_extra(record)
            };
            proof.encode()
        }
        (None, Some(old)) => {
            let checkpoint = match args.to {
                Some(size) => checkpoint_of(&log, size).map_err(refused)?,
                None => signed(&log, newest_checkpoint(&log).map_err(refused)?)?,
            };
            let proof = prove_consistency(&log, old, checkpoint).map_err(refused)?;
            proof.encode()
        }
        (None, None) => {
            let what = "give a record's seq or id, or --from SIZE";
            return Err(CliError::new(Exit::Usage, what));
        }
    };
    match &args.out {
        Some(file) => {
            replace(&RealDisk, file, proof.as_bytes()).map_err(|error| {
                let doing = format!("cannot write {}", file.display());
                CliError::from_error(Exit::Unable, &doing, &error)
            })?;
            message(&format!("written: {}", file.display()));
        }
        None => super::printed(Output::words(false).text(&proof))?,
    }
    Ok(Exit::Ok.into())
}

/// The newest checkpoint, or the cosigned one, which says more, when it covers the record too.
fn covering(log: &LogDir, seq: u64) -> Result<SignedCheckpoint, ProveError> {
    let newest = newest_checkpoint(log)?;
    let of_this_log = |cosigned: &SignedCheckpoint| {
        let (ours, theirs) = (newest.unverified(), cosigned.unverified());
        ours.origin() == theirs.origin() && seq < theirs.size() && theirs.size() <= ours.size()
    };
    // One from before a change of the key would be refused by whoever has the new one only.
    let by_our_key = |cosigned: &SignedCheckpoint| {
        key_beside(log).map_or(true, |key| cosigned.verify(&key).is_ok())
    };
    let cosigned = cosigned_checkpoint(log).filter(of_this_log);
    Ok(cosigned.filter(by_our_key).unwrap_or(newest))
}

/// A proof with a bad signature would only disappoint whoever gets it. Without the key beside the log
/// nothing is known here.
fn signed(log: &LogDir, checkpoint: SignedCheckpoint) -> Result<SignedCheckpoint> {
    if log.vkey().exists() {
        checkpoint.verify(&key_beside(log)?).map_err(|error| {
            CliError::from_error(Exit::Failed, "the checkpoint", &error).hint("run: tacho verify")
        })?;
    }
    Ok(checkpoint)
}

fn seq_of(log: &LogDir, record: &str) -> Result<u64> {
    if let Ok(seq) = record.parse() {
        return Ok(seq);
    }
    let id = EventId::parse(record)
        .map(|id| id.to_string())
        .ok_or_else(|| {
            CliError::new(
                Exit::Usage,
                format!("{record:?} is neither an id nor a seq"),
            )
            .hint("see both with: tacho tail --json")
        })?;
    let finder = Finder::new(id.as_bytes());
    for record in Reader::new(log).records_from(0) {
        // What cannot be read is for `tacho verify` to name.
        let Ok((seq, line)) = record else { continue };
        let mentions = finder.find(&line).is_some();
        if mentions && ParsedRecord::parse(&line).is_ok_and(|record| record.id == id) {
            return Ok(seq);
        }
    }
    Err(
        CliError::new(Exit::Failed, format!("no record has the id {id}"))
            .hint("see the newest with: tacho tail"),
    )
}

fn refused(error: ProveError, writer_running: bool) -> CliError {
    let (exit, hint) = match &error {
        ProveError::NeverSealed | ProveError::NotSealed { .. } => {
            let hint = if writer_running {
                "the recorder seals it within the time of tacho serve --checkpoint-seconds, a minute unless \
                 told otherwise; at once with: tacho serve --stop"
            } else {
                "no recorder is running; the next one seals it: tacho serve, or tacho run"
            };
            (Exit::Incomplete, Some(hint.to_owned()))
        }
        ProveError::NoSuchRecord { .. } => (
            Exit::Failed,
            Some("see the newest with: tacho tail".to_owned()),
        ),
        ProveError::NoCheckpoint { newest, .. } => (
            Exit::Usage,
            Some(format!(
                "leave out --to for the newest, {newest}; older ones are kept only where the key changed"
            )),
        ),
        ProveError::NoPrefix { .. } => (
            Exit::Usage,
            Some("--from is the size of a checkpoint that somebody kept".to_owned()),
        ),
        ProveError::Log(BundleError::Pruned { .. }) => (
            Exit::Incomplete,
            Some("a proof that was made before stays valid".to_owned()),
        ),
        ProveError::Log(BundleError::Encrypted { .. }) => (
            Exit::Incomplete,
            Some("who can decrypt the segment has the record".to_owned()),
        ),
        ProveError::Log(BundleError::Differs { .. } | BundleError::Missing { .. })
        | ProveError::Damaged { .. }
        | ProveError::Checkpoint { .. } => {
            (Exit::Failed, Some("find out more: tacho verify".to_owned()))
        }
        ProveError::Log(_)
        | ProveError::Read(_)
        | ProveError::Inclusion(_)
        | ProveError::Consistency(_) => {
            (Exit::Unable, Some("find out more: tacho verify".to_owned()))
        }
    };
    let refused = CliError::from_error(exit, "no proof", &error);
    match hint {
        Some(hint) => refused.hint(hint),
        None => refused,
    }
}
