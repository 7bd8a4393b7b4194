#![cfg(test)]
//! Opening a log as crashes and intruders may have left it, and reading it back.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tacho_event::Timestamp;
use tacho_log::disk::RealDisk;
use tacho_log::key::SigningKey;
use tacho_log::reader::{ReadError, Reader};
use tacho_log::verify::{Verdict, VerifyOptions, verify};
use tacho_log::{
    AppendError, CommitError, DataDir, Log, LogOptions, OpenError, Recovered, WriterLock,
    compress_segment,
};

const DAY: u64 = 86_400_000_000_000;

fn key() -> SigningKey {
    SigningKey::generate("tacho.local/recovery", [3; 32]).unwrap()
}

fn day(day: u64) -> Timestamp {
    Timestamp::from_unix_nanos((20_000 + day) * DAY)
}

fn body(n: u64) -> String {
    format!(
        r#"{{"id":"{n}","type":"heartbeat","padding":"{}"}}"#,
        "x".repeat(100)
    )
}

/// A record as it stands in a segment.
fn line(n: u64) -> String {
    body(n).replacen('{', &format!("{{\"v\":1,\"seq\":{n},"), 1) + "\n"
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

    fn try_open(&self, options: LogOptions) -> Result<(Log, Recovered), OpenError> {
        let lock = self.lock();
        Log::open(
            Arc::new(RealDisk),
            &self.dir,
            lock,
            key(),
            options,
            &mut |_, _| {},
        )
    }

    fn lock(&self) -> WriterLock {
        self.dir.lock().unwrap()
    }

    fn open(&self) -> (Log, Recovered) {
        self.try_open(LogOptions::default()).unwrap()
    }

    /// Appends and commits on a day; seals when told.
    fn write(&self, log: &mut Log, on: u64, records: u64, seal: bool) {
        for n in log.size()..log.size() + records {
            let mut appended = log.append(body(n).as_bytes(), day(on));
            if appended == Err(AppendError::CommitFirst) {
                log.commit().unwrap();
                appended = log.append(body(n).as_bytes(), day(on));
            }
            assert_eq!(appended, Ok(n));
        }
        log.commit().unwrap();
        if seal {
            log.seal().unwrap();
        }
    }

    fn segment(&self, name: &str) -> PathBuf {
        self.dir.log().segments().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.log().segments()).unwrap();
        let mut names = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<Vec<_>>();
        names.sort();
        names
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "what a crash leaves is not durable"
    )]
    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.segment(name), bytes).unwrap();
    }

    fn extend(&self, name: &str, more: &[u8]) {
        let mut bytes = fs::read(self.segment(name)).unwrap();
        bytes.extend(more);
        self.put(name, &bytes);
    }

    /// The whole log is good, and has so many records.
    fn check(&self, records: u64) {
        let (mut log, recovered) = self.open();
        assert_eq!(recovered.size, records);
        log.seal().unwrap();
        drop(log);
        let report = verify(
            self.dir.log(),
            key().verifying_key(),
            &VerifyOptions::default(),
        );
        assert_eq!(report.verdict, Verdict::Ok, "{report:#?}");
        assert_eq!(report.records, records);
    }
}

/// Day 0 and day 1 with three records each, four sealed.
fn two_days() -> Fixture {
    let fixture = Fixture::new();
    let (mut log, recovered) = fixture.open();
    assert_eq!(
        recovered,
        Recovered {
            size: 0,
            checkpoint_size: 0,
            torn: None,
            is_new: true
        }
    );
    fixture.write(&mut log, 0, 3, false);
    fixture.write(&mut log, 1, 1, true);
    fixture.write(&mut log, 1, 2, false);
    fixture
}

const FIRST: &str = "2024-10-04-000.jsonl";
const SECOND: &str = "2024-10-05-000.jsonl";

#[test]
fn torn_tails_are_cut_and_kept() {
    let whole = line(6);
    let zeros = whole.replace("xxxxxxxxxx\"", "\0\0\0\0\0\0\0\0\0\0\"");
    for tail in [
        &whole.as_bytes()[..whole.len() - 1],
        &whole.as_bytes()[..20],
        b"garbage\nand more\n",
        &[0; 5_000],
        b"\n",
        zeros.as_bytes(),
        whole.replace("\"seq\":6", "\"seq\":7").as_bytes(),
        b"{\"v\":1,\"seq\":6,not json}\n{\"v\":1,\"seq\":7,\"id\":\"7\"}\n",
    ] {
        let fixture = two_days();
        fixture.extend(SECOND, tail);
        let (log, recovered) = fixture.open();
        let torn = recovered.torn.unwrap();
        assert_eq!(
            (torn.file.as_str(), torn.bytes),
            (SECOND, tail.len() as u64)
        );
        assert_eq!((recovered.size, recovered.checkpoint_size), (6, 4));
        assert_eq!(
            fs::read(fixture.segment("2024-10-05-000.torn")).unwrap(),
            tail
        );
        assert!(log.unsealed_since().is_some());
        drop(log);
        fixture.check(6);
        // A second tear is kept behind the first.
        fixture.extend(SECOND, b"more");
        drop(fixture.open());
        let kept = fs::read(fixture.segment("2024-10-05-000.torn")).unwrap();
        assert_eq!(kept, [tail, b"more"].concat());
    }
}

