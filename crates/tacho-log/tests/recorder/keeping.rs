//! Bodies kept as evidence, on a disk that takes its time.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tacho_event::{Level, Stage};
use tacho_log::disk::{Disk, DiskFile, Identity, RealDisk};
use tacho_log::evidence::{EvidenceStore, Kept};
use tacho_log::recipients::{Identities, Recipients};
use tacho_log::{Patience, RecordError};

use super::{Running, Source, durable, until};

/// How long a new file takes.
const SLOW: Duration = Duration::from_millis(400);

#[derive(Debug)]
struct SlowDisk {
    /// Or it fails instead.
    full: bool,
}

impl Disk for SlowDisk {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.make_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        std::thread::sleep(SLOW);
        RealDisk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open(path)
    }

    fn read_from(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        RealDisk.read_from(path, offset)
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        RealDisk.identity(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        RealDisk.unlink(path)
    }
}

fn start(server: &Running, full: bool) -> (Source, Identities) {
    let (text, recipient) = Identities::generate();
    let recipients = Arc::new(Recipients::parse(&[recipient]).unwrap());
    let disk = Arc::new(SlowDisk { full });
    let store = EvidenceStore::new(disk, server.dir.log().clone(), recipients);
    let source = Source::start_with(server.dir.socket(), 1, Some(store));
    (source, Identities::parse(&text).unwrap())
}

/// Nobody but who waits for the record waits for the body: no mode, and no limit of one, is at the mercy of the disk.
#[test]
fn a_slow_body_holds_up_no_caller() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path());
    let (mut source, identities) = start(&server, false);
    // The worker has its key, and is asleep.
    let mut event = source.event(Stage::Single);
    event.args = None;
    durable(source.recorder.record(event, Patience::Wait));
    for patience in [
        Patience::Never,
        Patience::UpTo(Duration::from_millis(20)),
        Patience::Wait,
    ] {
        std::thread::sleep(Duration::from_millis(100));
        let mut event = source.event(Stage::Single);
        event.level = Some(Level::RequestResponse);
        let begun = Instant::now();
        let ticket = source.recorder.record(event, patience);
        let took = begun.elapsed();
        assert!(took < SLOW / 2, "{patience:?}: {took:?}");
        let late = source.event(Stage::Single);
        let deadline = Instant::now() + Duration::from_millis(20);
        let waited = source
            .recorder
            .record(late, Patience::UpTo(SLOW))
            .wait(Some(deadline));
        assert_eq!(waited.unwrap_err(), RecordError::Deadline);
        durable(ticket);
    }
    let kept = || {
        server
            .records()
            .iter()
            .flat_map(Kept::of)
            .collect::<Vec<_>>()
    };
    until("three bodies", || kept().len() == 3);
    for kept in kept() {
        let mut bytes = Vec::new();
        kept.open(server.dir.log(), &identities, &mut bytes)
            .unwrap();
        assert_eq!(bytes, br#"{"path":"a"}"#);
    }
    assert_eq!(source.threads.close(Duration::from_secs(5)), 0);
    server.stop();
}

/// No body, no record: refused with the reason, and counted.
#[test]
fn a_body_that_cannot_be_kept_loses_its_record() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path());
    let (mut source, _) = start(&server, true);
    let mut event = source.event(Stage::Single);
    event.level = Some(Level::RequestResponse);
    let id = event.id.to_string();
    let lost = source.recorder.record(event, Patience::Wait).wait(None);
    let why = lost.unwrap_err().to_string();
    assert!(
        why.starts_with("args could not be kept as evidence"),
        "{why}"
    );
    // What is not kept whole is recorded as before.
    let other = source.event(Stage::Single);
    durable(source.recorder.record(other, Patience::Wait));
    until("the gap", || {
        server.records().iter().any(|record| record.kind == "gap")
    });
    assert!(server.records().iter().all(|record| record.id != id));
    source.threads.close(Duration::from_secs(5));
    server.stop();
}
