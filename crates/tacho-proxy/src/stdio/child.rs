//! The server's process.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::RunError;

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

impl Status {
    /// The exit code to end with, as shells put it: the server's own, or 128 and the signal.
    pub const fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128 + signal,
        }
    }

    pub(super) const fn detail(self) -> (&'static str, i32) {
        match self {
            Self::Exited(code) => ("exit_code", code),
            Self::Signaled(signal) => ("signal", signal),
        }
    }

    pub(super) fn words(self) -> String {
        match self {
            Self::Exited(code) => format!("exited with status {code}"),
            Self::Signaled(signal) => format!("was ended by signal {signal}"),
        }
    }

    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, signal) => Self::Signaled(signal.unwrap_or(0)),
        }
    }
}

/// A running server. It stays in our process group: a client that signals or kills the group, and a
/// terminal, reach it as they would without us. In a group of its own, a group killed with SIGKILL
/// would leave it behind.
pub(super) struct Child {
    pid: Pid,
    /// Locked while a signal is sent, so that none goes to a process id that is someone else's.
    process: Mutex<Process>,
}

struct Process {
    child: std::process::Child,
    status: Option<Status>,
}

/// The server with the pipes to it. Environment, working directory and stderr are ours, untouched.
pub(super) fn spawn(
    command: &OsStr,
    args: &[OsString],
) -> Result<(Child, OwnedFd, OwnedFd), RunError> {
    let named = || command.to_string_lossy().into_owned();
    let spawned = Command::new(command)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            RunError::NotFound { command: named() }
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            RunError::NotPermitted { command: named() }
        } else {
            RunError::Spawn {
                command: named(),
                source,
            }
        }
    })?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (Some((stdin, stdout)), Some(pid)) = (pipes, pid) else {
        let source = io::Error::other("the operating system gave no pipes or no process id");
        return Err(RunError::Spawn {
            command: named(),
            source,
        });
    };
    let process = Mutex::new(Process {
        child,
        status: None,
    });
    Ok((Child { pid, process }, stdin.into(), stdout.into()))
}

impl Child {
    pub(super) const fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits until it has ended.
    pub(super) fn wait(&self) -> Status {
        // Without reaping it, so that the process id stays ours until the lock is held.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) =
            rustix::process::waitid(WaitId::Pid(self.pid), options)
        {}
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = process.status {
            return status;
        }
        // Who set SIGCHLD to be ignored before starting us has the status thrown away.
        let status = process.child.wait().map_or(Status::Exited(0), Status::of);
        process.status = Some(status);
        status
    }

    /// Sends a signal, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if process.status.is_none() {
            // It may have ended a moment ago; then there is nothing left to tell it.
            rustix::process::kill_process(self.pid, signal).unwrap_or_default();
        }
    }
}

/// Whether the terminal has sent its interrupt to the server too: it goes to the whole group in its
/// foreground, and once is enough.
pub(super) fn in_foreground() -> bool {
    let foreground = rustix::termios::tcgetpgrp(rustix::stdio::stderr());
    foreground.is_ok_and(|group| group == rustix::process::getpgrp())
}
