//! The recorder protocol of `docs/format.md` §10: frames between a source and the one writer. Pure.

use tacho_event::{EventId, RunId, Stage};
use thiserror::Error;

/// The version this code speaks.
pub(crate) const VERSION: u16 = 1;

/// A frame after its length, in bytes: twice a record leaves room for what comes later.
const FRAME_BYTES: usize = 131_072;

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const SUBMIT: u8 = 3;
const ACK: u8 = 4;
const NACK: u8 = 5;
const BYE: u8 = 6;
const STATUS: u8 = 7;
const STATUS_REPLY: u8 = 8;
const STOP: u8 = 9;
const ERROR: u8 = 10;
const LOST: u8 = 11;

const NO_ID: [u8; 16] = [0; 16];

/// One frame, borrowed from the buffer it arrived in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Hello {
        version: u16,
        run: RunId,
        resumed: bool,
    },
    Welcome {
        version: u16,
        digest_key: [u8; 32],
        origin: &'a str,
    },
    Submit {
        number: u64,
        id: EventId,
        stage: Stage,
        body: &'a [u8],
    },
    Ack {
        number: u64,
    },
    Nack {
        number: u64,
        reason: &'a str,
    },
    Lost {
        number: u64,
    },
    Bye,
    Status,
    StatusReply {
        json: &'a [u8],
    },
    Stop,
    Error {
        reason: &'a str,
    },
}

/// Shows the kind only: a greeting holds a key, a submission what was recorded.
impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hello { .. } => "HELLO",
            Self::Welcome { .. } => "WELCOME",
            Self::Submit { .. } => "SUBMIT",
            Self::Ack { .. } => "ACK",
            Self::Nack { .. } => "NACK",
            Self::Lost { .. } => "LOST",
            Self::Bye => "BYE",
            Self::Status => "STATUS",
            Self::StatusReply { .. } => "STATUS_REPLY",
            Self::Stop => "STOP",
            Self::Error { .. } => "ERROR",
        })
    }
}

/// The bytes are not a frame of this protocol; the connection must end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    #[error("a frame of {0} bytes; the limit is {FRAME_BYTES}")]
    TooLong(u32),
    #[error("an unknown kind of frame: {0}")]
    UnknownKind(u8),
    #[error("a frame of kind {0} is malformed")]
    Malformed(u8),
}

impl<'a> Frame<'a> {
    /// The first frame of `bytes` and how many bytes it took; `None` when more bytes must come.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length);
        let frame_bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if frame_bytes > FRAME_BYTES {
            return Err(ProtocolError::TooLong(length));
        }
        let Some(frame) = rest.get(..frame_bytes) else {
            return Ok(None);
        };
        let Some((kind, payload)) = frame.split_first() else {
            return Err(ProtocolError::Malformed(0));
        };
        let decoded = match *kind {
            HELLO => hello(payload),
            WELCOME => welcome(payload),
            SUBMIT => submit(payload),
            ACK => number(payload)
                .filter(|(_, rest)| rest.is_empty())
                .map(|(n, _)| Self::Ack { number: n }),
            LOST => number(payload)
                .filter(|(_, rest)| rest.is_empty())
                .map(|(n, _)| Self::Lost { number: n }),
            NACK => number(payload).and_then(|(n, rest)| {
                Some(Self::Nack {
                    number: n,
                    reason: text(rest)?,
                })
            }),
            BYE if payload.is_empty() => Some(Self::Bye),
            STATUS if payload.is_empty() => Some(Self::Status),
            STATUS_REPLY => Some(Self::StatusReply { json: payload }),
            STOP if payload.is_empty() => Some(Self::Stop),
            ERROR => text(payload).map(|reason| Self::Error { reason }),
            BYE | STATUS | STOP => None,
            unknown => return Err(ProtocolError::UnknownKind(unknown)),
        };
        match decoded {
            Some(frame) => Ok(Some((frame, frame_bytes + 4))),
            None => Err(ProtocolError::Malformed(*kind)),
        }
    }

    /// Appends the frame's bytes. Text that would not fit is cut; a record body always fits.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        match self {
            Self::Hello {
                version,
                run,
                resumed,
            } => {
                out.push(HELLO);
                out.extend_from_slice(&version.to_le_bytes());
                out.extend_from_slice(run.as_bytes());
                out.push(u8::from(*resumed));
            }
            Self::Welcome {
                version,
                digest_key,
                origin,
            } => {
                out.push(WELCOME);
                out.extend_from_slice(&version.to_le_bytes());
                out.extend_from_slice(digest_key);
                out.extend_from_slice(cut(origin));
            }
            Self::Submit {
                number,
                id,
                stage,
                body,
            } => {
                out.push(SUBMIT);
                out.extend_from_slice(&number.to_le_bytes());
                out.extend_from_slice(id.as_bytes());
                let (stage, intent) = match stage {
                    Stage::Single => (0, NO_ID),
                    Stage::Intent => (1, NO_ID),
                    Stage::Outcome(intent) => (2, *intent.as_bytes()),
                };
                out.push(stage);
                out.extend_from_slice(&intent);
                out.extend_from_slice(body);
            }
            Self::Ack { number } | Self::Lost { number } => {
                let is_ack = matches!(self, Self::Ack { .. });
                out.push(if is_ack { ACK } else { LOST });
                out.extend_from_slice(&number.to_le_bytes());
            }
            Self::Nack { number, reason } => {
                out.push(NACK);
                out.extend_from_slice(&number.to_le_bytes());
                out.extend_from_slice(cut(reason));
            }
            Self::Bye => out.push(BYE),
            Self::Status => out.push(STATUS),
            Self::StatusReply { json } => {
                out.push(STATUS_REPLY);
                out.extend_from_slice(json);
            }
            Self::Stop => out.push(STOP),
            Self::Error { reason } => {
                out.push(ERROR);
                out.extend_from_slice(cut(reason));
            }
        }
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// Reasons are for people; a kilobyte of them is enough.
fn cut(text: &str) -> &[u8] {
    let end = (0..=text.len().min(1024))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    text.as_bytes().get(..end).unwrap_or_default()
}

