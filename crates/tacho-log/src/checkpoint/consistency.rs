use thiserror::Error;

use super::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint};
use crate::key::VerifyingKey;
use crate::merkle::{Hash, MAX_SIZE, ProofError, verify_consistency};
use crate::witness::{AddCheckpoint, AddCheckpointError, MAX_PROOF_LINES};

/// Proof, in one file, that a log of an older size is the beginning of what a checkpoint covers: the body
/// of C2SP tlog-witness `add-checkpoint` (`docs/format.md` §12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof(AddCheckpoint);

/// Why a file is no proof, or proves nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConsistencyProofError {
    /// Not in the layout of a proof.
    #[error(
        "not in the layout of a proof of consistency: old SIZE, hashes, an empty line, a checkpoint"
    )]
    Malformed,
    /// The checkpoint in it.
    #[error("the checkpoint of the proof: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// It begins at another size than the checkpoint that was kept.
    #[error("the proof begins at {proof} records, and the checkpoint that was kept covers {kept}")]
    OtherSize {
        /// The size in the proof.
        proof: u64,
        /// The size of the checkpoint.
        kept: u64,
    },
    /// The checkpoint that was kept is of another log.
    #[error("the checkpoint that was kept is of another log")]
    OtherLog,
    /// The hashes do not lead to both roots.
    #[error("the hashes of the proof: {0}")]
    Proof(#[from] ProofError),
}

impl ConsistencyProof {
    /// The proof from `old` records on, with the hashes of [`crate::merkle::consistency_proof`] up to the
    /// size of the checkpoint.
    pub fn new(
        old: u64,
        hashes: Vec<Hash>,
        checkpoint: SignedCheckpoint,
    ) -> Result<Self, ConsistencyProofError> {
        if hashes.len() > MAX_PROOF_LINES {
            return Err(ConsistencyProofError::Malformed);
        }
        Self::of(AddCheckpoint {
            old,
            proof: hashes,
            checkpoint,
        })
    }

