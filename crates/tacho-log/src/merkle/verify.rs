use thiserror::Error;

use super::{Hash, empty_root, node_hash};

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// A leaf that the tree does not have.
    #[error("leaf {index} is not in a tree of {size}")]
    NoSuchLeaf {
        /// Of the leaf, from 0.
        index: u64,
        /// Of the tree, in leaves.
        size: u64,
    },
    /// The first tree is larger than the second.
    #[error("a tree of {old} leaves is no prefix of a tree of {new}")]
    NoPrefix {
        /// Leaves of the first tree.
        old: u64,
        /// Leaves of the second tree.
        new: u64,
    },
    /// Not a range of leaves that the tree has a single hash for.
    #[error("the leaves from {start} up to {end} are no subtree")]
    NoSubtree {
        /// First leaf.
        start: u64,
        /// One past the last leaf.
        end: u64,
    },
    /// There are fewer hashes than the sizes demand.
    #[error("the proof is too short")]
    TooShort,
    /// There are more hashes than the sizes demand.
    #[error("the proof is too long")]
    TooLong,
    /// The proof leads to another root than the smaller tree's.
    #[error("the proof does not lead to the first root")]
    WrongFirstRoot,
    /// The proof leads to another root.
    #[error("the proof does not lead to the root")]
    WrongRoot,
}

/// Checks that `leaf` is leaf `index` of the tree of `size` leaves with `root`: RFC 9162 §2.1.3.2.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::NoSuchLeaf { index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::TooLong);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A last node without a right sibling moves up until it is a right child. It is not 0:
            // it is odd, or it is `last`.
            let up = node.trailing_zeros();
            node >>= up;
            last >>= up;
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::TooShort);
    }
    if hash == *root {
        Ok(())
    } else {
        Err(ProofError::WrongRoot)
    }
}

/// Checks that the tree of `size1` leaves with `root1` is a prefix of the tree of `size2` leaves with
/// `root2`: RFC 9162 §2.1.4.2. Between equal sizes the proof is empty. A proof from the empty tree is
/// refused: every tree begins with it, so it would prove nothing about `root2`.
pub fn verify_consistency(
    size1: u64,
    root1: &Hash,
    size2: u64,
    root2: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if size1 == 0 {
        return Err(ProofError::NoSubtree { start: 0, end: 0 });
    }
    verify_subtree_consistency(0, size1, size2, root1, root2, proof)
}

/// Checks that `leaf` is leaf `index` of the tree, and lies in the subtree of the leaves from `start`
/// up to `end` with `root`: draft-ietf-plants-merkle-tree-certs §4.3.
pub fn verify_subtree_inclusion(
    index: u64,
    start: u64,
    end: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    check_subtree(start, end)?;
    if index < start || index >= end {
        return Err(ProofError::NoSuchLeaf { index, size: end });
    }
    verify_inclusion(index - start, end - start, leaf, proof, root)
}

/// Checks that the subtree of the leaves from `start` up to `end` with hash `subtree` is part of the
/// tree of `size` leaves with `root`: draft-ietf-plants-merkle-tree-certs §4.4. An empty subtree is part
/// of every tree, whatever its root.
pub fn verify_subtree_consistency(
    start: u64,
    end: u64,
    size: u64,
    subtree: &Hash,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if end > size {
        return Err(ProofError::NoPrefix {
            old: end,
            new: size,
        });
    }
    if start == end {
        return verify_empty_subtree(subtree, proof);
    }
    check_subtree(start, end)?;
    // First and last node of the subtree, last node of the tree, all at one level, which rises.
    let (mut first, mut node, mut last) = (start, end - 1, size - 1);
    // Up to where the proof starts: the subtree itself, or its last complete part.
    let whole = (first ^ node).checked_ilog2().map_or(0, |bit| bit + 1);
    let up = if node == last {
        whole
    } else {
        whole.min(node.trailing_ones())
    };
    (first, node, last) = (shift(first, up), shift(node, up), shift(last, up));

    let mut rest = proof.iter();
    let seed = if first == node {
        subtree
    } else {
        rest.next().ok_or(ProofError::TooShort)?
    };
    let (mut old, mut new) = (*seed, *seed);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::TooLong);
        }
        if node & 1 == 1 || node == last {
            if first < node {
                old = node_hash(sibling, &old);
            }
            new = node_hash(sibling, &new);
            let up = node.trailing_zeros();
            (first, node, last) = (shift(first, up), shift(node, up), shift(last, up));
        } else {
            new = node_hash(&new, sibling);
        }
        (first, node, last) = (first >> 1, node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(ProofError::TooShort);
    }
    if old != *subtree {
        return Err(ProofError::WrongFirstRoot);
    }
    if new == *root {
        Ok(())
    } else {
        Err(ProofError::WrongRoot)
    }
}

fn verify_empty_subtree(subtree: &Hash, proof: &[Hash]) -> Result<(), ProofError> {
    if !proof.is_empty() {
        return Err(ProofError::TooLong);
    }
    if *subtree == empty_root() {
        Ok(())
    } else {
        Err(ProofError::WrongFirstRoot)
    }
}

/// A subtree starts at a multiple of the smallest power of two that is not smaller than it.
fn check_subtree(start: u64, end: u64) -> Result<(), ProofError> {
    let leaves = end.checked_sub(start).filter(|leaves| *leaves > 0);
    let aligned = leaves
        .and_then(u64::checked_next_power_of_two)
        .is_some_and(|width| start.is_multiple_of(width))
        || (start == 0 && end > 0);
    if aligned {
        Ok(())
    } else {
        Err(ProofError::NoSubtree { start, end })
    }
}

/// A shift by 64, from the top level of the largest tree, leaves nothing.
fn shift(value: u64, by: u32) -> u64 {
    value.checked_shr(by).unwrap_or(0)
}
