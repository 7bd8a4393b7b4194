//! Every proof by our prover, and everything made of it, has one verdict from all three verifiers.
//! `Inclusion::holds` and `Consistency::holds` panic where they differ.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use tacho_oracles::{Consistency, Inclusion, Tree, record};

/// Past 64, so that there are trees with one, two and six complete parts.
const SMALL: u64 = 70;

/// Past 2^16, so that a way up has seventeen hashes.
const LARGE: u64 = 100_000;

/// The cases at random are the same each time: a failure here fails everywhere.
const SEED: u64 = 0x7461_6368_6f67_7261;
const CASES: usize = 400;

fn check_inclusion(proof: &Inclusion) -> usize {
    assert!(proof.holds(), "{proof:#?}");
    for forged in proof.forged() {
        assert!(!forged.holds(), "{forged:#?}");
    }
    let elsewhere = proof.elsewhere();
    let held = elsewhere.into_iter().filter(Inclusion::holds);
    // Another place in the same tree is another way up to the root.
    held.inspect(|held| assert!(held.size != proof.size || held == proof, "{held:#?}"))
        .count()
}

fn check_consistency(proof: &Consistency) -> usize {
    assert!(proof.holds(), "{proof:#?}");
    for forged in proof.forged() {
        assert!(!forged.holds(), "{forged:#?}");
    }
    let elsewhere = proof.elsewhere();
    elsewhere.into_iter().filter(Consistency::holds).count()
}

#[test]
fn every_small_tree() {
    let tree = Tree::new(SMALL);
    let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let (mut proofs, mut held) = (0, 0);
    for size in 1..=SMALL {
        theirs.push(record(size - 1));
        let root = theirs.root();
        assert_eq!(root.as_bytes().as_slice(), tree.root(size).as_bytes());
        for index in 0..size {
            held += check_inclusion(&tree.inclusion(index, size));
            held += check_consistency(&tree.consistency(index + 1, size));
            proofs += 2;
        }
    }
    // The proofs themselves are among `elsewhere`; more hold, or nothing but forgeries was tried.
    assert!(held > proofs, "{held} of what {proofs} proofs became");
}

#[test]
fn large_trees() {
    let tree = Tree::new(LARGE);
    let mut random = SplitMix(SEED);
    for _ in 0..CASES {
        let size = random.size();
        check_inclusion(&tree.inclusion(random.below(size), size));
        check_consistency(&tree.consistency(1 + random.below(size), size));
        // The right edge, where most of what is special about a size is.
        check_inclusion(&tree.inclusion(size - 1, size));
        check_consistency(&tree.consistency(random.size().min(size), size));
    }
}

/// From an empty tree there is no proof; the roots and hashes do not matter.
#[test]
fn nothing_follows_from_an_empty_tree() {
    let tree = Tree::new(SMALL);
    for new in 0..=SMALL {
        let proof = tree.consistency(0, new);
        assert!(!proof.holds(), "{proof:#?}");
        for forged in proof.forged() {
            assert!(!forged.holds(), "{forged:#?}");
        }
    }
}

/// Vigna's SplitMix64.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`, which is so small that the bias does not matter.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Half of the time any size, half of the time one beside a power of two.
    fn size(&mut self) -> u64 {
        if self.below(2) == 0 {
            return 1 + self.below(LARGE);
        }
        let power = 1_u64 << self.below(17);
        (power + self.below(3)).saturating_sub(1).clamp(1, LARGE)
    }
}
