//! Bodies that records say are kept as evidence: which ones somebody means, and what became of them.

use std::collections::BTreeMap;

use tacho_event::{Body, EventId, ParsedRecord};
use tacho_log::LogDir;
use tacho_log::evidence::{Kept, State, erasures};
use tacho_log::reader::{ReadError, Reader};

use crate::render::grouped;

/// What became of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It is there.
    Kept,
    /// The record at this position says that it was erased; whether its file is still there.
    Erased { by: u64, still_there: bool },
    /// It is gone without a word.
    Missing,
    /// Its file is not what was written.
    Changed,
    /// Its file cannot be read, for this reason.
    Unreadable(String),
}

impl Condition {
    /// One word, for programs.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Erased { .. } => "erased",
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// The bodies of some records.
pub(crate) fn of<'a>(records: impl IntoIterator<Item = &'a ParsedRecord>) -> Vec<Kept> {
    records.into_iter().flat_map(Kept::of).collect()
}

/// What became of each of them.
pub(crate) fn conditions(
    log: &LogDir,
    reader: &Reader,
    bodies: &[Kept],
) -> Result<Vec<Condition>, ReadError> {
    let Some(first) = bodies.iter().map(|kept| kept.seq).min() else {
        return Ok(Vec::new());
    };
    // A body is erased after it was recorded.
    let erased = erasures(reader, first)?;
    Ok(bodies
        .iter()
        .map(|kept| condition(log, kept, &erased))
        .collect())
}

fn condition(log: &LogDir, kept: &Kept, erased: &BTreeMap<(EventId, Body), u64>) -> Condition {
    let by = erased.get(&(kept.id, kept.body)).copied();
    match (kept.state(log), by) {
        (Ok(state), Some(by)) => Condition::Erased {
            by,
            still_there: state != State::Gone,
        },
        (Ok(State::There), None) => Condition::Kept,
        (Ok(State::Changed), None) => Condition::Changed,
        (Ok(State::Gone), None) => Condition::Missing,
        (Err(error), _) => Condition::Unreadable(error.to_string()),
    }
}

/// A body in words: `args 1,234 bytes, kept`.
pub(crate) fn describe(kept: &Kept, condition: &Condition) -> String {
    let became = match condition {
        Condition::Kept => "kept".to_owned(),
        Condition::Erased { by, still_there } if *still_there => {
            format!("erased by record {by}, and the file is still there")
        }
        Condition::Erased { by, .. } => format!("erased by record {by}"),
        Condition::Missing => "missing".to_owned(),
        Condition::Changed => "changed: the file has a wrong length".to_owned(),
        Condition::Unreadable(why) => format!("cannot be read: {why}"),
    };
    format!("{} {} bytes, {became}", kept.body, grouped(kept.bytes))
}

#[cfg(test)]
mod tests {
    use tacho_event::Commitment;

    use super::*;

    #[test]
    fn what_became_of_a_body_in_words() {
        let kept = Kept {
            seq: 7,
            id: EventId::from_bytes([1; 16]),
            day: "2026-11-20".to_owned(),
            body: Body::Args,
            bytes: 1_234,
            commitment: Commitment::to(&[0; 32], b""),
        };
        let erased = |still_there| Condition::Erased { by: 9, still_there };
        for (condition, words) in [
            (Condition::Kept, "args 1,234 bytes, kept"),
            (erased(false), "args 1,234 bytes, erased by record 9"),
            (
                erased(true),
                "args 1,234 bytes, erased by record 9, and the file is still there",
            ),
            (Condition::Missing, "args 1,234 bytes, missing"),
        ] {
            assert_eq!(describe(&kept, &condition), words);
        }
    }
}
