#![cfg(test)]
//! A change of the key: whoever trusts one of the two keys can follow, nobody can sign on with the old one,
//! and no crash leaves a log that neither can continue.

use std::path::Path;
use std::sync::Arc;

use tacho_event::Timestamp;
use tacho_log::checkpoint::SignedCheckpoint;
use tacho_log::disk::{AfterCrash, Disk, Fault, FaultyDisk, RealDisk};
use tacho_log::key::{SigningKey, VerifyingKey};
use tacho_log::verify::{KeyPolicy, Report, Verdict, VerifyOptions, verify};
use tacho_log::{DataDir, Log, LogDir, LogOptions, OpenError, RotateError, WriterLock};

fn key(seed: u8) -> SigningKey {
    SigningKey::generate("tacho.local/rotation", [seed; 32]).unwrap()
}

fn vkey(seed: u8) -> VerifyingKey {
    key(seed).verifying_key().clone()
}

fn now() -> Timestamp {
    Timestamp::from_unix_nanos(20_000 * 86_400_000_000_000)
}

fn body(n: u32) -> String {
    format!(r#"{{"id":"01970000-0000-7000-8000-{n:012}","type":"heartbeat"}}"#)
}

fn rotated(n: u32, old: u8, new: u8) -> String {
    let (old, new) = (vkey(old).encode(), vkey(new).encode());
    format!(
        r#"{{"id":"01970000-0000-7000-8000-{n:012}","type":"key_rotated","details":{{"keys":{{"old":"{old}","new":"{new}"}}}}}}"#
    )
}

fn lock(dir: &DataDir) -> WriterLock {
    dir.lock().unwrap()
}

type Opened = Result<Log, OpenError>;

fn open(disk: Arc<dyn Disk>, dir: &DataDir, seed: u8) -> Opened {
    let lock = lock(dir);
    let opened = Log::open(
        disk,
        dir,
        lock,
        key(seed),
        LogOptions::default(),
        &mut |_, _| {},
    );
    opened.map(|(log, _)| log)
}

fn append(log: &mut Log, n: u32) {
    log.append(body(n).as_bytes(), now()).unwrap();
    log.commit().unwrap();
}

struct Fixture {
    _temp: tempfile::TempDir,
    dir: DataDir,
}

impl Fixture {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("data")).unwrap();
        Self { _temp: temp, dir }
    }

    /// Ten records, key 1 up to five, key 2 up to eight, then key 3. Keeps the checkpoints of three and ten.
    fn rotated() -> (Self, String) {
        let fixture = Self::new();
        let mut log = fixture.open(1).unwrap();
        for n in 0..3 {
            append(&mut log, n);
        }
        let early = log.seal().unwrap().encode();
        append(&mut log, 3);
        log.rotate(rotated(4, 1, 2).as_bytes(), now(), key(2))
            .unwrap();
        append(&mut log, 5);
        log.seal().unwrap();
        append(&mut log, 6);
        log.rotate(rotated(7, 2, 3).as_bytes(), now(), key(3))
            .unwrap();
        append(&mut log, 8);
        append(&mut log, 9);
        log.seal().unwrap();
        (fixture, early)
    }

    fn open(&self, seed: u8) -> Result<Log, OpenError> {
        open(Arc::new(RealDisk), &self.dir, seed)
    }

    fn verify(&self, keys: impl Into<KeyPolicy>) -> Report {
        verify(self.dir.log(), keys, &VerifyOptions::default())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an intruder cares little for durability"
    )]
    fn replace(&self, file: &str, edit: impl FnOnce(String) -> String) {
        let path = self.dir.log().root().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, edit(text)).unwrap();
    }
}

