//! `tacho verify`: the whole log against its signed checkpoint.

use std::path::Path;
use std::process::ExitCode;

use tacho_event::Timestamp;
use tacho_log::key::VerifyingKey;
use tacho_log::verify::{
    EvidenceReport, Finding, KeyPolicy, Report, Verdict, VerifyOptions, verify,
};
use tacho_log::{Clock as _, DataDir, LogDir, SystemClock};

use crate::args::Verify;
use crate::error::{CliError, Exit, Result};
use crate::outside::read_policy;
use crate::terminal::{Colour, Output, escape};
use crate::{identities, place};

pub(crate) fn run(dir: Option<&Path>, args: &Verify) -> Result<ExitCode> {
    let log = place::readers_dir(dir)?;
    let (key, own_key) = match &args.key {
        Some(key) => (given_key("--key", key)?, false),
        None => (KeyPolicy::from(key_beside(&log)?), true),
    };
    let policy = args.policy.as_deref().map(read_policy).transpose()?;
    // A policy that lists this key vouches for it.
    let listed = policy
        .as_ref()
        .is_some_and(|policy| !policy.logs().is_empty());
    let own_key = own_key && !listed;
    let known = args
        .checkpoint
        .as_deref()
        .map(read_checkpoint)
        .transpose()?;
    let writer_running = has_writer(&place::data_path(dir)?);
    let report = verify(
        &log,
        key,
        &VerifyOptions {
            known,
            writer_running,
            not_before: args.max_age.map(ago),
            min_retention: args.min_retention,
            identities: identities::load(args.identity.as_deref())?,
            policy,
        },
    );
    let mut out = Output::words(args.json);
    super::printed(if out.is_human() {
        print(&mut out, &report, own_key)
    } else {
        out.line(&serde_json::json!({"key_from_log": own_key, "report": report}).to_string())
    })?;
    Ok(ExitCode::from(report.verdict.exit_code()))
}

/// The moment so many seconds before now.
fn ago(seconds: u64) -> Timestamp {
    let now = SystemClock.now().unix_nanos();
    Timestamp::from_unix_nanos(now.saturating_sub(seconds.saturating_mul(1_000_000_000)))
}

/// A verifier key, or a file with one or more.
pub(super) fn given_key(option: &str, given: &str) -> Result<KeyPolicy> {
    // A key never looks like a path that exists: it has a + and is long.
    let text = std::fs::read_to_string(given).unwrap_or_else(|_| given.to_owned());
    KeyPolicy::parse(&text).map_err(|error| {
        CliError::from_error(
            Exit::Usage,
            &format!("{option} is neither a verifier key nor a file with one, or with lines of VKEY FROM TO"),
            &error,
        )
        .hint("a key looks like NAME+HEX+BASE64; the log's owner prints it with: tacho key show")
    })
}

pub(super) fn key_beside(log: &LogDir) -> Result<VerifyingKey> {
    let path = log.vkey();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        CliError::from_error(
            Exit::Incomplete,
            &format!("cannot read {}", path.display()),
            &error,
        )
        .hint("give the key of the log's owner with --key")
    })?;
    VerifyingKey::parse(text.trim_end()).map_err(|error| {
        CliError::from_error(
            Exit::Failed,
            &format!("{} is not a key", path.display()),
            &error,
        )
    })
}

pub(super) fn read_checkpoint(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        CliError::from_error(
            Exit::Usage,
            &format!("cannot read {}", path.display()),
            &error,
        )
    })
}

/// Whether somebody holds the writer's lock. A copy of a log has none.
pub(super) fn has_writer(path: &Path) -> bool {
    DataDir::open(path).is_ok_and(|dir| dir.has_writer())
}

fn print(out: &mut Output, report: &Report, own_key: bool) -> std::io::Result<()> {
    for finding in &report.findings {
        print_finding(out, finding)?;
    }
    if report.more_findings > 0 {
        out.line(&format!("and {} more", report.more_findings))?;
    }
    let (colour, words) = match report.verdict {
        Verdict::Ok => (Colour::Green, "ok"),
        Verdict::Tampered => (Colour::Red, "TAMPERED"),
        Verdict::Incomplete => (Colour::Yellow, "incomplete"),
    };
    let verdict = out.paint(colour, words);
    let sealed = report.checkpoint_size.unwrap_or(0);
    let unsealed = report.unsealed;
    out.line(&format!(
        "{verdict}: {} records, {sealed} under the signed checkpoint, {unsealed} after it",
        report.records
    ))?;
    if report.minimum_index > 0 {
        let first = report.minimum_index;
        out.line(&format!(
            "records before {first} were removed by retention, as the log says"
        ))?;
    }
    if report.unread > 0 {
        out.line(&format!(
            "{} records are encrypted to others: their hashes are under the checkpoint, and they were not read",
            report.unread
        ))?;
    }
    for note in &report.notes {
        out.line(&format!("not checked: {}", escape(note)))?;
    }
    print_evidence(out, &report.evidence)?;
    out.line(&format!("log {}", escape(&report.origin)))?;
    if let Some(size) = report.cosigned_size {
        let names: Vec<_> = report
            .cosigners
            .iter()
            .map(|one| escape(&one.name))
            .collect();
        let names = names.join(", ");
        out.line(&format!("{size} records cosigned by {names}"))?;
    }
    if own_key {
        out.line(&format!(
            "key {} (from beside the log; compare it)",
            escape(&report.key)
        ))?;
    }
    Ok(())
}

fn print_evidence(out: &mut Output, evidence: &EvidenceReport) -> std::io::Result<()> {
    let EvidenceReport {
        kept,
        checked,
        erased,
        missing,
        unnamed,
    } = *evidence;
    if kept + erased + missing > 0 {
        out.line(&format!(
            "evidence: {kept} bodies kept, {checked} of them decrypted and checked, {erased} erased"
        ))?;
    }
    if unnamed > 0 {
        out.line(&format!(
            "evidence: {unnamed} files that no record names; retention removes them"
        ))?;
    }
    Ok(())
}

fn print_finding(out: &mut Output, finding: &Finding) -> std::io::Result<()> {
    let place = match (finding.seq, &finding.file) {
        (Some(seq), Some(file)) => format!("record {seq} in {}: ", escape(file)),
        (Some(seq), None) => format!("record {seq}: "),
        (None, Some(file)) => format!("{}: ", escape(file)),
        (None, None) => String::new(),
    };
    let colour = if finding.verdict == Verdict::Tampered {
        Colour::Red
    } else {
        Colour::Yellow
    };
    out.line(&out.paint(colour, &format!("{place}{}", escape(&finding.what))))
}

/// The same for `tacho doctor`: whether all is well, and what there is to say.
pub(super) fn check(log: &LogDir) -> (bool, String) {
    if !log.checkpoint().exists() {
        return (true, "nothing sealed yet".to_owned());
    }
    let key = match key_beside(log) {
        Ok(key) => key,
        Err(error) => return (false, error.to_string()),
    };
    let options = VerifyOptions {
        writer_running: true,
        ..VerifyOptions::default()
    };
    let report = verify(log, &key, &options);
    match report.findings.first() {
        None => (true, format!("{} records verified", report.records)),
        Some(finding) => (false, finding.what.clone()),
    }
}
