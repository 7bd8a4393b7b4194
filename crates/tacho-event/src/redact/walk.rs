//! One pass over raw JSON (RFC 8259): reads, redacts and writes without building a tree.
//!
//! Nearly all of a document stays as it is. What stays is not copied piece by piece: the walk only
//! remembers the stretch of the input ([`Walk::keep`]) and copies it when something else must be
//! written or the value ends.

mod array;
mod read;

use std::borrow::Cow;

use super::Report;
use super::engine::Engine;
use super::entropy::is_random;
use super::keys::{KeyClass, classify};
use super::names::{Name, Role, SCHEMA};
use super::numbers::is_card;
use super::report::Finding;
use super::rules::Kind;
use crate::json::write_string;
use crate::limits::JSON_DEPTH;

/// Why a walk ended before the end of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// More would have been written than allowed.
    Budget,
    /// Nested too deep.
    Depth,
    /// Not JSON.
    Syntax,
    /// The text ended too early.
    End,
}

/// A step of the path to the current value.
pub(super) enum Step {
    /// Where the key stands in the output, with its quotes; whether it is `properties`.
    Key(usize, usize, bool),
    Index(usize),
}

/// A string as it was read.
pub(super) struct Text<'a> {
    /// Without escapes; of a long one the beginning.
    pub(super) value: Cow<'a, str>,
    /// Bytes of all of it, without escapes.
    length: usize,
    seen: u16,
    /// Can be written as it stands in the input.
    verbatim: bool,
}

/// A text that may go on in its neighbour: where it stands in input and output.
#[derive(Clone, Copy, Default)]
pub(super) struct Chunk {
    pub(super) raw: (usize, usize),
    pub(super) out: (usize, usize),
    /// A message's text rather than an element of a list.
    pub(super) prose: bool,
}

/// What the members of an object so far say about the others.
struct Members {
    /// The object is a JSON Schema of something secret.
    schema: bool,
    /// The object stands under `properties`.
    in_properties: bool,
    /// A member has named another one as secret.
    named: bool,
    /// Where the value of such a name stands: from and to, in the input and in the output.
    valued: Option<(usize, usize, usize, usize)>,
    /// The text of a message.
    chunk: Option<Chunk>,
}

pub(super) struct Walk<'a, 'e> {
    pub(super) engine: &'e mut Engine,
    pub(super) text: &'a str,
    raw: &'a [u8],
    at: usize,
    pub(super) out: &'e mut Vec<u8>,
    /// A stretch of the input, from and to, that stays as it is and is not yet in `out`.
    kept: (usize, usize),
    limit: usize,
    pub(super) report: &'e mut Report,
    steps: Vec<Step>,
    /// Makes the path of the value that is walked over; only where somebody asks for it.
    base: &'e dyn Fn() -> String,
    nested: u8,
    /// The text that was read last: here rather than handed from one to the next, since most have no
    /// use for it.
    last: Chunk,
}

impl<'a, 'e> Walk<'a, 'e> {
    /// A walk over `text` that lets `out` grow to `limit` bytes. What `base` makes is put before each path.
    pub(super) fn new(
        engine: &'e mut Engine,
        text: &'a str,
        out: &'e mut Vec<u8>,
        limit: usize,
        report: &'e mut Report,
        base: &'e dyn Fn() -> String,
        nested: u8,
    ) -> Self {
        let steps = std::mem::take(&mut engine.steps);
        Self {
            engine,
            text,
            raw: text.as_bytes(),
            at: 0,
            out,
            kept: (0, 0),
            limit,
            report,
            steps,
            base,
            nested,
            last: Chunk::default(),
        }
    }

    /// One value and nothing after it.
    pub(super) fn document(&mut self) -> Result<(), Stop> {
        let end = self.single();
        self.flush();
        self.steps.clear();
        self.engine.steps = std::mem::take(&mut self.steps);
        end
    }

    fn single(&mut self) -> Result<(), Stop> {
        self.value(KeyClass::Plain)?;
        self.blanks();
        if self.at == self.raw.len() {
            Ok(())
        } else {
            Err(Stop::Syntax)
        }
    }

    /// The input from `from` to `to` stays as it is.
    #[inline]
    fn keep(&mut self, from: usize, to: usize) {
        if from != self.kept.1 {
            self.flush();
            self.kept.0 = from;
        }
        self.kept.1 = to;
    }

    /// Brings `out` up to date, before anything else is written to it or read from it.
    fn flush(&mut self) {
        let (from, to) = self.kept;
        if from < to {
            let kept = self.raw.get(from..to).unwrap_or_default();
            self.out.extend_from_slice(kept);
            self.kept.0 = to;
        }
    }

    /// The length of the output so far.
    #[inline]
    fn written(&self) -> usize {
        self.out.len() + (self.kept.1 - self.kept.0)
    }

