//! The link thread: owns the connection, settles tickets, reconnects.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tacho_event::{DigestKey, RunId};
use thiserror::Error;

use super::{InFlight, Link, LinkState, RecordError, Shared, lock, remaining, wait};
use crate::limits::{GREETING_TIMEOUT, RECONNECT_TIMEOUT};
use crate::protocol::{self, Frame};

/// Between attempts to reach a recorder.
const RETRY_FIRST: Duration = Duration::from_millis(1);
const RETRIES_AT_ONCE: u32 = 100;
const RETRY_LAST: Duration = Duration::from_millis(500);

/// After an error that the next attempt will meet as well, such as a log that is refused.
const RETRY_NEVER: Duration = Duration::from_secs(5);

/// Finds the recorder, or starts one. Called again and again while there is none.
pub trait Connect: Send {
    /// One attempt; must not block for long.
    fn connect(&mut self) -> Result<UnixStream, ConnectError>;
}

/// There is no recorder to connect to.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Perhaps there is one soon.
    #[error("{0}")]
    NotYet(String),
    /// There will be none: waiting for it is useless.
    #[error("{0}")]
    Never(String),
}

pub(super) fn run(shared: &Shared, run: RunId, mut connect: Box<dyn Connect>) {
    let mut resumed = false;
    let mut attempts = 0;
    while !matches!(lock(&shared.link).state, LinkState::Closed) {
        let reached = connect
            .connect()
            .and_then(|stream| greet(shared, stream, run, resumed));
        attempts += 1;
        let before_next = match reached {
            Ok((stream, rest)) => {
                resumed = true;
                let ended = settle_until_broken(shared, &stream, rest);
                if !set_down(shared, &ended.reason) {
                    return;
                }
                if ended.acknowledged {
                    // It was a good one, and the next is sought at once.
                    attempts = 0;
                }
                retry_after(attempts)
            }
            Err(error) => {
                if !still_down(shared, &error) {
                    return;
                }
                match error {
                    ConnectError::NotYet(_) => retry_after(attempts),
                    ConnectError::Never(_) => RETRY_NEVER,
                }
            }
        };
        pause(shared, before_next);
    }
}

/// Every millisecond at first, because a recorder usually starts within a few, then seldom.
fn retry_after(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(RETRIES_AT_ONCE).min(16);
    (RETRY_FIRST * 2_u32.pow(doublings)).min(RETRY_LAST)
}

/// Waits before the next attempt, or until the session is over.
fn pause(shared: &Shared, how_long: Duration) {
    let deadline = Instant::now() + how_long;
    let mut link = lock(&shared.link);
    while !matches!(link.state, LinkState::Closed) {
        let Some(left) = remaining(Some(deadline)) else {
            return;
        };
        link = wait(&shared.link_changed, link, left);
    }
}

/// Says who we are, learns the digest key, submits again everything in flight and opens the link to
/// the worker. Returns bytes that came after the greeting.
fn greet(
    shared: &Shared,
    mut stream: UnixStream,
    run: RunId,
    resumed: bool,
) -> Result<(Arc<UnixStream>, Vec<u8>), ConnectError> {
    let mut bytes = Vec::new();
    let version = protocol::VERSION;
    Frame::Hello {
        version,
        run,
        resumed,
    }
    .encode(&mut bytes);
    stream
        .set_read_timeout(Some(GREETING_TIMEOUT))
        .map_err(not_yet)?;
    stream
        .set_write_timeout(Some(GREETING_TIMEOUT))
        .map_err(not_yet)?;
    stream.write_all(&bytes).map_err(not_yet)?;
    bytes.clear();
    let key = read_welcome(&mut stream, &mut bytes)?;
    stream
        .set_read_timeout(Some(RECONNECT_TIMEOUT))
        .map_err(not_yet)?;

    let stream = Arc::new(stream);
    let mut link = lock(&shared.link);
    if matches!(link.state, LinkState::Closed) {
        return Err(ConnectError::Never("the session is over".to_owned()));
    }
    submit_again(&stream, &link).map_err(not_yet)?;
    link.unsent.clear();
    link.key = Some(key);
    link.state = LinkState::Up(Arc::clone(&stream));
    drop(link);
    shared.link_changed.notify_all();
    Ok((stream, bytes))
}

