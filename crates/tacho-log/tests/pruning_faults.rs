#![cfg(test)]
//! Retention on a disk that fails: every file operation of a pruning fails in every way, or is the last one
//! before a crash. Afterwards the log opens, verifies, and nothing is gone but what the policy lets go.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tacho_event::Timestamp;
use tacho_log::disk::{AfterCrash, Disk as _, Fault, FaultyDisk};
use tacho_log::key::SigningKey;
use tacho_log::retention::{Protected, Retention};
use tacho_log::verify::{Verdict, VerifyOptions, verify};
use tacho_log::{
    CommitError, DataDir, Log, LogDir, LogOptions, OpenError, PruneError, SealError, WriterLock,
    compress_segment, remove_pruned, survey,
};

const DAY: u64 = 86_400_000_000_000;

/// Records of one day, and days; the first three may go.
const RECORDS: u64 = 4;
const DAYS: u64 = 5;
const KEPT: u64 = 3 * RECORDS;

fn key() -> SigningKey {
    SigningKey::generate("tacho.local/pruning", [7; 32]).unwrap()
}

fn day(day: u64) -> Timestamp {
    Timestamp::from_unix_nanos((20_000 + day) * DAY)
}

fn body(n: u64, time: Timestamp) -> String {
    format!(
        r#"{{"id":"01970000-0000-7000-8000-{n:012}","timestamp":"{time}","type":"heartbeat","severity":"info"}}"#
    )
}

fn lock(dir: &DataDir) -> WriterLock {
    dir.lock().unwrap()
}

fn open(disk: &FaultyDisk, dir: &DataDir, found: &mut Vec<u64>) -> Result<Log, OpenError> {
    let options = LogOptions {
        visit_from: 0,
        ..LogOptions::default()
    };
    let disk = Arc::new(disk.clone());
    let mut visit = |seq: u64, _: &[u8]| found.push(seq);
    Ok(Log::open(disk, dir, lock(dir), key(), options, &mut visit)?.0)
}

type Files = Vec<(PathBuf, Vec<u8>)>;

struct Place {
    _temp: tempfile::TempDir,
    dir: DataDir,
    /// A log of five days, one of them compressed, with a body for each day.
    disk: FaultyDisk,
    verified: RefCell<BTreeSet<Files>>,
}

fn place() -> Place {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::create(&temp.path().join("data")).unwrap();
    let disk = FaultyDisk::new(dir.root());
    let mut log = open(&disk, &dir, &mut Vec::new()).unwrap();
    for n in 0..RECORDS * DAYS {
        let now = day(n / RECORDS);
        if log.append(body(n, now).as_bytes(), now).is_err() {
            log.commit().unwrap();
            log.append(body(n, now).as_bytes(), now).unwrap();
        }
    }
    log.commit().unwrap();
    log.seal().unwrap();
    compress_segment(&disk, &log.closed_segments()[0]).unwrap();
    drop(log);
    let evidence = dir.log().evidence();
    disk.make_dir(&evidence).unwrap();
    for n in 0..DAYS {
        let evidence = evidence.join(day(n).day());
        disk.make_dir(&evidence).unwrap();
        let mut file = disk.create(&evidence.join("x.args.age")).unwrap();
        file.write_at(b"x", 0).unwrap();
        file.sync().unwrap();
        disk.sync_dir(&evidence).unwrap();
    }
    disk.sync_dir(&evidence).unwrap();
    disk.sync_dir(dir.log().root()).unwrap();
    Place {
        _temp: temp,
        dir,
        disk,
        verified: RefCell::default(),
    }
}

impl Place {
    /// What a recorder does: opens, looks, records, seals, raises the minimum index, removes; and goes on. After
    /// an error it does the same again at its next look, or in its next life.
    fn run(&self, disk: &FaultyDisk) {
        let mut log = None;
        for _ in 0..3 {
            if disk.crashed() {
                return;
            }
            let opened = match log.take() {
                Some(log) => Ok(log),
                None => open(disk, &self.dir, &mut Vec::new()),
            };
            log = match opened {
                Ok(mut opened) => self.look(disk, &mut opened).then_some(opened),
                Err(error) => {
                    assert!(matches!(error, OpenError::Io { .. }), "{error}");
                    None
                }
            };
        }
    }