#[test]
fn a_whole_record_that_nobody_acknowledged_is_kept() {
    let fixture = two_days();
    fixture.extend(SECOND, line(6).as_bytes());
    fixture.check(7);
}

#[test]
fn an_empty_segment_takes_the_next_records() {
    let fixture = two_days();
    fixture.put("2024-10-06-000.jsonl", b"");
    let (mut log, recovered) = fixture.open();
    assert_eq!((recovered.size, recovered.torn), (6, None));
    fixture.write(&mut log, 2, 1, false);
    drop(log);
    assert_eq!(fixture.names(), [FIRST, SECOND, "2024-10-06-000.jsonl"]);
    fixture.check(7);
}

#[test]
fn both_forms_of_a_segment() {
    // Half of it under the temporary name, and a bad one under the good name: the plain one counts.
    let fixture = two_days();
    fixture.put("2024-10-04-000.jsonl.zst.tmp", b"\x28\xb5\x2f\xfd half");
    fixture.put("2024-10-04-000.jsonl.zst", b"\x28\xb5\x2f\xfd half");
    fixture.check(6);
    let (mut log, _) = fixture.open();
    let closed = log.closed_segments();
    assert_eq!(closed, [fixture.segment(FIRST)]);
    compress_segment(&RealDisk, &closed[0]).unwrap();
    assert!(log.closed_segments().is_empty());
    drop(log);
    assert_eq!(fixture.names(), ["2024-10-04-000.jsonl.zst", SECOND]);
    fixture.check(6);
    // A log whose newest segment is compressed begins a new one.
    compress_segment(&RealDisk, &fixture.segment(SECOND)).unwrap();
    let (mut log, _) = fixture.open();
    fixture.write(&mut log, 1, 1, false);
    drop(log);
    assert_eq!(fixture.names()[2], "2024-10-05-001.jsonl");
    fixture.check(7);
}

/// What no crash leaves behind is refused, with the record and the file.
fn refused(attack: impl FnOnce(&Fixture), words: &str) {
    let fixture = two_days();
    attack(&fixture);
    let before = fixture.names();
    let error = fixture
        .try_open(LogOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains(words), "{words:?}: {error}");
    assert_eq!(fixture.names(), before, "nothing is mended");
}

#[test]
fn tampered_logs_are_refused() {
    let cut = |name: &'static str, len: usize| {
        move |log: &Fixture| {
            let bytes = fs::read(log.segment(name)).unwrap();
            log.put(name, &bytes[..len]);
        }
    };
    refused(
        cut(SECOND, 100),
        "record 3 in 2024-10-05-000.jsonl: the segment ends within it",
    );
    refused(cut(SECOND, 0), "record 3 is missing");
    let remove =
        |name: &'static str| move |log: &Fixture| fs::remove_file(log.segment(name)).unwrap();
    refused(remove(SECOND), "record 3 is missing");
    let remove_all =
        |log: &Fixture| [FIRST, SECOND].map(|name| fs::remove_file(log.segment(name)).unwrap());
    refused(
        |log| assert_eq!(remove_all(log).len(), 2),
        "record 0 is missing",
    );
    refused(
        |log| {
            let text = fs::read_to_string(log.segment(SECOND)).unwrap();
            log.put(
                SECOND,
                text.replacen("heartbeat", "heartbeet", 1).as_bytes(),
            );
        },
        "record 3 in 2024-10-05-000.jsonl: it is not the record that was sealed",
    );
    refused(
        |log| fs::remove_file(log.dir.log().checkpoint()).unwrap(),
        "vkey exists",
    );
    let tile = |log: &Fixture| log.dir.log().root().join("tile/0/000.p/4");
    refused(|log| fs::remove_file(tile(log)).unwrap(), "tile/0/000.p/4");
    refused(
        |log| {
            let other = SigningKey::generate("tacho.local/recovery", [4; 32]).unwrap();
            let empty = tacho_log::merkle::empty_root();
            let checkpoint =
                tacho_log::checkpoint::Checkpoint::new("tacho.local/recovery", 0, empty).unwrap();
            let signed =
                tacho_log::checkpoint::SignedCheckpoint::sign(&checkpoint, &other).unwrap();
            log.put("../checkpoint", signed.encode().as_bytes());
        },
        "is not a checkpoint of this log's key",
    );
    refused(
        |log| log.extend(SECOND, b"{\"v\":2,\"seq\":6,\"id\":\"6\"}\n"),
        "record 6 in 2024-10-05-000.jsonl has version 2",
    );
    // More than a batch was never torn off at once: those records were acknowledged.
    refused(
        |log| log.extend(SECOND, &vec![b'x'; 1_100_000]),
        "no torn batch",
    );
    refused(
        |log| {
            log.extend(SECOND, b"garbage\n");
            log.put("2024-10-06-000.jsonl", b"");
        },
        "record 6 in 2024-10-05-000.jsonl",
    );
}

