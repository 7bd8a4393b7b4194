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
/// Ends a JSON string or cannot stand in one as it is.
pub(crate) const ESCAPE: u8 = 1 << 5;

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
    if word || matches!(byte, b'_' | b'-' | b'.') {
        classes |= NAME;
    }
    if in_number(byte) {
        classes |= NUMBER;
    }
    if byte < b' ' || matches!(byte, b'"' | b'\\') {
        classes |= ESCAPE;
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

/// How many bytes from the first on are of the class: eight at a time, since runs are long.
#[inline]
fn span(bytes: &[u8], class: u8) -> usize {
    let (blocks, _) = bytes.as_chunks::<8>();
    let within = |block: &&[u8; 8]| block.iter().fold(class, |all, byte| all & of(*byte)) != 0;
    let whole = blocks.iter().take_while(within).count() * 8;
    let rest = bytes.get(whole..).unwrap_or_default();
    let more = rest.iter().position(|byte| of(*byte) & class == 0);
    whole + more.unwrap_or(rest.len())
}

/// Calls back for every longest run of at least `least` bytes of the class. Looks at each window from
/// its end, so most bytes outside of runs are never looked at.
#[inline]
pub(super) fn runs(bytes: &[u8], class: u8, least: usize, mut found: impl FnMut(usize, usize)) {
    let without = |byte: &u8| of(*byte) & class == 0;
    let mut from = 0;
    while let Some(window) = bytes.get(from..from + least) {
        if let Some(at) = window.iter().rposition(without) {
            from += at + 1;
            continue;
        }
        let rest = bytes.get(from + least..).unwrap_or_default();
        let end = from + least + span(rest, class);
        found(from, end);
        from = end + 1;
    }
}
