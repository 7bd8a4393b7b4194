use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use tacho_event::Timestamp;

use super::Report;
use super::pairs::Paired;

const FILE: &str = "minimum-index";

/// Whether the log begins where it does because its writer said so under a checkpoint, and whether what
/// it removed was old enough (`docs/format.md` §15).
pub(super) struct Beginning {
    minimum: u64,
    min_retention: Option<Duration>,
    declared: bool,
}

/// A `retention_pruned` record.
#[derive(Deserialize)]
struct Pruning<'a> {
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    details: Details<'a>,
}

#[derive(Deserialize)]
struct Details<'a> {
    from: u64,
    to: u64,
    #[serde(borrow)]
    newest: Cow<'a, str>,
}

impl Beginning {
    pub(super) const fn new(minimum: u64, min_retention: Option<Duration>) -> Self {
        Self {
            minimum,
            min_retention,
            declared: minimum == 0,
        }
    }

    /// Looks at one sealed record.
    pub(super) fn take(
        &mut self,
        seq: u64,
        record: &Paired<'_>,
        line: &[u8],
        file: &dyn Fn() -> String,
        report: &mut Report,
    ) {
        if record.kind.as_deref() != Some("retention_pruned") {
            return;
        }
        let Ok(pruning) = serde_json::from_slice::<Pruning<'_>>(line) else {
            let what = "it does not say which records retention removed".to_owned();
            return report.tampered(Some(seq), Some(&file()), what);
        };
        let Details { from, to, newest } = &pruning.details;
        self.declared |= *to == self.minimum;
        let Some(policy) = self.min_retention else {
            return;
        };
        let age = age(newest, &pruning.timestamp);
        if age.is_none_or(|age| age < policy) {
            let age = age.map_or_else(
                || "of an age that cannot be read".to_owned(),
                |age| format!("{} seconds old", age.as_secs()),
            );
            let what = format!(
                "records {from} up to {to} were removed when the newest of them was {age}; at least {} \
                 seconds are demanded",
                policy.as_secs()
            );
            report.tampered(Some(seq), Some(&file()), what);
        }
    }

    /// After the last record; `size` is the checkpoint's.
    pub(super) fn report(self, size: u64, some_unread: bool, report: &mut Report) {
        if self.declared {
            return;
        }
        if some_unread && self.minimum <= size {
            let what = "whether a record says where the log begins: it may be among those that were not read";
            report.notes.push(what.to_owned());
            return;
        }
        let what = if self.minimum > size {
            format!(
                "it says that the log begins with record {}, and the checkpoint covers {size}",
                self.minimum
            )
        } else {
            format!(
                "it says that records before {} were pruned, and no sealed retention_pruned record says so",
                self.minimum
            )
        };
        report.tampered(None, Some(FILE), what);
    }
}

/// How old what was written at `newest` was at `pruned`; nothing from the future is old.
fn age(newest: &str, pruned: &str) -> Option<Duration> {
    let nanos = |text: &str| Timestamp::parse(text).ok().map(Timestamp::unix_nanos);
    let age = nanos(pruned)?.saturating_sub(nanos(newest)?);
    Some(Duration::from_nanos(age))
}
