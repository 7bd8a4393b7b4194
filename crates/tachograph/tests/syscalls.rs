#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that users would have"
)]
//! Every system call of the real recorder that touches its files fails, or is its last: after Tessera's
//! `fault/posix`, with `strace` injecting EIO, ENOSPC and SIGKILL at the i-th call of each kind.
//!
//! The server writes down each call that reaches it, the client each answer: two witnesses that know nothing of the
//! log. After each run every acknowledged call is in the log, everything that was forwarded has its intent, a refused
//! call never reached the server, and the log verifies, so there was only one tree. `TACHO_SYSCALLS_EVERY=n`
//! takes every n-th place only.

#[path = "journeys/env.rs"]
#[expect(dead_code, reason = "the journeys use more of it")]
mod env;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use env::{Env, until};

/// Writes down each call before it answers.
const SERVER: &str = r#"
while IFS= read -r line; do
    id=${line#*'"id":"'}
    id=${id%%'"'*}
    echo "$id" >> RECEIVED
    printf '{"jsonrpc":"2.0","id":"%s","result":{}}\n' "$id"
done"#;

/// The calls of a session.
const CALLS: [&str; 4] = ["a", "b", "c", "d"];

/// What can go wrong with each system call that the recorder's own thread makes on files.
const FAULTS: [(&str, &[&str]); 9] = [
    ("openat", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
    ("pwrite64", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
    ("fdatasync", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
    ("fsync", &["error=EIO", "signal=KILL"]),
    ("rename", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
    ("unlink", &["error=EIO", "signal=KILL"]),
    ("ftruncate", &["error=EIO", "signal=KILL"]),
    ("mkdir", &["error=ENOSPC", "signal=KILL"]),
    ("close", &["error=EIO", "signal=KILL"]),
];

/// One place where something goes wrong.
#[derive(Clone, Copy, Debug)]
struct Case {
    call: &'static str,
    fault: &'static str,
    /// Which of these calls, counted from 1.
    at: usize,
}

#[test]
fn every_system_call_fails_or_is_the_last() {
    let strace = Command::new("strace").arg("-V").output();
    assert!(
        strace.is_ok(),
        "this test needs strace; cargo xtask ci installs it"
    );
    let cases = cases();
    assert!(!cases.is_empty(), "no place to fail");
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(BTreeMap::<&str, usize>::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = play(*case);
                    *tally.lock().unwrap().entry(outcome).or_default() += 1;
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    println!("{} places: {tally:?}", cases.len());
    // Faults that nobody feels would mean that they were injected beside the point.
    for felt in ["recorder died", "a call was refused"] {
        assert!(tally.contains_key(felt), "{tally:?}");
    }
}

/// The places, from a run in which nothing fails: from the moment on when the recorder has its lock.
fn cases() -> Vec<Case> {
    let env = ready();
    let trace = env.path("trace");
    let names: Vec<&str> = FAULTS.iter().map(|(call, _)| *call).collect();
    let recorder = recorder(
        &env,
        &["-o", trace.to_str().unwrap(), "-e", &names.join(",")],
    );
    let told = session(&env);
    assert_eq!(told.answered.len(), CALLS.len(), "{told:?}");
    finish(&env, recorder);
    let trace = std::fs::read_to_string(trace).unwrap();
    let locked = trace
        .lines()
        .position(|line| line.contains("/data/lock\""))
        .unwrap();
    let every = std::env::var("TACHO_SYSCALLS_EVERY").ok();
    let every: usize = every.and_then(|every| every.parse().ok()).unwrap_or(1);
    let mut cases = Vec::new();
    for (call, faults) in FAULTS {
        let mut seen = 0;
        for (line, text) in trace.lines().enumerate() {
            if !text.starts_with(&format!("{call}(")) {
                continue;
            }
            seen += 1;
            if line >= locked {
                cases.extend(faults.iter().map(|fault| Case {
                    call,
                    fault,
                    at: seen,
                }));
            }
        }
    }
    cases.into_iter().step_by(every).collect()
}

/// Plays one session against a recorder with a fault in it; says how it was felt.
fn play(case: Case) -> &'static str {
    let env = ready();
    let Case { call, fault, at } = case;
    let inject = format!("inject={call}:{fault}:when={at}");
    let recorder = recorder(&env, &["-o", "/dev/null", "-e", &inject]);
    let told = session(&env);
    let died = finish(&env, recorder);
    check(&env, &told, &format!("{case:?}"));
    if told.refused > 0 {
        "a call was refused"
    } else if died {
        "recorder died"
    } else {
        "nobody noticed"
    }
}

/// A data directory with a torn tail behind the last checkpoint, so that opening has something to mend.
fn ready() -> Env {
    let env = Env::new();
    let mut session = env.session(&[], SERVER);
    session.call("before");
    drop(session.close());
    env.stop();
    let mut segment = std::fs::OpenOptions::new()
        .append(true)
        .open(env.segment())
        .unwrap();
    segment.write_all(b"{\"v\":1,\"seq\":").unwrap();
    env
}

/// A recorder under strace, once it listens or has failed.
fn recorder(env: &Env, options: &[&str]) -> Child {
    let mut strace = Command::new("strace");
    let tacho = env!("CARGO_BIN_EXE_tacho");
    strace
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", env.home());
    strace
        .env("TACHO_DIR", env.data())
        .args(options)
        .args(["-q", "-q"]);
    strace.args([tacho, "serve", "--checkpoint-seconds", "1"]);
    strace
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = strace.spawn().unwrap();
    until("the recorder", || {
        let ended = child.try_wait().unwrap().is_some();
        (ended || env.recorder().is_some()).then_some(())
    });
    child
}

/// Ends the recorder that is there now; says whether the one under strace had died.
fn finish(env: &Env, mut strace: Child) -> bool {
    let died = strace
        .try_wait()
        .unwrap()
        .is_some_and(|status| !status.success());
    env.stop();
    strace.wait().unwrap();
    died
}

/// What the client was told.
#[derive(Debug, Default)]
struct Told {
    answered: BTreeSet<&'static str>,
    /// Refused before they were forwarded.
    denied: BTreeSet<&'static str>,
    refused: usize,
}

fn session(env: &Env) -> Told {
    let mut told = Told::default();
    let mut session = env.session(&[], SERVER);
    for id in CALLS {
        let answer = session.call(id);
        if answer.get("result").is_some() {
            told.answered.insert(id);
            continue;
        }
        told.refused += 1;
        if answer["error"]["data"]["forwarded"] != true {
            told.denied.insert(id);
        }
    }
    let done = session.close();
    assert!(done.status.success(), "{done:?}");
    told
}

fn check(env: &Env, told: &Told, case: &str) {
    let verified = env.done(&["verify"]).civil();
    assert_eq!(verified.status.code(), Some(0), "{case}: {verified:?}");
    let mut intents = HashMap::new();
    let mut ended = BTreeSet::new();
    for record in env.records() {
        let id = || record["request"].as_str().unwrap_or_default().to_owned();
        match (record["stage"].as_str(), record["outcome"].as_str()) {
            (Some("intent"), _) if record["type"] == "tool_call" => {
                let twice = intents.insert(id(), record.clone());
                assert!(twice.is_none(), "{case}: {record} and {twice:?}");
            }
            (Some("outcome"), Some("ok")) => {
                ended.insert(id());
            }
            _ => {}
        }
    }
    for id in received(&env.path("RECEIVED")) {
        assert!(
            intents.contains_key(&id),
            "{case}: {id} was forwarded without an intent"
        );
        assert!(
            !told.denied.contains(id.as_str()),
            "{case}: {id} was refused and forwarded"
        );
    }
    for id in &told.answered {
        assert!(
            intents.contains_key(*id) && ended.contains(*id),
            "{case}: {id} was answered"
        );
    }
}

fn received(path: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
