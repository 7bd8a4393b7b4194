//! `tacho doctor`: what would keep calls from being recorded, found before it happens.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;
use tacho_log::{Connect as _, ConnectError, DataDir, ask_status};

use crate::args::Json;
use crate::config::{self, Loaded};
use crate::connect::OnDemand;
use crate::error::{CliError, Exit, Result};
use crate::place;
use crate::terminal::{Colour, Output, escape};

/// A recorder starts within milliseconds; one that needs longer than this is in trouble.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// The finding of one check.
struct Check {
    name: &'static str,
    ok: bool,
    says: String,
}

pub(crate) fn run(dir: Option<&Path>, args: &Json) -> Result<ExitCode> {
    let path = place::data_path(dir)?;
    let mut checks = Vec::new();
    match DataDir::create(&path) {
        Err(error) => checks.push(Check {
            name: "data directory",
            ok: false,
            says: error.to_string(),
        }),
        Ok(dir) => {
            let says = format!("{} is ours alone", path.display());
            checks.push(Check {
                name: "data directory",
                ok: true,
                says,
            });
            let config = config::load(&dir);
            checks.push(space(&path, config.as_ref().ok()));
            checks.push(configuration(config.as_ref()));
            checks.push(recorder(dir)?);
        }
    }
    checks.push(clock());
    if let Ok(log) = tacho_log::LogDir::at(&path) {
        let (ok, says) = super::verify::check(&log);
        checks.push(Check {
            name: "log",
            ok,
            says,
        });
    }
    let all_ok = checks.iter().all(|check| check.ok);
    let mut out = Output::words(args.json);
    super::printed(print(&mut out, &checks))?;
    Ok(if all_ok { Exit::Ok } else { Exit::Failed }.into())
}

fn print(out: &mut Output, checks: &[Check]) -> std::io::Result<()> {
    if !out.is_human() {
        let checks: Vec<_> = checks
            .iter()
            .map(|check| json!({"check": check.name, "ok": check.ok, "says": check.says}))
            .collect();
        return out.line(&json!({ "checks": checks }).to_string());
    }
    for check in checks {
        let mark = if check.ok {
            out.paint(Colour::Green, "ok  ")
        } else {
            out.paint(Colour::Red, "FAIL")
        };
        out.line(&format!(
            "{mark}  {:15} {}",
            check.name,
            escape(&check.says)
        ))?;
    }
    Ok(())
}

fn configuration(config: Result<&Loaded, &CliError>) -> Check {
    let (ok, says) = match config {
        Ok(Loaded { digest: None, .. }) => (true, "none; everything has its default".to_owned()),
        Ok(Loaded { rules, .. }) => (true, format!("{} rules", rules.len())),
        Err(error) => (false, error.to_string()),
    };
    Check {
        name: "configuration",
        ok,
        says,
    }
}

/// By the thresholds of the recorder.
fn space(path: &Path, config: Option<&Loaded>) -> Check {
    let name = "disk space";
    let options = config.map_or_else(Default::default, |loaded| loaded.config.space());
    match tacho_log::room(path) {
        Ok(room) => {
            let warn = options.warn.bytes(room.total);
            let mib = |bytes: u64| bytes / 1024 / 1024;
            let says = format!(
                "{} MiB free; less than {} is little",
                mib(room.free),
                mib(warn)
            );
            Check {
                name,
                ok: room.free >= warn,
                says,
            }
        }
        Err(error) => Check {
            name,
            ok: false,
            says: error.to_string(),
        },
    }
}

/// Reaches a recorder the way `tacho run` does.
fn recorder(dir: DataDir) -> Result<Check> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::from_error(Exit::Unable, "the path of this program", &error))?;
    let mut connect = OnDemand::new(dir, program);
    let deadline = Instant::now() + START_PATIENCE;
    let name = "recorder";
    loop {
        match connect.connect() {
            Ok(stream) => {
                return Ok(match ask_status(stream) {
                    Ok(status) => {
                        let records = status.get("records").and_then(serde_json::Value::as_u64);
                        let tampered = status.get("tamper_suspected");
                        let tampered = tampered.and_then(serde_json::Value::as_u64);
                        let ok = tampered.unwrap_or(0) == 0;
                        let mut says = format!("answers; {} records", records.unwrap_or(0));
                        if !ok {
                            says.push_str(
                                "; somebody touched the log's files: see tamper_suspected",
                            );
                        }
                        Check { name, ok, says }
                    }
                    Err(error) => Check {
                        name,
                        ok: false,
                        says: error.to_string(),
                    },
                });
            }
            Err(ConnectError::NotYet(_)) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => {
                return Ok(Check {
                    name,
                    ok: false,
                    says: error.to_string(),
                });
            }
        }
    }
}

/// A clock before the day this was built would date every record wrongly.
fn clock() -> Check {
    let now = tacho_log::Clock::now(&tacho_log::SystemClock);
    Check {
        name: "clock",
        ok: now.day().as_str() >= "2026-11-20",
        says: now.to_string(),
    }
}
