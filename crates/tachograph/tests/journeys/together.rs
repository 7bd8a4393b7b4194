//! Several sources, one recorder: how it comes, changes hands, and leaves.

use std::collections::HashSet;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::env::{ECHO, Env, Session, kill, of_type, until};

const SOURCES: usize = 8;
const CALLS: usize = 5;

#[test]
fn eight_started_at_once_share_one_recorder() {
    let env = Env::new();
    let start = Barrier::new(SOURCES);
    std::thread::scope(|scope| {
        for source in 0..SOURCES {
            let (env, start) = (&env, &start);
            scope.spawn(move || {
                start.wait();
                let mut session = env.session(&["--name", &format!("server-{source}")], ECHO);
                for id in 0..CALLS {
                    let answer = session.call(&format!("{source}-{id}"));
                    assert!(answer["result"].is_object(), "{answer}");
                }
                let done = session.close();
                assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
            });
        }
    });
    env.stop_and_verify();
    let records = env.records();
    assert_eq!(
        of_type(&records, "log_opened").len(),
        1,
        "more than one recorder wrote"
    );
    let calls = of_type(&records, "tool_call");
    assert_eq!(calls.len(), SOURCES * CALLS * 2);
    let sessions: HashSet<_> = calls
        .iter()
        .map(|call| call["session"].as_str().unwrap())
        .collect();
    assert_eq!(sessions.len(), SOURCES);
    let log = std::fs::read_to_string(env.data().join("recorder.log")).unwrap();
    assert_eq!(log, "", "a recorder complained");
}

#[test]
fn a_recorder_leaves_when_idle_and_seals() {
    let env = Env::new();
    let recorder = Session::start(env.tacho(&["serve", "--idle", "1"]));
    until("the recorder", || env.recorder());
    let mut session = env.session(&[], ECHO);
    session.call("1");
    // Longer than the idle time: a connected source is not idle.
    std::thread::sleep(Duration::from_millis(1_300));
    session.call("2");
    session.close();
    let left = Instant::now();
    let done = recorder.wait();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(
        left.elapsed() > Duration::from_millis(500),
        "it left too early"
    );
    assert!(done.stderr.contains("idle"), "{done:?}");
    let records = env.records();
    assert_eq!(of_type(&records, "log_opened").len(), 1);
    let last = records.last().unwrap();
    assert_eq!(
        (&last["type"], &last["details"]["reason"]),
        (&"log_closed".into(), &"idle".into())
    );
    let verified = env.done(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    assert!(
        verified.text().contains(", 0 after it"),
        "not sealed: {verified:?}"
    );
}

/// The session does not notice that its recorder was killed, nor that another took over.
#[test]
fn a_killed_recorder_is_replaced() {
    let env = Env::new();
    let mut session = env.session(&[], ECHO);
    for round in 0..3 {
        let answer = session.call(&format!("before-{round}"));
        assert!(answer["result"].is_object(), "{answer}");
        kill(env.recorder().unwrap());
        let answer = session.call(&format!("after-{round}"));
        assert!(answer["result"].is_object(), "{answer}");
    }
    session.close();
    env.stop_and_verify();
    let records = env.records();
    assert_eq!(of_type(&records, "log_opened").len(), 4);
    assert_eq!(of_type(&records, "tool_call").len(), 12);
    assert_eq!(of_type(&records, "gap").len(), 0);
}

/// Stopping is an operator's right; the next call starts another recorder.
#[test]
fn a_stopped_recorder_is_replaced() {
    let env = Env::new();
    let mut session = env.session(&[], ECHO);
    session.call("1");
    env.stop();
    session.call("2");
    session.close();
    env.stop_and_verify();
    assert_eq!(of_type(&env.records(), "log_closed").len(), 2);
}

#[test]
fn a_killed_source_leaves_interrupted_calls() {
    let env = Env::new();
    let mut session = env.session(&[], "cat >/dev/null");
    session.send_call("open");
    until("the intent", || {
        let log = env.data().join("log/segments");
        (log.is_dir() && !of_type(&env.records(), "tool_call").is_empty()).then_some(())
    });
    kill(session.pid());
    let interrupted = until("the interruption", || {
        of_type(&env.records(), "interrupted")
            .first()
            .copied()
            .cloned()
    });
    assert_eq!(interrupted["tool"], "count");
    assert_eq!(interrupted["method"], "tools/call");
    env.stop_and_verify();
}