#[test]
fn whoever_trusts_one_of_the_keys_can_follow() {
    let (fixture, early) = Fixture::rotated();
    for seed in 1..=3 {
        let report = fixture.verify(vkey(seed));
        assert_eq!(report.verdict, Verdict::Ok, "key {seed}: {report:#?}");
        assert_eq!(report.key, vkey(3).encode());
        assert_eq!(report.checkpoint_size, Some(10));
        let known = VerifyOptions {
            known: Some(early.clone().into_bytes()),
            ..VerifyOptions::default()
        };
        let report = verify(fixture.dir.log(), vkey(seed), &known);
        assert_eq!(report.verdict, Verdict::Ok, "key {seed}: {report:#?}");
    }
    assert_eq!(fixture.verify(vkey(4)).verdict, Verdict::Tampered);

    let lines = |intervals: [&str; 3]| {
        let line = |(seed, interval)| format!("{} {interval}\n", vkey(seed).encode());
        let text: String = (1..).zip(intervals).map(line).collect();
        fixture.verify(KeyPolicy::parse(&text).unwrap()).verdict
    };
    assert_eq!(lines(["0 5", "5 8", "8"]), Verdict::Ok);
    assert_eq!(
        lines(["0 5", "5 8", "8 9"]),
        Verdict::Tampered,
        "key 3 ended"
    );
    assert_eq!(
        lines(["0 5", "5 8", "11"]),
        Verdict::Tampered,
        "key 3 came later"
    );
}

#[test]
fn a_retired_key_signs_no_more() {
    let (fixture, _) = Fixture::rotated();
    for seed in [1, 2, 4] {
        let error = fixture.open(seed).unwrap_err();
        assert!(
            matches!(error, OpenError::RetiredKey { size: 8 }),
            "{error}"
        );
    }
    let mut log = fixture.open(3).unwrap();
    for seed in [3, 1] {
        let other = if seed == 3 {
            key(3)
        } else {
            SigningKey::generate("other", [1; 32]).unwrap()
        };
        let refused = log.rotate(rotated(9, 3, seed).as_bytes(), now(), other);
        assert!(matches!(refused, Err(RotateError::WrongKey(_))));
    }
    assert_eq!(log.size(), 10, "a refused change leaves no record");
    drop(log);

    // The thief of a retired key publishes a checkpoint that would be in order.
    fixture.replace("checkpoint", |good| {
        let good = SignedCheckpoint::parse(good.as_bytes()).unwrap();
        let forged = SignedCheckpoint::sign(good.unverified(), &key(2)).unwrap();
        forged.encode()
    });
    let report = fixture.verify(vkey(2));
    assert_eq!(report.verdict, Verdict::Tampered);
    let what = &report.findings[0].what;
    assert!(what.contains("not valid for a log of 10 records"), "{what}");
}

#[test]
fn a_change_must_be_proved() {
    type Edit = fn(String) -> String;
    let edits: [(&str, Edit); 4] = [
        ("the index", |proof| proof.replace("index 7", "index 6")),
        ("one signature", |proof| {
            let (rest, _) = proof.trim_end().rsplit_once('\n').unwrap();
            format!("{rest}\n")
        }),
        ("the record", |proof| {
            let at = proof.find("extra ").unwrap() + 60;
            let mut bytes = proof.into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        }),
        ("everything", |_| "no proof".to_owned()),
    ];
    for (what, edit) in edits {
        let (fixture, _) = Fixture::rotated();
        fixture.replace("rotations/8.tlog-proof", edit);
        for seed in 1..=3 {
            let report = fixture.verify(vkey(seed));
            assert_eq!(report.verdict, Verdict::Tampered, "{what}, key {seed}");
        }
        let error = fixture.open(3).unwrap_err();
        assert!(
            matches!(error, OpenError::Rotation { .. }),
            "{what}: {error}"
        );
    }
    for (gone, verdicts) in [
        (
            "rotations/8.tlog-proof",
            [Verdict::Tampered, Verdict::Tampered, Verdict::Incomplete],
        ),
        (
            "rotations/5.tlog-proof",
            [Verdict::Tampered, Verdict::Incomplete, Verdict::Incomplete],
        ),
    ] {
        let (fixture, _) = Fixture::rotated();
        std::fs::remove_file(fixture.dir.log().root().join(gone)).unwrap();
        for (seed, verdict) in (1..).zip(verdicts) {
            let report = fixture.verify(vkey(seed));
            assert_eq!(report.verdict, verdict, "{gone}, key {seed}: {report:#?}");
        }
    }
}