    /// One look; `false` when the log has to be opened again.
    fn look(&self, disk: &FaultyDisk, log: &mut Log) -> bool {
        let policy = Retention {
            max_age: Some(Duration::from_nanos(2 * DAY)),
            ..Retention::KEEP_ALL
        };
        let (now, sealed) = (day(DAYS - 1), log.sealed());
        let free = Protected::default();
        // What an earlier look left.
        drop(remove_pruned(disk, self.dir.log()));
        let Ok(Some(pruning)) = survey(disk, self.dir.log(), &policy, &free, sealed, now) else {
            return true;
        };
        assert_eq!(pruning.to, KEPT);
        let record = format!(
            r#"{{"id":"01970000-0000-7000-9000-{:012}","timestamp":"{now}","type":"retention_pruned","severity":"info","details":{{"from":{},"to":{},"newest":"{}","reason":"{}","bytes":{}}}}}"#,
            log.size(),
            pruning.from,
            pruning.to,
            pruning.newest,
            pruning.reason.word(),
            pruning.bytes
        );
        let record = log.append(record.as_bytes(), now).unwrap();
        match log.commit() {
            Ok(()) => {}
            Err(CommitError::Fatal { .. }) => return false,
            Err(CommitError::Write { .. }) => return true,
            Err(error @ CommitError::Replaced { .. }) => panic!("{error}"),
        }
        match log.seal() {
            Ok(_) => {}
            Err(SealError::Write { .. }) => return true,
            Err(error) => panic!("{error}"),
        }
        match log.raise_minimum(pruning.to, record) {
            Ok(()) => drop(remove_pruned(disk, self.dir.log())),
            Err(error @ PruneError::NotSealed { .. }) => panic!("{error}"),
            Err(PruneError::Io { .. }) => {}
        }
        true
    }

    fn check(&self, prepare: impl Fn(FaultyDisk) -> FaultyDisk, case: &str) -> u64 {
        let disk = prepare(self.disk.restart(AfterCrash::OnlyDurable));
        self.run(&disk);
        let ends = [AfterCrash::ProcessDied, AfterCrash::OnlyDurable]
            .into_iter()
            .chain((1..=3).map(AfterCrash::Mixed));
        for end in ends {
            self.check_end(&disk.restart(end), &format!("{case}, then {end:?}"));
        }
        disk.operations()
    }

    fn check_end(&self, disk: &FaultyDisk, case: &str) {
        let mut found = Vec::new();
        let mut log = open(disk, &self.dir, &mut found)
            .unwrap_or_else(|error| panic!("{case}: {error}: {error:?}"));
        let first = found[0];
        assert!(first == 0 || first == KEPT, "{case}: begins with {first}");
        assert!(
            found.iter().copied().eq(first..log.size()),
            "{case}: {found:?}"
        );
        let names = disk.list(&self.dir.log().segments()).unwrap();
        let old = names.iter().any(|name| *name < day(3).day());
        assert_eq!(old, first == 0, "{case}: {names:?}");
        let bodies = disk.list(&self.dir.log().evidence()).unwrap();
        // The day before the oldest record keeps its body, and later ones of course.
        let expected = if first == 0 { DAYS } else { 3 };
        assert_eq!(bodies.len() as u64, expected, "{case}: {bodies:?}");
        // It goes on.
        let now = day(DAYS);
        log.append(body(1_000, now).as_bytes(), now).unwrap();
        log.commit().unwrap();
        log.seal().unwrap();
        drop(log);
        if self.verified.borrow_mut().insert(disk.files()) {
            self.verify(disk, case);
        }
    }

    fn verify(&self, disk: &FaultyDisk, case: &str) {
        let copy = tempfile::tempdir().unwrap();
        copy_out(disk, self.dir.root(), copy.path());
        let log = LogDir::at(&copy.path().join("log")).unwrap();
        let options = VerifyOptions {
            min_retention: Some(Duration::from_nanos(2 * DAY)),
            ..VerifyOptions::default()
        };
        let report = verify(&log, key().verifying_key(), &options);
        assert_eq!(report.verdict, Verdict::Ok, "{case}: {report:#?}");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a copy for the verifier need not be durable"
)]
fn copy_out(disk: &FaultyDisk, root: &Path, to: &Path) {
    for (path, bytes) in disk.files() {
        let path = to.join(path.strip_prefix(root).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

const FAULTS: [Fault; 5] = [
    Fault::Before,
    Fault::Half,
    Fault::After,
    Fault::Crash,
    Fault::CrashAfter,
];

#[test]
fn every_operation_fails_in_every_way() {
    let place = place();
    let operations = place.check(|disk| disk, "no fault");
    assert!(operations > 60, "{operations}");
    for at in 0..operations {
        for fault in FAULTS {
            let case = format!("operation {at}, {fault:?}");
            place.check(|disk| disk.failing(at, fault), &case);
        }
    }
}

#[test]
fn without_faults_the_old_days_go() {
    let place = place();
    let disk = place.disk.restart(AfterCrash::OnlyDurable);
    place.run(&disk);
    let names = disk.list(&place.dir.log().segments()).unwrap();
    assert_eq!(names.len(), 2, "{names:?}");
}

/// A removal that failed fails again when it is finished; a full or dead disk.
#[test]
fn two_operations_fail_and_everything_fails_from_some_moment_on() {
    let place = place();
    let operations = place.check(|disk| disk, "no fault");
    for at in 0..operations {
        let then_crash = |disk: FaultyDisk| {
            disk.failing(at, Fault::Half)
                .failing(at + 1, Fault::CrashAfter)
        };
        place.check(then_crash, &format!("operation {at}, then a crash"));
        place.check(
            |disk| disk.failing_from(at),
            &format!("from operation {at} on"),
        );
    }
}
