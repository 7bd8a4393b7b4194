//! The events that every logger gets: tool calls of about 500 bytes as JSON, one in twenty with a secret.

use bytes::Bytes;
use serde_json::{Value, json};

/// How many different ones there are; they repeat.
const DIFFERENT: u64 = 2_000;

const WORDS: [&str; 24] = [
    "order", "report", "region", "delivery", "review", "supplier", "carrier", "table", "notes",
    "project", "meeting", "summary", "branch", "release", "ticket", "customer", "invoice",
    "window", "query", "result", "change", "status", "folder", "archive",
];

/// One event, in the parts that loggers take.
pub(crate) struct Sample {
    /// Of the JSON-RPC request.
    pub(crate) request: u64,
    /// Name of the tool.
    pub(crate) tool: &'static str,
    /// JSON text of the arguments; bytes that a message shares.
    pub(crate) args: Bytes,
    /// The same as text.
    pub(crate) args_text: String,
    /// The session, the same for many.
    pub(crate) session: String,
    /// Milliseconds.
    pub(crate) duration_ms: f64,
}

/// The events, the same in each run.
pub(crate) fn samples() -> Vec<Sample> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..DIFFERENT)
        .map(|number| sample(number, &mut random))
        .collect()
}

/// The event as one JSON object, for loggers that take objects.
pub(crate) fn as_json(sample: &Sample) -> Value {
    json!({
        "type": "tool_call",
        "outcome": "ok",
        "session": sample.session,
        "request": sample.request,
        "method": "tools/call",
        "tool": sample.tool,
        "duration_ms": sample.duration_ms,
        "args": serde_json::from_slice(&sample.args).unwrap_or(Value::Null),
    })
}

fn sample(number: u64, random: &mut Random) -> Sample {
    let tools = [
        "read_file",
        "write_file",
        "search_issues",
        "run_query",
        "send_message",
        "list_files",
    ];
    let mut text = String::new();
    for _ in 0..28 {
        text.push_str(random.pick(&WORDS));
        text.push(' ');
    }
    if number.is_multiple_of(20) {
        // A token with the prefix and the length of a real one, made of nothing.
        text.push_str("ghp_");
        for _ in 0..36 {
            text.push(char::from(
                b'a' + u8::try_from(random.below(26)).unwrap_or_default(),
            ));
        }
    }
    let mut path = String::from("/srv");
    for _ in 0..4 {
        path.push_str(&format!("/{}-{}", random.pick(&WORDS), random.below(1_000)));
    }
    let args = json!({
        "path": path, "query": text, "limit": random.below(500), "recursive": number.is_multiple_of(2),
        "tags": [random.pick(&WORDS), random.pick(&WORDS)],
    });
    Sample {
        request: number,
        tool: random.pick(&tools),
        args: Bytes::from(args.to_string()),
        args_text: args.to_string(),
        session: format!("019a{:08x}-7000-8000-{:012x}", number / 50, number / 50),
        duration_ms: crate::stats::float(random.below(900_000)) / 1_000.0,
    }
}

/// xorshift64*: repeatable, and needs no crate.
struct Random(u64);

impl Random {
    const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        let length = u64::try_from(from.len()).unwrap_or(1);
        let index = usize::try_from(self.below(length)).unwrap_or_default();
        from.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_about_500_bytes_and_repeatable() {
        let lines: Vec<_> = samples()
            .iter()
            .map(|one| as_json(one).to_string())
            .collect();
        let mean = lines.iter().map(String::len).sum::<usize>() / lines.len();
        assert!((470..=530).contains(&mean), "{mean}");
        assert_eq!(
            lines.iter().filter(|line| line.contains("ghp_")).count(),
            lines.len() / 20
        );
        let again: Vec<_> = samples()
            .iter()
            .map(|one| as_json(one).to_string())
            .collect();
        assert_eq!(lines, again);
    }
}
