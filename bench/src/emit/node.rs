use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::Run;
use crate::peers::{self, output};
use crate::place::{Place, Result};
use crate::stats::Latency;

/// The script that runs one of them, beside the modules it needs; none when these cannot be installed.
pub(crate) fn script(place: &Place) -> Result<Option<PathBuf>> {
    let Some(dir) = peers::node(place, &["pino@10.4.0", "pino-roll@4.0.0"]) else {
        return Ok(None);
    };
    let text = include_str!("../../peers/loggers.mjs");
    peers::script(&dir, "loggers.mjs", text).map(Some)
}

/// A logger of Node, in a process of its own.
pub(crate) fn run(
    place: &Place,
    script: &Path,
    mode: &str,
    events: &Path,
    count: usize,
) -> Result<Run> {
    let out = place.fresh()?;
    let mut command = Command::new("node");
    command
        .arg(script)
        .arg(mode)
        .arg(events)
        .arg(out.path())
        .arg(count.to_string());
    let printed: Value = serde_json::from_str(&output(&mut command)?)?;
    let figure = |name: &str| {
        printed
            .get(name)
            .and_then(Value::as_f64)
            .unwrap_or(f64::NAN)
    };
    Ok(Run {
        events_per_second: figure("events_per_second"),
        cpu_us: figure("cpu_us_per_event"),
        bytes: figure("bytes_per_event"),
        latency: Latency {
            p50: figure("p50"),
            p99: figure("p99"),
            p999: figure("p999"),
        },
    })
}
