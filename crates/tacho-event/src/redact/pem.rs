//! Private keys in PEM (RFC 7468) and OpenPGP armour (RFC 9580 §6.2).

/// The pattern of the line that begins one.
pub(super) const PATTERN: &str = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z0-9 ]{0,40}-----";

/// What every such line begins with.
pub(super) const BEGIN: &str = "-----BEGIN ";

const LABEL_BYTES: usize = 40;

/// What the last line begins with.
pub(super) const END: &str = "-----END ";

/// A private key is not longer than this.
const KEY_BYTES: usize = 16 * 1024;

/// A line of base64 that is shorter is the last one of its block.
const LINE_BYTES: usize = 16;

/// The end of the private key whose first line begins at `start`: past its last line, or, where
/// that is missing, past everything that can belong to a key.
pub(super) fn end(text: &str, start: usize) -> Option<usize> {
    let rest = text.get(start..)?.strip_prefix(BEGIN)?;
    let label = rest
        .bytes()
        .take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ');
    let length = label.count();
    let label = rest.get(..length)?;
    let at = label.rfind("PRIVATE KEY")?;
    let fits = at <= LABEL_BYTES && label.len() - at - "PRIVATE KEY".len() <= LABEL_BYTES;
    let body = rest.get(length..)?.strip_prefix("-----")?;
    if !fits {
        return None;
    }
    let from = text.len() - body.len();
    let near = body
        .get(..body.floor_char_boundary(KEY_BYTES))
        .unwrap_or(body);
    let near = near
        .get(..near.find(BEGIN).unwrap_or(near.len()))
        .unwrap_or(near);
    if let Some(last) = near.find(END) {
        let line = body.get(last + END.len()..)?;
        let close = line.find("-----").filter(|at| *at <= 2 * LABEL_BYTES + 11);
        return Some(from + last + END.len() + close.map_or(0, |at| at + 5));
    }
    Some(from + lines(near.as_bytes()))
}

/// How much of what follows the first line of a key without a last line belongs to the key: headers
/// (RFC 1421 §4.6), lines of base64, and one short line after them. Line ends may be written `\n`.
fn lines(body: &[u8]) -> usize {
    let gap = |at: usize| match body.get(at) {
        Some(byte) if byte.is_ascii_whitespace() => 1,
        Some(b'\\') => 1 + usize::from(matches!(body.get(at + 1), Some(b'n' | b'r'))),
        _ => 0,
    };
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(*byte, b'+' | b'/' | b'=');
    let header = |byte: &u8| base64(byte) || matches!(*byte, b':' | b',' | b'-');
    let mut at = 0;
    let mut end = 0;
    let mut long = true;
    loop {
        while gap(at) > 0 {
            at += gap(at);
        }
        let rest = body.get(at..).unwrap_or_default();
        let word = rest.iter().take_while(|byte| header(byte)).count();
        let line = rest.get(..word).unwrap_or_default();
        let head = line.iter().any(|byte| matches!(byte, b':' | b','));
        if word == 0 || !(head || (long && line.iter().all(base64))) {
            return end;
        }
        long = head || word >= LINE_BYTES;
        at += word;
        end = at;
    }
}
