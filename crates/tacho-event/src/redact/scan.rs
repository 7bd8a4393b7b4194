//! The fast way to the candidates: cheap signs first, matchers only where a sign stands.
//!
//! What is fast here only filters: it may let pass what turns out to be nothing and must never miss
//! what a detector would find. Whether something goes is decided by the detectors (`email.rs`,
//! `numbers.rs`, `assignment.rs`, `rules.rs`, `entropy.rs`, `encoded.rs`, `pem.rs`), which the plain
//! way (`detectors.rs`) shares.

pub(super) mod class;
pub(super) mod sign;
pub(super) mod swar;

use memchr::memmem::Finder;

use super::assignment::{Hit, assigned, flagged, schemed, user_info};
use super::detectors::{base64, random, resolve};
use super::numbers::{CARD_DIGITS, IBAN_BYTES, card, iban};
use super::rules::{Kind, Part, TOKEN_BYTES, TokenRule, may_begin, tokens};
use super::{email, encoded, pem};
use class::runs;

/// Finds what must go in texts.
pub(super) struct Scanner {
    schemes: [Finder<'static>; 4],
    key: Finder<'static>,
    /// One bit for each pair of bytes that a token can begin with.
    pairs: Box<[u64; 1024]>,
    /// For each byte that a token can begin with, one bit for each byte that can be its third.
    thirds: Box<[[u64; 4]; 256]>,
    /// The rules by their first byte.
    by_first: Vec<Vec<&'static TokenRule>>,
    /// Takes no short cut: what the short cuts are compared with.
    thorough: bool,
}

/// Words before a credential, without their first letter.
const SCHEMES: [&str; 4] = ["earer ", "EARER ", "asic ", "ASIC "];

/// Whether a token of the rule can have `byte` at place `at`, as far as its first part tells.
fn can_be(rule: &TokenRule, at: usize, byte: u8) -> bool {
    match rule.parts.first() {
        Some(Part::Text(text)) => text.as_bytes().get(at).is_none_or(|known| *known == byte),
        Some(Part::Run(class, least, _)) => at >= *least || class.has(byte),
        None => false,
    }
}

/// The pairs of bytes that a token of the rule can begin with.
fn pairs(rule: &TokenRule) -> impl Iterator<Item = (u8, u8)> {
    let place = move |at| (0..=u8::MAX).filter(move |byte| can_be(rule, at, *byte));
    place(0).flat_map(move |first| place(1).map(move |second| (first, second)))
}

fn set(bits: &mut [u64], at: usize) {
    if let Some(bits) = bits.get_mut(at / 64) {
        *bits |= 1 << (at % 64);
    }
}

fn is_set(bits: &[u64], at: usize) -> bool {
    bits.get(at / 64)
        .is_some_and(|bits| bits >> (at % 64) & 1 != 0)
}

impl Scanner {
    pub(super) fn new(thorough: bool) -> Self {
        let mut bits = Box::new([0; 1024]);
        let mut thirds = Box::new([[0; 4]; 256]);
        let mut by_first: Vec<Vec<&'static TokenRule>> = vec![Vec::new(); 256];
        for rule in tokens() {
            for (first, second) in pairs(rule) {
                set(&mut *bits, pair(first, second));
            }
            for first in (0..=u8::MAX).filter(|byte| can_be(rule, 0, *byte)) {
                if let Some(rules) = by_first.get_mut(usize::from(first)) {
                    rules.push(rule);
                }
                for third in (0..=u8::MAX).filter(|byte| can_be(rule, 2, *byte)) {
                    if let Some(bits) = thirds.get_mut(usize::from(first)) {
                        set(bits, usize::from(third));
                    }
                }
            }
        }
        Self {
            schemes: SCHEMES.map(Finder::new),
            key: Finder::new(pem::BEGIN),
            pairs: bits,
            thirds,
            by_first,
            thorough,
        }
    }

    /// The signs of `text`.
    pub(super) fn signs(&self, text: &[u8]) -> u16 {
        self.signs_within(text, text.len())
    }

    /// Up to where the string that `rest` begins with can be taken as it stands: its closing quote or
    /// the first backslash; and the signs of it.
    #[inline]
    pub(super) fn string(&self, rest: &[u8]) -> (usize, u16) {
        if let Some(found) = sign::short(rest).filter(|_| !self.thorough) {
            return found;
        }
        let end = memchr::memchr2(b'"', b'\\', rest);
        let length = end.unwrap_or(rest.len());
        (length, self.signs_within(rest, length))
    }

