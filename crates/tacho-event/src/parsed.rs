use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

/// A record read back, as far as readers need its members by name. Unknown members are ignored, so
/// a reader of this version reads later minor versions. What came from outside stays raw JSON: it may
/// hold numbers that no machine type does.
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
    pub request: Option<Box<RawValue>>,
    /// MCP method.
    pub method: Option<String>,
    /// Tool, prompt or resource.
    pub tool: Option<String>,
    /// Redacted arguments.
    pub args: Option<Box<RawValue>>,
    /// Redacted result.
    pub result: Option<Box<RawValue>>,
    /// Milliseconds.
    pub duration_ms: Option<f64>,
    /// Bodies kept outside the record.
    pub evidence: Option<Box<RawValue>>,
    /// What was removed.
    pub redaction: Option<Value>,
    /// What only this type has.
    pub details: Option<Box<RawValue>>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_every_machine_type_do_not_hide_a_record() {
        let line = br#"{"v":1,"seq":0,"id":"x","timestamp":"","type":"tool_call","args":{"n":1e400},"request":-1E+999}"#;
        let record = ParsedRecord::parse(line).unwrap();
        assert_eq!(record.args.unwrap().get(), r#"{"n":1e400}"#);
    }
}
