//! Secrets that stand beside their name in running text: `KEY=value`, `key: value`, `--flag value`,
//! header lines, parameters of URLs, and what stands before the host in a URL.

mod value;

use super::keys::{KeyClass, classify, is_parameter};
use super::rules::Kind;
use super::scan::class;
use value::{is_literal, is_reference, value};

/// A place in a text whose value must go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Where what makes it a secret begins: its name, or the value itself.
    pub context: usize,
    /// First byte of the value.
    pub start: usize,
    /// Byte after the value.
    pub end: usize,
    /// Which rule.
    pub rule: &'static str,
    /// What shall stand there.
    pub kind: Kind,
}

/// A name longer than this is not one.
const NAME_BYTES: usize = 64;

/// Spaces allowed around a separator.
const SPACES: usize = 8;

fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

fn before(text: &[u8], at: usize) -> u8 {
    at.checked_sub(1).map_or(0, |at| byte(text, at))
}

const fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn in_name(byte: u8) -> bool {
    class::of(byte) & class::NAME != 0
}

const fn quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    let last = at + SPACES;
    while at < last && blank(byte(text, at)) {
        at += 1;
    }
    at
}

fn line_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())
}

/// The name that ends at `end`, quotes and spaces before `end` left out; and where it begins.
fn name_before(text: &str, end: usize) -> Option<(usize, &str)> {
    let bytes = text.as_bytes();
    let mut last = end;
    while end - last < SPACES && blank(before(bytes, last)) {
        last -= 1;
    }
    if quote(before(bytes, last)) {
        last -= 1;
        if before(bytes, last) == b'\\' {
            last -= 1;
        }
    }
    let first = (last.saturating_sub(NAME_BYTES)..last)
        .rev()
        .take_while(|at| in_name(byte(bytes, *at)));
    let first = first.last()?;
    Some((first, text.get(first..last)?))
}

/// The name, or it and the word before it (`API key: …`, `Account Key=…`), if that makes it secret.
fn secret_before(text: &str, end: usize) -> Option<(usize, &str)> {
    let (first, name) = name_before(text, end)?;
    let bytes = text.as_bytes();
    let parameter = matches!(before(bytes, first), b'?' | b'&' | b'#');
    if classify(name) == KeyClass::Secret || (parameter && is_parameter(name)) {
        return Some((first, name));
    }
    if before(bytes, first) != b' ' {
        return None;
    }
    let (start, _) = name_before(text, first - 1)?;
    let both = text.get(start..first + name.len())?;
    (start + 1 < first && both.len() <= NAME_BYTES && classify(both) == KeyClass::Secret)
        .then_some((start, both))
}

/// The secret assigned by the `=` or `:` at `sign`.
pub(super) fn assigned(text: &str, sign: usize) -> Option<Hit> {
    let bytes = text.as_bytes();
    let (left, right) = (before(bytes, sign), byte(bytes, sign + 1));
    let equals = byte(bytes, sign) == b'=';
    if right == b'=' || (equals && matches!(left, b'=' | b'!' | b'<' | b'>' | b'~')) {
        return None;
    }
    if !equals
        && (right == b':' || left == b':' || (right == b'/' && byte(bytes, sign + 2) == b'/'))
    {
        return None;
    }
    let assign = equals && matches!(left, b':' | b'?' | b'+');
    let (context, name) = secret_before(text, if assign { sign - 1 } else { sign })?;
    let mut from = sign + 1;
    if equals && right == b'>' {
        from += 1;
    }
    let start = skip_blanks(bytes, from);
    if start >= bytes.len() {
        return None;
    }
    let url = matches!(before(bytes, context), b'?' | b'&' | b'#');
    if let Some(hit) = header(text, context, name, start, equals) {
        return hit;
    }
    let loose = !equals || start > sign + 1;
    let (start, end) = value(bytes, start, url, loose)?;
    let rule = if url { "url.query" } else { "assignment" };
    Some(Hit {
        context,
        start,
        end,
        rule,
        kind: Kind::Redacted,
    })
}

/// `Authorization: Scheme credentials` and `Cookie: …` take the rest of the line. The outer `None`
/// says that it is no such header.
fn header(
    text: &str,
    context: usize,
    name: &str,
    start: usize,
    equals: bool,
) -> Option<Option<Hit>> {
    let bytes = text.as_bytes();
    let lower = name.to_ascii_lowercase();
    let cookie = lower.ends_with("cookie");
    if equals || !(cookie || lower.ends_with("authorization")) {
        return None;
    }
    let opening = byte(bytes, start);
    let (start, closing) = if quote(opening) {
        (start + 1, opening)
    } else {
        (start, 0)
    };
    let line = text.get(start..line_end(bytes, start))?;
    let end = line.find(|c: char| match closing {
        0 => matches!(c, '"' | '\'' | '`' | '\\'),
        quote => c == char::from(quote),
    });
    let line = line.get(..end.unwrap_or(line.len()))?.trim_end();
    let fits = if cookie {
        line.contains('=')
    } else {
        credentials(line)
    };
    let mut hit = Hit {
        context,
        start,
        end: start + line.len(),
        rule: "authorization",
        kind: Kind::Token,
    };
    if cookie {
        hit.rule = "cookie";
    }
    fits.then_some(Some(hit))
}

