//! Checks a proof without a log: what a stranger does who holds only a key (`docs/format.md` §12). No
//! part of the file is left unchecked, save what the result counts as such.

use thiserror::Error;

use crate::checkpoint::{
    CheckpointError, ConsistencyProof, ConsistencyProofError, SignedCheckpoint, TlogProof,
    TlogProofError, VerifiedCheckpoint,
};
use crate::segment::LineHead;
use crate::verify::KeyPolicy;

/// What a checker has besides the proof and the key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// The record that the proof is about, without its line feed. Needed where the proof does not bring it.
    pub record: Option<&'a [u8]>,
    /// A checkpoint of this log that was kept, as it stands in a file. Needed for a proof of consistency.
    pub kept: Option<&'a [u8]>,
}

/// What a good proof proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The checkpoint that the log's key signed.
    pub checkpoint: VerifiedCheckpoint,
    /// What is proved of it.
    pub what: Statement,
    /// Signatures on the checkpoint by others than the keys given, such as witnesses: nothing is known of them.
    pub unchecked_signatures: usize,
}

/// What a proof says of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// The record stands at this position in it.
    Inclusion {
        /// From 0.
        index: u64,
        /// Its bytes.
        record: Vec<u8>,
    },
    /// It begins with what the checkpoint that was kept covers.
    Consistency {
        /// Records under that checkpoint.
        old: u64,
    },
}

/// Why nothing is proved.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OfflineError {
    /// The proof that a record is in a log.
    #[error(transparent)]
    Inclusion(#[from] TlogProofError),
    /// The proof that a log begins with another.
    #[error(transparent)]
    Consistency(#[from] ConsistencyProofError),
    /// The proof does not bring the record, and it was not given.
    #[error("the proof does not bring the record that it is about")]
    NoRecord,
    /// The proof brings another record than the one that was given.
    #[error("the record in the proof is not the one that was given")]
    OtherRecord,
    /// What stands there is no record of that position, whatever the hashes say.
    #[error("what is proved to be at position {index} is no record with that seq")]
    NotARecord {
        /// From 0.
        index: u64,
    },
    /// Consistency is with something.
    #[error(
        "a proof of consistency is checked against a checkpoint that was kept, and there is none"
    )]
    NothingKept,
    /// A proof of consistency is not about a record.
    #[error("a proof of consistency is not about a record")]
    RecordGiven,
    /// The checkpoint that was kept is none, or not signed by the key.
    #[error("the checkpoint that was kept is unusable: {0}")]
    Kept(CheckpointError),
    /// A proof of inclusion can be compared only with a checkpoint of its own size.
    #[error("the checkpoint that was kept covers {kept} records, the one in the proof {proof}")]
    KeptOtherSize {
        /// Records under the checkpoint that was kept.
        kept: u64,
        /// Records under the one in the proof.
        proof: u64,
    },
    /// The key signed two roots for one size.
    #[error("the checkpoint that was kept covers other records: there are two histories")]
    TwoHistories,
}

/// Checks a proof of either kind by the keys of the log that are to be believed.
///
/// # Errors
///
/// Whatever keeps the proof from proving something; with [`OfflineError::NoRecord`],
/// [`OfflineError::NothingKept`], [`OfflineError::RecordGiven`], [`OfflineError::Kept`] and
/// [`OfflineError::KeptOtherSize`] it is what was given beside it.
pub fn verify_proof(
    proof: &[u8],
    keys: &KeyPolicy,
    beside: Beside<'_>,
) -> Result<Proved, OfflineError> {
    let kept = beside
        .kept
        .map(|note| SignedCheckpoint::parse(note).and_then(|signed| keys.verify(&signed)))
        .transpose()
        .map_err(OfflineError::Kept)?;
    if proof.starts_with(b"old ") {
        consistency(proof, keys, kept.as_ref(), beside.record)
    } else {
        inclusion(proof, keys, kept.as_ref(), beside.record)
    }
}

fn consistency(
    proof: &[u8],
    keys: &KeyPolicy,
    kept: Option<&VerifiedCheckpoint>,
    record: Option<&[u8]>,
) -> Result<Proved, OfflineError> {
    let proof = ConsistencyProof::parse(proof)?;
    if record.is_some() {
        return Err(OfflineError::RecordGiven);
    }
    let checkpoint = proof.verify_by(kept.ok_or(OfflineError::NothingKept)?, |signed| {
        keys.verify(signed)
    })?;
    Ok(Proved {
        checkpoint,
        what: Statement::Consistency { old: proof.old() },
        unchecked_signatures: unchecked(proof.checkpoint(), keys),
    })
}

fn inclusion(
    proof: &[u8],
    keys: &KeyPolicy,
    kept: Option<&VerifiedCheckpoint>,
    record: Option<&[u8]>,
) -> Result<Proved, OfflineError> {
    let proof = TlogProof::parse(proof)?;
    let record = match (record, proof.extra()) {
        (Some(given), Some(brought)) if given != brought => return Err(OfflineError::OtherRecord),
        (given, brought) => given.or(brought).ok_or(OfflineError::NoRecord)?,
    };
    let checkpoint = proof.verify_by(record, |signed| keys.verify(signed))?;
    let index = proof.index();
    // A key that signs whatever it is given is no reason to believe in a record of another place.
    if LineHead::parse(record).is_none_or(|head| head.seq != index) {
        return Err(OfflineError::NotARecord { index });
    }
    if let Some(kept) = kept {
        let (kept_size, size) = (kept.size(), checkpoint.size());
        if kept_size != size {
            return Err(OfflineError::KeptOtherSize {
                kept: kept_size,
                proof: size,
            });
        }
        if kept.root() != checkpoint.root() {
            return Err(OfflineError::TwoHistories);
        }
    }
    Ok(Proved {
        checkpoint,
        what: Statement::Inclusion {
            index,
            record: record.to_vec(),
        },
        unchecked_signatures: unchecked(proof.checkpoint(), keys),
    })
}

fn unchecked(checkpoint: &SignedCheckpoint, keys: &KeyPolicy) -> usize {
    let of_ours = |signature| keys.keys().iter().any(|entry| entry.key.signs(signature));
    let signatures = checkpoint.note().signatures().iter();
    signatures.filter(|signature| !of_ours(signature)).count()
}
