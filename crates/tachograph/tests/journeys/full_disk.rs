//! A disk that is full before the first record, or becomes full in the middle.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::directories::Mount;
use crate::env::{ECHO, Env, PATIENCE, Session, of_type, until};

/// Takes all the space that is left.
struct Filler(PathBuf);

impl Filler {
    fn take(path: PathBuf) -> Self {
        let mut file = File::create(&path).unwrap();
        for size in [64 * 1024, 4 * 1024, 1] {
            let bytes = vec![b'x'; size];
            loop {
                match file.write(&bytes) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        Self(path)
    }

    fn free(self) {
        std::fs::remove_file(self.0).unwrap();
    }
}

/// Calls until one passes, as a patient user would; nothing may be forwarded before.
fn passes_again(session: &mut Session, name: &str) {
    let deadline = Instant::now() + PATIENCE;
    for attempt in 0.. {
        let answer = session.call(&format!("{name}-{attempt}"));
        if answer["result"].is_object() {
            return;
        }
        assert!(Instant::now() < deadline, "it does not recover: {answer}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn is_refused(session: &mut Session, id: &str) {
    let answer = session.call(id);
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("No space left"), "{answer}");
    assert_eq!(answer["error"]["data"]["forwarded"], false, "{answer}");
}

#[test]
fn full_before_the_start() {
    for options in [&[][..], &["--in-process"]] {
        let place = Mount::new("4m");
        let filler = Filler::take(place.path().join("filler"));
        let env = Env::at(place.path().join("data"));
        if options.is_empty() {
            let mut session = env.session(options, ECHO);
            is_refused(&mut session, "full");
            filler.free();
            passes_again(&mut session, "free");
            session.close();
            env.stop();
        } else {
            let done = env.done(&["run", "--in-process", "--", "true"]);
            assert_eq!(done.status.code(), Some(125), "{done:?}");
            assert!(done.stderr.contains("No space left"), "{done:?}");
            filler.free();
            let mut session = env.session(options, ECHO);
            passes_again(&mut session, "free");
            session.close();
        }
        let verified = env.done(&["verify"]);
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    }
}

/// Calls that cannot be recorded are refused while the disk is full, and the log says afterwards that
/// something is missing. What was recorded stays whole.
#[test]
fn full_in_the_middle() {
    for options in [&[][..], &["--in-process"]] {
        let place = Mount::new("4m");
        let env = Env::at(place.path().join("data"));
        let seen = env.path("seen");
        let script = format!(
            "while IFS= read -r line; do id=${{line#*'\"id\":'}}; id=${{id%%,*}}; echo \"$id\" >> {}; \
             printf '{{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{{}}}}\\n' \"$id\"; done",
            seen.display()
        );
        let mut session = env.session(options, &script);
        session.call("before");
        let filler = Filler::take(place.path().join("filler"));
        // The segment's last page may still have room for a few records.
        let refused =
            (0..100).find(|id| session.call(&format!("filling-{id}"))["error"].is_object());
        assert!(refused.is_some(), "a full disk refuses nothing");
        for id in 0..5 {
            is_refused(&mut session, &format!("full-{id}"));
        }
        filler.free();
        passes_again(&mut session, "free");
        let done = session.close();
        assert!(done.status.success(), "{done:?}");
        env.stop_and_verify();
        let records = env.records();
        let gaps = of_type(&records, "gap");
        assert!(!gaps.is_empty(), "no gap recorded");
        let lost: u64 = gaps
            .iter()
            .filter_map(|gap| gap["details"]["lost"].as_u64())
            .sum();
        assert!(lost >= 6, "{gaps:?}");
        let seen = std::fs::read_to_string(seen).unwrap();
        assert!(
            !seen.contains("full-"),
            "a refused call was forwarded: {seen}"
        );
        assert_all_recorded(&records, &seen);
    }
}

fn assert_all_recorded(records: &[serde_json::Value], seen: &str) {
    let calls = of_type(records, "tool_call");
    for id in seen.lines() {
        let id = id.trim_matches('"');
        let stages: Vec<_> = calls
            .iter()
            .filter(|record| record["request"] == id)
            .map(|record| record["stage"].as_str().unwrap())
            .collect();
        assert!(
            stages.contains(&"intent"),
            "{id} was forwarded without a record"
        );
    }
}

/// Whoever chose to fail open goes on, and what was lost is counted.
#[test]
fn full_with_best_effort() {
    let place = Mount::new("4m");
    let env = Env::at(place.path().join("data"));
    let mut session = env.session(&["--mode", "best-effort"], ECHO);
    session.call("before");
    // Nobody waits for the record in this mode, nor for the recorder to start.
    until("the first record", || {
        let begun = env.data().join("log/checkpoint").exists();
        (begun && !of_type(&env.records(), "tool_call").is_empty()).then_some(())
    });
    let filler = Filler::take(place.path().join("filler"));
    // Long enough for a recorder that nobody waits for to meet the full disk, on a busy machine too.
    let full_until = Instant::now() + Duration::from_secs(2);
    for id in 0.. {
        let answer = session.call(&format!("full-{id}"));
        assert!(answer["result"].is_object(), "{answer}");
        if id >= 200 && Instant::now() >= full_until {
            break;
        }
    }
    filler.free();
    let deadline = Instant::now() + PATIENCE;
    for id in 0.. {
        session.call(&format!("free-{id}"));
        if !of_type(&env.records(), "gap").is_empty() {
            break;
        }
        let found = env.records().len();
        let log = std::fs::read_to_string(env.data().join("recorder.log"));
        assert!(
            Instant::now() < deadline,
            "the gap is never recorded: {found} records; {log:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    session.close();
    env.stop();
    // Outcomes without their intents, and the other way round, are what was lost; nothing is wrong else.
    let verified = env.done(&["verify", "--json"]);
    assert_ne!(verified.status.code(), Some(1), "{verified:?}");
}
