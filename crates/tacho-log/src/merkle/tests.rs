use std::convert::Infallible;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;

use super::*;

/// The definitions of RFC 6962 §2.1, as recursive as they stand there.
mod rfc6962 {
    use super::{Hash, empty_root, node_hash};

    fn split(leaves: &[Hash]) -> usize {
        let mut k = 1;
        while k * 2 < leaves.len() {
            k *= 2;
        }
        k
    }

    pub(super) fn mth(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves));
                node_hash(&mth(left), &mth(right))
            }
        }
    }

    pub(super) fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = split(leaves);
        let (left, right) = leaves.split_at(k);
        let (mut proof, sibling) = if m < k {
            (path(m, left), mth(right))
        } else {
            (path(m - k, right), mth(left))
        };
        proof.push(sibling);
        proof
    }

    pub(super) fn subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if m == leaves.len() {
            return if whole { Vec::new() } else { vec![mth(leaves)] };
        }
        let k = split(leaves);
        let (left, right) = leaves.split_at(k);
        let (mut proof, sibling) = if m <= k {
            (subproof(m, left, whole), mth(right))
        } else {
            (subproof(m - k, right, false), mth(left))
        };
        proof.push(sibling);
        proof
    }
}

struct Leaves(Vec<Hash>);

impl HashSource for Leaves {
    type Error = Infallible;

    fn hash(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
        let at = |index: u64| usize::try_from(index << level).unwrap();
        Ok(rfc6962::mth(&self.0[at(index)..at(index + 1)]))
    }
}

fn record(number: usize) -> Vec<u8> {
    format!("record {number}").into_bytes()
}

fn leaves(count: usize) -> Leaves {
    Leaves(
        (0..count)
            .map(|number| leaf_hash(&record(number)))
            .collect(),
    )
}

fn size(number: usize) -> u64 {
    u64::try_from(number).unwrap()
}

fn flipped(hash: &Hash, bit: usize) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[bit / 8 % HASH_BYTES] ^= 1 << (bit % 8);
    Hash::from_bytes(bytes)
}

#[test]
fn roots_of_the_certificate_transparency_reference() {
    let inputs: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    assert_eq!(
        frontier.root().to_string(),
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    );
    for (input, root) in inputs.iter().zip(roots) {
        frontier.push(leaf_hash(input));
        let hex: String = frontier
            .root()
            .as_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(hex, root, "size {}", frontier.size());
    }
}

/// Every tree up to 70 leaves, every leaf, every prefix: roots and proofs are those of the RFC, and
/// are believed.
#[test]
fn small_trees_are_those_of_the_rfc() {
    let all = leaves(70);
    let mut frontier = Frontier::new();
    for count in 0..=all.0.len() {
        let tree = &all.0[..count];
        let root = rfc6962::mth(tree);
        assert_eq!(frontier.root(), root, "{count}");
        assert_eq!(root_at(&all, size(count)), Ok(root), "{count}");
        assert_eq!(
            Frontier::read(&all, size(count)).unwrap(),
            frontier,
            "{count}"
        );
        let same = Frontier::from_peaks(size(count), frontier.peaks().to_vec());
        assert_eq!(same.unwrap(), frontier, "{count}");
        for index in 0..count {
            let proof = inclusion_proof(&all, size(index), size(count)).unwrap();
            assert_eq!(proof, rfc6962::path(index, tree), "{index} in {count}");
            let leaf = &tree[index];
            assert_eq!(
                verify_inclusion(size(index), size(count), leaf, &proof, &root),
                Ok(())
            );
        }
        for old in 1..=count {
            let proof = consistency_proof(&all, size(old), size(count)).unwrap();
            assert_eq!(
                proof,
                rfc6962::subproof(old, tree, true),
                "{old} to {count}"
            );
            let first = rfc6962::mth(&tree[..old]);
            let checked = verify_consistency(size(old), &first, size(count), &root, &proof);
            assert_eq!(checked, Ok(()), "{old} to {count}");
        }
        if let Some(next) = all.0.get(count) {
            frontier.push(*next);
        }
    }
}

#[test]
fn pushing_tells_every_complete_subtree_once() {
    let all = leaves(70);
    let mut frontier = Frontier::new();
    let mut told = Vec::new();
    for leaf in &all.0 {
        frontier.push_with(*leaf, |level, index, hash| told.push((level, index, *hash)));
    }
    for (level, index, hash) in &told {
        assert_eq!(all.hash(*level, *index), Ok(*hash), "{level} {index}");
    }
    let expected: u64 = (0..7).map(|level| 70 >> level).sum();
    assert_eq!(size(told.len()), expected);
    told.sort_unstable();
    told.dedup();
    assert_eq!(size(told.len()), expected);
}

#[test]
fn what_is_out_of_range_has_no_proof() {
    let all = leaves(5);
    let root = rfc6962::mth(&all.0);
    assert_eq!(
        inclusion_proof(&all, 5, 5),
        Err(ProveError::NoSuchLeaf { index: 5, size: 5 })
    );
    assert_eq!(
        consistency_proof(&all, 5, 4),
        Err(ProveError::NoPrefix { old: 5, new: 4 })
    );
    assert_eq!(consistency_proof(&all, 0, 5), Ok(Vec::new()));
    assert_eq!(
        verify_consistency(0, &empty_root(), 5, &root, &[]),
        Err(ProofError::NoSubtree { start: 0, end: 0 })
    );
    assert_eq!(
        verify_consistency(5, &root, 4, &root, &[]),
        Err(ProofError::NoPrefix { old: 5, new: 4 })
    );
    for (size, peaks) in [(0, 1), (1, 0), (3, 1), (3, 3), (u64::MAX, 64)] {
        assert!(
            Frontier::from_peaks(size, vec![root; peaks]).is_err(),
            "{size} {peaks}"
        );
    }
}

