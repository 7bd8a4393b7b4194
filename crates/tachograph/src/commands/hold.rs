//! `tacho hold`: records that retention must not remove, while somebody needs them.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use tacho_event::{Detail, EventType, ParsedRecord, Timestamp, Unredacted};
use tacho_log::reader::{ReadError, Reader};
use tacho_log::retention::{Hold, ProtectedError, read_holds, write_holds};
use tacho_log::{Clock as _, DataDir, SystemClock, minimum_index};

use super::tail::unreadable;
use crate::args::{Hold as Args, HoldAdd, HoldRemove, Json};
use crate::error::{CliError, Exit, Result};
use crate::terminal::{self, Output, escape};
use crate::{place, quantity, record};

/// A case number, a name: what people say to each other.
const NAME_BYTES: usize = 100;

pub(crate) fn run(dir: Option<&Path>, args: Args) -> Result<ExitCode> {
    match args {
        Args::Add(args) => add(dir, args),
        Args::Remove(args) => remove(dir, &args),
        Args::List(args) => list(dir, &args),
    }
}

fn add(dir: Option<&Path>, args: HoldAdd) -> Result<ExitCode> {
    check_name(&args.name)?;
    let dir = place::writers_dir(dir)?;
    let now = SystemClock.now();
    let from = args
        .from
        .map(|text| first_at(&dir, &text, now))
        .transpose()?;
    let to = args.to.map(|text| end_at(&dir, &text, now)).transpose()?;
    let from = from.unwrap_or(0);
    if to.is_some_and(|to| to <= from) {
        return Err(CliError::new(
            Exit::Usage,
            format!("there is no record from {from} up to {}", to.unwrap_or(0)),
        ));
    }
    let _only_us = lock(&dir)?;
    let before = read_holds(&dir).map_err(unusable)?;
    if before.iter().any(|hold| hold.name == args.name) {
        let what = format!("there is a hold with the name {}", escape(&args.name));
        return Err(CliError::new(Exit::Usage, what).hint("see: tacho hold list"));
    }
    let hold = Hold {
        name: args.name,
        from,
        to,
        reason: args.reason,
    };
    let mut after = before.clone();
    after.push(hold.clone());
    // First in force, then recorded: in between the records are held and nobody was told. The other way
    // round a recorder could still remove what the record says is held.
    write_holds(&dir, &after).map_err(unusable)?;
    if let Err(error) = changed(&dir, "added", &hold, &hold.reason) {
        write_holds(&dir, &before).map_err(unusable)?;
        return Err(error);
    }
    let first = minimum_index(dir.log()).unwrap_or(0);
    if hold.from < first {
        terminal::message(&format!(
            "tacho: records before {first} were removed already; the hold covers those from there on"
        ));
    }
    super::printed(Output::words(false).line(&format!(
        "{} holds {}",
        escape(&hold.name),
        range(&hold)
    )))?;
    Ok(Exit::Ok.into())
}

fn remove(dir: Option<&Path>, args: &HoldRemove) -> Result<ExitCode> {
    let dir = place::writers_dir(dir)?;
    let _only_us = lock(&dir)?;
    let mut holds = read_holds(&dir).map_err(unusable)?;
    let Some(at) = holds.iter().position(|hold| hold.name == args.name) else {
        let what = format!("there is no hold with the name {}", escape(&args.name));
        return Err(CliError::new(Exit::Usage, what).hint("see: tacho hold list"));
    };
    let hold = holds.remove(at);
    // The other way round than adding: a crash in between leaves records held that need not be.
    changed(&dir, "removed", &hold, &args.reason)?;
    write_holds(&dir, &holds).map_err(unusable)?;
    let line = format!("{} holds nothing any more", escape(&hold.name));
    super::printed(Output::words(false).line(&line))?;
    Ok(Exit::Ok.into())
}

fn list(dir: Option<&Path>, args: &Json) -> Result<ExitCode> {
    let path = place::data_path(dir)?;
    let holds = match DataDir::open(&path) {
        Ok(dir) => read_holds(&dir).map_err(unusable)?,
        Err(tacho_log::DirError::Missing { .. }) => Vec::new(),
        Err(error) => {
            return Err(CliError::from_error(
                Exit::Unable,
                "the data directory",
                &error,
            ));
        }
    };
    let mut out = Output::words(args.json);
    super::printed(print(&mut out, &holds))?;
    Ok(Exit::Ok.into())
}

