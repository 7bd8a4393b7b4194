#![cfg(test)]
//! Bodies kept outside the records: what is written is whole, encrypted and durable, whatever fails; and what a
//! verifier makes of what it finds.

#[path = "evidence/faults.rs"]
mod faults;
#[path = "tamper/fixture.rs"]
#[expect(dead_code, reason = "also has what other tests need")]
mod fixture;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fixture::{Fixture, expect, vkey};
use tacho_event::{Body, EventId, Timestamp, Unredacted};
use tacho_log::disk::{Disk as _, RealDisk};
use tacho_log::evidence::{EvidenceStore, Kept, OpenError, State};
use tacho_log::recipients::{DecryptError, Identities, Recipients};
use tacho_log::verify::{Verdict, VerifyOptions};

const DAY: u64 = 86_400_000_000_000;

struct Key {
    recipients: Arc<Recipients>,
    identities: Arc<Identities>,
}

impl Key {
    fn new() -> Self {
        let (text, recipient) = Identities::generate();
        Self {
            recipients: Arc::new(Recipients::parse(&[recipient]).unwrap()),
            identities: Arc::new(Identities::parse(&text).unwrap()),
        }
    }
}

fn id(n: u8) -> EventId {
    EventId::from_bytes([n; 16])
}

fn body(bytes: &[u8]) -> Unredacted<Bytes> {
    Unredacted::new(Bytes::copy_from_slice(bytes))
}

/// A log with one body for each of two records, as long as each other.
struct Log {
    fixture: Fixture,
    key: Key,
    kept: [Kept; 2],
}

const TEXTS: [&[u8]; 2] = [b"{\"first\": 1}", b"{\"second\":2}"];

impl Log {
    fn new() -> Self {
        let (fixture, key) = (Fixture::new(), Key::new());
        let log = fixture.dir.log().clone();
        let mut store = EvidenceStore::new(Arc::new(RealDisk), log, key.recipients.clone());
        let time = Timestamp::from_unix_nanos(20_000 * DAY);
        let mut writer = fixture.open();
        let kept = [1, 2].map(|n| {
            let text = TEXTS[usize::from(n) - 1];
            let commitment = store.keep(id(n), time, Body::Args, &body(text)).unwrap();
            let bytes = text.len();
            let record = format!(
                r#"{{"id":"{}","timestamp":"{time}","type":"mcp_notification","severity":"info","evidence":{{"args":{{"commitment":"{commitment}","bytes":{bytes}}}}}}}"#,
                id(n)
            );
            let seq = writer.append(record.as_bytes(), time).unwrap();
            let bytes = u64::try_from(bytes).unwrap();
            Kept { seq, id: id(n), day: time.day(), body: Body::Args, bytes, commitment }
        });
        writer.commit().unwrap();
        writer.seal().unwrap();
        drop(writer);
        Self { fixture, key, kept }
    }

    fn append(&self, record: &str, sealed: bool) {
        let mut writer = self.fixture.open();
        let time = Timestamp::from_unix_nanos(20_000 * DAY);
        writer.append(record.as_bytes(), time).unwrap();
        writer.commit().unwrap();
        if sealed {
            writer.seal().unwrap();
        }
    }

    fn erased(&self, n: usize) -> String {
        let kept = &self.kept[n];
        format!(
            r#"{{"id":"{}","timestamp":"2024-10-04T00:00:00.000000000Z","type":"evidence_erased","severity":"info","details":{{"record":"{}","day":"{}","member":"args","reason":"asked for"}}}}"#,
            id(9),
            kept.id,
            kept.day
        )
    }

    fn path(&self, n: usize) -> PathBuf {
        self.kept[n].path(self.fixture.dir.log())
    }

    fn remove(&self, n: usize) {
        RealDisk.unlink(&self.path(n)).unwrap();
    }

    fn verify(&self, identities: Option<&Arc<Identities>>) -> tacho_log::verify::Report {
        let options = VerifyOptions {
            identities: identities.cloned(),
            ..VerifyOptions::default()
        };
        self.fixture.verify_with(&vkey(), &options)
    }

