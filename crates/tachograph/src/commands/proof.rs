//! `tacho verify --proof`: a proof and a key, without a log.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use tacho_log::checkpoint::{CheckpointError, ConsistencyProofError, TlogProofError};
use tacho_log::limits::RECORD_BYTES;
use tacho_log::note::{MAX_NOTE_BYTES, NoteError};
use tacho_log::offline::{Beside, OfflineError, Proved, Statement, verify_proof};

use super::verify::{given_key, read_checkpoint};
use crate::args::Verify;
use crate::error::{CliError, Exit, Result};
use crate::terminal::{Colour, Output, escape};

/// Of the right log, and signed by a key that was not given.
const OTHER_KEY: CheckpointError = CheckpointError::Note(NoteError::Unsigned);

pub(crate) fn run(proof: &Path, args: &Verify) -> Result<ExitCode> {
    let stdin = Path::new("-");
    if proof == stdin && args.record.as_deref() == Some(stdin) {
        let what = "--proof and --record cannot both be read from stdin";
        return Err(CliError::new(Exit::Usage, what));
    }
    let keys = match &args.key {
        Some(key) => given_key("--key", key)?,
        None => return Err(CliError::new(Exit::Usage, "--proof needs --key")),
    };
    let bytes = read(proof, MAX_NOTE_BYTES)?;
    let record = match &args.record {
        Some(path) => Some(read(path, RECORD_BYTES + 1)?),
        None => None,
    };
    let kept = args
        .checkpoint
        .as_deref()
        .map(read_checkpoint)
        .transpose()?;
    let beside = Beside {
        // A line of `tacho show --json` or of a segment has a line feed, and the record has none.
        record: record
            .as_deref()
            .map(|record| record.strip_suffix(b"\n").unwrap_or(record)),
        kept: kept.as_deref(),
    };
    let proved = verify_proof(&bytes, &keys, beside);
    let mut out = Output::words(args.json);
    let (exit, printed) = match &proved {
        Ok(proved) if out.is_human() => (Exit::Ok, print(&mut out, proved)),
        Ok(proved) => (Exit::Ok, out.line(&json(proved).to_string())),
        Err(error) => {
            let exit = judged(error);
            if out.is_human() {
                return Err(failed(proof, exit, error));
            }
            let verdict = if exit == Exit::Failed {
                "tampered"
            } else {
                "incomplete"
            };
            let report = serde_json::json!({"verdict": verdict, "what": error.to_string()});
            (exit, out.line(&report.to_string()))
        }
    };
    super::printed(printed)?;
    Ok(exit.into())
}

fn read(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than is allowed tells that it is too much.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    let name = path.display();
    match read {
        Ok(_) if bytes.len() > limit => Err(CliError::new(
            Exit::Usage,
            format!("{name} is longer than {limit} bytes"),
        )),
        Ok(_) => Ok(bytes),
        Err(error) => Err(CliError::from_error(
            Exit::Usage,
            &format!("cannot read {name}"),
            &error,
        )),
    }
}

/// Whether it is the proof that is wrong, or what was given beside it.
const fn judged(error: &OfflineError) -> Exit {
    match error {
        OfflineError::Inclusion(_)
        | OfflineError::Consistency(_)
        | OfflineError::OtherRecord
        | OfflineError::NotARecord { .. }
        | OfflineError::TwoHistories => Exit::Failed,
        OfflineError::NoRecord | OfflineError::Kept(_) => Exit::Incomplete,
        OfflineError::NothingKept
        | OfflineError::RecordGiven
        | OfflineError::KeptOtherSize { .. } => Exit::Usage,
    }
}

fn failed(proof: &Path, exit: Exit, error: &OfflineError) -> CliError {
    let words = if exit == Exit::Failed {
        "proves nothing"
    } else {
        "cannot be checked"
    };
    let what = format!("{} {words}: {error}", proof.display());
    let failed = CliError::new(exit, what);
    match error {
        OfflineError::NoRecord => failed.hint("give the record with --record FILE"),
        OfflineError::NothingKept => failed.hint("give it with --checkpoint FILE"),
        OfflineError::RecordGiven => failed.hint("leave out --record"),
        OfflineError::Inclusion(TlogProofError::Checkpoint(OTHER_KEY))
        | OfflineError::Consistency(ConsistencyProofError::Checkpoint(OTHER_KEY)) => failed.hint(
            "where the log's key was changed: ask for the key that signs now, or for log/rotations",
        ),
        OfflineError::KeptOtherSize { kept, .. } => failed.hint(format!(
            "leave out --checkpoint, and check the log against it with a proof from: tacho prove --from {kept}"
        )),
        OfflineError::Inclusion(_)
        | OfflineError::Consistency(_)
        | OfflineError::OtherRecord
        | OfflineError::NotARecord { .. }
        | OfflineError::Kept(_)
        | OfflineError::TwoHistories => failed,
    }
}

fn print(out: &mut Output, proved: &Proved) -> std::io::Result<()> {
    let checkpoint = proved.checkpoint.checkpoint();
    let ok = out.paint(Colour::Green, "ok");
    let size = checkpoint.size();
    match &proved.what {
        Statement::Inclusion { index, .. } => out.line(&format!(
            "{ok}: record {index} is in the log, under its signed checkpoint of {size} records"
        ))?,
        Statement::Consistency { old } => out.line(&format!(
            "{ok}: the log of {size} records begins with the {old} records of the checkpoint that was kept"
        ))?,
    }
    out.line(&format!("log {}", escape(checkpoint.origin())))?;
    out.line(&format!("root {}", checkpoint.root()))?;
    if proved.unchecked_signatures > 0 {
        out.line(&format!(
            "not checked: {} further signatures, of keys that were not given",
            proved.unchecked_signatures
        ))?;
    }
    if let Statement::Inclusion { record, .. } = &proved.what {
        out.line(&escape(&String::from_utf8_lossy(record)))?;
    }
    Ok(())
}

fn json(proved: &Proved) -> serde_json::Value {
    let checkpoint = proved.checkpoint.checkpoint();
    let mut report = serde_json::json!({
        "verdict": "ok",
        "origin": checkpoint.origin(),
        "size": checkpoint.size(),
        "root": checkpoint.root().to_string(),
        "unchecked_signatures": proved.unchecked_signatures,
    });
    let (name, value) = match &proved.what {
        // As text, so that these are the bytes that were hashed, and no re-serialisation of them.
        Statement::Inclusion { index, record } => (
            "inclusion",
            serde_json::json!({"index": index, "record": String::from_utf8_lossy(record)}),
        ),
        Statement::Consistency { old } => ("consistency", serde_json::json!({"old": old})),
    };
    if let Some(report) = report.as_object_mut() {
        report.insert(name.to_owned(), value);
    }
    report
}
