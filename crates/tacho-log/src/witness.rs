//! What a witness decides: C2SP tlog-witness as a pure function. Files, sockets and time are its caller's.

mod add_checkpoint;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::key::{CosigningKey, VerifyingKey, WitnessKey};
use crate::merkle::{Hash, verify_consistency};
use crate::note::Signature;

pub use add_checkpoint::{AddCheckpoint, AddCheckpointError, MAX_PROOF_LINES};

/// What a log is called in the paths of a witness: SHA-256 of its origin, in hex.
pub fn origin_hex(origin: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(origin).into();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A witness: its key and the logs that it knows.
#[derive(Debug)]
pub struct Witness {
    key: CosigningKey,
    /// Origin to the keys that may sign for it: more than one while a log changes its key.
    logs: BTreeMap<String, Vec<VerifyingKey>>,
}

/// What a witness remembers of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    note: SignedCheckpoint,
}

/// Why stored bytes are not what a witness remembers.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HeldError {
    /// Not a checkpoint, or not cosigned with the witness's own key.
    #[error("not a checkpoint that this witness cosigned: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Of another log than the one it was stored for.
    #[error("of another log than the one it was stored for")]
    OtherLog,
}

/// What a witness answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: after `held` is durable, and not before, the cosignature goes out.
    Cosigned {
        /// What the witness remembers from now on.
        held: Held,
        /// One signature line, with its line feed.
        line: String,
    },
    /// Everything else. Nothing is changed.
    Refused(Refusal),
}

/// Why a witness does not cosign. Each has its HTTP status.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// 404.
    #[error("this witness does not know a log of that origin")]
    UnknownOrigin,
    /// 403.
    #[error("no signature by a key that this witness knows for that origin")]
    NotSigned,
    /// 400.
    #[error("the old size is larger than the checkpoint's")]
    OldAboveSize,
    /// 409: the proof begins at another size than the one cosigned last, which it holds.
    #[error("this witness cosigned size {0} last")]
    Conflict(u64),
    /// 409: a checkpoint of that size was cosigned, and its root was another. The log has two histories.
    #[error("this witness cosigned another root at size {0}")]
    OtherRoot(u64),
    /// 422.
    #[error("the consistency proof does not hold")]
    BadProof,
}

impl Refusal {
    /// C2SP tlog-witness, "add-checkpoint".
    pub const fn status(self) -> u16 {
        match self {
            Self::UnknownOrigin => 404,
            Self::NotSigned => 403,
            Self::OldAboveSize => 400,
            Self::Conflict(_) | Self::OtherRoot(_) => 409,
            Self::BadProof => 422,
        }
    }
}

impl Witness {
    /// A witness for the logs with these keys.
    pub fn new(key: CosigningKey, logs: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let mut known: BTreeMap<String, Vec<VerifyingKey>> = BTreeMap::new();
        for log in logs {
            known.entry(log.name().to_owned()).or_default().push(log);
        }
        Self { key, logs: known }
    }

    /// What its cosignatures are checked with.
    pub const fn witness_key(&self) -> &WitnessKey {
        self.key.witness_key()
    }

    /// The origins of the logs that it knows.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.logs.keys().map(String::as_str)
    }

    /// Reads back what it remembers of the log `origin`. The log's own signature is not checked again:
    /// its key may be another by now, and the cosignature says that it was right.
    ///
    /// # Errors
    ///
    /// When these are not the bytes of [`Held::encode`]. A witness that goes on without its memory can
    /// be led back to an older history, so there is no going on.
    pub fn recall(&self, origin: &str, bytes: &[u8]) -> Result<Held, HeldError> {
        let note = SignedCheckpoint::parse_foreign(bytes)?;
        note.verify_witness(self.witness_key())?;
        if note.unverified().origin() != origin {
            return Err(HeldError::OtherLog);
        }
        Ok(Held { note })
    }

    /// Decides about a request. `held` is what is remembered of the log that the request is about, `now`
    /// seconds since 1970 UTC. Checking here and making [`Answer::Cosigned`]'s `held` durable must be one
    /// step for each log: no other request about it may be decided in between.
    pub fn judge(&self, request: &AddCheckpoint, held: Option<&Held>, now: u64) -> Answer {
        match self.check(request, held) {
            Ok(signatures) => self.cosign(request, signatures, now),
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    /// The signatures of the checkpoint that are by keys of its log, when all is right.
    fn check(
        &self,
        request: &AddCheckpoint,
        held: Option<&Held>,
    ) -> Result<Vec<Signature>, Refusal> {
        let checkpoint = request.checkpoint.unverified();
        let keys = self.logs.get(checkpoint.origin());
        let keys = keys.ok_or(Refusal::UnknownOrigin)?;
        let signed = |key: &&VerifyingKey| request.checkpoint.verify(key).is_ok();
        let signers: Vec<_> = keys.iter().filter(signed).collect();
        if signers.is_empty() {
            return Err(Refusal::NotSigned);
        }
        let (old, size) = (request.old, checkpoint.size());
        if old > size {
            return Err(Refusal::OldAboveSize);
        }
        let known = held.map_or(0, Held::size);
        if old != known {
            return Err(Refusal::Conflict(known));
        }
        match held {
            Some(held) if held.size() == size && held.root() != checkpoint.root() => {
                return Err(Refusal::OtherRoot(size));
            }
            Some(held) if held.size() > 0 => {
                verify_consistency(old, held.root(), size, checkpoint.root(), &request.proof)
                    .ok()
                    .ok_or(Refusal::BadProof)?;
            }
            // Nothing is consistent with everything, and needs no proof.
            _ if !request.proof.is_empty() => return Err(Refusal::BadProof),
            _ => {}
        }
        let signatures = request.checkpoint.note().signatures().iter();
        let by_log = |one: &&Signature| signers.iter().any(|key| key.signs(one));
        Ok(signatures.filter(by_log).cloned().collect())
    }

    fn cosign(&self, request: &AddCheckpoint, mut signatures: Vec<Signature>, now: u64) -> Answer {
        let text = request.checkpoint.note().text();
        let cosignature = self.key.cosign(text, now);
        let mut line = String::new();
        cosignature.write(&mut line);
        signatures.push(cosignature);
        // A note with fewer signatures than one that was parsed is a note; the type does not know it.
        match request.checkpoint.with_only(signatures) {
            Ok(note) => Answer::Cosigned {
                held: Held { note },
                line,
            },
            Err(_) => Answer::Refused(Refusal::NotSigned),
        }
    }
}

impl Held {
    /// Records covered.
    pub const fn size(&self) -> u64 {
        self.note.unverified().size()
    }

    /// The root of their tree.
    pub const fn root(&self) -> &Hash {
        self.note.unverified().root()
    }

    /// The checkpoint with the signatures of its log and the cosignature: what is stored, and served
    /// for reading.
    pub fn encode(&self) -> String {
        self.note.encode()
    }
}

#[cfg(test)]
mod tests;
