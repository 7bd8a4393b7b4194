use proptest::prelude::*;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::key::SigningKey;
use crate::merkle::{Frontier, HashSource, consistency_proof, empty_root, leaf_hash, node_hash};

const NOW: u64 = 1_790_000_000;

/// A log in memory: record *i* is the number *i*, or another one from `fork` on.
struct Log {
    key: SigningKey,
    leaves: Vec<Hash>,
}

impl HashSource for Log {
    type Error = std::convert::Infallible;

    fn hash(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        if level == 0 {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            return Ok(self.leaves[index]);
        }
        let left = self.hash(level - 1, index * 2)?;
        Ok(node_hash(&left, &self.hash(level - 1, index * 2 + 1)?))
    }
}

impl Log {
    fn new(name: &str, seed: u8, fork: u64) -> Self {
        let leaf = |n: u64| leaf_hash(&(if n < fork { n } else { n + 1_000_000 }).to_be_bytes());
        Self {
            key: SigningKey::generate(name, [seed; 32]).unwrap(),
            leaves: (0..200).map(leaf).collect(),
        }
    }

    fn root(&self, size: u64) -> Hash {
        let mut tree = Frontier::new();
        let size = usize::try_from(size).unwrap();
        self.leaves[..size].iter().for_each(|leaf| tree.push(*leaf));
        tree.root()
    }

    fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        let checkpoint = Checkpoint::new(self.key.name(), size, self.root(size)).unwrap();
        SignedCheckpoint::sign(&checkpoint, &self.key).unwrap()
    }

    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        AddCheckpoint {
            old,
            proof: consistency_proof(self, old.min(size), size).unwrap(),
            checkpoint: self.checkpoint(size),
        }
    }
}

fn witness(logs: &[&Log]) -> Witness {
    let key = CosigningKey::generate("witness", [9; 32]).unwrap();
    let keys = logs.iter().map(|log| log.key.verifying_key().clone());
    Witness::new(key, keys)
}

fn held(witness: &Witness, log: &Log, size: u64) -> Held {
    let Answer::Cosigned { held, .. } = witness.judge(&log.request(0, size), None, NOW) else {
        panic!("a first checkpoint is cosigned");
    };
    held
}

fn refused(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        Answer::Cosigned { held, .. } => panic!("cosigned size {}", held.size()),
    }
}

/// The path that another tool has for this origin (`fixtures/vectors`).
#[test]
fn origins_have_the_paths_of_other_tools() {
    assert_eq!(
        origin_hex("audit.example.com/mcp/host-1"),
        "a9c7f8ac6ccb53b19eb81a6e460f6a30afc290831b5bc9ff7113181f88619874"
    );
}

#[test]
fn what_is_cosigned_is_remembered_and_can_be_checked() {
    let log = Log::new("log", 1, u64::MAX);
    let witness = witness(&[&log]);
    let mut remembered: Option<Held> = None;
    for size in [0, 0, 1, 1, 2, 7, 8, 8, 64, 65, 199] {
        let old = remembered.as_ref().map_or(0, Held::size);
        let request = log.request(old, size);
        let Answer::Cosigned { held, line } = witness.judge(&request, remembered.as_ref(), NOW)
        else {
            panic!("{old} to {size}");
        };
        assert_eq!((held.size(), *held.root()), (size, log.root(size)));
        let cosigned = log.checkpoint(size).encode() + &line;
        assert_eq!(held.encode(), cosigned);
        let cosigned = SignedCheckpoint::parse(cosigned.as_bytes()).unwrap();
        assert_eq!(cosigned.verify_witness(witness.witness_key()), Ok(NOW));
        let read = witness.recall("log", held.encode().as_bytes()).unwrap();
        assert_eq!(read, held);
        remembered = Some(held);
    }
}

/// One row an attack or a mistake: what is remembered, what comes, what the answer is.
#[test]
fn what_is_refused_and_how() {
    let log = Log::new("log", 1, u64::MAX);
    let fork = Log::new("log", 1, 50);
    let namesake = Log::new("log", 2, u64::MAX);
    let stranger = Log::new("stranger", 3, u64::MAX);
    let witness = witness(&[&log]);
    let at = |size| Some(held(&witness, &log, size));
    let with_proof = |mut request: AddCheckpoint, proof: &[Hash]| {
        request.proof = proof.to_vec();
        request
    };
    let h = leaf_hash(b"h");
    let good = log.request(60, 100);
    let mut short = good.proof.clone();
    short.pop();
    let mut longer = good.proof.clone();
    longer.push(h);
    let mut swapped = good.proof.clone();
    swapped.swap(0, 1);
    use Refusal::{BadProof, Conflict, NotSigned, OldAboveSize, OtherRoot, UnknownOrigin};
    let cases = [
        (
            "another log",
            at(60),
            stranger.request(60, 100),
            UnknownOrigin,
        ),
        ("another key", at(60), namesake.request(60, 100), NotSigned),
        ("old above size", at(60), log.request(60, 59), OldAboveSize),
        (
            "rolled back, honestly",
            at(60),
            log.request(40, 50),
            Conflict(60),
        ),
        (
            "rolled back to nothing",
            at(60),
            log.request(0, 0),
            Conflict(60),
        ),
        (
            "as if it were new",
            at(60),
            log.request(0, 100),
            Conflict(60),
        ),
        ("replayed", at(100), log.request(60, 100), Conflict(100)),
        (
            "never seen, and not from 0",
            None,
            log.request(60, 100),
            Conflict(0),
        ),
        (
            "same size, other root",
            at(60),
            fork.request(60, 60),
            OtherRoot(60),
        ),
        ("forked before", at(60), fork.request(60, 100), BadProof),
        ("no proof", at(60), with_proof(good.clone(), &[]), BadProof),
        (
            "short proof",
            at(60),
            with_proof(good.clone(), &short),
            BadProof,
        ),
        (
            "long proof",
            at(60),
            with_proof(good.clone(), &longer),
            BadProof,
        ),
        (
            "proof out of order",
            at(60),
            with_proof(good, &swapped),
            BadProof,
        ),
        (
            "proof from nothing",
            None,
            with_proof(log.request(0, 100), &[h]),
            BadProof,
        ),
        (
            "proof of the same",
            at(60),
            with_proof(log.request(60, 60), &[h]),
            BadProof,
        ),
        (
            "proof from empty",
            at(0),
            with_proof(log.request(0, 100), &[h]),
            BadProof,
        ),
    ];
    for (name, held, request, refusal) in cases {
        let got = refused(witness.judge(&request, held.as_ref(), NOW));
        assert_eq!(got, refusal, "{name}");
    }
    // A fork after what is remembered is, so far, one more honest log.
    let later = witness.judge(&fork.request(40, 60), at(40).as_ref(), NOW);
    assert!(matches!(later, Answer::Cosigned { .. }));
    let statuses = [
        (UnknownOrigin, 404),
        (NotSigned, 403),
        (OldAboveSize, 400),
        (Conflict(1), 409),
        (OtherRoot(1), 409),
        (BadProof, 422),
    ];
    for (refusal, status) in statuses {
        assert_eq!(refusal.status(), status);
    }
}

