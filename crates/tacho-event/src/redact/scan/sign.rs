//! What the bytes of a text tell about what it can hold: the filter before every detector.
//!
//! A sign may stand for nothing, which costs time; it is never missing where a detector would find
//! something. Written so that the compiler puts the loops into vector registers: whole blocks, no
//! branch, no early end.

use super::swar;
use crate::redact::numbers::CARD_DIGITS;
use crate::redact::rules::TOKEN_BYTES;

/// `@`
pub(crate) const AT: u16 = 1;
/// `=` or `:`
pub(crate) const ASSIGN: u16 = 1 << 1;
/// `%`
pub(crate) const PERCENT: u16 = 1 << 2;
/// `--`
pub(crate) const FLAG: u16 = 1 << 3;
/// `0-9`
pub(crate) const DIGIT: u16 = 1 << 4;
/// Needs a closer look when written: U+007F and what U+2028 and U+2029 begin with.
pub(crate) const ODD: u16 = 1 << 5;
/// `{` or `[`
pub(crate) const OPEN: u16 = 1 << 6;
/// Below U+0020.
pub(crate) const CONTROL: u16 = 1 << 7;
/// The end of `Bearer` or `Basic`, in any case.
pub(crate) const SCHEME: u16 = 1 << 8;
/// Only in [`short`]: a backslash, and a space.
const ESCAPE: u16 = 1 << 9;
const SPACE: u16 = 1 << 10;

/// `Basic `, and the six characters that a credential has at least.
const SCHEME_BYTES: usize = 12;

/// What a text can hold because of which it may not stay as it is, whatever its length.
const ANY: u16 = AT | ASSIGN | PERCENT | OPEN | FLAG | SCHEME;

/// Whether a text of `length` bytes can hold something that must go.
#[inline]
pub(crate) const fn may_hold(length: usize, seen: u16) -> bool {
    seen & ANY != 0 || length >= TOKEN_BYTES || (seen & DIGIT != 0 && length >= CARD_DIGITS)
}

const LANES: usize = 16;

/// The signs of one byte, seen with the two after it: the lower eight, and those above.
#[inline(always)]
fn of(byte: u8, second: u8, third: u8) -> (u8, u8) {
    let set = |yes: bool, sign: u8| if yes { sign } else { 0 };
    let low = set(byte == b'@', 1)
        | set((byte == b'=') | (byte == b':'), 1 << 1)
        | set(byte == b'%', 1 << 2)
        | set((byte == b'-') & (second == b'-'), 1 << 3)
        | set(byte.wrapping_sub(b'0') < 10, 1 << 4)
        | set((byte == 0x7f) | (byte == 0xe2), 1 << 5)
        | set(byte | 0x20 == b'{', 1 << 6)
        | set(byte < b' ', 1 << 7);
    let (byte, second, third) = (byte | 0x20, second | 0x20, third | 0x20);
    let bearer = (byte == b'r') & (second == b'e') & (third == b'r');
    let basic = (byte == b's') & (second == b'i') & (third == b'c');
    (low, u8::from(bearer | basic))
}

/// Bytes that are looked at together: those of the lanes, and two that follow the last.
const BLOCK: usize = LANES + 2;

