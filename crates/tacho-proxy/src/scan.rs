//! Reads well-formed JSON without building it: finds members and elements by where they stand.
//!
//! Everything here may be given any bytes and gives back less rather than fail; but what it finds is
//! right only for text that [`check`] has passed.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// Whether the text is one JSON value (RFC 8259), nested as deep as it likes.
pub(crate) fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<&RawValue>(text).map(drop)
}

/// The members of an object in their order: raw name without its quotes, and raw value. Of anything
/// else, none.
pub(crate) fn members(value: &[u8]) -> Members<'_> {
    Members(Items::new(value, b'{'))
}

/// The elements of an array in their order. Of anything else, none.
pub(crate) fn elements(value: &[u8]) -> Elements<'_> {
    Elements(Items::new(value, b'['))
}

/// The member's raw value; the last one where the name stands twice, as in every common parser.
pub(crate) fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    members(object)
        .filter(|(key, _)| unescape(key) == name)
        .map(|(_, value)| value)
        .last()
}

/// The text of a JSON string; `None` for another value.
pub(crate) fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    Some(unescape(value.strip_prefix(b"\"")?.strip_suffix(b"\"")?))
}

/// The value of a JSON number that is an integer and fits.
pub(crate) fn integer(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

pub(crate) struct Members<'a>(Items<'a>);
pub(crate) struct Elements<'a>(Items<'a>);

struct Items<'a> {
    text: &'a [u8],
    /// Where the next item begins; the text's end when there is none.
    at: usize,
}

impl<'a> Items<'a> {
    fn new(text: &'a [u8], open: u8) -> Self {
        let at = if text.first() == Some(&open) {
            1
        } else {
            text.len()
        };
        Self { text, at }
    }

    /// Moves past white space and separators to the next token; `None` at the closing bracket.
    fn token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' => self.at += 1,
                b'}' | b']' => return None,
                _ => return Some(byte),
            }
        }
    }

    fn value(&mut self) -> Option<&'a [u8]> {
        let first = self.token()?;
        let from = self.at;
        self.at = match first {
            b'"' => string_end(self.text, from),
            b'{' | b'[' => nested_end(self.text, from),
            _ => self
                .text
                .get(from..)?
                .iter()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'))
                .map_or(self.text.len(), |length| from + length),
        };
        self.text.get(from..self.at)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.value()?.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some((key, self.0.value()?))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.0.value()
    }
}

/// The place after the string that begins with the quote at `from`.
fn string_end(text: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(found) = text
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if text.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The place after the object or array that begins at `from`.
fn nested_end(text: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The text between a JSON string's quotes. A lone surrogate, which JavaScript accepts, becomes
/// U+FFFD, as it does when JavaScript writes it.
pub(crate) fn unescape(inner: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', inner).is_none() {
        return String::from_utf8_lossy(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let used = match escape.get(1) {
            Some(b'u') => unicode_escape(escape, &mut out),
            Some(letter) => {
                out.push(match letter {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                2
            }
            None => 1,
        };
        rest = escape.get(used..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Cow::Owned(
        String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

/// Appends the character of a `\uXXXX` escape, or of two that are a surrogate pair; gives back how
/// many bytes of `escape` that took.
fn unicode_escape(escape: &[u8], out: &mut Vec<u8>) -> usize {
    let unit = |from: usize| {
        let digits = std::str::from_utf8(escape.get(from..from + 4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(2).unwrap_or(0xfffd);
    let mut used = 6;
    let mut code = first;
    if (0xd800..0xdc00).contains(&first)
        && escape.get(6..8) == Some(b"\\u")
        && let Some(second @ 0xdc00..0xe000) = unit(8)
    {
        code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        used = 12;
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    used
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn finds_what_a_parser_finds(value in json(), pretty in any::<bool>()) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            check(&text).unwrap();
            let object = value.as_object().cloned().unwrap_or_default();
            let found: serde_json::Map<String, Value> = members(text.as_bytes())
                .map(|(key, raw)| (unescape(key).into_owned(), serde_json::from_slice(raw).unwrap()))
                .collect();
            prop_assert_eq!(&found, &object);
            for (name, inner) in &object {
                let raw = member(text.as_bytes(), name).unwrap();
                prop_assert_eq!(&serde_json::from_slice::<Value>(raw).unwrap(), inner);
            }
            let items: Vec<Value> =
                elements(text.as_bytes()).map(|raw| serde_json::from_slice(raw).unwrap()).collect();
            prop_assert_eq!(items, value.as_array().cloned().unwrap_or_default());
            let found = self::text(text.as_bytes());
            prop_assert_eq!(found.as_deref(), value.as_str());
        }

        #[test]
        fn takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            members(&bytes).take(1_000).for_each(drop);
            elements(&bytes).take(1_000).for_each(drop);
            drop(unescape(&bytes));
        }
    }

    #[test]
    fn reads_escapes_as_javascript_does() {
        for (inner, expected) in [
            (r"a\u00e9\ud83d\ude00\n\/", "aé😀\n/"),
            (r"\ud800x", "\u{fffd}x"),
            (r"\udc00\ud800", "\u{fffd}\u{fffd}"),
            (r"\ud800\u0041", "\u{fffd}A"),
        ] {
            assert_eq!(unescape(inner.as_bytes()), expected);
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        check(&deep).unwrap();
        assert_eq!(elements(deep.as_bytes()).count(), 1);
    }
}
