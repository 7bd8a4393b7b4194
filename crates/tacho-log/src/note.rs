//! C2SP signed-note v1.0.0: a text and who signed it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::key::{KeyError, VerifyingKey, WitnessKey, is_note_name};

/// The largest note: that of Go's `note` package, so that what one tool accepts the other does.
pub const MAX_NOTE_BYTES: usize = 1_000_000;

/// The most signatures on a note: that of Go's `note` package; the standard demands 16.
pub const MAX_SIGNATURES: usize = 100;

/// What a signature line starts with: an em dash and a space.
const SIGNATURE_START: &str = "\u{2014} ";

/// Why bytes are no note, or a note is not accepted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`].
    #[error("the note is longer than {MAX_NOTE_BYTES} bytes")]
    TooLong,
    /// Not UTF-8, or with a control character other than the line feed.
    #[error("the note is not UTF-8 without control characters")]
    Text,
    /// No empty line between text and signatures, or no line feed at the end of either.
    #[error("the note is not a text, an empty line, and signatures")]
    Layout,
    /// A line among the signatures that is none.
    #[error("signature line {0} is malformed")]
    SignatureLine(usize),
    /// More than [`MAX_SIGNATURES`].
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// No signature by the key.
    #[error("the note is not signed by the key")]
    Unsigned,
    /// A signature that says it is by the key, and is not.
    #[error("the signature of the key is wrong: {0}")]
    BadSignature(KeyError),
}

/// One signature of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key's name.
    pub name: String,
    /// Tells keys of one name apart.
    pub key_id: u32,
    /// What the kind of key demands, without the identifier; not empty.
    pub bytes: Vec<u8>,
}

/// A text with signatures, of which nothing is known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// A note that [`Note::parse`] accepts, or the reason why there is none.
    pub fn new(text: String, signatures: Vec<Signature>) -> Result<Self, NoteError> {
        let note = Self { text, signatures };
        // One definition of what is right: the parser's.
        if Self::parse(note.encode().as_bytes())? == note {
            Ok(note)
        } else {
            Err(NoteError::Layout)
        }
    }

    /// Reads a note; accepts only what [`Note::encode`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(bytes).ok().ok_or(NoteError::Text)?;
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::Text);
        }
        // The text may have empty lines; signatures have none, so the last one divides.
        let at = note.rfind("\n\n").ok_or(NoteError::Layout)?;
        let (text, lines) = note.split_at_checked(at + 1).ok_or(NoteError::Layout)?;
        let lines = lines
            .strip_prefix('\n')
            .and_then(|lines| lines.strip_suffix('\n'));
        let lines = lines.ok_or(NoteError::Layout)?;

        let mut signatures = Vec::new();
        for (number, line) in lines.split('\n').enumerate() {
            if number == MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(Signature::parse(line).ok_or(NoteError::SignatureLine(number + 1))?);
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// The note as it stands in a file.
    pub fn encode(&self) -> String {
        let mut out = self.text.clone();
        out.push('\n');
        for signature in &self.signatures {
            signature.write(&mut out);
        }
        out
    }

    /// What is signed, up to and with its last line feed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in order; unknown ones too.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The note with one more signature at its end.
    pub fn with_signature(mut self, signature: Signature) -> Result<Self, NoteError> {
        self.signatures.push(signature);
        Self::new(self.text, self.signatures)
    }

    /// Checks that `key` signed the text. Signatures by other keys are ignored; one that says it is
    /// by `key` and is not, is an error even where another one is right.
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), NoteError> {
        let check = |signature: &&Signature| key.signs(signature);
        let found = self.signatures.iter().filter(check);
        let valid = found.map(|signature| key.verify_strict(&self.text, signature));
        latest(valid)
    }

    /// Checks that `witness` cosigned the text, which is a checkpoint's, and returns when: in seconds
    /// since 1970 UTC, the latest where there are several. The rules are those of [`Note::verify`].
    pub fn verify_witness(&self, witness: &WitnessKey) -> Result<u64, NoteError> {
        let found = self
            .signatures
            .iter()
            .filter(|signature| witness.signs(signature));
        latest(found.map(|signature| witness.verify_strict(&self.text, signature)))
    }
}

fn latest<T: Ord>(checked: impl Iterator<Item = Result<T, KeyError>>) -> Result<T, NoteError> {
    let checked = checked
        .collect::<Result<Vec<_>, _>>()
        .map_err(NoteError::BadSignature)?;
    checked.into_iter().max().ok_or(NoteError::Unsigned)
}

impl Signature {
    /// Reads a signature line, without its line feed; `None` unless it is what
    /// [`Signature::write`] writes.
    pub fn parse(line: &str) -> Option<Self> {
        let (name, base64) = line.strip_prefix(SIGNATURE_START)?.split_once(' ')?;
        if !is_note_name(name) {
            return None;
        }
        let blob = STANDARD.decode(base64).ok()?;
        let (id, bytes) = blob.split_first_chunk()?;
        if bytes.is_empty() {
            return None;
        }
        let key_id = u32::from_be_bytes(*id);
        Some(Self {
            name: name.to_owned(),
            key_id,
            bytes: bytes.to_vec(),
        })
    }

    /// Appends the signature line and its line feed.
    pub fn write(&self, out: &mut String) {
        let blob = [&self.key_id.to_be_bytes(), self.bytes.as_slice()].concat();
        out.push_str(SIGNATURE_START);
        out.push_str(&self.name);
        out.push(' ');
        STANDARD.encode_string(blob, out);
        out.push('\n');
    }
}