#[test]
fn a_signature_that_lies_is_no_signature() {
    let log = Log::new("log", 1, u64::MAX);
    let witness = witness(&[&log]);
    let other = Checkpoint::new("log", 9, empty_root()).unwrap().encode();
    let lie = log.key.sign(&other);
    let mut request = log.request(0, 8);
    request.checkpoint = request.checkpoint.with_only(vec![lie]).unwrap();
    assert_eq!(
        refused(witness.judge(&request, None, NOW)),
        Refusal::NotSigned
    );
}

/// While a log changes its key the note has two signatures, and later only the new one.
#[test]
fn a_log_may_have_two_keys_and_strangers_are_left_out() {
    let (old, new) = (Log::new("log", 1, u64::MAX), Log::new("log", 2, u64::MAX));
    let stranger = Log::new("stranger", 3, u64::MAX);
    let witness = witness(&[&old, &new]);
    let mut request = old.request(0, 8);
    let text = request.checkpoint.note().text().to_owned();
    let by = [&stranger, &old, &new].map(|log| log.key.sign(&text));
    request.checkpoint = request.checkpoint.with_only(by.to_vec()).unwrap();
    let Answer::Cosigned { held, .. } = witness.judge(&request, None, NOW) else {
        panic!("both keys are known");
    };
    let names: Vec<&str> = held
        .note
        .note()
        .signatures()
        .iter()
        .map(|s| &*s.name)
        .collect();
    assert_eq!(names, ["log", "log", "witness"]);
    let request = new.request(8, 20);
    let answer = witness.judge(&request, Some(&held), NOW);
    assert!(matches!(answer, Answer::Cosigned { .. }));
}

#[test]
fn a_memory_that_is_not_its_own_is_refused() {
    let log = Log::new("log", 1, u64::MAX);
    let witness = witness(&[&log]);
    let good = held(&witness, &log, 60).encode();
    assert!(witness.recall("log", good.as_bytes()).is_ok());
    assert_eq!(
        witness.recall("other", good.as_bytes()),
        Err(HeldError::OtherLog)
    );
    for bad in [
        log.checkpoint(60).encode(),
        good.replacen("\n60\n", "\n59\n", 1),
        good.replace("=\n", "\n"),
        String::new(),
    ] {
        assert!(witness.recall("log", bad.as_bytes()).is_err(), "{bad}");
    }
}

proptest! {
    /// Whatever comes in whatever order from an honest log and from one that forked: what is
    /// remembered never gets smaller, and no size has two roots.
    #[test]
    fn never_back_and_never_two_histories(
        steps in prop::collection::vec((any::<bool>(), 0_u64..200, 0_u64..200, any::<bool>()), 1..60)
    ) {
        let (honest, fork) = (Log::new("log", 1, u64::MAX), Log::new("log", 1, 20));
        let witness = witness(&[&honest]);
        let mut remembered: Option<Held> = None;
        let mut roots = BTreeMap::new();
        for (forked, size, old, informed) in steps {
            let log = if forked { &fork } else { &honest };
            let known = remembered.as_ref().map_or(0, Held::size);
            let request = log.request(if informed { known } else { old }, size);
            if let Answer::Cosigned { held, .. } = witness.judge(&request, remembered.as_ref(), NOW) {
                prop_assert!(held.size() >= known);
                let root = *roots.entry(held.size()).or_insert(*held.root());
                prop_assert_eq!(root, *held.root());
                if let Some(before) = &remembered {
                    // Both sizes belong to one of the two logs, or lie before they part.
                    let one = [&honest, &fork].into_iter().any(|log| {
                        log.root(before.size()) == *before.root() && log.root(held.size()) == *held.root()
                    });
                    prop_assert!(one);
                }
                remembered = Some(held);
            }
        }
    }
}
