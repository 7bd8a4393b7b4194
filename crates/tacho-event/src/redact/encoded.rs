//! Looking through one layer of base64 (RFC 4648) or percent-encoding (RFC 3986 §2.1).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Shorter runs hold too little to be decoded.
pub(super) const RUN_BYTES: usize = 20;

/// Longer runs are looked at up to here: a secret that is hidden deeper lies beyond what is kept of
/// a string anyway.
const DECODED_BYTES: usize = 64 * 1024;

/// Bytes decoded to find out whether a run is text at all.
const PROBE_BYTES: usize = 32;

/// Characters looked at before anything is decoded, and the bytes that they stand for.
const FIRST_CHARS: usize = 16;
const FIRST_BYTES: usize = FIRST_CHARS / 4 * 3;

/// The value of each character of both alphabets, or [`NONE`].
const VALUES: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut rest: &mut [u8] = &mut table;
    let mut byte = 0_u8;
    while let Some((slot, after)) = rest.split_first_mut() {
        *slot = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => NONE,
        };
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
};
const NONE: u8 = 0xff;

/// Whether there can be text in a run of at least [`RUN_BYTES`]: a look at its first characters,
/// which tells nearly always, since bytes that are not text have control characters or are not UTF-8.
fn may_be_text(run: &[u8]) -> bool {
    let mut bytes = [0; FIRST_BYTES];
    let (fours, _) = run.get(..FIRST_CHARS).unwrap_or_default().as_chunks::<4>();
    let (threes, _) = bytes.as_chunks_mut::<3>();
    for (three, four) in threes.iter_mut().zip(fours) {
        let [one, two, third, last] =
            four.map(|c| VALUES.get(usize::from(c)).copied().unwrap_or(NONE));
        if (one | two | third | last) & 0xc0 != 0 {
            return false;
        }
        *three = [
            one << 2 | two >> 4,
            two << 4 | third >> 2,
            third << 6 | last,
        ];
        let control = |byte: &u8| *byte < b' ' && !matches!(*byte, b'\n' | b'\r' | b'\t' | 0x1b);
        if three.iter().any(control) {
            return false;
        }
    }
    bytes.is_ascii() || is_text(&bytes)
}

/// The text that base64 of either alphabet, padded or not, stands for.
pub(super) fn decode(run: &[u8]) -> Option<String> {
    if may_be_text(run) { decoded(run) } else { None }
}

fn decoded(run: &[u8]) -> Option<String> {
    let run = run.get(..run.len().min(DECODED_BYTES))?;
    let end = run
        .iter()
        .rposition(|byte| *byte != b'=')
        .map_or(0, |at| at + 1);
    let body = run.get(..end)?;
    // One left-over character holds six bits, which are no byte.
    let whole = if body.len() % 4 == 1 {
        body.len() - 1
    } else {
        body.len()
    };
    let body = body.get(..whole)?;
    let url = body.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = if url { &URL_SAFE } else { &STANDARD };
    if body.len() > PROBE_BYTES {
        let mut probe = [0; PROBE_BYTES];
        let count = engine
            .decode_slice(body.get(..PROBE_BYTES)?, &mut probe)
            .ok()?;
        if !is_text(probe.get(..count)?) {
            return None;
        }
    }
    let mut bytes = engine.decode(body).ok()?;
    if let Err(error) = std::str::from_utf8(&bytes) {
        // A run cut in the middle of a character is still text.
        if error.error_len().is_some() {
            return None;
        }
        bytes.truncate(error.valid_up_to());
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| is_text(text.as_bytes()))
}

fn is_text(bytes: &[u8]) -> bool {
    let control = |byte: &u8| *byte < b' ' && !matches!(*byte, b'\n' | b'\r' | b'\t' | 0x1b);
    let utf8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    utf8 && !bytes.iter().any(control)
}

/// Characters of a percent-encoded run.
pub(super) const fn in_percent_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'%' | b'-' | b'_' | b'.' | b'~' | b'+' | b'*' | b'!')
}

/// The pattern of a percent-encoded run.
pub(super) const PERCENT_PATTERN: &str =
    r"[A-Za-z0-9%\-_.~+*!]*%[0-9A-Fa-f]{2}[A-Za-z0-9%\-_.~+*!]*";

/// The run around the percent sign at `sign`, if two hexadecimal digits follow it.
pub(super) fn percent_run(text: &[u8], sign: usize) -> Option<(usize, usize)> {
    let (one, two) = (text.get(sign + 1)?, text.get(sign + 2)?);
    if !one.is_ascii_hexdigit() || !two.is_ascii_hexdigit() {
        return None;
    }
    let back = text
        .get(..sign)?
        .iter()
        .rev()
        .take_while(|byte| in_percent_run(**byte))
        .count();
    let length = text
        .get(sign..)?
        .iter()
        .take_while(|byte| in_percent_run(**byte))
        .count();
    Some((sign - back, sign + length))
}

/// The text that a percent-encoded run stands for.
pub(super) fn percent_decode(run: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(run.len());
    let mut at = 0;
    while let Some(byte) = run.get(at) {
        let pair = run
            .get(at + 1)
            .zip(run.get(at + 2))
            .filter(|_| *byte == b'%');
        match pair.and_then(|(high, low)| Some((hex(*high)? << 4) | hex(*low)?)) {
            Some(value) => {
                bytes.push(value);
                at += 3;
            }
            None => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_can_be_decoded_passes_the_first_look(run in "[A-Za-z0-9+/_-]{20,60}={0,2}", text in ".{15,40}") {
            for run in [run, STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                if run.len() >= RUN_BYTES && decoded(run.as_bytes()).is_some() {
                    prop_assert!(may_be_text(run.as_bytes()), "{}", run);
                }
            }
        }
    }
}
