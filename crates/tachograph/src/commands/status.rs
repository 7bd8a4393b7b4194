//! `tacho status`: whether a recorder runs, and what is in the log.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tacho_event::ParsedRecord;
use tacho_log::checkpoint::Checkpoint;
use tacho_log::note::Note;
use tacho_log::reader::Reader;
use tacho_log::retention::read_holds;
use tacho_log::{DataDir, LogDir, ask_status, minimum_index};

use crate::args::Status;
use crate::config;
use crate::connect;
use crate::error::{CliError, Exit, Result};
use crate::outside::{self, Window};
use crate::place;
use crate::terminal::{Colour, Output, escape};

pub(crate) fn run(dir: Option<&Path>, args: &Status) -> Result<ExitCode> {
    let path = place::data_path(dir)?;
    let recorder = recorder(&path)?;
    let log = LogDir::at(&path).ok();
    let sealed = log.as_ref().and_then(sealed_size);
    let bytes = log.as_ref().map(|log| size_of(&log.segments()));
    let (policy, policy_words) = policy(&path);
    let oldest = log.as_ref().and_then(oldest);
    let minimum = log.as_ref().and_then(|log| minimum_index(log).ok());
    let holds = DataDir::open(&path).ok().map(|dir| read_holds(&dir));
    let holds = holds.and_then(Result::ok).map(|holds| holds.len());
    let window = outside::window(&path, &recorder)?;
    let mut out = Output::words(args.json);
    let status = json!({
        "dir": path.display().to_string(),
        "recorder": recorder,
        "sealed_records": sealed,
        "segment_bytes": bytes,
        "free_bytes": tacho_log::room(&path).ok().map(|room| room.free),
        "minimum_index": minimum,
        "oldest": oldest.as_ref().map(|record| &record.timestamp),
        "retention": policy,
        "holds": holds,
        "witnesses": window.witnesses,
        "loss_window_seconds": window.seconds,
    });
    super::printed(if out.is_human() {
        print(&mut out, &status)
            .and_then(|()| print_window(&mut out, &window))
            .and_then(|()| print_retention(&mut out, &status, &policy_words))
    } else {
        out.line(&status.to_string())
    })?;
    let is_over = |limit: u64| window.seconds.is_none_or(|seconds| seconds > limit);
    if args.max_loss_window.is_some_and(is_over) {
        return Ok(Exit::Failed.into());
    }
    Ok(Exit::Ok.into())
}

fn print_window(out: &mut Output, window: &Window) -> std::io::Result<()> {
    let words = match (window.witnesses, window.seconds) {
        (_, Some(0)) => "none: the newest records are held by witnesses".to_owned(),
        (_, Some(seconds)) => {
            format!("{seconds} s: a cut of what was recorded since would not be noticed outside")
        }
        (true, None) => out.paint(
            Colour::Yellow,
            "everything: no checkpoint is held by enough witnesses yet",
        ),
        (false, None) => out.paint(
            Colour::Dim,
            "everything: nothing is held outside (see docs/witness.md)",
        ),
    };
    out.line(&format!("loss window     {words}"))
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

/// What is kept for how long, as data and in words.
fn policy(path: &Path) -> (Value, String) {
    let Ok(dir) = DataDir::open(path) else {
        return (Value::Null, String::new());
    };
    match config::load(&dir) {
        Ok(loaded) => {
            let policy = loaded.config.retention.0;
            let seconds = |age: Duration| age.as_secs();
            let data = json!({
                "max_age_seconds": policy.max_age.map(seconds),
                "max_bytes": policy.max_bytes,
                "min_age_seconds": seconds(policy.min_age),
            });
            (data, config::retention::describe(&policy))
        }
        Err(_) => (Value::Null, "unknown: config.toml is unusable".to_owned()),
    }
}

fn oldest(log: &LogDir) -> Option<ParsedRecord> {
    let (_, record) = Reader::new(log).records_from(0).next()?.ok()?;
    ParsedRecord::parse(&record).ok()
}

fn print_retention(out: &mut Output, status: &Value, policy: &str) -> std::io::Result<()> {
    if let Some(oldest) = status["oldest"].as_str() {
        let minimum = status["minimum_index"].as_u64().unwrap_or(0);
        out.line(&format!(
            "oldest record   {}, number {minimum}",
            escape(oldest)
        ))?;
    }
    if policy.is_empty() {
        return Ok(());
    }
    let holds = match status["holds"].as_u64() {
        None => "; the holds cannot be read, so nothing is removed".to_owned(),
        Some(0) => String::new(),
        Some(holds) => format!("; {holds} holds (tacho hold list)"),
    };
    out.line(&format!("retention       {policy}{holds}"))?;
    let trouble = status.pointer("/recorder/retention/trouble");
    match trouble.and_then(Value::as_str) {
        Some(trouble) => out.line(&format!("                {}", escape(trouble))),
        None => Ok(()),
    }
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
