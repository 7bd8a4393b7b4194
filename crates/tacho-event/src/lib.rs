//! What happened, what may be kept of it, and its bytes.
//!
//! Three types, one direction:
//!
//! ```text
//! Event ── Redactor::redact ──► RedactedEvent ── encode ──► Record
//! raw, in memory only          what may be kept             one line of JSON
//! ```
//!
//! An [`Event`] cannot be serialised and its `Debug` shows sizes only; a [`RedactedEvent`] is made by
//! nothing but [`Redactor::redact`]; a [`Record`] is made by nothing but [`RedactedEvent::encode`]. Whole bodies
//! can go another way, to people far away ([`RedactedEvent::wanted`]): a record has a [`Commitment`] to them only.
//! The bytes follow `docs/format.md`, version 1.
//!
//! This crate is pure: no files, no network, no clock, no randomness, no threads.

mod digest;
mod event;
mod evidence;
mod id;
mod json;
pub mod limits;
mod parsed;
pub mod redact;
mod timestamp;
mod unredacted;
mod vocabulary;
mod wire;

pub use digest::{DigestKey, DigestKeyError, KeyedDigest};
pub use event::{Actor, Context, Detail, Event, Failure, Party, RawJson};
pub use evidence::Commitment;
pub use id::{CallId, EventId, IdSource, RunId};
pub use json::{escape_into, write_string};
pub use parsed::{ParseRecordError, ParsedRecord};
pub use redact::{Engine, Finding, Options, RedactedEvent, Redactor, Report};
pub use timestamp::{ParseTimestampError, Timestamp};
pub use unredacted::Unredacted;
pub use vocabulary::{Auth, Body, Direction, EventType, Layer, Level, Outcome, Severity, Stage};
pub use wire::Record;
