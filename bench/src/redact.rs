//! What redaction costs: bars R1 to R3. R1, with identical output, is measured by the example
//! `redact_bench` of `tacho-event`, which knows the rules; here the peers get the same lines.

mod vectorscan;

use std::path::Path;
use std::process::Command;

use rustix::time::{ClockId, clock_gettime};
use serde_json::Value as Json;
use tacho_event::{DigestKey, Engine, Options, Report};

use crate::events::{as_json, samples};
use crate::peers::{self, output};
use crate::place::{Place, Result, put};
use crate::report::{Bar, Value, heading, note, ratio};
use crate::stats::{float, median};

/// How often the sample lines are repeated.
const REPEATED: usize = 10;

const PATTERNS: &str = include_str!("../peers/patterns.json");

/// Runs all of it.
pub(crate) fn run(place: &Place) -> Result<()> {
    heading("redact: R1 against RegexSet, by the example of tacho-event");
    match output(&mut Command::new(place.program("examples/redact_bench"))) {
        Ok(printed) => printed.lines().for_each(note),
        Err(error) => note(&format!("not measured: redact_bench: {error}")),
    }

    heading("redact: lines of tool calls, one in twenty with a secret; megabytes per CPU second");
    let work = place.fresh()?;
    let (lines, patterns) = (work.path().join("lines"), work.path().join("patterns.json"));
    let once: Vec<_> = samples()
        .iter()
        .map(|one| as_json(one).to_string())
        .collect();
    put(&lines, &(once.join("\n") + "\n").repeat(REPEATED))?;
    put(&patterns, PATTERNS)?;

    let mut peers: Vec<(&str, Option<f64>, Option<Command>)> = Vec::new();
    let script = peers::script(
        &place.cache,
        "redact.mjs",
        include_str!("../peers/redact.mjs"),
    )?;
    let mut node = Command::new("node");
    node.arg(script).arg(&lines).arg(&patterns);
    peers.push(("R3 tacho / JavaScript, 25 RegExp", Some(25.0), Some(node)));
    peers.push((
        "R3 tacho / Presidio's patterns",
        Some(2_000.0),
        presidio(place, &lines)?,
    ));
    let scan = vectorscan::build(place, &lines, PATTERNS)?;
    peers.push(("tacho / vectorscan filter alone", None, scan));

    let mut ours = Vec::new();
    let mut speeds = vec![Vec::new(); peers.len()];
    for _ in 0..place.rounds {
        ours.push(engine_speed(&once)?);
        for ((name, _, command), speeds) in peers.iter_mut().zip(&mut speeds) {
            let Some(command) = command else { continue };
            match output(command).and_then(|printed| Ok(serde_json::from_str::<Json>(&printed)?)) {
                Ok(figures) => speeds.extend(figures.get("mb_per_second").and_then(Json::as_f64)),
                Err(error) => note(&format!("not measured: {name}: {error}")),
            }
        }
    }
    let ours = Value(median(&ours), "MB/s");
    for ((name, bar, _), speeds) in peers.iter().zip(speeds) {
        if !speeds.is_empty() {
            let theirs = Value(median(&speeds), "MB/s");
            ratio(name, ours, ("peer", theirs), bar.map(Bar::AtLeast));
        }
    }
    note("not measured: VRL; the filter alone finds lines, it does not rewrite them");
    Ok(())
}

/// Ours, structure, key names and all, in megabytes per second of this thread.
fn engine_speed(lines: &[String]) -> Result<f64> {
    let mut engine = Engine::new(&Options::default(), DigestKey::new([9; 32]));
    let (mut bytes, mut out) = (0, Vec::new());
    let mut report = Report::default();
    let started = thread_seconds();
    for _ in 0..REPEATED {
        for line in lines {
            out.clear();
            if !engine.json(line.as_bytes(), &mut out, usize::MAX, &mut report) {
                return Err("a line was not redacted".into());
            }
            bytes += line.len();
        }
    }
    Ok(float(u64::try_from(bytes)?) / 1e6 / (thread_seconds() - started))
}

fn thread_seconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    float(now.tv_sec.unsigned_abs()) + float(now.tv_nsec.unsigned_abs()) / 1e9
}

fn presidio(place: &Place, lines: &Path) -> Result<Option<Command>> {
    let packages = ["presidio-analyzer==2.2.366"];
    let Some(python) = peers::python(place, "venv-presidio", &packages) else {
        return Ok(None);
    };
    let text = include_str!("../peers/presidio_patterns.py");
    let script = peers::script(&place.cache, "presidio_patterns.py", text)?;
    let mut command = Command::new(python);
    command.arg(script).arg(lines);
    Ok(Some(command))
}
