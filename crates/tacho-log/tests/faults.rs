#![cfg(test)]
//! Every file operation of a session fails in every way, or is the last one before a crash. Afterwards
//! the log opens, verifies as a whole, and has everything that was acknowledged.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tacho_event::Timestamp;
use tacho_log::checkpoint::SignedCheckpoint;
use tacho_log::disk::{AfterCrash, Disk as _, Fault, FaultyDisk};
use tacho_log::key::SigningKey;
use tacho_log::verify::{Verdict, VerifyOptions, verify};
use tacho_log::{
    AppendError, CommitError, DataDir, Log, LogDir, LogOptions, OpenError, Recovered, SealError,
    WriterLock, compress_segment,
};

const DAY: u64 = 86_400_000_000_000;

fn key() -> SigningKey {
    SigningKey::generate("tacho.local/faults", [7; 32]).unwrap()
}

fn body(n: u32) -> String {
    format!(
        r#"{{"id":"01970000-0000-7000-8000-{n:012}","timestamp":"2026-11-20T00:00:00.000000000Z","type":"heartbeat","severity":"info","details":{{"n":{n}}}}}"#
    )
}

fn lock(dir: &DataDir) -> WriterLock {
    dir.lock().unwrap()
}

type Opened = Result<(Log, Recovered), OpenError>;

fn open(disk: &FaultyDisk, dir: &DataDir, visit: &mut dyn FnMut(u64, &[u8])) -> Opened {
    let lock = lock(dir);
    let options = LogOptions {
        segment_bytes: 1_000,
        visit_from: 0,
        ..LogOptions::default()
    };
    Log::open(Arc::new(disk.clone()), dir, lock, key(), options, visit)
}

/// What the outside was told.
#[derive(Default)]
struct Told {
    next: u32,
    acknowledged: BTreeMap<u64, String>,
    refused: Vec<String>,
    /// Sizes that were signed, and the root of each.
    signed: BTreeMap<u64, String>,
    /// The size of the newest checkpoint that was published.
    published: u64,
}

impl Told {
    fn signed(&mut self, checkpoint: &SignedCheckpoint) {
        let checkpoint = checkpoint.unverified();
        let root = checkpoint.root().to_string();
        let before = self.signed.insert(checkpoint.size(), root.clone());
        assert!(
            before.is_none_or(|before| before == root),
            "two roots of one size were signed"
        );
    }
}

/// What a recorder does in its life, again and again: it goes on after every error that it may go on
/// after, and opens the log anew after the others.
struct Session<'a> {
    disk: &'a FaultyDisk,
    dir: &'a DataDir,
    log: Option<Log>,
    told: Told,
}

impl Session<'_> {
    fn run(&mut self) {
        for (day, batch) in [(0, 3), (0, 2), (0, 1), (1, 2), (1, 4), (0, 3), (2, 1)] {
            self.batch(day, batch);
            if batch != 2 {
                self.seal();
            }
            if batch == 4 {
                self.compress();
            }
            if batch == 1 {
                self.log = None;
            }
        }
    }

    fn log(&mut self) -> Option<&mut Log> {
        // As often as a recorder is started by its sources.
        for _ in 0..3 {
            if self.log.is_none() && !self.disk.crashed() {
                match open(self.disk, self.dir, &mut |_, _| {}) {
                    Ok((log, _)) => self.log = Some(log),
                    Err(error) => assert!(matches!(error, OpenError::Io { .. }), "{error}"),
                }
            }
        }
        self.log.as_mut().filter(|_| !self.disk.crashed())
    }

    fn batch(&mut self, day: u64, records: u32) {
        let first = self.told.next;
        self.told.next += records;
        let now = Timestamp::from_unix_nanos((20_000 + day) * DAY);
        let mut taken = BTreeMap::new();
        for n in first..first + records {
            let Some(log) = self.log() else { return };
            match log.append(body(n).as_bytes(), now) {
                Ok(seq) => {
                    taken.insert(seq, body(n));
                }
                Err(AppendError::CommitFirst) => {
                    self.commit(std::mem::take(&mut taken));
                    let Some(log) = self.log() else { return };
                    taken.insert(log.append(body(n).as_bytes(), now).unwrap(), body(n));
                }
                Err(error) => panic!("{error}"),
            }
        }
        self.commit(taken);
    }

    fn commit(&mut self, taken: BTreeMap<u64, String>) {
        let Some(log) = self.log() else { return };
        let committed = log.commit();
        if self.disk.crashed() {
            return;
        }
        match committed {
            Ok(()) => self.told.acknowledged.extend(taken),
            Err(CommitError::Fatal { .. }) => self.log = None,
            Err(CommitError::Write { .. }) => self.told.refused.extend(taken.into_values()),
            Err(error @ CommitError::Replaced { .. }) => panic!("{error}"),
        }
    }

    fn seal(&mut self) {
        let Some(log) = self.log() else { return };
        match log.seal() {
            Ok(checkpoint) => {
                self.told.signed(&checkpoint);
                self.told.published = checkpoint.unverified().size();
            }
            Err(SealError::Write { .. }) => {}
            Err(error) => assert!(self.disk.crashed(), "{error}"),
        }
    }

    fn compress(&mut self) {
        let disk = self.disk.clone();
        let Some(log) = self.log() else { return };
        for segment in log.closed_segments() {
            let compressed = compress_segment(&disk, &segment);
            drop(compressed);
        }
    }
}

