//! Finding the recorder, or starting one.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tacho_log::{Connect, ConnectError, DataDir};

/// `sun_path` has 108 bytes, the last of them zero.
const SOCKET_PATH_BYTES: usize = 107;

/// `recorder.log` is begun anew past this size: it has a line for each start that failed.
const RECORDER_LOG_BYTES: u64 = 1024 * 1024;

/// A recorder that was started is not started again before this long.
const START_AGAIN: Duration = Duration::from_secs(2);

/// Connects to the recorder of a data directory and starts one in the background when there is none.
pub(crate) struct OnDemand {
    dir: DataDir,
    program: PathBuf,
    /// The one started last, until a connection shows that there is a recorder.
    started: Option<(Child, Instant)>,
    /// Length of `recorder.log` before that: what stands there was said by others.
    log_before: u64,
    /// Those started before, to be reaped when they end.
    earlier: Vec<Child>,
}

impl OnDemand {
    pub(crate) const fn new(dir: DataDir, program: PathBuf) -> Self {
        Self {
            dir,
            program,
            started: None,
            log_before: 0,
            earlier: Vec::new(),
        }
    }

    /// Starts a recorder, unless one was started just now. An error means that the one started just
    /// now ended by itself, which the next would too.
    fn start(&mut self) -> Result<(), ConnectError> {
        self.reap();
        if let Some((mut child, at)) = self.started.take() {
            match child.try_wait() {
                Ok(Some(status)) if !status.success() => {
                    let why = last_words(&self.dir.recorder_log(), self.log_before);
                    let why = why.unwrap_or_else(|unknown| {
                        format!("the recorder ended at once: {status}{unknown}")
                    });
                    return Err(ConnectError::Never(why));
                }
                // It saw that another recorder has the log.
                Ok(Some(_left)) => {}
                Ok(None) | Err(_) if at.elapsed() < START_AGAIN => {
                    self.started = Some((child, at));
                    return Ok(());
                }
                Ok(None) | Err(_) => self.earlier.push(child),
            }
        }
        let child = self.spawn().map_err(|error| {
            let program = self.program.display();
            ConnectError::Never(format!("cannot start a recorder ({program}): {error}"))
        })?;
        self.started = Some((child, Instant::now()));
        Ok(())
    }

    fn reap(&mut self) {
        self.earlier
            .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    fn spawn(&mut self) -> io::Result<Child> {
        if std::fs::metadata(self.dir.recorder_log())
            .is_ok_and(|log| log.len() > RECORDER_LOG_BYTES)
        {
            std::fs::remove_file(self.dir.recorder_log())?;
        }
        let mut log = OpenOptions::new();
        let log = log
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.dir.recorder_log())?;
        self.log_before = log.metadata()?.len();
        Command::new(&self.program)
            .arg("serve")
            .arg("--background")
            .arg("--dir")
            .arg(self.dir.root())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
    }
}

impl Connect for OnDemand {
    fn connect(&mut self) -> Result<UnixStream, ConnectError> {
        match connect(&self.dir) {
            Ok(stream) => {
                // Whatever ends from now on was a recorder at work, and another is to be started.
                self.earlier
                    .extend(self.started.take().map(|(child, _)| child));
                self.reap();
                Ok(stream)
            }
            Err(error) if is_absent(&error) => {
                self.start()?;
                Err(ConnectError::NotYet("the recorder is starting".to_owned()))
            }
            Err(error) => Err(ConnectError::Never(format!(
                "cannot reach the recorder: {error}"
            ))),
        }
    }
}

/// One end of a pair whose other end the recorder in this process has.
pub(crate) struct InProcess(pub(crate) Option<UnixStream>);

impl Connect for InProcess {
    fn connect(&mut self) -> Result<UnixStream, ConnectError> {
        self.0
            .take()
            .ok_or_else(|| ConnectError::Never("the recorder in this process ended".to_owned()))
    }
}

/// Whether the error means that nobody listens, as opposed to that we may not ask.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused
    )
}

/// Connects to a running recorder.
pub(crate) fn connect(dir: &DataDir) -> io::Result<UnixStream> {
    with_short_path(dir, |path| UnixStream::connect(path))
}

/// Binds the recorder's socket in place of one that a dead recorder left. The caller holds the
/// writer's lock, so nobody listens on that one any more.
pub(crate) fn bind(dir: &DataDir) -> io::Result<UnixListener> {
    match std::fs::remove_file(dir.socket()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // The directory is 0700, so nobody can connect before the mode is set.
    let listener = with_short_path(dir, |path| UnixListener::bind(path))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(dir.socket(), mode)?;
    Ok(listener)
}

/// A socket's path is limited; a long one is reached through the directory's descriptor.
fn with_short_path<T>(dir: &DataDir, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let socket = dir.socket();
    if socket.as_os_str().len() <= SOCKET_PATH_BYTES {
        return act(&socket);
    }
    let root = File::open(dir.root())?;
    let name = socket.file_name().unwrap_or_default();
    act(&Path::new("/proc/self/fd")
        .join(root.as_raw_fd().to_string())
        .join(name))
}

/// Why the recorder gave up: its last message, shortened, from where `recorder.log` ended before it was
/// started. The error is why there is none: on a full disk it could not say so there.
fn last_words(path: &Path, from: u64) -> Result<String, String> {
    let text = std::fs::read(path).map_err(|error| format!("; {}: {error}", path.display()))?;
    let said = usize::try_from(from).ok().and_then(|from| text.get(from..));
    let said = String::from_utf8_lossy(said.unwrap_or_default());
    let line = said
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("tacho: "));
    if let Some(line) = line {
        return Ok(line.chars().take(500).collect());
    }
    let mut log = OpenOptions::new();
    let note = log
        .append(true)
        .open(path)
        .and_then(|mut log| log.write_all(b"a recorder ended without a word\n"));
    Err(note.map_or_else(
        |error| format!("; its log cannot be written: {error}"),
        |()| String::new(),
    ))
}
