//! The fast way to the candidates: cheap signs first, matchers only where a sign stands.

use aho_corasick::AhoCorasick;

use super::assignment::{Hit, assigned, flagged, schemed, user_info};
use super::detectors::{base64, random, resolve};
use super::numbers::{CARD_DIGITS, IBAN_BYTES, card, iban, in_number};
use super::rules::{Kind, TOKEN_BYTES, TokenRule, may_begin, tokens};
use super::{email, encoded, pem};

/// What the bytes of a text tell about what it can hold.
pub(super) mod sign {
    /// Part of a run in which a token can stand.
    pub(crate) const RUN: u16 = 1;
    /// Part of a number in groups.
    pub(crate) const NUMBER: u16 = 1 << 1;
    /// `@`
    pub(crate) const AT: u16 = 1 << 2;
    /// `=` or `:`
    pub(crate) const ASSIGN: u16 = 1 << 3;
    /// `%`
    pub(crate) const PERCENT: u16 = 1 << 4;
    /// `-`
    pub(crate) const DASH: u16 = 1 << 5;
    /// Space
    pub(crate) const SPACE: u16 = 1 << 6;
    /// `0-9`
    pub(crate) const DIGIT: u16 = 1 << 7;
    /// Ends a JSON string or needs an escape in one.
    pub(crate) const ESCAPE: u16 = 1 << 8;
    /// Needs a closer look when written: U+007F and what U+2028 and U+2029 begin with.
    pub(crate) const ODD: u16 = 1 << 9;
    /// `{` or `[`
    pub(crate) const OPEN: u16 = 1 << 10;
    /// Part of base64.
    pub(crate) const BASE64: u16 = 1 << 11;
    /// A letter or digit.
    pub(crate) const WORD: u16 = 1 << 12;
}

fn signs(byte: u8) -> u16 {
    let mut signs = 0;
    let mut set = |yes: bool, sign: u16| signs |= if yes { sign } else { 0 };
    let word = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/');
    set(word || matches!(byte, b'.' | b'=' | b':' | b'~'), sign::RUN);
    set(word, sign::BASE64);
    set(byte.is_ascii_alphanumeric(), sign::WORD);
    set(in_number(byte), sign::NUMBER);
    set(byte == b'@', sign::AT);
    set(matches!(byte, b'=' | b':'), sign::ASSIGN);
    set(byte == b'%', sign::PERCENT);
    set(byte == b'-', sign::DASH);
    set(byte == b' ', sign::SPACE);
    set(byte.is_ascii_digit(), sign::DIGIT);
    set(byte < b' ' || matches!(byte, b'"' | b'\\'), sign::ESCAPE);
    set(matches!(byte, 0x7f | 0xe2), sign::ODD);
    set(matches!(byte, b'{' | b'['), sign::OPEN);
    signs
}

/// Finds what must go in texts.
pub(super) struct Scanner {
    signs: Box<[u16; 256]>,
    literals: Option<AhoCorasick>,
    by_first: Vec<Vec<&'static TokenRule>>,
}

/// Words before a credential, and the first line of a private key. Few and long, so that the search
/// stays in vector registers.
const LITERALS: [&str; 5] = ["earer ", "EARER ", "asic ", "ASIC ", pem::BEGIN];

impl Scanner {
    pub(super) fn new() -> Self {
        let mut table = Box::new([0; 256]);
        for (slot, byte) in table.iter_mut().zip(0..=u8::MAX) {
            *slot = signs(byte);
        }
        let mut by_first: Vec<Vec<&'static TokenRule>> = vec![Vec::new(); 256];
        for rule in tokens() {
            for (slot, byte) in by_first.iter_mut().zip(0..=u8::MAX) {
                let begins = match rule.parts.first() {
                    Some(super::rules::Part::Text(text)) => text.as_bytes().first() == Some(&byte),
                    Some(super::rules::Part::Run(class, ..)) => class.has(byte),
                    None => false,
                };
                if begins {
                    slot.push(rule);
                }
            }
        }
        Self {
            signs: table,
            literals: AhoCorasick::new(LITERALS).ok(),
            by_first,
        }
    }

    /// The signs of one byte.
    pub(super) fn sign(&self, byte: u8) -> u16 {
        self.signs.get(usize::from(byte)).copied().unwrap_or(0)
    }

