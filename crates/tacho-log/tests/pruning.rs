#![cfg(test)]
//! A log whose beginning retention has removed: opened, read, verified, and attacked.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tacho_event::Timestamp;
use tacho_log::checkpoint::{SignedCheckpoint, TlogProof};
use tacho_log::disk::RealDisk;
use tacho_log::merkle::inclusion_proof;
use tacho_log::prove::TileHashes;
use tacho_log::reader::Reader;
use tacho_log::verify::{Report, Verdict, VerifyOptions};
use tacho_log::{
    Log, LogOptions, OpenError, PruneError, Recovered, WriterLock, minimum_index, remove_pruned,
};

#[path = "tamper/fixture.rs"]
#[expect(dead_code, reason = "tamper.rs uses the rest")]
mod fixture;

use fixture::{DAY, Fixture, SEALED, UNSEALED, expect, key, vkey};

/// The third segment begins with it.
const KEPT: u64 = 300;

fn pruning(from: u64, to: u64) -> String {
    format!(
        r#"{{"id":"01970000-0000-7000-9000-{to:012}","timestamp":"2026-11-20T00:00:00.000000000Z","type":"retention_pruned","severity":"info","details":{{"from":{from},"to":{to},"newest":"2026-11-10T00:00:00.000000000Z","reason":"age","bytes":1}}}}"#
    )
}

/// Appends the record that says so, and seals it.
fn declare(log: &mut Log, from: u64, to: u64) -> u64 {
    let now = Timestamp::from_unix_nanos(20_003 * DAY);
    let record = log.append(pruning(from, to).as_bytes(), now).unwrap();
    log.commit().unwrap();
    log.seal().unwrap();
    record
}

fn prune(fixture: &Fixture, from: u64, to: u64) {
    let mut log = fixture.open();
    let record = declare(&mut log, from, to);
    log.raise_minimum(to, record).unwrap();
    remove_pruned(&RealDisk, fixture.dir.log()).unwrap();
}

/// Two of the four segments are gone.
fn pruned() -> Fixture {
    let fixture = Fixture::sealed();
    prune(&fixture, 0, KEPT);
    fixture
}

fn running() -> VerifyOptions {
    VerifyOptions {
        writer_running: true,
        ..VerifyOptions::default()
    }
}

fn verify(fixture: &Fixture) -> Report {
    fixture.verify_with(&vkey(), &running())
}

fn lock(fixture: &Fixture) -> WriterLock {
    fixture.dir.lock().unwrap()
}

fn try_open(fixture: &Fixture, visit_from: u64) -> Result<(Log, Recovered), OpenError> {
    let options = LogOptions {
        visit_from,
        ..LogOptions::default()
    };
    let lock = lock(fixture);
    let key = key("tacho.local/tamper", 1);
    let disk = Arc::new(RealDisk);
    Log::open(disk, &fixture.dir, lock, key, options, &mut |_, _| {})
}

fn segments(fixture: &Fixture) -> usize {
    fs::read_dir(fixture.dir.log().segments()).unwrap().count()
}

#[expect(
    clippy::disallowed_methods,
    reason = "an intruder cares little for durability"
)]
fn write(fixture: &Fixture, file: &str, text: &str) {
    fs::write(fixture.path(file), text).unwrap();
}

#[test]
fn a_pruned_log_opens_reads_and_verifies() {
    let fixture = pruned();
    assert_eq!(segments(&fixture), 2);
    assert_eq!(minimum_index(fixture.dir.log()).unwrap(), KEPT);
    let report = verify(&fixture);
    assert_eq!(report.verdict, Verdict::Ok, "{report:#?}");
    let size = SEALED + UNSEALED + 1;
    assert_eq!(report.minimum_index, KEPT);
    assert_eq!(
        (report.records, report.checkpoint_size),
        (size - KEPT, Some(size))
    );
    // All tiles, also those that are wholly below the records.
    assert_eq!(report.tiles, 4);

    let reader = Reader::new(fixture.dir.log());
    for from in [0, 1, KEPT - 1, KEPT] {
        let found = reader.records_from(from).map(|record| record.unwrap().0);
        assert!(found.eq(KEPT..size), "from {from}");
    }
    assert_eq!(reader.end().unwrap(), size);
    assert_eq!(reader.last(1_000).unwrap().count() as u64, size - KEPT);
    for visit_from in [0, KEPT, u64::MAX] {
        let (log, recovered) = try_open(&fixture, visit_from).unwrap();
        assert_eq!((recovered.size, log.size()), (size, size));
    }
    // And again.
    prune(&fixture, KEPT, 450);
    let report = verify(&fixture);
    assert_eq!(
        (report.verdict, report.minimum_index),
        (Verdict::Ok, 450),
        "{report:#?}"
    );
}