    fn within(&self) -> Result<(), Stop> {
        if self.written() > self.limit {
            Err(Stop::Budget)
        } else {
            Ok(())
        }
    }

    /// Reads the value that comes; whether it is a text that may go on in its neighbour, which is then
    /// [`Self::last`].
    fn value(&mut self, class: KeyClass) -> Result<bool, Stop> {
        self.blanks();
        let mut text = false;
        match self.peek()? {
            b'{' => text = self.object(false)?,
            b'[' => self.array()?,
            b'"' => {
                self.string(class)?;
                text = true;
            }
            b'-' | b'0'..=b'9' => self.number()?,
            _ => {
                let from = self.at;
                self.word()?;
                self.keep(from, self.at);
            }
        }
        self.within()?;
        Ok(text)
    }

    fn number(&mut self) -> Result<(), Stop> {
        let from = self.at;
        let numeral = self.numeral()?;
        let card = (12..=19).contains(&numeral.len())
            && numeral.iter().all(u8::is_ascii_digit)
            && is_card(numeral);
        if card {
            let value = std::str::from_utf8(numeral).unwrap_or_default();
            self.put(Kind::Card, value, "card");
        } else {
            self.keep(from, self.at);
        }
        Ok(())
    }

    fn string(&mut self, class: KeyClass) -> Result<(), Stop> {
        let from = self.at;
        let start = self.written();
        let text = self.read()?;
        if class == KeyClass::Hint && is_random(text.value.as_bytes()) {
            self.put(Kind::Redacted, &text.value, "entropy");
        } else {
            self.write(&text, (from, self.at));
        }
        self.last.raw = (from, self.at);
        self.last.out = (start, self.written());
        self.last.prose = false;
        Ok(())
    }

    /// Writes a string; whether it stays as it stands in the input.
    fn write(&mut self, text: &Text<'a>, raw: (usize, usize)) -> bool {
        if text.verbatim && self.engine.stays(text.length, text.seen) {
            self.keep(raw.0, raw.1);
            return true;
        }
        self.flush();
        let Self {
            engine,
            out,
            steps,
            base,
            report,
            nested,
            ..
        } = self;
        let place = || pointer(base, steps, out);
        match engine.clean(&text.value, text.length, text.seen, *nested, report, &place) {
            Some(cleaned) => write_string(out, &cleaned),
            None if text.verbatim => {
                self.keep(raw.0, raw.1);
                return true;
            }
            None => write_string(out, &text.value),
        }
        false
    }

    /// Writes a placeholder in the place of `value`.
    pub(super) fn put(&mut self, kind: Kind, value: &str, rule: &'static str) {
        let placeholder = self.engine.placeholder(kind, value);
        self.note(rule, &placeholder);
        self.flush();
        write_string(self.out, &placeholder);
    }

    fn note(&mut self, rule: &'static str, placeholder: &str) {
        self.report.remove(rule);
        if self.report.wants_findings() {
            self.flush();
            let path = pointer(self.base, &self.steps, self.out);
            self.report.find(Finding {
                path,
                rule,
                placeholder: placeholder.to_owned(),
            });
        }
    }

    /// Reads the value that comes and writes a placeholder for all of it; `null` stays.
    fn conceal(&mut self, rule: &'static str) -> Result<(), Stop> {
        self.blanks();
        let start = self.at;
        let first = self.peek()?;
        if first == b'n' {
            self.word()?;
            self.keep(start, self.at);
            return Ok(());
        }
        if first == b'"' {
            let text = self.read()?;
            if Engine::is_placeholder(&text.value) {
                self.flush();
                write_string(self.out, &text.value);
            } else {
                self.put(Kind::Redacted, &text.value, rule);
            }
            return Ok(());
        }
        self.skip(self.steps.len())?;
        let value = self.text.get(start..self.at).unwrap_or_default();
        self.put(Kind::Redacted, value, rule);
        Ok(())
    }

    fn object(&mut self, schema: bool) -> Result<bool, Stop> {
        if self.steps.len() >= JSON_DEPTH {
            return Err(Stop::Depth);
        }
        let in_properties = match self.steps.last() {
            Some(Step::Key(.., properties)) => *properties,
            Some(Step::Index(_)) | None => false,
        };
        let mut seen = Members {
            schema,
            in_properties,
            named: false,
            valued: None,
            chunk: None,
        };
        self.bracket();
        let mut first = true;
        while let Some(comma) = self.next(b'}', &mut first)? {
            self.keep_comma(comma);
            let name = self.key()?;
            self.member(name, &mut seen)?;
            self.steps.pop();
            self.within()?;
        }
        if seen.named
            && let Some(valued) = seen.valued
        {
            self.conceal_written(valued);
            seen.chunk = None;
        }
        self.keep(self.at - 1, self.at);
        if let Some(chunk) = seen.chunk {
            self.last = chunk;
        }
        Ok(seen.chunk.is_some())
    }

