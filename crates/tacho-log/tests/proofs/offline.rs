//! What a stranger concludes who has a proof and a key.

use tacho_log::checkpoint::{CheckpointError, ConsistencyProofError, TlogProof, TlogProofError};
use tacho_log::merkle::ProofError;
use tacho_log::offline::{Beside, OfflineError, Statement, verify_proof};
use tacho_log::prove::{newest_checkpoint, prove_consistency, prove_inclusion};

use super::{Fixture, key, line, vkey};

fn record(record: &[u8]) -> Beside<'_> {
    Beside {
        record: Some(record),
        kept: None,
    }
}

fn kept(note: &str) -> Beside<'_> {
    Beside {
        record: None,
        kept: Some(note.as_bytes()),
    }
}

#[test]
fn inclusion() {
    let fixture = Fixture::new(&[40, 50], 0);
    let (proof, bytes) = fixture.inclusion(7).unwrap();
    let bare = proof.encode();
    let full = proof.with_extra(bytes.clone()).encode();
    let check = |proof: &str, beside| verify_proof(proof.as_bytes(), &vkey().into(), beside);
    for (proof, beside) in [
        (&full, Beside::default()),
        (&full, record(&bytes)),
        (&bare, record(&bytes)),
    ] {
        let proved = check(proof, beside).unwrap();
        assert_eq!(
            (proved.checkpoint.size(), proved.unchecked_signatures),
            (50, 0)
        );
        let index = 7;
        let record = bytes.clone();
        assert_eq!(proved.what, Statement::Inclusion { index, record });
    }
    let wrong_root = OfflineError::Inclusion(TlogProofError::Proof(ProofError::WrongRoot));
    let (forty, fifty) = (fixture.sealed[0].encode(), fixture.sealed[1].encode());
    let fork = Fixture::new(&[49, 50], 0);
    let other = {
        let text = fork.sealed[0]
            .unverified()
            .encode()
            .replace("\n49\n", "\n50\n");
        let key = key("tacho.local/proofs", 1);
        let note = tacho_log::note::Note::new(text.clone(), vec![key.sign(&text)]);
        note.unwrap().encode()
    };
    check(&full, kept(&fifty)).unwrap();
    let eight = line(8);
    for (proof, beside, error) in [
        (&bare, Beside::default(), OfflineError::NoRecord),
        (&bare, record(&eight), wrong_root),
        (&full, record(&eight), OfflineError::OtherRecord),
        (
            &full,
            kept(&forty),
            OfflineError::KeptOtherSize {
                kept: 40,
                proof: 50,
            },
        ),
        (&full, kept(&other), OfflineError::TwoHistories),
        (
            &full,
            kept(&full),
            OfflineError::Kept(CheckpointError::Lines),
        ),
    ] {
        assert_eq!(check(proof, beside), Err(error));
    }
    let stranger = key("tacho.local/proofs", 9);
    assert!(
        verify_proof(
            full.as_bytes(),
            &stranger.verifying_key().into(),
            Beside::default()
        )
        .is_err()
    );
    assert!(check("", Beside::default()).is_err());
}

/// What the owner of the key can sign, and is no log of ours all the same.
#[test]
fn a_record_in_the_wrong_place() {
    use tacho_log::checkpoint::{Checkpoint, SignedCheckpoint};
    use tacho_log::merkle::leaf_hash;
    for (bytes, good) in [
        (line(0), true),
        (line(1), false),
        (b"anything".to_vec(), false),
        (Vec::new(), false),
    ] {
        let checkpoint = Checkpoint::new("tacho.local/proofs", 1, leaf_hash(&bytes)).unwrap();
        let signed = SignedCheckpoint::sign(&checkpoint, &key("tacho.local/proofs", 1)).unwrap();
        let proof = TlogProof::new(0, Vec::new(), signed).unwrap();
        let checked = verify_proof(proof.encode().as_bytes(), &vkey().into(), record(&bytes));
        let expected = OfflineError::NotARecord { index: 0 };
        assert_eq!(checked.err(), (!good).then_some(expected), "{bytes:?}");
    }
}

#[test]
fn consistency() {
    let fixture = Fixture::new(&[40, 50], 0);
    let newest = newest_checkpoint(fixture.log()).unwrap();
    let proof = prove_consistency(fixture.log(), 40, newest)
        .unwrap()
        .encode();
    let (forty, fifty) = (fixture.sealed[0].encode(), fixture.sealed[1].encode());
    let check = |beside| verify_proof(proof.as_bytes(), &vkey().into(), beside);
    let proved = check(kept(&forty)).unwrap();
    assert_eq!(proved.what, Statement::Consistency { old: 40 });
    assert_eq!(proved.checkpoint.size(), 50);
    let other_size = ConsistencyProofError::OtherSize {
        proof: 40,
        kept: 50,
    };
    for (beside, error) in [
        (Beside::default(), OfflineError::NothingKept),
        (record(&line(7)), OfflineError::RecordGiven),
        (kept(&fifty), OfflineError::Consistency(other_size)),
    ] {
        assert_eq!(check(beside), Err(error));
    }
    for at in 0..proof.len() {
        let mut bytes = proof.clone().into_bytes();
        bytes[at] ^= 1;
        assert!(
            verify_proof(&bytes, &vkey().into(), kept(&forty)).is_err(),
            "byte {at}"
        );
    }
}

/// Signatures of others are counted, so that nobody takes them for checked.
#[test]
fn signatures_of_others_are_told() {
    let fixture = Fixture::new(&[40], 0);
    let newest = newest_checkpoint(fixture.log()).unwrap();
    let text = newest.note().text().to_owned();
    let mut signatures = newest.note().signatures().to_vec();
    signatures.push(key("somebody.else", 3).sign(&text));
    let note = tacho_log::note::Note::new(text, signatures).unwrap();
    let cosigned =
        tacho_log::checkpoint::SignedCheckpoint::parse(note.encode().as_bytes()).unwrap();
    let (proof, bytes) = prove_inclusion(fixture.log(), 3, cosigned).unwrap();
    let proved = verify_proof(proof.encode().as_bytes(), &vkey().into(), record(&bytes)).unwrap();
    assert_eq!(proved.unchecked_signatures, 1);
}
