//! The bare server: the least MCP server that a client and a proxy accept. It answers `tools/call` with a
//! text of the size of its argument, at once or, with `--delay-ms N`, N milliseconds after it came,
//! calls overlapping.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// More calls than any bench keeps in flight.
const QUEUED: usize = 1 << 16;

const TOOLS: &str = r#"{"tools":[{"name":"echo","description":"Echo","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}]}"#;
const OPENED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench-echo","version":"1"}}"#;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let delay = match (args.next().as_deref(), args.next().map(|ms| ms.parse())) {
        (None, _) => None,
        (Some("--delay-ms"), Some(Ok(ms))) => Some(Duration::from_millis(ms)),
        _ => return ExitCode::from(3),
    };
    match serve(delay) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(delay: Option<Duration>) -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 16, io::stdin());
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let Some(delay) = delay else {
        let (mut line, mut answer) = (String::new(), String::new());
        while input.read_line(&mut line)? > 0 {
            if reply(&line, &mut answer) {
                output.write_all(answer.as_bytes())?;
            }
            line.clear();
        }
        return Ok(());
    };
    let (queue, due): (SyncSender<(Instant, String)>, _) = sync_channel(QUEUED);
    let writer = std::thread::spawn(move || write_when_due(&due, output));
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let at = Instant::now() + delay;
        let mut answer = String::new();
        if reply(&line, &mut answer) && queue.send((at, answer)).is_err() {
            break;
        }
        line.clear();
    }
    drop(queue);
    writer
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))
}

fn write_when_due(due: &Receiver<(Instant, String)>, mut output: File) -> io::Result<()> {
    for (at, answer) in due {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        output.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// Writes the answer to `line`; false when it needs none. Looks for the two members by their text, which
/// is enough for the messages that the benches and the peers send, and costs nothing beside a pipe.
fn reply(line: &str, answer: &mut String) -> bool {
    let Some(id) = after(line, "\"id\":").and_then(|rest| rest.split([',', '}']).next()) else {
        return false;
    };
    let method = after(line, "\"method\":\"").and_then(|rest| rest.split('"').next());
    answer.clear();
    answer.push_str("{\"jsonrpc\":\"2.0\",\"id\":");
    answer.push_str(id);
    match method {
        Some("tools/call") => {
            answer.push_str(",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"");
            let text = after(line, "\"text\":\"").and_then(|rest| rest.split('"').next());
            answer.push_str(text.unwrap_or_default());
            answer.push_str("\"}]}}\n");
        }
        Some("initialize") => result(answer, OPENED),
        Some("tools/list") => result(answer, TOOLS),
        Some("ping") => result(answer, "{}"),
        _ => answer.push_str(",\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}\n"),
    }
    true
}

fn result(answer: &mut String, result: &str) {
    answer.push_str(",\"result\":");
    answer.push_str(result);
    answer.push_str("}\n");
}

fn after<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.split_once(mark).map(|(_, rest)| rest.trim_start())
}
