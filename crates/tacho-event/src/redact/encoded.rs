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

/// The text that base64 of either alphabet, padded or not, stands for.
pub(super) fn decode(run: &[u8]) -> Option<String> {
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
