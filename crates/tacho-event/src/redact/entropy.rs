//! Values that look random, removed only beside a word that says what they are.

use super::keys::{KeyClass, classify, holds_stem};

/// Shorter values say too little about how they were made.
pub(super) const BYTES: usize = 20;

/// Bits per character above which a value over the base64 alphabet counts as random.
const BASE64_BITS: f64 = 4.5;

/// The same over hexadecimal digits.
const HEX_BITS: f64 = 3.0;

/// How far before a value the word may stand, in bytes, on the same line.
const BESIDE_BYTES: usize = 48;

/// Shannon entropy in bits per byte.
pub(super) fn bits(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let total = u32::try_from(value.len()).map_or(f64::from(u32::MAX), f64::from);
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum()
}

/// Whether a value looks like a key: long and random, and not a UUID (RFC 9562 §4) or a path.
pub(super) fn is_random(value: &[u8]) -> bool {
    if value.len() < BYTES || is_uuid(value) {
        return false;
    }
    if value.iter().all(u8::is_ascii_hexdigit) {
        return bits(value) > HEX_BITS && value.iter().any(u8::is_ascii_digit);
    }
    // 40 characters of base64 do not always reach 4.5 bits, but they do with all kinds of letters.
    let kinds = [
        u8::is_ascii_digit,
        u8::is_ascii_uppercase,
        u8::is_ascii_lowercase,
    ];
    let base64 = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(*byte, b'+' | b'/' | b'=' | b'-' | b'_')
    };
    value.iter().all(base64)
        && kinds.iter().all(|kind| value.iter().any(kind))
        && value.iter().filter(|byte| **byte == b'/').count() * 8 <= value.len()
        && bits(value) > BASE64_BITS
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Words that explain a random-looking value as something public.
const PUBLIC: &[&str] = &[
    "sha",
    "sha1",
    "sha256",
    "sha512",
    "sha384",
    "md5",
    "digest",
    "hash",
    "commit",
    "integrity",
    "checksum",
    "etag",
    "uuid",
    "revision",
    "rev",
    "blob",
    "tree",
    "public",
    "fingerprint",
    "hmac-sha256",
    "thumbprint",
    "ssh-rsa",
    "ssh-ed25519",
    "cache",
    "idempotency",
    "hex",
];

/// What stands before `start` on the same line, as far as it counts.
fn near(text: &str, start: usize) -> &str {
    let from = text.ceil_char_boundary(start.saturating_sub(BESIDE_BYTES));
    let near = text.get(from..start).unwrap_or_default();
    let line = memchr::memrchr(b'\n', near.as_bytes()).map_or(0, |at| at + 1);
    near.get(line..).unwrap_or_default()
}

/// A cheap first look: whether [`beside`] can find anything.
pub(super) fn may_be_beside(text: &str, start: usize) -> bool {
    let near = near(text, start);
    near.len() > 1 && holds_stem(near)
}

/// Whether a word that stands before `start`, on the same line, makes a random-looking value there a
/// secret; where that word begins.
pub(super) fn beside(text: &str, start: usize) -> Option<usize> {
    let near = near(text, start);
    let mut end = near.len();
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    loop {
        let rest = near.get(..end)?.trim_end_matches(|c| !in_word(c));
        let word_start = rest.rfind(|c| !in_word(c)).map_or(0, |at| at + 1);
        let word_start = (word_start..rest.len()).find(|at| rest.is_char_boundary(*at))?;
        let word = rest.get(word_start..)?;
        if PUBLIC
            .iter()
            .any(|public| public.eq_ignore_ascii_case(word))
        {
            return None;
        }
        if classify(word) != KeyClass::Plain {
            return Some(start - near.len() + word_start);
        }
        end = word_start;
    }
}
