//! `tacho redact test` and `tacho redact hash`: seeing what redaction does.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tacho_event::limits::{BODY_BYTES, KEPT_JSON_BYTES};
use tacho_event::{DigestKey, Engine, Options, Report};
use tacho_log::DataDir;

use crate::args::Redact;
use crate::error::{CliError, Exit, Result};
use crate::keys;
use crate::place;
use crate::terminal::{Colour, Output, escape};

/// What is read from stdin at most: as much as the largest MCP message that peers accept.
const INPUT_BYTES: u64 = 16 * 1024 * 1024;

pub(crate) fn run(dir: Option<&Path>, args: Redact) -> Result<ExitCode> {
    match args {
        Redact::Test { value, json } => test(&input(value)?, json),
        Redact::Hash { value } => hash(dir, input(value)?.trim_end_matches('\n')),
    }
}

fn input(value: Option<String>) -> Result<String> {
    if let Some(value) = value.filter(|value| value != "-") {
        return Ok(value);
    }
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(INPUT_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| {
            CliError::from_error(Exit::Usage, "cannot read the value from stdin", &error)
        })?;
    Ok(text)
}

/// Shows the redacted form and every finding. The key does not matter: no digest is shown.
fn test(value: &str, as_json: bool) -> Result<ExitCode> {
    let mut engine = Engine::new(&Options::default(), DigestKey::new([0; 32]));
    let mut report = Report::with_findings();
    let mut redacted = Vec::new();
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok();
    let kept = if is_json {
        engine.json(
            value.as_bytes(),
            &mut redacted,
            KEPT_JSON_BYTES.min(BODY_BYTES),
            &mut report,
        )
    } else {
        let mut text = String::new();
        engine.text(value, &mut text, &mut report);
        redacted = text.into_bytes();
        true
    };
    let redacted = String::from_utf8_lossy(&redacted).into_owned();
    let mut out = Output::words(as_json);
    super::printed(if out.is_human() {
        print(&mut out, &redacted, kept, &report)
    } else {
        out.line(&as_report(&redacted, kept, is_json, &report).to_string())
    })?;
    Ok(Exit::Ok.into())
}

fn print(out: &mut Output, redacted: &str, kept: bool, report: &Report) -> std::io::Result<()> {
    if kept {
        out.line(&escape(redacted))?;
    } else {
        out.line("(too large for a record: left out, its digest and length kept)")?;
    }
    for finding in report.findings() {
        let path = if finding.path.is_empty() {
            "(whole value)"
        } else {
            &finding.path
        };
        let rule = out.paint(Colour::Yellow, finding.rule);
        out.line(&format!(
            "  {}  {}  by rule {rule}",
            escape(path),
            escape(&finding.placeholder)
        ))?;
    }
    for (path, bytes) in report.truncated() {
        out.line(&format!("  {}  cut, {bytes} bytes long", escape(path)))?;
    }
    let removed = report.removed();
    out.line(&out.paint(
        Colour::Bold,
        &format!("{removed} value{} removed", plural(removed)),
    ))
}

const fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn as_report(redacted: &str, kept: bool, is_json: bool, report: &Report) -> serde_json::Value {
    let findings: Vec<_> = report
        .findings()
        .iter()
        .map(|one| json!({"path": one.path, "rule": one.rule, "placeholder": one.placeholder}))
        .collect();
    let shown = if is_json {
        serde_json::from_str(redacted).ok()
    } else {
        Some(json!(redacted))
    };
    json!({"kept": kept, "redacted": shown.filter(|_| kept), "removed": report.removed(), "findings": findings})
}

/// The suffixes by which `--correlate` marks this value, one for each kind of placeholder.
fn hash(dir: Option<&Path>, value: &str) -> Result<ExitCode> {
    let path = place::data_path(dir)?;
    let dir = DataDir::open(&path)
        .map_err(|error| CliError::from_error(Exit::Unable, "the data directory", &error))?;
    let key = keys::load_digest_key(&dir)?;
    let mut out = Output::new(false);
    let options = Options {
        correlate: true,
        ..Options::default()
    };
    for placeholder in Engine::new(&options, key).placeholders(value) {
        super::printed(out.line(&placeholder))?;
    }
    Ok(Exit::Ok.into())
}
