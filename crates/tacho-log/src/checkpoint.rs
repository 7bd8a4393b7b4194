//! C2SP tlog-checkpoint: what a log says about itself, signed.

mod consistency;
mod proof;

use thiserror::Error;

use crate::key::{KeyError, SigningKey, VerifyingKey, WitnessKey, check_name};
use crate::merkle::{Hash, MAX_SIZE, empty_root};
use crate::note::{Note, NoteError, Signature};

pub use consistency::{ConsistencyProof, ConsistencyProofError};
pub use proof::{TlogProof, TlogProofError};

/// Why something is no checkpoint, or not one to be believed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// The note around the text.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The origin is not one: the rules are those of key names.
    #[error("the origin is no key name: {0}")]
    Origin(KeyError),
    /// The size is not a decimal number up to [`MAX_SIZE`] without leading zeros.
    #[error("the size is not a decimal number up to {MAX_SIZE} without leading zeros")]
    Size,
    /// The root is not a hash, or not that of the empty tree where the size is 0.
    #[error("the root is not that of a tree of this size")]
    Root,
    /// A line is missing, or there is one more, and this log writes no extension lines.
    #[error("the checkpoint is not three lines: origin, size, root")]
    Lines,
    /// It is signed by a key that was not valid then.
    #[error("it is signed by a key that is not valid for a log of {size} records")]
    KeyNotValid {
        /// Of the checkpoint.
        size: u64,
    },
    /// The checkpoint is of one log and the key of another.
    #[error("the checkpoint is of another log than the key")]
    OtherLog,
}

/// The root of the first `size` records of the log `origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
}

impl Checkpoint {
    /// Checks the origin, the size and, where it is 0, the root.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        check_name(origin).map_err(CheckpointError::Origin)?;
        check_tree(size, &root)?;
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
        })
    }

    /// Which log it is: the name of its key.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Records covered.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of their tree.
    pub const fn root(&self) -> &Hash {
        &self.root
    }

    /// The text to be signed: three lines.
    pub fn encode(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Reads the text; accepts only what [`Checkpoint::encode`] writes.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let (checkpoint, extensions) = Self::parse_foreign(text)?;
        if !extensions.is_empty() {
            return Err(CheckpointError::Lines);
        }
        Self::new(&checkpoint.origin, checkpoint.size, checkpoint.root)
    }

    /// Reads the text of any log, whose origin may be any line (Go's has spaces), and returns the
    /// extension lines, each with its line feed.
    pub fn parse_foreign(text: &str) -> Result<(Self, &str), CheckpointError> {
        let (origin, rest) = text.split_once('\n').ok_or(CheckpointError::Lines)?;
        let (size, rest) = rest.split_once('\n').ok_or(CheckpointError::Lines)?;
        let (root, extensions) = rest.split_once('\n').ok_or(CheckpointError::Lines)?;
        // What follows is whole lines, and none of them is empty.
        let lines = extensions.strip_suffix('\n');
        let broken = lines.is_none_or(|lines| lines.split('\n').any(str::is_empty));
        if origin.is_empty() || (!extensions.is_empty() && broken) {
            return Err(CheckpointError::Lines);
        }
        let size = parse_decimal(size).ok_or(CheckpointError::Size)?;
        let root = Hash::from_base64(root).ok_or(CheckpointError::Root)?;
        check_tree(size, &root)?;
        Ok((
            Self {
                origin: origin.to_owned(),
                size,
                root,
            },
            extensions,
        ))
    }
}

fn check_tree(size: u64, root: &Hash) -> Result<(), CheckpointError> {
    if size > MAX_SIZE {
        return Err(CheckpointError::Size);
    }
    if size == 0 && *root != empty_root() {
        return Err(CheckpointError::Root);
    }
    Ok(())
}

/// A decimal number as this project writes it: no sign, no leading zeros.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// A checkpoint with signatures that nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: Note,
    checkpoint: Checkpoint,
}

impl SignedCheckpoint {
    /// Signs with the key of the log, whose name is the origin.
    pub fn sign(checkpoint: &Checkpoint, key: &SigningKey) -> Result<Self, CheckpointError> {
        if checkpoint.origin != key.name() {
            return Err(CheckpointError::OtherLog);
        }
        let text = checkpoint.encode();
        let signature = key.sign(&text);
        Ok(Self {
            note: Note::new(text, vec![signature])?,
            checkpoint: checkpoint.clone(),
        })
    }

