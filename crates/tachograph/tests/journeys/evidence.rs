//! Whole bodies kept for whoever holds a key: kept, listed, opened, erased, and attacked.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::directories::Mount;
use crate::env::{Done, ECHO, Env, Session, of_type};

const ALL: &[&str] = &["--level", "request-response"];

/// Not JSON as a machine would write it: what comes back is what came.
const ARGUMENTS: &str = r#"{ "password" :"hunter2-correct-horse",  "n" : 1.00, "é\u00e9": [ ] }"#;
const SECRET: &str = "hunter2-correct-horse";

/// A result of sixteen mebibytes.
const LARGE: &str = r#"
while IFS= read -r line; do
    id=${line#*'"id":'}
    printf '{"jsonrpc":"2.0","id":%s,"result":{"content":"' "${id%%,*}"
    head -c 16777216 /dev/zero | tr '\0' x
    printf '"}}\n'
done"#;

/// Makes an identity beside the data directory.
fn keygen(env: &Env, name: &str) -> (PathBuf, String) {
    let path = env.path(name);
    let done = env
        .done(&["evidence", "keygen", "--out", path.to_str().unwrap()])
        .civil();
    assert!(done.status.success(), "{done:?}");
    let recipient = done.text().trim().to_owned();
    assert!(
        recipient.starts_with("age1") && done.stderr.contains(&recipient),
        "{done:?}"
    );
    (path, recipient)
}

/// Has evidence kept for a new identity.
fn keep(env: &Env) -> PathBuf {
    let (identity, recipient) = keygen(env, "auditor.key");
    // Makes the data directory.
    let done = env.done(&["key", "create"]);
    assert!(done.status.success(), "{done:?}");
    let config = format!("[evidence]\nrecipients = [\"{recipient}\"]\n");
    std::fs::write(env.data().join("config.toml"), config).unwrap();
    identity
}

fn call_with(session: &mut Session, arguments: &str) -> Value {
    session.send(&format!(
        r#"{{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{{"name":"write","arguments":{arguments}}}}}"#
    ));
    session.message()
}

/// A sealed log with one call in it, and the identity that reads it.
fn one_call(options: &[&str], script: &str) -> (Env, PathBuf) {
    let env = Env::new();
    let identity = keep(&env);
    let mut session = env.session(options, script);
    let answer = call_with(&mut session, ARGUMENTS);
    assert!(answer["result"].is_object(), "{answer:.200}");
    assert!(session.close().status.success());
    env.stop();
    (env, identity)
}

fn call_id(env: &Env) -> String {
    let records = env.records();
    let call = of_type(&records, "tool_call")[0];
    call["call"].as_str().unwrap().to_owned()
}

fn tacho(env: &Env, args: &[&str]) -> Done {
    env.done(args).civil()
}

fn open(env: &Env, id: &str, member: &str, identity: &Path) -> Done {
    let identity = identity.to_str().unwrap();
    tacho(
        env,
        &[
            "evidence",
            "open",
            id,
            "--member",
            member,
            "--identity",
            identity,
        ],
    )
}

fn verify(env: &Env, identity: Option<&Path>) -> (Option<i32>, Value) {
    let mut args = vec!["verify", "--json"];
    args.extend(
        identity
            .iter()
            .flat_map(|path| ["--identity", path.to_str().unwrap()]),
    );
    let done = tacho(env, &args);
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    (done.status.code(), report["report"].clone())
}

/// The files of the bodies, by the end of their names.
fn file(env: &Env, end: &str) -> PathBuf {
    let days = std::fs::read_dir(env.data().join("log/evidence")).unwrap();
    let files = days.flat_map(|day| std::fs::read_dir(day.unwrap().path()).unwrap());
    let mut files = files.map(|file| file.unwrap().path());
    files
        .find(|path| path.to_str().unwrap().ends_with(end))
        .unwrap()
}

#[test]
fn what_came_comes_back_exactly() {
    let (env, identity) = one_call(ALL, ECHO);
    let segment = std::fs::read_to_string(env.segment()).unwrap();
    assert!(!segment.contains(SECRET), "{segment}");
    let call = call_id(&env);
    let args = open(&env, &call, "args", &identity);
    assert_eq!(
        (args.status.code(), args.stdout.as_slice()),
        (Some(0), ARGUMENTS.as_bytes()),
        "{args:?}"
    );
    assert_eq!(args.stderr, "");
    assert_eq!(open(&env, &call, "result", &identity).stdout, b"{}");

    // Which one is not said, or there is none.
    let identity_text = identity.to_str().unwrap();
    let both = tacho(
        &env,
        &["evidence", "open", &call, "--identity", identity_text],
    );
    assert_eq!(both.status.code(), Some(3), "{both:?}");
    assert!(
        both.stderr.contains("2 bodies") && both.stdout.is_empty(),
        "{both:?}"
    );
    let none = open(&env, "0", "args", &identity);
    assert_eq!(none.status.code(), Some(1), "{none:?}");

    // From stdin into a file that was not there.
    let out = env.path("args.json");
    let out_text = out.to_str().unwrap();
    let from_stdin = || {
        let args = [
            "evidence",
            "open",
            &call,
            "--member",
            "args",
            "--identity",
            "-",
            "--out",
            out_text,
        ];
        let mut session = Session::start(env.tacho(&args));
        session.send(&std::fs::read_to_string(&identity).unwrap());
        session.close()
    };
    assert_eq!(from_stdin().status.code(), Some(0));
    assert_eq!(std::fs::read(&out).unwrap(), ARGUMENTS.as_bytes());
    assert_eq!(
        std::fs::metadata(&out).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        from_stdin().status.code(),
        Some(3),
        "nothing is overwritten"
    );

    let listed = tacho(&env, &["evidence", "list", &call]).text();
    assert!(
        listed.contains(&format!("args {} bytes, kept", ARGUMENTS.len())),
        "{listed}"
    );
    let listed = tacho(&env, &["evidence", "list", &call, "--json"]).text();
    let states: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (states.len(), &states[1]["member"], &states[1]["state"]),
        (2, &"result".into(), &"kept".into())
    );
    let (code, report) = verify(&env, Some(&identity));
    assert_eq!(code, Some(0), "{report}");
    let evidence = &report["evidence"];
    assert_eq!(evidence["kept"], evidence["checked"], "{report}");
    assert!(evidence["kept"].as_u64().unwrap() >= 2, "{report}");
}

