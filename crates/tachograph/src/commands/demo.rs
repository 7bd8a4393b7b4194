//! `tacho demo`: the whole of it in a temporary directory, with nothing but this program.

mod agent;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use tacho_event::ParsedRecord;
use tacho_log::LogDir;
use tacho_log::reader::Reader;

use crate::args::Demo;
use crate::error::{CliError, Exit, Result};
use crate::render;
use crate::terminal::{Colour, Output};
use crate::{keys, terminal};

pub(crate) fn server(root: &Path) -> Result<ExitCode> {
    tacho_tools::demo_server::run(root)
        .map_err(|error| CliError::from_error(Exit::Unable, "the demo server", &error))?;
    Ok(Exit::Ok.into())
}

pub(crate) fn run(args: &Demo) -> Result<ExitCode> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::from_error(Exit::Unable, "the path of this program", &error))?;
    let [a, b, c, d] = keys::entropy()?;
    let root = std::env::temp_dir().join(format!("tacho-demo-{a:02x}{b:02x}{c:02x}{d:02x}"));
    std::fs::create_dir_all(root.join("files")).map_err(|error| failed(&error))?;
    let demo = Scene {
        program,
        data: root.join("data"),
        files: root.join("files"),
    };
    let played = demo.play();
    // A recorder must not outlive its directory; if it is gone already, so much the better.
    drop(
        demo.tacho(&["serve", "--stop"])
            .stderr(Stdio::null())
            .status(),
    );
    if args.keep {
        terminal::message(&format!("kept: {}", root.display()));
    } else {
        std::fs::remove_dir_all(&root).map_err(|error| failed(&error))?;
    }
    played
}

struct Scene {
    program: PathBuf,
    data: PathBuf,
    files: PathBuf,
}

impl Scene {
    /// The demo, top to bottom.
    fn play(&self) -> Result<ExitCode> {
        let mut out = Output::words(false);
        say(
            &mut out,
            "1  An agent works with an MCP server. Each call is recorded before it runs.",
        )?;
        let steps = agent::work(self.server()).map_err(|error| failed(&error))?;
        for step in steps {
            say(&mut out, &format!("     {step}"))?;
        }
        say(&mut out, "     slow → killed in mid-call")?;
        agent::die_in_mid_call(self.server()).map_err(|error| failed(&error))?;
        let stopped = self
            .tacho(&["serve", "--stop"])
            .status()
            .map_err(|error| failed(&error))?;
        if !stopped.success() {
            return Err(CliError::new(
                Exit::Unable,
                "the recorder did not close the log",
            ));
        }

        say(&mut out, "\n2  What the log says (tacho tail):")?;
        let log = LogDir::at(&self.data).map_err(|error| failed(&error))?;
        let calls = self.show_calls(&mut out, &log)?;

        say(
            &mut out,
            "\n3  The leaked token is not in it; what was removed, and why, is (tacho show):",
        )?;
        self.show_redacted(&mut out, &calls)?;

        say(
            &mut out,
            "\n4  Anyone with the public key can check it (tacho verify):",
        )?;
        let intact = self.verify(&mut out)?;

        say(
            &mut out,
            "\n5  Somebody edits the log: `delete_file` becomes `create_file`. tacho verify again:",
        )?;
        tamper(&log)?;
        let tampered = self.verify(&mut out)?;
        if intact != Some(0) || tampered != Some(1) {
            return Err(
                CliError::new(Exit::Failed, "the demo did not go as it should")
                    .hint("run it again with --keep and look at the log"),
            );
        }
        self.next_steps(&mut out)?;
        Ok(Exit::Ok.into())
    }

    fn tacho(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--dir").arg(&self.data).args(args);
        command
    }

    /// The demo server under `tacho run`, as a client's configuration would start it.
    fn server(&self) -> Command {
        let mut command = self.tacho(&["run", "--name", "files", "--"]);
        command
            .arg(&self.program)
            .arg("demo-server")
            .arg(&self.files);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    /// Prints the calls and how the session began and ended; returns their records.
    fn show_calls(&self, out: &mut Output, log: &LogDir) -> Result<Vec<ParsedRecord>> {
        let records = Reader::new(log).records_from(0);
        let mut shown = Vec::new();
        for record in records {
            let (_, line) = record.map_err(|error| failed(&error))?;
            let record = ParsedRecord::parse(&line).map_err(|error| failed(&error))?;
            if matches!(
                record.kind.as_str(),
                "tool_call" | "interrupted" | "tool_definitions_changed"
            ) {
                say(out, &render::line(out, &record))?;
                shown.push(record);
            }
        }
        Ok(shown)
    }

    fn show_redacted(&self, out: &mut Output, calls: &[ParsedRecord]) -> Result<()> {
        let leak = calls
            .iter()
            .find(|record| record.stage.as_deref() == Some("intent") && record.redaction.is_some());
        let Some(leak) = leak else {
            return Err(CliError::new(
                Exit::Failed,
                "the demo's leak was not noticed",
            ));
        };
        for (name, value) in render::members(leak) {
            if matches!(name, "tool" | "args" | "redaction") {
                say(out, &format!("     {name:10} {value}"))?;
            }
        }
        Ok(())
    }

    fn verify(&self, out: &mut Output) -> Result<Option<i32>> {
        let output = self
            .tacho(&["verify"])
            .output()
            .map_err(|error| failed(&error))?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            say(out, &format!("     {line}"))?;
        }
        Ok(output.status.code())
    }

    fn next_steps(&self, out: &mut Output) -> Result<()> {
        let title = out.paint(Colour::Bold, "\nNext:");
        say(out, &title)?;
        say(
            out,
            "  tacho install claude-code --dry-run   see what recording your own servers would change",
        )?;
        say(
            out,
            "  tacho run -- COMMAND                  record one server",
        )?;
        say(out, "  tacho tail -f                         watch")?;
        say(
            out,
            "  tacho doctor                          check this machine",
        )
    }
}

fn say(out: &mut Output, line: &str) -> Result<()> {
    crate::commands::printed(out.line(line))
}

/// Edits the record of the deletion in place, as somebody with access to the disk would.
fn tamper(log: &LogDir) -> Result<()> {
    let segments = std::fs::read_dir(log.segments()).map_err(|error| failed(&error))?;
    for segment in segments {
        let path = segment.map_err(|error| failed(&error))?.path();
        let bytes = std::fs::read(&path).map_err(|error| failed(&error))?;
        if let Some(at) = memchr::memmem::find(&bytes, b"\"tool\":\"delete_file\"") {
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .map_err(|error| failed(&error))?;
            let at = u64::try_from(at + 8).unwrap_or(0);
            return std::os::unix::fs::FileExt::write_all_at(&file, b"create", at)
                .map_err(|error| failed(&error));
        }
    }
    Err(CliError::new(
        Exit::Failed,
        "the demo's deletion is not in the log",
    ))
}

fn failed(error: &dyn std::error::Error) -> CliError {
    CliError::from_error(Exit::Unable, "the demo", error)
}
