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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::SigningKey;

    const TEXT: &str = "Two lines\nof text — and a dash.\n";

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::generate(name, [seed; 32]).unwrap()
    }

    fn signed(text: &str, keys: &[&SigningKey]) -> String {
        let signatures = keys.iter().map(|key| key.sign(text)).collect();
        Note::new(text.to_owned(), signatures).unwrap().encode()
    }

    #[test]
    fn known_keys_are_checked_and_others_ignored() {
        let (one, two, three) = (key("one", 1), key("two", 2), key("two", 3));
        let note = Note::parse(signed(TEXT, &[&one, &two]).as_bytes()).unwrap();
        assert_eq!(note.text(), TEXT);
        assert_eq!(note.signatures().len(), 2);
        assert_eq!(note.verify(one.verifying_key()), Ok(()));
        assert_eq!(note.verify(two.verifying_key()), Ok(()));
        // The same name, another key.
        assert_eq!(note.verify(three.verifying_key()), Err(NoteError::Unsigned));

        let other = Note::new(TEXT.replace("Two", "Six"), note.signatures().to_vec()).unwrap();
        let bad = Err(NoteError::BadSignature(KeyError::BadSignature));
        assert_eq!(other.verify(one.verifying_key()), bad);
        // A right signature does not make up for a wrong one of the same key.
        let again = other
            .with_signature(one.sign("Six lines\nof text — and a dash.\n"))
            .unwrap();
        assert_eq!(again.verify(one.verifying_key()), bad);
        let twice = note.clone().with_signature(one.sign(TEXT)).unwrap();
        assert_eq!(twice.verify(one.verifying_key()), Ok(()));

        for cut in [0, 1, 63] {
            let mut short = note.signatures()[0].clone();
            short.bytes.truncate(cut);
            let short = Note::new(TEXT.to_owned(), vec![short]);
            assert_eq!(
                short
                    .map(|note| note.verify(one.verifying_key()))
                    .unwrap_or(bad),
                bad
            );
        }
    }

    #[test]
    fn what_is_no_note() {
        let good = signed(TEXT, &[&key("one", 1)]);
        let line = good.lines().last().unwrap().to_owned();
        let base64 = line.rsplit(' ').next().unwrap().to_owned();
        let cases = [
            (TEXT.to_owned(), NoteError::Layout),
            (format!("{TEXT}\n"), NoteError::Layout),
            (String::new(), NoteError::Layout),
            (format!("\n{line}\n"), NoteError::Layout),
            (format!("text without end{line}\n"), NoteError::Layout),
            (good.trim_end().to_owned(), NoteError::Layout),
            (format!("\u{1}{good}"), NoteError::Text),
            (good.replace("lines\n", "lines\r\n"), NoteError::Text),
            (good.replace("lines", "li\tnes"), NoteError::Text),
            (
                format!("{good}Unexpected line.\n"),
                NoteError::SignatureLine(2),
            ),
            (format!("{good}\n"), NoteError::Layout),
            (
                good.replace("\u{2014} one", "\u{2014}one"),
                NoteError::SignatureLine(1),
            ),
            (
                good.replace("\u{2014} one", "- one"),
                NoteError::SignatureLine(1),
            ),
            (good.replace(" one ", " o ne "), NoteError::SignatureLine(1)),
            (good.replace(" one ", " o+ne "), NoteError::SignatureLine(1)),
            (
                good.replace(" one ", " o\u{a0}ne "),
                NoteError::SignatureLine(1),
            ),
            (good.replace(" one ", "  "), NoteError::SignatureLine(1)),
            (good.replace(" one ", " one  "), NoteError::SignatureLine(1)),
            (
                good.replace(&base64, "AAAAAA=="),
                NoteError::SignatureLine(1),
            ),
            (
                good.replace(&base64, "AAAAAAB="),
                NoteError::SignatureLine(1),
            ),
            (
                good.replace(&base64, "AAAAAAA"),
                NoteError::SignatureLine(1),
            ),
            (
                good.replace(&base64, "AAAAAA-_"),
                NoteError::SignatureLine(1),
            ),
            (
                good.replace(&base64, &format!("{base64} ")),
                NoteError::SignatureLine(1),
            ),
            (
                good.clone() + &format!("{line}\n").repeat(100),
                NoteError::TooManySignatures,
            ),
            ("a".repeat(MAX_NOTE_BYTES) + &good, NoteError::TooLong),
        ];
        assert!(Note::parse(good.as_bytes()).is_ok());
        for (bytes, error) in cases {
            let got = Note::parse(bytes.as_bytes());
            assert_eq!(got, Err(error), "{:?}", bytes.get(..80).unwrap_or(&bytes));
        }
        assert_eq!(Note::parse(b"\xff\n\n"), Err(NoteError::Text));
        assert!(Note::parse((good.clone() + &format!("{line}\n").repeat(99)).as_bytes()).is_ok());
        let room = MAX_NOTE_BYTES - good.len();
        assert!(Note::parse(("a".repeat(room) + &good).as_bytes()).is_ok());
        assert!(Note::parse(("a".repeat(room + 1) + &good).as_bytes()).is_err());
    }

    #[test]
    fn a_text_may_have_empty_lines() {
        let one = key("one", 1);
        for text in [
            "\n",
            "\n\n",
            "a\n\nb\n\n\n",
            "— one AAAA\n",
            "a\n\n— one AAAAAAAA\n",
        ] {
            let bytes = signed(text, &[&one]);
            let note = Note::parse(bytes.as_bytes()).unwrap();
            assert_eq!((note.text(), note.encode()), (text, bytes));
            assert_eq!(note.verify(one.verifying_key()), Ok(()));
        }
        for text in ["", "a", "a\n\nb"] {
            assert!(
                Note::new(text.to_owned(), vec![one.sign(text)]).is_err(),
                "{text:?}"
            );
        }
        assert!(Note::new(TEXT.to_owned(), Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn parses_nothing_but_what_it_writes(bytes in any::<Vec<u8>>()) {
            if let Ok(note) = Note::parse(&bytes) {
                prop_assert_eq!(note.encode().into_bytes(), bytes);
            }
        }

        /// Near a note there is more to get wrong than far from one.
        #[test]
        fn a_changed_note_is_not_believed(
            at in any::<prop::sample::Index>(),
            with in prop_oneof![any::<u8>(), Just(b'\n'), Just(b' '), Just(b'='), Just(b'+')],
            insert in any::<bool>(),
        ) {
            let one = key("one", 1);
            let mut bytes = signed(TEXT, &[&one, &key("two", 2)]).into_bytes();
            let at = at.index(bytes.len());
            if insert { bytes.insert(at, with) } else { bytes[at] = with }
            if let Ok(note) = Note::parse(&bytes) {
                prop_assert_eq!(note.encode().into_bytes(), bytes);
                if note.verify(one.verifying_key()).is_ok() {
                    prop_assert_eq!(note.text(), TEXT);
                }
            }
        }
    }
}
