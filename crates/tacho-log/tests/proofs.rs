#![cfg(test)]
//! Proofs made from the files of a log, and what they are worth when somebody changed them on the way.

use std::sync::Arc;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use tacho_event::Timestamp;
use tacho_log::bundle::BundleError;
use tacho_log::checkpoint::{SignedCheckpoint, TlogProof};
use tacho_log::disk::RealDisk;
use tacho_log::key::{SigningKey, VerifyingKey};
use tacho_log::merkle::Hash;
use tacho_log::prove::{
    ProveError, checkpoint_of, cosigned_checkpoint, newest_checkpoint, prove_consistency,
    prove_inclusion,
};
use tacho_log::{DataDir, Log, LogDir, LogOptions, compress_segment};

#[path = "proofs/export.rs"]
mod export;
#[path = "proofs/offline.rs"]
mod offline;

const DAY: u64 = 86_400_000_000_000;

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::generate(name, [seed; 32]).unwrap()
}

fn vkey() -> VerifyingKey {
    key("tacho.local/proofs", 1).verifying_key().clone()
}

fn line(n: u64) -> Vec<u8> {
    format!(r#"{{"v":1,"seq":{n},"id":"x"}}"#).into_bytes()
}

struct Fixture {
    _temp: tempfile::TempDir,
    dir: DataDir,
    /// The checkpoint at each size that was sealed.
    sealed: Vec<SignedCheckpoint>,
}

impl Fixture {
    /// A log sealed at each of `sizes`, a day after the other, all but the last day compressed, with
    /// `unsealed` records after it.
    fn new(sizes: &[u64], unsealed: u64) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("data")).unwrap();
        let (disk, lock) = (Arc::new(RealDisk), dir.lock().unwrap());
        let (mut log, _) = Log::open(
            disk,
            &dir,
            lock,
            key("tacho.local/proofs", 1),
            LogOptions::default(),
            &mut |_, _| {},
        )
        .unwrap();
        let mut sealed = Vec::new();
        for (day, size) in (20_000..).zip(sizes) {
            append(&mut log, *size, day);
            sealed.push(log.seal().unwrap());
        }
        let newest = sizes.last().copied().unwrap_or(0);
        append(&mut log, newest + unsealed, 20_900);
        for segment in log.closed_segments() {
            compress_segment(&RealDisk, &segment).unwrap();
        }
        Self {
            _temp: temp,
            dir,
            sealed,
        }
    }

    /// The same log, grown and sealed once more.
    fn grow(&mut self, size: u64) {
        let (disk, lock) = (Arc::new(RealDisk), self.dir.lock().unwrap());
        let key = key("tacho.local/proofs", 1);
        let options = LogOptions::default();
        let (mut log, _) = Log::open(disk, &self.dir, lock, key, options, &mut |_, _| {}).unwrap();
        append(&mut log, size, 20_950);
        self.sealed.push(log.seal().unwrap());
    }

    fn log(&self) -> &LogDir {
        self.dir.log()
    }

    fn inclusion(&self, seq: u64) -> Result<(TlogProof, Vec<u8>), ProveError> {
        prove_inclusion(self.log(), seq, newest_checkpoint(self.log())?)
    }
}

