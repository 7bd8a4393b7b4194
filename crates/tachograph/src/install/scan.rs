//! A scanner for JSON and JSONC (comments, trailing commas) that knows where everything stands.
//!
//! Nothing is decoded and nothing is written back: a node is a range of bytes, so an edit touches only what it means
//! to. Strings are checked but not converted, because a client's state file may hold lone surrogates (`\ud83d`), which
//! no Rust string can and which are none of our business.

use std::collections::HashSet;
use std::ops::Range;

use super::error::{InstallError, Position};
use super::string::unescape;

/// Deepest nesting read. The scanner recurses; client files are 4 to 8 deep.
const MAX_DEPTH: usize = 128;

/// A byte order mark, which some Windows editors put before JSON.
const BOM: char = '\u{feff}';

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Object(Vec<Member>),
    Array(Vec<Node>),
    String,
    /// Number, `true`, `false` or `null`.
    Scalar,
}

/// One `"key": value`; `key` covers the quotes.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: Range<usize>,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn members(&self) -> Option<&[Member]> {
        match &self.kind {
            Kind::Object(members) => Some(members),
            Kind::Array(_) | Kind::String | Kind::Scalar => None,
        }
    }

    pub(super) fn is_string(&self) -> bool {
        matches!(self.kind, Kind::String)
    }

    /// The member of that name, and which one it is.
    pub(super) fn get<'n>(&'n self, text: &str, name: &str) -> Option<(usize, &'n Member)> {
        self.members()?
            .iter()
            .enumerate()
            .find(|(_, member)| unescape(slice(text, &member.key)) == name.as_bytes())
    }
}

/// The text of a range; empty where the range is not one of this text.
pub(super) fn slice<'t>(text: &'t str, range: &Range<usize>) -> &'t str {
    text.get(range.clone()).unwrap_or_default()
}

/// Reads one document.
///
/// # Errors
///
/// `NotJson` and `DuplicateKey`, with line and column; `TooDeep`.
pub(super) fn scan(text: &str) -> Result<Node, InstallError> {
    let mut scanner = Scanner {
        text,
        pos: if text.starts_with(BOM) {
            BOM.len_utf8()
        } else {
            0
        },
        depth: 0,
    };
    scanner.trivia()?;
    let root = scanner.value()?;
    scanner.trivia()?;
    match scanner.peek() {
        None => Ok(root),
        Some(_) => Err(scanner.error("something after the end of the document")),
    }
}

