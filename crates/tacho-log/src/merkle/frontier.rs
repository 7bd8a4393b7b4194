use thiserror::Error;

use super::{Hash, HashSource, MAX_SIZE, bag, complete_subtrees, empty_root, node_hash};

/// The right edge of a growing tree: the roots of its complete subtrees, at most 64 hashes. All that
/// appending and computing the root need (a "compact range" that starts at 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Left to right; one for each bit set in `size`, the largest subtree first.
    peaks: Vec<Hash>,
}

/// Why hashes are no [`Frontier`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrontierError {
    /// The number of hashes is not that of the complete subtrees.
    #[error("a tree of {size} leaves has {expected} complete subtrees, not {got}")]
    WrongCount {
        /// Leaves.
        size: u64,
        /// Bits set in the size.
        expected: u32,
        /// Hashes given.
        got: usize,
    },
    /// More than [`MAX_SIZE`] leaves.
    #[error("a tree has at most {MAX_SIZE} leaves, not {0}")]
    TooLarge(u64),
}

impl Frontier {
    /// Of the empty tree.
    pub const fn new() -> Self {
        Self {
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// From the roots of the complete subtrees of a tree of `size` leaves, left to right, in the
    /// order of [`super::complete_subtrees`]. Whether they are the right ones only a root can tell.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Result<Self, FrontierError> {
        if size > MAX_SIZE {
            return Err(FrontierError::TooLarge(size));
        }
        let expected = size.count_ones();
        if usize::try_from(expected).ok() != Some(peaks.len()) {
            return Err(FrontierError::WrongCount {
                size,
                expected,
                got: peaks.len(),
            });
        }
        Ok(Self { size, peaks })
    }

    /// Of the first `size` leaves, at most [`MAX_SIZE`], of a stored tree.
    pub fn read<S: HashSource>(source: &S, size: u64) -> Result<Self, S::Error> {
        let size = size.min(MAX_SIZE);
        let peaks = complete_subtrees(size).map(|(level, index)| source.hash(level, index));
        Ok(Self {
            size,
            peaks: peaks.collect::<Result<_, _>>()?,
        })
    }

    /// Leaves so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, left to right.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends one leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _, _| {});
    }

    /// Appends one leaf and tells `completed` the level, index and hash of each subtree that is
    /// complete with it, the leaf itself (level 0) first: what tiles are made of.
    pub fn push_with(&mut self, leaf: Hash, mut completed: impl FnMut(u32, u64, &Hash)) {
        let index = self.size;
        let mut hash = leaf;
        completed(0, index, &hash);
        // Each one bit at the low end of the size is a complete subtree that finds its right half.
        for level in 1..=index.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            completed(level, index >> level, &hash);
        }
        self.peaks.push(hash);
        // From at most MAX_SIZE, one at a time, nobody reaches u64::MAX.
        self.size = index.saturating_add(1);
    }

    /// The root of the tree: RFC 6962 §2.1 MTH.
    pub fn root(&self) -> Hash {
        bag(&self.peaks).unwrap_or_else(empty_root)
    }
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}