/// Sizes at the end of the numbers: refused or not, they neither crash nor run on.
#[test]
fn verifiers_survive_the_largest_numbers() {
    let hashes = vec![empty_root(); 200];
    let root = &empty_root();
    let numbers = [
        0,
        1,
        2,
        MAX_SIZE - 1,
        MAX_SIZE,
        MAX_SIZE + 1,
        u64::MAX - 1,
        u64::MAX,
    ];
    for first in numbers {
        for second in numbers {
            for length in [0, 1, 2, 62, 63, 64, 65, 200] {
                let proof = &hashes[..length];
                assert!(verify_inclusion(first, second, root, proof, root).is_err() || second == 1);
                let equal = first == second && first != 0 && length == 0;
                let checked = verify_consistency(first, root, second, root, proof);
                assert_eq!(checked.is_ok(), equal, "{first} {second} {length}");
                let checked =
                    verify_subtree_consistency(first, second, u64::MAX, root, root, proof);
                let whole = first == second || (first == 0 && second == u64::MAX);
                assert_eq!(
                    checked.is_ok(),
                    whole && length == 0,
                    "{first} {second} {length}"
                );
            }
        }
    }
}

/// One way to break a proof.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, usize),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 0..256_usize).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        at().prop_map(Damage::Remove),
        at().prop_map(Damage::Insert),
        (at(), at()).prop_map(|(one, other)| Damage::Swap(one, other)),
    ]
}

fn damaged(proof: &[Hash], damage: &Damage) -> Vec<Hash> {
    let mut proof = proof.to_vec();
    match damage {
        Damage::Insert(at) => {
            let at = at.index(proof.len() + 1);
            proof.insert(at, *proof.get(at).unwrap_or(&empty_root()));
        }
        _ if proof.is_empty() => {}
        Damage::Flip(at, bit) => {
            let at = at.index(proof.len());
            proof[at] = flipped(&proof[at], *bit);
        }
        Damage::Remove(at) => drop(proof.remove(at.index(proof.len()))),
        Damage::Swap(one, other) => {
            let (one, other) = (one.index(proof.len()), other.index(proof.len()));
            proof.swap(one, other);
        }
    }
    proof
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn agrees_with_ct_merkle(count in 1..700_usize, pick in any::<(prop::sample::Index, prop::sample::Index)>()) {
        let all = leaves(count);
        let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        (0..count).for_each(|number| theirs.push(record(number)));
        let root = root_at(&all, size(count)).unwrap();
        prop_assert_eq!(root.as_bytes().to_vec(), theirs.root().as_bytes().to_vec());

        let index = pick.0.index(count);
        let ours = inclusion_proof(&all, size(index), size(count)).unwrap();
        let ours: Vec<u8> = ours.iter().flat_map(Hash::as_bytes).copied().collect();
        prop_assert_eq!(ours, theirs.prove_inclusion(index).as_bytes().to_vec());

        let old = pick.1.index(count) + 1;
        let ours = consistency_proof(&all, size(old), size(count)).unwrap();
        let ours: Vec<u8> = ours.iter().flat_map(Hash::as_bytes).copied().collect();
        prop_assert_eq!(ours, theirs.prove_consistency(count - old).as_bytes().to_vec());
    }

    #[test]
    fn a_damaged_proof_proves_nothing(
        count in 1..300_usize,
        pick in any::<(prop::sample::Index, prop::sample::Index)>(),
        damage in damage(),
        bit in 0..256_usize,
    ) {
        let all = leaves(count);
        let total = size(count);
        let root = root_at(&all, total).unwrap();
        let (index, old) = (pick.0.index(count), pick.1.index(count) + 1);
        let leaf = all.0[index];
        let at = size(index);
        let proof = inclusion_proof(&all, at, total).unwrap();
        let broken = damaged(&proof, &damage);
        prop_assert_eq!(verify_inclusion(at, total, &leaf, &broken, &root).is_ok(), broken == proof);
        prop_assert!(verify_inclusion(at, total, &flipped(&leaf, bit), &proof, &root).is_err());
        prop_assert!(verify_inclusion(at, total, &leaf, &proof, &flipped(&root, bit)).is_err());
        for wrong in 0..total {
            let checked = verify_inclusion(wrong, total, &leaf, &proof, &root);
            prop_assert_eq!(checked.is_ok(), wrong == at, "claimed at {}", wrong);
        }

        let (first, old) = (root_at(&all, size(old)).unwrap(), size(old));
        let proof = consistency_proof(&all, old, total).unwrap();
        let broken = damaged(&proof, &damage);
        let checked = verify_consistency(old, &first, total, &root, &broken);
        prop_assert_eq!(checked.is_ok(), broken == proof);
        prop_assert!(verify_consistency(old, &flipped(&first, bit), total, &root, &proof).is_err());
        prop_assert!(verify_consistency(old, &first, total, &flipped(&root, bit), &proof).is_err());
        for wrong in (0..=total).filter(|wrong| *wrong != old) {
            prop_assert!(verify_consistency(wrong, &first, total, &root, &proof).is_err());
        }
    }
}
