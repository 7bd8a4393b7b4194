//! Whole sessions with real processes, and a recorder that does as it is told.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::{Condvar, Mutex};
use std::thread::JoinHandle;

use tacho_event::{Event, EventType, Outcome, Stage, Timestamp};
use tacho_log::{Patience, RecordError};

use super::*;
use crate::mode::{Mode, Permit, Waiver};
use crate::rules::Treatment;

mod failures;
mod lifecycle;
mod modes;
mod transparency;

/// What a test wants to know of an event.
#[derive(Clone, Debug)]
struct Told {
    kind: EventType,
    intent: bool,
    directed: bool,
    method: String,
    outcome: Option<Outcome>,
    error: String,
    code: Option<i64>,
    details: Vec<(&'static str, String)>,
}

type Fails = fn(&Event) -> bool;

/// A recorder in memory: tells what it was given, and fails or stalls as it is told.
#[derive(Clone, Default)]
struct Double(Arc<Shared>);

#[derive(Default)]
struct Shared {
    told: Mutex<Vec<Told>>,
    /// Events for which this holds cannot be recorded.
    fails: Mutex<Option<Fails>>,
    /// Events for which this holds do not become durable, for now.
    stalls: Mutex<Option<Fails>>,
    /// Its queue has no room, for now.
    full: Mutex<bool>,
    moved: Condvar,
}

struct DoubleTicket {
    shared: Arc<Shared>,
    failed: bool,
    lost: bool,
    stalled: bool,
}

impl Recording for Double {
    type Ticket = DoubleTicket;

    fn record(&self, event: Event, patience: Patience) -> DoubleTicket {
        let lost = !self.0.wait_for_room(patience);
        let holds =
            |which: &Mutex<Option<Fails>>| which.lock().unwrap().is_some_and(|it| it(&event));
        let (failed, stalled) = (lost || holds(&self.0.fails), !lost && holds(&self.0.stalls));
        if !failed {
            let method = event.method.as_ref().map_or("", |method| method.expose());
            self.0.told.lock().unwrap().push(Told {
                kind: event.kind,
                intent: event.stage == Stage::Intent,
                directed: event.direction.is_some(),
                method: method.to_owned(),
                outcome: event.outcome,
                code: event.error.as_ref().and_then(|error| error.code),
                error: event
                    .error
                    .map_or(String::new(), |e| e.message.expose().clone()),
                details: event
                    .details
                    .iter()
                    .map(|(w, d)| (*w, format!("{d:?}")))
                    .collect(),
            });
        }
        DoubleTicket {
            shared: Arc::clone(&self.0),
            failed,
            lost,
            stalled,
        }
    }

    fn is_lost(ticket: &DoubleTicket) -> bool {
        ticket.lost
    }

    fn is_settled(ticket: &DoubleTicket) -> bool {
        ticket.failed
    }

    fn wait(ticket: DoubleTicket, deadline: Option<Instant>) -> Result<Permit, RecordError> {
        if ticket.stalled && !ticket.shared.wait_while_stalled(deadline) {
            return Err(RecordError::Deadline);
        }
        if ticket.failed {
            return Err(RecordError::Refused("disk full".to_owned()));
        }
        Ok(Permit::Waiver(Waiver::NothingToRecord))
    }
}

impl Shared {
    /// Whether there was room before the patience was over.
    fn wait_for_room(&self, patience: Patience) -> bool {
        let patience = match patience {
            Patience::Wait => Duration::from_secs(30),
            Patience::UpTo(patience) => patience,
            Patience::Never => Duration::ZERO,
        };
        let full = self.full.lock().unwrap();
        !*self
            .moved
            .wait_timeout_while(full, patience, |full| *full)
            .unwrap()
            .0
    }

    /// Whether the stall was over before the deadline.
    fn wait_while_stalled(&self, deadline: Option<Instant>) -> bool {
        let mut stalls = self.stalls.lock().unwrap();
        while stalls.is_some() {
            let left = deadline.map_or(Duration::from_secs(30), |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            stalls = self.moved.wait_timeout(stalls, left).unwrap().0;
        }
        true
    }
}

impl Double {
    fn failing(fails: Fails) -> Self {
        let double = Self::default();
        *double.0.fails.lock().unwrap() = Some(fails);
        double
    }

