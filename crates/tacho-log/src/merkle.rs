//! The Merkle tree of RFC 6962 §2.1 with SHA-256: hashes, the growing right edge, proofs.

mod frontier;
mod prove;
mod verify;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

pub use frontier::{Frontier, FrontierError};
pub use prove::{HashSource, ProveError, consistency_proof, inclusion_proof, root_at};
pub use verify::{
    ProofError, verify_consistency, verify_inclusion, verify_subtree_consistency,
    verify_subtree_inclusion,
};

/// Bytes in a [`struct@Hash`].
pub const HASH_BYTES: usize = 32;

/// The largest number of leaves: 2^63 - 1, so that a size fits the signed integers of other tools.
pub const MAX_SIZE: u64 = i64::MAX.unsigned_abs();

/// SHA-256 of a leaf, of a node, or of the empty tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; HASH_BYTES]);

impl Hash {
    /// From bytes that are a hash already.
    pub const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// The hash, as it stands in a tile.
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// From standard base64 with padding; `None` unless `text` is what [`fmt::Display`] writes.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

/// Standard base64 with padding: the form in checkpoints and proofs.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

/// The first four bytes in hex: enough to tell hashes apart in a failed test.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take(4) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}

/// The hash of one record: SHA-256(0x00 || record).
pub fn leaf_hash(record: &[u8]) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([0])
            .chain_update(record)
            .finalize()
            .into(),
    )
}

/// The hash over two subtrees: SHA-256(0x01 || left || right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([1])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// The root of a tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest(b"").into())
}

/// The level and the index of each complete subtree that a tree of `size` leaves falls into, left to
/// right: one for each bit set in `size`, the largest first.
pub fn complete_subtrees(size: u64) -> impl DoubleEndedIterator<Item = (u32, u64)> {
    (0..u64::BITS)
        .rev()
        .filter(move |level| size >> level & 1 == 1)
        .map(move |level| (level, (size >> level) - 1))
}

/// Bags the roots of the complete subtrees, left to right, into the root of the tree.
fn bag(peaks: &[Hash]) -> Option<Hash> {
    peaks
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| node_hash(&left, &right))
}

#[cfg(test)]
mod tests;
