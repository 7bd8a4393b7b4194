//! A proof, and what three verifiers say of it: ours, `sigstore-merkle` and `ct-merkle`. They were written by
//! different people from the same RFCs, so where they differ, one of them is wrong or lax.

mod mutate;
mod sigstore;
mod tree;

use ct_merkle::RootHash;
use sha2::Sha256;
use sigstore_types::Sha256Hash;
use tacho_log::merkle::{self, Hash};

pub use tree::{Tree, record};

/// The claim that `record` is leaf `index` of the tree of `size` leaves with `root`.
#[derive(Clone, Debug, PartialEq)]
pub struct Inclusion {
    /// Whole, because `ct-merkle` takes no leaf hash.
    pub record: Vec<u8>,
    /// Of the leaf, from 0.
    pub index: u64,
    /// Of the tree, in leaves.
    pub size: u64,
    /// The proof, the leaf's sibling first.
    pub hashes: Vec<Hash>,
    /// Of the tree.
    pub root: Hash,
}

/// The claim that the tree of `new` leaves begins with the one of `old` leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Consistency {
    /// Leaves of the older tree.
    pub old: u64,
    /// Its root.
    pub old_root: Hash,
    /// Leaves of the newer tree.
    pub new: u64,
    /// Its root.
    pub new_root: Hash,
    /// The proof.
    pub hashes: Vec<Hash>,
}

impl Inclusion {
    /// Whether it holds.
    ///
    /// # Panics
    ///
    /// When the verifiers do not agree.
    pub fn holds(&self) -> bool {
        sigstore::install();
        let leaf = merkle::leaf_hash(&self.record);
        let ours = merkle::verify_inclusion(self.index, self.size, &leaf, &self.hashes, &self.root);
        let sigstore = sigstore_merkle::verify_inclusion_proof(
            &sigstore_merkle::hash_leaf(&self.record),
            self.index,
            self.size,
            &for_sigstore(&self.hashes),
            &Sha256Hash::new(*self.root.as_bytes()),
        );
        let proof = ct_merkle::InclusionProof::<Sha256>::from_bytes(bytes(&self.hashes));
        let ct = ct_root(&self.root, self.size).verify_inclusion(&self.record, self.index, &proof);
        assert!(
            ours.is_ok() == sigstore.is_ok() && ours.is_ok() == ct.is_ok(),
            "ours: {ours:?}, sigstore-merkle: {sigstore:?}, ct-merkle: {ct:?}: {self:#?}"
        );
        ours.is_ok()
    }
}

impl Consistency {
    /// Whether it holds.
    ///
    /// # Panics
    ///
    /// When the verifiers do not agree.
    pub fn holds(&self) -> bool {
        sigstore::install();
        let (old_root, new_root) = (&self.old_root, &self.new_root);
        let ours = merkle::verify_consistency(self.old, old_root, self.new, new_root, &self.hashes);
        let sigstore = sigstore_merkle::verify_consistency_proof(
            self.old,
            self.new,
            &for_sigstore(&self.hashes),
            &Sha256Hash::new(*old_root.as_bytes()),
            &Sha256Hash::new(*new_root.as_bytes()),
        );
        let proof = ct_merkle::ConsistencyProof::<Sha256>::try_from_bytes(bytes(&self.hashes))
            .expect("whole hashes");
        let ct =
            ct_root(new_root, self.new).verify_consistency(&ct_root(old_root, self.old), &proof);
        assert!(
            self.sigstore_should(ours.is_ok()) == sigstore.is_ok() && ours.is_ok() == ct.is_ok(),
            "ours: {ours:?}, sigstore-merkle: {sigstore:?}, ct-merkle: {ct:?}: {self:#?}"
        );
        ours.is_ok()
    }

    /// The one difference that is meant: from an empty tree `sigstore-merkle` takes an empty proof to whatever
    /// root is claimed (its source: "Empty tree is consistent with any tree"); RFC 9162 §2.1.4 has no such proof,
    /// and the other two refuse it, because it says nothing about the newer root.
    fn sigstore_should(&self, ours: bool) -> bool {
        if self.old == 0 {
            let another_empty = self.new == 0 && self.old_root != self.new_root;
            return self.hashes.is_empty() && !another_empty;
        }
        ours
    }
}

fn bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(Hash::as_bytes).copied().collect()
}

fn for_sigstore(hashes: &[Hash]) -> Vec<Sha256Hash> {
    let theirs = hashes.iter().map(|hash| Sha256Hash::new(*hash.as_bytes()));
    theirs.collect()
}

fn ct_root(root: &Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new((*root.as_bytes()).into(), size)
}
