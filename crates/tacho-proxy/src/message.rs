//! What one line says, as far as a recorder needs to know: a shallow parse of a copy.
//!
//! Nothing here knows a list of methods: a message is a request, a notification or a response by its
//! shape. The order of members means nothing (the TypeScript SDK writes `id` last).

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::frame::{End, Frame};
use crate::limits::{BATCH_ELEMENTS, ID_BYTES};
use crate::scan;

/// What a line holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// One message, or one line that is none.
    One(Message),
    /// A JSON-RPC batch (2025-03-26), element by element.
    Batch(Vec<Message>),
}

/// One JSON-RPC message. The parts are slices of [`Message::text`] as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The whole message: UTF-8, without byte order mark and outer white space.
    pub text: Bytes,
    /// What it is, by its shape.
    pub shape: Shape,
    /// Raw `id`.
    pub id: Option<Bytes>,
    /// `method`, unescaped.
    pub method: Option<String>,
    /// Raw `params`.
    pub params: Option<Bytes>,
    /// Raw `result`.
    pub result: Option<Bytes>,
    /// Raw `error`.
    pub error: Option<Bytes>,
    /// A member that decides what the message is stands there twice, or once more in other case:
    /// parsers differ in which one they take (Go's ignores case), so the peer may have seen
    /// another message than the one recorded.
    pub duplicate_members: bool,
    /// The line was not UTF-8; what is recorded is a copy with replacement characters.
    pub invalid_utf8: bool,
}

/// The kinds of message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `method` and `id`.
    Request,
    /// `method` without `id`.
    Notification,
    /// `result` or `error`.
    Response,
    /// None of these, with the reason.
    Unparsed(String),
}

impl Line {
    /// What a frame holds; `None` where there is nothing to record: blank lines, and the later pieces of
    /// an overlong line, which the record of the first covers.
    pub fn of(frame: &Frame) -> Option<Self> {
        if frame.continued || frame.is_blank() {
            return None;
        }
        if frame.end == End::Cut {
            let reason = "a line too long to be a message";
            return Some(Self::One(Message::unparsed(
                frame.bytes.clone(),
                reason,
                false,
            )));
        }
        Some(Self::parse(&frame.bytes))
    }

    /// Parses a line's bytes, which may be anything.
    pub fn parse(line: &Bytes) -> Self {
        let (text, invalid_utf8) = copy(line);
        let Ok(utf8) = std::str::from_utf8(&text) else {
            return Self::One(Message::unparsed(text, "not UTF-8", invalid_utf8));
        };
        if let Err(error) = scan::check(utf8) {
            let reason = format!("not JSON: {error}");
            return Self::One(Message::unparsed(text, &reason, invalid_utf8));
        }
        if text.first() != Some(&b'[') {
            return Self::One(Message::parse(text, invalid_utf8));
        }
        match scan::elements(&text).take(BATCH_ELEMENTS + 1).count() {
            0 => Self::One(Message::unparsed(text, "an empty batch", invalid_utf8)),
            1..=BATCH_ELEMENTS => Self::Batch(
                scan::elements(&text)
                    .map(|element| Message::parse(text.slice_ref(element), invalid_utf8))
                    .collect(),
            ),
            _ => Self::One(Message::unparsed(
                text,
                "a batch with too many elements",
                invalid_utf8,
            )),
        }
    }

    /// The messages on the line; at least one.
    pub fn messages(&self) -> &[Message] {
        match self {
            Self::One(message) => std::slice::from_ref(message),
            Self::Batch(messages) => messages,
        }
    }
}

/// The line without what stands around its message, and whether it had to be made valid UTF-8.
fn copy(line: &Bytes) -> (Bytes, bool) {
    let inner = line
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(line)
        .trim_ascii();
    match std::str::from_utf8(inner) {
        Ok(_) => (line.slice_ref(inner), false),
        Err(_) => (
            Bytes::from(String::from_utf8_lossy(inner).into_owned()),
            true,
        ),
    }
}

impl Message {
    /// A line that is no message.
    pub fn unparsed(text: Bytes, reason: &str, invalid_utf8: bool) -> Self {
        Self {
            shape: Shape::Unparsed(reason.to_owned()),
            invalid_utf8,
            ..Self::empty(text)
        }
    }