fn text(payload: &[u8]) -> Option<&str> {
    std::str::from_utf8(payload).ok()
}

fn number(payload: &[u8]) -> Option<(u64, &[u8])> {
    payload
        .split_first_chunk()
        .map(|(number, rest)| (u64::from_le_bytes(*number), rest))
}

fn hello(payload: &[u8]) -> Option<Frame<'_>> {
    let (version, rest) = payload.split_first_chunk()?;
    let (run, rest) = rest.split_first_chunk()?;
    let [flags @ 0..=1] = rest else { return None };
    Some(Frame::Hello {
        version: u16::from_le_bytes(*version),
        run: RunId::from_bytes(*run),
        resumed: *flags == 1,
    })
}

fn welcome(payload: &[u8]) -> Option<Frame<'_>> {
    let (version, rest) = payload.split_first_chunk()?;
    let (digest_key, origin) = rest.split_first_chunk()?;
    Some(Frame::Welcome {
        version: u16::from_le_bytes(*version),
        digest_key: *digest_key,
        origin: text(origin)?,
    })
}

fn submit(payload: &[u8]) -> Option<Frame<'_>> {
    let (number, rest) = number(payload)?;
    let (id, rest) = rest.split_first_chunk()?;
    let (stage, rest) = rest.split_first()?;
    let (intent, body) = rest.split_first_chunk()?;
    let stage = match (stage, *intent == NO_ID) {
        (0, true) => Stage::Single,
        (1, true) => Stage::Intent,
        (2, false) => Stage::Outcome(EventId::from_bytes(*intent)),
        _ => return None,
    };
    Some(Frame::Submit {
        number,
        id: EventId::from_bytes(*id),
        stage,
        body,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn examples() -> Vec<Frame<'static>> {
        let id = EventId::from_bytes([3; 16]);
        vec![
            Frame::Hello {
                version: 1,
                run: RunId::from_bytes([9; 16]),
                resumed: true,
            },
            Frame::Welcome {
                version: 1,
                digest_key: [7; 32],
                origin: "tacho.local/x",
            },
            Frame::Submit {
                number: 1,
                id,
                stage: Stage::Intent,
                body: b"{}",
            },
            Frame::Submit {
                number: u64::MAX,
                id,
                stage: Stage::Outcome(id),
                body: b"",
            },
            Frame::Ack { number: 4 },
            Frame::Lost { number: 6 },
            Frame::Nack {
                number: 5,
                reason: "no space",
            },
            Frame::Bye,
            Frame::Status,
            Frame::StatusReply { json: b"{}" },
            Frame::Stop,
            Frame::Error { reason: "" },
        ]
    }

    #[test]
    fn frames_read_back_and_wait_for_their_last_byte() {
        for frame in examples() {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            for end in 0..bytes.len() {
                assert_eq!(
                    Frame::decode(&bytes[..end]),
                    Ok(None),
                    "{frame:?} cut at {end}"
                );
            }
            let length = bytes.len();
            bytes.extend_from_slice(b"next");
            assert_eq!(Frame::decode(&bytes), Ok(Some((frame, length))));
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert_eq!(
            Frame::decode(&[255, 255, 255, 255]),
            Err(ProtocolError::TooLong(u32::MAX))
        );
        assert_eq!(
            Frame::decode(&[1, 0, 0, 0, 99]),
            Err(ProtocolError::UnknownKind(99))
        );
        assert_eq!(
            Frame::decode(&[2, 0, 0, 0, BYE, 0]),
            Err(ProtocolError::Malformed(BYE))
        );
        assert_eq!(
            Frame::decode(&[0, 0, 0, 0]),
            Err(ProtocolError::Malformed(0))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read_back_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some((frame, length))) = Frame::decode(&bytes) {
                let mut again = Vec::new();
                frame.encode(&mut again);
                prop_assert_eq!(again.as_slice(), &bytes[..length]);
            }
        }
    }
}
