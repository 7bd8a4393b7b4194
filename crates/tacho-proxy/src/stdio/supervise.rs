//! How a session ends: who left first, what the other is told, and how long anyone waits.

use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::child::{self, Child, Status};
use super::door::{Door, Recording};
use super::outbox::Outbox;
use crate::exchange::Ending;
use crate::limits::{DRAIN_GRACE, EXIT_GRACE, FINISH_GRACE, TERM_GRACE};

/// How often the supervisor looks around while somebody is expected to leave.
const TICK: Duration = Duration::from_millis(50);

/// How long a server that has closed its output is given to exit before the client is told of it:
/// most do both at once, and then the last records come before the client's end of file.
const EXIT_FOLLOWS: Duration = Duration::from_millis(250);

/// What the threads report.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// The client has closed its end, or the server its input: nothing more goes to the server.
    ClientEnded,
    /// The client's other end is closed: nothing more reaches the client.
    ClientOutputGone,
    /// The server has closed its output, and all of it is observed.
    ServerOutputEnded,
    /// The server's process has ended.
    ServerExited(Status),
    /// We were sent a signal.
    Signal(i32),
}

struct Supervisor<'a, R: Recording> {
    door: &'a Door<R>,
    child: &'a Child,
    to_server: &'a Outbox<R::Ticket>,
    to_client: &'a Outbox<R::Ticket>,
    client_left: bool,
    client_deaf: bool,
    output_ended: Option<Instant>,
    exited: Option<Status>,
    /// When bytes last moved, or the client left, or the server exited.
    quiet_since: Instant,
    moved: u64,
    /// When the server was asked to leave, and how firmly.
    terminated: Option<Instant>,
    killed: bool,
}

/// Waits for the end, brings it about where the client has left, and writes the last records.
pub(super) fn supervise<R: Recording>(
    door: &Door<R>,
    child: &Child,
    to_server: &Outbox<R::Ticket>,
    to_client: &Outbox<R::Ticket>,
    happened: &Receiver<Happening>,
) -> Status {
    let mut supervisor = Supervisor {
        door,
        child,
        to_server,
        to_client,
        client_left: false,
        client_deaf: false,
        output_ended: None,
        exited: None,
        quiet_since: Instant::now(),
        moved: 0,
        terminated: None,
        killed: false,
    };
    let status = loop {
        let patience = supervisor.patience();
        match patience.map_or_else(
            || {
                happened
                    .recv()
                    .map_err(|RecvError| RecvTimeoutError::Disconnected)
            },
            |patience| happened.recv_timeout(patience),
        ) {
            Ok(happening) => supervisor.take(happening),
            Err(RecvTimeoutError::Timeout) => {}
            // Unreachable while the thread that waits for the process lives; it alone can tell us more.
            Err(RecvTimeoutError::Disconnected) => {
                supervisor.take(Happening::ServerExited(child.wait()));
            }
        }
        if let Some(status) = supervisor.look_around() {
            break status;
        }
    };
    supervisor.finish(status, happened);
    status
}

impl<R: Recording> Supervisor<'_, R> {
    /// How long nothing needs to be looked at; `None` is until something happens.
    const fn patience(&self) -> Option<Duration> {
        if self.client_left || self.exited.is_some() || self.output_ended.is_some() {
            Some(TICK)
        } else {
            None
        }
    }

    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::ClientEnded => self.client_leaves(),
            Happening::ClientOutputGone => {
                self.client_deaf = true;
                // Also reported when we closed it ourselves, because the server was done.
                if self.output_ended.is_none() {
                    self.client_leaves();
                }
            }
            Happening::ServerOutputEnded => self.output_ended = Some(Instant::now()),
            Happening::ServerExited(status) => {
                self.exited = Some(status);
                self.quiet_since = Instant::now();
            }
            Happening::Signal(number) => self.pass_on(number),
        }
    }

    fn client_leaves(&mut self) {
        self.client_left = true;
        self.quiet_since = Instant::now();
        // What was recorded still goes out; then the server sees the end of its input.
        self.to_server.close();
    }

    fn pass_on(&mut self, number: i32) {
        let Some(signal) = Signal::from_named_raw(number) else {
            return;
        };
        let from_terminal = matches!(signal, Signal::INT | Signal::QUIT) && child::in_foreground();
        if !from_terminal {
            self.child.signal(signal);
        }
        if signal == Signal::TERM && self.client_left {
            // The client will kill us next; the server must not outlive that.
            self.terminated.get_or_insert_with(Instant::now);
        }
    }

    /// What is due; the status when everything is over.
    fn look_around(&mut self) -> Option<Status> {
        let (moved, open) = self.door.activity();
        if moved != self.moved {
            self.moved = moved;
            self.quiet_since = Instant::now();
        }
        if let Some(status) = self.exited {
            // Another process may hold the server's output open; while it speaks, it is heard.
            let over = self.output_ended.is_some() || self.quiet_since.elapsed() >= DRAIN_GRACE;
            return over.then_some(status);
        }
        if self
            .output_ended
            .is_some_and(|since| since.elapsed() >= EXIT_FOLLOWS)
        {
            self.to_client.close();
        }
        if self.client_left {
            self.see_out(open);
        }
        None
    }

    /// The client has left: the server is given time while it does something for somebody, then asked
    /// to leave, then made to.
    fn see_out(&mut self, open: usize) {
        match self.terminated {
            None => {
                // Requests are open and the client still listens: it has only finished asking.
                let awaited = open > 0
                    && !self.client_deaf
                    && self.output_ended.is_none()
                    && !self.to_client.is_hung_up()
                    && !self.is_stuck();
                if !awaited && self.quiet_since.elapsed() >= EXIT_GRACE {
                    self.child.signal(Signal::TERM);
                    self.terminated = Some(Instant::now());
                }
            }
            Some(since) if !self.killed && since.elapsed() >= TERM_GRACE => {
                self.child.signal(Signal::KILL);
                self.killed = true;
            }
            Some(_) => {}
        }
    }

    /// Whether the recorder has let a frame wait so long that nothing will come of it.
    fn is_stuck(&self) -> bool {
        [self.to_server, self.to_client]
            .iter()
            .any(|outbox| outbox.is_stuck(FINISH_GRACE))
    }

    /// The server is gone and its output observed: the last records, then the client's end of file.
    fn finish(&mut self, status: Status, happened: &Receiver<Happening>) {
        let ending = Ending {
            client_left: self.client_left,
            server: status.words(),
        };
        let deadline = Instant::now() + FINISH_GRACE;
        let tickets = self.door.close(&ending, status.detail(), deadline);
        if self.door.may_wait() {
            for ticket in tickets {
                // A failure is counted by the recorder; there is nobody to refuse anything to.
                drop(R::wait(ticket, Some(deadline)));
            }
        }
        self.to_client.close();
        // A client may be slow to read the last answers; it is waited for as a pipe would, but not
        // past a signal to leave. A recorder that hangs is not: its frame is never forwarded.
        let mut leave_by = None;
        while !self.to_client.wait_gone(TICK) {
            while let Ok(happening) = happened.try_recv() {
                if matches!(happening, Happening::Signal(_)) {
                    leave_by.get_or_insert_with(|| Instant::now() + TERM_GRACE);
                }
            }
            if Instant::now() >= deadline && self.to_client.is_stuck(TICK) {
                return;
            }
            if leave_by.is_some_and(|by| Instant::now() >= by) {
                return;
            }
        }
    }
}
