//! A server over stdio: starts it, sits in both pipes, sees it out.
//!
//! ```text
//! client ─► read_all ─► Door (observe, record) ─► Outbox ─► forward_queued ─► server
//!        ◄─ forward_queued ◄─ Outbox ◄─ Door (observe, record) ◄─ read_all ◄─
//! ```
//!
//! Four threads move bytes, one waits for the process, one for signals; `supervise` decides. Threads
//! that are stuck in a read or a write when the session is over are left behind: they hold nothing but
//! their own descriptor, and the process is about to end.

mod child;
mod door;
mod fd;
mod outbox;
mod refusal;
mod relay;
mod supervise;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use tacho_event::{Actor, Direction, RunId};
use tacho_log::{Clock, Recorder};
use thiserror::Error;

use self::child::Child;
use self::door::{Door, Recording};
use self::outbox::Outbox;
use self::relay::Relay;
use self::supervise::{Happening, supervise};
use crate::exchange::{Argv, Definitions, Ending, Exchange, Setup, Traffic};
use crate::limits::{EXPIRY_INTERVAL, FINISH_GRACE, MESSAGE_BYTES};
use crate::rules::Rules;

pub use self::child::Status;
pub use self::door::Listed;

/// Stacks hold no messages; a smaller one is less to map.
const STACK_BYTES: usize = 1024 * 1024;

/// Happenings that may wait for the supervisor; each thread reports once or twice.
const HAPPENINGS: usize = 64;

/// One run of a server.
pub struct Session {
    /// The server's program, looked up in `PATH` as a shell does.
    pub command: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What the server is called in the log.
    pub name: String,
    /// Who runs it.
    pub actor: Option<Actor>,
    /// The connection's name in the log.
    pub run: RunId,
    /// What is recorded of which message, and how much depends on it.
    pub rules: Rules,
    /// Which configuration that comes from: `sha256:` and hex of the file, or `none`.
    pub config: String,
    /// Where everything is recorded. The caller closes it when [`run`] has returned.
    pub recorder: Recorder,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Random bits from the operating system, for the ids of events.
    pub entropy: u64,
    /// The definitions of the server's tools that were listed last, in an earlier run.
    pub known: Definitions,
    /// Called with them whenever they were listed, lest they be lost when we are killed.
    pub listed: Option<Listed>,
    /// The operator's limit for waiting for an answer; its passing is recorded, nothing more.
    pub call_timeout: Option<Duration>,
    /// The client's end.
    pub client: Client,
}

/// The descriptors to the client.
#[derive(Debug)]
pub struct Client {
    /// Where it speaks.
    pub input: OwnedFd,
    /// Where it listens.
    pub output: OwnedFd,
}

impl Client {
    /// Takes over this process's standard input and output and puts `/dev/null` in their place: so
    /// nothing else can write into the protocol, and closing them closes them.
    pub fn stdio() -> io::Result<Self> {
        let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
        let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
        let null = std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        Ok(Self { input, output })
    }
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitInfo {
    /// How the server ended; [`Status::code`] is what to exit with.
    pub status: Status,
    /// The definitions of its tools as listed last.
    pub definitions: Definitions,
    /// What passed, and what did not.
    pub counts: Counts,
}

/// What passed in a session, and what did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// From the client.
    pub from_client: Traffic,
    /// From the server.
    pub from_server: Traffic,
    /// Requests refused and answers replaced by an error because they could not be recorded.
    pub refused: u64,
    /// Lines that need no answer and were not passed on, for the same reason.
    pub withheld: u64,
    /// Lines passed on though they could not be recorded (in time), as the mode allows.
    pub unrecorded: u64,
}

/// Why there was no session.
#[derive(Debug, Error)]
pub enum RunError {
    /// There is no such program, or its interpreter is missing.
    #[error("{command}: command not found")]
    NotFound {
        /// As given.
        command: String,
    },
    /// The program may not be executed.
    #[error("{command}: permission denied")]
    NotPermitted {
        /// As given.
        command: String,
    },
    /// It could not be started for another reason.
    #[error("{command}: {source}")]
    Spawn {
        /// As given.
        command: String,
        /// The reason.
        source: io::Error,
    },
    /// Signals could not be caught, or threads not be started.
    #[error("could not prepare the session: {0}")]
    Setup(#[source] io::Error),
}

impl RunError {
    /// The exit code that a shell would end with: 127, 126; 125 where `env` and `timeout` use it for
    /// failures of their own.
    pub const fn exit_code(&self) -> i32 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotPermitted { .. } | Self::Spawn { .. } => 126,
            Self::Setup(_) => 125,
        }
    }
}

/// Runs the server until it has ended, every answer is passed on and everything is handed to the
/// recorder.
pub fn run(session: Session) -> Result<ExitInfo, RunError> {
    // Before the server starts, so that no signal can end us and leave it behind. SIGCHLD is caught
    // only because a parent that ignored it would have us inherit that, and lose the exit status.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD])
        .map_err(RunError::Setup)?;
    let handle = signals.handle();
    let (happenings, happened) = sync_channel(HAPPENINGS);
    let tell = happenings.clone();
    let listen = move || {
        for signal in signals.forever().filter(|signal| *signal != SIGCHLD) {
            report(&tell, Happening::Signal(signal));
        }
    };
    start("signals", listen)?;
    let (setup, ways, recorder) = session.split();
    let ended = run_with(setup, ways, recorder, happenings, &happened);
    handle.close();
    ended
}