#[test]
fn a_large_result_is_kept_whole() {
    let (env, identity) = one_call(ALL, LARGE);
    let records = env.records();
    let outcome = of_type(&records, "tool_call")[1];
    let expected = 16_777_216 + r#"{"content":""}"#.len();
    assert_eq!(
        outcome["evidence"]["result"]["bytes"], expected,
        "{outcome}"
    );
    let result = open(&env, &call_id(&env), "result", &identity);
    assert_eq!(
        (result.status.code(), result.stdout.len()),
        (Some(0), expected),
        "{}",
        result.stderr
    );
    let inner = &result.stdout[12..expected - 2];
    assert!(inner.iter().all(|byte| *byte == b'x'));
    assert_eq!(verify(&env, Some(&identity)).0, Some(0));
}

/// With the default level only what the record has no room for is kept.
#[test]
fn what_the_record_holds_is_not_kept_twice() {
    let env = Env::new();
    let identity = keep(&env);
    let mut session = env.session(&[], ECHO);
    call_with(&mut session, ARGUMENTS);
    let many = format!("[{}]", vec![r#""a short text""#; 10_000].join(", "));
    call_with(&mut session, &many);
    session.close();
    env.stop();
    let records = env.records();
    let kept: Vec<&Value> = records
        .iter()
        .filter(|record| record.get("evidence").is_some())
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0]["redaction"]["cut"]["args"], many.len(), "{kept:?}");
    let seq = kept[0]["seq"].to_string();
    assert_eq!(open(&env, &seq, "args", &identity).stdout, many.as_bytes());

    // And without recipients nothing is.
    let env = Env::new();
    let mut session = env.session(ALL, ECHO);
    call_with(&mut session, &many);
    session.close();
    env.stop();
    assert!(!env.data().join("log/evidence").exists());
}

