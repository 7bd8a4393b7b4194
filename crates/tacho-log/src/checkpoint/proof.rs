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

/// The longest extra data, in base64: a proof stays a page, and an extra is for an identifier.
const MAX_EXTRA_BYTES: usize = 65_536;

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
        let checkpoint = self.checkpoint.verify(key)?;
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
