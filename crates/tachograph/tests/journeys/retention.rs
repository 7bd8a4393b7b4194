//! Old records go as the configuration says; holds keep them; the log says both.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::env::{ECHO, Env, of_type, until};

/// A log with segments of days long past: records of today, dated back in the names of their segments
/// cannot be made through the binary, so each recorder's segment is given the name of an earlier day. The
/// records keep their times; a maximum age of a second lets them go.
fn three_segments(env: &Env) -> u64 {
    for day in ["2026-01-01", "2026-01-02"] {
        record(env, &["1", "2"]);
        env.stop();
        let segment = env.segment();
        std::fs::rename(&segment, segment.with_file_name(format!("{day}-000.jsonl"))).unwrap();
    }
    let records = env.records();
    record(env, &["3"]);
    env.stop();
    assert_eq!(segments(env).len(), 3, "{:?}", segments(env));
    records.len() as u64
}

fn record(env: &Env, ids: &[&str]) {
    let mut session = env.session(&[], ECHO);
    for id in ids {
        session.call(id);
    }
    session.close();
}

fn segments(env: &Env) -> Vec<String> {
    let entries = std::fs::read_dir(env.data().join("log/segments")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn configure(env: &Env, text: &str) {
    std::fs::write(env.data().join("config.toml"), text).unwrap();
}

const SHORT: &str = "[retention]\nmax_age = \"1s\"\n";

fn status(env: &Env) -> Value {
    serde_json::from_slice(&env.done(&["status", "--json"]).stdout).unwrap()
}

/// Starts a recorder, and lets it look once.
fn look(env: &Env) -> Value {
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    record(env, &["look"]);
    let status = until("a look", || {
        let status = status(env);
        let looks = status["recorder"]["retention"]["looks"].as_u64();
        looks.filter(|looks| *looks > 0).map(|_| status)
    });
    env.stop();
    status
}

fn minimum(env: &Env) -> u64 {
    status(env)["minimum_index"].as_u64().unwrap()
}

#[test]
fn old_records_go_and_everything_still_works() {
    let env = Env::new();
    let kept = three_segments(&env);
    look(&env);
    assert_eq!(minimum(&env), 0, "the default is 90 days");
    configure(&env, SHORT);
    look(&env);
    assert_eq!(minimum(&env), kept);
    assert_eq!(segments(&env).len(), 1);
    let records = env.records();
    assert_eq!(records[0]["seq"], kept);
    let pruned = of_type(&records, "retention_pruned");
    assert_eq!(pruned.len(), 1);
    assert_eq!(pruned[0]["details"]["from"], 0);
    assert_eq!(pruned[0]["details"]["to"], kept);
    assert_eq!(pruned[0]["details"]["reason"], "age");
    let verified = env.done(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    assert!(
        verified
            .text()
            .contains(&format!("records before {kept} were removed"))
    );
    // What was kept for a second only is not what this auditor wants.
    let verified = env.done(&["verify", "--min-retention", "30d"]);
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
    assert!(
        verified
            .text()
            .contains("were removed when the newest of them was")
    );
    let says = env.done(&["status"]).text();
    assert!(says.contains("removed after 1s"), "{says}");
    assert!(says.contains(&format!("number {kept}")), "{says}");
    // The log goes on, and tail and show find their way.
    record(&env, &["4"]);
    let tail = env.done(&["tail", "-n", "100000", "--json"]);
    assert_eq!(tail.status.code(), Some(0), "{tail:?}");
    assert!(
        tail.text()
            .starts_with(&format!("{{\"v\":1,\"seq\":{kept},"))
    );
    assert_eq!(
        env.done(&["show", &kept.to_string()]).status.code(),
        Some(0)
    );
    let gone = env.done(&["show", "0"]);
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
    assert!(gone.stderr.contains("removed by retention"), "{gone:?}");
    env.stop_and_verify();
}

#[test]
fn a_proof_of_a_pruned_record_still_holds() {
    let env = Env::new();
    let kept = three_segments(&env);
    let old = std::fs::read(env.data().join("log/checkpoint")).unwrap();
    let saved = env.path("old-checkpoint");
    std::fs::write(&saved, old).unwrap();
    let proof = env.path("proof");
    let proof = proof.to_str().unwrap();
    let proved = env.done(&["prove", "0", "--out", proof]);
    assert_eq!(proved.status.code(), Some(0), "{proved:?}");
    let vkey = env.done(&["key", "show"]).text();
    configure(&env, SHORT);
    look(&env);
    assert_eq!(minimum(&env), kept);
    // The record is gone from the log; with its proof, kept elsewhere, it is still evidence.
    let gone = env.done(&["prove", "0"]).civil();
    assert!(
        !gone.status.success() && gone.stderr.contains("removed by retention"),
        "{gone:?}"
    );
    let verified = env.done(&["verify", "--proof", proof, "--key", vkey.trim()]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    // A checkpoint from before the pruning is still a beginning of this log.
    let verified = env.done(&["verify", "--checkpoint", saved.to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[test]
fn a_hold_keeps_records_until_it_is_removed() {
    let env = Env::new();
    let kept = three_segments(&env);
    configure(&env, SHORT);
    let held = env.done(&[
        "hold",
        "add",
        "case-7",
        "--to",
        "3",
        "--reason",
        "the court asks",
    ]);
    // The recorder that records it must not be faster than the hold.
    assert_eq!(held.status.code(), Some(0), "{held:?}");
    assert!(
        held.text().contains("case-7 holds records 0 up to 3"),
        "{held:?}"
    );
    let mode = std::fs::metadata(env.data().join("holds.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    look(&env);
    assert_eq!(minimum(&env), 0);
    let twice = env.done(&["hold", "add", "case-7", "--reason", "x"]);
    assert_eq!(twice.status.code(), Some(3), "{twice:?}");
    let listed = env.done(&["hold", "list", "--json"]).text();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["holds"][0]["name"], "case-7");
    assert_eq!(listed["holds"][0]["to"], 3);
    assert!(
        env.done(&["hold", "list"])
            .text()
            .contains("the court asks")
    );
    let removed = env.done(&["hold", "remove", "case-7", "--reason", "closed"]);
    assert_eq!(removed.status.code(), Some(0), "{removed:?}");
    env.stop();
    look(&env);
    assert_eq!(minimum(&env), kept);
    let records = env.records();
    let changes = of_type(&records, "hold_changed");
    let actions: Vec<_> = changes
        .iter()
        .map(|record| &record["details"]["action"])
        .collect();
    assert_eq!(actions, ["added", "removed"]);
    assert_eq!(changes[0]["details"]["reason"], "the court asks");
    assert_eq!(changes[0]["actor"]["auth"], "os_user");
    assert_eq!(env.done(&["verify"]).status.code(), Some(0));
    let gone = env.done(&["hold", "remove", "case-7", "--reason", "x"]);
    assert_eq!(gone.status.code(), Some(3), "{gone:?}");
    // A hold on what is gone says so.
    let late = env.done(&["hold", "add", "case-8", "--from", "0", "--reason", "late"]);
    assert!(late.stderr.contains("were removed already"), "{late:?}");
}

#[test]
fn holds_by_time_and_mistakes() {
    let env = Env::new();
    record(&env, &["1"]);
    for (args, says) in [
        (vec!["--from", "yesterday"], "neither a position nor a time"),
        (vec!["--to", "2099-01-01"], "in the future"),
        (vec!["--from", "7", "--to", "7"], "no record from 7 up to 7"),
    ] {
        let args = [vec!["hold", "add", "x", "--reason", "r"], args].concat();
        let done = env.done(&args);
        assert_eq!(done.status.code(), Some(3), "{done:?}");
        assert!(done.stderr.contains(says), "{done:?}");
    }
    let bad = env.done(&["hold", "add", "a\u{1b}b", "--reason", "r"]);
    assert_eq!(bad.status.code(), Some(3), "{bad:?}");
    let held = env.done(&["hold", "add", "week", "--from", "1w", "--reason", "r"]);
    assert!(held.text().contains("records from 0 on"), "{held:?}");
    // What cannot be read stops retention, and the command.
    std::fs::write(env.data().join("holds.json"), "{").unwrap();
    let done = env.done(&["hold", "list"]);
    assert_eq!(done.status.code(), Some(4), "{done:?}");
    assert!(env.done(&["status"]).text().contains("nothing is removed"));
}

#[test]
fn a_required_reader_that_lags_stops_retention() {
    let env = Env::new();
    let kept = three_segments(&env);
    configure(&env, SHORT);
    std::fs::create_dir(env.data().join("cursors")).unwrap();
    let cursor = env.data().join("cursors/siem.json");
    std::fs::write(&cursor, r#"{"seq":2,"required":true}"#).unwrap();
    look(&env);
    assert_eq!(minimum(&env), 0);
    std::fs::write(&cursor, "{").unwrap();
    let trouble = look(&env)["recorder"]["retention"]["trouble"].clone();
    assert!(trouble.as_str().unwrap().contains("siem.json"), "{trouble}");
    assert_eq!(minimum(&env), 0);
    std::fs::write(&cursor, format!(r#"{{"seq":{kept},"required":true}}"#)).unwrap();
    look(&env);
    assert_eq!(minimum(&env), kept);
}

#[test]
fn a_mistaken_policy_records_nothing_and_says_where() {
    let env = Env::new();
    record(&env, &["1"]);
    env.stop();
    configure(&env, "[retention]\nmax_age = \"soon\"\n");
    let done = env.done(&["serve"]);
    assert_eq!(done.status.code(), Some(3), "{done:?}");
    assert!(
        done.stderr.contains("line 2") && done.stderr.contains("as in 90d"),
        "{done:?}"
    );
}

/// A pair of age keys for tests only.
const IDENTITY: &str =
    "# a comment\nAGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33\n";
const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

#[test]
fn closed_segments_are_encrypted_to_auditors() {
    let env = Env::new();
    let first = three_segments(&env);
    let text = format!(
        "[retention]\nkeep_all = true\n[evidence]\nrecipients = [\"{RECIPIENT}\"]\nencrypt_segments = true\n"
    );
    configure(&env, &text);
    record(&env, &["4"]);
    until("two encrypted segments", || {
        let count = segments(&env)
            .iter()
            .filter(|name| name.ends_with(".age"))
            .count();
        (count == 2).then_some(())
    });
    record(&env, &["5"]);
    env.stop();

    let identity = env.path("auditor.key");
    std::fs::write(&identity, IDENTITY).unwrap();
    let identity = identity.to_str().unwrap();
    let with = ["--identity", identity];

    let verified = env.done(&["verify", "--json"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(report["report"]["unread"], first);
    let said = env.done(&["verify"]).text();
    assert!(
        said.contains(&format!("{first} records are encrypted to others")),
        "{said}"
    );
    let verified = env.done(&[&["verify", "--json"], &with[..]].concat());
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    assert!(verified.stderr.contains("chmod 600"), "{verified:?}");
    let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(report["report"]["unread"], 0);

    let all = ["tail", "-n", "100000", "--json"];
    let tail = env.done(&all);
    assert_eq!(tail.status.code(), Some(0), "{tail:?}");
    assert!(
        tail.text()
            .starts_with(&format!("{{\"v\":1,\"seq\":{first},")),
        "{tail:?}"
    );
    assert!(tail.stderr.contains("encrypted to others"), "{tail:?}");
    let tail = env.done(&[&all[..], &with[..]].concat());
    assert!(tail.text().starts_with("{\"v\":1,\"seq\":0,"), "{tail:?}");
    let show = env.done(&[&["show", "0"], &with[..]].concat());
    assert_eq!(show.status.code(), Some(0), "{show:?}");
    let show = env.done(&["show", "0"]);
    assert_ne!(show.status.code(), Some(0), "{show:?}");
    assert!(show.stderr.contains("encrypted to others"), "{show:?}");

    for text in ["", "age1notakey", "AGE-SECRET-KEY-1BROKEN"] {
        let path = env.path("broken.key");
        std::fs::write(&path, text).unwrap();
        let done = env.done(&["verify", "--identity", path.to_str().unwrap()]);
        assert_eq!(done.status.code(), Some(3), "{done:?}");
        assert!(
            !done.stderr.contains("BROKEN"),
            "a key is not repeated: {done:?}"
        );
    }
}
