//! Numbers with check digits: payment cards (ISO/IEC 7812-1) and IBAN (ISO 13616-1).

/// Whether a byte may be part of a number as people write them: digits, capitals, space, dash.
pub(super) const fn in_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte.is_ascii_uppercase() || matches!(byte, b' ' | b'-')
}

/// Fewest digits of a card, fewest characters of a window in which one can stand.
pub(super) const CARD_DIGITS: usize = 12;

/// The Luhn check (ISO/IEC 7812-1 annex B) over ASCII digits.
pub fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = u32::from(digit.saturating_sub(b'0'));
            match (at % 2 == 1, value) {
                (true, 5..) => value * 2 - 9,
                (true, _) => value * 2,
                (false, _) => value,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Issuer ranges: the first digits, from and to, and how many digits such a card has.
pub const ISSUERS: &[(u32, u32, &[usize])] = &[
    (4, 4, &[13, 16, 19]),
    (51, 55, &[16]),
    (2221, 2720, &[16]),
    (34, 34, &[15]),
    (37, 37, &[15]),
    (300, 305, &[14, 16]),
    (3095, 3095, &[14, 16]),
    (36, 36, &[14, 16, 19]),
    (38, 39, &[14, 16, 19]),
    (3528, 3589, &[16, 19]),
    (2131, 2131, &[15]),
    (1800, 1800, &[15]),
    (6011, 6011, &[16, 19]),
    (644, 659, &[16, 18, 19]),
    (62, 62, &[16, 17, 18, 19]),
    (81, 82, &[16, 19]),
    (60, 60, &[16]),
    (508, 508, &[16]),
    (2200, 2204, &[16, 19]),
    (9792, 9792, &[16]),
    (9860, 9860, &[16]),
    (8600, 8600, &[16]),
    (5018, 5018, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (5020, 5020, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (5038, 5038, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (5893, 5893, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (6304, 6304, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (6759, 6759, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (6761, 6763, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (5060, 5061, &[16, 18, 19]),
    (636, 636, &[16, 17, 18, 19]),
];

/// Whether ASCII digits are a card number: issuer, length, check digit.
pub fn is_card(digits: &[u8]) -> bool {
    luhn(digits) && issued(digits)
}

fn issued(digits: &[u8]) -> bool {
    let head = |count: usize| {
        digits
            .iter()
            .take(count)
            .fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    ISSUERS.iter().any(|(from, to, lengths)| {
        let width = usize::try_from(from.ilog10()).unwrap_or(0) + 1;
        lengths.contains(&digits.len()) && (*from..=*to).contains(&head(width))
    })
}

/// The card that stands in `text[start..end]`, a run of digits with single spaces or dashes between
/// them that begins and ends with a digit: the first and longest. Written in groups, the first has
/// four digits, the others three to six, the last at least one, and one separator is used throughout.
pub fn card(text: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let run = text.get(start..end)?;
    let mut at = 0;
    while let Some(group) = run.get(at..).filter(|rest| rest.len() >= CARD_DIGITS) {
        let from = start + at;
        if free_before(text, from)
            && let Some(length) = card_at(group).filter(|length| free_after(text, from + length))
        {
            return Some((from, from + length));
        }
        at += group.iter().position(|byte| !byte.is_ascii_digit())? + 1;
    }
    None
}

fn card_at(run: &[u8]) -> Option<usize> {
    let mut digits = [0_u8; 19];
    let mut count = 0;
    let mut separator = None;
    let mut group = 0;
    let mut best = None;
    for (at, byte) in run.iter().enumerate() {
        if byte.is_ascii_digit() {
            *digits.get_mut(count)? = *byte;
            count += 1;
            group += 1;
            let whole = run.get(at + 1).is_none_or(|next| !next.is_ascii_digit());
            let taken = digits.get(..count).unwrap_or_default();
            if whole && group <= 6 + usize::from(separator.is_none()) * 13 && is_card(taken) {
                best = Some(at + 1);
            }
            if count == digits.len() {
                let over = run.get(at + 1).is_some_and(u8::is_ascii_digit);
                return if over { None } else { best };
            }
            continue;
        }
        let fits = match separator {
            None => group == 4,
            Some(known) => known == *byte && (3..=6).contains(&group),
        };
        if !fits {
            return best;
        }
        separator = Some(*byte);
        group = 0;
    }
    best
}

const fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Not the end of a longer word, a decimal fraction, a UUID or an international telephone number.
fn free_before(text: &[u8], start: usize) -> bool {
    let byte = |at: Option<usize>| at.and_then(|at| text.get(at)).copied().unwrap_or(b' ');
    let before = byte(start.checked_sub(1));
    let further = byte(start.checked_sub(2));
    match before {
        b'+' => false,
        b'-' | b'.' => !further.is_ascii_alphanumeric(),
        b'n' | b'r' | b't' => further == b'\\',
        _ => !in_word(before),
    }
}

/// The same for what follows.
fn free_after(text: &[u8], end: usize) -> bool {
    let byte = |at: usize| text.get(at).copied().unwrap_or(b' ');
    let (after, beyond) = (byte(end), byte(end + 1));
    match after {
        b'-' => !beyond.is_ascii_alphanumeric(),
        b'.' => !beyond.is_ascii_digit(),
        _ => !in_word(after),
    }
}

/// Length of an IBAN by country (ISO 13616-1, SWIFT registry).
pub const COUNTRIES: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Fewest characters of an IBAN.
pub(super) const IBAN_BYTES: usize = 15;

/// The end of the IBAN that starts at `start`: as long as its country says, single spaces or dashes
/// allowed, ISO 7064 mod 97-10.
pub fn iban(text: &[u8], start: usize) -> Option<usize> {
    let country = text.get(start..start + 2)?;
    let (_, length) = COUNTRIES.iter().find(|(code, _)| *code == country)?;
    let left = start
        .checked_sub(1)
        .and_then(|at| text.get(at))
        .copied()
        .unwrap_or(b' ');
    let further = start
        .checked_sub(2)
        .and_then(|at| text.get(at))
        .copied()
        .unwrap_or(b' ');
    let escape = matches!(left, b'n' | b'r' | b't') && further == b'\\';
    if (left.is_ascii_alphanumeric() && !escape) || left == b'_' {
        return None;
    }
    let mut taken = Vec::with_capacity(*length);
    let mut end = start;
    for (at, byte) in text.iter().enumerate().skip(start) {
        if byte.is_ascii_digit() || byte.is_ascii_uppercase() {
            taken.push(*byte);
            end = at + 1;
            if taken.len() == *length {
                break;
            }
        } else if !matches!(byte, b' ' | b'-') || end != at {
            break;
        }
    }
    let apart = text
        .get(end)
        .is_none_or(|next| !next.is_ascii_alphanumeric() && *next != b'_');
    (taken.len() == *length && apart && mod97(&taken) == 1).then_some(end)
}

/// ISO 7064 mod 97-10 over the rearranged number.
pub fn mod97(iban: &[u8]) -> u32 {
    let (head, body) = iban.split_at_checked(4).unwrap_or((iban, &[]));
    body.iter().chain(head).fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        b'A'..=b'Z' => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
        _ => rest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards() {
        let found = |text: &str| {
            let bytes = text.as_bytes();
            let start = bytes.iter().position(u8::is_ascii_digit)?;
            let end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
            card(bytes, start, end).map(|(from, to)| text.get(from..to).unwrap().to_owned())
        };
        for (text, card) in [
            ("4111111111111111", "4111111111111111"),
            ("4111 1111 1111 1111", "4111 1111 1111 1111"),
            ("378282246310005", "378282246310005"),
            ("3782-822463-10005", "3782-822463-10005"),
            ("30569309025904", "30569309025904"),
            ("4222222222222", "4222222222222"),
            ("12 4111 1111 1111 1111 03", "4111 1111 1111 1111"),
            ("2026-11-20 4111 1111 1111 1111", "4111 1111 1111 1111"),
        ] {
            assert_eq!(found(text).as_deref(), Some(card), "{text}");
        }
        for text in [
            "4111111111111112",
            "1732099680000",
            "0.4111111111111111",
            "+4111111111111111",
            "41111111111111111111",
            "550e8400-e29b-41d4-a716-446655440000",
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn ibans() {
        for (text, end) in [
            ("GB82WEST12345698765432", 22),
            ("DE89 3704 0044 0532 0130 00 is", 27),
            ("NO9386011117947", 15),
            ("MT84MALT011000012345MTLCAST001S", 31),
        ] {
            assert_eq!(iban(text.as_bytes(), 0), Some(end), "{text}");
        }
        for text in [
            "GB82WEST12345698765433",
            "XX82WEST12345698765432",
            "DE893704004405320130001",
        ] {
            assert_eq!(iban(text.as_bytes(), 0), None, "{text}");
        }
    }
}
