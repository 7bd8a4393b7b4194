//! What each fuzz target checks, for foreign bytes of every kind: nothing panics, only canonical input is
//! accepted, and what is written stays within its bounds. `tests/corpora.rs` runs the committed corpora through
//! the same functions, without a fuzzer.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::Duration;

use tacho_event::{
    DigestKey, Direction, Engine, Options, Redactor, Report, RunId, Timestamp,
};
use tacho_log::LogDir;
use tacho_log::checkpoint::{Checkpoint, SignedCheckpoint, TlogProof};
use tacho_log::key::{SigningKey, VerifyingKey, WitnessKey};
use tacho_log::merkle::leaf_hash;
use tacho_log::note::Note;
use tacho_log::policy::Policy;
use tacho_log::reader::Reader;
use tacho_log::rotation::Rotation;
use tacho_log::tile::TileId;
use tacho_log::witness::AddCheckpoint;
use tacho_log::verify::{KeyPolicy, Verdict, VerifyOptions, verify};
use tacho_proxy::exchange::{Exchange, Moment, Setup};
use tacho_proxy::frame::Framer;

/// A checkpoint that nobody cosigned.
static SIGNED: LazyLock<SignedCheckpoint> = LazyLock::new(|| {
    let key = SigningKey::generate("fuzz", [78; 32]).expect("a name");
    let checkpoint = Checkpoint::new("fuzz", 1, leaf_hash(b"record")).expect("a checkpoint");
    SignedCheckpoint::sign(&checkpoint, &key).expect("its own key")
});

/// A key that never signed anything.
static KEY: LazyLock<VerifyingKey> = LazyLock::new(|| {
    let key = SigningKey::generate("fuzz", [77; 32]).expect("a name");
    key.verifying_key().clone()
});

thread_local! {
    /// A log directory with nothing in it but what the target writes.
    static LOG: tempfile::TempDir = {
        // In memory where there is such a place: a disk would be worn for nothing.
        let temp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a place");
        std::fs::create_dir(temp.path().join("segments")).expect("a directory");
        temp
    };
    /// Made once: making one takes far longer than most inputs.
    static ENGINE: RefCell<Engine> =
        RefCell::new(Engine::new(&Options::default(), DigestKey::new([1; 32])));
    static REDACTOR: RefCell<Redactor> =
        RefCell::new(Redactor::new(&Options::default(), DigestKey::new([1; 32])));
}

/// Redaction of JSON and of text: valid output within its budget, on one line, and nothing more to remove.
pub fn redact(data: &[u8]) {
    ENGINE.with_borrow_mut(|engine| redact_with(engine, data));
}

fn redact_with(engine: &mut Engine, data: &[u8]) {
    let budget = 4096;
    let mut out = Vec::new();
    if engine.json(data, &mut out, budget, &mut Report::with_findings()) {
        assert!(out.len() <= budget);
        assert!(out.iter().all(|byte| *byte >= 0x20));
        serde_json::from_slice::<serde::de::IgnoredAny>(&out).expect("redacted JSON is JSON");
        let (mut again, mut report) = (Vec::new(), Report::default());
        assert!(engine.json(&out, &mut again, budget, &mut report));
        assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&out));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let mut kept = String::new();
        engine.text(text, &mut kept, &mut Report::default());
    }
}

/// A session of two directions: the frames are the input, cut anywhere; every event can become a record.
pub fn exchange(data: &[u8]) {
    let setup = Setup {
        actor: None,
        server_name: "fuzz".to_owned(),
        session: RunId::from_bytes([2; 16]),
        entropy: 7,
        known: Default::default(),
        call_timeout: Some(Duration::from_secs(1)),
        rules: Default::default(),
        config: "none".to_owned(),
    };
    let mut exchange = Exchange::new(setup);
    let (mut client, mut server) = (Framer::default(), Framer::default());
    let mut passed = Vec::new();
    // The first byte of each piece says which way it goes and how long it is.
    let mut rest = data;
    let start = std::time::Instant::now();
    let mut at = 0_u64;
    while let Some((head, tail)) = rest.split_first() {
        let (piece, next) = tail.split_at(usize::from(head >> 1).min(tail.len()));
        rest = next;
        at += 1;
        let now = Moment { wall: Timestamp::from_unix_nanos(at), mono: start + Duration::from_millis(at) };
        let (direction, framer) = if head & 1 == 0 {
            (Direction::ClientToServer, &mut client)
        } else {
            (Direction::ServerToClient, &mut server)
        };
        let mut frames = Vec::new();
        framer.push(piece, |frame| frames.push(frame));
        for frame in frames {
            passed.extend_from_slice(&frame.bytes);
            for event in exchange.observe(direction, &frame, now).events {
                let record = REDACTOR.with_borrow_mut(|redactor| redactor.redact(event).encode());
                serde_json::from_slice::<serde::de::IgnoredAny>(record.body()).expect("a record is JSON");
                assert!(record.body().len() <= tacho_event::limits::BODY_BYTES);
            }
        }
    }
    assert!(passed.len() <= data.len());
}

