use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{
    Auth, CallId, Direction, EventId, EventType, Layer, Level, Outcome, RunId, Severity, Stage,
    Timestamp, Unredacted,
};

/// Raw JSON text of one value, as it came: not redacted, perhaps sixteen mebibytes long, shared with
/// the message it is part of. UTF-8 and well-formed, which its maker has checked.
pub type RawJson = Unredacted<Bytes>;

/// Something that happened, with everything known of it: raw, in memory only.
///
/// Every text that comes from outside is [`Unredacted`]; there is no way from here to bytes but
/// [`crate::Redactor::redact`]. The members are those of `docs/format.md`.
#[derive(Debug)]
pub struct Event {
    /// Names the record.
    pub id: EventId,
    /// When it happened or was received, never when it ended.
    pub timestamp: Timestamp,
    /// What kind of thing.
    pub kind: EventType,
    /// Intent, outcome of an intent, or neither.
    pub stage: Stage,
    /// How much attention it deserves.
    pub severity: Severity,
    /// What came of it, where that can be said.
    pub outcome: Option<Outcome>,
    /// What went wrong, with `outcome` [`Outcome::Error`] or [`Outcome::Denied`].
    pub error: Option<Failure>,
    /// The logical call it belongs to.
    pub call: Option<CallId>,
    /// Who talks to whom; the same for many events.
    pub context: Arc<Context>,
    /// Present if and only if the record stands for exactly one message on the wire.
    pub direction: Option<Direction>,
    /// The JSON-RPC id as it was written, a JSON number, string or null.
    pub request: Option<RawJson>,
    /// W3C trace context from `_meta.traceparent`.
    pub trace: Option<Unredacted<String>>,
    /// The MCP method.
    pub method: Option<Unredacted<String>>,
    /// The exact name of the tool (or prompt), or the URI of the resource.
    pub tool: Option<Unredacted<String>>,
    /// SHA-256 of the tool's definition as it was last listed to the model, lower-case hex.
    pub tool_definition: Option<String>,
    /// Arguments, or the whole `params` of other methods.
    pub args: Option<RawJson>,
    /// The result; kept only where the level asks for it, its digest always.
    pub result: Option<RawJson>,
    /// How much of the bodies is kept; `None`: what the redactor's options say.
    pub level: Option<Level>,
    /// How long it took, by a monotonic clock.
    pub duration: Option<Duration>,
    /// What only this type has; written in this order, after redaction.
    pub details: Vec<(&'static str, Detail)>,
}

impl Event {
    /// An event of which only the necessary is known.
    pub const fn new(
        id: EventId,
        timestamp: Timestamp,
        kind: EventType,
        context: Arc<Context>,
    ) -> Self {
        Self {
            id,
            timestamp,
            kind,
            stage: Stage::Single,
            severity: Severity::Info,
            outcome: None,
            error: None,
            call: None,
            context,
            direction: None,
            request: None,
            trace: None,
            method: None,
            tool: None,
            tool_definition: None,
            args: None,
            result: None,
            level: None,
            duration: None,
            details: Vec::new(),
        }
    }
}

/// What went wrong: member `error`.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The layer that failed.
    pub layer: Layer,
    /// The JSON-RPC error code, or the exit status.
    pub code: Option<i64>,
    /// In words; cut to [`crate::limits::ERROR_MESSAGE_CHARS`].
    pub message: Unredacted<String>,
}

/// A value of `details`.
#[derive(Clone, Debug)]
pub enum Detail {
    /// Yes or no.
    Bool(bool),
    /// A count, a size, a number of the operating system.
    Int(i64),
    /// Words of our own, known at compile time.
    Word(&'static str),
    /// Text from outside.
    Text(Unredacted<String>),
    /// JSON from outside.
    Json(RawJson),
    /// A value kept as a keyed digest only, because it is a credential or opaque state.
    Digest(Unredacted<Bytes>),
    /// An identifier of ours.
    Id(EventId),
    /// An instant of our own knowledge.
    Time(Timestamp),
    /// JSON of our own making in which nothing comes from outside but names that need redaction, as
    /// pairs of name and value: tool definitions and their digests.
    Named(Vec<(Unredacted<String>, String)>),
}

/// Who talks to whom on one connection: members `actor`, `client`, `server` and `session`.
#[derive(Clone, Debug)]
pub struct Context {
    /// Who asked.
    pub actor: Option<Actor>,
    /// What the client says it is.
    pub client: Option<Party>,
    /// What the server is called here, and what it says it is.
    pub server: Option<Party>,
    /// The connection.
    pub session: Option<RunId>,
}

impl Context {
    /// Nobody in particular: for the log's own records.
    pub const fn none() -> Self {
        Self {
            actor: None,
            client: None,
            server: None,
            session: None,
        }
    }
}

/// Who asked: member `actor`.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The user's name or subject.
    pub id: Unredacted<String>,
    /// How that is known.
    pub auth: Auth,
    /// The numeric user id, for [`Auth::OsUser`].
    pub uid: Option<u32>,
}

/// A client or a server: members `client` and `server`. Versions and reported names are claims.
#[derive(Clone, Debug)]
pub struct Party {
    /// The name it goes by in the record.
    pub name: Unredacted<String>,
    /// The name it gives itself, where that is another.
    pub reported_name: Option<Unredacted<String>>,
    /// The version it gives itself.
    pub version: Option<Unredacted<String>>,
}
