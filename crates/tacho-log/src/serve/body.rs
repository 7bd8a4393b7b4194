//! What a body must be before it may become a record: looked at once, byte by byte, because a
//! recorder sees every record of every source and keeps none of their trees.

use tacho_event::EventId;
use tacho_event::limits::BODY_BYTES;

use crate::log::has_control;

/// Readers that use `serde_json` go no deeper; what a redactor keeps is shallower (its `JSON_DEPTH`).
const DEPTH: u32 = 127;

/// A body must be what `docs/format.md` §3 says, so that no source can make the log unreadable.
pub(super) fn check_body(id: EventId, body: &[u8]) -> Result<(), &'static str> {
    if body.len() > BODY_BYTES {
        return Err("the record is too long");
    }
    let named = body
        .strip_prefix(b"{\"id\":\"")
        .and_then(|rest| rest.split_at_checked(36))
        .filter(|(named, rest)| {
            *named == id.encode(&mut [0; 36]).as_bytes() && rest.starts_with(b"\",")
        });
    if named.is_none() {
        return Err("the record does not begin with its id");
    }
    if has_control(body) {
        return Err("the record is more than one line");
    }
    if std::str::from_utf8(body).is_err() || !is_json(body) {
        return Err("the record is not JSON");
    }
    Ok(())
}

/// Whether `text`, which is UTF-8 without control characters, is one JSON value (RFC 8259), nested at
/// most [`DEPTH`] deep.
fn is_json(text: &[u8]) -> bool {
    Scan { rest: text }.document().is_some()
}

