//! Changes of the log's key (`docs/format.md` §7): each is proved by a file that the key before it and the
//! key after it have signed, so that whoever trusts one of them learns about the other.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::checkpoint::{SignedCheckpoint, TlogProof, TlogProofError};
use crate::dir::LogDir;
use crate::disk::{Disk, read_limited};
use crate::key::{KeyError, VerifyingKey};
use crate::limits::{NOTE_BYTES, ROTATIONS};

/// What the file names end with.
const SUFFIX: &str = ".tlog-proof";

/// One change of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    proof: TlogProof,
    old: VerifyingKey,
    new: VerifyingKey,
}

/// Why a file proves no change of a key.
#[derive(Debug, Error)]
pub enum RotationError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is no proof, or it proves nothing.
    #[error(transparent)]
    Proof(#[from] TlogProofError),
    /// One of its keys.
    #[error("a key in it: {0}")]
    Key(#[from] KeyError),
    /// The record in it is not the last one under the checkpoint, or not a `key_rotated` record.
    #[error("the record in it is not the key_rotated record that its checkpoint ends with")]
    Record,
    /// There are more of them than a log has.
    #[error("there are more than {ROTATIONS} of them")]
    TooMany,
}

#[derive(Deserialize)]
struct RotatedRecord {
    seq: u64,
    #[serde(rename = "type")]
    kind: String,
    details: Details,
}

#[derive(Deserialize)]
struct Details {
    keys: Keys,
}

#[derive(Deserialize)]
struct Keys {
    old: String,
    new: String,
}

impl Rotation {
    /// Reads and checks one: both keys have signed the checkpoint, and it ends with the record that names
    /// them. Whether one of the keys is to be trusted is for the caller to know.
    ///
    /// # Errors
    ///
    /// When anything of that is not so.
    pub fn parse(bytes: &[u8]) -> Result<Self, RotationError> {
        let proof = TlogProof::parse(bytes)?;
        let record = proof.extra().ok_or(RotationError::Record)?;
        let rotated: RotatedRecord = serde_json::from_slice(record)
            .ok()
            .ok_or(RotationError::Record)?;
        let size = proof.checkpoint().unverified().size();
        let last = proof.index().checked_add(1) == Some(size) && rotated.seq == proof.index();
        if rotated.kind != "key_rotated" || !last {
            return Err(RotationError::Record);
        }
        let old = VerifyingKey::parse(&rotated.details.keys.old)?;
        let new = VerifyingKey::parse(&rotated.details.keys.new)?;
        for key in [&old, &new] {
            proof.verify(record, key)?;
        }
        Ok(Self { proof, old, new })
    }

    /// The records under the checkpoint that both keys have signed.
    pub fn size(&self) -> u64 {
        self.checkpoint().unverified().size()
    }

    /// That checkpoint.
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        self.proof.checkpoint()
    }

    /// The key that was retired.
    pub const fn old(&self) -> &VerifyingKey {
        &self.old
    }

    /// The key that took over.
    pub const fn new_key(&self) -> &VerifyingKey {
        &self.new
    }
}

/// Where the proof of the change at `size` records is.
pub(crate) fn path(dir: &Path, size: u64) -> PathBuf {
    dir.join(format!("{size}{SUFFIX}"))
}

/// A file among the rotations: its name below the log's directory, and what it proves.
pub type RotationFile = (String, Result<Rotation, RotationError>);

/// The changes of a log's key, the oldest first; files that prove nothing too.
///
/// # Errors
///
/// When the directory cannot be read, or has more files than a log has changes.
pub fn rotations(disk: &dyn Disk, log: &LogDir) -> Result<Vec<RotationFile>, RotationError> {
    let dir = log.rotations();
    let names = match disk.list(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let mut sizes: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_suffix(SUFFIX)?.parse().ok())
        .collect();
    sizes.sort_unstable();
    if sizes.len() > ROTATIONS {
        return Err(RotationError::TooMany);
    }
    let read = |size: u64| {
        let rotation = Rotation::parse(&read_limited(disk, &path(&dir, size), NOTE_BYTES)?)?;
        // The name is how the newest is found, so it has to be right.
        if rotation.size() == size {
            Ok(rotation)
        } else {
            Err(RotationError::Record)
        }
    };
    Ok(sizes
        .into_iter()
        .map(|size| (format!("rotations/{size}{SUFFIX}"), read(size)))
        .collect())
}
