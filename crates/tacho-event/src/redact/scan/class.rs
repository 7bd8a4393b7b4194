//! What a byte can be part of.

use crate::redact::numbers::in_number;

/// Part of a run in which a token can stand.
pub(crate) const RUN: u8 = 1;
/// Part of a number in groups.
pub(crate) const NUMBER: u8 = 1 << 1;
/// Part of base64.
pub(crate) const BASE64: u8 = 1 << 2;
/// A letter or digit.
pub(crate) const WORD: u8 = 1 << 3;
/// Part of a name in a text.
pub(crate) const NAME: u8 = 1 << 4;
/// Part of base64 between slashes, or its padding.
pub(crate) const PIECE: u8 = 1 << 5;
/// Part of a UUID or a digest in hexadecimal: no token consists of such bytes alone.
pub(crate) const HEX: u8 = 1 << 6;

const TABLE: [u8; 256] = {
    let mut table = [0; 256];
    let mut rest: &mut [u8] = &mut table;
    let mut byte = 0_u8;
    while let Some((slot, after)) = rest.split_first_mut() {
        *slot = classes(byte);
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
};

const fn classes(byte: u8) -> u8 {
    let word = byte.is_ascii_alphanumeric();
    let base64 = word || matches!(byte, b'_' | b'-' | b'+' | b'/');
    let mut classes = 0;
    if word {
        classes |= WORD;
    }
    if base64 {
        classes |= BASE64;
    }
    if base64 || matches!(byte, b'.' | b'=' | b':' | b'~') {
        classes |= RUN;
    }
    if base64 && byte != b'/' || byte == b'=' {
        classes |= PIECE;
    }
    if byte.is_ascii_digit() || matches!(byte, b'a'..=b'f' | b'-') {
        classes |= HEX;
    }
    if word || matches!(byte, b'_' | b'-' | b'.') {
        classes |= NAME;
    }
    if in_number(byte) {
        classes |= NUMBER;
    }
    classes
}

/// The classes of a byte.
#[inline]
pub(crate) fn of(byte: u8) -> u8 {
    TABLE.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Where the first word at or after `from` begins.
#[inline]
pub(super) fn word(run: &[u8], from: usize) -> Option<usize> {
    let rest = run.get(from..)?;
    let skipped = rest.iter().position(|byte| of(*byte) & WORD != 0)?;
    Some(from + skipped)
}

/// Where the word that goes on at `from` ends.
#[inline]
pub(super) fn word_end(run: &[u8], from: usize) -> usize {
    let rest = run.get(from..).unwrap_or_default();
    let word = rest.iter().position(|byte| of(*byte) & WORD == 0);
    from + word.unwrap_or(rest.len())
}

/// How many bytes from the first on are of the class, and what classes they have in common: eight at
/// a time, since runs are long.
#[inline]
fn span(bytes: &[u8], class: u8) -> (usize, u8) {
    let mut common = u8::MAX;
    let mut length = 0;
    let (blocks, _) = bytes.as_chunks::<8>();
    for block in blocks {
        let all = block.iter().fold(common, |all, byte| all & of(*byte));
        if all & class == 0 {
            break;
        }
        common = all;
        length += 8;
    }
    for byte in bytes.get(length..).unwrap_or_default() {
        let all = common & of(*byte);
        if all & class == 0 {
            break;
        }
        common = all;
        length += 1;
    }
    (length, common)
}

/// Calls back for every longest run of at least `least` bytes of the class, with the classes that all
/// of its bytes have in common. Looks at each window from its end, so most bytes outside of runs are
/// never looked at.
#[inline]
pub(crate) fn runs(bytes: &[u8], class: u8, least: usize, mut found: impl FnMut(usize, usize, u8)) {
    let mut from = 0;
    while let Some((start, common)) = next(bytes, class, least, from) {
        let rest = bytes.get(start + least..).unwrap_or_default();
        let (more, further) = span(rest, class);
        let end = start + least + more;
        found(start, end, common & further);
        from = end + 1;
    }
}

/// Where the first window of `least` bytes of the class begins, at or after `from`; and the classes
/// that all of its bytes have in common.
#[inline]
fn next(bytes: &[u8], class: u8, least: usize, from: usize) -> Option<(usize, u8)> {
    let mut from = from;
    loop {
        let window = bytes.get(from..from + least)?;
        let Some(at) = window.iter().rposition(|byte| of(*byte) & class == 0) else {
            let common = window.iter().fold(u8::MAX, |all, byte| all & of(*byte));
            return Some((from, common));
        };
        from += at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::rules::{Part, tokens};

    #[test]
    fn every_token_has_a_byte_that_no_uuid_has() {
        for rule in tokens() {
            let other = |part: &Part| match part {
                Part::Text(text) => text.bytes().any(|byte| of(byte) & HEX == 0),
                Part::Run(class, least, _) => {
                    *least > 0 && !(0..=u8::MAX).any(|byte| class.has(byte) && of(byte) & HEX != 0)
                }
            };
            assert!(rule.parts.iter().any(other), "{}", rule.pattern());
        }
    }
}
