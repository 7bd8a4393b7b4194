use std::fmt;

use thiserror::Error;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Displayed as RFC 3339 in UTC with nine digits of fraction, which is the one form a record uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From nanoseconds since the epoch; reaches to the year 2554.
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// From a system clock's reading; an instant before 1970 becomes 1970.
    pub fn from_system_time(time: std::time::SystemTime) -> Self {
        let nanos = time
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos());
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Nanoseconds since the epoch.
    pub const fn unix_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    pub const fn unix_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole seconds since the epoch.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / NANOS_PER_SECOND
    }

    /// The UTC day as `YYYY-MM-DD`.
    pub fn day(self) -> String {
        let (year, month, day) = civil(self.0 / NANOS_PER_SECOND / SECONDS_PER_DAY);
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// Appends the RFC 3339 form, 30 bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        let seconds = self.0 / NANOS_PER_SECOND;
        let (year, month, day) = civil(seconds / SECONDS_PER_DAY);
        let second_of_day = seconds % SECONDS_PER_DAY;
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        for (end, value) in [
            (4, year),
            (7, month),
            (10, day),
            (13, second_of_day / 3600),
            (16, second_of_day / 60 % 60),
            (19, second_of_day % 60),
            (29, self.0 % NANOS_PER_SECOND),
        ] {
            digits(text.get_mut(..end).unwrap_or_default(), value);
        }
        out.extend_from_slice(&text);
    }

    /// Reads back exactly the form that [`Timestamp::write`] makes.
    pub fn parse(text: &str) -> Result<Self, ParseTimestampError> {
        parse(text.as_bytes()).ok_or_else(|| ParseTimestampError(text.chars().take(40).collect()))
    }
}

/// The text is not `YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ`.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not an RFC 3339 time in UTC with nine digits of fraction: {0:?}")]
pub struct ParseTimestampError(String);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(30);
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// Writes a number over the zeros at the end of `text`.
fn digits(text: &mut [u8], mut value: u64) {
    for slot in text.iter_mut().rev() {
        if value == 0 {
            break;
        }
        *slot = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// Days since 1970-01-01 to year, month, day in the proleptic Gregorian calendar, counting years
/// from 1 March so that the leap day comes last (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 {
        year.checked_sub(1)?
    } else {
        year
    };
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let year_of_era = year % 400;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (year / 400 * 146_097 + day_of_era).checked_sub(719_468)
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| -> Option<u64> {
        let part = text.get(range)?;
        part.iter().all(u8::is_ascii_digit).then(|| {
            part.iter()
                .fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'))
        })
    };
    let marks = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'.'),
        (29, b'Z'),
    ];
    if text.len() != 30 || marks.iter().any(|(at, mark)| text.get(*at) != Some(mark)) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil(year, month, day)?;
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    let parsed = Timestamp(
        seconds
            .checked_mul(NANOS_PER_SECOND)?
            .checked_add(number(20..29)?)?,
    );
    (civil(days) == (year, month, day)).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_jiff_and_reads_back(nanos in 0..u64::MAX / 4) {
            let ours = Timestamp(nanos);
            let theirs = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
            prop_assert_eq!(ours.to_string(), format!("{theirs:.9}"));
            prop_assert_eq!(Timestamp::parse(&ours.to_string()), Ok(ours));
        }
    }

    #[test]
    fn refuses_other_forms() {
        for text in [
            "",
            "2026-11-20T18:05:02Z",
            "2026-11-20T18:05:02.123456789+00:00",
            "2026-02-30T18:05:02.123456789Z",
            "2026-11-20t18:05:02.123456789Z",
            "1969-12-31T23:59:59.999999999Z",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }
}