    /// The signs of all bytes together.
    pub(super) fn signs(&self, text: &[u8]) -> u16 {
        text.iter().fold(0, |signs, byte| signs | self.sign(*byte))
    }

    /// What must go in `text`: in order, not overlapping. `seen` are the text's signs.
    pub(super) fn detect(&self, text: &str, seen: u16, hits: &mut Vec<Hit>) {
        self.candidates(text, seen, true, hits);
        resolve(text, hits);
    }

    fn holds_secret(&self, text: &str) -> bool {
        let mut hits = Vec::new();
        self.candidates(text, self.signs(text.as_bytes()), false, &mut hits);
        resolve(text, &mut hits);
        !hits.is_empty()
    }

    fn candidates(&self, text: &str, seen: u16, decode: bool, hits: &mut Vec<Hit>) {
        let bytes = text.as_bytes();
        if seen & sign::AT != 0 {
            emails(bytes, hits);
        }
        if seen & sign::ASSIGN != 0 {
            assignments(text, hits);
        }
        if seen & sign::DASH != 0 {
            flags(text, hits);
        }
        if seen & (sign::SPACE | sign::DASH) != 0 && bytes.len() > 8 {
            self.literals(text, hits);
        }
        if seen & sign::RUN != 0 && bytes.len() >= TOKEN_BYTES {
            self.runs(bytes, sign::RUN, TOKEN_BYTES, |start, end| {
                self.run(text, start, end, decode, hits);
            });
        }
        if seen & sign::DIGIT != 0 && bytes.len() >= CARD_DIGITS {
            self.runs(bytes, sign::NUMBER, CARD_DIGITS, |start, end| {
                numbers(bytes, start, end, hits);
            });
        }
        if seen & sign::PERCENT != 0 && decode {
            self.percents(text, hits);
        }
    }

    /// Calls back for every longest run of at least `least` bytes that have the sign. Looks at each
    /// window from its end, so most bytes outside of runs are never looked at.
    fn runs(&self, bytes: &[u8], sign: u16, least: usize, mut found: impl FnMut(usize, usize)) {
        let without = |byte: &u8| self.sign(*byte) & sign == 0;
        let mut from = 0;
        while let Some(window) = bytes.get(from..from + least) {
            if let Some(at) = window.iter().rposition(without) {
                from += at + 1;
                continue;
            }
            let rest = bytes.get(from + least..).unwrap_or_default();
            let end = from + least + rest.iter().position(without).unwrap_or(rest.len());
            found(from, end);
            from = end + 1;
        }
    }

    /// Looks for tokens, encoded text and random values in an unbroken run.
    fn run(&self, text: &str, start: usize, end: usize, decode: bool, hits: &mut Vec<Hit>) {
        let bytes = text.as_bytes();
        let run = bytes.get(start..end).unwrap_or_default();
        let mut inside = false;
        for (offset, byte) in run.iter().enumerate() {
            let word = self.sign(*byte) & sign::WORD != 0;
            // Inside a word a token can only begin after a written escape such as `\n`; the backslash
            // is in no run, so only the first two places need that closer look.
            if (offset < 2 || !inside) && word {
                self.begins(bytes, start + offset, *byte, hits);
            }
            inside = word;
        }
        self.runs(run, sign::BASE64, encoded::RUN_BYTES, |from, to| {
            let padding = run
                .iter()
                .skip(to)
                .take(2)
                .take_while(|byte| **byte == b'=')
                .count();
            let (from, to) = (start + from, start + to + padding);
            hits.extend(random(text, from, to));
            if decode {
                for (from, to, decoded) in base64(text, from, to) {
                    if self.holds_secret(&decoded) {
                        push(hits, from, to, "encoded.base64", Kind::Redacted);
                    }
                }
            }
        });
    }

    fn begins(&self, bytes: &[u8], at: usize, first: u8, hits: &mut Vec<Hit>) {
        if !may_begin(bytes, at) {
            return;
        }
        for rule in self
            .by_first
            .get(usize::from(first))
            .map_or(&[][..], Vec::as_slice)
        {
            if let Some(end) = rule.end(bytes, at) {
                push(hits, at, end, rule.id, Kind::Token);
            }
        }
    }

