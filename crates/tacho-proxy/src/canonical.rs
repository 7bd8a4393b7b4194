//! The canonical form of a tool's definition and its digest (`docs/format.md` §4.2).

use std::borrow::Cow;
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tacho_event::write_string;

use crate::limits::CANONICAL_DEPTH;
use crate::scan;

/// SHA-256 over the canonical form of a well-formed JSON value, in lower-case hex.
pub(crate) fn digest(value: &[u8]) -> String {
    let mut canonical = Vec::with_capacity(value.len());
    write(value, &mut canonical, 0);
    hex(&Sha256::digest(&canonical))
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn write(value: &[u8], out: &mut Vec<u8>, depth: usize) {
    match value.first() {
        Some(b'{') if depth < CANONICAL_DEPTH => {
            // A name that stands twice counts once, with its last value: that is what a model saw.
            let members: BTreeMap<Cow<'_, str>, &[u8]> = scan::members(value)
                .map(|(name, value)| (scan::unescape(name), value))
                .collect();
            out.push(b'{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_string(out, &name);
                out.push(b':');
                write(value, out, depth + 1);
            }
            out.push(b'}');
        }
        Some(b'[') if depth < CANONICAL_DEPTH => {
            out.push(b'[');
            for (at, value) in scan::elements(value).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(value, out, depth + 1);
            }
            out.push(b']');
        }
        Some(b'"') => write_string(out, &scan::text(value).unwrap_or_default()),
        _ => out.extend_from_slice(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = Vec::new();
        write(text.as_bytes(), &mut out, 0);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn form() {
        for (given, expected) in [
            (
                r#" {"b" : 1.0, "a":[ true ,null,{"z":-0,"y":1e5}] }"#.trim(),
                r#"{"a":[true,null,{"y":1e5,"z":-0}],"b":1.0}"#,
            ),
            (r#"{"\u0062":1,"a":"\u0041\/\n"}"#, r#"{"a":"A/\n","b":1}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (
                "{\"Z\":1,\"a\":2,\"\u{e9}\":3}",
                "{\"Z\":1,\"a\":2,\"\u{e9}\":3}",
            ),
            ("\"x\"", "\"x\""),
            ("[]", "[]"),
        ] {
            assert_eq!(canonical(given), expected, "{given}");
        }
    }

    #[test]
    fn digest_is_sha256_of_the_form() {
        // printf '{"a":1,"b":2}' | sha256sum
        let expected = "43258cff783fe7036d8a43033f830adfc60ec037382473548ac742b888292777";
        assert_eq!(digest(br#"{ "b":2, "a":1 }"#), expected);
    }

    #[test]
    fn depth_is_bounded_and_still_counts() {
        let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_ne!(digest(deep("1").as_bytes()), digest(deep("2").as_bytes()));
    }
}
