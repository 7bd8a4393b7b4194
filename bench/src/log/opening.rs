use std::fs::File;
use std::process::Command;
use std::time::Instant;

use rustix::fs::{Advice, fadvise};
use tacho_log::limits::SEGMENT_BYTES;

use super::made::Made;
use crate::machine::{memory_of, peak_of};
use crate::place::{Place, Result};
use crate::recorder::Serve;
use crate::report::{Bar, Value, heading, limit, note, plain, ratio};
use crate::stats::{float, median};

/// How much more memory a log a hundred times as long may take, and how much longer its opening.
const FLAT: f64 = 1.25;

/// Opening a large log, and what reading it takes of memory, against a small one.
pub(super) fn run(place: &Place) -> Result<()> {
    heading("log: opening and memory by the length of the log");
    note("the smallest in segments of 4 MiB, so that it has compressed ones too");
    let small = Made::new(place, 100_000, SEGMENT_BYTES / 16)?;
    let middle = Made::new(place, 1_000_000, SEGMENT_BYTES)?;
    let large = match place.divide {
        1 => Some(Made::new(place, 10_000_000, SEGMENT_BYTES)?),
        _ => None,
    };
    let logs: Vec<_> = [Some(small), Some(middle), large]
        .into_iter()
        .flatten()
        .collect();
    let Some((small, larger)) = logs.split_first() else {
        return Ok(());
    };
    for log in &logs {
        let live = float(log.live_bytes) / 1e6;
        note(&format!(
            "{} records: live segment of {live:.1} MB",
            log.records
        ));
    }
    opening(place, small, larger)?;
    memory(place, small, larger)
}

/// `OpenLog::open` as the recorder calls it, with and without the pages of the segments in memory.
fn opening(place: &Place, small: &Made, larger: &[Made]) -> Result<()> {
    let base = open_times(place, small)?;
    plain(&format!("open {} records, warm", small.records), base[1]);
    for log in larger {
        let [cold, warm] = open_times(place, log)?;
        limit(&format!("open {} records, cold", log.records), cold, 100.0);
        limit(&format!("open {} records, warm", log.records), warm, 100.0);
        let name = format!("open {} records, warm", log.records);
        let baseline = format!("{} records", small.records);
        ratio(&name, warm, (&baseline, base[1]), None);
    }
    Ok(())
}

/// Cold, then warm.
fn open_times(place: &Place, log: &Made) -> Result<[Value; 2]> {
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..place.rounds {
        for path in log.files()? {
            let file = File::open(path)?;
            // Pages that were never written back would stay.
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
        for took in &mut took {
            let started = Instant::now();
            log.open()?;
            took.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(took.map(|took| Value(median(&took), "ms")))
}

/// The most that the recorder, verification and `tail` have resident.
fn memory(place: &Place, small: &Made, larger: &[Made]) -> Result<()> {
    let base = peaks(place, small)?;
    for (name, peak) in base {
        plain(&format!("{name}, {} records: peak", small.records), peak);
    }
    for log in larger {
        for ((name, base), (_, peak)) in base.into_iter().zip(peaks(place, log)?) {
            let name = format!("{name}, {} records: peak", log.records);
            let baseline = format!("{} records", small.records);
            ratio(&name, peak, (&baseline, base), Some(Bar::AtMost(FLAT)));
        }
    }
    Ok(())
}

fn peaks(place: &Place, log: &Made) -> Result<[(&'static str, Value); 3]> {
    let tacho = |words: &[&str]| -> Result<Value> {
        let mut command = Command::new(place.program("tacho"));
        command.args(words).arg("--dir").arg(log.path());
        peak_of(&command).map(|peak| Value(peak, "MiB"))
    };
    let verify = tacho(&["verify"])?;
    let tail = tacho(&["tail", "-n", "20"])?;
    // The last, because it writes records of its own.
    let recorder = Serve::start(place, log.path())?;
    let opened = Value(memory_of(recorder.pid()).peak, "MiB");
    Ok([
        ("recorder opening", opened),
        ("verify", verify),
        ("tail -n 20", tail),
    ])
}
