use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// A record read back, as far as readers need its members by name. Unknown members are ignored, so
/// a reader of this version reads later minor versions.
#[derive(Clone, Debug, Deserialize)]
pub struct ParsedRecord {
    /// Version of the format.
    pub v: u32,
    /// Position in the log.
    pub seq: u64,
    /// UUIDv7.
    pub id: String,
    /// RFC 3339, UTC, nanoseconds.
    pub timestamp: String,
    /// The event's type; a word of [`crate::EventType`] or a later one.
    #[serde(rename = "type")]
    pub kind: String,
    /// `intent` or `outcome`.
    pub stage: Option<String>,
    /// The `id` of the intent that an outcome ends.
    #[serde(rename = "ref")]
    pub intent: Option<String>,
    /// Severity.
    pub severity: Option<String>,
    /// Outcome.
    pub outcome: Option<String>,
    /// What went wrong.
    pub error: Option<Value>,
    /// The logical call.
    pub call: Option<String>,
    /// Who asked.
    pub actor: Option<Value>,
    /// The client.
    pub client: Option<Value>,
    /// The server.
    pub server: Option<Value>,
    /// The connection.
    pub session: Option<String>,
    /// Which way the message went.
    pub direction: Option<String>,
    /// JSON-RPC id.
    pub request: Option<Value>,
    /// MCP method.
    pub method: Option<String>,
    /// Tool, prompt or resource.
    pub tool: Option<String>,
    /// Redacted arguments.
    pub args: Option<Value>,
    /// Redacted result.
    pub result: Option<Value>,
    /// Milliseconds.
    pub duration_ms: Option<f64>,
    /// What was removed.
    pub redaction: Option<Value>,
    /// What only this type has.
    pub details: Option<Value>,
}

/// The bytes are not a record.
#[derive(Debug, Error)]
#[error("not a record: {0}")]
pub struct ParseRecordError(#[from] serde_json::Error);

impl ParsedRecord {
    /// Reads one record, without its line feed.
    pub fn parse(line: &[u8]) -> Result<Self, ParseRecordError> {
        Ok(serde_json::from_slice(line)?)
    }
}
