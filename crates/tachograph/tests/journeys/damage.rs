//! Logs that are not as their writer left them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::env::{ECHO, Env, Session, kill, of_type, until};

/// A log with a few calls, its recorder killed; and what it took.
fn crashed() -> Env {
    let env = Env::new();
    let mut session = env.session(&[], ECHO);
    for id in ["1", "2", "3"] {
        session.call(id);
    }
    session.close();
    kill(env.recorder().unwrap());
    until("the recorder's end", || {
        env.recorder().is_none().then_some(())
    });
    env
}

/// A log with a few calls, closed in order.
fn sealed() -> Env {
    let env = Env::new();
    let mut session = env.session(&[], ECHO);
    for id in ["1", "2", "3"] {
        session.call(id);
    }
    session.close();
    env.stop();
    env
}

/// What a crash of the machine can leave behind the last durable record.
#[test]
fn a_torn_tail_is_cut_kept_and_told() {
    for (name, tail) in [
        ("nothing", &b""[..]),
        ("half a record", b"{\"v\":1,\"seq\":17,\"id\":\"0199"),
        ("zeros", &[0; 5_000]),
        ("a line of something else", b"not a record\n"),
        ("a record of another place", b"{\"v\":1,\"seq\":99999}\n"),
        ("bytes", b"\xff\xfe\n\n\x00"),
    ] {
        let env = crashed();
        let before = env.records().len();
        let path = env.segment();
        let mut segment = OpenOptions::new().append(true).open(&path).unwrap();
        segment.write_all(tail).unwrap();
        let mut session = env.session(&[], ECHO);
        assert!(session.call("after")["result"].is_object(), "{name}");
        session.close();
        env.stop_and_verify();
        let records = env.records();
        let opened = of_type(&records[before..], "log_opened");
        assert_eq!(opened.len(), 1, "{name}");
        let told = &opened[0]["details"]["torn_bytes"];
        let torn = path.with_extension("torn");
        if tail.is_empty() {
            assert!(told.is_null(), "{name}: {told}");
            assert!(!torn.exists(), "{name}");
        } else {
            assert_eq!(*told, json!(tail.len()), "{name}");
            assert_eq!(std::fs::read(&torn).unwrap(), tail, "{name}");
        }
    }
}

/// Only people mend these: the log is refused at once, with what is wrong, and so is each call.
#[test]
fn a_tampered_log_refuses_calls_and_says_why() {
    type Damage = fn(&Env);
    let damages: [(&str, Damage, &str); 5] = [
        ("two records cut off", cut_records, "record"),
        (
            "segment removed",
            |env| std::fs::remove_file(env.segment()).unwrap(),
            "record",
        ),
        (
            "checkpoint of another log",
            foreign_checkpoint,
            "checkpoint",
        ),
        (
            "checkpoint removed",
            |env| std::fs::remove_file(env.data().join("log/checkpoint")).unwrap(),
            "checkpoint",
        ),
        ("tile changed", change_tile, "til"),
    ];
    for (name, damage, word) in damages {
        let env = sealed();
        damage(&env);
        let begun = Instant::now();
        let mut session = env.session(&[], ECHO);
        let refused = session.call("refused");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{name}: {message}");
        assert_eq!(refused["error"]["data"]["forwarded"], false, "{name}");
        // The second is not waited for either.
        let again = session.call("again");
        assert!(again["error"]["message"].is_string(), "{name}: {again}");
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{name}: it hangs"
        );
        session.close();
        let served = env.done(&["serve"]);
        assert_eq!(served.status.code(), Some(1), "{name}: {served:?}");
        assert!(served.stderr.contains("tacho verify"), "{name}: {served:?}");
        let in_process = env.done(&["run", "--in-process", "--", "true"]);
        assert!(!in_process.status.success(), "{name}: {in_process:?}");
        let verified = env.done(&["verify"]);
        assert!(
            matches!(verified.status.code(), Some(1 | 2)),
            "{name}: {verified:?}"
        );
    }
}

