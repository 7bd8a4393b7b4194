//! `tacho status`: whether a recorder runs, and what is in the log.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use tacho_log::checkpoint::Checkpoint;
use tacho_log::note::Note;
use tacho_log::{DataDir, LogDir, ask_status};

use crate::args::Json;
use crate::connect;
use crate::error::{CliError, Exit, Result};
use crate::place;
use crate::terminal::{Colour, Output, escape};

pub(crate) fn run(dir: Option<&Path>, args: &Json) -> Result<ExitCode> {
    let path = place::data_path(dir)?;
    let recorder = recorder(&path)?;
    let log = LogDir::at(&path).ok();
    let sealed = log.as_ref().and_then(sealed_size);
    let bytes = log.as_ref().map(|log| size_of(&log.segments()));
    let mut out = Output::words(args.json);
    let status = json!({
        "dir": path.display().to_string(),
        "recorder": recorder,
        "sealed_records": sealed,
        "segment_bytes": bytes,
        "free_bytes": tacho_log::room(&path).ok().map(|room| room.free),
    });
    super::printed(if out.is_human() {
        print(&mut out, &status)
    } else {
        out.line(&status.to_string())
    })?;
    Ok(Exit::Ok.into())
}

/// The running recorder's own words; `Null` when none runs.
pub(crate) fn recorder(path: &Path) -> Result<Value> {
    let Ok(dir) = DataDir::open(path) else {
        return Ok(Value::Null);
    };
    match connect::connect(&dir) {
        Ok(stream) => ask_status(stream)
            .map_err(|error| CliError::from_error(Exit::Unable, "asking the recorder", &error)),
        Err(error) if connect::is_absent(&error) => Ok(Value::Null),
        Err(error) => Err(CliError::from_error(
            Exit::Unable,
            "reaching the recorder",
            &error,
        )),
    }
}

fn print(out: &mut Output, status: &Value) -> std::io::Result<()> {
    let text = |value: &Value| escape(value.as_str().unwrap_or("unknown"));
    let number = |value: &Value| {
        value
            .as_u64()
            .map_or_else(|| "unknown".to_owned(), |n| n.to_string())
    };
    out.line(&format!("data directory  {}", text(&status["dir"])))?;
    let recorder = &status["recorder"];
    if recorder.is_null() {
        let none = out.paint(
            Colour::Dim,
            "not running; tacho run starts one when it is needed",
        );
        out.line(&format!("recorder        {none}"))?;
        out.line(&format!(
            "sealed          {} records",
            number(&status["sealed_records"])
        ))?;
    } else {
        let running = out.paint(Colour::Green, "running");
        let (pid, up) = (
            number(&recorder["pid"]),
            number(&recorder["uptime_seconds"]),
        );
        out.line(&format!("recorder        {running}, pid {pid}, for {up} s"))?;
        out.line(&format!("log             {}", text(&recorder["origin"])))?;
        let (records, sealed) = (number(&recorder["records"]), number(&recorder["sealed"]));
        out.line(&format!(
            "records         {records}, of which {sealed} are sealed"
        ))?;
        let (sources, open) = (
            number(&recorder["sources"]),
            number(&recorder["open_calls"]),
        );
        out.line(&format!(
            "sources         {sources} connected, {open} calls without an outcome"
        ))?;
        let tampered = recorder["tamper_suspected"].as_u64().unwrap_or(0);
        if tampered > 0 {
            let what =
                format!("somebody touched the log's files, {tampered} times; see: tacho tail");
            out.line(&format!(
                "tampering       {}",
                out.paint(Colour::Red, &what)
            ))?;
        }
    }
    let space = match recorder["space"].as_str() {
        Some("low") => ", which is too little (see [space] in docs/configuration.md)",
        Some("warn") => ", which is little",
        _ => "",
    };
    let free = number(&status["free_bytes"]);
    out.line(&format!("free            {free} bytes{space}"))?;
    out.line(&format!(
        "segments        {} bytes",
        number(&status["segment_bytes"])
    ))
}

/// What the newest checkpoint says it covers; unverified, `tacho verify` does that.
fn sealed_size(log: &LogDir) -> Option<u64> {
    let note = Note::parse(&std::fs::read(log.checkpoint()).ok()?).ok()?;
    Some(Checkpoint::parse(note.text()).ok()?.size())
}

fn size_of(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .sum()
}