    fn stall(&self, stalls: Fails) {
        *self.0.stalls.lock().unwrap() = Some(stalls);
    }

    fn fill(&self) {
        *self.0.full.lock().unwrap() = true;
    }

    fn release(&self) {
        *self.0.full.lock().unwrap() = false;
        *self.0.stalls.lock().unwrap() = None;
        self.0.moved.notify_all();
    }

    fn told(&self) -> Vec<Told> {
        self.0.told.lock().unwrap().clone()
    }

    fn directed(&self) -> usize {
        self.told().iter().filter(|told| told.directed).count()
    }

    fn exited(&self) -> Told {
        self.told()
            .pop()
            .filter(|told| told.kind == EventType::ServerExited)
            .unwrap()
    }
}

#[derive(Debug)]
struct Frozen;

impl Clock for Frozen {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos(1)
    }
}

struct Running {
    input: Option<File>,
    output: Option<File>,
    happenings: SyncSender<Happening>,
    session: JoinHandle<Result<ExitInfo, RunError>>,
}

fn start(command: &[&str], mode: Mode, recorder: &Double) -> Running {
    start_with(command, mode, recorder, None, MESSAGE_BYTES)
}

fn start_with(
    command: &[&str],
    mode: Mode,
    recorder: &Double,
    call_timeout: Option<Duration>,
    message_bytes: usize,
) -> Running {
    let options = (call_timeout, message_bytes);
    start_under(command, all(mode), recorder, options)
}

fn start_under(
    command: &[&str],
    rules: Rules,
    recorder: &Double,
    (call_timeout, message_bytes): (Option<Duration>, usize),
) -> Running {
    use rustix::pipe::{PipeFlags, pipe_with};
    let (from_client, input) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (output, to_client) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let setup = Setup {
        actor: None,
        server_name: "test".to_owned(),
        session: RunId::from_bytes([1; 16]),
        entropy: 7,
        known: Definitions::new(),
        call_timeout,
        rules,
        config: "none".to_owned(),
    };
    let ways = Ways {
        command: command[0].into(),
        args: command[1..].iter().map(OsString::from).collect(),
        clock: Arc::new(Frozen),
        listed: None,
        client: Client {
            input: from_client,
            output: to_client,
        },
        message_bytes,
    };
    let (happenings, happened) = sync_channel(HAPPENINGS);
    let (tell, recorder) = (happenings.clone(), recorder.clone());
    let session =
        std::thread::spawn(move || run_with(setup, ways, recorder, happenings, &happened));
    Running {
        input: Some(input.into()),
        output: Some(output.into()),
        happenings: tell,
        session,
    }
}

/// Everything in one mode.
fn all(mode: Mode) -> Rules {
    let treatment = Treatment {
        mode,
        ..Treatment::default()
    };
    Rules::new(Vec::new(), "test", treatment)
}

fn shell(script: &str) -> [&str; 3] {
    ["sh", "-c", script]
}

impl Running {
    fn say(&mut self, text: &str) {
        self.input
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn hear_line(&mut self) -> String {
        let output = self.output.as_mut().unwrap();
        let mut line = Vec::new();
        let mut byte = [0];
        while output.read(&mut byte).unwrap() == 1 {
            line.push(byte[0]);
            if byte[0] == b'\n' {
                break;
            }
        }
        String::from_utf8(line).unwrap()
    }

    /// Whether something can be heard within the time given.
    fn hears(&self, ms: i64) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(self.output.as_ref().unwrap(), PollFlags::IN)];
        poll(
            &mut fds,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: ms * 1_000_000,
            }),
        )
        .unwrap()
            > 0
    }

    fn hang_up(&mut self) {
        self.input = None;
    }

    fn hear_all(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        self.output
            .as_mut()
            .unwrap()
            .read_to_end(&mut heard)
            .unwrap();
        heard
    }

    fn end(self) -> Result<ExitInfo, RunError> {
        drop(self.input);
        let ended = self
            .session
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        drop(self.output);
        ended
    }
}
