//! `tacho tail`: the newest records, and new ones as they come.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tacho_event::ParsedRecord;
use tacho_log::reader::{ReadError, Reader};

use crate::args::Tail;
use crate::error::{CliError, Exit, Result};
use crate::identities;
use crate::place;
use crate::render;
use crate::terminal::{self, Output};

/// Between looks at the log while nothing new is there.
const POLL: Duration = Duration::from_millis(100);

pub(crate) fn run(dir: Option<&Path>, args: &Tail) -> Result<ExitCode> {
    let log = place::readers_dir(dir)?;
    let identities = identities::load(args.identity.as_deref())?;
    let reader = Reader::new(&log).with_identities(identities);
    let mut out = Output::new(args.json);
    let mut damaged = false;
    let end = reader.end().map_err(unreadable)?;
    let first = end.saturating_sub(u64::try_from(args.n).unwrap_or(u64::MAX));
    let mut follow = reader.follow(first);
    loop {
        match follow.poll() {
            Ok(Some((_, record))) => {
                if !print(&mut out, &record)? {
                    break;
                }
            }
            Ok(None) if args.follow => {
                if out.flush().is_err() || out.reader_leaves_within(POLL) {
                    break;
                }
            }
            Ok(None) => break,
            Err(error @ ReadError::Encrypted { .. }) => identities::say(&error),
            Err(error @ ReadError::Damaged { .. }) => {
                terminal::message(&format!("tacho: {}", terminal::escape(&error.to_string())));
                damaged = true;
            }
            Err(error) => return Err(unreadable(error)),
        }
    }
    super::printed(out.flush())?;
    Ok(if damaged { Exit::Incomplete } else { Exit::Ok }.into())
}

/// Prints one record; `false` when nobody reads any more.
fn print(out: &mut Output, record: &[u8]) -> Result<bool> {
    let printed = match ParsedRecord::parse(record) {
        Ok(parsed) if out.is_human() => {
            let line = render::line(out, &parsed);
            out.line(&line)
        }
        _ => out.raw_line(record),
    };
    match printed {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        printed => super::printed(printed).map(|()| true),
    }
}

pub(super) fn unreadable(error: ReadError) -> CliError {
    CliError::from_error(Exit::Incomplete, "cannot read the log", &error)
        .hint("see what is wrong with it: tacho verify")
}
