//! `[space]`: when little room is left on the log's disk, and what then.

use serde::Deserialize;
use tacho_log::{SpaceOptions, Threshold, WhenLow};

/// The section as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Section {
    warn: Option<Size>,
    refuse: Option<Size>,
    when_low: Option<Word>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Warn,
    Refuse,
    Count,
}

/// `2GiB`, `5%`, `0`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Size(Threshold);

const UNITS: [(&str, u64); 5] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("", 1),
];

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no size; write it like \"2GiB\", \"256MiB\" or \"5%\"");
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.parse().ok().filter(|percent| *percent <= 100);
            return percent.map(Threshold::Percent).map(Self).ok_or_else(wrong);
        }
        let bytes = UNITS.iter().find_map(|(unit, bytes)| {
            let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(*bytes)
        });
        bytes.map(Threshold::Bytes).map(Self).ok_or_else(wrong)
    }
}

impl Section {
    /// What it means; what it does not say is as usual.
    pub(super) fn options(&self) -> SpaceOptions {
        let usual = SpaceOptions::default();
        SpaceOptions {
            warn: self.warn.map_or(usual.warn, |size| size.0),
            refuse: self.refuse.map_or(usual.refuse, |size| size.0),
            when_low: self.when_low.map_or(usual.when_low, |word| match word {
                Word::Warn => WhenLow::Warn,
                Word::Refuse => WhenLow::Refuse,
                Word::Count => WhenLow::Count,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("2GiB", Some(Threshold::Bytes(2 << 30))),
            ("256 MiB", Some(Threshold::Bytes(256 << 20))),
            ("0", Some(Threshold::Bytes(0))),
            ("5%", Some(Threshold::Percent(5))),
            ("101%", None),
            ("5GB", None),
            ("-1", None),
            ("GiB", None),
            ("99999999TiB", None),
        ] {
            let size = Size::try_from(text.to_owned());
            assert_eq!(size.ok().map(|size| size.0), expected, "{text}");
        }
    }
}
