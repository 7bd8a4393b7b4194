//! What the name of a member says, remembered: the same names come event after event.

use super::keys::{KeyClass, classify};
use super::scan::class;

/// Names remembered.
const SLOTS: usize = 256;

/// Longer names are looked at each time, in bytes.
const REMEMBERED_BYTES: usize = 32;

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

struct Slot {
    bytes: [u8; REMEMBERED_BYTES],
    length: usize,
    name: Name,
}

/// The names seen last that can be written as they stand.
pub(super) struct Names {
    slots: Vec<Option<Slot>>,
}

impl Names {
    pub(super) fn new() -> Self {
        let mut slots = Vec::new();
        slots.resize_with(SLOTS, || None);
        Self { slots }
    }

    /// What is remembered of the name that `rest` begins with, a closing quote after it, and its length.
    pub(super) fn known(&self, rest: &[u8]) -> Option<(Name, usize)> {
        let mut hash = 0;
        let mut length = 0;
        for byte in rest.iter().take(REMEMBERED_BYTES + 1) {
            if class::of(*byte) & class::ESCAPE != 0 {
                break;
            }
            hash = step(hash, *byte);
            length += 1;
        }
        if rest.get(length) != Some(&b'"') {
            return None;
        }
        let slot = self.slots.get(place(hash)).and_then(Option::as_ref)?;
        let same = slot.length == length && slot.bytes.get(..length) == rest.get(..length);
        same.then_some((slot.name, length))
    }

    /// Remembers a name that was found to hold nothing that must go.
    pub(super) fn remember(&mut self, key: &[u8], name: Name) {
        let mut bytes = [0; REMEMBERED_BYTES];
        let plain = |byte: &u8| class::of(*byte) & class::NAME != 0;
        let Some(copy) = bytes.get_mut(..key.len()).filter(|_| key.iter().all(plain)) else {
            return;
        };
        copy.copy_from_slice(key);
        let hash = key.iter().fold(0, |hash, byte| step(hash, *byte));
        if let Some(slot) = self.slots.get_mut(place(hash)) {
            let length = key.len();
            *slot = Some(Slot {
                bytes,
                length,
                name,
            });
        }
    }
}

const fn step(hash: u64, byte: u8) -> u64 {
    hash.rotate_left(5) ^ byte as u64
}

fn place(hash: u64) -> usize {
    // The golden ratio spreads near hashes; the upper bits are the best ones.
    usize::try_from(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap_or(0) % SLOTS
}
