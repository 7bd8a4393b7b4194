//! One source's connection: its buffers and what it may say.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use rustix::event::PollFlags;
use serde::de::IgnoredAny;
use tacho_event::limits::BODY_BYTES;
use tacho_event::{DigestKey, EventId, RunId, Stage};

use crate::limits::{READ_BYTES, UNREAD_BYTES};
use crate::log::has_control;
use crate::protocol::{Frame, VERSION};

pub(super) struct Connection {
    id: u64,
    stream: UnixStream,
    run: Option<RunId>,
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    /// The highest number settled and not yet acknowledged.
    to_acknowledge: Option<u64>,
    ended: bool,
}

/// What a source asks for; the frames of the protocol that only it may send.
pub(super) enum Request<'a> {
    Hello {
        run: RunId,
        resumed: bool,
    },
    Submit {
        number: u64,
        id: EventId,
        stage: Stage,
        body: &'a [u8],
    },
    Bye,
    Status,
    Stop,
}

impl Connection {
    pub(super) fn new(id: u64, stream: UnixStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            id,
            stream,
            run: None,
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            to_acknowledge: None,
            ended: false,
        })
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    pub(super) const fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(super) const fn run(&self) -> Option<RunId> {
        self.run
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn interest(&self) -> PollFlags {
        if self.output.is_empty() {
            PollFlags::IN
        } else {
            PollFlags::IN | PollFlags::OUT
        }
    }

    /// Reads what is there, at most [`READ_BYTES`], so that the others get their turn.
    pub(super) fn fill(&mut self, chunk: &mut [u8]) {
        self.input.drain(..std::mem::take(&mut self.taken));
        let mut read_bytes = 0;
        while read_bytes < READ_BYTES && !self.ended {
            match self.stream.read(chunk) {
                Ok(0) => self.ended = true,
                Ok(read) => {
                    self.input
                        .extend_from_slice(chunk.get(..read).unwrap_or_default());
                    read_bytes += read;
                    if read < chunk.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_gone) => self.ended = true,
            }
        }
    }

    /// The next whole request and how many bytes it takes, which [`Connection::consume`] is to be told.
    pub(super) fn request(&self) -> Result<Option<(Request<'_>, usize)>, String> {
        match Frame::decode(self.input.get(self.taken..).unwrap_or_default()) {
            Ok(None) => Ok(None),
            Ok(Some((frame, length))) => Ok(Some((self.allowed(frame)?, length))),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) const fn consume(&mut self, length: usize) {
        self.taken += length;
    }

    fn allowed<'a>(&self, frame: Frame<'a>) -> Result<Request<'a>, String> {
        let refusal = match (frame, self.run) {
            (
                Frame::Hello {
                    version: VERSION,
                    run,
                    resumed,
                },
                None,
            ) => {
                return Ok(Request::Hello { run, resumed });
            }
            (
                Frame::Submit {
                    number,
                    id,
                    stage,
                    body,
                },
                Some(_),
            ) => {
                return Ok(Request::Submit {
                    number,
                    id,
                    stage,
                    body,
                });
            }
            (Frame::Bye, Some(_)) => return Ok(Request::Bye),
            (Frame::Status, None) => return Ok(Request::Status),
            (Frame::Stop, None) => return Ok(Request::Stop),
            (Frame::Hello { .. }, None) => "this recorder speaks version 1 of the protocol",
            _ => "not allowed at this point of the protocol",
        };
        Err(refusal.to_owned())
    }

    /// Tells a source that broke the protocol why, and ends the connection.
    pub(super) fn refuse(&mut self, reason: &str) {
        Frame::Error { reason }.encode(&mut self.output);
        self.flush();
        self.ended = true;
    }

    pub(super) fn welcome(&mut self, run: RunId, key: &DigestKey, origin: &str) {
        self.run = Some(run);
        let digest_key = *key.to_bytes();
        Frame::Welcome {
            version: VERSION,
            digest_key,
            origin,
        }
        .encode(&mut self.output);
        self.flush();
    }

    pub(super) fn reply_status(&mut self, json: &[u8]) {
        Frame::StatusReply { json }.encode(&mut self.output);
        self.flush();
    }

    /// One submission is durable, or was refused for `reason`.
    pub(super) fn settled(&mut self, number: u64, reason: Option<&str>) {
        if let Some(reason) = reason {
            Frame::Nack { number, reason }.encode(&mut self.output);
        }
        self.to_acknowledge = self.to_acknowledge.max(Some(number));
    }

    /// Sends acknowledgements as far as the source takes them.
    pub(super) fn flush(&mut self) {
        if let Some(number) = self.to_acknowledge.take() {
            Frame::Ack { number }.encode(&mut self.output);
        }
        let mut sent = 0;
        while sent < self.output.len() && !self.ended {
            match self
                .stream
                .write(self.output.get(sent..).unwrap_or_default())
            {
                Ok(0) => self.ended = true,
                Ok(written) => sent += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_gone) => self.ended = true,
            }
        }
        self.output.drain(..sent);
        if self.output.len() > UNREAD_BYTES {
            self.ended = true;
        }
    }
}

/// The recorder trusts its own user and nobody else (`docs/threat-model.md`).
pub(super) fn is_own_user(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

/// A body must be what `docs/format.md` §3 says, so that no source can make the log unreadable.
pub(super) fn check_body(id: EventId, body: &[u8]) -> Result<(), &'static str> {
    if body.len() > BODY_BYTES {
        return Err("the record is too long");
    }
    let named = body
        .strip_prefix(b"{\"id\":\"")
        .and_then(|rest| rest.split_at_checked(36))
        .filter(|(named, rest)| {
            *named == id.encode(&mut [0; 36]).as_bytes() && rest.starts_with(b"\",")
        });
    if named.is_none() {
        return Err("the record does not begin with its id");
    }
    if has_control(body) {
        return Err("the record is more than one line");
    }
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => Ok(()),
        Err(_syntax) => Err("the record is not JSON"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_must_be_one_line_of_json_that_begins_with_its_id() {
        let id = EventId::from_bytes([3; 16]);
        let good = format!(r#"{{"id":"{id}","type":"heartbeat"}}"#);
        assert_eq!(check_body(id, good.as_bytes()), Ok(()));
        for bad in [
            String::new(),
            "{}".to_owned(),
            good.replace('}', ""),
            good.replace("heartbeat", "heart\nbeat"),
            good.replace("0303", "0404"),
            format!("{good} {{}}"),
            format!(r#"{{"id":"{id}","x":"{}"}}"#, "x".repeat(BODY_BYTES)),
        ] {
            assert!(check_body(id, bad.as_bytes()).is_err(), "{bad:.80}");
        }
    }
}