/// Every file operation fails in every way, or is the last one before a crash.
#[test]
fn no_crash_leaves_a_log_without_a_key() {
    let fixture = Fixture::new();
    let dir = &fixture.dir;
    let session = |disk: &FaultyDisk| -> Option<bool> {
        let mut log = open(Arc::new(disk.clone()), dir, 1).ok()?;
        for n in 0..3 {
            log.append(body(n).as_bytes(), now()).ok()?;
            log.commit().ok()?;
        }
        log.seal().ok()?;
        log.append(body(3).as_bytes(), now()).ok()?;
        log.commit().ok()?;
        let rotation = log.rotate(rotated(4, 1, 2).as_bytes(), now(), key(2));
        let done = rotation.is_ok() && !disk.crashed();
        log.append(body(5).as_bytes(), now()).ok();
        log.commit().ok();
        log.seal().ok();
        Some(done)
    };
    let sound = FaultyDisk::new(dir.root());
    assert_eq!(session(&sound), Some(true));
    let faults = [
        Fault::Before,
        Fault::Half,
        Fault::After,
        Fault::Crash,
        Fault::CrashAfter,
    ];
    let ends = [
        AfterCrash::ProcessDied,
        AfterCrash::OnlyDurable,
        AfterCrash::Mixed(1),
        AfterCrash::Mixed(2),
    ];
    let mut broken_off = 0;
    for at in 0..sound.operations() {
        for fault in faults {
            for end in ends {
                let case = format!("operation {at}, {fault:?}, then {end:?}");
                let disk = FaultyDisk::new(dir.root()).failing(at, fault);
                let done = session(&disk);
                broken_off += check(&disk.restart(end), dir, done, &case);
            }
        }
    }
    assert!(broken_off > 0, "no case broke a change off");
}

/// Exactly one key goes on, the new one if the change was reported as done, and the log verifies. Returns
/// 1 when the change was broken off after its record was written.
fn check(disk: &FaultyDisk, dir: &DataDir, done: Option<bool>, case: &str) -> u32 {
    let opened: Vec<_> = [1, 2]
        .into_iter()
        .filter_map(|seed| match open(Arc::new(disk.clone()), dir, seed) {
            Ok(log) => Some((seed, log.size())),
            Err(OpenError::RetiredKey { .. } | OpenError::Checkpoint { .. }) => None,
            Err(error) => panic!("{case}: {error}"),
        })
        .collect();
    // Without a checkpoint any key may begin.
    let unsealed = disk.identity(&dir.log().checkpoint()).is_err();
    assert!(unsealed || opened.len() == 1, "{case}: {opened:?}");
    let (seed, _) = opened[0];
    assert!(
        done != Some(true) || seed == 2,
        "{case}: the change was undone"
    );
    let mut log = open(Arc::new(disk.clone()), dir, seed).unwrap();
    append(&mut log, 9);
    log.seal().unwrap();
    drop(log);

    let copy = tempfile::tempdir().unwrap();
    copy_out(disk, dir.root(), copy.path());
    let log = LogDir::at(&copy.path().join("log")).unwrap();
    let mut broken_off = 0;
    for trusted in 1..=seed {
        let report = verify(&log, vkey(trusted), &VerifyOptions::default());
        if report.verdict == Verdict::Incomplete && seed == 1 {
            assert!(
                report
                    .findings
                    .iter()
                    .all(|one| one.what.contains("the key was changed here"))
            );
            broken_off = 1;
        } else {
            assert_eq!(
                report.verdict,
                Verdict::Ok,
                "{case}, key {trusted}: {report:#?}"
            );
        }
    }
    broken_off
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