/// Notes and keys: what is accepted is exactly what would be written.
pub fn note(data: &[u8]) {
    if let Ok(note) = Note::parse(data) {
        assert_eq!(note.encode().as_bytes(), data);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(key) = VerifyingKey::parse(text) {
            assert_eq!(key.encode(), text);
        }
        if let Ok(key) = WitnessKey::parse(text) {
            assert_eq!(key.encode(), text);
        }
    }
}

/// Checkpoints, ours and those of other logs: what is accepted is exactly what would be written.
pub fn checkpoint(data: &[u8]) {
    for parsed in [SignedCheckpoint::parse(data), SignedCheckpoint::parse_foreign(data)] {
        let Ok(checkpoint) = parsed else { continue };
        assert_eq!(checkpoint.encode().as_bytes(), data);
        assert!(checkpoint.verify(&KEY).is_err(), "a signature by a key that never signed");
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(checkpoint) = Checkpoint::parse(text)
    {
        assert_eq!(checkpoint.encode(), text);
    }
}

/// Proofs of inclusion, of consistency (which are requests to witnesses) and of changes of the key: what is accepted is exactly what would be written, and
/// none proves anything by a key that never signed.
pub fn proof(data: &[u8]) {
    if let Ok(proof) = TlogProof::parse(data) {
        assert_eq!(proof.encode().as_bytes(), data);
        let record = proof.extra().unwrap_or_default();
        assert!(proof.verify(record, &KEY).is_err());
    }
    if let Ok(request) = AddCheckpoint::parse(data) {
        assert_eq!(request.encode().as_bytes(), data);
    }
    // It is only believed when both keys in it have signed it.
    let _rotation = Rotation::parse(data).is_ok();
}

/// A whole log whose one segment is the input, plain or compressed: reading it and checking it never
/// panics, never ends otherwise than it should, and never says that all is well.
pub fn segment(data: &[u8]) {
    let Some((form, bytes)) = data.split_first() else { return };
    LOG.with(|temp| {
        let segments = temp.path().join("segments");
        let name = if form & 1 == 0 { "2026-11-20-000.jsonl" } else { "2026-11-20-000.jsonl.zst" };
        let file = segments.join(name);
        std::fs::write(&file, bytes).expect("a temporary file");
        let log = LogDir::at(temp.path()).expect("a log");
        let reader = Reader::new(&log);
        for (_, record) in reader.records_from(0).take(10_000).flatten() {
            assert!(!record.contains(&b'\n'));
        }
        let _last = reader.last(3).map(|last| last.take(10).count());
        let report = verify(&log, &*KEY, &VerifyOptions::default());
        assert_ne!(report.verdict, Verdict::Ok, "there is no checkpoint");
        std::fs::remove_file(&file).expect("a temporary file");
    });
}

/// Policies: of witnesses, where a checkpoint without cosignatures has no quorum unless none is asked for; and of
/// keys, each with an interval that is one.
pub fn policy(data: &[u8]) {
    if let Ok(policy) = Policy::parse(data) {
        let cosigned = policy.quorum(&SIGNED).expect("a checkpoint without cosignatures is in order");
        assert!(cosigned.by.is_empty());
        assert!(policy.logs().is_empty() || !policy.accepts_log(&KEY));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(policy) = KeyPolicy::parse(text) {
        assert!(!policy.keys().is_empty());
        for entry in policy.keys() {
            assert_eq!(entry.key.name(), policy.origin());
            assert!(entry.to.is_none_or(|to| to >= entry.from));
        }
    }
}

/// Tile paths: one form each.
pub fn tile(data: &[u8]) {
    if let Ok(path) = std::str::from_utf8(data)
        && let Ok(tile) = TileId::parse(path)
    {
        assert_eq!(tile.path(), path);
    }
}

/// Frames of the recorder protocol: what is accepted is exactly what would be written.
pub fn socket(data: &[u8]) {
    assert!(tacho_log::testing::protocol_reads_back(data));
}