    fn literals(&self, text: &str, hits: &mut Vec<Hit>) {
        let Some(literals) = &self.literals else {
            return;
        };
        for found in literals.find_iter(text) {
            if found.pattern().as_usize() == LITERALS.len() - 1 {
                if let Some(end) = pem::end(text, found.start()) {
                    push(hits, found.start(), end, "pem", Kind::Redacted);
                }
            } else if let Some(start) = found.start().checked_sub(1) {
                hits.extend(
                    text.is_char_boundary(start)
                        .then(|| schemed(text, start))
                        .flatten(),
                );
            }
        }
    }

    fn percents(&self, text: &str, hits: &mut Vec<Hit>) {
        let bytes = text.as_bytes();
        let mut done = 0;
        for at in memchr::memchr_iter(b'%', bytes) {
            let Some((start, end)) = encoded::percent_run(bytes, at).filter(|_| at >= done) else {
                continue;
            };
            done = end;
            let run = bytes.get(start..end).unwrap_or_default();
            if encoded::percent_decode(run).is_some_and(|decoded| self.holds_secret(&decoded)) {
                push(hits, start, end, "encoded.percent", Kind::Redacted);
            }
        }
    }
}

/// Adds a hit unless one of the same rule reaches past its start: a rule's matches do not overlap.
fn push(hits: &mut Vec<Hit>, start: usize, end: usize, rule: &'static str, kind: Kind) {
    if !hits
        .iter()
        .rev()
        .any(|hit| hit.rule == rule && start < hit.end && start >= hit.start)
    {
        hits.push(Hit {
            context: start,
            start,
            end,
            rule,
            kind,
        });
    }
}

fn emails(bytes: &[u8], hits: &mut Vec<Hit>) {
    for at in memchr::memchr_iter(b'@', bytes) {
        let found = email::around(bytes, at);
        if let Some((start, end)) = found.and_then(|(start, end)| email::confirm(bytes, start, end))
        {
            hits.push(Hit {
                context: start,
                start,
                end,
                rule: "email",
                kind: Kind::Email,
            });
        }
    }
}

fn assignments(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    for at in memchr::memchr2_iter(b'=', b':', bytes) {
        if bytes.get(at..at + 3) == Some(b"://") {
            hits.extend(user_info(text, at).and_then(|(hit, _)| hit));
        } else {
            hits.extend(assigned(text, at));
        }
    }
}

fn flags(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    let mut last = None;
    for at in memchr::memchr_iter(b'-', bytes) {
        let first = last.is_none_or(|last| last + 1 < at);
        last = Some(at);
        if first && bytes.get(at + 1) == Some(&b'-') {
            hits.extend(flagged(text, at));
        }
    }
}

fn numbers(bytes: &[u8], start: usize, end: usize, hits: &mut Vec<Hit>) {
    let mut at = start;
    while at < end {
        let rest = bytes.get(at..end).unwrap_or_default();
        let Some(offset) = rest.iter().position(u8::is_ascii_digit) else {
            break;
        };
        let first = at + offset;
        let digits = bytes.get(first..end).unwrap_or_default();
        let length = grouped(digits);
        let mut next = first + length;
        if length >= CARD_DIGITS
            && let Some((from, to)) = card(bytes, first, first + length)
        {
            push(hits, from, to, "card", Kind::Card);
            next = to;
        }
        at = next;
    }
    if end - start < IBAN_BYTES {
        return;
    }
    let mut done = start;
    let run = bytes.get(start..end).unwrap_or_default();
    for (offset, window) in run.windows(4).enumerate() {
        let [one, two, three, four] = window else {
            continue;
        };
        let looks = one.is_ascii_uppercase()
            && two.is_ascii_uppercase()
            && three.is_ascii_digit()
            && four.is_ascii_digit();
        if looks
            && start + offset >= done
            && let Some(end) = iban(bytes, start + offset)
        {
            push(hits, start + offset, end, "iban", Kind::Redacted);
            done = end;
        }
    }
}

/// The length of the run of digits with single spaces or dashes between them.
fn grouped(digits: &[u8]) -> usize {
    let mut length = 0;
    for (at, byte) in digits.iter().enumerate() {
        if byte.is_ascii_digit() {
            length = at + 1;
        } else if at > length || !matches!(byte, b' ' | b'-') {
            break;
        }
    }
    length
}
