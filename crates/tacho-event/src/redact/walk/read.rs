//! Reading JSON (RFC 8259): what moves the walk forward and writes nothing.

use std::borrow::Cow;

use super::{Stop, Text, Walk};
use crate::limits::JSON_DEPTH;
use crate::redact::scan::sign;

impl<'a> Walk<'a, '_> {
    pub(super) fn peek(&self) -> Result<u8, Stop> {
        self.raw.get(self.at).copied().ok_or(Stop::End)
    }

    pub(super) fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.raw.get(self.at) {
            self.at += 1;
        }
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.peek()? != byte {
            return Err(Stop::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn word(&mut self) -> Result<&'static [u8], Stop> {
        let rest = self.raw.get(self.at..).unwrap_or_default();
        for word in [&b"true"[..], b"false", b"null"] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(word);
            }
            if word.starts_with(rest) {
                return Err(Stop::End);
            }
        }
        Err(Stop::Syntax)
    }

    pub(super) fn digits(&mut self) -> Result<usize, Stop> {
        let rest = self.raw.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match (count, self.raw.get(self.at)) {
            (0, None) => Err(Stop::End),
            (0, Some(_)) => Err(Stop::Syntax),
            _ => Ok(count),
        }
    }

    /// Reads a number; its bytes as written.
    pub(super) fn numeral(&mut self) -> Result<&'a [u8], Stop> {
        let start = self.at;
        if self.peek()? == b'-' {
            self.at += 1;
        }
        let zero = self.peek()? == b'0';
        if self.digits()? > 1 && zero {
            return Err(Stop::Syntax);
        }
        if self.raw.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.raw.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.raw.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.raw.get(start..self.at).unwrap_or_default())
    }

    /// Reads a string. Of a long one only the beginning is unescaped; the rest is checked and counted.
    pub(super) fn read(&mut self) -> Result<Text<'a>, Stop> {
        self.expect(b'"')?;
        let start = self.at;
        let rest = self.raw.get(start..).unwrap_or_default();
        let (length, seen) = self.engine.scanner().string(rest);
        if seen & sign::CONTROL != 0 {
            return Err(Stop::Syntax);
        }
        match rest.get(length) {
            Some(b'"') => {
                self.at += length + 1;
                let value = Cow::Borrowed(self.text.get(start..start + length).unwrap_or_default());
                Ok(Text {
                    value,
                    length,
                    seen,
                    verbatim: seen & sign::ODD == 0,
                })
            }
            Some(_) => self.unescape(start, length),
            None => Err(Stop::End),
        }
    }

    pub(super) fn unescape(&mut self, start: usize, plain: usize) -> Result<Text<'a>, Stop> {
        let window = self.engine.window();
        let mut value = String::with_capacity((plain * 2 + 32).min(window));
        let mut length = 0;
        // Whether every escape is the one that would be written.
        let mut usual = true;
        let mut put = |piece: &str| {
            length += piece.len();
            if value.len() < window {
                let room = piece.floor_char_boundary(window - value.len() + 4);
                value.push_str(piece.get(..room).unwrap_or_default());
            }
        };
        put(self.text.get(start..start + plain).unwrap_or_default());
        self.at = start + plain;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    let letter = self.raw.get(self.at + 1);
                    usual &= matches!(letter, Some(b'n' | b'"' | b'\\' | b't' | b'r'));
                    put(self.escape()?.encode_utf8(&mut [0; 4]));
                }
                0..0x20 => return Err(Stop::Syntax),
                _ => {
                    let rest = self.raw.get(self.at..).unwrap_or_default();
                    let run = memchr::memchr2(b'"', b'\\', rest).ok_or(Stop::End)?;
                    let control = |sum, byte: &u8| sum | u8::from(*byte < b' ');
                    if rest.iter().take(run).fold(0, control) != 0 {
                        return Err(Stop::Syntax);
                    }
                    put(self.text.get(self.at..self.at + run).unwrap_or_default());
                    self.at += run;
                }
            }
        }
        self.at += 1;
        let seen = self.engine.scanner().signs(value.as_bytes());
        Ok(Text {
            value: Cow::Owned(value),
            length,
            seen,
            verbatim: usual && seen & sign::ODD == 0,
        })
    }

    pub(super) fn escape(&mut self) -> Result<char, Stop> {
        let letter = self.raw.get(self.at + 1).copied().ok_or(Stop::End)?;
        self.at += 2;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                let rest = self.raw.get(self.at..).unwrap_or_default();
                if (0xd800..0xdc00).contains(&first) && rest.starts_with(b"\\u") {
                    let back = self.at;
                    self.at += 2;
                    let second = self.hex()?;
                    if (0xdc00..0xe000).contains(&second) {
                        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    self.at = back;
                }
                // Half a surrogate pair is no character; JSON allows it, UTF-8 does not.
                char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(Stop::Syntax),
        })
    }

    pub(super) fn hex(&mut self) -> Result<u32, Stop> {
        let digits = self.raw.get(self.at..self.at + 4).ok_or(Stop::End)?;
        self.at += 4;
        digits.iter().try_fold(0, |sum, digit| {
            char::from(*digit)
                .to_digit(16)
                .map(|value| sum * 16 + value)
                .ok_or(Stop::Syntax)
        })
    }

    /// Reads a value and writes nothing.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), Stop> {
        self.blanks();
        let (close, members) = match self.peek()? {
            b'{' => (b'}', true),
            b'[' => (b']', false),
            b'"' => return self.read().map(|_| ()),
            b'-' | b'0'..=b'9' => return self.numeral().map(|_| ()),
            _ => return self.word().map(|_| ()),
        };
        if depth >= JSON_DEPTH {
            return Err(Stop::Depth);
        }
        self.at += 1;
        let mut first = true;
        while self.next(close, &mut first)?.is_some() {
            if members {
                self.read()?;
                self.blanks();
                self.expect(b':')?;
            }
            self.skip(depth + 1)?;
        }
        Ok(())
    }

    /// Whether another element follows; reads the comma before it, and says where that stands, or the
    /// closing bracket.
    #[expect(
        clippy::option_option,
        reason = "no element, the first one, one after a comma"
    )]
    pub(super) fn next(
        &mut self,
        close: u8,
        first: &mut bool,
    ) -> Result<Option<Option<usize>>, Stop> {
        self.blanks();
        let byte = self.peek()?;
        if byte == close {
            self.at += 1;
            return Ok(None);
        }
        if std::mem::take(first) {
            return Ok(Some(None));
        }
        self.expect(b',')?;
        let comma = self.at - 1;
        self.blanks();
        Ok(Some(Some(comma)))
    }
}
