use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint, parse_decimal};
use crate::key::VerifyingKey;
use crate::merkle::{Hash, ProofError, leaf_hash, verify_inclusion};
use crate::note::MAX_NOTE_BYTES;

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The most hashes: the height of the largest tree.
const MAX_HASHES: usize = 63;

/// The longest extra data, in base64: a record of the greatest length.
const MAX_EXTRA_BYTES: usize = 87_380;

/// Proof, in one file, that a record is in a log: C2SP tlog-proof v1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    extra: Option<Vec<u8>>,
    index: u64,
    hashes: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

/// Why a file is no proof, or proves nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TlogProofError {
    /// Not in the layout of a proof.
    #[error("not in the layout of a {HEADER} file")]
    Malformed,
    /// The checkpoint in it.
    #[error("the checkpoint of the proof: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The hashes do not lead from the record to the root.
    #[error("the hashes of the proof: {0}")]
    Proof(#[from] ProofError),
}

impl TlogProof {
    /// The proof of record `index`, with the hashes of [`crate::merkle::inclusion_proof`] at the size
    /// of the checkpoint.
    pub fn new(
        index: u64,
        hashes: Vec<Hash>,
        checkpoint: SignedCheckpoint,
    ) -> Result<Self, TlogProofError> {
        let proof = Self {
            extra: None,
            index,
            hashes,
            checkpoint,
        };
        if proof.hashes.len() > MAX_HASHES {
            Err(TlogProofError::Malformed)
        } else {
            Ok(proof)
        }
    }

    /// The same with something for whoever reads it: the record that it is about.
    #[must_use]
    pub fn with_extra(self, extra: Vec<u8>) -> Self {
        Self {
            extra: Some(extra),
            ..self
        }
    }