    /// Reads the bracket that comes.
    fn bracket(&mut self) {
        self.at += 1;
        self.keep(self.at - 1, self.at);
    }

    fn keep_comma(&mut self, comma: Option<usize>) {
        if let Some(comma) = comma {
            self.keep(comma, comma + 1);
        }
    }

    /// The value of a member whose name was just written.
    fn member(&mut self, name: Name, seen: &mut Members) -> Result<(), Stop> {
        self.blanks();
        let (raw, out) = (self.at, self.written());
        let opens = self.peek()? == b'{';
        let secret = name.class == KeyClass::Secret;
        if seen.schema && !name.schema {
            return self.conceal("key");
        }
        if secret && seen.in_properties && opens && self.is_schema() {
            return self.object(true).map(|_| ());
        }
        if secret || (name.role == Role::Value && seen.named) {
            return self.conceal("key");
        }
        let text = self.value(name.class)? && !opens;
        if name.role == Role::Name && text {
            let other = self.again(self.last.raw);
            seen.named |= classify(&other) == KeyClass::Secret;
        }
        if name.role == Role::Value {
            seen.valued = Some((raw, self.at, out, self.written()));
        }
        if name.text && !opens {
            seen.chunk = text.then_some(Chunk {
                prose: true,
                ..self.last
            });
        }
        Ok(())
    }

    /// Reads a key and its colon, writes both, and makes it the last step of the path.
    fn key(&mut self) -> Result<Name, Stop> {
        if self.peek()? != b'"' {
            return Err(Stop::Syntax);
        }
        let (from, start) = (self.at, self.written());
        let rest = self.raw.get(from + 1..).unwrap_or_default();
        let name = if let Some((name, length)) = self.engine.known_name(rest) {
            self.at = from + length + 2;
            self.keep(from, self.at);
            name
        } else {
            let key = self.read()?;
            let mut name = Name::of(&key.value);
            if self.write(&key, (from, self.at)) {
                let inside = self.raw.get(from + 1..self.at - 1);
                self.engine.remember(inside.unwrap_or_default(), name);
            } else {
                // Whoever reads the record sees this name: what it says of the value holds as well.
                let kept = self.out.get(start..).unwrap_or_default();
                let kept = serde_json::from_slice::<String>(kept).unwrap_or_default();
                name.class = name.class.max(classify(&kept));
            }
            name
        };
        self.steps
            .push(Step::Key(start, self.written(), name.properties));
        self.blanks();
        self.expect(b':')?;
        self.keep(self.at - 1, self.at);
        Ok(name)
    }

    /// Whether the object that comes begins like a JSON Schema.
    fn is_schema(&self) -> bool {
        let rest = self
            .text
            .get(self.at + 1..)
            .unwrap_or_default()
            .trim_start();
        let name = rest
            .strip_prefix('"')
            .and_then(|rest| rest.split('"').next());
        name.is_some_and(|name| SCHEMA.contains(&name))
    }

    /// A string of the input once more.
    pub(super) fn again(&mut self, raw: (usize, usize)) -> Cow<'a, str> {
        let inside = self.text.get(raw.0 + 1..raw.1.saturating_sub(1));
        if let Some(inside) = inside.filter(|text| !text.as_bytes().contains(&b'\\')) {
            return Cow::Borrowed(inside);
        }
        let back = std::mem::replace(&mut self.at, raw.0);
        let text = self.read();
        self.at = back;
        text.map_or(Cow::Borrowed(""), |text| text.value)
    }

    /// Takes back a value that was written before its name showed what it is.
    fn conceal_written(&mut self, (raw, raw_end, out, out_end): (usize, usize, usize, usize)) {
        let value = self.text.get(raw..raw_end).unwrap_or_default();
        let value = if value.starts_with('"') {
            self.again((raw, raw_end))
        } else {
            value.into()
        };
        if Engine::is_placeholder(&value) || value.trim_end() == "null" {
            return;
        }
        let placeholder = self.engine.placeholder(Kind::Redacted, &value);
        self.note("key", &placeholder);
        let mut written = Vec::new();
        write_string(&mut written, &placeholder);
        self.flush();
        self.out.splice(out..out_end, written);
    }
}

/// The JSON Pointer (RFC 6901) of the current value, made of what was written, so redacted.
fn pointer(base: &dyn Fn() -> String, steps: &[Step], out: &[u8]) -> String {
    let mut path = base();
    for step in steps {
        path.push('/');
        match step {
            Step::Index(index) => path.push_str(&index.to_string()),
            Step::Key(from, to, _) => {
                let key = out.get(*from..*to).unwrap_or_default();
                let key: String = serde_json::from_slice(key).unwrap_or_default();
                path.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
        }
    }
    path
}