struct Scanner<'t> {
    text: &'t str,
    pos: usize,
    depth: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.at(0)
    }

    fn at(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.pos + ahead).copied()
    }

    fn rest(&self) -> &[u8] {
        self.text.as_bytes().get(self.pos..).unwrap_or_default()
    }

    fn error(&self, problem: &'static str) -> InstallError {
        InstallError::NotJson {
            position: Position::of(self.text, self.pos),
            problem,
        }
    }

    /// Skips white space and comments.
    fn trivia(&mut self) -> Result<(), InstallError> {
        loop {
            match (self.peek(), self.at(1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r'), _) => self.pos += 1,
                (Some(b'/'), Some(b'/')) => {
                    let rest = self.rest();
                    self.pos += rest
                        .iter()
                        .position(|b| matches!(b, b'\n' | b'\r'))
                        .unwrap_or(rest.len());
                }
                (Some(b'/'), Some(b'*')) => {
                    let body = self.rest().get(2..).unwrap_or_default();
                    let end = body.windows(2).position(|pair| pair == b"*/");
                    let end = end.ok_or_else(|| self.error("a comment that does not end"))?;
                    self.pos += end + 4;
                }
                _ => return Ok(()),
            }
        }
    }

    fn value(&mut self) -> Result<Node, InstallError> {
        let start = self.pos;
        let kind = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => {
                self.string()?;
                Kind::String
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => self.word()?,
            None => return Err(self.error("the document ends where a value should be")),
        };
        Ok(Node {
            span: start..self.pos,
            kind,
        })
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Kind, InstallError>,
    ) -> Result<Kind, InstallError> {
        if self.depth == MAX_DEPTH {
            return Err(InstallError::TooDeep {
                position: Position::of(self.text, self.pos),
                limit: MAX_DEPTH,
            });
        }
        self.depth += 1;
        self.pos += 1;
        let kind = read(self)?;
        self.depth -= 1;
        Ok(kind)
    }

    fn object(&mut self) -> Result<Kind, InstallError> {
        let mut members = Vec::new();
        let mut names = HashSet::new();
        loop {
            self.trivia()?;
            if self.peek() == Some(b'}') {
                break;
            }
            let start = self.pos;
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a member name in double quotes, or `}`"));
            }
            self.string()?;
            let key = start..self.pos;
            let name = unescape(slice(self.text, &key));
            if names.contains(&name) {
                return Err(InstallError::DuplicateKey {
                    position: Position::of(self.text, start),
                    key: String::from_utf8_lossy(&name).into_owned(),
                });
            }
            names.insert(name);
            self.trivia()?;
            if self.peek() != Some(b':') {
                return Err(self.error("expected `:` after a member name"));
            }
            self.pos += 1;
            self.trivia()?;
            let value = self.value()?;
            members.push(Member { key, value });
            if !self.comma(b'}', "expected `,` or `}` after a member")? {
                break;
            }
        }
        self.pos += 1;
        Ok(Kind::Object(members))
    }

    fn array(&mut self) -> Result<Kind, InstallError> {
        let mut elements = Vec::new();
        loop {
            self.trivia()?;
            if self.peek() == Some(b']') {
                break;
            }
            elements.push(self.value()?);
            if !self.comma(b']', "expected `,` or `]` after an element")? {
                break;
            }
        }
        self.pos += 1;
        Ok(Kind::Array(elements))
    }

    /// Takes a comma (true) or stands at the closing bracket (false).
    fn comma(&mut self, close: u8, problem: &'static str) -> Result<bool, InstallError> {
        self.trivia()?;
        match self.peek() {
            Some(b',') => {
                self.pos += 1;
                Ok(true)
            }
            Some(byte) if byte == close => Ok(false),
            _ => Err(self.error(problem)),
        }
    }

    fn string(&mut self) -> Result<(), InstallError> {
        let start = self.pos;
        self.pos += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(());
                }
                Some(b'\\') => match self.at(1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.pos += 2,
                    Some(b'u')
                        if (2..6).all(|i| self.at(i).is_some_and(|b| b.is_ascii_hexdigit())) =>
                    {
                        self.pos += 6;
                    }
                    _ => {
                        return Err(self.error(
                            "an escape that JSON does not have; a backslash is written `\\\\`",
                        ));
                    }
                },
                Some(0..=0x1f) => {
                    return Err(
                        self.error("a line break, tab or control character inside a string")
                    );
                }
                Some(_) => self.pos += 1,
                None => {
                    self.pos = start;
                    return Err(self.error("a string that does not end"));
                }
            }
        }
    }

    fn digits(&mut self) -> Result<(), InstallError> {
        let count = self
            .rest()
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        self.pos += count;
        if count == 0 {
            Err(self.error("a number without digits"))
        } else {
            Ok(())
        }
    }

    fn number(&mut self) -> Result<Kind, InstallError> {
        if self.peek() == Some(b'-') {
            self.pos += 1;
        }
        if self.peek() == Some(b'0') {
            self.pos += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.pos += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.pos += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.pos += 1;
            }
            self.digits()?;
        }
        Ok(Kind::Scalar)
    }

    fn word(&mut self) -> Result<Kind, InstallError> {
        for word in ["true", "false", "null"] {
            if self.rest().starts_with(word.as_bytes()) {
                self.pos += word.len();
                return Ok(Kind::Scalar);
            }
        }
        Err(self.error("expected a value"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn says_where_and_what() {
        for (text, line, column, problem) in [
            ("", 1, 1, "the document ends"),
            ("{\n  \"é\" 1}", 2, 7, "expected `:`"),
            ("{\"a\":1 \"b\":2}", 1, 8, "expected `,` or `}`"),
            ("{a:1}", 1, 2, "expected a member name"),
            ("{\"a\":1}\n}", 2, 1, "something after"),
            ("[\"a\nb\"]", 1, 4, "inside a string"),
            ("[\"C:\\Users\"]", 1, 5, "an escape"),
            ("[\"abc", 1, 2, "a string that does not end"),
            ("[1 /* x", 1, 4, "a comment that does not end"),
            ("[01]", 1, 3, "expected `,` or `]`"),
            ("[-]", 1, 3, "a number without digits"),
            ("\u{feff}[nul]", 1, 2, "expected a value"),
        ] {
            match scan(text) {
                Err(InstallError::NotJson {
                    position,
                    problem: found,
                }) => {
                    assert_eq!((position.line, position.column), (line, column), "{text:?}");
                    assert!(
                        found.starts_with(problem) || found.contains(problem),
                        "{text:?}: {found}"
                    );
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn refuses_one_name_twice_however_it_is_spelt() {
        let text = "{\"a\": {\"x\": 1,\n \"\\u0078\": 2}}";
        assert!(
            matches!(scan(text), Err(InstallError::DuplicateKey { position, key })
            if (position.line, position.column) == (2, 2) && key == "x")
        );
        assert!(
            scan("{\"\\ud83d\":1,\"\\ud83e\":2}").is_ok(),
            "different lone surrogates are different names"
        );
    }

    #[test]
    fn nesting_is_limited() {
        let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(scan(&nest(MAX_DEPTH)).is_ok());
        assert!(matches!(
            scan(&nest(MAX_DEPTH + 1)),
            Err(InstallError::TooDeep { .. })
        ));
        assert!(matches!(
            scan(&"[".repeat(100_000)),
            Err(InstallError::TooDeep { .. })
        ));
    }

    #[test]
    fn comments_and_trailing_commas_are_read() {
        let text = "// a\r\n{ /* b */ \"k\" : [1, // c\r 2,],\n}\n// end";
        let root = scan(text).unwrap();
        let (_, member) = root.get(text, "k").unwrap();
        assert_eq!(slice(text, &member.value.span), "[1, // c\r 2,]");
    }

    proptest! {
        /// serde_json is the judge of strict JSON: the same texts are accepted, and strings mean the same.
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{},:"\\u0-9a-ftrue nl.\-+\n]{0,24}"#) {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            let lenient = text.contains(",}") || text.contains(",]") || text.split_whitespace().collect::<String>().contains(",]")
                || text.split_whitespace().collect::<String>().contains(",}");
            match scan(&text) {
                Ok(_) => prop_assert!(theirs || lenient, "{text:?} accepted"),
                Err(InstallError::DuplicateKey { .. }) => {}
                Err(error) => prop_assert!(!theirs, "{text:?} refused: {error}"),
            }
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            let _ignored = scan(&text);
        }
    }
}
