//! A tree in memory, and proofs from it by our prover.

use std::convert::Infallible;

use tacho_log::merkle::{
    Hash, HashSource, consistency_proof, inclusion_proof, leaf_hash, node_hash, root_at,
};

use crate::{Consistency, Inclusion};

/// The record at a place.
pub fn record(index: u64) -> Vec<u8> {
    format!("record {index}").into_bytes()
}

/// The complete subtrees over some leaves, by level. Proofs can be made for every size up to theirs.
#[derive(Debug)]
pub struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Over the records from 0 on.
    pub fn new(size: u64) -> Self {
        let mut levels = Vec::new();
        let mut level: Vec<Hash> = (0..size).map(|index| leaf_hash(&record(index))).collect();
        while !level.is_empty() {
            let pairs = level.as_chunks::<2>().0;
            let above = pairs.iter().map(|[left, right]| node_hash(left, right));
            let above = above.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        Self { levels }
    }

    /// Of the first `size` leaves.
    pub fn root(&self, size: u64) -> Hash {
        let Ok(root) = root_at(self, size);
        root
    }

    /// Proves that leaf `index` is among the first `size`.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn inclusion(&self, index: u64, size: u64) -> Inclusion {
        Inclusion {
            record: record(index),
            index,
            size,
            hashes: inclusion_proof(self, index, size).expect("a leaf of the tree"),
            root: self.root(size),
        }
    }

    /// Proves that the first `new` leaves begin with the first `old`.
    ///
    /// # Panics
    ///
    /// When `old` is larger than `new`.
    pub fn consistency(&self, old: u64, new: u64) -> Consistency {
        Consistency {
            old,
            old_root: self.root(old),
            new,
            new_root: self.root(new),
            hashes: consistency_proof(self, old, new).expect("a prefix of the tree"),
        }
    }
}

impl HashSource for Tree {
    type Error = Infallible;

    fn hash(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
        let at = |number: u64| usize::try_from(number).expect("a tree in memory");
        Ok(self.levels[at(level.into())][at(index)])
    }
}
