#![cfg(test)]
//! Closed segments encrypted to auditors: read with an identity, and checked by their hashes without.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use tacho_event::Timestamp;
use tacho_log::disk::{AfterCrash, Disk as _, Fault, FaultyDisk, RealDisk};
use tacho_log::reader::{ReadError, Reader};
use tacho_log::recipients::{Identities, Recipients};
use tacho_log::retention::{Protected, Retention};
use tacho_log::verify::{Report, Verdict, VerifyOptions, verify};
use tacho_log::{Log, LogDir, LogOptions, OpenError, encrypt_closed, survey};

#[path = "tamper/fixture.rs"]
#[expect(dead_code, reason = "tamper.rs uses the rest")]
mod fixture;

use fixture::{DAY, Fixture, SEALED, UNSEALED, expect, key, vkey};

const FIRST: &str = "2024-10-04-000.0-150.jsonl.zst.age";
const SECOND: &str = "2024-10-05-000.150-300.jsonl.zst.age";

struct Keys {
    recipients: Recipients,
    ours: Arc<Identities>,
    theirs: Arc<Identities>,
}

fn keys() -> Keys {
    let identity = age::x25519::Identity::generate();
    let other = age::x25519::Identity::generate();
    let read = |identity: &age::x25519::Identity| {
        Arc::new(Identities::parse(identity.to_string().expose_secret()).unwrap())
    };
    Keys {
        recipients: Recipients::parse(&[identity.to_public().to_string()]).unwrap(),
        ours: read(&identity),
        theirs: read(&other),
    }
}

/// The first two of four segments are encrypted.
fn encrypted() -> (Fixture, Keys) {
    let (fixture, keys) = (Fixture::sealed(), keys());
    let left = encrypt_closed(&RealDisk, fixture.dir.log(), &keys.recipients, SEALED).unwrap();
    assert_eq!(left, None);
    (fixture, keys)
}

fn check(fixture: &Fixture, identities: Option<&Arc<Identities>>) -> Report {
    let options = VerifyOptions {
        writer_running: true,
        identities: identities.cloned(),
        ..VerifyOptions::default()
    };
    fixture.verify_with(&vkey(), &options)
}