    /// Reads a checkpoint of one of our logs: without extension lines.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(Self { note, checkpoint })
    }

    /// Reads a checkpoint of any log: with extension lines, which are signed and otherwise ignored.
    pub fn parse_foreign(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        let (checkpoint, _) = Checkpoint::parse_foreign(note.text())?;
        Ok(Self { note, checkpoint })
    }

    /// The same, signed by another key of that log too: what stands at a change of keys.
    pub fn and_by(&self, key: &SigningKey) -> Result<Self, CheckpointError> {
        if self.checkpoint.origin != key.name() {
            return Err(CheckpointError::OtherLog);
        }
        let text = self.note.text().to_owned();
        let mut signatures = self.note.signatures().to_vec();
        signatures.push(key.sign(&text));
        Ok(Self {
            note: Note::new(text, signatures)?,
            checkpoint: self.checkpoint.clone(),
        })
    }

    /// The checkpoint as it stands in a file.
    pub fn encode(&self) -> String {
        self.note.encode()
    }

    /// The same checkpoint with one more signature at its end.
    pub fn with_signature(&self, signature: Signature) -> Result<Self, CheckpointError> {
        Ok(Self {
            note: self.note.clone().with_signature(signature)?,
            checkpoint: self.checkpoint.clone(),
        })
    }

    /// The same checkpoint with these signatures and no others.
    pub fn with_only(&self, signatures: Vec<Signature>) -> Result<Self, CheckpointError> {
        Ok(Self {
            note: Note::new(self.note.text().to_owned(), signatures)?,
            checkpoint: self.checkpoint.clone(),
        })
    }

    /// The text and the signatures.
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// What is claimed; not to be believed before [`SignedCheckpoint::verify`].
    pub const fn unverified(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Checks that it is of the log with `key`, and signed by it.
    pub fn verify(&self, key: &VerifyingKey) -> Result<VerifiedCheckpoint, CheckpointError> {
        if self.checkpoint.origin != key.name() {
            return Err(CheckpointError::OtherLog);
        }
        self.note.verify(key)?;
        Ok(VerifiedCheckpoint(self.checkpoint.clone()))
    }

    /// Checks that `witness` cosigned it; returns when, in seconds since 1970 UTC.
    pub fn verify_witness(&self, witness: &WitnessKey) -> Result<u64, CheckpointError> {
        Ok(self.note.verify_witness(witness)?)
    }
}

/// A checkpoint that the log's key signed. Made by [`SignedCheckpoint::verify`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCheckpoint(Checkpoint);

