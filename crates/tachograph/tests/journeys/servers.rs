//! Servers that do not behave, and how they and `tacho run` end.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;

use crate::env::{ECHO, Env, finish, of_type, signal, until};

/// The server's own end is the end of `tacho run`, and the record says the same.
#[test]
fn exit_codes_pass_through() {
    for (script, code, details) in [
        ("exit 0", 0, json!({"exit_code": 0})),
        ("exit 7", 7, json!({"exit_code": 7})),
        ("exit 124", 124, json!({"exit_code": 124})),
        ("kill -TERM $$", 143, json!({"signal": 15})),
        ("kill -KILL $$", 137, json!({"signal": 9})),
    ] {
        let env = Env::new();
        let done = env.session(&[], script).close();
        assert_eq!(done.status.code(), Some(code), "{script}: {done:?}");
        env.stop_and_verify();
        let records = env.records();
        let exited = of_type(&records, "server_exited");
        assert_eq!(exited.len(), 1, "{script}");
        for (name, value) in details.as_object().unwrap() {
            let found = &exited[0]["details"][name];
            let words = found.to_string();
            let same = found == value || words.contains("TERM") || words.contains("KILL");
            assert!(same, "{script}: {name} {found}");
        }
    }
}

#[test]
fn a_command_that_cannot_run_says_so() {
    let env = Env::new();
    let plain = env.path("plain");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).unwrap();
    let no_interpreter = env.path("no-interpreter");
    std::fs::write(&no_interpreter, "#!/nonexistent/interpreter\n").unwrap();
    std::fs::set_permissions(&no_interpreter, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (command, code, words) in [
        ("no-such-command-here".into(), 127, "no-such-command-here"),
        ("/no/such/file".into(), 127, "/no/such/file"),
        (plain, 126, "plain"),
        (env.home(), 126, "home"),
        (no_interpreter, 127, "no-interpreter"),
    ] {
        let done = env.done(&["run".as_ref(), "--".as_ref(), command.as_os_str()]);
        assert_eq!(done.status.code(), Some(code), "{command:?}: {done:?}");
        assert!(done.stderr.starts_with("tacho: "), "{done:?}");
        assert!(done.stderr.contains(words), "{done:?}");
        assert!(done.stdout.is_empty(), "stdout is the protocol: {done:?}");
    }
    // Nothing ran, so there may be no log; if there is, it is in order.
    env.stop();
}

#[test]
fn a_server_that_dies_leaves_no_call_open() {
    for in_process in [false, true] {
        let env = Env::new();
        let options: &[&str] = if in_process { &["--in-process"] } else { &[] };
        let mut session = env.session(options, "head -n 1 >/dev/null; exit 3");
        session.send_call("doomed");
        session.send_call("late");
        let done = session.wait();
        assert_eq!(done.status.code(), Some(3), "{done:?}");
        env.stop_and_verify();
        let records = env.records();
        let calls = of_type(&records, "tool_call");
        let outcomes: Vec<_> = calls
            .iter()
            .filter(|record| record["stage"] == "outcome" && record["request"] == "doomed")
            .collect();
        assert_eq!(outcomes.len(), 1, "{calls:?}");
        assert_eq!(outcomes[0]["outcome"], "error");
        assert_eq!(outcomes[0]["error"]["layer"], "transport");
        assert_eq!(of_type(&records, "server_exited").len(), 1);
    }
}