    fn open(&self, n: usize) -> Result<Vec<u8>, OpenError> {
        let mut out = Vec::new();
        let log = self.fixture.dir.log();
        self.kept[n]
            .open(log, &self.key.identities, &mut out)
            .map(|()| out)
    }
}

#[test]
fn what_is_there_is_counted_and_checked() {
    let log = Log::new();
    assert_eq!(log.open(0).unwrap(), TEXTS[0]);
    assert_eq!(
        log.kept[0].state(log.fixture.dir.log()).unwrap(),
        State::There
    );
    for identities in [None, Some(&log.key.identities)] {
        let report = log.verify(identities);
        assert_eq!(report.verdict, Verdict::Ok, "{report:#?}");
        let checked = if identities.is_some() { 2 } else { 0 };
        let evidence = report.evidence;
        assert_eq!(
            (evidence.kept, evidence.checked, evidence.unnamed),
            (2, checked, 0)
        );
    }
    let other = Key::new();
    let report = log.verify(Some(&other.identities));
    let file = log.kept[0].name();
    expect(
        &report,
        Verdict::Incomplete,
        Some(0),
        Some(&file),
        "encrypted to others",
    );
}

/// A crash between the file and its record, or while the file was written.
#[test]
fn files_that_no_record_names_are_only_counted() {
    let log = Log::new();
    let day = log.path(0).parent().unwrap().to_owned();
    for name in ["leftover.args.age", "leftover.args.age.tmp"] {
        RealDisk.create(&day.join(name)).unwrap();
    }
    let report = log.verify(None);
    assert_eq!(report.verdict, Verdict::Ok, "{report:#?}");
    assert_eq!((report.evidence.kept, report.evidence.unnamed), (2, 2));
}

#[test]
fn a_missing_body_is_named() {
    let log = Log::new();
    log.remove(1);
    assert!(matches!(log.open(1), Err(OpenError::Gone)));
    let report = log.verify(Some(&log.key.identities));
    expect(
        &report,
        Verdict::Incomplete,
        Some(1),
        None,
        "args kept as evidence are missing",
    );
    assert_eq!((report.evidence.kept, report.evidence.missing), (1, 1));
}

#[test]
fn an_erasure_is_believed_when_it_is_sealed_and_done() {
    let log = Log::new();
    log.append(&log.erased(1), true);
    let report = log.verify(None);
    expect(&report, Verdict::Incomplete, Some(2), None, "still there");
    log.remove(1);
    let report = log.verify(None);
    assert_eq!(report.verdict, Verdict::Ok, "{report:#?}");
    assert_eq!((report.evidence.kept, report.evidence.erased), (1, 1));
    // It speaks of one body only.
    log.remove(0);
    expect(
        &log.verify(None),
        Verdict::Incomplete,
        Some(0),
        None,
        "missing",
    );

    let log = Log::new();
    log.remove(1);
    log.append(&log.erased(1), false);
    expect(
        &log.verify(None),
        Verdict::Incomplete,
        Some(2),
        None,
        "no checkpoint covers",
    );
    let running = VerifyOptions {
        writer_running: true,
        ..VerifyOptions::default()
    };
    let report = log.fixture.verify_with(&vkey(), &running);
    assert_eq!(report.verdict, Verdict::Ok, "{report:#?}");
}

fn judge(log: &Log) -> tacho_log::verify::Report {
    log.verify(Some(&log.key.identities))
}