fn print(out: &mut Output, holds: &[Hold]) -> std::io::Result<()> {
    if !out.is_human() {
        return out.line(&json!({ "holds": holds }).to_string());
    }
    if holds.is_empty() {
        return out.line("no holds");
    }
    for hold in holds {
        let (name, reason) = (escape(&hold.name), escape(&hold.reason));
        out.line(&format!("{name:20} {:32} {reason}", range(hold)))?;
    }
    Ok(())
}

fn range(hold: &Hold) -> String {
    match hold.to {
        Some(to) => format!("records {} up to {to}", hold.from),
        None => format!("records from {} on", hold.from),
    }
}

/// Writes it down through the recorder.
fn changed(dir: &DataDir, action: &'static str, hold: &Hold, reason: &str) -> Result<()> {
    let position = |seq: u64| Detail::Int(i64::try_from(seq).unwrap_or(i64::MAX));
    let text = |text: &str| Detail::Text(Unredacted::new(text.to_owned()));
    let mut details = vec![
        ("hold", text(&hold.name)),
        ("action", Detail::Word(action)),
        ("from", position(hold.from)),
    ];
    details.extend(hold.to.map(|to| ("to", position(to))));
    details.push(("reason", text(reason)));
    record::record(dir, EventType::HoldChanged, details)
}

/// Two commands at once must not lose one's change. The kernel gives the lock back at the end.
fn lock(dir: &DataDir) -> Result<File> {
    let lock = || {
        let root = File::open(dir.root())?;
        flock(&root, FlockOperation::LockExclusive)?;
        Ok::<_, std::io::Error>(root)
    };
    lock().map_err(|error| CliError::from_error(Exit::Unable, "locking the data directory", &error))
}

fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || "._-#/ ".contains(c);
    if !name.is_empty() && name.len() <= NAME_BYTES && name.chars().all(plain) {
        return Ok(());
    }
    let what = format!(
        "{:?} is no name for a hold: letters, digits and ._-#/ up to {NAME_BYTES} bytes",
        escape(name)
    );
    Err(CliError::new(Exit::Usage, what))
}

fn unusable(error: ProtectedError) -> CliError {
    CliError::from_error(Exit::Unable, "the holds", &error)
        .hint("while they cannot be read, retention removes nothing")
}

/// The first record at or after a time. Times are only roughly in order, so this is where the first one
/// stands that is not before it.
fn first_at(dir: &DataDir, text: &str, now: Timestamp) -> Result<u64> {
    if let Ok(seq) = text.parse() {
        return Ok(seq);
    }
    let time = time(text, now)?;
    let reader = Reader::new(dir.log());
    // Records that cannot be read, since the last one that is too old: they may be of that time.
    let mut unread = None;
    for record in reader.records_from(0) {
        match record {
            Ok((seq, record)) if timestamp(&record).is_some_and(|at| at >= time) => {
                return Ok(unread.unwrap_or(seq));
            }
            Ok(_) => unread = None,
            Err(ReadError::Encrypted { from, .. }) => {
                unread.get_or_insert(from);
            }
            Err(error) => return Err(unreadable(error)),
        }
    }
    match unread {
        Some(seq) => Ok(seq),
        None => reader.end().map_err(unreadable),
    }
}

/// The position after the last record before a time.
fn end_at(dir: &DataDir, text: &str, now: Timestamp) -> Result<u64> {
    if let Ok(seq) = text.parse() {
        return Ok(seq);
    }
    let time = time(text, now)?;
    if time > now {
        return Err(CliError::new(Exit::Usage, "--to lies in the future")
            .hint("leave it out to hold all that comes"));
    }
    let mut end = 0;
    for record in Reader::new(dir.log()).records_from(0) {
        match record {
            Ok((seq, record)) if timestamp(&record).is_some_and(|at| at < time) => {
                end = seq.saturating_add(1);
            }
            Ok(_) => {}
            Err(ReadError::Encrypted { to, .. }) => end = to,
            Err(error) => return Err(unreadable(error)),
        }
    }
    Ok(end)
}

fn timestamp(record: &[u8]) -> Option<Timestamp> {
    Timestamp::parse(&ParsedRecord::parse(record).ok()?.timestamp).ok()
}

fn time(text: &str, now: Timestamp) -> Result<Timestamp> {
    quantity::time(text, now).map_err(|what| CliError::new(Exit::Usage, what))
}