/// What is still to be read. Each step is `None` where the grammar is broken.
struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    fn document(&mut self) -> Option<()> {
        // A bit for each level that is open, the innermost last: whether it is an object.
        let mut objects = 0_u128;
        let mut depth = 0;
        loop {
            match self.next()? {
                b'"' => self.string()?,
                open @ (b'{' | b'[') if depth < DEPTH => {
                    let is_object = open == b'{';
                    objects = objects << 1 | u128::from(is_object);
                    depth += 1;
                    if !self.skip(if is_object { b'}' } else { b']' }) {
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                    objects >>= 1;
                    depth -= 1;
                }
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                b'-' => self.number(None)?,
                first @ b'0'..=b'9' => self.number(Some(first))?,
                _ => return None,
            }
            // A value has ended; with it perhaps what it stands in.
            while depth > 0 {
                match (self.next()?, objects & 1 == 1) {
                    (b',', true) => {
                        self.key()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => {
                        objects >>= 1;
                        depth -= 1;
                    }
                    _ => return None,
                }
            }
            if depth == 0 {
                return self.rest.is_empty().then_some(());
            }
        }
    }

    /// The next byte that is no space, which is the only white space among what is no control character.
    fn next(&mut self) -> Option<u8> {
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            if *byte != b' ' {
                return Some(*byte);
            }
        }
    }

    fn skip(&mut self, wanted: u8) -> bool {
        let before = self.rest;
        let found = self.next() == Some(wanted);
        if !found {
            self.rest = before;
        }
        found
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(rest)?;
        Some(())
    }

    fn key(&mut self) -> Option<()> {
        self.skip(b'"').then_some(())?;
        self.string()?;
        self.skip(b':').then_some(())
    }

    /// Up to the closing quote; the opening one was taken.
    fn string(&mut self) -> Option<()> {
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\');
        loop {
            // Without an early end, so that sixteen bytes are looked at at once.
            while let Some((chunk, rest)) = self.rest.split_first_chunk::<16>()
                && !chunk.iter().fold(false, |found, byte| found | ends(byte))
            {
                self.rest = rest;
            }
            let at = self.rest.iter().position(ends)?;
            let (end, rest) = self.rest.get(at..)?.split_first()?;
            self.rest = rest;
            if *end == b'"' {
                return Some(());
            }
            let (escape, rest) = rest.split_first()?;
            self.rest = rest;
            match escape {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                b'u' => {
                    let (digits, rest) = rest.split_first_chunk::<4>()?;
                    digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                    self.rest = rest;
                }
                _ => return None,
            }
        }
    }

    /// The rest of a number that began with `first`, or with a minus.
    fn number(&mut self, first: Option<u8>) -> Option<()> {
        let first = match first {
            Some(first) => first,
            None => {
                let (first, rest) = self.rest.split_first()?;
                self.rest = rest;
                *first
            }
        };
        match first {
            // Nothing may follow that would make it 01.
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if let Some(fraction) = self.rest.strip_prefix(b".") {
            self.rest = fraction;
            self.some_digits()?;
        }
        if let [b'e' | b'E', exponent @ ..] = self.rest {
            self.rest = match exponent {
                [b'+' | b'-', unsigned @ ..] => unsigned,
                unsigned => unsigned,
            };
            self.some_digits()?;
        }
        Some(())
    }

    fn digits(&mut self) {
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn some_digits(&mut self) -> Option<()> {
        let before = self.rest.len();
        self.digits();
        (self.rest.len() < before).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    #[test]
    fn a_body_must_be_one_line_of_json_that_begins_with_its_id() {
        let id = EventId::from_bytes([3; 16]);
        let good = format!(r#"{{"id":"{id}","type":"heartbeat"}}"#);
        assert_eq!(check_body(id, good.as_bytes()), Ok(()));
        for bad in [
            String::new(),
            "{}".to_owned(),
            good.replace('}', ""),
            good.replace("heartbeat", "heart\nbeat"),
            good.replace("0303", "0404"),
            format!("{good} {{}}"),
            format!(r#"{{"id":"{id}","x":"{}"}}"#, "x".repeat(BODY_BYTES)),
        ] {
            assert!(check_body(id, bad.as_bytes()).is_err(), "{bad:.80}");
        }
        let mut not_utf8 = good.into_bytes();
        *not_utf8.iter_mut().rfind(|byte| **byte == b'h').unwrap() = 0xff;
        assert!(check_body(id, &not_utf8).is_err());
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(is_json(&nested(127)));
        assert!(!is_json(&nested(128)));
    }

    fn agrees(text: &str) -> Result<(), TestCaseError> {
        // What stands behind the value is not read; the end of a body is looked at by the log as well.
        let text = text.trim_end();
        let theirs = serde_json::from_str::<IgnoredAny>(text).is_ok();
        prop_assert_eq!(is_json(text.as_bytes()), theirs, "{}", text);
        Ok(())
    }

    proptest! {
        /// Of the pieces that JSON is made of, so that a good share of them is JSON.
        #[test]
        fn agrees_with_serde_json(pieces in proptest::collection::vec(prop_oneof![
            Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just(" "), Just("\""), Just("\\"),
            Just("\"a\""), Just("\"a\":"), Just("\"\\u00e9\""), Just("\"\\u00x9\""), Just("\"a string of more than sixteen bytes\\n\""),
            Just("0"), Just("1"), Just("-"), Just("."), Just("e"), Just("E+"), Just("12.5e-3"), Just("-0"), Just("true"),
            Just("false"), Just("null"), Just("[]"), Just("{}"), Just("[1,2]"), Just("é"), Just("x"),
        ], 0..10)) {
            agrees(&pieces.concat())?;
        }

        #[test]
        fn agrees_on_json_with_one_byte_changed(
            strings in proptest::collection::vec("\\PC{0,40}", 1..5),
            numbers in proptest::collection::vec(any::<f64>(), 0..4),
            at in any::<prop::sample::Index>(),
            byte in prop::sample::select(b" \"\\{}[],:019.-eEtfnu".to_vec()),
        ) {
            let numbers: Vec<_> = numbers.into_iter().filter(|number| number.is_finite()).collect();
            let value = serde_json::json!({"strings": strings, "n": numbers, "o": {"t": true, "f": [false, null, {}]}});
            let text = value.to_string();
            prop_assert!(is_json(text.as_bytes()));
            let mut changed = text.into_bytes();
            let at = at.index(changed.len());
            changed[at] = byte;
            if let Ok(changed) = String::from_utf8(changed) {
                agrees(&changed)?;
            }
        }
    }
}