#[test]
fn a_first_segment_that_is_gone_is_missed() {
    let fixture = two_days();
    fs::remove_file(fixture.segment(FIRST)).unwrap();
    let options = LogOptions {
        visit_from: 0,
        ..LogOptions::default()
    };
    let error = fixture.try_open(options).unwrap_err().to_string();
    assert!(error.contains("begins with 3"), "{error}");
}

#[test]
fn days_and_sizes() {
    let fixture = Fixture::new();
    let options = LogOptions {
        segment_bytes: 500,
        ..LogOptions::default()
    };
    let (mut log, _) = fixture.try_open(options).unwrap();
    fixture.write(&mut log, 1, 1, false);
    // The clock steps back, and the records go on in the newest segment.
    fixture.write(&mut log, 0, 2, false);
    assert_eq!(fixture.names(), ["2024-10-05-000.jsonl"]);
    fixture.write(&mut log, 0, 1, false);
    assert_eq!(
        fixture.names(),
        ["2024-10-05-000.jsonl", "2024-10-05-001.jsonl"]
    );
    fixture.write(&mut log, 3, 1, true);
    assert_eq!(fixture.names()[2], "2024-10-07-000.jsonl");
    // A batch is not split, and not made larger than the segment.
    log.append(body(5).as_bytes(), day(3)).unwrap();
    assert_eq!(
        log.append(body(6).as_bytes(), day(4)),
        Err(AppendError::CommitFirst)
    );
    log.append(body(6).as_bytes(), day(3)).unwrap();
    assert_eq!(
        log.append(body(7).as_bytes(), day(3)),
        Err(AppendError::CommitFirst)
    );
    log.commit().unwrap();
    assert_eq!(log.append(body(7).as_bytes(), day(3)), Ok(7));
    log.commit().unwrap();
    for segment in fs::read_dir(fixture.dir.log().segments()).unwrap() {
        assert!(segment.unwrap().metadata().unwrap().len() <= 500);
    }
    drop(log);
    fixture.check(8);
}

#[test]
fn bodies() {
    let fixture = Fixture::new();
    let (mut log, _) = fixture.open();
    for body in [
        "",
        "{}",
        "[]",
        "{\"type\":1}",
        "{\"id\":1",
        "{\"id\":\"\n\"}",
        " {\"id\":1}",
    ] {
        assert_eq!(
            log.append(body.as_bytes(), day(0)),
            Err(AppendError::NotARecord),
            "{body:?}"
        );
    }
    let front = "{\"v\":1,\"seq\":0,".len();
    let longest = |len: usize| format!("{{\"id\":\"{}\"}}", "x".repeat(len - front - 8));
    let bytes = 65_536;
    assert_eq!(
        log.append(longest(bytes).as_bytes(), day(0)),
        Err(AppendError::TooLong { bytes })
    );
    assert_eq!(log.append(longest(65_535).as_bytes(), day(0)), Ok(0));
    log.commit().unwrap();
    drop(log);
    fixture.check(1);
}

/// A deleted, replaced, cut or extended live segment is noticed at the next commit, and recording goes on
/// in a new one.
#[test]
fn a_live_segment_that_was_touched() {
    type Attack = fn(&Fixture);
    let attacks: [(Attack, &str); 4] = [
        (|log| fs::remove_file(log.segment(FIRST)).unwrap(), "gone"),
        (|log| log.put(FIRST, b""), "0 bytes long"),
        (|log| log.extend(FIRST, b"x"), "bytes long instead"),
        (
            |log| {
                fs::copy(log.segment(FIRST), log.segment("copy")).unwrap();
                fs::remove_file(log.segment(FIRST)).unwrap();
                fs::hard_link(log.segment("copy"), log.segment(FIRST)).unwrap();
            },
            "another file",
        ),
    ];
    for (attack, words) in attacks {
        let fixture = Fixture::new();
        let (mut log, _) = fixture.open();
        fixture.write(&mut log, 0, 2, false);
        attack(&fixture);
        assert_eq!(log.append(body(2).as_bytes(), day(0)), Ok(2));
        match log.commit() {
            Err(CommitError::Replaced { file, what }) => {
                assert_eq!(file, FIRST);
                assert!(what.contains(words), "{what}");
            }
            other => panic!("{other:?}"),
        }
        // The number is given out again, for a record in a new segment.
        fixture.write(&mut log, 0, 1, true);
        let text = fs::read_to_string(fixture.segment("2024-10-04-001.jsonl")).unwrap();
        assert!(text.starts_with("{\"v\":1,\"seq\":2,"), "{text}");
    }
}

