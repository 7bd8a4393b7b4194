//! What of the text after a secret name is its value.

use super::{blank, byte, quote};

/// The value that begins at `start`: a quoted one up to its closing quote, a bare one up to white
/// space or what ends a value. `loose`: the writing is that of prose and program text as well as of
/// configuration, so a bare word is looked at more closely.
pub(super) fn value(text: &[u8], start: usize, url: bool, loose: bool) -> Option<(usize, usize)> {
    let mut from = start;
    if byte(text, from) == b'\\' && quote(byte(text, from + 1)) {
        from += 1;
    }
    let opening = byte(text, from);
    if quote(opening) && !url {
        return quoted(text, from + 1, opening, from > start);
    }
    let rest = text.get(start..)?;
    let ends = |byte: u8| {
        byte <= b' '
            || matches!(byte, b';' | b'&' | b'"' | b'\'' | b'<' | b'>' | b'`')
            || (url && byte == b'#')
    };
    let mut length = rest
        .iter()
        .position(|byte| ends(*byte))
        .unwrap_or(rest.len());
    if rest.get(..length).is_some_and(is_reference) {
        return None;
    }
    while length > 0 && matches!(byte(rest, length - 1), b',' | b')' | b'}' | b'\\') {
        length -= 1;
    }
    let bare = rest.get(..length)?;
    let after = rest.get(length..).unwrap_or_default();
    (length > 0 && !is_reference(bare) && (!loose || is_literal(bare, after)))
        .then_some((start, start + length))
}

fn quoted(text: &[u8], start: usize, quote: u8, escaped: bool) -> Option<(usize, usize)> {
    let mut at = start;
    loop {
        match byte(text, at) {
            0 if at >= text.len() => break,
            b'\\' if escaped && byte(text, at + 1) == quote => break,
            b'\\' => at += 2,
            byte if byte == quote => break,
            b'\n' => break,
            _ => at += 1,
        }
    }
    let end = at.min(text.len());
    let inside = text.get(start..end)?;
    (!inside.is_empty() && !is_reference(inside)).then_some((start, end))
}

/// A reference to a value that stands elsewhere: a variable, a template, a command.
pub(super) fn is_reference(value: &[u8]) -> bool {
    let closed = |open: &[u8], close: &[u8]| value.starts_with(open) && value.ends_with(close);
    let variable = value.strip_prefix(b"$").is_some_and(|name| {
        name.iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    });
    variable
        || closed(b"${", b"}")
        || value.starts_with(b"${{")
        || value.starts_with(b"$(")
        || closed(b"{{", b"}}")
        || value.starts_with(b"{{")
        || closed(b"%(", b")s")
}

/// Words that stand where a value would and are none: of types, of program text, of prose.
const WORDS: &[&str] = &[
    "null",
    "none",
    "nil",
    "true",
    "false",
    "undefined",
    "string",
    "str",
    "number",
    "int",
    "integer",
    "bool",
    "boolean",
    "bytes",
    "object",
    "any",
    "optional",
    "required",
    "array",
    "option",
    "float",
    "await",
    "new",
    "self",
    "this",
    "is",
    "the",
    "a",
    "an",
    "not",
    "no",
    "yes",
    "unknown",
    "never",
    "void",
    "public",
    "private",
    "static",
    "readonly",
    "function",
    "lambda",
    "const",
    "let",
    "var",
    "{",
    "[",
    "(",
    "|",
    "-",
    "|-",
    ">",
    "*",
    "&str",
    "-1",
    "0",
    "1",
    "n/a",
    "...",
    "return",
];

/// Whether a bare value in a loose writing is a value rather than prose or program text.
pub(super) fn is_literal(value: &[u8], after: &[u8]) -> bool {
    let Ok(word) = std::str::from_utf8(value) else {
        return true;
    };
    if WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)) {
        return false;
    }
    let head = word
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .count();
    let name = word
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    let tail = word.as_bytes().get(head..).unwrap_or_default();
    // `get_token(`, `config.api_key`, `os.environ["X"]`, `Option<…`, `token::Type`
    let call = tail.starts_with(b"(") || tail.starts_with(b"[") || tail.starts_with(b"::");
    let member = tail.starts_with(b".") && {
        let parts =
            |byte: &u8| byte.is_ascii_alphabetic() || matches!(*byte, b'_' | b'.' | b'(' | b'[');
        tail.iter().all(parts)
    };
    if name && (call || member) {
        return false;
    }
    if word.starts_with(['{', '[', '(', '|', '*', '@']) && !word.starts_with("[") {
        return false;
    }
    let alone = after
        .iter()
        .copied()
        .find(|byte| !blank(*byte) && *byte != b',')
        .unwrap_or(b'\n');
    let ends = matches!(
        alone,
        b'\n' | b'\r' | b'"' | b'\'' | b';' | b'}' | b')' | b'#' | b'\\'
    );
    let odd = word.bytes().any(|byte| byte.is_ascii_digit())
        || word.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())
        || word.bytes().any(|byte| {
            matches!(
                byte,
                b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'*' | b'+' | b'/' | b'='
            )
        });
    odd || (ends && word.len() > 3)
}