    /// Reads a proof; accepts only what [`TlogProof::encode`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(TlogProofError::Malformed);
        }
        Self::parse_text(bytes).unwrap_or(Err(TlogProofError::Malformed))
    }

    fn parse_text(bytes: &[u8]) -> Option<Result<Self, TlogProofError>> {
        let text = std::str::from_utf8(bytes).ok()?;
        let text = text.strip_prefix(HEADER)?.strip_prefix('\n')?;
        let (head, checkpoint) = text.split_once("\n\n")?;
        let mut lines = head.split('\n').peekable();
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = match extra.and_then(|line| line.strip_prefix("extra ")) {
            Some(base64) if base64.len() > MAX_EXTRA_BYTES => return None,
            Some(base64) => Some(STANDARD.decode(base64).ok()?),
            None => None,
        };
        let index = parse_decimal(lines.next()?.strip_prefix("index ")?)?;
        let hashes = lines
            .map(Hash::from_base64)
            .take(MAX_HASHES + 1)
            .collect::<Option<Vec<_>>>()?;
        if hashes.len() > MAX_HASHES {
            return None;
        }
        let checkpoint = SignedCheckpoint::parse_foreign(checkpoint.as_bytes());
        let checkpoint = checkpoint.map_err(TlogProofError::Checkpoint);
        Some(checkpoint.map(|checkpoint| Self {
            extra,
            index,
            hashes,
            checkpoint,
        }))
    }

    /// The proof as it stands in a file.
    pub fn encode(&self) -> String {
        let mut out = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            out.push_str(&format!("extra {}\n", STANDARD.encode(extra)));
        }
        out.push_str(&format!("index {}\n", self.index));
        for hash in &self.hashes {
            out.push_str(&format!("{hash}\n"));
        }
        out.push('\n');
        out.push_str(&self.checkpoint.encode());
        out
    }

    /// Position of the record in the log.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The siblings on the way to the root, the leaf's own first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// What the maker of the proof added; signed by nobody.
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// The checkpoint that the proof leads to.
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Checks that `record` is record [`TlogProof::index`] of the log with `key`.
    pub fn verify(
        &self,
        record: &[u8],
        key: &VerifyingKey,
    ) -> Result<VerifiedCheckpoint, TlogProofError> {
        self.verify_by(record, |signed| signed.verify(key))
    }

    /// The same by whatever says which keys are to be believed.
    pub fn verify_by(
        &self,
        record: &[u8],
        believed: impl FnOnce(&SignedCheckpoint) -> Result<VerifiedCheckpoint, CheckpointError>,
    ) -> Result<VerifiedCheckpoint, TlogProofError> {
        let checkpoint = believed(&self.checkpoint)?;
        let leaf = leaf_hash(record);
        verify_inclusion(
            self.index,
            checkpoint.size(),
            &leaf,
            &self.hashes,
            checkpoint.root(),
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

    fn proof() -> (SigningKey, String) {
        let key = SigningKey::generate("log", [1; 32]).unwrap();
        let checkpoint = Checkpoint::new("log", 1, leaf_hash(b"record")).unwrap();
        let signed = SignedCheckpoint::sign(&checkpoint, &key).unwrap();
        (key, TlogProof::new(0, Vec::new(), signed).unwrap().encode())
    }

    #[test]
    fn layouts() {
        let (key, good) = proof();
        let parsed = TlogProof::parse(good.as_bytes()).unwrap();
        assert!(parsed.verify(b"record", key.verifying_key()).is_ok());
        let wrong = TlogProofError::Proof(ProofError::WrongRoot);
        assert_eq!(parsed.verify(b"Record", key.verifying_key()), Err(wrong));

        let extra = good.replace("index 0", "extra aGk=\nindex 0");
        let parsed = TlogProof::parse(extra.as_bytes()).unwrap();
        assert_eq!(
            (parsed.extra(), parsed.encode()),
            (Some(b"hi".as_slice()), extra.clone())
        );

        let hash = format!("{}\n", leaf_hash(b""));
        let long = good.replace("index 0\n", &format!("index 0\n{}", hash.repeat(63)));
        let parsed = TlogProof::parse(long.as_bytes()).unwrap();
        let long = TlogProofError::Proof(ProofError::TooLong);
        assert_eq!(parsed.verify(b"record", key.verifying_key()), Err(long));

        for bad in [
            String::new(),
            good.replace("@v1", "@v2"),
            good.replace("index 0", "index 00"),
            good.replace("index 0", "index +0"),
            good.replace("index 0", "index"),
            good.replace("index 0\n", ""),
            good.replace("index 0", "index 0\nextra aGk="),
            extra.replace("aGk=", "aGk"),
            extra.replace("aGk=", "aGl="),
            extra.replace("aGk=", &"AAAA".repeat(MAX_EXTRA_BYTES / 4 + 1)),
            extra.replace("extra aGk=", "extra aGk=\nextra aGk="),
            good.replace("index 0\n", &format!("index 0\n{}", hash.repeat(64))),
            good.replace("index 0\n", "index 0\nAAAA\n"),
            good.replacen('\n', "\r\n", 1),
        ] {
            assert_eq!(
                TlogProof::parse(bad.as_bytes()),
                Err(TlogProofError::Malformed),
                "{bad}"
            );
        }
        let cut = good.trim_end();
        assert!(matches!(
            TlogProof::parse(cut.as_bytes()),
            Err(TlogProofError::Checkpoint(_))
        ));
    }

    proptest! {
        #[test]
        fn parses_nothing_but_what_it_writes(
            at in any::<prop::sample::Index>(),
            with in any::<Vec<u8>>(),
        ) {
            let mut bytes = proof().1.into_bytes();
            let at = at.index(bytes.len());
            bytes.splice(at..(at + with.len() / 2).min(bytes.len()), with);
            if let Ok(proof) = TlogProof::parse(&bytes) {
                prop_assert_eq!(proof.encode().into_bytes(), bytes);
            }
        }
    }
}