/// Whatever a server writes arrives as it was written, and the log stays readable.
#[test]
fn garbage_passes_untouched() {
    for (name, script) in [
        ("words", r"echo Listening on port 3000; echo '   '; echo"),
        ("binary", r"printf '\000\001\377\376\033[2J\r\n\200\n'"),
        ("no line feed", r"printf '{\x22jsonrpc\x22:\x222.0\x22,'"),
        (
            "half a message",
            r#"printf '{"jsonrpc":"2.0","id":1,"result"'"#,
        ),
        ("deep", r#"head -c 200000 /dev/zero | tr '\0' '['; echo"#),
        (
            "long",
            r#"head -c 5000000 /dev/zero | tr '\0' 'x'; echo; echo after"#,
        ),
        (
            "many",
            r#"yes '{"jsonrpc":"2.0","id":9,"result":{}}' | head -n 2000"#,
        ),
        (
            "carriage returns",
            r#"printf '\r\r\n\357\273\277{}\r\n[]\n[1,[2]]\n'"#,
        ),
    ] {
        let env = Env::new();
        let mut direct = std::process::Command::new("sh");
        direct.args(["-c", script]);
        let expected = finish(direct);
        let done = env
            .session(&["--level", "request-response"], script)
            .close();
        assert_eq!(done.status.code(), Some(0), "{name}: {}", done.stderr);
        assert!(done.stdout == expected.stdout, "{name}: other bytes");
        env.stop_and_verify();
        let records = env.records();
        let strange =
            of_type(&records, "mcp_unparsed").len() + of_type(&records, "mcp_response").len();
        assert!(strange > 0, "{name}: not recorded");
        let shown = env.done(&["tail", "-n", "10000"]);
        assert_eq!(shown.status.code(), Some(0), "{name}");
        assert!(!shown.stdout.contains(&0x1b), "{name}: escapes get through");
    }
}

#[test]
fn a_signal_reaches_the_server() {
    for (name, number) in [(Signal::TERM, 15), (Signal::INT, 2), (Signal::HUP, 1)] {
        let env = Env::new();
        let mut session = env.session(&[], ECHO);
        session.call("before");
        signal(session.pid(), name);
        let done = session.wait();
        assert_eq!(done.status.code(), Some(128 + number), "{done:?}");
        assert_eq!(done.status.signal(), None);
        env.stop_and_verify();
        assert_eq!(of_type(&env.records(), "server_exited").len(), 1);
    }
}

/// A server that handles the signal decides itself how it ends.
#[test]
fn a_server_may_handle_the_signal() {
    let env = Env::new();
    let script = format!("trap 'echo bye; exit 5' TERM\n{ECHO}");
    let mut session = env.session(&[], &script);
    session.call("before");
    signal(session.pid(), Signal::TERM);
    let done = session.wait();
    assert_eq!(done.status.code(), Some(5), "{done:?}");
    assert_eq!(done.stdout, b"bye\n");
    env.stop_and_verify();
}

#[test]
fn stderr_environment_and_directory_are_the_servers_own() {
    let env = Env::new();
    let mut command = env.tacho(&["run", "--", "sh", "-c", r#"echo "$MARK $PWD" >&2"#]);
    command.env("MARK", "mark").current_dir("/");
    let done = finish(command);
    assert_eq!(done.stderr, "mark /\n");
    env.stop_and_verify();
}

#[test]
fn a_home_that_cannot_be_written_is_said() {
    let env = Env::new();
    let mut command = env.bare();
    command
        .args(["run", "--", "true"])
        .env("HOME", "/proc/nowhere");
    let done = finish(command);
    assert_eq!(done.status.code(), Some(125), "{done:?}");
    assert!(done.stderr.contains("/proc/nowhere"), "{done:?}");
    let mut homeless = env.bare();
    homeless.args(["run", "--", "true"]).env_remove("HOME");
    let done = finish(homeless);
    assert_eq!(done.status.code(), Some(125), "{done:?}");
    assert!(done.stderr.contains("--dir"), "{done:?}");
}

/// `tacho tail | head -1`: nobody is told that the pipe is closed.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let env = Env::new();
    // More than a pipe holds, so that the writing end notices.
    let mut session = env.session(&[], ECHO);
    for id in 0..200 {
        session.call(&format!("call-{id}"));
    }
    session.close();
    for args in [
        &["tail", "-n", "10000"][..],
        &["tail", "-f"],
        &["verify"],
        &["--help"],
    ] {
        let mut child = env.tacho(args);
        let mut child = child
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
    until("the segment", || Some(env.segment()));
    env.stop_and_verify();
}

#[test]
fn wrong_arguments_get_a_hint_and_exit_code_3() {
    let env = Env::new();
    for (args, words) in [
        (&["verfy"][..], "verify"),
        (&[], "Usage"),
        (&["run"], "Usage"),
        (&["run", "--"], "required"),
        (&["run", "--mode", "lax", "--", "true"], "strict"),
        (
            &["run", "--deadline-ms", "soon", "--", "true"],
            "deadline-ms",
        ),
        (&["tail", "-n", "-1"], "'-1'"),
        (&["tail", "-n", "many"], "-n"),
        (&["serve", "--checkpoint-seconds", "0"], "1..=3600"),
        (&["serve", "--stop", "--idle", "1"], "cannot be used"),
        (&["show"], "required"),
        (&["install"], "required"),
        (&["install", "emacs"], "claude-code"),
        (&["verify", "--key", "nonsense"], "verifier key"),
        (&["redact"], "Usage"),
        (&["--dir"], "--dir"),
    ] {
        // For the one that reads a log before it looks at its arguments.
        std::fs::create_dir_all(env.data().join("log/segments")).unwrap();
        let done = env.done(args);
        assert_eq!(done.status.code(), Some(3), "{args:?}: {done:?}");
        assert!(done.stderr.contains(words), "{args:?}: {}", done.stderr);
        assert!(done.stdout.is_empty(), "{args:?}: {done:?}");
    }
}

#[test]
fn nothing_to_read_is_said() {
    let env = Env::new();
    for args in [&["tail"][..], &["show", "1"], &["verify"]] {
        let done = env.done(args);
        assert_eq!(done.status.code(), Some(2), "{args:?}: {done:?}");
        assert!(done.stderr.contains("tacho run"), "{args:?}: {done:?}");
    }
    assert_eq!(env.done(&["status"]).status.code(), Some(0));
    assert!(!env.data().exists(), "readers make nothing");
}
