use thiserror::Error;

use super::{Hash, bag, complete_subtrees, empty_root};

/// Where the hashes of a tree are kept: tiles on disk, or memory.
pub trait HashSource {
    /// Why a hash could not be had.
    type Error;

    /// The root of the complete subtree `index` at `level`: the leaves `index << level` up to
    /// `(index + 1) << level`. Level 0 is the leaf. Asked only for subtrees inside the tree.
    fn hash(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

impl<S: HashSource + ?Sized> HashSource for &S {
    type Error = S::Error;

    fn hash(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        (**self).hash(level, index)
    }
}

/// Why there is no proof.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProveError<E> {
    /// A leaf that the tree does not have.
    #[error("leaf {index} is not in a tree of {size}")]
    NoSuchLeaf {
        /// Of the leaf, from 0.
        index: u64,
        /// Of the tree, in leaves.
        size: u64,
    },
    /// The tree that is to be consistent is larger than the one it should be a prefix of.
    #[error("a tree of {old} leaves is no prefix of a tree of {new}")]
    NoPrefix {
        /// Leaves of the first tree.
        old: u64,
        /// Leaves of the second tree.
        new: u64,
    },
    /// A hash could not be had.
    #[error("a hash of the tree could not be read: {0}")]
    Source(E),
}

/// The root of the first `size` leaves.
pub fn root_at<S: HashSource>(source: &S, size: u64) -> Result<Hash, S::Error> {
    range_hash(source, 0, size)
}

/// RFC 6962 §2.1.1: the siblings on the way from leaf `index` to the root of the first `size`
/// leaves, the leaf's own first.
pub fn inclusion_proof<S: HashSource>(
    source: &S,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    if index >= size {
        return Err(ProveError::NoSuchLeaf { index, size });
    }
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + left_half(end - start);
        let sibling = if index < middle {
            (middle, end)
        } else {
            (start, middle)
        };
        proof.push(range_hash(source, sibling.0, sibling.1).map_err(ProveError::Source)?);
        if index < middle {
            end = middle;
        } else {
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// RFC 6962 §2.1.2: proof that the first `old` leaves of the tree of `new` leaves are what they were.
/// Empty when `old` is `new`; also when it is 0, which [`super::verify_consistency`] refuses, because
/// nothing is proved.
pub fn consistency_proof<S: HashSource>(
    source: &S,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProveError<S::Error>> {
    if old > new {
        return Err(ProveError::NoPrefix { old, new });
    }
    let mut proof = Vec::new();
    if old == 0 {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, new);
    while old != end {
        let middle = start + left_half(end - start);
        let sibling = if old <= middle {
            (middle, end)
        } else {
            (start, middle)
        };
        proof.push(range_hash(source, sibling.0, sibling.1).map_err(ProveError::Source)?);
        if old <= middle {
            end = middle;
        } else {
            start = middle;
        }
    }
    // A verifier who has the old root has this subtree already when it is the whole old tree.
    if start != 0 {
        proof.push(range_hash(source, start, end).map_err(ProveError::Source)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The largest power of two smaller than `size`, which is at least 2: RFC 6962's k.
fn left_half(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root over the leaves from `start` up to `end`. `start` is a multiple of the smallest power of
/// two that is not smaller than their number, as every split of a tree has it.
fn range_hash<S: HashSource>(source: &S, start: u64, end: u64) -> Result<Hash, S::Error> {
    let peaks = complete_subtrees(end - start)
        .map(|(level, index)| source.hash(level, (start >> level) + index))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(bag(&peaks).unwrap_or_else(empty_root))
}
