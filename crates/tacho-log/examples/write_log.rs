//! Writes a log for other tools to read: `write_log DIR RECORDS`. The records are spread over four days, the
//! first two of which are compressed; there are checkpoints in between. Prints the size and the verifier key.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use tacho_event::Timestamp;
use tacho_log::disk::RealDisk;
use tacho_log::key::SigningKey;
use tacho_log::{AppendError, DataDir, Log, LogOptions, compress_segment};

const DAY: u64 = 86_400_000_000_000;
const FIRST_DAY: u64 = 20_777;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(records), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("write_log DIR RECORDS".into());
    };
    let vkey = write(Path::new(&dir), records.parse()?)?;
    print(&format!("{records} {vkey}"));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is a program, and its answer")]
fn print(line: &str) {
    println!("{line}");
}

fn write(dir: &Path, records: u64) -> Result<String, Box<dyn Error>> {
    let dir = DataDir::create(dir)?;
    let key = SigningKey::generate("tacho.local/foreign", [42; 32])?;
    let vkey = key.verifying_key().encode();
    let (disk, lock) = (Arc::new(RealDisk), dir.lock()?);
    let options = LogOptions::default();
    let (mut log, _) = Log::open(disk, &dir, lock, key, options, &mut |_, _| {})?;
    for n in 0..records {
        let now = Timestamp::from_unix_nanos((FIRST_DAY + 4 * n / records) * DAY + n);
        let body = body(n, now);
        match log.append(body.as_bytes(), now) {
            Err(AppendError::CommitFirst) => {
                log.commit()?;
                log.append(body.as_bytes(), now)?;
            }
            appended => drop(appended?),
        }
        if n % 10_007 == 0 {
            log.commit()?;
            log.seal()?;
        }
    }
    log.commit()?;
    log.seal()?;
    for segment in log.closed_segments().into_iter().take(2) {
        compress_segment(&RealDisk, &segment)?;
    }
    Ok(vkey)
}

/// Intents and their outcomes in turn, of different lengths.
fn body(n: u64, now: Timestamp) -> String {
    let id = |n: u64| format!("01970000-0000-7000-8000-{n:012}");
    let stage = match n % 2 {
        0 => r#""stage":"intent""#.to_owned(),
        _ => format!(r#""stage":"outcome","ref":"{}""#, id(n - 1)),
    };
    let padding = "x".repeat(usize::try_from(n % 97).unwrap_or(0));
    format!(
        r#"{{"id":"{}","timestamp":"{now}","type":"tool_call",{stage},"severity":"info","args":"{padding}"}}"#,
        id(n)
    )
}