/// The number of each lane.
const LANE: [u8; LANES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

#[derive(Default)]
struct Lanes {
    low: [u8; LANES],
    high: [u8; LANES],
}

impl Lanes {
    /// Adds the signs of the bytes of a block for which `counts` has all bits set.
    #[inline(always)]
    fn add(&mut self, block: &[u8; BLOCK], counts: &[u8; LANES]) {
        let (seconds, thirds) = (block.iter().skip(1), block.iter().skip(2));
        let bytes = block.iter().zip(seconds).zip(thirds).zip(counts);
        let sums = self.low.iter_mut().zip(&mut self.high);
        for ((((byte, second), third), counts), (low, high)) in bytes.zip(sums) {
            let signs = of(*byte, *second, *third);
            *low |= signs.0 & counts;
            *high |= signs.1 & counts;
        }
    }

    fn all(&self) -> u16 {
        let all = |lanes: &[u8; LANES]| u16::from(lanes.iter().fold(0, |sum, lane| sum | lane));
        all(&self.low) | all(&self.high) << 8
    }
}

/// The signs of the first `length` bytes of `text` that show in up to three bytes. What follows them
/// is looked at and does not count.
#[inline]
pub(super) fn plain(text: &[u8], length: usize) -> u16 {
    let mut lanes = Lanes::default();
    let mut at = 0;
    while at + LANES <= length
        && let Some(block) = text.get(at..).and_then(<[u8]>::first_chunk)
    {
        lanes.add(block, &[u8::MAX; LANES]);
        at += LANES;
    }
    if at < length {
        let count = u8::try_from(length - at).unwrap_or(u8::MAX);
        let counts = LANE.map(|lane| 0_u8.wrapping_sub(u8::from(lane < count)));
        let rest = text.get(at..).unwrap_or_default();
        let mut filled = [0; BLOCK];
        let block = rest.first_chunk().unwrap_or_else(|| {
            for (slot, byte) in filled.iter_mut().zip(rest) {
                *slot = *byte;
            }
            &filled
        });
        lanes.add(block, &counts);
    }
    lanes.all()
}

/// The length and the signs of a short text that ends before the first quote of `rest`; none where that
/// is not near, a backslash stands before it, or there is room for a scheme and a credential.
#[inline]
pub(super) fn short(rest: &[u8]) -> Option<(usize, u16)> {
    let length = swar::quote(rest.first_chunk()?)?;
    let mut seen = 0;
    let mut last = 0;
    for byte in rest.get(..length)? {
        seen |= SIGNS.get(usize::from(*byte)).copied().unwrap_or(CONTROL);
        seen |= if (*byte == b'-') & (last == b'-') {
            FLAG
        } else {
            0
        };
        last = *byte;
    }
    let plain = seen & ESCAPE == 0 && (seen & SPACE == 0 || length < SCHEME_BYTES);
    plain.then_some((length, seen & !SPACE))
}

/// The signs of each byte alone.
const SIGNS: [u16; 256] = {
    let mut table = [0; 256];
    let mut rest: &mut [u16] = &mut table;
    let mut byte = 0_u8;
    while let Some((slot, after)) = rest.split_first_mut() {
        *slot = match byte {
            b'@' => AT,
            b'=' | b':' => ASSIGN,
            b'%' => PERCENT,
            b'0'..=b'9' => DIGIT,
            0x7f | 0xe2 => ODD,
            b'{' | b'[' => OPEN,
            b'\\' => ESCAPE,
            b' ' => SPACE,
            0..0x20 => CONTROL,
            _ => 0,
        };
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_sign_is_missing(text in "([a-zA-Z0-9@=:%{}\\[ .~_+/-]|--|rer |SIC |[0-9]{11,13}|[a-z]{18,21}|é|…){0,60}", extra in 0_usize..40) {
            let bytes = text.as_bytes();
            let mut longer = bytes.to_vec();
            longer.extend(std::iter::repeat_n(b'"', extra));
            let seen = plain(&longer, bytes.len());
            let has = |sign: u16| seen & sign != 0;
            prop_assert_eq!(has(AT), text.contains('@'));
            prop_assert_eq!(has(ASSIGN), text.contains(['=', ':']));
            prop_assert_eq!(has(PERCENT), text.contains('%'));
            prop_assert_eq!(has(OPEN), text.contains(['{', '[']));
            prop_assert_eq!(has(DIGIT), text.contains(|c: char| c.is_ascii_digit()));
            prop_assert_eq!(has(ODD), text.contains('…'));
            prop_assert_eq!(has(FLAG), text.contains("--"));
            let folded = text.to_ascii_lowercase();
            if text.len() > 5 && (folded.contains("rer ") || folded.contains("sic ")) {
                prop_assert!(has(SCHEME));
            }
            let quoted = format!("{text}\"{}", "x".repeat(extra));
            if let Some((length, brief)) = short(quoted.as_bytes()) {
                prop_assert_eq!(length, text.len());
                prop_assert_eq!(brief, seen & !SCHEME);
                prop_assert!(!has(SCHEME) || length < SCHEME_BYTES || !text.contains(' '));
            }
        }
    }
}
