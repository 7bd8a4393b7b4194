//! The key of the log: made, shown, elsewhere, changed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::env::{ECHO, Env, finish};

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

fn show(env: &Env) -> String {
    let done = env.done(&["key", "show"]).civil();
    assert!(done.status.success(), "{done:?}");
    done.text().trim().to_owned()
}

/// One call is recorded.
fn call(env: &Env, options: &[&str]) {
    let mut session = env.session(options, ECHO);
    let answer = session.call("1");
    assert!(answer.get("result").is_some(), "{answer}");
    let done = session.close();
    assert!(done.status.success(), "{done:?}");
}

fn verify(env: &Env, key: &str) -> (Option<i32>, Value) {
    let done = env.done(&["verify", "--json", "--key", key]).civil();
    (
        done.status.code(),
        serde_json::from_slice(&done.stdout).unwrap(),
    )
}

#[test]
fn a_changed_key_is_recorded_and_followed() {
    let env = Env::new();
    call(&env, &[]);
    let first = show(&env);
    // The recorder is still there, and leaves for the change.
    assert!(env.recorder().is_some());
    let done = env.done(&["key", "rotate"]).civil();
    assert!(done.status.success(), "{done:?}");
    let second = done.text().trim().to_owned();
    assert_ne!(first, second);
    assert_eq!(show(&env), second);
    assert!(!env.data().join("key/signing.key.new").exists());
    call(&env, &[]);
    env.stop();
    for key in [&first, &second] {
        let (code, report) = verify(&env, key);
        assert_eq!(code, Some(0), "{report}");
        assert_eq!(report["report"]["key"], second);
    }
    let rotated = env
        .records()
        .into_iter()
        .find(|record| record["type"] == "key_rotated");
    let rotated = rotated.unwrap();
    // Whole, whatever redaction thinks of forty random characters.
    assert_eq!(rotated["details"]["keys"]["old"], *first);
    assert_eq!(rotated["details"]["keys"]["new"], *second);
    assert_eq!(rotated["actor"]["auth"], "os_user");
    // A list of keys and sizes in a file, as an auditor keeps it.
    let size = rotated["seq"].as_u64().unwrap() + 1;
    let list = env.path("keys");
    for (text, code) in [
        (format!("# ours\n{first} 0 {size}\n{second} {size}\n"), 0),
        (format!("{first} 0 {size}\n{second} {}\n", size + 1000), 1),
    ] {
        write(&list, &text);
        assert_eq!(verify(&env, list.to_str().unwrap()).0, Some(code), "{text}");
    }
}

#[test]
fn a_session_goes_on_over_a_change_of_the_key() {
    let env = Env::new();
    let mut session = env.session(&[], ECHO);
    for id in ["1", "2", "3"] {
        session.call(id);
        let done = env.done(&["key", "rotate"]).civil();
        assert!(done.status.success(), "{done:?}");
    }
    session.call("4");
    assert!(session.close().status.success());
    env.stop_and_verify();
    let answered = |one: &Value| one["type"] == "tool_call" && one["stage"] == "outcome";
    assert_eq!(env.records().iter().filter(|one| answered(one)).count(), 4);
}

#[test]
fn a_crash_in_the_middle_of_a_change_is_finished_by_the_next_recorder() {
    let env = Env::new();
    call(&env, &[]);
    env.stop();
    let path = env.data().join("key/signing.key");
    let old = std::fs::read_to_string(&path).unwrap();
    assert!(env.done(&["key", "rotate"]).status.success());
    // As if the machine had stopped before the new key took the old one's place.
    let new = std::fs::read_to_string(&path).unwrap();
    let waiting = env.data().join("key/signing.key.new");
    for (file, text) in [(&path, &old), (&waiting, &new)] {
        write(file, text);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    call(&env, &[]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), new);
    env.stop_and_verify();
    // The same, and the operator tries once more: the key that the log goes by must not be lost.
    for (file, text) in [(&path, &old), (&waiting, &new)] {
        write(file, text);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let again = env.done(&["key", "rotate"]).civil();
    assert!(again.status.success(), "{again:?}");
    let new = std::fs::read_to_string(&path).unwrap();
    call(&env, &[]);
    env.stop_and_verify();
    // A new key that the log was never told of stays where it is.
    write(&waiting, &old);
    std::fs::set_permissions(&waiting, std::fs::Permissions::from_mode(0o600)).unwrap();
    call(&env, &[]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), new);
    env.stop_and_verify();
}

