//! Every maximum of the record, in one place, each with its reason.

/// One record on disk, without its line feed, in bytes. An entry of a C2SP tlog-tiles bundle carries
/// its length in sixteen bits.
pub const RECORD_BYTES: usize = 65_535;

/// What a source may hand to the writer, in bytes: [`RECORD_BYTES`] less the room for the `v` and `seq`
/// members that the writer adds (`{"v":1,"seq":18446744073709551615,` is 34 bytes).
pub const BODY_BYTES: usize = RECORD_BYTES - 64;

/// Redacted arguments or a redacted result kept in a record, in bytes. Two of them, with everything
/// else a record says, stay below [`BODY_BYTES`].
pub const KEPT_JSON_BYTES: usize = 24 * 1024;

/// A string value is kept up to this many bytes and its original length is noted. Enough for a
/// command, a path, a query; file contents are not what a log is for.
pub const KEPT_STRING_BYTES: usize = 2_048;

/// An error message is kept up to this many characters (`docs/format.md`, `error`).
pub const ERROR_MESSAGE_CHARS: usize = 500;

/// A method, tool or name is kept up to this many bytes: they are identifiers, not texts.
pub const NAME_BYTES: usize = 256;

/// JSON nested deeper than this is not parsed but kept as a digest only. `serde_json` stops at 128
/// as well, so every reader can read what we write.
pub const JSON_DEPTH: usize = 120;

/// Redactions listed by rule in one record; a record that needs more says how many there were.
pub const LISTED_RULES: usize = 32;

/// A path in that list is kept up to this many bytes: keys are chosen by whoever is recorded.
pub const LISTED_PATH_BYTES: usize = 128;

/// Truncations listed by path in one record; further ones are only counted.
pub const LISTED_TRUNCATIONS: usize = 16;
