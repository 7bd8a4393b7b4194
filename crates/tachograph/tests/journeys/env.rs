//! A hermetic place to run `tacho` in, and a client that talks JSON lines to a server under `tacho run`.
//!
//! Nothing of the caller's environment gets in; every wait has a deadline; the recorder is stopped at
//! the end whatever happens.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tacho_log::LogDir;
use tacho_log::reader::Reader;
use tempfile::TempDir;

/// Longer than anything takes on a loaded machine; only a hang gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server in a few lines: answers each request with its own id, at once.
pub(crate) const ECHO: &str = r#"
while IFS= read -r line; do
    case $line in *'"id":'*) ;; *) continue ;; esac
    id=${line#*'"id":'}
    printf '{"jsonrpc":"2.0","id":%s,"result":{}}\n' "${id%%,*}"
done"#;

/// A temporary home and data directory.
pub(crate) struct Env {
    temporary: TempDir,
    dir: PathBuf,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Env {
    pub(crate) fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("data");
        Self::with(temporary, dir)
    }

    /// The same with a data directory elsewhere.
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self::with(tempfile::tempdir().unwrap(), dir)
    }

    fn with(temporary: TempDir, dir: PathBuf) -> Self {
        std::fs::create_dir(temporary.path().join("home")).unwrap();
        Self { temporary, dir }
    }

    pub(crate) fn data(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.temporary.path().join("home")
    }

    /// A path beside the data directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home())
            .current_dir(self.temporary.path());
        command
    }

    /// `tacho ARGS` with this environment's data directory.
    pub(crate) fn tacho<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Command {
        let mut command = self.bare();
        command.env("TACHO_DIR", &self.dir).args(args);
        command
    }

    /// Runs a command to its end with nothing on stdin.
    pub(crate) fn done<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Done {
        finish(self.tacho(args))
    }

    /// `tacho run OPTIONS -- sh -c SCRIPT`.
    pub(crate) fn session(&self, options: &[&str], script: &str) -> Session {
        self.serve(options, &["sh", "-c", script])
    }

    /// `tacho run OPTIONS -- SERVER`.
    pub(crate) fn serve(&self, options: &[&str], server: &[&str]) -> Session {
        let args: Vec<&str> = [&["run"], options, &["--"], server].concat();
        Session::start(self.tacho(&args))
    }

    /// The records of the log, oldest first.
    pub(crate) fn records(&self) -> Vec<Value> {
        let log = LogDir::at(&self.dir).unwrap();
        let records = Reader::new(&log).records_from(0);
        let records = records.map(|record| serde_json::from_slice(&record.unwrap().1).unwrap());
        records.collect()
    }

    /// Ends the recorder in order; the log is sealed then.
    pub(crate) fn stop(&self) {
        let done = self.done(&["serve", "--stop"]);
        assert!(done.status.success(), "{done:?}");
    }

    /// Ends the recorder and demands that the log is beyond reproach.
    pub(crate) fn stop_and_verify(&self) {
        self.stop();
        let verified = self.done(&["verify"]);
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    }

    /// The newest live segment.
    pub(crate) fn segment(&self) -> PathBuf {
        let segments = std::fs::read_dir(self.dir.join("log/segments")).unwrap();
        let paths = segments.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
            .max()
            .unwrap()
    }

    /// The process id of the running recorder.
    pub(crate) fn recorder(&self) -> Option<i32> {
        let done = self.done(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&done.stdout).ok()?;
        i32::try_from(status["recorder"]["pid"].as_i64()?).ok()
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        // A recorder must not outlive its directory; many tests have stopped it, or had none.
        let mut stop = self.tacho(&["serve", "--stop"]);
        drop(stop.stdout(Stdio::null()).stderr(Stdio::null()).status());
        // One that a killed source started may still wait for the lock: it would begin a new log.
        for pid in recorders_of(&self.dir) {
            kill(pid);
        }
    }
}

/// Processes with `--dir DIR` among their arguments.
fn recorders_of(dir: &Path) -> Vec<i32> {
    let dir = dir.as_os_str().as_encoded_bytes();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == dir)
    })
    .collect()
}

impl Done {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// What people must never see.
    pub(crate) fn civil(self) -> Self {
        for word in ["panicked", "RUST_BACKTRACE", "stack backtrace", "Os {"] {
            assert!(!self.stderr.contains(word), "{self:?}");
        }
        self
    }
}

/// Runs `command` to its end with nothing on stdin.
pub(crate) fn finish(command: Command) -> Done {
    Session::start(command).close()
}

/// One server under `tacho run`, and its client.
pub(crate) struct Session {
    pub(crate) child: Child,
    pub(crate) input: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    stderr: Option<JoinHandle<String>>,
}

impl Session {
    pub(crate) fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let (give, lines) = sync_channel(100_000);
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while stdout
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
                && give.send(std::mem::take(&mut line)).is_ok()
            {}
        });
        let stderr = std::thread::spawn(move || {
            let mut text = Vec::new();
            drop(stderr.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        Self {
            input: child.stdin.take(),
            child,
            lines,
            stderr: Some(stderr),
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Writes one line; a server that is gone does not matter here.
    pub(crate) fn send(&mut self, line: &str) {
        let mut bytes = line.as_bytes().to_vec();
        bytes.push(b'\n');
        if let Some(input) = &mut self.input {
            drop(input.write_all(&bytes));
        }
    }

    pub(crate) fn send_call(&mut self, id: &str) {
        self.send(&call(id));
    }

    /// The next line with its line feed; `None` when the server has said its last.
    pub(crate) fn line(&self) -> Option<Vec<u8>> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}"),
        }
    }

    pub(crate) fn message(&self) -> Value {
        let line = self.line().expect("a message");
        serde_json::from_slice(&line).unwrap()
    }

    /// Calls a tool and waits for the answer.
    pub(crate) fn call(&mut self, id: &str) -> Value {
        self.send_call(id);
        let answer = self.message();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Hangs up, and waits for the end of `tacho run`.
    pub(crate) fn close(mut self) -> Done {
        self.input = None;
        self.wait()
    }

    /// Waits for the end of `tacho run`.
    pub(crate) fn wait(mut self) -> Done {
        let mut stdout = Vec::new();
        while let Some(line) = self.line() {
            stdout.extend_from_slice(&line);
        }
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        };
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Done {
            status,
            stdout,
            stderr,
        }
        .civil()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Only after a failed assertion is there anything left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn call(id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{{"name":"count","arguments":{{"n":1}}}}}}"#
    )
}

/// Waits until `found` finds something.
pub(crate) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// SIGKILL, to a process that may be gone already.
pub(crate) fn kill(pid: i32) {
    signal(pid, rustix::process::Signal::KILL);
}

pub(crate) fn signal(pid: i32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        // Gone already: as good.
        rustix::process::kill_process(pid, signal).ok();
    }
}

pub(crate) fn of_type<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records
        .iter()
        .filter(|record| record["type"] == kind)
        .collect()
}
