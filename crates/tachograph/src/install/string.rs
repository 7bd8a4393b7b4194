//! JSON strings, to and from text.

/// What a scanned string says, as UTF-8 in which a lone surrogate is the three bytes it would have (WTF-8).
pub(super) fn unescape(raw: &str) -> Vec<u8> {
    let inner = raw
        .strip_prefix('"')
        .and_then(|s| s.strip_suffix('"'))
        .unwrap_or(raw);
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let mut chars = after.chars();
        let unescaped = match chars.next() {
            Some('b') => 0x08,
            Some('f') => 0x0c,
            Some('n') => 0x0a,
            Some('r') => 0x0d,
            Some('t') => 0x09,
            Some('u') => {
                let (code, left) = unicode_escape(after);
                push_code_point(&mut out, code);
                rest = left;
                continue;
            }
            Some(other) => u32::from(other),
            None => break,
        };
        push_code_point(&mut out, unescaped);
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// Reads `uXXXX`, and the `\uXXXX` after it where the two are a surrogate pair.
fn unicode_escape(text: &str) -> (u32, &str) {
    let unit = |s: &str| {
        s.get(1..5)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
    };
    let (Some(high), Some(left)) = (unit(text), text.get(5..)) else {
        return (u32::from(char::REPLACEMENT_CHARACTER), "");
    };
    let low = left
        .strip_prefix('\\')
        .filter(|s| s.starts_with('u'))
        .and_then(unit);
    match low {
        Some(low @ 0xdc00..=0xdfff) if (0xd800..=0xdbff).contains(&high) => (
            0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00),
            left.get(6..).unwrap_or_default(),
        ),
        _ => (high, left),
    }
}

fn push_code_point(out: &mut Vec<u8>, code: u32) {
    if let Some(c) = char::from_u32(code) {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        let bits = |shift: u32, mask: u32| u8::try_from((code >> shift) & mask).unwrap_or_default();
        out.extend_from_slice(&[
            0xe0 | bits(12, 0x0f),
            0x80 | bits(6, 0x3f),
            0x80 | bits(0, 0x3f),
        ]);
    }
}

/// `value` as a JSON string, with the escapes that RFC 8259 §7 asks for and no others.
pub(super) fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn surrogates_in_pairs_and_alone() {
        for (raw, expected) in [
            (r#""\ud83d\ude00!""#, "\u{1f600}!".as_bytes()),
            (r#""a\ud83d""#, b"a\xed\xa0\xbd"),
            (r#""\ud83d\ud83d\ude00""#, b"\xed\xa0\xbd\xf0\x9f\x98\x80"),
            (r#""\ude00\u0041\/""#, b"\xed\xb8\x80A/"),
        ] {
            assert_eq!(unescape(raw), expected, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn strings_come_back(value in any::<String>()) {
            prop_assert_eq!(unescape(&quote(&value)), value.as_bytes());
            let theirs = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(unescape(&theirs), value.as_bytes());
            let escaped: String = value.encode_utf16().map(|u| format!("\\u{u:04x}")).collect();
            prop_assert_eq!(unescape(&format!("\"{escaped}\"")), value.as_bytes());
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            let _ignored = unescape(&text);
        }
    }
}