    /// Reads a proof; accepts only what [`ConsistencyProof::encode`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConsistencyProofError> {
        match AddCheckpoint::parse(bytes) {
            Ok(request) => Self::of(request),
            Err(AddCheckpointError::Checkpoint(error)) => Err(error.into()),
            Err(
                AddCheckpointError::TooLong
                | AddCheckpointError::Old
                | AddCheckpointError::Proof(_)
                | AddCheckpointError::Layout,
            ) => Err(ConsistencyProofError::Malformed),
        }
    }

    fn of(request: AddCheckpoint) -> Result<Self, ConsistencyProofError> {
        if request.old > MAX_SIZE {
            return Err(ConsistencyProofError::Malformed);
        }
        Ok(Self(request))
    }

    /// The proof as it stands in a file.
    pub fn encode(&self) -> String {
        self.0.encode()
    }

    /// The size that it begins at.
    pub const fn old(&self) -> u64 {
        self.0.old
    }

    /// What RFC 6962 §2.1.2 says.
    pub fn hashes(&self) -> &[Hash] {
        &self.0.proof
    }

    /// The checkpoint that it leads to.
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.0.checkpoint
    }

    /// Checks that the log with `key` still begins with what `kept` covers, and returns what it covers now.
    pub fn verify(
        &self,
        kept: &VerifiedCheckpoint,
        key: &VerifyingKey,
    ) -> Result<VerifiedCheckpoint, ConsistencyProofError> {
        self.verify_by(kept, |signed| signed.verify(key))
    }

    /// The same by whatever says which keys are to be believed.
    pub fn verify_by(
        &self,
        kept: &VerifiedCheckpoint,
        believed: impl FnOnce(&SignedCheckpoint) -> Result<VerifiedCheckpoint, CheckpointError>,
    ) -> Result<VerifiedCheckpoint, ConsistencyProofError> {
        let checkpoint = believed(&self.0.checkpoint)?;
        if kept.checkpoint().origin() != checkpoint.checkpoint().origin() {
            return Err(ConsistencyProofError::OtherLog);
        }
        if self.0.old != kept.size() {
            return Err(ConsistencyProofError::OtherSize {
                proof: self.0.old,
                kept: kept.size(),
            });
        }
        verify_consistency(
            self.0.old,
            kept.root(),
            checkpoint.size(),
            checkpoint.root(),
            &self.0.proof,
        )?;
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::key::SigningKey;
    use crate::merkle::{Frontier, leaf_hash, node_hash};

    fn key() -> SigningKey {
        SigningKey::generate("log", [1; 32]).unwrap()
    }

    fn leaf(n: u8) -> Hash {
        leaf_hash(&[n])
    }

    fn signed(size: u8) -> SignedCheckpoint {
        let mut tree = Frontier::new();
        (0..size).for_each(|n| tree.push(leaf(n)));
        let checkpoint = Checkpoint::new("log", size.into(), tree.root()).unwrap();
        SignedCheckpoint::sign(&checkpoint, &key()).unwrap()
    }

    fn kept(size: u8) -> VerifiedCheckpoint {
        signed(size).verify(key().verifying_key()).unwrap()
    }

    /// From two leaves to three.
    fn proof() -> ConsistencyProof {
        ConsistencyProof::new(2, vec![leaf(2)], signed(3)).unwrap()
    }

    #[test]
    fn what_a_proof_proves() {
        use ConsistencyProofError::{OtherSize, Proof};
        let key = key();
        let check = |proof: &ConsistencyProof, size| {
            proof
                .verify(&kept(size), key.verifying_key())
                .map(|now| now.size())
        };
        assert_eq!(check(&proof(), 2), Ok(3));
        assert_eq!(check(&proof(), 1), Err(OtherSize { proof: 2, kept: 1 }));
        let same = ConsistencyProof::new(3, Vec::new(), signed(3)).unwrap();
        assert_eq!(check(&same, 3), Ok(3));
        for (old, hashes, new, kept, error) in [
            (2, vec![], 3, 2, ProofError::TooShort),
            (2, vec![leaf(2), leaf(3)], 3, 2, ProofError::TooLong),
            (2, vec![leaf(1)], 3, 2, ProofError::WrongRoot),
            (3, vec![leaf(0)], 3, 3, ProofError::TooLong),
            (4, vec![], 3, 4, ProofError::NoPrefix { old: 4, new: 3 }),
            (0, vec![], 3, 0, ProofError::NoSubtree { start: 0, end: 0 }),
        ] {
            let proof = ConsistencyProof::new(old, hashes, signed(new)).unwrap();
            assert_eq!(check(&proof, kept), Err(Proof(error)), "{old} to {new}");
        }
        // The kept checkpoint is of another history of the same log.
        let root = node_hash(&leaf(1), &leaf(0));
        let fork = Checkpoint::new("log", 2, root).unwrap();
        let fork = SignedCheckpoint::sign(&fork, &key).unwrap();
        let fork = fork.verify(key.verifying_key()).unwrap();
        let wrong = Err(Proof(ProofError::WrongRoot));
        assert_eq!(proof().verify(&fork, key.verifying_key()), wrong);
    }

    #[test]
    fn one_changed_bit_anywhere() {
        let bytes = proof().encode().into_bytes();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut broken = bytes.clone();
                broken[at] ^= 1 << bit;
                let believed = ConsistencyProof::parse(&broken)
                    .and_then(|proof| proof.verify(&kept(2), key().verifying_key()));
                assert!(believed.is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn layouts() {
        let good = proof().encode();
        assert_eq!(ConsistencyProof::parse(good.as_bytes()), Ok(proof()));
        let hash = format!("{}\n", leaf(2));
        for bad in [
            String::new(),
            good.replace("old 2", "old 02"),
            good.replace("old 2", "old -2"),
            good.replace("old 2", "index 2"),
            good.replace("old 2\n", ""),
            good.replace("old 2\n", "old 9223372036854775808\n"),
            good.replace(&hash, &hash.repeat(64)),
            good.replace(&hash, "AAAA\n"),
            good.replace(&hash, "\n"),
            good.replacen('\n', "\r\n", 1),
        ] {
            assert!(ConsistencyProof::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(ConsistencyProof::parse(good.replace(&hash, &hash.repeat(63)).as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn parses_nothing_but_what_it_writes(
            at in any::<prop::sample::Index>(),
            with in any::<Vec<u8>>(),
        ) {
            let mut bytes = proof().encode().into_bytes();
            let at = at.index(bytes.len());
            bytes.splice(at..(at + with.len() / 2).min(bytes.len()), with);
            if let Ok(proof) = ConsistencyProof::parse(&bytes) {
                prop_assert_eq!(proof.encode().into_bytes(), bytes);
            }
        }
    }
}
