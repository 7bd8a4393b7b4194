//! What an answer says about how it went: the three layers of `docs/format.md` §4.1.

use tacho_event::{Detail, Failure, Layer, Outcome, Severity, Unredacted};

use crate::fields::{Answer, text};
use crate::limits::TEXT_BYTES;
use crate::scan;

/// How a request ended, or that it has not.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) error: Option<Failure>,
}

impl Verdict {
    pub(super) const fn plain(outcome: Outcome) -> Self {
        Self {
            outcome,
            error: None,
        }
    }

    pub(super) fn failed(layer: Layer, code: Option<i64>, message: String) -> Self {
        let error = Failure {
            layer,
            code,
            message: Unredacted::new(message),
        };
        Self {
            outcome: Outcome::Error,
            error: Some(error),
        }
    }

    /// From a JSON-RPC error object.
    pub(super) fn of_error(error: &[u8]) -> Self {
        let code = scan::member(error, "code").and_then(scan::integer);
        let message = scan::member(error, "message").and_then(words);
        Self::failed(
            Layer::Protocol,
            code,
            message.unwrap_or_else(|| "an error without a message".to_owned()),
        )
    }

    /// From a JSON-RPC result that is the final answer.
    pub(super) fn of_result(answer: &Answer<'_>) -> Self {
        if answer.is_error != Some(b"true") {
            return Self::plain(Outcome::Ok);
        }
        let first = answer.content.and_then(|content| {
            scan::elements(content).find_map(|item| scan::member(item, "text"))
        });
        let message = first.and_then(words);
        Self::failed(
            Layer::Tool,
            None,
            message.unwrap_or_else(|| "the tool reported an error without text".to_owned()),
        )
    }

    /// From a task's status. The final answer travels inside `tasks/get` and `notifications/tasks` of
    /// the extension; in 2025-11-25 it is fetched by `tasks/result`, and `failed` stands for `isError`.
    pub(super) fn of_task(status: &str, message: Option<&[u8]>, inner: Inner<'_>) -> Self {
        match status {
            "completed" => inner.result.map_or(Self::plain(Outcome::Ok), |raw| {
                Self::of_result(&Answer::of(Some(raw)))
            }),
            "failed" => match inner.error {
                Some(error) => Self::of_error(error),
                None => Self::failed(
                    Layer::Tool,
                    None,
                    message
                        .and_then(words)
                        .unwrap_or_else(|| "the task failed".to_owned()),
                ),
            },
            "cancelled" => Self::plain(Outcome::Cancelled),
            _ => Self::plain(Outcome::Pending),
        }
    }

    pub(super) const fn severity(&self) -> Severity {
        match self.outcome {
            Outcome::Error | Outcome::Denied => Severity::Error,
            Outcome::Timeout | Outcome::Interrupted => Severity::Warning,
            Outcome::Ok | Outcome::Cancelled | Outcome::Pending => Severity::Info,
        }
    }
}

/// The final answer inside the description of a task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inner<'a> {
    pub(super) result: Option<&'a [u8]>,
    pub(super) error: Option<&'a [u8]>,
}

/// A message from outside, not longer than redaction needs.
fn words(raw: &[u8]) -> Option<String> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let cut = inner.get(..TEXT_BYTES).unwrap_or(inner);
    Some(scan::unescape(cut).into_owned())
}

/// Text of a line that is no message, cut well beyond what a record keeps.
pub(super) fn excerpt(line: &[u8]) -> Detail {
    let cut = line.get(..TEXT_BYTES).unwrap_or(line);
    Detail::Text(Unredacted::new(String::from_utf8_lossy(cut).into_owned()))
}

/// Whether a reason for a cancellation says that time ran out. The SDKs write `Request timed out` and
/// `McpError: MCP error -32001: Request timed out`; others mention a timeout or a deadline.
pub(super) fn says_timeout(reason: Option<&[u8]>) -> bool {
    let reason = text(reason).unwrap_or_default().to_ascii_lowercase();
    ["timed out", "timeout", "time out", "deadline"]
        .iter()
        .any(|words| reason.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verdict: &Verdict, outcome: Outcome, error: Option<(Layer, Option<i64>, &str)>) {
        assert_eq!(verdict.outcome, outcome);
        let got = verdict
            .error
            .as_ref()
            .map(|f| (f.layer, f.code, f.message.expose().as_str()));
        assert_eq!(got, error);
    }

    #[test]
    fn three_layers() {
        let result = |raw: &str| Verdict::of_result(&Answer::of(Some(raw.as_bytes())));
        check(&result("{}"), Outcome::Ok, None);
        check(&result(r#"{"isError":false}"#), Outcome::Ok, None);
        check(
            &result(r#"{"content":[{"type":"image"},{"text":"no\nway"}],"isError":true}"#),
            Outcome::Error,
            Some((Layer::Tool, None, "no\nway")),
        );
        check(
            &Verdict::of_error(br#"{"code":-32602,"message":"bad"}"#),
            Outcome::Error,
            Some((Layer::Protocol, Some(-32602), "bad")),
        );
        check(
            &Verdict::of_error(b"7"),
            Outcome::Error,
            Some((Layer::Protocol, None, "an error without a message")),
        );
    }

    #[test]
    fn task_status() {
        let none = Inner::default();
        for (status, outcome) in [
            ("working", Outcome::Pending),
            ("input_required", Outcome::Pending),
            ("of a later version", Outcome::Pending),
            ("completed", Outcome::Ok),
            ("cancelled", Outcome::Cancelled),
        ] {
            check(&Verdict::of_task(status, None, none), outcome, None);
        }
        check(
            &Verdict::of_task("failed", Some(b"\"gone\""), none),
            Outcome::Error,
            Some((Layer::Tool, None, "gone")),
        );
        let error = Inner {
            error: Some(br#"{"code":1,"message":"m"}"#),
            ..none
        };
        check(
            &Verdict::of_task("failed", None, error),
            Outcome::Error,
            Some((Layer::Protocol, Some(1), "m")),
        );
        let result = Inner {
            result: Some(br#"{"isError":true}"#),
            ..none
        };
        assert_eq!(
            Verdict::of_task("completed", None, result).outcome,
            Outcome::Error
        );
    }

    #[test]
    fn reasons() {
        for (reason, expected) in [
            ("\"Request timed out\"", true),
            ("\"McpError: Timeout of 5s\"", true),
            ("\"User requested cancellation\"", false),
            ("7", false),
        ] {
            assert_eq!(says_timeout(Some(reason.as_bytes())), expected, "{reason}");
        }
        assert!(!says_timeout(None));
    }
}