fn append(log: &mut Log, size: u64, day: u64) {
    let (record, now) = (br#"{"id":"x"}"#, Timestamp::from_unix_nanos(day * DAY));
    for n in log.size()..size {
        // A batch is full now and then.
        if log.append(record, now).is_err() {
            log.commit().unwrap();
            log.append(record, now).unwrap();
        }
        assert_eq!(log.size(), n + 1);
    }
    log.commit().unwrap();
}

fn flat(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(Hash::as_bytes).copied().collect()
}

/// Every record of the log, and every older size, also sizes that were never sealed: by our own verifier,
/// and hash for hash as ct-merkle has them.
#[test]
fn every_record_and_every_size() {
    let size = 600;
    let fixture = Fixture::new(&[1, 255, 300, size], 3);
    let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    (0..size).for_each(|n| theirs.push(line(n)));
    for seq in 0..size {
        let (proof, record) = fixture.inclusion(seq).unwrap();
        assert_eq!(record, line(seq));
        let index = usize::try_from(seq).unwrap();
        let expected = theirs.prove_inclusion(index);
        assert_eq!(flat(proof.hashes()), expected.as_bytes());
        let read = TlogProof::parse(proof.encode().as_bytes()).unwrap();
        assert_eq!(read.verify(&record, &vkey()).unwrap().size(), size);
    }
    let newest = newest_checkpoint(fixture.log()).unwrap();
    for old in 1..=size {
        let proof = prove_consistency(fixture.log(), old, newest.clone()).unwrap();
        let expected = theirs.prove_consistency(usize::try_from(size - old).unwrap());
        assert_eq!(flat(proof.hashes()), expected.as_bytes());
    }
    for kept in &fixture.sealed {
        let kept = kept.verify(&vkey()).unwrap();
        let proof = prove_consistency(fixture.log(), kept.size(), newest.clone()).unwrap();
        assert_eq!(proof.verify(&kept, &vkey()).unwrap().size(), size);
    }
}

/// Under each older checkpoint, though the partial tiles of its size are gone.
#[test]
fn older_checkpoints() {
    let fixture = Fixture::new(&[1, 255, 256, 300, 511, 700], 0);
    for checkpoint in &fixture.sealed {
        let size = checkpoint.unverified().size();
        for seq in [0, size / 2, size - 1] {
            let (proof, record) = prove_inclusion(fixture.log(), seq, checkpoint.clone()).unwrap();
            assert_eq!(proof.verify(&record, &vkey()).unwrap().size(), size);
        }
        let old = prove_consistency(fixture.log(), 1, checkpoint.clone()).unwrap();
        let kept = fixture.sealed[0].verify(&vkey()).unwrap();
        assert_eq!(old.verify(&kept, &vkey()).unwrap().size(), size);
    }
}

#[test]
fn what_cannot_be_proved_is_said_precisely() {
    let fixture = Fixture::new(&[300], 5);
    let error = |seq| fixture.inclusion(seq).unwrap_err();
    assert!(matches!(
        error(300),
        ProveError::NotSealed {
            seq: 300,
            size: 300
        }
    ));
    assert!(matches!(error(304), ProveError::NotSealed { .. }));
    assert!(matches!(
        error(305),
        ProveError::NoSuchRecord { seq: 305, end: 305 }
    ));
    assert!(matches!(error(u64::MAX), ProveError::NoSuchRecord { .. }));
    let newest = newest_checkpoint(fixture.log()).unwrap();
    for old in [0, 301, u64::MAX] {
        let error = prove_consistency(fixture.log(), old, newest.clone()).unwrap_err();
        assert!(
            matches!(error, ProveError::NoPrefix { new: 300, .. }),
            "{error}"
        );
    }
    let error = checkpoint_of(fixture.log(), 299).unwrap_err();
    assert!(matches!(
        error,
        ProveError::NoCheckpoint {
            size: 299,
            newest: 300
        }
    ));
    assert_eq!(checkpoint_of(fixture.log(), 300).unwrap(), newest);

    let empty = Fixture::new(&[], 2);
    assert!(matches!(empty.inclusion(0), Err(ProveError::NeverSealed)));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "an intruder cares little for durability"
)]
fn a_damaged_log_proves_nothing() {
    let fixture = Fixture::new(&[300], 0);
    let log = fixture.log();
    let segment = log.segments().join("2024-10-04-000.jsonl");
    let good = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(
        &segment,
        good.replace("\"seq\":7,\"id\":\"x\"", "\"seq\":7,\"id\":\"y\""),
    )
    .unwrap();
    let error = fixture.inclusion(7).unwrap_err();
    assert!(
        matches!(error, ProveError::Log(BundleError::Differs { seq: 7, .. })),
        "{error}"
    );
    fixture.inclusion(8).unwrap();
    std::fs::write(&segment, good).unwrap();

    // A tile: the record is right, and the root cannot be reached any more.
    let tile = log.root().join("tile/0/001.p/44");
    let whole = std::fs::read(&tile).unwrap();
    let mut bad = whole.clone();
    bad[40] ^= 1;
    std::fs::write(&tile, bad).unwrap();
    let error = fixture.inclusion(7).unwrap_err();
    assert!(
        matches!(error, ProveError::Damaged { size: 300, .. }),
        "{error}"
    );
    let error = fixture.inclusion(257).unwrap_err();
    assert!(matches!(error, ProveError::Log(_)), "{error}");
    let newest = newest_checkpoint(log).unwrap();
    let error = prove_consistency(log, 256, newest).unwrap_err();
    assert!(matches!(error, ProveError::Damaged { .. }), "{error}");
    std::fs::write(&tile, whole).unwrap();

    std::fs::write(log.cosigned(), "nonsense").unwrap();
    assert_eq!(cosigned_checkpoint(log), None);
    std::fs::write(log.checkpoint(), "nonsense").unwrap();
    let error = fixture.inclusion(7).unwrap_err();
    assert!(matches!(error, ProveError::Checkpoint { .. }), "{error}");
}