/// Whether a line begins with an HTTP authentication scheme (the IANA registry and what is common).
fn credentials(line: &str) -> bool {
    const SCHEMES: &[&str] = &[
        "basic",
        "bearer",
        "digest",
        "dpop",
        "gnap",
        "hoba",
        "mutual",
        "negotiate",
        "ntlm",
        "oauth",
        "privatetoken",
        "token",
        "apikey",
        "api-key",
        "aws4-hmac-sha256",
        "sharedkey",
        "hawk",
        "scram-sha-1",
        "scram-sha-256",
        "vapid",
    ];
    line.split_once(' ').is_some_and(|(scheme, rest)| {
        !rest.trim().is_empty()
            && SCHEMES
                .iter()
                .any(|known| known.eq_ignore_ascii_case(scheme))
    })
}

/// The secret that follows a flag whose dashes begin at `dashes`: `--password x`.
pub(super) fn flagged(text: &str, dashes: usize) -> Option<Hit> {
    let bytes = text.as_bytes();
    let edge = before(bytes, dashes);
    if !(dashes == 0 || edge <= b' ' || quote(edge) || matches!(edge, b'[' | b',' | b'(')) {
        return None;
    }
    let rest = bytes.get(dashes..)?;
    let count = rest.iter().take_while(|byte| **byte == b'-').count();
    let length = rest
        .iter()
        .skip(count)
        .take(NAME_BYTES)
        .take_while(|byte| in_name(**byte))
        .count();
    let first = dashes + count;
    let name = text.get(first..first + length)?;
    let after = byte(bytes, first + length);
    let closed = if quote(after) { 1 } else { 0 };
    let start = skip_blanks(bytes, first + length + closed);
    let gap = start > first + length + closed;
    if count != 2
        || length < 2
        || !gap
        || byte(bytes, start) == b'-'
        || classify(name) != KeyClass::Secret
    {
        return None;
    }
    let (start, end) = value(bytes, start, false, false)?;
    let literal = bytes.get(start..end)?;
    if !is_literal(literal, b"") || matches!(literal.first(), Some(b'=' | b':' | b'|' | b'&')) {
        return None;
    }
    Some(Hit {
        context: dashes,
        start,
        end,
        rule: "assignment",
        kind: Kind::Redacted,
    })
}

/// Characters of a credential after its scheme (RFC 6750 §2.1, `b64token`).
const fn in_credential(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// The pattern of a candidate for [`schemed`].
pub(super) const SCHEME_PATTERN: &str = r"(?i)(?:bearer|basic) +[A-Za-z0-9\-._~+/=]{6,}";

/// The credential after the word `Bearer` or `Basic` that starts at `start`.
pub(super) fn schemed(text: &str, start: usize) -> Option<Hit> {
    let bytes = text.as_bytes();
    let rest = bytes.get(start..)?;
    let word = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let scheme = text.get(start..start + word)?;
    let gap = rest
        .iter()
        .skip(word)
        .take_while(|byte| **byte == b' ')
        .count();
    let from = start + word + gap;
    let value = text.get(from..)?;
    let mut length = value
        .bytes()
        .take_while(|byte| in_credential(*byte))
        .count();
    if length < 6 || gap == 0 {
        return None;
    }
    while length > 0 && byte(value.as_bytes(), length - 1) == b'.' {
        length -= 1;
    }
    let value = value.get(..length)?;
    let secret = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => {
            length >= 20
                || value
                    .bytes()
                    .any(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'=' | b'~' | b'+'))
                || value.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())
        }
        "basic" => super::encoded::decode(value.as_bytes()).is_some_and(|text| text.contains(':')),
        _ => false,
    };
    secret.then_some(Hit {
        context: start,
        start: from,
        end: from + length,
        rule: "authorization",
        kind: Kind::Token,
    })
}

/// The pattern of a candidate for [`user_info`].
pub(super) const USER_INFO_PATTERN: &str = r#"[A-Za-z0-9+.\-]://[^\s/?#"'<>`\\]*@"#;

/// The credential before the host of a URL (RFC 3986 §3.2.1) whose `://` is at `colon`; and the at
/// sign after it. The scheme and the host stay, and the user's name where it is one.
pub(super) fn user_info(text: &str, colon: usize) -> Option<(Option<Hit>, usize)> {
    let bytes = text.as_bytes();
    let from = colon + 3;
    let rest = bytes.get(from..)?;
    let ends = |byte: &u8| {
        byte.is_ascii_whitespace()
            || *byte == 0x0b
            || matches!(
                *byte,
                b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\'
            )
    };
    let authority = rest.iter().position(ends).unwrap_or(rest.len());
    let length = memchr::memrchr(b'@', rest.get(..authority)?)?;
    let info = rest.get(..length)?;
    let scheme = bytes.get(..colon)?;
    let name = scheme
        .iter()
        .rev()
        .take_while(|byte| in_name(**byte) || **byte == b'+')
        .count();
    let scheme = text.get(colon - name..colon)?.to_ascii_lowercase();
    if scheme.is_empty() {
        return None;
    }
    let web = scheme.ends_with("http") || scheme.ends_with("https");
    let password = memchr::memchr(b':', info);
    let start = match (web, password) {
        (true, _) => Some(from),
        (false, Some(at)) => Some(from + at + 1),
        (false, None) => None,
    };
    let end = from + length;
    let hit = start
        .filter(|start| *start < end && !is_reference(bytes.get(*start..end).unwrap_or_default()));
    let hit = hit.map(|start| Hit {
        context: colon - name,
        start,
        end,
        rule: "url.userinfo",
        kind: Kind::Redacted,
    });
    Some((hit, end))
}