/// What [`run_with`] needs besides the recorder and the exchange's setup.
struct Ways {
    command: OsString,
    args: Vec<OsString>,
    clock: Arc<dyn Clock>,
    listed: Option<Listed>,
    client: Client,
    /// [`MESSAGE_BYTES`], or less in tests.
    message_bytes: usize,
}

impl Session {
    fn split(self) -> (Setup, Ways, Recorder) {
        let setup = Setup {
            actor: self.actor,
            server_name: self.name,
            session: self.run,
            entropy: self.entropy,
            known: self.known,
            call_timeout: self.call_timeout,
            rules: self.rules,
            config: self.config,
        };
        let ways = Ways {
            command: self.command,
            args: self.args,
            clock: self.clock,
            listed: self.listed,
            client: self.client,
            message_bytes: MESSAGE_BYTES,
        };
        (setup, ways, self.recorder)
    }
}

fn run_with<R: Recording>(
    setup: Setup,
    ways: Ways,
    recorder: R,
    happenings: SyncSender<Happening>,
    happened: &Receiver<Happening>,
) -> Result<ExitInfo, RunError> {
    let expires = setup.call_timeout.is_some();
    let words = |argument: &OsString| argument.to_string_lossy().into_owned();
    let arguments = ways.args.iter().map(words).collect();
    let argv = Argv {
        command: words(&ways.command),
        arguments,
    };
    let exchange = Exchange::new(setup);
    let door = Arc::new(Door::new(exchange, recorder, ways.clock, ways.listed));
    let spawned = child::spawn(&ways.command, &ways.args);
    let (child, server_input, server_output) = spawned.inspect_err(|error| {
        let deadline = Instant::now() + FINISH_GRACE;
        door.launch_failed(&argv, error.exit_code(), error.to_string(), deadline);
    })?;
    let child = Arc::new(child);
    door.server_started(&argv, child.pid());
    let to_server = Arc::new(Outbox::new(server_input));
    let to_client = Arc::new(Outbox::new(ways.client.output));

    let relay = |from, to: &Arc<_>, back: &Arc<_>| {
        let (door, to, back) = (Arc::clone(&door), Arc::clone(to), Arc::clone(back));
        Arc::new(Relay {
            from,
            door,
            to,
            back,
            message_bytes: ways.message_bytes,
        })
    };
    let upward = relay(Direction::ClientToServer, &to_server, &to_client);
    let downward = relay(Direction::ServerToClient, &to_client, &to_server);
    let (input, output) = (ways.client.input, server_output);
    let started = start_threads(&upward, &downward, input, output, &happenings)
        .and_then(|()| start_waiting(&child, happenings))
        .and_then(|()| {
            if expires {
                start_expiring(&door)
            } else {
                Ok(())
            }
        });
    if let Err(error) = started {
        give_up(&door, &child);
        return Err(error);
    }

    let status = supervise(&door, &child, &to_server, &to_client, happened);
    Ok(ExitInfo {
        status,
        definitions: door.definitions(),
        counts: door.counts(),
    })
}

/// Ends a server that cannot be served after all, on record.
fn give_up<R: Recording>(door: &Door<R>, child: &Child) {
    child.signal(rustix::process::Signal::KILL);
    let status = child.wait();
    let ending = Ending {
        client_left: false,
        server: status.words(),
    };
    drop(door.close(&ending, status.detail(), Instant::now() + FINISH_GRACE));
}

fn start_threads<R: Recording>(
    upward: &Arc<Relay<R>>,
    downward: &Arc<Relay<R>>,
    client_input: OwnedFd,
    server_output: OwnedFd,
    happenings: &SyncSender<Happening>,
) -> Result<(), RunError> {
    let (relay, tell) = (Arc::clone(upward), happenings.clone());
    start("from-client", move || {
        relay.read_all(&client_input, false);
        // Closed at once: a client that goes on writing to a server that is gone must feel it.
        drop(client_input);
        relay.to.close();
        report(&tell, Happening::ClientEnded);
    })?;
    let (relay, tell) = (Arc::clone(downward), happenings.clone());
    start("from-server", move || {
        relay.read_all(&server_output, true);
        report(&tell, Happening::ServerOutputEnded);
    })?;
    let relay = Arc::clone(upward);
    start("to-server", move || relay.forward_queued())?;
    let (relay, tell) = (Arc::clone(downward), happenings.clone());
    start("to-client", move || {
        relay.forward_queued();
        report(&tell, Happening::ClientOutputGone);
    })
}

fn start_waiting(child: &Arc<Child>, happenings: SyncSender<Happening>) -> Result<(), RunError> {
    let child = Arc::clone(child);
    start("server", move || {
        let status = child.wait();
        report(&happenings, Happening::ServerExited(status));
    })
}

/// On a thread of its own, because recording may have to wait and the supervisor must not.
fn start_expiring<R: Recording>(door: &Arc<Door<R>>) -> Result<(), RunError> {
    let door = Arc::clone(door);
    start("expiry", move || {
        while door.expire() {
            std::thread::sleep(EXPIRY_INTERVAL);
        }
    })
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), RunError> {
    let builder = Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    // Not joined: see the module's documentation.
    builder.spawn(work).map(drop).map_err(RunError::Setup)
}

fn report(happenings: &SyncSender<Happening>, happening: Happening) {
    // Nobody listens when the session is over.
    happenings.send(happening).unwrap_or_default();
}
