//! `tacho show`: everything the log says about one call.

use std::path::Path;
use std::process::ExitCode;

use memchr::memmem::Finder;
use tacho_event::{EventId, ParsedRecord};
use tacho_log::evidence::Kept;
use tacho_log::reader::{ReadError, Reader};

use super::tail::unreadable;
use crate::args::Show;
use crate::bodies::{self, Condition};
use crate::error::{CliError, Exit, Result};
use crate::render;
use crate::terminal::{Colour, Output, escape};
use crate::{identities, place};

/// One call with its rounds and progress; more records than this are cut off, and that is said.
const SHOWN_RECORDS: usize = 1_000;

type Found = Vec<(Vec<u8>, ParsedRecord)>;

pub(crate) fn run(dir: Option<&Path>, args: &Show) -> Result<ExitCode> {
    let identities = identities::load(args.identity.as_deref())?;
    let log = place::readers_dir(dir)?;
    let reader = Reader::new(&log).with_identities(identities);
    let id = match args.id.parse::<u64>() {
        Ok(seq) => record_at(&reader, seq)?.id,
        Err(_not_a_number) => EventId::parse(&args.id)
            .map(|id| id.to_string())
            .ok_or_else(|| no_id(&args.id))?,
    };
    say_what_is_encrypted(&reader);
    let first = mentioning(&reader, &id)?;
    // A call's records bear its id; whoever asks by the id of one of them wants them all.
    let call = first
        .iter()
        .find(|(_, record)| record.id == id)
        .and_then(|(_, record)| record.call.clone());
    let records = match call {
        Some(call) if call != id => mentioning(&reader, &call)?,
        _ => first,
    };
    if records.is_empty() {
        return Err(none_has(&id));
    }
    let bodies = bodies::of(records.iter().map(|(_, record)| record));
    let conditions = bodies::conditions(&log, &reader, &bodies).map_err(unreadable)?;
    let evidence: Vec<_> = bodies.into_iter().zip(conditions).collect();
    let mut out = Output::new(args.json);
    super::printed(print(&mut out, &records, &evidence))?;
    Ok(Exit::Ok.into())
}

pub(super) fn no_id(text: &str) -> CliError {
    let what = format!("{text:?} is neither an id nor a seq");
    CliError::new(Exit::Usage, what).hint("see both with: tacho tail --json")
}

pub(super) fn none_has(id: &str) -> CliError {
    CliError::new(Exit::Failed, format!("no record has the id {id}"))
        .hint("see the newest with: tacho tail")
}

pub(super) fn record_at(reader: &Reader, seq: u64) -> Result<ParsedRecord> {
    let record = reader.records_from(seq).next();
    let record = record.transpose().map_err(unreadable)?;
    if let Some((first, _)) = record.as_ref().filter(|(found, _)| *found != seq) {
        let what = format!("record {seq} was removed by retention; the oldest one is {first}");
        return Err(CliError::new(Exit::Failed, what));
    }
    let record = record.and_then(|(_, record)| ParsedRecord::parse(&record).ok());
    record.ok_or_else(|| {
        CliError::new(Exit::Failed, format!("there is no record {seq}"))
            .hint("see the newest with: tacho tail")
    })
}

/// A call may be among records that cannot be read: an answer without them says so.
fn say_what_is_encrypted(reader: &Reader) {
    for record in reader.records_from(0) {
        if let Err(error @ ReadError::Encrypted { .. }) = record {
            identities::say(&error);
        }
    }
}

/// The records whose own id, call or intent it is. The bytes are searched first: only what mentions the
/// id is parsed.
pub(super) fn mentioning(reader: &Reader, id: &str) -> Result<Found> {
    let finder = Finder::new(id.as_bytes());
    let mut found = Found::new();
    for record in reader.records_from(0) {
        // What cannot be read is for `tacho verify` to name.
        let Ok((_, line)) = record else { continue };
        if finder.find(&line).is_none() {
            continue;
        }
        let Ok(record) = ParsedRecord::parse(&line) else {
            continue;
        };
        let members = [
            Some(&record.id),
            record.call.as_ref(),
            record.intent.as_ref(),
        ];
        if members.into_iter().flatten().any(|member| member == id) {
            found.push((line, record));
        }
        if found.len() >= SHOWN_RECORDS {
            break;
        }
    }
    Ok(found)
}

fn print(out: &mut Output, records: &Found, evidence: &[(Kept, Condition)]) -> std::io::Result<()> {
    if !out.is_human() {
        return records.iter().try_for_each(|(line, _)| out.raw_line(line));
    }
    for (_, record) in records {
        let stage = record.stage.as_deref().unwrap_or("record");
        let title = format!("{} {}", escape(&record.kind), escape(stage));
        let title = out.paint(Colour::Bold, &title);
        let outcome = render::outcome(out, record);
        out.line(&format!(
            "{title}  seq {}  {}  {outcome}",
            record.seq,
            escape(&record.timestamp)
        ))?;
        out.line(&format!("  {:10} {}", "id", escape(&record.id)))?;
        if let Some(ms) = record.duration_ms {
            out.line(&format!("  {:10} {ms:.3} ms", "duration"))?;
        }
        for (name, value) in render::members(record) {
            out.line(&format!("  {name:10} {value}"))?;
        }
        let of_record = |(kept, _): &&(Kept, Condition)| kept.seq == record.seq;
        for (kept, condition) in evidence.iter().filter(of_record) {
            let what = bodies::describe(kept, condition);
            out.line(&format!("  {:10} {what}", "evidence"))?;
        }
    }
    if records.len() >= SHOWN_RECORDS {
        out.line(&format!(
            "(only the first {SHOWN_RECORDS} records are shown)"
        ))?;
    }
    Ok(())
}