fn names(fixture: &Fixture) -> Vec<String> {
    let entries = fs::read_dir(fixture.dir.log().segments()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn path(fixture: &Fixture, name: &str) -> std::path::PathBuf {
    fixture.dir.log().segments().join(name)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an intruder cares little for durability"
)]
fn rename(fixture: &Fixture, from: &str, to: &str) {
    fs::rename(path(fixture, from), path(fixture, to)).unwrap();
}

/// What a reader gets: the records, and the ranges that it was told of.
fn read(
    fixture: &Fixture,
    identities: Option<&Arc<Identities>>,
    from: u64,
) -> (Vec<u64>, Vec<(u64, u64)>) {
    let reader = Reader::new(fixture.dir.log()).with_identities(identities.cloned());
    let (mut found, mut passed) = (Vec::new(), Vec::new());
    for record in reader.records_from(from) {
        match record {
            Ok((seq, _)) => found.push(seq),
            Err(ReadError::Encrypted { from, to, .. }) => passed.push((from, to)),
            Err(error) => panic!("{error}"),
        }
    }
    (found, passed)
}

#[test]
fn only_closed_compressed_segments_below_the_last_sealed_record() {
    let fixture = Fixture::sealed();
    let keys = keys();
    let encrypt = |sealed| encrypt_closed(&RealDisk, fixture.dir.log(), &keys.recipients, sealed);
    assert_eq!(encrypt(150).unwrap(), Some(150));
    assert_eq!(encrypt(151).unwrap(), Some(300));
    assert_eq!(encrypt(SEALED).unwrap(), None);
    let plain = ["2024-10-06-000.jsonl", "2024-10-07-000.jsonl"];
    assert_eq!(names(&fixture), [FIRST, SECOND, plain[0], plain[1]]);
}

#[test]
fn read_with_an_identity_and_passed_over_without() {
    let (fixture, keys) = encrypted();
    let size = SEALED + UNSEALED;
    for from in [0, 149, 150, 299, 300, 301] {
        let (found, passed) = read(&fixture, Some(&keys.ours), from);
        assert!(
            found.iter().copied().eq(from..size) && passed.is_empty(),
            "from {from}"
        );
        for identities in [None, Some(&keys.theirs)] {
            let (found, passed) = read(&fixture, identities, from);
            assert!(found.iter().copied().eq(from.max(300)..size), "from {from}");
            let ranges = [(0_u64, 150_u64), (150, 300)];
            let expected = ranges.map(|(first, end)| (first.max(from), end));
            let expected: Vec<_> = expected
                .into_iter()
                .filter(|(first, end)| first < end)
                .collect();
            assert_eq!(passed, expected, "from {from}");
        }
    }
    assert_eq!(Reader::new(fixture.dir.log()).end().unwrap(), size);
}

#[test]
fn verified_as_far_as_hashes_allow() {
    let (fixture, keys) = encrypted();
    let report = check(&fixture, Some(&keys.ours));
    assert_eq!(
        (report.verdict, report.unread),
        (Verdict::Ok, 0),
        "{report:#?}"
    );
    assert_eq!(report.records, SEALED + UNSEALED);
    for identities in [None, Some(&keys.theirs)] {
        let report = check(&fixture, identities);
        assert_eq!(
            (report.verdict, report.unread),
            (Verdict::Ok, 300),
            "{report:#?}"
        );
        assert_eq!(report.records, SEALED + UNSEALED - 300);
        assert_eq!(report.tiles, 4);
    }
    // What can be checked is: a hash of what was not read.
    fixture.edit(&fixture.path("tile/0/000"), |bytes| bytes[40] ^= 1);
    expect(
        &check(&fixture, None),
        Verdict::Tampered,
        None,
        Some("checkpoint"),
        "another root",
    );
    let (fixture, _) = encrypted();
    fs::remove_file(fixture.path("tile/0/000")).unwrap();
    expect(
        &check(&fixture, None),
        Verdict::Incomplete,
        None,
        Some("tile/0/000"),
        "missing",
    );
}

#[test]
fn names_that_lie() {
    for (from, to) in [
        (FIRST, "2024-10-04-000.0-140.jsonl.zst.age"),
        (FIRST, "2024-10-04-000.1-150.jsonl.zst.age"),
        (SECOND, "2024-10-05-000.150-310.jsonl.zst.age"),
        (SECOND, "2024-10-05-000.150-9000.jsonl.zst.age"),
        (SECOND, "2024-10-05-000.0-150.jsonl.zst.age"),
    ] {
        let (fixture, keys) = encrypted();
        rename(&fixture, from, to);
        for identities in [None, Some(&keys.ours)] {
            let report = check(&fixture, identities);
            assert_eq!(report.verdict, Verdict::Tampered, "{to}: {report:#?}");
        }
    }
    // Two that fit each other: nobody sees that without an identity, and nothing was said of the records.
    let (fixture, keys) = encrypted();
    rename(&fixture, FIRST, "2024-10-04-000.0-140.jsonl.zst.age");
    rename(&fixture, SECOND, "2024-10-05-000.140-300.jsonl.zst.age");
    assert_eq!(check(&fixture, None).verdict, Verdict::Ok);
    assert_eq!(check(&fixture, Some(&keys.ours)).verdict, Verdict::Tampered);
}

#[test]
fn damaged_or_removed() {
    for len in [0, 20, 150, usize::MAX] {
        let (fixture, keys) = encrypted();
        // The header has something random in it, so the length is not always the same.
        let size = fs::metadata(path(&fixture, FIRST)).unwrap().len();
        let len = len.min(usize::try_from(size).unwrap() - 1);
        fixture.edit(&path(&fixture, FIRST), |bytes| bytes.truncate(len));
        let report = check(&fixture, Some(&keys.ours));
        assert_eq!(report.verdict, Verdict::Tampered, "{len}: {report:#?}");
        assert!(
            report
                .findings
                .iter()
                .any(|finding| finding.file.as_deref() == Some(FIRST))
        );
        // Without an identity its contents were never looked at, and that is said.
        assert_eq!(check(&fixture, None).unread, 300);
    }
    let (fixture, keys) = encrypted();
    fs::remove_file(path(&fixture, SECOND)).unwrap();
    for identities in [None, Some(&keys.ours)] {
        assert_eq!(check(&fixture, identities).verdict, Verdict::Tampered);
    }
}

#[test]
fn opening_and_retention_go_on_without_an_identity() {
    let (fixture, _) = encrypted();
    for visit_from in [0, 10, u64::MAX] {
        let options = LogOptions {
            visit_from,
            ..LogOptions::default()
        };
        let mut visited = Vec::new();
        let lock = fixture.dir.lock().unwrap();
        let key = key("tacho.local/tamper", 1);
        let mut visit = |seq: u64, _: &[u8]| visited.push(seq);
        let disk = Arc::new(RealDisk);
        let (log, recovered) =
            Log::open(disk, &fixture.dir, lock, key, options, &mut visit).unwrap();
        assert_eq!((recovered.size, log.sealed()), (SEALED + UNSEALED, SEALED));
        let first = visit_from.clamp(300, SEALED);
        assert!(
            visited.into_iter().eq(first..SEALED + UNSEALED),
            "{visit_from}"
        );
    }
    // Segments of the days 0 and 1; the second may have records up to the end of day 2.
    for (days, expected) in [(1, Some(300)), (2, Some(150)), (3, None)] {
        let policy = Retention {
            max_age: Some(Duration::from_nanos(days * DAY)),
            ..Retention::KEEP_ALL
        };
        let now = Timestamp::from_unix_nanos(20_004 * DAY);
        let log = fixture.dir.log();
        let found = survey(&RealDisk, log, &policy, &Protected::default(), SEALED, now).unwrap();
        assert_eq!(found.map(|pruning| pruning.to), expected, "{days} days");
    }
    // A name that lies is refused by whoever reads over it.
    rename(&fixture, FIRST, "2024-10-04-000.0-140.jsonl.zst.age");
    let options = LogOptions {
        visit_from: 0,
        ..LogOptions::default()
    };
    let lock = fixture.dir.lock().unwrap();
    let key = key("tacho.local/tamper", 1);
    let opened = Log::open(
        Arc::new(RealDisk),
        &fixture.dir,
        lock,
        key,
        options,
        &mut |_, _| {},
    );
    assert!(
        matches!(opened, Err(OpenError::Damaged { .. })),
        "{opened:?}"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a copy for the verifier need not be durable"
)]
fn copy_out(disk: &FaultyDisk, root: &Path, to: &Path) {
    for (path, bytes) in disk.files() {
        let path = to.join(path.strip_prefix(root).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// At every moment, and after every failure, one form of each segment is whole.
#[test]
fn every_operation_of_encrypting_fails_in_every_way() {
    let (fixture, keys) = (Fixture::sealed(), keys());
    let log = fixture.dir.log();
    // The same log on a disk that fails.
    let base = FaultyDisk::new(fixture.dir.root());
    let mut dirs = vec![log.root().to_owned()];
    while let Some(dir) = dirs.pop() {
        base.make_dir(&dir).unwrap();
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let mut file = base.create(&path).unwrap();
                file.write_at(&fs::read(&path).unwrap(), 0).unwrap();
                file.sync().unwrap();
            }
        }
        base.sync_dir(&dir).unwrap();
        base.sync_dir(dir.parent().unwrap()).unwrap();
    }
    let run = |disk: &FaultyDisk| drop(encrypt_closed(disk, log, &keys.recipients, SEALED));
    let clean = base.restart(AfterCrash::OnlyDurable);
    run(&clean);
    let operations = clean.operations();
    assert!(operations > 30, "{operations}");
    let faults = [
        Fault::Before,
        Fault::Half,
        Fault::After,
        Fault::Crash,
        Fault::CrashAfter,
    ];
    for at in 0..operations {
        for fault in faults {
            let disk = base.restart(AfterCrash::OnlyDurable).failing(at, fault);
            run(&disk);
            for end in [
                AfterCrash::ProcessDied,
                AfterCrash::OnlyDurable,
                AfterCrash::Mixed(at),
            ] {
                let copy = tempfile::tempdir().unwrap();
                copy_out(&disk.restart(end), fixture.dir.root(), copy.path());
                let options = VerifyOptions {
                    writer_running: true,
                    identities: Some(Arc::clone(&keys.ours)),
                    ..VerifyOptions::default()
                };
                let report = verify(&LogDir::at(copy.path()).unwrap(), vkey(), &options);
                let case = format!("operation {at}, {fault:?}, then {end:?}");
                assert_eq!(report.verdict, Verdict::Ok, "{case}: {report:#?}");
                assert_eq!(report.records, SEALED + UNSEALED, "{case}");
            }
        }
    }
}