impl VerifiedCheckpoint {
    /// The checkpoint.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.0
    }

    /// Records covered.
    pub const fn size(&self) -> u64 {
        self.0.size
    }

    /// The root of their tree.
    pub const fn root(&self) -> &Hash {
        &self.0.root
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merkle::leaf_hash;

    const ROOT: &str = "yKdfgzGw8IYzKqbubXol3bWsi9XFwQKf96QXUzWQF8o=";
    const EMPTY: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn texts() {
        use CheckpointError::{Lines, Origin, Root, Size};
        let name = Origin(KeyError::Name);
        let good = [
            format!("log\n3\n{ROOT}\n"),
            format!("log\n0\n{EMPTY}\n"),
            format!("log\n{MAX_SIZE}\n{ROOT}\n"),
        ];
        for text in &good {
            assert_eq!(Checkpoint::parse(text).unwrap().encode(), *text);
        }
        let cases = [
            (String::new(), Lines),
            ("log\n".to_owned(), Lines),
            ("log\n3\n".to_owned(), Lines),
            (format!("log\n3\n{ROOT}"), Lines),
            (format!("\n3\n{ROOT}\n"), Lines),
            (format!("go.sum database tree\n3\n{ROOT}\n"), name),
            (format!("log\n03\n{ROOT}\n"), Size),
            (format!("log\n00\n{EMPTY}\n"), Size),
            (format!("log\n+3\n{ROOT}\n"), Size),
            (format!("log\n-3\n{ROOT}\n"), Size),
            (format!("log\n\n{ROOT}\n"), Size),
            (format!("log\n3 \n{ROOT}\n"), Size),
            (format!("log\n\u{663}\n{ROOT}\n"), Size),
            (format!("log\n{}\n{ROOT}\n", MAX_SIZE + 1), Size),
            (format!("log\n18446744073709551616\n{ROOT}\n"), Size),
            (format!("log\n0\n{ROOT}\n"), Root),
            (format!("log\n3\n{}\n", ROOT.trim_end_matches('=')), Root),
            (format!("log\n3\n{}\n", ROOT.replace("8o=", "8p=")), Root),
            (format!("log\n3\n{ROOT} \n"), Root),
            ("log\n3\nAAAA\n".to_owned(), Root),
            (format!("log\n3\n{ROOT}\nextension\n"), Lines),
            (format!("log\n3\n{ROOT}\n\n"), Lines),
        ];
        for (text, error) in cases {
            assert_eq!(Checkpoint::parse(&text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn checkpoints_of_other_logs_may_say_more() {
        let text = format!("go.sum database tree\n3\n{ROOT}\none\ntwo\n");
        let (checkpoint, extensions) = Checkpoint::parse_foreign(&text).unwrap();
        assert_eq!(checkpoint.origin(), "go.sum database tree");
        assert_eq!((checkpoint.size(), extensions), (3, "one\ntwo\n"));
        for more in ["\n", "one\n\n", "\none\n", "one\n\ntwo\n", "one"] {
            let text = format!("log\n3\n{ROOT}\n{more}");
            assert_eq!(
                Checkpoint::parse_foreign(&text),
                Err(CheckpointError::Lines),
                "{more:?}"
            );
        }
        let key = SigningKey::generate("log", [1; 32]).unwrap();
        let text = format!("log\n3\n{ROOT}\none\n");
        let note = Note::new(text.clone(), vec![key.sign(&text)])
            .unwrap()
            .encode();
        assert_eq!(
            SignedCheckpoint::parse(note.as_bytes()),
            Err(CheckpointError::Lines)
        );
        let foreign = SignedCheckpoint::parse_foreign(note.as_bytes()).unwrap();
        assert_eq!(foreign.verify(key.verifying_key()).unwrap().size(), 3);
        assert_eq!(foreign.encode(), note);
    }

    #[test]
    fn only_the_key_of_the_log_is_believed() {
        let key = SigningKey::generate("log", [1; 32]).unwrap();
        let namesake = SigningKey::generate("log", [2; 32]).unwrap();
        let checkpoint = Checkpoint::new("log", 3, leaf_hash(b"")).unwrap();
        let signed = SignedCheckpoint::sign(&checkpoint, &key).unwrap();
        assert!(signed.verify(key.verifying_key()).is_ok());
        let unsigned = Err(CheckpointError::Note(NoteError::Unsigned));
        assert_eq!(signed.verify(namesake.verifying_key()), unsigned);

        let larger = Checkpoint::new("log", 4, leaf_hash(b"")).unwrap();
        let moved = Note::new(larger.encode(), signed.note().signatures().to_vec()).unwrap();
        let moved = SignedCheckpoint::parse(moved.encode().as_bytes()).unwrap();
        let bad = CheckpointError::Note(NoteError::BadSignature(KeyError::BadSignature));
        assert_eq!(moved.verify(key.verifying_key()), Err(bad));

        // A checkpoint of one log, signed by the key of another that is trusted too.
        let other = SigningKey::generate("other", [3; 32]).unwrap();
        let text = checkpoint.encode();
        let note = Note::new(text.clone(), vec![other.sign(&text)])
            .unwrap()
            .encode();
        let foreign = SignedCheckpoint::parse(note.as_bytes()).unwrap();
        assert_eq!(
            foreign.verify(other.verifying_key()),
            Err(CheckpointError::OtherLog)
        );
    }

    proptest! {
        #[test]
        fn parses_nothing_but_what_it_writes(
            text in prop_oneof![
                any::<String>(),
                "[a-z +]{0,3}\n[0-9]{0,20}\n[A-Za-z0-9+/]{42,43}=\n(x\n)?",
            ],
        ) {
            if let Ok(checkpoint) = Checkpoint::parse(&text) {
                prop_assert_eq!(checkpoint.encode(), text.as_str());
            }
            if let Ok((checkpoint, more)) = Checkpoint::parse_foreign(&text) {
                prop_assert_eq!(checkpoint.encode() + more, text);
            }
        }
    }
}