#[test]
fn the_key_may_live_elsewhere() {
    let env = Env::new();
    let file = env.path("signing.key");
    let made = env
        .done(&["key", "create", "--file", file.to_str().unwrap()])
        .civil();
    assert!(made.status.success(), "{made:?}");
    let vkey = made.text().trim().to_owned();
    std::fs::create_dir_all(env.data()).unwrap();
    std::fs::set_permissions(env.data(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let configure = |text: &str| write(&env.data().join("config.toml"), text);
    let quoted = format!("{:?}", file.to_str().unwrap());
    for config in [
        format!("[key]\nfile = {quoted}\n"),
        format!("[key]\ncommand = [\"cat\", {quoted}]\n"),
    ] {
        configure(&config);
        assert_eq!(show(&env), vkey, "{config}");
        call(&env, &[]);
        call_in_process(&env);
        env.stop();
        assert_eq!(verify(&env, &vkey).0, Some(0), "{config}");
        assert!(!env.data().join("key/signing.key").exists());
    }
    // From a file descriptor; the configuration stands back.
    configure("[key]\nfile = \"/nowhere\"\n");
    let tacho = env!("CARGO_BIN_EXE_tacho");
    let mut command = Command::new("sh");
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", env.home());
    command.env("TACHO_DIR", env.data());
    command.args([
        "-c",
        "exec \"$0\" key show --key-fd 7 7<\"$1\"",
        tacho,
        file.to_str().unwrap(),
    ]);
    let done = finish(command).civil();
    assert_eq!(done.text().trim(), vkey, "{done:?}");
}

#[test]
fn a_key_that_cannot_be_had_is_said_with_what_to_do() {
    let env = Env::new();
    let file = env.path("signing.key");
    let made = env.done(&["key", "create", "--file", file.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    std::fs::create_dir_all(env.data()).unwrap();
    std::fs::set_permissions(env.data(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let configure = |text: &str| write(&env.data().join("config.toml"), text);
    let quoted = format!("{:?}", file.to_str().unwrap());
    for (config, says) in [
        (
            "[key]\nfile = \"/nowhere\"\n",
            "tacho key create --file /nowhere",
        ),
        ("[key]\ncommand = [\"false\"]\n", "it failed"),
        (
            "[key]\ncommand = [\"echo\", \"no key\"]\n",
            "not in the layout of a key",
        ),
        (
            "[key]\nfile = \"/k\"\ncommand = [\"cat\"]\n",
            "file, command",
        ),
    ] {
        configure(config);
        let done = env.done(&["key", "show"]).civil();
        assert!(
            !done.status.success() && done.stderr.contains(says),
            "{done:?}"
        );
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    configure(&format!("[key]\nfile = {quoted}\n"));
    let done = env.done(&["key", "show"]).civil();
    assert!(
        !done.status.success() && done.stderr.contains("chmod 600"),
        "{done:?}"
    );
}

fn call_in_process(env: &Env) {
    env.stop();
    call(env, &["--in-process"]);
}

#[test]
fn a_key_from_a_command_is_changed_by_hand() {
    let env = Env::new();
    let (old, new) = (env.path("old"), env.path("new"));
    let made = env.done(&[
        "key",
        "create",
        "--file",
        old.to_str().unwrap(),
        "--name",
        "log.example/1",
    ]);
    let first = made.text().trim().to_owned();
    std::fs::create_dir_all(env.data()).unwrap();
    std::fs::set_permissions(env.data(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let configure = |file: &Path| {
        write(
            &env.data().join("config.toml"),
            &format!("[key]\ncommand = [\"cat\", {file:?}]\n"),
        );
    };
    configure(&old);
    call(&env, &[]);
    let refused = env.done(&["key", "rotate"]).civil();
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("tacho key create --name log.example/1"),
        "{refused:?}"
    );
    let made = env.done(&[
        "key",
        "create",
        "--file",
        new.to_str().unwrap(),
        "--name",
        "log.example/1",
    ]);
    let second = made.text().trim().to_owned();
    let done = env
        .done(&["key", "rotate", "--new-file", new.to_str().unwrap()])
        .civil();
    assert!(done.status.success(), "{done:?}");
    // With the old key nothing goes on; the client is told why.
    let mut session = env.session(&[], ECHO);
    let answer = session.call("1").to_string();
    let why = "the key of this log was changed";
    assert!(
        answer.contains("\"error\"") && answer.contains(why),
        "{answer}"
    );
    drop(session.close());
    configure(&new);
    call(&env, &[]);
    env.stop();
    for key in [&first, &second] {
        assert_eq!(verify(&env, key).0, Some(0));
    }
}