/// An outcome is kept whose intent was pruned.
#[test]
fn an_outcome_without_its_pruned_intent_is_no_finding() {
    let fixture = Fixture::sealed();
    let line = format!(
        "{{\"v\":1,\"seq\":{},\"id\":\"x\",\"stage\":\"outcome\",\"ref\":\"pruned\"}}\n",
        SEALED + UNSEALED
    );
    fixture.edit(&fixture.segment(3), |bytes| bytes.extend(line.as_bytes()));
    assert_eq!(verify(&fixture).verdict, Verdict::Incomplete);
    prune(&fixture, 0, KEPT);
    let report = verify(&fixture);
    assert_eq!(report.verdict, Verdict::Ok, "{report:#?}");
    assert!(
        report.notes[0].contains("1 outcomes name intents"),
        "{report:#?}"
    );
}

#[test]
fn what_is_not_sealed_is_not_pruned() {
    let fixture = Fixture::sealed();
    let mut log = fixture.open();
    let now = Timestamp::from_unix_nanos(20_003 * DAY);
    let record = log.append(pruning(0, KEPT).as_bytes(), now).unwrap();
    log.commit().unwrap();
    for (to, by) in [(KEPT, record), (KEPT, KEPT - 1), (10_000, 3)] {
        assert!(matches!(
            log.raise_minimum(to, by),
            Err(PruneError::NotSealed { .. })
        ));
    }
    log.seal().unwrap();
    log.raise_minimum(KEPT, record).unwrap();
    // It never goes back.
    log.raise_minimum(150, record).unwrap();
    assert_eq!(minimum_index(fixture.dir.log()).unwrap(), KEPT);
}

#[test]
fn a_removal_that_a_crash_interrupted_is_finished_by_opening() {
    for gone in 0..3 {
        let fixture = Fixture::sealed();
        let mut log = fixture.open();
        let record = declare(&mut log, 0, KEPT);
        log.raise_minimum(KEPT, record).unwrap();
        drop(log);
        for _ in 0..gone {
            fs::remove_file(fixture.segment(0)).unwrap();
        }
        assert_eq!(verify(&fixture).verdict, Verdict::Ok, "{gone}");
        drop(try_open(&fixture, u64::MAX).unwrap());
        assert_eq!(segments(&fixture), 2, "{gone}");
        assert_eq!(verify(&fixture).verdict, Verdict::Ok, "{gone}");
    }
}

/// Bodies go with the days of their records, and not a day that may still have one.
#[test]
fn evidence_of_pruned_days_goes() {
    let fixture = Fixture::sealed();
    for day in [
        "2024-10-03",
        "2024-10-04",
        "2024-10-05",
        "2024-10-06",
        "notes",
    ] {
        let dir = fixture.dir.log().evidence().join(day);
        fs::create_dir_all(&dir).unwrap();
        write(&fixture, &format!("evidence/{day}/x.args.age"), "x");
    }
    prune(&fixture, 0, KEPT);
    let days = fs::read_dir(fixture.dir.log().evidence()).unwrap();
    let mut days: Vec<_> = days.map(|day| day.unwrap().file_name()).collect();
    days.sort();
    // The third segment is of the 6th; a record of its first seconds may be dated the 5th.
    assert_eq!(days, ["2024-10-05", "2024-10-06", "notes"]);
}

#[test]
fn what_an_intruder_writes_into_minimum_index_removes_nothing() {
    // A number that no record says.
    let fixture = Fixture::sealed();
    write(&fixture, "minimum-index", "300\n");
    let error = try_open(&fixture, u64::MAX).unwrap_err().to_string();
    assert!(
        error.contains("no sealed retention_pruned record says so"),
        "{error}"
    );
    assert_eq!(segments(&fixture), 4);
    for (text, words) in [
        ("150\n", "no sealed retention_pruned record says so"),
        ("100000\n", "the checkpoint covers 600"),
        ("x\n", "not a number"),
        ("", "not a number"),
    ] {
        let fixture = Fixture::sealed();
        write(&fixture, "minimum-index", text);
        let report = verify(&fixture);
        expect(
            &report,
            Verdict::Tampered,
            None,
            Some("minimum-index"),
            words,
        );
        assert!(
            matches!(try_open(&fixture, u64::MAX), Err(OpenError::Minimum { .. })),
            "{text:?}"
        );
        assert_eq!(segments(&fixture), 4);
    }
}

