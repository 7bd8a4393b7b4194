mod lines;

use std::fmt;

use tacho_event::Timestamp;

use crate::limits::SEGMENT_NUMBER;

pub(crate) use lines::{Line, Lines};

/// The name of a segment: the UTC day of its first record, and a number that rises within the day
/// (`docs/format.md` §2). Sorts in log order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentName {
    day: String,
    number: u16,
}

/// What a file in the directory of the segments is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON Lines.
    Plain,
    /// JSON Lines in Zstandard frames.
    Zst,
    /// The same, encrypted; its name claims which records it has.
    Age(Claim),
}

/// The records that the name of an encrypted segment claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) first: u64,
    /// After the last one.
    pub(crate) end: u64,
}

impl Claim {
    /// `None` for no records at all.
    pub(crate) fn new(first: u64, end: u64) -> Option<Self> {
        (first < end).then_some(Self { first, end })
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, end) = text.split_once('-')?;
        let claim = Self::new(first.parse().ok()?, end.parse().ok()?)?;
        (claim.to_string() == text).then_some(claim)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.end)
    }
}

impl SegmentName {
    /// The first segment of a day.
    pub(crate) fn first(day: &str) -> Self {
        Self {
            day: day.to_owned(),
            number: 0,
        }
    }

    /// The segment that follows this one on `day`; a day before this one's counts as this one's.
    /// `None` when the day has no number left.
    pub(crate) fn next(&self, day: &str) -> Option<Self> {
        if day > self.day.as_str() {
            return Some(Self::first(day));
        }
        let number = self
            .number
            .checked_add(1)
            .filter(|number| *number <= SEGMENT_NUMBER)?;
        Some(Self {
            day: self.day.clone(),
            number,
        })
    }

    /// The UTC day, `YYYY-MM-DD`.
    pub(crate) fn day(&self) -> &str {
        &self.day
    }

    /// Reads a file's name; `None` for anything that is not a segment.
    pub(crate) fn parse(file: &str) -> Option<(Self, Form)> {
        let (stem, form) = if let Some(stem) = file.strip_suffix(".jsonl.zst.age") {
            let (stem, claim) = stem.rsplit_once('.')?;
            (stem, Form::Age(Claim::parse(claim)?))
        } else if let Some(stem) = file.strip_suffix(".jsonl.zst") {
            (stem, Form::Zst)
        } else {
            (file.strip_suffix(".jsonl")?, Form::Plain)
        };
        let (day, number) = stem.rsplit_once('-')?;
        let shape = |text: &str, shape: &str| {
            text.len() == shape.len()
                && text
                    .bytes()
                    .zip(shape.bytes())
                    .all(|(byte, form)| match form {
                        b'0' => byte.is_ascii_digit(),
                        _ => byte == form,
                    })
        };
        if !shape(day, "0000-00-00") || !shape(number, "000") {
            return None;
        }
        Some((
            Self {
                day: day.to_owned(),
                number: number.parse().ok()?,
            },
            form,
        ))
    }

    /// The file's name in one of its forms.
    pub(crate) fn file(&self, form: Form) -> String {
        match form {
            Form::Plain => format!("{self}.jsonl"),
            Form::Zst => format!("{self}.jsonl.zst"),
            Form::Age(claim) => format!("{self}.{claim}.jsonl.zst.age"),
        }
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:03}", self.day, self.number)
    }
}

/// One segment as found in the directory. Where several forms exist, the plain one counts before the
/// compressed one, and that before the encrypted one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    pub(crate) plain: bool,
    pub(crate) zst: bool,
    pub(crate) age: Option<Claim>,
}

impl Segment {
    /// The form that counts.
    pub(crate) const fn form(&self) -> Form {
        match self.age {
            _ if self.plain => Form::Plain,
            Some(claim) if !self.zst => Form::Age(claim),
            Some(_) | None => Form::Zst,
        }
    }

    /// The name of the file that counts.
    pub(crate) fn file(&self) -> String {
        self.name.file(self.form())
    }

    /// The names of all files that may belong to it, also what a crash left beside it.
    pub(crate) fn files(&self) -> impl Iterator<Item = String> {
        let age = self.age.map(|claim| self.name.file(Form::Age(claim)));
        [
            ".jsonl.zst.tmp",
            ".jsonl.zst.age.tmp",
            ".torn",
            ".jsonl.zst",
            ".jsonl",
        ]
        .into_iter()
        .map(|suffix| format!("{}{suffix}", self.name))
        .chain(age)
    }
}

