//! The fast way to the candidates: cheap signs first, matchers only where a sign stands.

pub(super) mod class;
pub(super) mod sign;

use aho_corasick::AhoCorasick;

use super::assignment::{Hit, assigned, flagged, schemed, user_info};
use super::detectors::{base64, random, resolve};
use super::numbers::{CARD_DIGITS, IBAN_BYTES, card, iban};
use super::rules::{Kind, Part, TOKEN_BYTES, TokenRule, may_begin, tokens};
use super::{email, encoded, pem};
use class::runs;
use sign::{double_dash, scheme_word, signs};

/// Finds what must go in texts.
pub(super) struct Scanner {
    literals: Option<AhoCorasick>,
    by_first: Vec<Vec<&'static TokenRule>>,
    /// One bit for each pair of bytes that a token can begin with.
    pairs: Box<[u64; 1024]>,
    /// Takes no short cut: what the short cuts are compared with.
    thorough: bool,
}

/// Words before a credential, and the first line of a private key.
const LITERALS: [&str; 5] = ["earer ", "EARER ", "asic ", "ASIC ", pem::BEGIN];

/// Marks the pairs of bytes that a token of the rule can begin with.
fn mark(pairs: &mut [u64; 1024], rule: &TokenRule) {
    let mut set = |first: u8, second: u8| {
        if let Some(bits) = pairs.get_mut(pair(first, second) / 64) {
            *bits |= 1 << (pair(first, second) % 64);
        }
    };
    match rule.parts.first() {
        Some(Part::Text(text)) => {
            if let [first, second, ..] = text.as_bytes() {
                set(*first, *second);
            }
        }
        Some(Part::Run(class, least, _)) => {
            for first in (0..=u8::MAX).filter(|byte| class.has(*byte)) {
                (0..=u8::MAX)
                    .filter(|byte| *least < 2 || class.has(*byte))
                    .for_each(|second| set(first, second));
            }
        }
        None => {}
    }
}

impl Scanner {
    pub(super) fn new(thorough: bool) -> Self {
        let mut by_first: Vec<Vec<&'static TokenRule>> = vec![Vec::new(); 256];
        let mut pairs = Box::new([0; 1024]);
        for (rules, first) in by_first.iter_mut().zip(0..=u8::MAX) {
            let begins = |rule: &&TokenRule| match rule.parts.first() {
                Some(Part::Text(text)) => text.as_bytes().first() == Some(&first),
                Some(Part::Run(class, ..)) => class.has(first),
                None => false,
            };
            rules.extend(tokens().filter(begins));
        }
        tokens().for_each(|rule| mark(&mut pairs, rule));
        Self {
            literals: AhoCorasick::new(LITERALS).ok(),
            by_first,
            pairs,
            thorough,
        }
    }

    /// The signs of all bytes together.
    pub(super) fn signs(&self, text: &[u8]) -> u8 {
        let seen = signs(text);
        if self.thorough {
            seen | !sign::CONTROL
        } else {
            seen
        }
    }

    /// What must go in `text`: in order, not overlapping. `seen` are the text's signs.
    pub(super) fn detect(&self, text: &str, seen: u8, hits: &mut Vec<Hit>) {
        self.candidates(text, seen, true, hits);
        resolve(text, hits);
    }

    fn holds_secret(&self, text: &str) -> bool {
        let mut hits = Vec::new();
        self.candidates(text, self.signs(text.as_bytes()), false, &mut hits);
        resolve(text, &mut hits);
        !hits.is_empty()
    }

    fn candidates(&self, text: &str, seen: u8, decode: bool, hits: &mut Vec<Hit>) {
        let bytes = text.as_bytes();
        if seen & sign::AT != 0 {
            emails(bytes, hits);
        }
        if seen & sign::ASSIGN != 0 {
            assignments(text, seen & sign::AT != 0, hits);
        }
        let dashes = seen & sign::DASH != 0 && (self.thorough || double_dash(bytes));
        if dashes {
            flags(text, hits);
        }
        if bytes.len() > 8 && (dashes || self.thorough || scheme_word(bytes)) {
            self.literals(text, hits);
        }
        if bytes.len() >= TOKEN_BYTES {
            runs(bytes, class::RUN, TOKEN_BYTES, |start, end| {
                self.run(text, start, end, decode, hits);
            });
        }
        if seen & sign::DIGIT != 0 && bytes.len() >= CARD_DIGITS {
            runs(bytes, class::NUMBER, CARD_DIGITS, |start, end| {
                numbers(bytes, start, end, hits);
            });
        }
        if seen & sign::PERCENT != 0 && decode {
            self.percents(text, hits);
        }
    }

    /// Looks for tokens, encoded text and random values in an unbroken run.
    #[inline(never)]
    fn run(&self, text: &str, start: usize, end: usize, decode: bool, hits: &mut Vec<Hit>) {
        let bytes = text.as_bytes();
        let run = bytes.get(start..end).unwrap_or_default();
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
        runs(run, class::BASE64, encoded::RUN_BYTES, |from, to| {
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

    #[inline]
    fn begins(&self, bytes: &[u8], at: usize, hits: &mut Vec<Hit>) {
        let first = bytes.get(at).copied().unwrap_or(0);
        let second = bytes.get(at + 1).copied().unwrap_or(0);
        let bits = self.pairs.get(pair(first, second) / 64).copied();
        let known = bits.unwrap_or(0) >> (pair(first, second) % 64) & 1 != 0;
        if known || self.thorough {
            self.token(bytes, at, first, hits);
        }
    }

    #[inline(never)]
    fn token(&self, bytes: &[u8], at: usize, first: u8, hits: &mut Vec<Hit>) {
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
