//! A client of lines: opens a session with a server and times its calls. Blocking, one thread, no
//! parsing, so that it adds the same few microseconds to everything.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::place::Result;

/// A session that takes longer than this hangs, and is ended.
const LIMIT: Duration = Duration::from_secs(300);

/// A server and how to start it.
pub(crate) struct Target {
    /// What the figures call it.
    pub(crate) name: String,
    /// Program and arguments.
    pub(crate) command: Vec<OsString>,
}

/// A running server and an open session with it.
pub(crate) struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    line: String,
    request: String,
    next_id: u64,
    /// From the start of the process to its first answer.
    pub(crate) opened_after: Duration,
    _watchdog: SyncSender<()>,
}

impl Target {
    /// `command` behind the programs and arguments of `before`.
    pub(crate) fn new(name: &str, before: &[OsString], command: &[OsString]) -> Self {
        Self {
            name: name.to_owned(),
            command: [before, command].concat(),
        }
    }
}

impl Session {
    /// Starts the server and opens a session.
    pub(crate) fn open(target: &Target) -> Result<Self> {
        let started = Instant::now();
        let (program, args) = target.command.split_first().ok_or("no command")?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes".into());
        };
        let mut session = Self {
            _watchdog: watch(child.id())?,
            child,
            input: Some(input),
            output: BufReader::with_capacity(1 << 16, output),
            line: String::new(),
            request: String::new(),
            next_id: 1,
            opened_after: Duration::ZERO,
        };
        session.send(concat!(
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
            r#""capabilities":{},"clientInfo":{"name":"tacho-bench","version":"1"}}}"#,
            "\n"
        ))?;
        session.receive()?;
        session.opened_after = started.elapsed();
        if !session.line.contains("serverInfo") {
            return Err(format!("{}: no session: {}", target.name, session.line).into());
        }
        session.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n")?;
        Ok(session)
    }

    /// One call, and how long it took. About 450 bytes go each way.
    pub(crate) fn call(&mut self) -> Result<Duration> {
        self.prepare();
        let request = std::mem::take(&mut self.request);
        let started = Instant::now();
        self.send(&request)?;
        self.receive()?;
        let took = started.elapsed();
        self.request = request;
        // Progress and the like would be timed as an answer.
        if !self.line.contains("\"content\"") {
            return Err(format!("not an answer: {}", self.line).into());
        }
        Ok(took)
    }

    /// `count` calls one after another, the first tenth not counted.
    pub(crate) fn calls(&mut self, count: usize) -> Result<Vec<Duration>> {
        for _ in 0..count / 10 {
            self.call()?;
        }
        (0..count).map(|_| self.call()).collect()
    }

    /// `count` calls with `callers` in flight, and how long they took together.
    pub(crate) fn pipelined(&mut self, count: usize, callers: usize) -> Result<Duration> {
        let started = Instant::now();
        for sent in 0..count + callers {
            if sent >= callers {
                self.receive()?;
            }
            if sent < count {
                self.prepare();
                let request = std::mem::take(&mut self.request);
                self.send(&request)?;
                self.request = request;
            }
        }
        Ok(started.elapsed())
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Closes the session and waits for the server to leave.
    pub(crate) fn close(mut self) -> Result<()> {
        drop(self.input.take());
        self.child.wait()?;
        Ok(())
    }

    fn prepare(&mut self) {
        self.request.clear();
        self.request.push_str(r#"{"jsonrpc":"2.0","id":"#);
        self.request.push_str(&self.next_id.to_string());
        self.request
            .push_str(r#","method":"tools/call","params":{"name":"echo","arguments":{"text":""#);
        self.request.push_str(TEXT);
        self.request.push_str("\"}}}\n");
        self.next_id += 1;
    }

    fn send(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().ok_or("closed")?;
        Ok(input.write_all(line.as_bytes())?)
    }

    fn receive(&mut self) -> Result<()> {
        self.line.clear();
        if self.output.read_line(&mut self.line)? == 0 {
            return Err("the server left".into());
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.input.take());
        if self.child.try_wait().is_ok_and(|left| left.is_none()) {
            // It may just have left; then there is nothing to end.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Ends `pid` when the returned sender still lives after [`LIMIT`].
fn watch(pid: u32) -> Result<SyncSender<()>> {
    let (alive, session) = sync_channel(0);
    let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("no pid")?;
    std::thread::spawn(move || {
        if session.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            // It may have left in this moment; then there is nothing to end.
            kill_process(pid, Signal::KILL).ok();
        }
    });
    Ok(alive)
}

const TEXT: &str = "The quarterly figures for the northern region were reviewed and the table of open orders \
    was sorted by date of delivery; three of them wait for a part that the supplier has promised for the \
    second week of the month, and the others can go out as soon as the carrier confirms the pick-up. Please \
    list the files of the project and read the notes";