    const fn empty(text: Bytes) -> Self {
        Self {
            text,
            shape: Shape::Notification,
            id: None,
            method: None,
            params: None,
            result: None,
            error: None,
            duplicate_members: false,
            invalid_utf8: false,
        }
    }

    /// Reads one well-formed JSON value.
    fn parse(text: Bytes, invalid_utf8: bool) -> Self {
        if text.first() != Some(&b'{') {
            return Self::unparsed(text, "not an object", invalid_utf8);
        }
        let [mut id, mut method, mut params, mut result, mut error] = [None; 5];
        let mut duplicate_members = false;
        for (name, value) in scan::members(&text) {
            let name = scan::unescape(name);
            let field = match &*name {
                "id" => &mut id,
                "method" => &mut method,
                "params" => &mut params,
                "result" => &mut result,
                "error" => &mut error,
                other => {
                    duplicate_members |= ["id", "method", "params", "result", "error"]
                        .iter()
                        .any(|known| known.eq_ignore_ascii_case(other));
                    continue;
                }
            };
            duplicate_members |= field.replace(value).is_some();
        }
        let shape = shape(id, method, result.or(error));
        let slice = |part: Option<&[u8]>| part.map(|part| text.slice_ref(part));
        Self {
            shape,
            id: slice(id),
            method: method
                .and_then(scan::text)
                .map(std::borrow::Cow::into_owned),
            params: slice(params),
            result: slice(result),
            error: slice(error),
            duplicate_members,
            invalid_utf8,
            ..Self::empty(text.clone())
        }
    }
}

fn shape(id: Option<&[u8]>, method: Option<&[u8]>, answer: Option<&[u8]>) -> Shape {
    if id.is_some_and(|id| !matches!(id.first(), Some(b'"' | b'-' | b'0'..=b'9' | b'n'))) {
        return Shape::Unparsed("id is neither a string nor a number nor null".to_owned());
    }
    match (method, id, answer) {
        (Some(method), ..) if !method.starts_with(b"\"") => {
            Shape::Unparsed("method is not a string".to_owned())
        }
        (Some(_), Some(_), _) => Shape::Request,
        (Some(_), None, _) => Shape::Notification,
        (None, _, Some(_)) => Shape::Response,
        (None, _, None) => Shape::Unparsed("neither method nor result nor error".to_owned()),
    }
}

/// A JSON-RPC id as a key: equal for peers that write the same id in another way (`3.0` and `3`,
/// `"\u0061"` and `"a"`). The raw token is what is recorded and what refusals carry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdKey {
    /// `null`, or no id at all.
    Null,
    /// An integer.
    Int(i64),
    /// Any other number, as written.
    Number(String),
    /// A string, unescaped.
    Text(String),
    /// SHA-256 of a number as written, or of a string's text, longer than [`ID_BYTES`]. Never recorded.
    Long([u8; 32]),
}

impl IdKey {
    /// The key of a raw id.
    pub fn of(raw: &[u8]) -> Self {
        if let Some(number) = scan::integer(raw) {
            return Self::Int(number);
        }
        if let Some(text) = scan::text(raw) {
            if text.len() > ID_BYTES {
                return Self::long(b'"', text.as_bytes());
            }
            return Self::Text(text.into_owned());
        }
        if raw.is_empty() || raw == b"null" {
            return Self::Null;
        }
        if raw.len() > ID_BYTES {
            return Self::long(b'0', raw);
        }
        let number = String::from_utf8_lossy(raw).into_owned();
        // `3.0` and `3e0` are 3 to every peer that reads numbers as JavaScript does.
        let whole = number
            .parse::<f64>()
            .ok()
            .filter(|value| value.fract() == 0.0);
        match whole.and_then(|value| format!("{value}").parse().ok()) {
            Some(integer) => Self::Int(integer),
            None => Self::Number(number),
        }
    }

