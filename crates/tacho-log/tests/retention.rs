#![cfg(test)]
//! The recorder removes old segments, and says so; what is protected stays.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tacho_event::{DigestKey, ParsedRecord, Timestamp};
use tacho_log::key::SigningKey;
use tacho_log::reader::Reader;
use tacho_log::retention::{Hold, Retention, write_holds};
use tacho_log::verify::{Verdict, VerifyOptions, verify};
use tacho_log::{
    Clock, DataDir, Intake, LogOptions, OpenLog, ServeOptions, Server, ask_status, ask_stop,
    minimum_index,
};

const DAY: u64 = 86_400_000_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

fn key() -> SigningKey {
    SigningKey::generate("tacho.local/retention", [7; 32]).unwrap()
}

struct SetClock(u64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_nanos((20_000 + self.0) * DAY + 1)
    }
}

/// Runs a recorder on a day, until it has looked `looks` times; its status then.
fn run(dir: &DataDir, day: u64, retention: Retention, looks: u64) -> serde_json::Value {
    let open = OpenLog::open(
        dir.clone(),
        dir.lock().unwrap(),
        key(),
        LogOptions::default(),
    )
    .unwrap();
    drop(std::fs::remove_file(dir.socket()));
    let listener = UnixListener::bind(dir.socket()).unwrap();
    let (stop, _kill) = UnixStream::pair().unwrap();
    let options = ServeOptions {
        digest_key: DigestKey::new([9; 32]),
        leave_after: None,
        checkpoint_interval: Duration::from_secs(60),
        retention,
        encrypt: None,
        clock: Arc::new(SetClock(day)),
        entropy: day + 1,
        version: "test",
        config: "none".to_owned(),
        space: tacho_log::SpaceOptions::default(),
        room: Arc::new(tacho_log::room),
    };
    let server = Server::new(open, Intake::Socket(listener), stop, options).unwrap();
    let thread = std::thread::spawn(move || server.run());
    let connect = || UnixStream::connect(dir.socket()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        let status = ask_status(connect()).unwrap();
        if status["retention"]["looks"].as_u64().unwrap() >= looks {
            break status;
        }
        assert!(Instant::now() < deadline, "{status}");
        std::thread::sleep(Duration::from_millis(5));
    };
    ask_stop(connect()).unwrap();
    thread.join().unwrap().unwrap();
    status
}

/// Three days with three records each: opened, closed, and a day later opened again.
fn three_days() -> (tempfile::TempDir, DataDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::create(&temp.path().join("data")).unwrap();
    for day in 0..3 {
        run(&dir, day, Retention::KEEP_ALL, 0);
    }
    (temp, dir)
}

fn days(days: u64) -> Retention {
    Retention {
        max_age: Some(Duration::from_nanos(days * DAY)),
        ..Retention::KEEP_ALL
    }
}

fn check(dir: &DataDir) {
    let report = verify(dir.log(), key().verifying_key(), &VerifyOptions::default());
    assert_eq!(report.verdict, Verdict::Ok, "{report:#?}");
}

fn records(dir: &DataDir) -> Vec<ParsedRecord> {
    let records = Reader::new(dir.log()).records_from(0);
    records
        .map(|record| ParsedRecord::parse(&record.unwrap().1).unwrap())
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "what others write need not be durable"
)]
fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn old_segments_go_and_the_log_says_so() {
    let (_temp, dir) = three_days();
    let before = records(&dir);
    let third_day = before
        .iter()
        .find(|record| record.timestamp.starts_with("2024-10-06"));
    let to = third_day.unwrap().seq;
    run(&dir, 3, days(2), 1);
    assert_eq!(minimum_index(dir.log()).unwrap(), to);
    check(&dir);
    let after = records(&dir);
    assert_eq!(after[0].seq, to);
    let pruned: Vec<_> = after
        .iter()
        .filter(|record| record.kind == "retention_pruned")
        .collect();
    assert_eq!(pruned.len(), 1);
    let details: serde_json::Value =
        serde_json::from_str(pruned[0].details.as_ref().unwrap().get()).unwrap();
    assert_eq!((&details["from"], &details["to"]), (&0.into(), &to.into()));
    assert_eq!(
        details["newest"],
        before[usize::try_from(to).unwrap() - 1].timestamp
    );
    assert_eq!(details["reason"], "age");
    assert!(details["bytes"].as_u64().unwrap() > 100);
    // Nothing more is old enough; later it is.
    run(&dir, 3, days(2), 1);
    assert_eq!(minimum_index(dir.log()).unwrap(), to);
    run(&dir, 30, days(2), 1);
    assert!(minimum_index(dir.log()).unwrap() > to);
    check(&dir);
    assert!(records(&dir)[0].timestamp.starts_with("2024-11-03"));
}

#[test]
fn by_size_and_never_below_the_minimum_age() {
    let (_temp, dir) = three_days();
    let policy = |min_age: u64| Retention {
        max_bytes: Some(1),
        min_age: Duration::from_nanos(min_age * DAY),
        ..Retention::KEEP_ALL
    };
    run(&dir, 3, policy(4), 1);
    assert_eq!(minimum_index(dir.log()).unwrap(), 0);
    run(&dir, 4, policy(4), 1);
    let first = minimum_index(dir.log()).unwrap();
    assert!(first > 0);
    // All but the live segment.
    run(&dir, 5, policy(0), 1);
    assert!(records(&dir)[0].timestamp.starts_with("2024-10-09"));
    check(&dir);
}

#[test]
fn a_clock_that_goes_back_prunes_nothing() {
    let (_temp, dir) = three_days();
    run(&dir, 0, days(1), 1);
    assert_eq!(minimum_index(dir.log()).unwrap(), 0);
    check(&dir);
}

#[test]
fn what_is_protected_stays_until_it_is_not() {
    let (_temp, dir) = three_days();
    let hold = Hold {
        name: "case-7".to_owned(),
        from: 0,
        to: Some(1),
        reason: "court".to_owned(),
    };
    write_holds(&dir, std::slice::from_ref(&hold)).unwrap();
    run(&dir, 30, days(2), 1);
    assert_eq!(minimum_index(dir.log()).unwrap(), 0, "held");
    write_holds(&dir, &[]).unwrap();
    let cursor = dir.cursors().join("siem.json");
    write(&cursor, r#"{"seq":1,"required":true}"#);
    run(&dir, 31, days(2), 1);
    assert_eq!(minimum_index(dir.log()).unwrap(), 0, "not taken over");
    for (path, text) in [(&cursor, "{"), (&dir.holds(), "half a fi")] {
        write(path, text);
        let status = run(&dir, 32, days(2), 1);
        let trouble = status["retention"]["trouble"].as_str().unwrap();
        assert!(trouble.contains("nothing is removed"), "{trouble}");
        assert_eq!(minimum_index(dir.log()).unwrap(), 0);
        std::fs::remove_file(path).unwrap();
    }
    run(&dir, 33, days(2), 1);
    assert!(minimum_index(dir.log()).unwrap() > 1);
    check(&dir);
}
