//! Keeping a body while the disk fails.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use tacho_event::{Body, Commitment, Timestamp};
use tacho_log::disk::{AfterCrash, Fault, FaultyDisk};
use tacho_log::evidence::EvidenceStore;
use tacho_log::{DataDir, LogDir};

use super::{DAY, Key, body, id};

/// A body that is written in several pieces.
const LARGE: usize = 200_000;

/// Salt and body of a file.
fn decrypted(key: &Key, file: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    key.identities
        .decrypt(Box::new(std::io::Cursor::new(file.to_vec())))
        .ok()?
        .read_to_end(&mut all)
        .ok()?;
    let body = all.split_off(32);
    Some((all, body))
}

fn is_of(commitment: Commitment, salt: &[u8], body: &[u8]) -> bool {
    Commitment::to(salt.try_into().unwrap(), body) == commitment
}

/// Every operation of keeping three bodies on two days fails in every way, or is the last one.
#[test]
fn what_was_kept_is_whole_whatever_fails() {
    let key = Key::new();
    let temp = tempfile::tempdir().unwrap();
    let log = DataDir::create(&temp.path().join("data"))
        .unwrap()
        .log()
        .clone();
    let texts = [vec![b'a'; 10], vec![b'b'; LARGE], vec![b'c'; 300]];
    let session = |disk: &FaultyDisk| {
        let mut store =
            EvidenceStore::new(Arc::new(disk.clone()), log.clone(), key.recipients.clone());
        let mut told = Vec::new();
        for (n, text) in (1..).zip(&texts) {
            let time = Timestamp::from_unix_nanos((20_000 + u64::from(n / 2)) * DAY);
            if let Ok(commitment) = store.keep(id(n), time, Body::Result, &body(text)) {
                told.push((n, time.day(), commitment));
            }
        }
        told
    };
    let disk = FaultyDisk::new(log.root());
    assert_eq!(session(&disk).len(), 3);
    let operations = disk.operations();
    for at in 0..operations {
        for fault in [
            Fault::Before,
            Fault::Half,
            Fault::After,
            Fault::Crash,
            Fault::CrashAfter,
        ] {
            let disk = FaultyDisk::new(log.root()).failing(at, fault);
            let told = session(&disk);
            assert!(
                disk.crashed() || told.len() >= 2,
                "{at} {fault:?}: one fault loses one body"
            );
            for after in [
                AfterCrash::ProcessDied,
                AfterCrash::OnlyDurable,
                AfterCrash::Mixed(at),
            ] {
                let files = disk.restart(after).files();
                check_files(
                    &key,
                    &log,
                    &texts,
                    &told,
                    &files,
                    &format!("{at} {fault:?} {after:?}"),
                );
            }
        }
    }
}

fn check_files(
    key: &Key,
    log: &LogDir,
    texts: &[Vec<u8>],
    told: &[(u8, String, Commitment)],
    files: &[(PathBuf, Vec<u8>)],
    when: &str,
) {
    for (n, day, commitment) in told {
        let path = log
            .evidence()
            .join(day)
            .join(format!("{}.result.age", id(*n)));
        let file = files.iter().find(|(found, _)| *found == path);
        let (_, file) = file.unwrap_or_else(|| panic!("{when}: body {n} is gone"));
        let (salt, body) =
            decrypted(key, file).unwrap_or_else(|| panic!("{when}: body {n} is damaged"));
        assert!(
            body == texts[usize::from(*n) - 1] && is_of(*commitment, &salt, &body),
            "{when}: body {n}"
        );
    }
    for (path, bytes) in files {
        let whole = path.extension().is_some_and(|end| end == "age");
        assert!(
            !whole || decrypted(key, bytes).is_some(),
            "{when}: {} is not whole",
            path.display()
        );
        for text in texts {
            let plain = text.get(..10).unwrap();
            let shown = bytes.windows(10).any(|window| window == plain);
            assert!(!shown, "{when}: {} has plain bytes", path.display());
        }
    }
}

/// A full disk: nothing is left of what did not fit, and there is room again for what comes.
#[test]
fn what_does_not_fit_leaves_nothing() {
    let key = Key::new();
    let temp = tempfile::tempdir().unwrap();
    let log = DataDir::create(&temp.path().join("data"))
        .unwrap()
        .log()
        .clone();
    for at in 4..8 {
        let disk = FaultyDisk::new(log.root()).failing(at, Fault::Half);
        let mut store =
            EvidenceStore::new(Arc::new(disk.clone()), log.clone(), key.recipients.clone());
        let time = Timestamp::from_unix_nanos(20_000 * DAY);
        let kept = store.keep(id(1), time, Body::Args, &body(&[1; LARGE]));
        let error = kept.unwrap_err().to_string();
        assert!(
            error.starts_with("args could not be kept as evidence in "),
            "{error}"
        );
        assert_eq!(disk.files(), [], "operation {at}");
        store.keep(id(1), time, Body::Args, &body(b"{}")).unwrap();
    }
}
