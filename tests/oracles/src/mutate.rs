//! What a forger, or a mistake, could make of a proof.

use tacho_log::merkle::{HASH_BYTES, Hash, MAX_SIZE, empty_root, leaf_hash};

use crate::{Consistency, Inclusion};

impl Inclusion {
    /// The same claim with other hashes, another record, or another root: never true.
    pub fn forged(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for hashes in forged_hashes(&self.hashes) {
            all.push(Self {
                hashes,
                ..self.clone()
            });
        }
        for root in other_hashes(&self.root) {
            all.push(Self {
                root,
                ..self.clone()
            });
        }
        let mut other = self.clone();
        other.record.push(b'!');
        all.push(other);
        all
    }

    /// The same hashes for another place, or for a tree of another size. A root does not say how large its tree
    /// is, so some of these hold.
    pub fn elsewhere(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for index in around(self.index) {
            for size in around(self.size) {
                all.push(Self {
                    index,
                    size,
                    ..self.clone()
                });
            }
        }
        all
    }
}

impl Consistency {
    /// The same claim with other hashes, or another root: never true.
    pub fn forged(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for hashes in forged_hashes(&self.hashes) {
            all.push(Self {
                hashes,
                ..self.clone()
            });
        }
        for old_root in other_hashes(&self.old_root) {
            all.push(Self {
                old_root,
                ..self.clone()
            });
        }
        for new_root in other_hashes(&self.new_root) {
            all.push(Self {
                new_root,
                ..self.clone()
            });
        }
        all
    }

    /// The same hashes for trees of other sizes, for no older tree at all, and the wrong way round. A root does
    /// not say how large its tree is, so some of these hold.
    pub fn elsewhere(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for old in around(self.old) {
            for new in around(self.new) {
                let sizes = Self {
                    old,
                    new,
                    ..self.clone()
                };
                all.push(sizes.turned_round());
                all.push(Self {
                    hashes: Vec::new(),
                    ..sizes.clone()
                });
                all.push(Self {
                    old_root: empty_root(),
                    hashes: Vec::new(),
                    ..sizes.clone()
                });
                all.push(Self {
                    old_root: self.new_root,
                    new_root: self.old_root,
                    ..sizes.clone()
                });
                all.push(sizes);
            }
        }
        all
    }

    fn turned_round(&self) -> Self {
        Self {
            old: self.new,
            old_root: self.new_root,
            new: self.old,
            new_root: self.old_root,
            hashes: self.hashes.clone(),
        }
    }
}

/// A number and its neighbours, nothing, and the largest size that a checkpoint can have.
fn around(number: u64) -> Vec<u64> {
    let mut all = vec![0, number, number + 1, MAX_SIZE];
    all.extend(number.checked_sub(1));
    all.sort_unstable();
    all.dedup();
    all
}

fn other_hashes(hash: &Hash) -> [Hash; 2] {
    [flipped(hash, 0), flipped(hash, HASH_BYTES - 1)]
}

/// Each hash changed, removed, doubled, and swapped with each other one; one more at either end; all turned round.
/// Only what is not the proof itself.
fn forged_hashes(hashes: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    let mut push = |edit: &dyn Fn(&mut Vec<Hash>)| {
        let mut forged = hashes.to_vec();
        edit(&mut forged);
        if forged != hashes {
            all.push(forged);
        }
    };
    for at in 0..hashes.len() {
        push(&|forged| forged[at] = flipped(&forged[at], 0));
        push(&|forged| forged[at] = flipped(&forged[at], HASH_BYTES - 1));
        push(&|forged| {
            forged.remove(at);
        });
        push(&|forged| forged.insert(at, forged[at]));
        for other in 0..at {
            push(&|forged| forged.swap(at, other));
        }
    }
    let more = leaf_hash(b"one too many");
    push(&|forged| forged.insert(0, more));
    push(&|forged| forged.push(more));
    push(&|forged| forged.reverse());
    push(&Vec::clear);
    all
}

fn flipped(hash: &Hash, byte: usize) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[byte] ^= 1;
    Hash::from_bytes(bytes)
}
