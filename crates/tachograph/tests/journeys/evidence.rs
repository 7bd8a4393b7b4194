//! Whole bodies kept for whoever holds a key: kept, listed, opened, erased, and attacked.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::env::{Done, ECHO, Env, Session, finish, of_type};

pub(super) const ALL: &[&str] = &["--level", "request-response"];

/// Not JSON as a machine would write it: what comes back is what came.
pub(super) const ARGUMENTS: &str =
    r#"{ "password" :"hunter2-correct-horse",  "n" : 1.00, "é\u00e9": [ ] }"#;
pub(super) const SECRET: &str = "hunter2-correct-horse";

/// A result of sixteen mebibytes.
const LARGE: &str = r#"
while IFS= read -r line; do
    id=${line#*'"id":'}
    printf '{"jsonrpc":"2.0","id":%s,"result":{"content":"' "${id%%,*}"
    head -c 16777216 /dev/zero | tr '\0' x
    printf '"}}\n'
done"#;

/// Makes an identity beside the data directory.
pub(super) fn keygen(env: &Env, name: &str) -> (PathBuf, String) {
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
pub(super) fn keep(env: &Env) -> PathBuf {
    let (identity, recipient) = keygen(env, "auditor.key");
    // Makes the data directory.
    let done = env.done(&["key", "create"]);
    assert!(done.status.success(), "{done:?}");
    let config = format!("[evidence]\nrecipients = [\"{recipient}\"]\n");
    std::fs::write(env.data().join("config.toml"), config).unwrap();
    identity
}

pub(super) fn call_with(session: &mut Session, arguments: &str) -> Value {
    session.send(&format!(
        r#"{{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{{"name":"write","arguments":{arguments}}}}}"#
    ));
    session.message()
}

/// A sealed log with one call in it, and the identity that reads it.
pub(super) fn one_call(options: &[&str], script: &str) -> (Env, PathBuf) {
    let env = Env::new();
    let identity = keep(&env);
    let mut session = env.session(options, script);
    let answer = call_with(&mut session, ARGUMENTS);
    assert!(answer["result"].is_object(), "{answer:.200}");
    assert!(session.close().status.success());
    env.stop();
    (env, identity)
}

pub(super) fn call_id(env: &Env) -> String {
    let records = env.records();
    let call = of_type(&records, "tool_call")[0];
    call["call"].as_str().unwrap().to_owned()
}

pub(super) fn tacho(env: &Env, args: &[&str]) -> Done {
    env.done(args).civil()
}

pub(super) fn open(env: &Env, id: &str, member: &str, identity: &Path) -> Done {
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

pub(super) fn verify(env: &Env, identity: Option<&Path>) -> (Option<i32>, Value) {
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
pub(super) fn file(env: &Env, end: &str) -> PathBuf {
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
}

#[test]
fn an_identity_from_stdin_opens_into_a_new_file() {
    let (env, identity) = one_call(ALL, ECHO);
    let call = call_id(&env);
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
}

#[test]
fn what_is_kept_is_listed_and_checked() {
    let (env, identity) = one_call(ALL, ECHO);
    let call = call_id(&env);
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
fn what_is_held_is_not_erased() {
    let (env, identity) = one_call(ALL, ECHO);
    let call = call_id(&env);
    let hold = tacho(
        &env,
        &["hold", "add", "case-7", "--reason", "asked for by counsel"],
    );
    assert!(hold.status.success(), "{hold:?}");
    let erase = || {
        tacho(
            &env,
            &["evidence", "erase", &call, "--reason", "tidying up"],
        )
    };
    let refused = erase();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("case-7 (asked for by counsel)"),
        "{refused:?}"
    );
    assert_eq!(
        open(&env, &call, "args", &identity).stdout,
        ARGUMENTS.as_bytes()
    );
    let done = tacho(&env, &["hold", "remove", "case-7", "--reason", "closed"]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(erase().status.code(), Some(0));
    env.stop();
    assert_eq!(of_type(&env.records(), "evidence_erased").len(), 2);
}

/// Every command of the page works as it stands there.
#[test]
fn the_page_on_evidence_is_true() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/evidence.md");
    let page = std::fs::read_to_string(page).unwrap();
    let env = Env::new();
    let sh = |script: &str| {
        let mut command = Command::new("sh");
        let program = Path::new(env!("CARGO_BIN_EXE_tacho")).parent().unwrap();
        command
            .args(["-euc", script])
            .env_clear()
            .env("HOME", env.home());
        command.env("PATH", format!("{}:/usr/bin:/bin", program.display()));
        command.env("TACHO_DIR", env.data()).current_dir(env.home());
        let done = finish(command);
        assert!(done.status.success(), "{script}: {done:?}");
        done.text()
    };
    let mut blocks = page.split("```sh\n").skip(1);
    let mut next = || {
        blocks
            .next()
            .unwrap()
            .split("```")
            .next()
            .unwrap()
            .to_owned()
    };
    let recipient = sh(&next());
    let config = page
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let at = config.find("age1").unwrap();
    let end = at + config.get(at..).unwrap().find('"').unwrap();
    let config = config.replace(config.get(at..end).unwrap(), recipient.trim());
    assert!(env.done(&["key", "create"]).status.success());
    std::fs::write(env.data().join("config.toml"), config).unwrap();
    let mut session = env.session(ALL, ECHO);
    call_with(&mut session, ARGUMENTS);
    session.close();
    env.stop();
    let call = format!("CALL={}\n", call_id(&env));
    let opened = sh(&(call.clone() + &next()));
    assert!(opened.contains(ARGUMENTS), "{opened}");
    let checked = sh(&(call.clone() + &next()));
    assert!(checked.contains("decrypted and checked"), "{checked}");
    let erased = sh(&(call + &next()));
    assert!(erased.contains("erased the args of record"), "{erased}");
    let by_hand = next();
    let mut session = env.session(ALL, ECHO);
    call_with(&mut session, ARGUMENTS);
    session.close();
    env.stop();
    let path = file(&env, ".args.age");
    let by_hand = sh(&format!("BODY={}\n{by_hand}", path.display()));
    assert!(by_hand.contains(ARGUMENTS), "{by_hand}");
    assert!(blocks.next().is_none(), "a block is not tested");
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