fn not_yet(error: std::io::Error) -> ConnectError {
    ConnectError::NotYet(format!("greeting: {error}"))
}

/// Reads up to the recorder's greeting; what came behind it is left in `bytes`.
fn read_welcome(stream: &mut UnixStream, bytes: &mut Vec<u8>) -> Result<DigestKey, ConnectError> {
    loop {
        match Frame::decode(bytes) {
            Ok(Some((
                Frame::Welcome {
                    version: protocol::VERSION,
                    digest_key,
                    ..
                },
                taken,
            ))) => {
                bytes.drain(..taken);
                return Ok(DigestKey::new(digest_key));
            }
            Ok(Some((Frame::Error { reason }, _))) => {
                return Err(ConnectError::Never(reason.to_owned()));
            }
            Ok(Some(_)) | Err(_) => {
                let version =
                    "the recorder speaks another version; stop it with `tacho serve --stop`";
                return Err(ConnectError::Never(version.to_owned()));
            }
            Ok(None) => {}
        }
        let mut chunk = [0; 4096];
        let read = match stream.read(&mut chunk) {
            // To give up a greeting because a child of ours ended would look as if we had gone: the
            // recorder would write our open calls off as interrupted.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read.map_err(not_yet)?,
        };
        if read == 0 {
            return Err(ConnectError::NotYet("the recorder is leaving".to_owned()));
        }
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
}

/// Sends everything in flight, with the numbers it had: the recorder knows what it has already.
fn submit_again(mut stream: &UnixStream, link: &Link) -> std::io::Result<()> {
    let mut again = Vec::new();
    for InFlight { number, record, .. } in &link.in_flight {
        let (number, id, stage, body) = (*number, record.id(), record.stage(), record.body());
        Frame::Submit {
            number,
            id,
            stage,
            body,
        }
        .encode(&mut again);
        if again.len() >= 64 * 1024 {
            stream.write_all(&again)?;
            again.clear();
        }
    }
    stream.write_all(&again)
}

/// How a connection ended.
struct Ended {
    reason: String,
    /// Whether the recorder acknowledged anything over it.
    acknowledged: bool,
}

/// Reads acknowledgements until the connection ends, or nothing comes although something is due.
fn settle_until_broken(shared: &Shared, stream: &UnixStream, mut bytes: Vec<u8>) -> Ended {
    let mut acknowledged = false;
    let reason = read_acknowledgements(shared, stream, &mut bytes, &mut acknowledged);
    Ended {
        reason,
        acknowledged,
    }
}

fn read_acknowledgements(
    shared: &Shared,
    mut stream: &UnixStream,
    bytes: &mut Vec<u8>,
    acknowledged: &mut bool,
) -> String {
    let mut chunk = [0; 4 * 1024];
    let mut waited_for = None;
    loop {
        match settle(shared, bytes, acknowledged) {
            Ok(taken) => drop(bytes.drain(..taken)),
            Err(reason) => return reason,
        }
        match stream.read(&mut chunk) {
            Ok(0) => return "the recorder ended".to_owned(),
            Ok(read) => {
                waited_for = None;
                bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                // Silence is good when nothing is due; the same submission due twice over is a recorder
                // that is stuck.
                let due = lock(&shared.link)
                    .in_flight
                    .front()
                    .map(|flying| flying.number);
                if due.is_some() && due == waited_for {
                    return "the recorder does not answer".to_owned();
                }
                waited_for = due;
            }
            Err(error) => return format!("the recorder ended: {error}"),
        }
    }
}

/// Settles what the whole frames in `bytes` say; returns how many bytes they are.
fn settle(shared: &Shared, bytes: &[u8], acknowledged: &mut bool) -> Result<usize, String> {
    let mut taken = 0;
    loop {
        match Frame::decode(bytes.get(taken..).unwrap_or_default()) {
            Ok(None) => return Ok(taken),
            Ok(Some((frame, length))) => {
                taken += length;
                match frame {
                    Frame::Ack { number } => {
                        *acknowledged = true;
                        acknowledge(shared, number);
                    }
                    Frame::Nack { number, reason } => {
                        let why = RecordError::Refused(reason.to_owned());
                        take_back(shared, number, why);
                    }
                    Frame::Lost { number } => take_back(shared, number, RecordError::Counted),
                    Frame::Error { reason } => return Err(reason.to_owned()),
                    Frame::Hello { .. }
                    | Frame::Welcome { .. }
                    | Frame::Submit { .. }
                    | Frame::Bye
                    | Frame::Status
                    | Frame::StatusReply { .. }
                    | Frame::Stop => return Err(format!("the recorder sent {frame:?}")),
                }
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Everything up to `number` is durable, or was refused before.
fn acknowledge(shared: &Shared, number: u64) {
    let mut link = lock(&shared.link);
    while let Some(flying) = link
        .in_flight
        .pop_front_if(|flying| flying.number <= number)
    {
        link.in_flight_bytes = link
            .in_flight_bytes
            .saturating_sub(flying.record.body().len());
        flying.ticket.settle(Ok(()));
    }
    drop(link);
    shared.link_changed.notify_all();
}

/// One submission is not in the log. Refused ones are ours to count; else the recorder does.
fn take_back(shared: &Shared, number: u64, why: RecordError) {
    let mut link = lock(&shared.link);
    let at = link
        .in_flight
        .iter()
        .position(|flying| flying.number == number);
    let Some(flying) = at.and_then(|at| link.in_flight.remove(at)) else {
        return;
    };
    link.in_flight_bytes = link
        .in_flight_bytes
        .saturating_sub(flying.record.body().len());
    drop(link);
    if why != RecordError::Counted {
        lock(&shared.lost).add(flying.timestamp);
    }
    flying.ticket.settle(Err(why));
}

/// Takes the link down; `false` when the session is over.
fn set_down(shared: &Shared, reason: &str) -> bool {
    let mut link = lock(&shared.link);
    if let LinkState::Up(stream) = &link.state {
        drop(stream.shutdown(Shutdown::Both));
    }
    if matches!(link.state, LinkState::Closed) {
        fail_in_flight(shared, &mut link, "the session is over");
        return false;
    }
    link.unsent.clear();
    link.state = LinkState::Down {
        since: Instant::now(),
        reason: reason.to_owned(),
    };
    drop(link);
    shared.link_changed.notify_all();
    true
}

/// Remembers why there is no recorder. When there has been none for too long, or there never will be,
/// what is in flight is given up, so that callers get their answer. `false` when the session is over.
fn still_down(shared: &Shared, error: &ConnectError) -> bool {
    let mut link = lock(&shared.link);
    let LinkState::Down { since, reason } = &mut link.state else {
        let why = "the session is over";
        fail_in_flight(shared, &mut link, why);
        return false;
    };
    *reason = error.to_string();
    let long_ago = Instant::now().checked_sub(RECONNECT_TIMEOUT);
    if let (ConnectError::Never(_), Some(long_ago)) = (error, long_ago) {
        *since = long_ago;
    }
    let given_up = since.elapsed() >= RECONNECT_TIMEOUT;
    if given_up {
        fail_in_flight(shared, &mut link, &error.to_string());
    }
    drop(link);
    shared.link_changed.notify_all();
    true
}

fn fail_in_flight(shared: &Shared, link: &mut Link, reason: &str) {
    link.in_flight_bytes = 0;
    let error = RecordError::Unavailable(reason.to_owned());
    for flying in link.in_flight.drain(..) {
        lock(&shared.lost).add(flying.timestamp);
        flying.ticket.settle(Err(error.clone()));
    }
}
