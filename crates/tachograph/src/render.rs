//! Records as lines for people. Every part that comes from the log is escaped.

use serde_json::Value;
use serde_json::value::RawValue;
use tacho_event::ParsedRecord;

use crate::terminal::{Colour, Output, escape};

/// A member's value is shown up to this many characters; `--json` shows it whole.
const SHOWN_CHARS: usize = 2_000;

/// One line in columns: time, type, who, what, outcome, duration.
pub(crate) fn line(out: &Output, record: &ParsedRecord) -> String {
    let time = record.timestamp.get(11..23).unwrap_or(&record.timestamp);
    let server = record
        .server
        .as_ref()
        .and_then(|server| server["name"].as_str())
        .unwrap_or("");
    let subject = record
        .tool
        .as_deref()
        .or(record.method.as_deref())
        .unwrap_or("");
    format!(
        "{:>7} {} {:16} {:12} {:28} {}{}",
        record.seq,
        out.paint(Colour::Dim, &escape(time)),
        escape(&shorten(&record.kind, 16)),
        escape(&shorten(server, 12)),
        escape(&shorten(subject, 28)),
        outcome(out, record),
        remarks(out, record),
    )
}

/// The outcome in its colour; an intent is an arrow out.
pub(crate) fn outcome(out: &Output, record: &ParsedRecord) -> String {
    let Some(outcome) = record.outcome.as_deref() else {
        return String::new();
    };
    if record.stage.as_deref() == Some("intent") {
        return out.paint(Colour::Dim, "…");
    }
    let colour = match outcome {
        "ok" => Colour::Green,
        "error" | "denied" => Colour::Red,
        _ => Colour::Yellow,
    };
    let mut text = out.paint(colour, &escape(&shorten(outcome, 16)));
    if let Some(error) = &record.error {
        let layer = error["layer"].as_str().unwrap_or("");
        let message = error["message"].as_str().unwrap_or("");
        text.push_str(&format!(
            " ({}: {})",
            escape(&shorten(layer, 16)),
            escape(&shorten(message, 60))
        ));
    }
    text
}

fn remarks(out: &Output, record: &ParsedRecord) -> String {
    let mut text = String::new();
    if let Some(ms) = record.duration_ms {
        text.push_str(&out.paint(Colour::Dim, &format!("  {ms:.1} ms")));
    }
    let removed = record
        .redaction
        .as_ref()
        .and_then(|redaction| redaction["count"].as_u64());
    if let Some(removed) = removed.filter(|removed| *removed > 0) {
        text.push_str(&out.paint(Colour::Yellow, &format!("  {removed} redacted")));
    }
    text
}

/// Members and their values, one a line, as far as they say something.
pub(crate) fn members(record: &ParsedRecord) -> Vec<(&'static str, String)> {
    let json = |value: &Option<Value>| {
        value
            .as_ref()
            .map(|value| shorten(&value.to_string(), SHOWN_CHARS))
    };
    let raw = |value: &Option<Box<RawValue>>| {
        value
            .as_ref()
            .map(|value| shorten(value.get(), SHOWN_CHARS))
    };
    let members = [
        ("tool", record.tool.clone()),
        ("method", record.method.clone()),
        ("actor", json(&record.actor)),
        ("client", json(&record.client)),
        ("server", json(&record.server)),
        ("args", raw(&record.args)),
        ("result", raw(&record.result)),
        ("error", json(&record.error)),
        ("redaction", json(&record.redaction)),
        ("details", raw(&record.details)),
    ];
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name, escape(&value?))))
        .collect()
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn shorten(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars()
        .take(chars.saturating_sub(1))
        .chain(['…'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (16_777_216, "16,777,216"),
        ] {
            assert_eq!(grouped(number), shown);
        }
    }
}
