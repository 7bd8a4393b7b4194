//! E-mail addresses (the common part of RFC 5321 §4.1.2, with letters beyond ASCII).

/// Longest domain (RFC 5321 §4.5.3.1.2).
const DOMAIN_BYTES: usize = 255;

/// Endings of file names that follow an at sign without being a domain: `logo@2x.png`.
const FILES: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "webp", "svg", "ico", "css", "js", "mjs", "cjs", "ts", "tsx",
    "jsx", "json", "html", "htm", "yml", "yaml", "toml", "lock", "txt", "dll", "exe", "gz", "whl",
    "jar",
];

const fn local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-') || byte >= 0x80
}

const fn label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80
}

/// The pattern of a candidate: `local@label.label.tld`.
pub(super) const PATTERN: &str =
    r"[A-Za-z0-9._%+\-\x80-\xff]+@(?:[A-Za-z0-9\-\x80-\xff]+\.)+[A-Za-z]{2,}";

/// The address around the at sign at `sign`.
pub(super) fn around(text: &[u8], sign: usize) -> Option<(usize, usize)> {
    let before = text.get(..sign)?;
    let count = before.iter().rev().take_while(|byte| local(**byte)).count();
    let end = sign + 1 + domain(text.get(sign + 1..)?)?;
    (count > 0).then_some((sign - count, end))
}

fn domain(text: &[u8]) -> Option<usize> {
    let mut best = None;
    let mut at = 0;
    loop {
        let run = text
            .iter()
            .skip(at)
            .take_while(|byte| label(**byte))
            .count();
        at += run;
        if run == 0 || text.get(at) != Some(&b'.') {
            return best;
        }
        at += 1;
        let letters = text
            .iter()
            .skip(at)
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        if letters >= 2 {
            best = Some(at + letters);
        }
    }
}

/// What of a candidate is an address: not too long, not a file name, not the `git@host` of a
/// repository's address.
pub(super) fn confirm(text: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let sign = start + memchr::memchr(b'@', text.get(start..end)?)?;
    let dot = start + memchr::memrchr(b'.', text.get(start..end)?)?;
    let last = std::str::from_utf8(text.get(dot + 1..end)?).ok()?;
    let file = FILES.iter().any(|file| file.eq_ignore_ascii_case(last));
    let git = text.get(start..sign) == Some(b"git");
    let fits = end - sign <= DOMAIN_BYTES;
    (fits && !file && !git).then_some((start, end))
}
