//! Durations, sizes and times as people write them: `90d`, `20GiB`, `2026-11-01`.

use std::time::Duration;

use tacho_event::Timestamp;

const DAY: u64 = 86_400;

/// A year is never shorter than this, so that a year of retention is a year.
const YEAR: u64 = 366 * DAY;

const DURATIONS: &[(&str, u64)] = &[
    ("s", 1),
    ("min", 60),
    ("h", 3_600),
    ("d", DAY),
    ("w", 7 * DAY),
    ("y", YEAR),
];

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A whole number and a unit: `90d`, `36 h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    number(text, DURATIONS)
        .map(Duration::from_secs)
        .ok_or_else(|| {
            format!("{text:?} is not a duration: write a whole number and s, min, h, d, w or y (366 days), as in 90d")
        })
}

/// A whole number and a unit: `20GiB`, `500 MB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    number(text, SIZES).ok_or_else(|| {
        format!("{text:?} is not a size: write a whole number and B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, as in 20GiB")
    })
}

fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// A duration in its largest whole unit.
pub(crate) fn show_duration(duration: Duration) -> String {
    show(duration.as_secs(), DURATIONS)
}

/// A size in its largest whole binary unit.
pub(crate) fn show_bytes(bytes: u64) -> String {
    let (first, binary) = SIZES.split_at_checked(1).unwrap_or((SIZES, &[]));
    let units: Vec<_> = first.iter().chain(binary.iter().skip(4)).copied().collect();
    show(bytes, &units)
}

fn show(number: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, factor): &&(&str, u64)| number >= *factor && number.is_multiple_of(*factor);
    let unit = units.iter().rev().find(fits).or(units.first());
    let (name, factor) = unit.copied().unwrap_or(("", 1));
    format!("{}{name}", number / factor)
}

/// A day or an instant in UTC, or how long ago: `2026-11-01`, `2026-11-01T18:05:00Z`, `36h`.
pub(crate) fn time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(ago) = duration(text) {
        let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
        return Ok(Timestamp::from_unix_nanos(
            now.unix_nanos().saturating_sub(ago),
        ));
    }
    let whole = match text.strip_suffix('Z') {
        Some(instant) => {
            let (seconds, fraction) = instant.split_once('.').unwrap_or((instant, ""));
            format!("{seconds}.{fraction:0<9}Z")
        }
        None => format!("{text}T00:00:00.000000000Z"),
    };
    Timestamp::parse(&whole).map_err(|_otherwise| {
        format!("{text:?} is neither a position nor a time: write 2026-11-01, 2026-11-01T18:05:00Z, or how long ago, as in 36h")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        for (text, seconds) in [
            ("90d", 90 * DAY),
            ("0d", 0),
            ("36 h", 36 * 3_600),
            ("15min", 900),
            ("2w", 14 * DAY),
            ("7y", 7 * YEAR),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(bytes("20GiB"), Ok(20 << 30));
        assert_eq!(bytes("500 MB"), Ok(500_000_000));
        for text in [
            "",
            "90",
            "d",
            "-1d",
            "1.5d",
            "90D",
            "90 days",
            "1m",
            "99999999999999999999d",
            "9999999999999999y",
        ] {
            assert!(duration(text).unwrap_err().contains("as in 90d"), "{text}");
        }
        for text in ["", "20", "20gb", "GiB", "99999999999TiB"] {
            assert!(bytes(text).unwrap_err().contains("as in 20GiB"), "{text}");
        }
    }

    #[test]
    fn shown_as_written() {
        for text in ["90d", "36h", "7y", "1s", "0s", "2w"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        for text in ["20GiB", "1B", "0B", "3MiB", "1025B"] {
            assert_eq!(show_bytes(bytes(text).unwrap()), text);
        }
    }

    #[test]
    fn times() {
        let now = Timestamp::parse("2026-11-20T12:00:00.000000000Z").unwrap();
        for (text, expected) in [
            ("2026-11-01", "2026-11-01T00:00:00.000000000Z"),
            ("2026-11-01T18:05:00Z", "2026-11-01T18:05:00.000000000Z"),
            ("2026-11-01T18:05:00.25Z", "2026-11-01T18:05:00.250000000Z"),
            ("12h", "2026-11-20T00:00:00.000000000Z"),
        ] {
            assert_eq!(time(text, now).unwrap().to_string(), expected, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-11-01T18:05:00",
            "2026-11-01T18:05:00.1234567890Z",
        ] {
            assert!(time(text, now).is_err(), "{text}");
        }
    }
}
