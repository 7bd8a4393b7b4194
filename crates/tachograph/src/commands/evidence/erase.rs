//! `tacho evidence erase`: destroys bodies for good, and says so in the log first.

use std::path::Path;
use std::process::ExitCode;

use tacho_event::{Detail, EventType, Unredacted};
use tacho_log::DataDir;
use tacho_log::disk::{Disk as _, RealDisk};
use tacho_log::evidence::Kept;
use tacho_log::retention::{Hold, read_holds};

use super::{is_member, of, reader};
use crate::args::EvidenceErase;
use crate::bodies::Condition;
use crate::commands::printed;
use crate::error::{CliError, Exit, Result};
use crate::render::grouped;
use crate::terminal::{Output, escape};
use crate::{place, record};

pub(super) fn run(dir: Option<&Path>, args: &EvidenceErase) -> Result<ExitCode> {
    let path = place::data_path(dir)?;
    let dir = DataDir::open(&path)
        .map_err(|error| CliError::from_error(Exit::Unable, "the data directory", &error))?;
    let reader = reader(dir.log(), args.identity.as_deref())?;
    let mut bodies = of(dir.log(), &reader, &args.id)?;
    bodies.retain(|(kept, _)| is_member(kept, args.member));
    if bodies.is_empty() {
        return Err(
            CliError::new(Exit::Failed, "no such body is kept of it").hint(format!(
                "see what is with: tacho evidence list {}",
                escape(&args.id)
            )),
        );
    }
    // All or nothing, as far as that can be known beforehand.
    let holds = read_holds(&dir)
        .map_err(|error| CliError::from_error(Exit::Unable, "the holds", &error))?;
    for (kept, condition) in &bodies {
        may_be_erased(kept, condition, &holds)?;
    }
    let mut out = Output::words(false);
    for (kept, condition) in &bodies {
        let (body, seq) = (kept.body, kept.seq);
        let line = match condition {
            Condition::Erased {
                by,
                still_there: false,
            } => {
                format!("the {body} of record {seq} were erased already: record {by} says so")
            }
            Condition::Erased { by, .. } => {
                // A crash came between the record and the file.
                remove(&dir, kept)?;
                format!("erased the {body} of record {seq}, as record {by} says")
            }
            Condition::Kept
            | Condition::Missing
            | Condition::Changed
            | Condition::Unreadable(_) => {
                write_down(&dir, kept, &args.reason)?;
                remove(&dir, kept)?;
                format!(
                    "erased the {body} of record {seq}, {} bytes",
                    grouped(kept.bytes)
                )
            }
        };
        printed(out.line(&line))?;
    }
    Ok(Exit::Ok.into())
}

fn may_be_erased(kept: &Kept, condition: &Condition, holds: &[Hold]) -> Result<()> {
    let record = kept.seq..kept.seq.saturating_add(1);
    let gone = matches!(condition, Condition::Erased { .. });
    if let Some(hold) = holds.iter().find(|hold| !gone && hold.covers(&record)) {
        let what = format!(
            "record {} is held by {} ({}): nothing of it is erased",
            kept.seq,
            escape(&hold.name),
            escape(&hold.reason)
        );
        return Err(CliError::new(Exit::Failed, what).hint("see: tacho hold list"));
    }
    if *condition == Condition::Missing {
        let what = format!(
            "the {} of record {}: {} is not there, and no record says that it was erased",
            kept.body,
            kept.seq,
            kept.name()
        );
        return Err(CliError::new(Exit::Failed, what).hint("see: tacho verify"));
    }
    Ok(())
}

/// Durable before the file goes: what is gone was erased on purpose, or is missing.
fn write_down(dir: &DataDir, kept: &Kept, reason: &str) -> Result<()> {
    let text = |text: &str| Detail::Text(Unredacted::new(text.to_owned()));
    let details = vec![
        ("record", Detail::Id(kept.id)),
        ("day", text(&kept.day)),
        ("member", Detail::Word(kept.body.as_str())),
        ("reason", text(reason)),
    ];
    record::record(dir, EventType::EvidenceErased, details)
}

fn remove(dir: &DataDir, kept: &Kept) -> Result<()> {
    let path = kept.path(dir.log());
    let removed = RealDisk
        .unlink(&path)
        .and_then(|()| path.parent().map_or(Ok(()), |day| RealDisk.sync_dir(day)));
    removed.map_err(|error| {
        let what = format!(
            "it is recorded as erased, but {} cannot be removed",
            path.display()
        );
        CliError::from_error(Exit::Unable, &what, &error)
            .hint("give the same command again when that is mended")
    })
}
