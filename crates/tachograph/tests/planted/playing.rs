//! Plays a session through the real binary, and listens on the way to the recorder.

use std::io::{Read, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A side waits this long for a line of the other: far more than a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The bytes of one line and how many lines of the other side it waits for.
pub(crate) struct Said {
    pub(crate) bytes: Vec<u8>,
    pub(crate) after: usize,
}

/// A session in bytes, and what goes with it.
pub(crate) struct Script {
    pub(crate) client: Vec<Said>,
    pub(crate) server: Vec<Said>,
    /// What the server writes to standard error.
    pub(crate) stderr: Vec<u8>,
    /// More arguments of the server's command.
    pub(crate) arguments: Vec<String>,
    /// `--name`.
    pub(crate) name: String,
}

/// A data directory under the test's own, with a recorder that `tacho run` has started.
pub(crate) struct Place {
    pub(crate) root: tempfile::TempDir,
    heard: Arc<Mutex<Vec<u8>>>,
}

pub(crate) fn tacho() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.env_remove("TACHO_DIR");
    command
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self {
            root,
            heard: Arc::default(),
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// Makes the data directory with this `config.toml` in it.
    pub(crate) fn configure(&self, config: &str) {
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(self.data())
            .unwrap();
        write(&self.data().join("config.toml"), config.as_bytes());
    }

    /// Everything that went between the sources and the recorder, both ways.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }

    /// Has `tacho run` start a recorder, then moves its socket aside (a socket keeps what it is bound to) and listens
    /// in its place, passing every byte on: so the real recorder serves, and nothing reaches it unheard.
    pub(crate) fn listen_in(&self) {
        let started = tacho()
            .arg("run")
            .arg("--dir")
            .arg(self.data())
            .args(["--", "true"])
            .output()
            .unwrap();
        assert!(
            started.status.success(),
            "{}",
            String::from_utf8_lossy(&started.stderr)
        );
        let socket = self.data().join("recorder.sock");
        let aside = self.root.path().join("aside.sock");
        #[expect(
            clippy::disallowed_methods,
            reason = "a socket has no contents to be durable"
        )]
        std::fs::rename(&socket, &aside).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let heard = Arc::clone(&self.heard);
        thread::spawn(move || {
            for source in listener.incoming() {
                let source = source.unwrap();
                let recorder = UnixStream::connect(&aside).unwrap();
                copy(
                    source.try_clone().unwrap(),
                    recorder.try_clone().unwrap(),
                    Arc::clone(&heard),
                );
                copy(recorder, source, Arc::clone(&heard));
            }
        });
    }

    /// Ends the recorder; the log is closed and sealed when this returns.
    pub(crate) fn close(&self) {
        let stopped = tacho()
            .arg("serve")
            .arg("--stop")
            .arg("--dir")
            .arg(self.data())
            .output()
            .unwrap();
        assert!(
            stopped.status.success(),
            "{}",
            String::from_utf8_lossy(&stopped.stderr)
        );
        let deadline = Instant::now() + PATIENCE;
        while !self.verify().status.success() {
            assert!(
                Instant::now() < deadline,
                "{}",
                String::from_utf8_lossy(&self.verify().stdout)
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn verify(&self) -> Output {
        tacho()
            .arg("verify")
            .arg("--dir")
            .arg(self.data())
            .output()
            .unwrap()
    }
}

fn copy(mut from: UnixStream, mut to: UnixStream, heard: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let bytes = buffer.get(..length).unwrap();
            heard.lock().unwrap().extend_from_slice(bytes);
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        drop(to.shutdown(std::net::Shutdown::Both));
    });
}

/// Plays `script` and checks that every byte arrived as it was sent, in both directions and on standard error.
pub(crate) fn play(place: &Place, label: &str, script: &Script, flags: &[&str]) {
    let own = place.root.path().join(format!("session-{label}"));
    std::fs::create_dir(&own).unwrap();
    let [plan, received, errors] = ["plan", "received", "stderr"].map(|name| own.join(name));
    write(&plan, &written_plan(&script.server));
    write(&errors, &script.stderr);
    let replay = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/planted/replay.py");
    let mut child = tacho()
        .arg("run")
        .arg("--dir")
        .arg(place.data())
        .args(["--name", &script.name])
        .args(flags)
        .arg("--")
        .arg("python3")
        .arg(replay)
        .args([&plan, &received, &errors])
        .args(&script.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let arrived = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
    let stdout = child.stdout.take().unwrap();
    let reader = thread::spawn({
        let arrived = Arc::clone(&arrived);
        move || read_all(stdout, &arrived)
    });
    let mut stderr = child.stderr.take().unwrap();
    let messages = thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).unwrap();
        text
    });
    let mut stdin = child.stdin.take().unwrap();
    for (at, said) in script.client.iter().enumerate() {
        wait_for(&arrived, said.after, label, at);
        stdin.write_all(&said.bytes).unwrap();
    }
    wait_for(&arrived, script.server.len(), label, script.client.len());
    drop(stdin);
    let status = child.wait().unwrap();
    reader.join().unwrap();
    let messages = messages.join().unwrap();
    same(label, "standard error", &script.stderr, &messages);
    same(
        label,
        "server to client",
        &joined(&script.server),
        &arrived.0.lock().unwrap(),
    );
    same(
        label,
        "client to server",
        &joined(&script.client),
        &std::fs::read(&received).unwrap(),
    );
    assert!(status.success(), "{label}: {status}");
}

type Arrived = (Mutex<Vec<u8>>, Condvar);

fn read_all(mut from: impl Read, (bytes, news): &Arrived) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        bytes
            .lock()
            .unwrap()
            .extend_from_slice(buffer.get(..length).unwrap());
        news.notify_all();
    }
}

fn wait_for((bytes, news): &Arrived, lines: usize, label: &str, at: usize) {
    let bytes = bytes.lock().unwrap();
    let short = |bytes: &mut Vec<u8>| bytes.iter().filter(|byte| **byte == b'\n').count() < lines;
    let (bytes, timeout) = news.wait_timeout_while(bytes, PATIENCE, short).unwrap();
    assert!(
        !timeout.timed_out(),
        "{label}: line {at} waits for {lines} lines, {} bytes came",
        bytes.len()
    );
}

fn written_plan(server: &[Said]) -> Vec<u8> {
    let mut plan = Vec::new();
    for said in server {
        plan.extend_from_slice(format!("{} {}\n", said.after, said.bytes.len()).as_bytes());
        plan.extend_from_slice(&said.bytes);
    }
    plan
}

fn joined(lines: &[Said]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|said| said.bytes.iter().copied())
        .collect()
}

fn same(label: &str, what: &str, sent: &[u8], arrived: &[u8]) {
    let at = sent.iter().zip(arrived).take_while(|(a, b)| a == b).count();
    let around = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes.get(at.saturating_sub(60)..).unwrap_or_default())
            .chars()
            .take(200)
            .collect::<String>()
    };
    assert!(
        sent == arrived,
        "{label}: {what}: {} and {} bytes, first difference at {at}:\n  {}\n  {}",
        sent.len(),
        arrived.len(),
        around(sent),
        around(arrived)
    );
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::File::create(path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}
