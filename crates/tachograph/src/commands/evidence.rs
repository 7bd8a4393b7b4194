//! `tacho evidence`: whole bodies that were kept, for whoever holds a key to them.

mod erase;
mod open;

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tacho_event::{Body, EventId, ParsedRecord};
use tacho_log::LogDir;
use tacho_log::disk::{Disk as _, RealDisk};
use tacho_log::evidence::Kept;
use tacho_log::reader::Reader;
use tacho_log::recipients::Identities;

use super::show;
use super::tail::unreadable;
use crate::args::{BodyArg, Evidence as Args, EvidenceList};
use crate::bodies::{self, Condition};
use crate::error::{CliError, Exit, Result};
use crate::terminal::{self, Output};
use crate::{identities, place};

pub(crate) fn run(dir: Option<&Path>, args: &Args) -> Result<ExitCode> {
    match args {
        Args::List(args) => list(dir, args),
        Args::Open(args) => open::run(dir, args),
        Args::Erase(args) => erase::run(dir, args),
        Args::Keygen { out } => keygen(out),
    }
}

fn list(dir: Option<&Path>, args: &EvidenceList) -> Result<ExitCode> {
    let log = place::readers_dir(dir)?;
    let reader = reader(&log, args.identity.as_deref())?;
    let bodies = of(&log, &reader, &args.id)?;
    let mut out = Output::words(args.json);
    for (kept, condition) in &bodies {
        super::printed(if out.is_human() {
            let what = bodies::describe(kept, condition);
            out.line(&format!("record {}  {what}  {}", kept.seq, kept.name()))
        } else {
            let Kept { seq, id, .. } = kept;
            let line = json!({
                "seq": seq, "id": id.to_string(), "member": kept.body.as_str(), "bytes": kept.bytes,
                "commitment": kept.commitment.to_string(), "file": kept.name(), "state": condition.word(),
            });
            out.line(&line.to_string())
        })?;
    }
    if bodies.is_empty() && out.is_human() {
        super::printed(out.line("no evidence is kept of it"))?;
    }
    Ok(Exit::Ok.into())
}

/// Reads also what is encrypted, to these identities.
fn reader(log: &LogDir, identity: Option<&Path>) -> Result<Reader> {
    Ok(Reader::new(log).with_identities(identities::load(identity)?))
}

/// The bodies of one record, or of all records of a call, and what became of them. Unlike `tacho show`, the id
/// of a record in the middle of a call means that record: something may be destroyed.
fn of(log: &LogDir, reader: &Reader, text: &str) -> Result<Vec<(Kept, Condition)>> {
    let records: Vec<ParsedRecord> = match text.parse::<u64>() {
        Ok(seq) => vec![show::record_at(reader, seq)?],
        Err(_not_a_number) => {
            let id = EventId::parse(text)
                .ok_or_else(|| show::no_id(text))?
                .to_string();
            let mentioning = show::mentioning(reader, &id)?;
            let records = mentioning.into_iter().map(|(_, record)| record);
            let (call, others): (Vec<_>, Vec<_>) =
                records.partition(|record| record.call.as_deref() == Some(&id));
            if call.is_empty() {
                others
                    .into_iter()
                    .filter(|record| record.id == id)
                    .collect()
            } else {
                call
            }
        }
    };
    if records.is_empty() {
        return Err(show::none_has(text));
    }
    let bodies = bodies::of(&records);
    let conditions = bodies::conditions(log, reader, &bodies).map_err(unreadable)?;
    Ok(bodies.into_iter().zip(conditions).collect())
}

fn is_member(kept: &Kept, member: Option<BodyArg>) -> bool {
    member.is_none_or(|member| kept.body == member.body())
}

impl BodyArg {
    const fn body(self) -> Body {
        match self {
            Self::Args => Body::Args,
            Self::Result => Body::Result,
        }
    }
}

/// Makes an identity. Nothing of it is kept but that file.
fn keygen(out: &Path) -> Result<ExitCode> {
    let (text, recipient) = Identities::generate();
    store(out, text.as_bytes())?;
    super::printed(Output::words(false).line(&recipient))?;
    terminal::message(&format!(
        "tacho: {} has the secret key: keep it away from this machine; whoever has it reads the evidence.\n  \
         To keep evidence for it, put into config.toml of the data directory:\n  \
         [evidence]\n  recipients = [\"{recipient}\"]",
        out.display()
    ));
    Ok(Exit::Ok.into())
}

/// Writes a file that only its owner can read, and that was not there before.
fn store(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = RealDisk.create(path)?;
        let written = file.write_at(bytes, 0).and_then(|()| file.sync());
        if written.is_err() {
            RealDisk.unlink(path)?;
        }
        written?;
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        RealDisk.sync_dir(parent.unwrap_or(Path::new(".")))
    };
    write().map_err(|error| {
        let what = format!("cannot write {}", path.display());
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            CliError::from_error(Exit::Usage, &what, &error)
                .hint("nothing is overwritten: give another name")
        } else {
            CliError::from_error(Exit::Unable, &what, &error)
        }
    })
}
