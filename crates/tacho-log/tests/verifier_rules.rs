#![cfg(test)]
//! What a verifier must refuse, each rule with the system that did not (`docs/format.md` §9): every one is a
//! failure, not a warning. The whole corpus of attacks is `tamper.rs`, `pruning.rs`, `rotation.rs`, `proofs.rs`
//! and, for what is held outside, the tests of the witnesses; here stands one short case for each rule.

use std::fs;
use std::sync::Arc;

use tacho_event::Timestamp;
use tacho_log::Log;
use tacho_log::LogOptions;
use tacho_log::checkpoint::{Checkpoint, SignedCheckpoint};
use tacho_log::disk::RealDisk;
use tacho_log::merkle::leaf_hash;
use tacho_log::verify::{Report, Verdict, VerifyOptions};

#[path = "tamper/fixture.rs"]
#[expect(dead_code, reason = "the other attacks use more of it")]
mod fixture;

use fixture::{DAY, Fixture, body, key, vkey};

fn refused(report: &Report, verdict: Verdict, says: &str) {
    assert_eq!(report.verdict, verdict, "{report:#?}");
    let said = report
        .findings
        .iter()
        .any(|finding| finding.what.contains(says));
    assert!(said, "{says}: {report:#?}");
}

fn checkpoint(fixture: &Fixture) -> SignedCheckpoint {
    let bytes = fs::read(fixture.path("checkpoint")).unwrap();
    SignedCheckpoint::parse(&bytes).unwrap()
}

/// journald accepted a file that had never been sealed (systemd #15425).
#[test]
fn a_log_that_was_never_sealed() {
    let fixture = Fixture::sealed();
    fs::remove_file(fixture.path("checkpoint")).unwrap();
    refused(&fixture.verify(), Verdict::Tampered, "never sealed");
}

/// journald took a cut-off journal for a whole one (CVE-2023-31438).
#[test]
fn a_log_older_than_its_heartbeat() {
    let fixture = Fixture::new();
    fixture.write(600, 0);
    let verify = |not_before: &str| {
        let options = VerifyOptions {
            not_before: Some(Timestamp::parse(not_before).unwrap()),
            ..VerifyOptions::default()
        };
        fixture.verify_with(&vkey(), &options)
    };
    // The fixture's records are all of midnight.
    let report = verify("2026-11-20T00:00:00.000000000Z");
    assert_eq!(report.verdict, Verdict::Ok, "{report:#?}");
    let report = verify("2026-11-20T00:00:00.000000001Z");
    refused(
        &report,
        Verdict::Incomplete,
        "the newest sealed record is of",
    );
    assert_eq!(report.findings[0].seq, Some(599));
}

/// journald sealed old contents again with a newer key (CVE-2023-31439); here with the stolen key itself.
#[test]
fn contents_that_were_signed_again() {
    let fixture = Fixture::sealed();
    let kept = checkpoint(&fixture).encode();
    let other = Fixture::new();
    // The same number of records, one of them another, signed by the same key.
    let mut log = other.open();
    for n in 0..600 {
        let body = if n == 300 {
            body(n).replace("info", "error")
        } else {
            body(n)
        };
        let now = Timestamp::from_unix_nanos(20_000 * DAY);
        log.append(body.as_bytes(), now).unwrap();
    }
    log.commit().unwrap();
    log.seal().unwrap();
    drop(log);
    assert_eq!(
        other.verify().verdict,
        Verdict::Ok,
        "by itself it is beyond reproach"
    );
    let options = VerifyOptions {
        known: Some(kept.into_bytes()),
        ..VerifyOptions::default()
    };
    refused(
        &other.verify_with(&vkey(), &options),
        Verdict::Tampered,
        "two histories",
    );
}

