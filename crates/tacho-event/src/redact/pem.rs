//! Private keys in PEM (RFC 7468) and OpenPGP armour (RFC 9580 §6.2).

/// The pattern of the line that begins one.
pub(super) const PATTERN: &str = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z0-9 ]{0,40}-----";

/// What every such line begins with.
pub(super) const BEGIN: &str = "-----BEGIN ";

const LABEL_BYTES: usize = 40;

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
    if let Some(last) = body.find("-----END ") {
        let line = body.get(last + "-----END ".len()..)?;
        let close = line.find("-----").filter(|at| *at <= 2 * LABEL_BYTES + 11);
        return Some(from + last + "-----END ".len() + close.map_or(0, |at| at + 5));
    }
    let inside = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || byte.is_ascii_whitespace()
            || matches!(*byte, b'+' | b'/' | b'=' | b'\\' | b':' | b',' | b'-')
    };
    Some(from + body.bytes().take_while(|byte| inside(byte)).count())
}