fn cut_records(env: &Env) {
    let path = env.segment();
    let text = std::fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    std::fs::write(&path, lines[..lines.len() - 2].concat()).unwrap();
}

fn foreign_checkpoint(env: &Env) {
    let other = sealed();
    let theirs = other.data().join("log/checkpoint");
    std::fs::copy(theirs, env.data().join("log/checkpoint")).unwrap();
}

fn change_tile(env: &Env) {
    let mut tiles = vec![env.data().join("log/tile/0")];
    while let Some(path) = tiles.pop() {
        if path.is_dir() {
            tiles.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[0] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

/// Every byte of the sealed records counts, and `tacho verify` names the record.
#[test]
fn an_edited_record_is_named() {
    let env = sealed();
    let path = env.segment();
    let good = std::fs::read(&path).unwrap();
    let lines = good.split(|byte| *byte == b'\n').count() - 1;
    for wrong in 0..lines {
        let mut start = 0;
        for line in good.split_inclusive(|byte| *byte == b'\n').take(wrong) {
            start += line.len();
        }
        let at = start
            + good[start..]
                .windows(6)
                .position(|six| six == b"\"type\"")
                .unwrap()
            + 9;
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let done = env.done(&["verify", "--json"]);
        assert_eq!(done.status.code(), Some(1), "record {wrong}: {done:?}");
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        let findings = report["report"]["findings"].as_array().unwrap();
        assert!(
            findings
                .iter()
                .any(|finding| finding["seq"] == json!(wrong)),
            "record {wrong}: {report}"
        );
    }
}

/// The digest key is no part of the log, but without it records could not be compared any more.
#[test]
fn unusable_keys_are_named() {
    for key in ["key/signing.key", "key/digest.key"] {
        let env = sealed();
        std::fs::write(env.data().join(key), "nonsense\n").unwrap();
        let mut session: Session = env.session(&[], ECHO);
        let refused = session.call("1");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(
            message.contains(key.trim_start_matches("key/")),
            "{message}"
        );
        assert!(
            !message.contains("nonsense"),
            "a key in an error: {message}"
        );
        session.close();
    }
}

/// Whoever touches the live file is noticed before the next record is acknowledged.
#[test]
fn a_touched_live_file_is_noticed() {
    type Touch = fn(&std::path::Path);
    let touches: [(&str, Touch, &str); 4] = [
        (
            "deleted",
            |path| std::fs::remove_file(path).unwrap(),
            "gone",
        ),
        (
            "replaced by a copy",
            |path| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::remove_file(path).unwrap();
                std::fs::write(path, bytes).unwrap();
            },
            "another file",
        ),
        (
            "cut",
            |path| {
                let file = OpenOptions::new().write(true).open(path).unwrap();
                file.set_len(100).unwrap();
            },
            "100 bytes long",
        ),
        (
            "appended to",
            |path| {
                let mut file = OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(b"{}\n").unwrap();
            },
            "bytes long instead of",
        ),
    ];
    for (name, touch, says) in touches {
        let env = Env::new();
        let mut session = env.session(&[], ECHO);
        session.call("before");
        touch(&env.segment());
        let refused = session.call("noticing");
        let why = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(why.contains(says), "{name}: {refused}");
        assert_eq!(refused["error"]["data"]["forwarded"], false, "{name}");
        assert!(session.call("after")["result"].is_object(), "{name}");

        let status = env.done(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(
            status["recorder"]["tamper_suspected"], 1,
            "{name}: {status}"
        );
        let doctor = env.done(&["doctor"]);
        assert_eq!(doctor.status.code(), Some(1), "{name}: {doctor:?}");
        assert!(
            doctor.text().contains("FAIL  recorder"),
            "{name}: {doctor:?}"
        );
        session.close();
        // The record of it stands in the segment that was begun after.
        let newest = std::fs::read_to_string(env.segment()).unwrap();
        assert!(
            newest.contains("tamper_suspected") && newest.contains(says),
            "{name}: {newest}"
        );
    }
}