/// Ma and Tsudik: who holds nothing outside cannot see a cut-off end; who does, must.
#[test]
fn a_log_that_was_put_back() {
    let fixture = Fixture::sealed();
    let small = Fixture::new();
    small.write(100, 0);
    let options = VerifyOptions {
        known: Some(checkpoint(&fixture).encode().into_bytes()),
        ..VerifyOptions::default()
    };
    refused(
        &small.verify_with(&vkey(), &options),
        Verdict::Tampered,
        "put back",
    );
}

/// Verifiers that look for any good signature, and not for the right one.
#[test]
fn a_checkpoint_of_another_log_or_key() {
    let root = leaf_hash(b"");
    for (name, seed) in [("tacho.local/other", 1), ("tacho.local/tamper", 2)] {
        let fixture = Fixture::sealed();
        let forged = Checkpoint::new(name, 600, root).unwrap();
        let forged = SignedCheckpoint::sign(&forged, &key(name, seed)).unwrap();
        fixture.edit(&fixture.path("checkpoint"), |bytes| {
            *bytes = forged.encode().into_bytes();
        });
        assert_eq!(fixture.verify().verdict, Verdict::Tampered, "{name}");
    }
}

/// CloudTrail and rotated logs: a number is missing, and what is left is in order.
#[test]
fn a_gap_in_the_numbers() {
    let fixture = Fixture::sealed();
    fixture.lines(2, |lines| drop(lines.remove(10)));
    refused(&fixture.verify(), Verdict::Tampered, "is missing");
}

/// Vault and every logger that writes when a call is over: it began, and nobody says how it ended.
#[test]
fn an_intent_without_an_outcome() {
    let fixture = Fixture::new();
    fixture.write(3, 0);
    refused(&fixture.verify(), Verdict::Incomplete, "have no outcome");
}

/// A recorder that comes back with a clock that was set back writes on, and the order stays that of the log.
#[test]
fn a_clock_that_was_set_back() {
    let fixture = Fixture::sealed();
    let mut log = fixture.open();
    for n in [605, 606, 607] {
        let now = Timestamp::from_unix_nanos(19_000 * DAY);
        log.append(body(n).as_bytes(), now).unwrap();
    }
    log.commit().unwrap();
    log.seal().unwrap();
    drop(log);
    let report = fixture.verify();
    assert_eq!(
        (report.verdict, report.records),
        (Verdict::Ok, 608),
        "{report:#?}"
    );
}

/// Tessera cut entries of more than 65,535 bytes in silence (its #859).
#[test]
fn a_record_that_no_bundle_could_hold() {
    let fixture = Fixture::new();
    let mut log = fixture.open();
    let long = body(0).replace("tool_call", &"x".repeat(65_535));
    let now = Timestamp::from_unix_nanos(20_000 * DAY);
    assert!(log.append(long.as_bytes(), now).is_err());
    drop(log);
    fixture.write(8, 0);
    fixture.lines(2, |lines| {
        lines[1] = lines[1].replace("tool_call", &"x".repeat(65_535));
    });
    refused(
        &fixture.verify(),
        Verdict::Tampered,
        "longer than a record may be",
    );
}

/// Vault (#31718) and Kubernetes (#111208) write on into a file that nobody can find any more.
#[test]
fn a_live_segment_that_was_taken_away() {
    let fixture = Fixture::new();
    fixture.write(4, 0);
    let mut log = fixture.open();
    fs::remove_file(fixture.segment(3)).unwrap();
    let now = Timestamp::from_unix_nanos(20_003 * DAY);
    log.append(body(4).as_bytes(), now).unwrap();
    assert!(log.commit().is_err(), "the next commit notices");
    drop(log);
    refused(&fixture.verify(), Verdict::Tampered, "");
    // And no writer goes on with what is left.
    let lock = fixture.dir.lock().unwrap();
    let key = key("tacho.local/tamper", 1);
    let again = Log::open(
        Arc::new(RealDisk),
        &fixture.dir,
        lock,
        key,
        LogOptions::default(),
        &mut |_, _| {},
    );
    assert!(again.is_err());
}
