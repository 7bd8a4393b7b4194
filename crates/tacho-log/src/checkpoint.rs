//! C2SP tlog-checkpoint: what a log says about itself, signed.

mod proof;

use thiserror::Error;

use crate::key::{KeyError, SigningKey, VerifyingKey, WitnessKey, check_name};
use crate::merkle::{Hash, MAX_SIZE, empty_root};
use crate::note::{Note, NoteError};

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
fn parse_decimal(text: &str) -> Option<u64> {
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

    /// The checkpoint as it stands in a file.
    pub fn encode(&self) -> String {
        self.note.encode()
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