#[test]
fn another_identity_reads_nothing() {
    let (env, identity) = one_call(ALL, ECHO);
    let (other, _) = keygen(&env, "other.key");
    let call = call_id(&env);
    let refused = open(&env, &call, "args", &other);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(
        refused.stderr.contains("encrypted to others") && refused.stdout.is_empty(),
        "{refused:?}"
    );
    assert_eq!(verify(&env, Some(&other)).0, Some(2));
    // Made once, for its owner only, and never in place of another.
    assert_eq!(
        std::fs::metadata(&other).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let before = std::fs::read(&other).unwrap();
    let again = tacho(
        &env,
        &["evidence", "keygen", "--out", other.to_str().unwrap()],
    );
    assert_eq!(again.status.code(), Some(3), "{again:?}");
    assert_eq!(std::fs::read(&other).unwrap(), before);
    // What is no identity at all is not repeated.
    std::fs::write(&other, format!("{SECRET}\n")).unwrap();
    let wrong = open(&env, &call, "args", &other);
    assert_eq!(wrong.status.code(), Some(3), "{wrong:?}");
    assert!(
        wrong.stderr.contains("line 1") && !wrong.stderr.contains(SECRET),
        "{wrong:?}"
    );
    assert_eq!(open(&env, &call, "args", &identity).status.code(), Some(0));
}

#[test]
fn what_was_erased_is_gone_and_the_log_is_whole() {
    let (env, identity) = one_call(ALL, ECHO);
    let call = call_id(&env);
    let path = file(&env, ".args.age");
    let bytes = std::fs::read(&path).unwrap();
    let erase = |options: &[&str]| {
        tacho(
            &env,
            &[&["evidence", "erase", call.as_str()], options].concat(),
        )
    };
    assert_eq!(erase(&[]).status.code(), Some(3), "without a reason");
    let done = erase(&["--member", "args", "--reason", "asked for by the customer"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(!path.exists());
    let again = erase(&["--member", "args", "--reason", "again"]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert!(
        again.text().contains("were erased already: record "),
        "{again:?}"
    );
    env.stop();
    let records = env.records();
    let erased = of_type(&records, "evidence_erased");
    assert_eq!(erased.len(), 1, "{erased:?}");
    assert_eq!(erased[0]["details"]["record"], call);
    assert_eq!(erased[0]["details"]["reason"], "asked for by the customer");
    assert!(erased[0]["actor"]["id"].is_string(), "{erased:?}");

    let refused = open(&env, &call, "args", &identity);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(refused.stderr.contains("was erased"), "{refused:?}");
    assert_eq!(open(&env, &call, "result", &identity).stdout, b"{}");
    let listed = tacho(&env, &["evidence", "list", &call]).text();
    assert!(listed.contains("erased by record"), "{listed}");
    let (code, report) = verify(&env, Some(&identity));
    assert_eq!(
        (code, &report["evidence"]["erased"]),
        (Some(0), &1.into()),
        "{report}"
    );

    // A crash between the record and the file: the same command finishes it.
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(verify(&env, None).0, Some(2));
    let done = erase(&["--reason", "all of it"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    env.stop();
    assert_eq!(
        of_type(&env.records(), "evidence_erased").len(),
        2,
        "only the result was still to be recorded"
    );
    let (code, report) = verify(&env, None);
    assert_eq!(
        (code, &report["evidence"]["erased"]),
        (Some(0), &2.into()),
        "{report}"
    );
}

#[test]
fn what_was_removed_by_hand_is_missing() {
    let (env, identity) = one_call(ALL, ECHO);
    let call = call_id(&env);
    std::fs::remove_file(file(&env, ".args.age")).unwrap();
    let (code, report) = verify(&env, None);
    assert_eq!(code, Some(2), "{report}");
    let finding = &report["findings"][0];
    assert!(
        finding["what"].as_str().unwrap().contains("missing") && finding["seq"].is_u64(),
        "{report}"
    );
    assert_eq!(open(&env, &call, "args", &identity).status.code(), Some(2));
    let erase = tacho(
        &env,
        &["evidence", "erase", &call, "--reason", "cover it up"],
    );
    assert_eq!(erase.status.code(), Some(1), "{erase:?}");
    assert!(file(&env, ".result.age").exists(), "all or nothing");
}

/// Whoever can write the files can destroy, and cannot make anybody believe another body.
#[test]
fn changed_and_swapped_files_are_not_believed() {
    let (env, identity) = one_call(ALL, ECHO);
    let call = call_id(&env);
    let path = file(&env, ".args.age");
    let original = std::fs::read(&path).unwrap();
    let (_, recipient) = keygen(&env, "attacker.key");
    let foreign = {
        let recipients = tacho_log::recipients::Recipients::parse(&[recipient]).unwrap();
        let contents = vec![b'x'; 32 + ARGUMENTS.len()];
        recipients
            .encrypt(&mut contents.as_slice(), Vec::new())
            .unwrap()
    };
    let mut changed = original.clone();
    *changed.last_mut().unwrap() ^= 1;
    for (bytes, code) in [
        (changed, Some(1)),
        (original[..original.len() - 1].to_vec(), Some(1)),
        (std::fs::read(file(&env, ".result.age")).unwrap(), Some(1)),
        (foreign, Some(3)),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let refused = open(&env, &call, "args", &identity);
        assert_eq!(refused.status.code(), code, "{refused:?}");
        assert!(refused.stdout.is_empty(), "{refused:?}");
        let (code, report) = verify(&env, Some(&identity));
        assert!(matches!(code, Some(1 | 2)), "{report}");
    }
    std::fs::write(&path, &original).unwrap();
    assert_eq!(verify(&env, Some(&identity)).0, Some(0));

    // Nor does the record help them: what it says is sealed.
    let segment = env.segment();
    let text = std::fs::read_to_string(&segment).unwrap();
    let at = text.find("salted-sha256:").unwrap() + "salted-sha256:".len();
    let digits = text.get(at..at + 4).unwrap();
    let mut lie = text.clone();
    lie.replace_range(at..at + 4, if digits == "0000" { "1111" } else { "0000" });
    std::fs::write(&segment, lie).unwrap();
    let refused = open(&env, &call, "args", &identity);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("not what was sealed"),
        "{refused:?}"
    );
}

/// A full disk refuses the call, and says what for; whoever fails open goes on and counts.
#[test]
fn a_body_that_cannot_be_kept_is_no_record() {
    let place = Mount::new("8m");
    let env = Env::at(place.path().join("data"));
    let identity = keep(&env);
    let large = format!("[{}]", vec![r#""a short text""#; 1_000_000].join(","));
    let mut session = env.session(&[], ECHO);
    assert!(call_with(&mut session, ARGUMENTS)["result"].is_object());
    let refused = call_with(&mut session, &large);
    let why = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(
        why.contains("args could not be kept as evidence") && why.contains("No space left"),
        "{refused}"
    );
    assert_eq!(refused["error"]["data"]["forwarded"], false, "{refused}");
    // There is room for what is smaller: nothing was left of the other.
    assert!(call_with(&mut session, ARGUMENTS)["result"].is_object());
    session.close();
    let mut session = env.session(&["--mode", "best-effort"], ECHO);
    assert!(call_with(&mut session, &large)["result"].is_object());
    call_with(&mut session, ARGUMENTS);
    session.close();
    env.stop();
    let records = env.records();
    assert!(of_type(&records, "gap").len() >= 2, "{records:?}");
    let (code, report) = verify(&env, Some(&identity));
    // An outcome without its intent is what was lost in the second session.
    assert_ne!(code, Some(1), "{report}");
    assert_eq!(report["evidence"]["unnamed"], 0, "{report}");
}

/// Other programs read what we write, and make keys for us.
#[test]
fn the_age_programs_understand_it() {
    let run = |program: &str, args: &[&str]| {
        let done = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .output();
        let done = done
            .unwrap_or_else(|error| panic!("{program}: {error}; on Debian: apt-get install age"));
        assert!(
            done.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        done.stdout
    };
    let (env, identity) = one_call(ALL, ECHO);
    let identity = identity.to_str().unwrap();
    let path = file(&env, ".args.age");
    let plain = run(
        "age",
        &["--decrypt", "--identity", identity, path.to_str().unwrap()],
    );
    assert_eq!(&plain[32..], ARGUMENTS.as_bytes());

    let theirs = env.path("theirs.key");
    run("age-keygen", &["--output", theirs.to_str().unwrap()]);
    let recipient =
        String::from_utf8(run("age-keygen", &["-y", theirs.to_str().unwrap()])).unwrap();
    let config = format!("[evidence]\nrecipients = [\"{}\"]\n", recipient.trim());
    std::fs::write(env.data().join("config.toml"), config).unwrap();
    let mut session = env.session(ALL, ECHO);
    call_with(&mut session, ARGUMENTS);
    session.close();
    env.stop();
    let records = env.records();
    let seq = of_type(&records, "tool_call")[2]["seq"].to_string();
    assert_eq!(
        open(&env, &seq, "args", &theirs).stdout,
        ARGUMENTS.as_bytes()
    );
}

/// A key that is none is named before anything runs.
#[test]
fn a_wrong_recipient_stops_everything() {
    let env = Env::new();
    keep(&env);
    std::fs::write(
        env.data().join("config.toml"),
        "[evidence]\nrecipients = [\"age1nonsense\"]\n",
    )
    .unwrap();
    let done = tacho(&env, &["run", "--", "true"]);
    assert_eq!(done.status.code(), Some(125), "{done:?}");
    assert!(
        done.stderr.contains("config.toml") && done.stderr.contains("age1nonsense"),
        "{done:?}"
    );
}
