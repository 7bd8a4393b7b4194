//! `config.toml`: rules, modes against a recorder that hangs or is gone, and what is recorded of changes.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::env::{ECHO, Env, Session, kill, of_type, signal, until};

const RULES: &str = r#"
[[rule]]
tool = "quiet_*"
level = "none"

[[rule]]
tool = "strict_*"
level = "request_response"
mode = "strict"
deadline_ms = 1500

[[rule]]
tool = "blocking_*"
level = "metadata"
mode = "blocking"
deadline_ms = 300

[[rule]]
tool = "loose_*"
mode = "best_effort"
"#;

fn configured(text: &str) -> Env {
    let env = Env::new();
    std::fs::create_dir_all(env.data()).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(env.data(), private).unwrap();
    std::fs::write(env.data().join("config.toml"), text).unwrap();
    env
}

/// Calls the tool that the id names, and waits for the answer.
fn call(session: &mut Session, tool: &str) -> Value {
    session.send(&format!(
        r#"{{"jsonrpc":"2.0","id":"{tool}","method":"tools/call","params":{{"name":"{tool}","arguments":{{"n":1}}}}}}"#
    ));
    let answer = session.message();
    assert_eq!(answer["id"], tool, "{answer}");
    answer
}

fn of_tool<'a>(records: &'a [Value], tool: &str) -> Vec<&'a Value> {
    of_type(records, "tool_call")
        .into_iter()
        .filter(|record| record["tool"] == tool)
        .collect()
}

fn config_of(env: &Env, kind: &str) -> Vec<Value> {
    let records = env.records();
    let found = of_type(&records, kind);
    found
        .iter()
        .map(|record| record["details"]["config"].clone())
        .collect()
}

#[test]
fn a_rule_says_how_much_is_kept() {
    for options in [&[][..], &["--in-process"]] {
        let env = configured(RULES);
        let mut session = env.session(options, ECHO);
        for tool in ["quiet_1", "strict_1", "blocking_1", "other"] {
            assert!(call(&mut session, tool)["result"].is_object(), "{tool}");
        }
        assert!(session.close().status.success());
        env.stop_and_verify();
        let records = env.records();
        for (tool, parts) in [
            ("quiet_1", None),
            ("strict_1", Some((true, true))),
            ("blocking_1", Some((false, false))),
            ("other", Some((true, false))),
        ] {
            let found = of_tool(&records, tool);
            let kept = found.first().zip(found.get(1)).map(|(intent, outcome)| {
                assert!(intent["digest"]["args"].is_string(), "{intent}");
                (!intent["args"].is_null(), !outcome["result"].is_null())
            });
            assert_eq!(kept, parts, "{tool}: {found:?}");
        }
        let exited = of_type(&records, "server_exited");
        assert_eq!(exited[0]["details"]["omitted"], 2, "{exited:?}");
        let started = config_of(&env, "server_started");
        assert!(started[0].as_str().unwrap().starts_with("sha256:"));
        assert_eq!(config_of(&env, "log_opened"), started);
    }
}

/// A recorder that is stopped, as on a dead disk: nobody hangs, and nothing strict is forwarded.
#[test]
fn a_recorder_that_hangs() {
    let env = configured(RULES);
    let mut session = env.session(&[], ECHO);
    call(&mut session, "strict_before");
    let recorder = env.recorder().unwrap();
    signal(recorder, Signal::STOP);
    for (tool, forwarded, least, most) in [
        ("loose_1", true, 0, 1_000),
        ("blocking_1", true, 300, 4_000),
        ("strict_1", false, 1_500, 5_000),
        ("quiet_1", true, 0, 1_000),
    ] {
        let begun = Instant::now();
        let answer = call(&mut session, tool);
        let took = begun.elapsed();
        assert_eq!(answer["result"].is_object(), forwarded, "{answer}");
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        assert!(took >= least && took < most, "{tool}: {took:?}");
        if !forwarded {
            assert_eq!(answer["error"]["data"]["forwarded"], false, "{answer}");
            let why = answer["error"]["message"].as_str().unwrap();
            assert!(why.contains("did not answer in time"), "{why}");
        }
    }
    signal(recorder, Signal::CONT);
    assert!(call(&mut session, "strict_after")["result"].is_object());
    assert!(session.close().status.success());
    env.stop_and_verify();
    let records = env.records();
    // The record came late; what follows says that the call was never made.
    let late = of_tool(&records, "strict_1");
    let words: Vec<_> = late.iter().map(|record| &record["outcome"]).collect();
    assert_eq!(words, [&json!("pending"), &json!("denied")], "{late:?}");
    for tool in ["loose_1", "blocking_1", "strict_after"] {
        let found = of_tool(&records, tool);
        assert_eq!(found.len(), 2, "{tool}: {found:?}");
    }
    let exited = of_type(&records, "server_exited");
    let details = &exited[0]["details"];
    assert_eq!(
        (&details["refused"], &details["unrecorded"]),
        (&json!(1), &json!(2))
    );
}

