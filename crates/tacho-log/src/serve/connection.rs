//! One source's connection: its buffers and what it may say.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use rustix::event::PollFlags;
use tacho_event::{DigestKey, EventId, RunId, Stage};

use super::Verdict;
use crate::limits::{READ_BYTES, UNREAD_BYTES};
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

    /// Reads what is there, at most [`READ_BYTES`], so that the others get their turn; returns how much.
    pub(super) fn fill(&mut self, chunk: &mut [u8]) -> usize {
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
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_gone) => self.ended = true,
            }
        }
        read_bytes
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

    /// One submission is durable, or was refused, or counted.
    pub(super) fn settled(&mut self, number: u64, verdict: &Verdict) {
        match verdict {
            Verdict::Durable => {}
            Verdict::Refused(reason) => Frame::Nack { number, reason }.encode(&mut self.output),
            Verdict::Counted => Frame::Lost { number }.encode(&mut self.output),
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