#[test]
fn removed_by_hand_is_found() {
    // Without a record.
    let fixture = Fixture::sealed();
    for _ in 0..2 {
        fs::remove_file(fixture.segment(0)).unwrap();
    }
    let file = Some("2024-10-06-000.jsonl");
    let words = "records 0 to 299 are missing";
    expect(&verify(&fixture), Verdict::Tampered, Some(0), file, words);
    write(&fixture, "minimum-index", "300\n");
    let words = "no sealed retention_pruned record says so";
    expect(
        &verify(&fixture),
        Verdict::Tampered,
        None,
        Some("minimum-index"),
        words,
    );
    // More than the record says.
    let fixture = pruned();
    fs::remove_file(fixture.segment(0)).unwrap();
    let file = Some("2024-10-07-000.jsonl");
    let words = "records 300 to 449 are missing";
    expect(&verify(&fixture), Verdict::Tampered, Some(300), file, words);
    assert!(matches!(
        try_open(&fixture, 0),
        Err(OpenError::Missing { seq: 300, .. })
    ));
    write(&fixture, "minimum-index", "450\n");
    let words = "no sealed retention_pruned record says so";
    expect(
        &verify(&fixture),
        Verdict::Tampered,
        None,
        Some("minimum-index"),
        words,
    );
    // The number is gone, or put back.
    for text in [None, Some("0\n"), Some("150\n")] {
        let fixture = pruned();
        match text {
            Some(text) => write(&fixture, "minimum-index", text),
            None => fs::remove_file(fixture.path("minimum-index")).unwrap(),
        }
        assert_eq!(verify(&fixture).verdict, Verdict::Tampered, "{text:?}");
    }
}

#[test]
fn tiles_below_the_minimum_index() {
    let tile = "tile/0/000";
    let fixture = pruned();
    fs::remove_file(fixture.path(tile)).unwrap();
    expect(
        &verify(&fixture),
        Verdict::Incomplete,
        None,
        Some(tile),
        "missing",
    );
    let fixture = pruned();
    fixture.edit(&fixture.path(tile), |bytes| bytes[40] ^= 1);
    let report = verify(&fixture);
    expect(
        &report,
        Verdict::Tampered,
        None,
        Some("checkpoint"),
        "another root",
    );
    // With everything above it made to fit, the root still tells.
    let fixture = pruned();
    fixture.edit(&fixture.path(tile), |bytes| bytes.fill(7));
    assert_eq!(verify(&fixture).verdict, Verdict::Tampered);
}

#[test]
fn records_that_were_too_young() {
    let fixture = pruned();
    let with = |days: u64| {
        let options = VerifyOptions {
            min_retention: Some(Duration::from_secs(days * 86_400)),
            ..running()
        };
        fixture.verify_with(&vkey(), &options)
    };
    assert_eq!(with(10).verdict, Verdict::Ok);
    let file = Some("2024-10-07-000.jsonl");
    let record = Some(SEALED + UNSEALED);
    expect(
        &with(11),
        Verdict::Tampered,
        record,
        file,
        "records 0 up to 300 were removed when",
    );
}

/// A record that somebody kept is still provable when its segment is gone.
#[test]
fn a_pruned_record_kept_elsewhere_still_has_a_proof() {
    let fixture = Fixture::sealed();
    let (seq, record) = Reader::new(fixture.dir.log())
        .records_from(7)
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(seq, 7);
    prune(&fixture, 0, KEPT);
    let note = fs::read(fixture.path("checkpoint")).unwrap();
    let checkpoint = SignedCheckpoint::parse(&note).unwrap();
    let size = checkpoint.unverified().size();
    let hashes = inclusion_proof(&TileHashes::new(fixture.dir.log(), size), seq, size).unwrap();
    let proof = TlogProof::new(seq, hashes, checkpoint).unwrap();
    proof.verify(&record, &vkey()).unwrap();
    assert!(proof.verify(b"another record", &vkey()).is_err());
}