    fn long(kind: u8, id: &[u8]) -> Self {
        let hash = Sha256::new().chain_update([kind]).chain_update(id);
        Self::Long(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &[u8]) -> Line {
        Line::parse(&Bytes::copy_from_slice(line))
    }

    #[test]
    fn shapes() {
        use Shape::{Notification, Request, Response};
        for (line, shape) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#, Request),
            (
                r#"{"method":"vendor/x","params":{},"id":"a","jsonrpc":"2.0"}"#,
                Request,
            ),
            (r#"{"id":null,"method":"x"}"#, Request),
            (r#"{"method":"x"}"#, Notification),
            (r#"{"result":null,"id":1}"#, Response),
            (r#"{"error":{},"id":1}"#, Response),
            (r#"{"error":{}}"#, Response),
            (
                " \u{feff}{}",
                Shape::Unparsed("not JSON: expected value at line 1 column 1".into()),
            ),
            (
                "{}",
                Shape::Unparsed("neither method nor result nor error".into()),
            ),
            ("[]", Shape::Unparsed("an empty batch".into())),
            ("1", Shape::Unparsed("not an object".into())),
            (
                r#"{"method":1}"#,
                Shape::Unparsed("method is not a string".into()),
            ),
            (
                r#"{"method":"x","id":{}}"#,
                Shape::Unparsed("id is neither a string nor a number nor null".into()),
            ),
        ] {
            let Line::One(message) = parse(line.as_bytes()) else {
                panic!("{line}")
            };
            assert_eq!(message.shape, shape, "{line}");
        }
    }

    #[test]
    fn keeps_the_raw_parts() {
        let line =
            "\u{feff}  {\"params\" : {\"a\": [1, 2]} ,\"id\":3.0,\"m\\u0065thod\":\"x\\/y\"} \r\n";
        let Line::One(message) = parse(line.as_bytes()) else {
            panic!()
        };
        assert_eq!(message.shape, Shape::Request);
        assert_eq!(message.id.as_deref(), Some(&b"3.0"[..]));
        assert_eq!(message.method.as_deref(), Some("x/y"));
        assert_eq!(message.params.as_deref(), Some(&b"{\"a\": [1, 2]}"[..]));
        assert!(!message.duplicate_members && !message.invalid_utf8);
    }

    #[test]
    fn marks_what_parsers_disagree_about() {
        for (line, expected) in [
            (r#"{"method":"a","method":"b","id":1}"#, true),
            (r#"{"method":"b","id":1,"Method":"a"}"#, true),
            (r#"{"method":"b","id":1,"x":1,"x":2}"#, false),
        ] {
            let Line::One(message) = parse(line.as_bytes()) else {
                panic!()
            };
            assert_eq!(message.duplicate_members, expected, "{line}");
            assert_eq!(message.method.as_deref(), Some("b"), "last wins");
        }
        let Line::One(message) = parse(b"{\"method\":\"\xff\",\"id\":1}") else {
            panic!()
        };
        assert!(message.invalid_utf8);
        assert_eq!(message.method.as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn a_batch_is_its_elements() {
        let line = parse(br#"[{"id":1,"method":"a"}, 7, {"method":"b"}]"#);
        let shapes: Vec<_> = line.messages().iter().map(|m| &m.shape).collect();
        assert_eq!(shapes[0], &Shape::Request);
        assert_eq!(shapes[1], &Shape::Unparsed("not an object".into()));
        assert_eq!(shapes[2], &Shape::Notification);
        let many = format!("[{}1]", "1,".repeat(BATCH_ELEMENTS));
        assert_eq!(parse(many.as_bytes()).messages().len(), 1);
    }

    #[test]
    fn ids_are_equal_however_they_are_written() {
        for (left, right, equal) in [
            ("3", "3.0", true),
            ("3", "3e0", true),
            ("3", "\"3\"", false),
            ("\"a\"", "\"\\u0061\"", true),
            ("1.5", "1.5", true),
            ("9007199254740993", "9007199254740992", false),
            ("0", "null", false),
        ] {
            let key = |raw: &str| IdKey::of(raw.as_bytes());
            assert_eq!(key(left) == key(right), equal, "{left} {right}");
        }
    }

    #[test]
    fn a_long_id_takes_no_room() {
        let long = |end: &str| format!("\"{}{end}\"", "a".repeat(ID_BYTES));
        let key = |raw: &str| IdKey::of(raw.as_bytes());
        assert!(matches!(key(&long("")), IdKey::Text(_)));
        assert!(matches!(key(&long("b")), IdKey::Long(_)));
        assert_eq!(key(&long("b")), key(&long("\\u0062")));
        assert_ne!(key(&long("b")), key(&long("c")));
        let digits = "1".repeat(ID_BYTES + 1);
        assert!(matches!(key(&digits), IdKey::Long(_)));
        assert_ne!(key(&digits), key(&format!("\"{digits}\"")));
    }

    proptest! {
        #[test]
        fn any_line_parses_to_something(line in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!parse(&line).messages().is_empty());
        }
    }
}