/// At the end, where the body is.
#[test]
fn a_changed_byte_is_found_by_whoever_has_the_key() {
    let log = Log::new();
    log.fixture
        .edit(&log.path(0), |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(
        log.verify(None).verdict,
        Verdict::Ok,
        "nobody can see it without a key"
    );
    let (file, words) = (log.kept[0].name(), "were changed");
    expect(&judge(&log), Verdict::Tampered, Some(0), Some(&file), words);
    assert!(matches!(
        log.open(0),
        Err(OpenError::Decrypt(DecryptError::Damaged(_)))
    ));
}

/// Cut off, grown, emptied, and no age file.
#[test]
fn a_wrong_length_is_seen_without_a_key() {
    let cuts: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.push(0),
        Vec::clear,
        |bytes| *bytes = vec![b'x'; 300_000],
    ];
    for cut in cuts {
        let log = Log::new();
        log.fixture.edit(&log.path(0), cut);
        let file = log.kept[0].name();
        for identities in [None, Some(&log.key.identities)] {
            expect(
                &log.verify(identities),
                Verdict::Tampered,
                Some(0),
                Some(&file),
                "wrong length",
            );
        }
        assert!(matches!(
            log.open(0),
            Err(OpenError::Decrypt(DecryptError::Damaged(_)))
        ));
    }
}

#[test]
fn another_body_is_not_taken_for_the_recorded_one() {
    // The two files change places.
    let log = Log::new();
    let [a, b] = [0, 1].map(|n| std::fs::read(log.path(n)).unwrap());
    log.fixture.edit(&log.path(0), |bytes| *bytes = b);
    log.fixture.edit(&log.path(1), |bytes| *bytes = a);
    assert_eq!(
        log.verify(None).verdict,
        Verdict::Ok,
        "nobody can see it without a key"
    );
    for n in [0, 1] {
        let file = log.kept[n].name();
        let seq = u64::try_from(n).ok();
        expect(
            &judge(&log),
            Verdict::Tampered,
            seq,
            Some(&file),
            "another body",
        );
        assert!(matches!(log.open(n), Err(OpenError::Differs)));
    }

    // Another body of that length, encrypted to the same recipient: anybody can make one.
    let log = Log::new();
    log.fixture.edit(&log.path(0), |bytes| {
        let mut contents: &[u8] = &[b'f'; 32 + 12];
        *bytes = log
            .key
            .recipients
            .encrypt(&mut contents, Vec::new())
            .unwrap();
    });
    expect(
        &judge(&log),
        Verdict::Tampered,
        Some(0),
        Some(&log.kept[0].name()),
        "another body",
    );
}

#[test]
fn a_link_and_a_pipe_that_nobody_writes_to_are_no_files() {
    let log = Log::new();
    log.remove(0);
    std::os::unix::fs::symlink(log.path(1), log.path(0)).unwrap();
    expect(
        &judge(&log),
        Verdict::Incomplete,
        Some(0),
        Some(&log.kept[0].name()),
        "cannot be read",
    );
    log.remove(0);
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        log.path(0),
        fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    expect(
        &judge(&log),
        Verdict::Incomplete,
        Some(0),
        Some(&log.kept[0].name()),
        "no file",
    );
}

/// Names in a record become paths, so only the ones that we write count.
#[test]
fn a_record_cannot_lead_elsewhere() {
    let log = Log::new();
    let commitment = log.kept[0].commitment;
    for (id, evidence) in [
        (
            "../../../etc/passwd",
            format!(r#"{{"args":{{"commitment":"{commitment}","bytes":1}}}}"#),
        ),
        (
            "01970000-0000-7000-8000-000000000000",
            r#"{"args":{"commitment":"salted-sha256:00","bytes":1}}"#.to_owned(),
        ),
        ("01970000-0000-7000-8000-000000000000", "[]".to_owned()),
    ] {
        let log = Log::new();
        log.append(
            &format!(r#"{{"id":"{id}","timestamp":"2026-11-20T00:00:00.000000000Z","type":"mcp_notification","severity":"info","evidence":{evidence}}}"#),
            true,
        );
        expect(
            &log.verify(None),
            Verdict::Incomplete,
            Some(2),
            Some("2024-10-04-000.jsonl"),
            "does not say which",
        );
    }
    let log = Log::new();
    let wrong = log.erased(0).replace(&log.kept[0].day, "../../segments");
    log.append(&wrong, true);
    expect(
        &log.verify(None),
        Verdict::Incomplete,
        Some(2),
        Some("2024-10-04-000.jsonl"),
        "which body was erased",
    );
    assert!(Path::new(&log.path(0)).exists());
}