/// The files of the logs that were verified already.
type Verified = RefCell<BTreeSet<Vec<(PathBuf, Vec<u8>)>>>;

/// The whole-state check: everything that may be asked of a log after whatever happened to it.
fn check(disk: &FaultyDisk, dir: &DataDir, told: &Told, verified: &Verified, case: &str) {
    let mut found = BTreeMap::new();
    let opened = open(disk, dir, &mut |seq, record| {
        found.insert(seq, String::from_utf8(record.to_vec()).unwrap());
    });
    let (mut log, recovered) = opened.unwrap_or_else(|error| panic!("{case}: {error}: {error:?}"));
    assert_eq!(found.len() as u64, recovered.size, "{case}");
    assert!(
        recovered.checkpoint_size >= told.published,
        "{case}: a published checkpoint is gone"
    );
    for (seq, body) in &told.acknowledged {
        let expected = body.replacen('{', &format!("{{\"v\":1,\"seq\":{seq},"), 1);
        assert_eq!(
            found.get(seq),
            Some(&expected),
            "{case}: acknowledged record {seq}"
        );
    }
    for body in &told.refused {
        let members = body.strip_prefix('{').unwrap();
        assert!(
            !found.values().any(|record| record.ends_with(members)),
            "{case}: refused {body}"
        );
    }
    // It goes on, and nothing that was signed is signed otherwise.
    let mut signed = Told {
        signed: told.signed.clone(),
        ..Told::default()
    };
    if let Some(checkpoint) = log.checkpoint() {
        signed.signed(checkpoint);
    }
    signed.signed(&log.seal().unwrap());
    let now = Timestamp::from_unix_nanos(20_009 * DAY);
    log.append(body(999_999).as_bytes(), now).unwrap();
    log.commit().unwrap();
    signed.signed(&log.seal().unwrap());
    let closed = log.closed_segments();
    drop(log);

    // What opening took over is as durable as what it wrote itself.
    let (log, again) = open(&disk.restart(AfterCrash::OnlyDurable), dir, &mut |_, _| {})
        .unwrap_or_else(|error| panic!("{case}, then the power failed: {error}"));
    assert_eq!(
        (again.size, again.checkpoint_size),
        (recovered.size + 1, recovered.size + 1)
    );
    drop(log);
    for segment in closed {
        compress_segment(disk, &segment).unwrap();
    }

    // Most ends are alike; each is verified once.
    let files = disk.files();
    if !verified.borrow_mut().insert(files) {
        return;
    }
    let copy = tempfile::tempdir().unwrap();
    copy_out(disk, dir.root(), copy.path());
    let log = LogDir::at(&copy.path().join("log")).unwrap();
    let report = verify(&log, key().verifying_key(), &VerifyOptions::default());
    assert_eq!(report.verdict, Verdict::Ok, "{case}: {report:#?}");
    assert_eq!(report.records, recovered.size + 1, "{case}");
    assert_eq!(report.checkpoint_size, Some(report.records), "{case}");
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

/// Runs the session on a disk that `prepare` has made fail, and checks what each kind of end leaves.
/// Of the real directory only the lock is used.
fn check_session(place: &Place, prepare: impl Fn(FaultyDisk) -> FaultyDisk, case: &str) -> u64 {
    let Place { dir, verified, .. } = place;
    let disk = prepare(FaultyDisk::new(dir.root()));
    let mut session = Session {
        disk: &disk,
        dir,
        log: None,
        told: Told::default(),
    };
    session.run();
    let told = std::mem::take(&mut session.told);
    drop(session);
    let ends = [AfterCrash::ProcessDied, AfterCrash::OnlyDurable]
        .into_iter()
        .chain((1..=3).map(AfterCrash::Mixed));
    for end in ends {
        check(
            &disk.restart(end),
            dir,
            &told,
            verified,
            &format!("{case}, then {end:?}"),
        );
    }
    disk.operations()
}

struct Place {
    _temp: tempfile::TempDir,
    dir: DataDir,
    verified: Verified,
}

fn place() -> Place {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::create(&temp.path().join("data")).unwrap();
    Place {
        _temp: temp,
        dir,
        verified: Verified::default(),
    }
}

#[test]
fn a_session_without_faults() {
    let place = place();
    let operations = check_session(&place, |disk| disk, "no fault");
    assert!(operations > 150, "{operations}");
}

#[test]
fn every_operation_fails_in_every_way() {
    let place = place();
    let operations = check_session(&place, |disk| disk, "no fault");
    for at in 0..operations {
        for fault in [
            Fault::Before,
            Fault::Half,
            Fault::After,
            Fault::Crash,
            Fault::CrashAfter,
        ] {
            check_session(
                &place,
                |disk| disk.failing(at, fault),
                &format!("operation {at}, {fault:?}"),
            );
        }
    }
}

/// The kernel's copy of a file whose sync failed is not trusted with more records.
#[test]
fn after_a_failed_sync_a_new_segment_begins() {
    let Place { dir, .. } = &place();
    let disk = FaultyDisk::new(dir.root());
    let (mut log, _) = open(&disk, dir, &mut |_, _| {}).unwrap();
    let now = Timestamp::from_unix_nanos(20_000 * DAY);
    for (n, names) in [(0, 1), (1, 1), (2, 2)] {
        if n == 1 {
            // The look at the name, the write, the sync.
            drop(disk.clone().failing(disk.operations() + 2, Fault::Before));
            log.append(body(9).as_bytes(), now).unwrap();
            assert!(matches!(log.commit(), Err(CommitError::Write { .. })));
            continue;
        }
        log.append(body(n).as_bytes(), now).unwrap();
        log.commit().unwrap();
        assert_eq!(disk.list(&dir.log().segments()).unwrap().len(), names);
    }
    assert_eq!(log.committed(), 2);
}

/// What puts one failure right may fail as well.
#[test]
fn two_operations_fail() {
    let place = place();
    let operations = check_session(&place, |disk| disk, "no fault");
    for at in 0..operations {
        for after in [1, 2, 3] {
            let faults = |disk: FaultyDisk| {
                disk.failing(at, Fault::Half)
                    .failing(at + after, Fault::Half)
            };
            check_session(
                &place,
                faults,
                &format!("operations {at} and {}", at + after),
            );
        }
        let then_crash = |disk: FaultyDisk| {
            disk.failing(at, Fault::Half)
                .failing(at + 1, Fault::CrashAfter)
        };
        check_session(&place, then_crash, &format!("operation {at}, then a crash"));
    }
}

/// A full or dead disk.
#[test]
fn everything_fails_from_some_moment_on() {
    let place = place();
    let operations = check_session(&place, |disk| disk, "no fault");
    for at in 0..operations {
        check_session(
            &place,
            |disk| disk.failing_from(at),
            &format!("from operation {at} on"),
        );
    }
}
