//! Writing JSON: the little of it that a record needs.

/// Appends `text` as a JSON string with its quotes. Control characters, `"` and `\` are escaped;
/// nothing else is, so the text stays greppable.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape_into(out, text);
    out.push(b'"');
}

/// Appends a number, without the formatting machinery.
pub(crate) fn write_integer(out: &mut Vec<u8>, mut value: usize) {
    let start = out.len();
    loop {
        out.push(b'0' + u8::try_from(value % 10).unwrap_or(0));
        value /= 10;
        if value == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// Appends `text` escaped as the inside of a JSON string. U+2028 and U+2029 are escaped as well, so
/// that a record is one line for every reader that counts lines its own way; so is U+007F.
pub fn escape_into(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // Most texts need no escape: a look without a branch for each byte, then one copy.
    let odd = |byte: u8| {
        (byte < b' ') | (byte == b'"') | (byte == b'\\') | (byte == 0x7f) | (byte == 0xe2)
    };
    if !bytes.iter().fold(false, |any, byte| any | odd(*byte)) {
        out.extend_from_slice(bytes);
        return;
    }
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x7f => b"\\u007f",
            0..0x20 => {
                out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
                from = at + 1;
                let digit = |value: u8| {
                    if value < 10 {
                        b'0' + value
                    } else {
                        b'a' + value - 10
                    }
                };
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
                continue;
            }
            0xe2 => match bytes.get(at..at + 3) {
                Some([_, 0x80, 0xa8]) => {
                    out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
                    out.extend_from_slice(b"\\u2028");
                    from = at + 3;
                    continue;
                }
                Some([_, 0x80, 0xa9]) => {
                    out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
                    out.extend_from_slice(b"\\u2029");
                    from = at + 3;
                    continue;
                }
                _ => continue,
            },
            _ => continue,
        };
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        out.extend_from_slice(escape);
        from = at + 1;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_written_string_reads_back_on_one_line(text in any::<String>()) {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert!(out.iter().all(|byte| *byte >= 0x20));
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn integers_are_written_in_full() {
        for value in [0, 7, 10, 99, 100, 65_535, usize::MAX] {
            let mut out = vec![b'x'];
            write_integer(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{value}"));
        }
    }

    #[test]
    fn line_separators_are_escaped() {
        let mut out = Vec::new();
        write_string(&mut out, "a\u{2028}b\u{2029}c\u{7f}\u{1}\"\\é");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#""a\u2028b\u2029c\u007f\u0001\"\\é""#
        );
    }
}
