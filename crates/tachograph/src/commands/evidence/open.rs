//! `tacho evidence open`: the original bytes of one body, once they are known to be the recorded ones.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tacho_event::ParsedRecord;
use tacho_log::LogDir;
use tacho_log::evidence::{Kept, OpenError};
use tacho_log::merkle::{inclusion_proof, leaf_hash, verify_inclusion};
use tacho_log::prove::{TileHashes, newest_checkpoint};
use tacho_log::reader::Reader;
use tacho_log::recipients::DecryptError;
use zeroize::Zeroizing;

use super::{is_member, of, store};
use crate::args::EvidenceOpen;
use crate::bodies::Condition;
use crate::commands::{printed, verify};
use crate::error::{CliError, Exit, Result};
use crate::terminal::{self, Output};
use crate::{identities, place};

pub(super) fn run(dir: Option<&Path>, args: &EvidenceOpen) -> Result<ExitCode> {
    let log = place::readers_dir(dir)?;
    let identities = identities::load_from(&args.identity)?;
    let reader = Reader::new(&log).with_identities(Some(Arc::clone(&identities)));
    let (kept, condition) = the_one(&log, &reader, args)?;
    let failed = |exit, why: &str| {
        Err(CliError::new(
            exit,
            format!("the {} of record {}: {why}", kept.body, kept.seq),
        ))
    };
    match &condition {
        Condition::Kept | Condition::Changed => {}
        Condition::Erased {
            still_there: true, ..
        } => {}
        Condition::Erased { by, .. } => {
            return failed(
                Exit::Incomplete,
                &format!("record {by} says that it was erased"),
            );
        }
        Condition::Missing => {
            return failed(
                Exit::Incomplete,
                &format!(
                    "{} is not there, and no record says that it was erased",
                    kept.name()
                ),
            );
        }
        Condition::Unreadable(why) => return failed(Exit::Incomplete, why),
    }
    check_record(&log, &reader, &kept)?;
    let mut bytes = Zeroizing::new(Vec::new());
    if let Err(error) = kept.open(&log, &identities, &mut *bytes) {
        let exit = match &error {
            OpenError::Decrypt(DecryptError::Damaged(_))
            | OpenError::Differs
            | OpenError::TooLong(_) => Exit::Failed,
            OpenError::Decrypt(DecryptError::NotForUs) => Exit::Usage,
            OpenError::Gone | OpenError::Decrypt(DecryptError::Io(_)) => Exit::Incomplete,
            OpenError::Write(_) => Exit::Unable,
        };
        let what = format!("the {} of record {}", kept.body, kept.seq);
        return Err(CliError::from_error(exit, &what, &error));
    }
    match &args.out {
        Some(path) => store(path, &bytes)?,
        None => printed(Output::new(false).original(&bytes))?,
    }
    Ok(Exit::Ok.into())
}

/// The one body that is meant.
fn the_one(log: &LogDir, reader: &Reader, args: &EvidenceOpen) -> Result<(Kept, Condition)> {
    let mut bodies = of(log, reader, &args.id)?;
    bodies.retain(|(kept, _)| is_member(kept, args.member));
    let several = bodies.len();
    match (bodies.pop(), several) {
        (Some(body), 1) => Ok(body),
        (Some(_), _) => {
            let what = format!(
                "{several} bodies are kept of it: say which one with --member, or by the record's seq"
            );
            Err(CliError::new(Exit::Usage, what)
                .hint(format!("see them with: tacho evidence list {}", args.id)))
        }
        (None, _) => Err(CliError::new(Exit::Failed, "no such body is kept of it")
            .hint("docs/evidence.md says which bodies are kept")),
    }
}

/// The commitment is worth as much as the record it stands in: the record must be under the log's checkpoint.
fn check_record(log: &LogDir, reader: &Reader, kept: &Kept) -> Result<()> {
    let seq = kept.seq;
    let what = format!("record {seq} is not what was sealed");
    let wrong = |error: &dyn std::error::Error| {
        CliError::from_error(Exit::Failed, &what, error).hint("see: tacho verify")
    };
    let signed = newest_checkpoint(log).map_err(|error| wrong(&error))?;
    let key = verify::key_beside(log)?;
    let checkpoint = signed.verify(&key).map_err(|error| wrong(&error))?;
    if seq >= checkpoint.size() {
        terminal::message(&format!(
            "tacho: record {seq} is not sealed yet: the next checkpoint covers it, within a minute"
        ));
        return Ok(());
    }
    // Read again, so that what is hashed is what the commitment was taken from.
    let record = reader.records_from(seq).next().transpose();
    let record = record.map_err(|error| wrong(&error))?;
    let line = record
        .filter(|(found, _)| *found == seq)
        .map(|(_, line)| line);
    let line = line.unwrap_or_default();
    let hashes = TileHashes::new(log, checkpoint.size());
    let path = inclusion_proof(&hashes, seq, checkpoint.size()).map_err(|error| wrong(&error))?;
    verify_inclusion(
        seq,
        checkpoint.size(),
        &leaf_hash(&line),
        &path,
        checkpoint.root(),
    )
    .map_err(|error| wrong(&error))?;
    let sealed = ParsedRecord::parse(&line).map_err(|error| wrong(&error))?;
    if Kept::of(&sealed).contains(kept) {
        return Ok(());
    }
    Err(CliError::new(Exit::Failed, what).hint("see: tacho verify"))
}
