//! `tacho export --tiles`: the log as files that other tools read.

use std::path::Path;
use std::process::ExitCode;

use tacho_log::LogDir;
use tacho_log::bundle::BundleError;
use tacho_log::export::{ExportError, Exported, export_tiles};
use tacho_log::prove::{cosigned_checkpoint, newest_checkpoint};

use crate::args::Export;
use crate::error::{CliError, Exit, Result};
use crate::place;
use crate::terminal::{Output, escape};

pub(crate) fn run(dir: Option<&Path>, args: &Export) -> Result<ExitCode> {
    let log = place::readers_dir(dir)?;
    outside(&log, &args.tiles)?;
    let newest = newest_checkpoint(&log).map_err(|error| {
        CliError::from_error(Exit::Incomplete, "nothing to export", &error).hint(
            "the log is sealed a minute after its first record; at once with: tacho serve --stop",
        )
    })?;
    // The same checkpoint with the cosignatures of witnesses says more.
    let same = |cosigned: &tacho_log::checkpoint::SignedCheckpoint| {
        cosigned.unverified() == newest.unverified()
    };
    let checkpoint = cosigned_checkpoint(&log).filter(same).unwrap_or(newest);
    let done = export_tiles(&log, &checkpoint, &args.tiles).map_err(|error| refused(&error))?;
    let mut out = Output::words(false);
    super::printed(print(&mut out, &done, &args.tiles))?;
    Ok(if done.encrypted_bundles > 0 {
        Exit::Incomplete
    } else {
        Exit::Ok
    }
    .into())
}

/// A log is no place for copies of itself.
fn outside(log: &LogDir, to: &Path) -> Result<()> {
    let within = |to: &Path| to.canonicalize().ok().zip(log.root().canonicalize().ok());
    let existing = to.ancestors().find(|path| path.exists());
    match existing.and_then(within) {
        Some((to, log)) if to.starts_with(&log) => Err(CliError::new(
            Exit::Usage,
            "the export cannot be inside the log",
        )
        .hint("choose a directory of its own for the export")),
        _ => Ok(()),
    }
}

fn print(out: &mut Output, done: &Exported, to: &Path) -> std::io::Result<()> {
    out.line(&format!(
        "{} records as tiles in {}: {} files written, {} were there already",
        done.size,
        to.display(),
        done.written,
        done.kept
    ))?;
    if let Some(first) = done.pruned_below {
        out.line(&format!(
            "without the records before {first}, of which retention has removed some; their hashes are there"
        ))?;
    }
    if done.encrypted_bundles > 0 {
        let files: Vec<String> = done.encrypted.iter().map(|file| escape(file)).collect();
        out.line(&format!(
            "incomplete: {} bundles left out, whose records are encrypted: {}",
            done.encrypted_bundles,
            files.join(", ")
        ))?;
    }
    Ok(())
}

fn refused(error: &ExportError) -> CliError {
    let (exit, hint) = match error {
        ExportError::Foreign { .. } => (
            Exit::Failed,
            "an export goes to a directory of its own, or on from an earlier one of the same log",
        ),
        ExportError::Damaged { .. }
        | ExportError::Log(BundleError::Differs { .. } | BundleError::Missing { .. }) => {
            (Exit::Failed, "find out more: tacho verify")
        }
        ExportError::Log(_) => (Exit::Incomplete, "find out more: tacho verify"),
        ExportError::Write { .. } | ExportError::Read { .. } => (
            Exit::Unable,
            "what was written so far is kept; run it again to go on",
        ),
    };
    CliError::from_error(exit, "the export", error).hint(hint)
}