/// The recorder is killed and no other can start, because the configuration is broken meanwhile.
#[test]
fn a_recorder_that_is_gone() {
    let env = configured(RULES);
    let mut session = env.session(&[], ECHO);
    call(&mut session, "strict_before");
    let config = env.data().join("config.toml");
    std::fs::write(
        &config,
        format!("{RULES}\n[[rule]]\nlevel = \"everything\"\n"),
    )
    .unwrap();
    kill(env.recorder().unwrap());
    // Until it is known that there will be none, a call that came first waits as its mode says.
    let answer = call(&mut session, "blocking_1");
    assert!(answer["result"].is_object(), "{answer}");
    assert!(call(&mut session, "loose_1")["result"].is_object());
    let answer = call(&mut session, "strict_1");
    let why = answer["error"]["message"].as_str().unwrap();
    assert!(
        why.contains("config.toml") && why.contains("everything"),
        "{why}"
    );

    std::fs::write(&config, "").unwrap();
    until("a call that passes", || {
        call(&mut session, "strict_again")["result"]
            .is_object()
            .then_some(())
    });
    assert!(session.close().status.success());
    env.stop();
    let verified = env.done(&["verify"]);
    assert_ne!(verified.status.code(), Some(1), "{verified:?}");
    let records = env.records();
    let gaps = of_type(&records, "gap");
    assert!(!gaps.is_empty(), "what the blocking rule lost is counted");
    for gap in gaps {
        let details = &gap["details"];
        assert!(
            details["lost"].as_u64() > Some(0) && details["first"].is_string(),
            "{gap}"
        );
        assert!(
            details["last"].as_str() >= details["first"].as_str(),
            "{gap}"
        );
    }
    let changed = of_type(&records, "config_changed");
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0]["severity"], "warning");
}

#[test]
fn a_broken_configuration_starts_nothing() {
    let env = configured("[[rule]]\nlevel = \"everything\"\n");
    for (args, code) in [
        (&["serve"][..], 3),
        (&["run", "--", "true"], 125),
        (&["run", "--in-process", "--", "true"], 125),
    ] {
        let done = env.done(args);
        assert_eq!(done.status.code(), Some(code), "{done:?}");
        for says in [
            "config.toml",
            "line 2",
            "everything",
            "docs/configuration.md",
        ] {
            assert!(done.stderr.contains(says), "{says}: {done:?}");
        }
    }
    assert!(!env.data().join("log/segments").exists());
}

#[test]
fn a_change_of_the_configuration_is_recorded() {
    let env = Env::new();
    let session = |env: &Env| {
        let mut session = env.session(&[], ECHO);
        session.call("1");
        session.close();
        env.stop();
    };
    session(&env);
    assert!(of_type(&env.records(), "config_changed").is_empty());
    let config = env.data().join("config.toml");
    std::fs::write(&config, RULES).unwrap();
    session(&env);
    session(&env);
    std::fs::remove_file(&config).unwrap();
    session(&env);
    let records = env.records();
    let opened = config_of(&env, "log_opened");
    let changed: Vec<_> = of_type(&records, "config_changed")
        .iter()
        .map(|record| {
            (
                record["details"]["was"].clone(),
                record["details"]["now"].clone(),
            )
        })
        .collect();
    let (none, digest) = (json!("none"), opened[1].clone());
    assert_eq!(
        opened,
        [none.clone(), digest.clone(), digest.clone(), none.clone()]
    );
    assert_eq!(changed, [(none.clone(), digest.clone()), (digest, none)]);
    assert_eq!(config_of(&env, "server_started"), opened);
}