/// A proof with the record in it, as a stranger takes it: the only thing that is trusted is the key.
fn believed(bytes: &[u8]) -> bool {
    let Ok(proof) = TlogProof::parse(bytes) else {
        return false;
    };
    let record = proof.extra().unwrap_or_default().to_vec();
    proof.verify(&record, &vkey()).is_ok()
}

#[test]
fn a_proof_that_was_changed_on_the_way() {
    let fixture = Fixture::new(&[600], 0);
    let (proof, record) = fixture.inclusion(311).unwrap();
    let proof = proof.with_extra(record.clone());
    let good = proof.encode();
    assert!(believed(good.as_bytes()));

    // Each bit of the file.
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            assert!(!believed(&bytes), "bit {bit} of byte {at}");
        }
    }
    // Every other index.
    for index in (0..700).filter(|index| *index != 311) {
        let moved = good.replace("index 311", &format!("index {index}"));
        assert!(!believed(moved.as_bytes()), "index {index}");
    }
    // Hashes out of order, gone, twice, one more.
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    let (first, end) = (3, lines.iter().position(|line| *line == "\n").unwrap());
    assert_eq!(end - first, proof.hashes().len());
    for at in first..end {
        for other in at + 1..end {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            assert!(!believed(swapped.concat().as_bytes()), "{at} and {other}");
        }
        let mut fewer = lines.clone();
        fewer.remove(at);
        assert!(!believed(fewer.concat().as_bytes()), "without {at}");
        let mut more = lines.clone();
        more.insert(at, lines[first]);
        assert!(!believed(more.concat().as_bytes()), "one more at {at}");
    }
    // Another record, in the file or from the caller; none at all.
    let other = TlogProof::parse(good.as_bytes())
        .unwrap()
        .with_extra(line(310));
    assert!(!believed(other.encode().as_bytes()));
    let bare = TlogProof::new(311, proof.hashes().to_vec(), proof.checkpoint().clone()).unwrap();
    assert!(!believed(bare.encode().as_bytes()));
    assert!(bare.verify(&record, &vkey()).is_ok());
    // Keys: a namesake's, another log's.
    for other in [key("tacho.local/proofs", 2), key("tacho.local/other", 1)] {
        assert!(proof.verify(&record, other.verifying_key()).is_err());
    }
    // A checkpoint of the same log at another size.
    let larger = Fixture::new(&[601], 0).sealed.remove(0);
    let moved = TlogProof::new(311, proof.hashes().to_vec(), larger).unwrap();
    assert!(moved.verify(&record, &vkey()).is_err());
}