/// The instant at which a UTC day begins, given as `YYYY-MM-DD`.
pub(crate) fn day_start(day: &str) -> Option<Timestamp> {
    Timestamp::parse(&format!("{day}T00:00:00.000000000Z")).ok()
}

/// The segments among the names in a directory, in log order. Other files are none of our business.
pub(crate) fn segments_among<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Segment> {
    let mut found: std::collections::BTreeMap<SegmentName, (bool, bool, Option<Claim>)> =
        Default::default();
    for (name, form) in names.into_iter().filter_map(SegmentName::parse) {
        let forms = found.entry(name).or_default();
        match form {
            Form::Plain => forms.0 = true,
            Form::Zst => forms.1 = true,
            Form::Age(claim) => forms.2 = forms.2.max(Some(claim)),
        }
    }
    found
        .into_iter()
        .map(|(name, (plain, zst, age))| Segment {
            name,
            plain,
            zst,
            age,
        })
        .collect()
}

/// What the front of a line says: `{"v":V,"seq":N,` and nothing else yet. The writer puts these two
/// members first, so that position and version are known without parsing JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineHead {
    pub(crate) version: u64,
    pub(crate) seq: u64,
}

impl LineHead {
    /// Reads the front of a line; `None` when it does not begin as every record does, or ends unlike one.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"{\"v\":")?;
        let (version, rest) = number(rest)?;
        let rest = rest.strip_prefix(b",\"seq\":")?;
        let (seq, rest) = number(rest)?;
        (rest.first() == Some(&b',') && rest.last() == Some(&b'}')).then_some(Self { version, seq })
    }
}

/// A decimal number without sign or leading zeros, and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (number, rest) = bytes.split_at_checked(digits)?;
    if number.first() == Some(&b'0') && digits > 1 {
        return None;
    }
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |file| SegmentName::parse(file).map(|(name, form)| (name.to_string(), form));
        assert_eq!(
            name("2026-11-20-000.jsonl"),
            Some(("2026-11-20-000".into(), Form::Plain))
        );
        assert_eq!(
            name("2026-11-20-017.jsonl.zst"),
            Some(("2026-11-20-017".into(), Form::Zst))
        );
        assert_eq!(
            name("2026-11-20-017.7-900.jsonl.zst.age"),
            Some((
                "2026-11-20-017".into(),
                Form::Age(Claim { first: 7, end: 900 })
            ))
        );
        for file in [
            "2026-11-20-000.torn",
            "2026-11-20-000.jsonl.zst.tmp",
            "2026-11-20-1000.jsonl",
            "2026-11-20-00.jsonl",
            "2026-11-20-000.jsonl.zst.age",
            "2026-11-20-000.7-7.jsonl.zst.age",
            "2026-11-20-000.07-9.jsonl.zst.age",
            "2026-11-20-000.7-9.jsonl.age",
            "2026-11-20-000.7-9.jsonl.zst.age.tmp",
            "2026-11-20.jsonl",
            "2026-1-20-000.jsonl",
            "-000.jsonl",
            ".jsonl",
            "",
        ] {
            assert_eq!(name(file), None, "{file}");
        }
    }

    #[test]
    fn days_never_go_back_and_numbers_end() {
        let name = SegmentName::first("2026-11-20");
        assert_eq!(
            name.next("2026-11-21").unwrap().to_string(),
            "2026-11-21-000"
        );
        assert_eq!(
            name.next("2026-11-20").unwrap().to_string(),
            "2026-11-20-001"
        );
        assert_eq!(
            name.next("2026-11-19").unwrap().to_string(),
            "2026-11-20-001"
        );
        let (last, _) = SegmentName::parse("2026-11-20-999.jsonl").unwrap();
        assert_eq!(last.next("2026-11-20"), None);
        assert_eq!(
            last.next("2026-11-21").unwrap().to_string(),
            "2026-11-21-000"
        );
    }

    #[test]
    fn line_heads() {
        let head = |line: &str| LineHead::parse(line.as_bytes()).map(|h| (h.version, h.seq));
        assert_eq!(head(r#"{"v":1,"seq":17,"id":"x"}"#), Some((1, 17)));
        for line in [
            "",
            r#"{"v":1,"seq":17"#,
            r#"{"v":1,"seq":17}"#,
            r#"{"v":1,"seq":017,"id":"x"}"#,
            r#"{"v":1,"seq":-1,"id":"x"}"#,
            r#"{"v":1, "seq":1,"id":"x"}"#,
            r#"{"v":1,"seq":1,"id":"x""#,
            r#"{"v":1,"seq":99999999999999999999,"id":"x"}"#,
        ] {
            assert_eq!(head(line), None, "{line}");
        }
    }
}