#[test]
fn reading_back() {
    let fixture = Fixture::new();
    let options = LogOptions {
        segment_bytes: 40_000,
        ..LogOptions::default()
    };
    let (mut log, _) = fixture.try_open(options).unwrap();
    for _ in 0..100 {
        fixture.write(&mut log, 0, 11, false);
    }
    log.seal().unwrap();
    for segment in log.closed_segments().iter().take(2) {
        compress_segment(&RealDisk, segment).unwrap();
    }
    let reader = Reader::new(fixture.dir.log());
    assert_eq!(reader.end().unwrap(), 1_100);
    for from in [0, 1, 150, 263, 264, 265, 500, 1_099, 1_100, 5_000] {
        let read = reader
            .records_from(from)
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        assert_eq!(
            read.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(),
            (from..1_100).collect::<Vec<_>>()
        );
        for (seq, record) in &read {
            assert!(record.ends_with(&body(*seq).as_bytes()[1..]));
        }
    }
    for count in [0, 1, 10, 1_000, 2_000] {
        let read = reader
            .last(count)
            .unwrap()
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        assert_eq!(read.len() as u64, count.min(1_100));
    }
}

#[test]
fn following_a_log_that_grows() {
    let fixture = Fixture::new();
    let mut follow = Reader::new(fixture.dir.log()).follow(0);
    assert!(follow.poll().unwrap().is_none());
    let (mut log, _) = fixture.open();
    let mut expected = 0;
    for (on, records) in [(0, 1), (0, 3), (1, 1), (1, 2), (2, 2), (3, 1)] {
        fixture.write(&mut log, on, records, true);
        // Half a batch is not a record yet.
        let live = fixture.names().pop().unwrap();
        let len = fs::metadata(fixture.segment(&live)).unwrap().len();
        fixture.extend(&live, b"{\"v\":1,\"seq\":");
        while let Some((seq, record)) = follow.poll().unwrap() {
            assert_eq!(seq, expected);
            assert!(record.ends_with(&body(seq).as_bytes()[1..]));
            expected += 1;
        }
        assert_eq!(expected, log.size());
        let file = fs::File::options()
            .write(true)
            .open(fixture.segment(&live))
            .unwrap();
        file.set_len(len).unwrap();
        for segment in log.closed_segments() {
            compress_segment(&RealDisk, &segment).unwrap();
        }
    }
    assert_eq!(expected, 10);
}

/// A reader says what is wrong and goes on behind it.
#[test]
fn reading_a_damaged_log() {
    let fixture = two_days();
    let text = fs::read_to_string(fixture.segment(FIRST)).unwrap();
    fixture.put(
        FIRST,
        text.replacen("{\"v\":1,\"seq\":1,", "x", 1).as_bytes(),
    );
    let read = Reader::new(fixture.dir.log())
        .records_from(0)
        .collect::<Vec<_>>();
    let seqs = read
        .iter()
        .map(|item| item.as_ref().ok().map(|(seq, _)| *seq))
        .collect::<Vec<_>>();
    assert_eq!(seqs, [Some(0), None, Some(2), Some(3), Some(4), Some(5)]);
    assert!(matches!(&read[1], Err(ReadError::Damaged { seq: 1, file, .. }) if file == FIRST));
}

/// Opening visits from the checkpoint on, or from where it is told.
#[test]
fn visiting() {
    let fixture = two_days();
    for (visit_from, expected) in [(u64::MAX, 4..6), (6, 4..6), (2, 2..6), (0, 0..6)] {
        let mut seen = Vec::new();
        let options = LogOptions {
            visit_from,
            ..LogOptions::default()
        };
        let lock = fixture.dir.lock().unwrap();
        let mut visit = |seq, _: &[u8]| seen.push(seq);
        let log = Log::open(
            Arc::new(RealDisk),
            &fixture.dir,
            lock,
            key(),
            options,
            &mut visit,
        );
        drop(log.unwrap());
        assert_eq!(seen, expected.collect::<Vec<_>>());
    }
}
