//! What the name of a member says, remembered: the same names come event after event.

use super::keys::{KeyClass, classify};
use super::scan::{class, swar};

/// Names remembered.
const SLOTS: usize = 256;

/// Longer names are looked at each time, in bytes: what four words hold with the quote.
const REMEMBERED_BYTES: usize = 31;
const WORDS: usize = 4;

/// What a member means for its neighbours: `{"name":"password","value":"…"}`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Name,
    Value,
    None,
}

/// What is known of a member by its name.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) class: KeyClass,
    pub(super) role: Role,
    /// A word of a JSON Schema.
    pub(super) schema: bool,
    /// `text`: the text of a message.
    pub(super) text: bool,
    /// `properties`: its members are names of a JSON Schema.
    pub(super) properties: bool,
}

impl Name {
    pub(super) fn of(key: &str) -> Self {
        let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(key));
        let role = if is(NAMES) {
            Role::Name
        } else if is(VALUES) {
            Role::Value
        } else {
            Role::None
        };
        Self {
            class: classify(key),
            role,
            schema: SCHEMA.contains(&key),
            text: key == "text",
            properties: key == "properties",
        }
    }
}

/// Members whose value is the name of another.
const NAMES: &[&str] = &[
    "name",
    "key",
    "id",
    "field",
    "parameter",
    "param",
    "header",
    "variable",
    "var",
    "label",
    "k",
    "type",
    "element",
    "option",
];

/// Members whose value is that of such a name.
const VALUES: &[&str] = &[
    "value",
    "val",
    "v",
    "content",
    "default",
    "data",
    "text",
    "values",
    "secretvalue",
];

/// The words of a JSON Schema that say what a value must look like and hold none.
pub(super) const SCHEMA: &[&str] = &[
    "type",
    "description",
    "title",
    "$ref",
    "format",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "items",
    "properties",
    "required",
    "additionalProperties",
    "nullable",
    "readOnly",
    "writeOnly",
    "deprecated",
    "$comment",
    "minItems",
    "maxItems",
    "uniqueItems",
    "$defs",
    "definitions",
];

/// A name in words of eight bytes, the first byte lowest, zeros after the last.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    words: [u64; WORDS],
    length: usize,
}

impl Key {
    /// The name that `rest` begins with, up to the quote after it.
    #[inline]
    fn before_quote(rest: &[u8]) -> Option<Self> {
        let mut words = [0; WORDS];
        for (at, slot) in words.iter_mut().enumerate() {
            let word = word(rest, at * 8);
            if let Some(bytes) = swar::quote_in(word) {
                *slot = word & !(u64::MAX << (8 * bytes));
                let length = at * 8 + bytes;
                return Some(Self { words, length });
            }
            *slot = word;
        }
        None
    }

    fn place(&self) -> usize {
        let [one, two, three, four] = self.words;
        let all = one ^ two.rotate_left(16) ^ three.rotate_left(32) ^ four.rotate_left(48);
        let hash = all.wrapping_mul(GOLDEN);
        // The upper bits are the best ones.
        usize::try_from(hash >> 32).unwrap_or(0) % SLOTS
    }
}

/// The golden ratio spreads near numbers.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The eight bytes at `at`, with zeros where there are none.
#[inline]
fn word(text: &[u8], at: usize) -> u64 {
    let rest = text.get(at..).unwrap_or_default();
    if let Some(word) = rest.first_chunk() {
        return u64::from_le_bytes(*word);
    }
    let byte = |word, byte: &u8| word << 8 | u64::from(*byte);
    rest.iter().rev().fold(0, byte)
}

/// The names seen last that can be written as they stand. Two may share a place.
pub(super) struct Names {
    slots: Vec<[Option<(Key, Name)>; 2]>,
}

impl Names {
    pub(super) fn new() -> Self {
        let mut slots = Vec::new();
        slots.resize_with(SLOTS, || [None; 2]);
        Self { slots }
    }

    /// What is remembered of the name that `rest` begins with, a closing quote after it, and its length.
    #[inline]
    pub(super) fn known(&self, rest: &[u8]) -> Option<(Name, usize)> {
        let key = Key::before_quote(rest)?;
        let names = self.slots.get(key.place())?.iter().flatten();
        names
            .filter(|(known, _)| *known == key)
            .map(|(_, name)| (*name, key.length))
            .next()
    }

    /// Remembers a name that was found to hold nothing that must go. Only names without a byte that
    /// JSON escapes are: another name cannot look like one of them.
    pub(super) fn remember(&mut self, key: &[u8], name: Name) {
        let plain = |byte: &u8| class::of(*byte) & class::NAME != 0;
        if key.len() > REMEMBERED_BYTES || !key.iter().all(plain) {
            return;
        }
        let mut words = [0; WORDS];
        for (at, slot) in words.iter_mut().enumerate() {
            *slot = word(key, at * 8);
        }
        let key = Key {
            words,
            length: key.len(),
        };
        if let Some(slot) = self.slots.get_mut(key.place()) {
            *slot = [Some((key, name)), slot.first().copied().flatten()];
        }
    }
}