    /// The signs of the first `length` bytes of `text`.
    #[inline]
    fn signs_within(&self, text: &[u8], length: usize) -> u16 {
        let seen = sign::plain(text, length);
        if self.thorough {
            seen | !sign::CONTROL
        } else {
            seen
        }
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
            assignments(text, seen & sign::AT != 0, hits);
        }
        if seen & sign::FLAG != 0 {
            flags(text, hits);
        }
        if seen & sign::FLAG != 0 {
            self.private_keys(text, hits);
        }
        if seen & sign::SCHEME != 0 {
            self.schemed(text, hits);
        }
        if bytes.len() >= TOKEN_BYTES {
            runs(bytes, class::RUN, TOKEN_BYTES, |start, end, common| {
                self.run(text, (start, end, common), decode, hits);
            });
        }
        if seen & sign::DIGIT != 0 && bytes.len() >= CARD_DIGITS {
            runs(bytes, class::NUMBER, CARD_DIGITS, |start, end, _| {
                numbers(bytes, start, end, hits);
            });
        }
        if seen & sign::PERCENT != 0 && decode {
            self.percents(text, hits);
        }
    }

    /// Looks for tokens, encoded text and random values in an unbroken run.
    #[inline(never)]
    fn run(
        &self,
        text: &str,
        (start, end, common): (usize, usize, u8),
        decode: bool,
        hits: &mut Vec<Hit>,
    ) {
        let bytes = text.as_bytes();
        let run = bytes.get(start..end).unwrap_or_default();
        if common & class::HEX == 0 || self.thorough {
            self.words(bytes, start, run, hits);
        }
        let mut base64_run = |from: usize, to: usize| {
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
        };
        if common & class::BASE64 != 0 {
            base64_run(0, run.len());
        } else {
            runs(run, class::BASE64, encoded::RUN_BYTES, |from, to, _| {
                base64_run(from, to);
            });
        }
    }

    /// Looks for tokens at the beginnings of the words of a run.
    #[inline]
    fn words(&self, bytes: &[u8], start: usize, run: &[u8], hits: &mut Vec<Hit>) {
        // Inside a word a token can only begin after a written escape such as `\n`; the backslash is in
        // no run, so only the second place needs that closer look.
        let second = run.get(1).copied().unwrap_or(0);
        if class::of(second) & class::WORD != 0 {
            self.begins(bytes, start + 1, hits);
        }
        let mut at = 0;
        while let Some(word) = class::word(run, at) {
            if word != 1 {
                self.begins(bytes, start + word, hits);
            }
            at = class::word_end(run, word + 1);
        }
    }

    #[inline]
    fn begins(&self, bytes: &[u8], at: usize, hits: &mut Vec<Hit>) {
        let first = bytes.get(at).copied().unwrap_or(0);
        let second = bytes.get(at + 1).copied().unwrap_or(0);
        if !is_set(&*self.pairs, pair(first, second)) && !self.thorough {
            return;
        }
        let third = bytes.get(at + 2).copied().unwrap_or(0);
        let thirds = self.thirds.get(usize::from(first));
        if thirds.is_some_and(|bits| is_set(bits, usize::from(third))) || self.thorough {
            self.token(bytes, at, first, hits);
        }
    }

    #[inline(never)]
    fn token(&self, bytes: &[u8], at: usize, first: u8, hits: &mut Vec<Hit>) {
        if !may_begin(bytes, at) {
            return;
        }
        let rules = self.by_first.get(usize::from(first));
        for rule in rules.map_or(&[][..], Vec::as_slice) {
            if let Some(end) = rule.end(bytes, at) {
                push(hits, at, end, rule.id, Kind::Token);
            }
        }
    }

    fn private_keys(&self, text: &str, hits: &mut Vec<Hit>) {
        for start in self.key.find_iter(text.as_bytes()) {
            if let Some(end) = pem::end(text, start) {
                push(hits, start, end, "pem", Kind::Redacted);
            }
        }
    }

    fn schemed(&self, text: &str, hits: &mut Vec<Hit>) {
        for scheme in &self.schemes {
            for second in scheme.find_iter(text.as_bytes()) {
                let start = second.checked_sub(1);
                let start = start.filter(|start| text.is_char_boundary(*start));
                hits.extend(start.and_then(|start| schemed(text, start)));
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

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) * 256 + usize::from(second)
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

/// `at`: the text holds an at sign.
fn assignments(text: &str, at: bool, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    for sign in memchr::memchr2_iter(b'=', b':', bytes) {
        if bytes.get(sign..sign + 3) == Some(b"://") {
            if at {
                hits.extend(user_info(text, sign).and_then(|(hit, _)| hit));
            }
        } else {
            hits.extend(assigned(text, sign));
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

#[inline(never)]
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
