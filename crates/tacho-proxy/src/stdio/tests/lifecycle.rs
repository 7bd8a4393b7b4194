//! How sessions begin and end.

use super::*;

const CALL: &str =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}\n";

#[test]
fn a_command_that_cannot_be_started() {
    for (command, code) in [
        ("/nonexistent/server", 127),
        ("no-such-command-at-all", 127),
        ("/etc/passwd", 126),
    ] {
        let double = Double::default();
        let argv = [command, "--verbose"];
        let error = start(&argv, Mode::STRICT, &double).end().unwrap_err();
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().starts_with(command));
        let told = double.exited();
        assert_eq!(double.told().len(), 1);
        assert_eq!(told.outcome, Some(Outcome::Error));
        assert_eq!(
            (told.error, told.code),
            (error.to_string(), Some(i64::from(code)))
        );
        assert_eq!(told.details[0].0, "command");
        assert_eq!(told.details[1].0, "arguments");
        // Words from outside are not shown by Debug; what they become is tested with the redactor.
        assert_eq!(told.details.len(), 2);
    }
}

#[test]
fn exit_codes_and_signals_pass_through() {
    for (script, status, detail) in [
        ("exit 0", Status::Exited(0), ("exit_code", "Int(0)")),
        ("exit 7", Status::Exited(7), ("exit_code", "Int(7)")),
        ("kill -9 $$", Status::Signaled(9), ("signal", "Int(9)")),
    ] {
        let double = Double::default();
        let mut running = start(&shell(script), Mode::STRICT, &double);
        assert_eq!(running.hear_all(), b"", "the client sees the end");
        // Still connected: the server's end ends the session.
        let info = running.session.join().unwrap().unwrap();
        assert_eq!(info.status, status);
        assert_eq!(double.exited().details[0], (detail.0, detail.1.to_owned()));
    }
    assert_eq!(
        (Status::Exited(7).code(), Status::Signaled(15).code()),
        (7, 143)
    );
}

#[test]
fn a_call_that_the_server_dies_of_has_an_outcome() {
    let double = Double::default();
    let mut running = start(
        &shell("read line; echo last words; exit 3"),
        Mode::STRICT,
        &double,
    );
    running.say(CALL);
    assert_eq!(running.hear_all(), b"last words\n");
    let info = running.end().unwrap();
    assert_eq!(info.status, Status::Exited(3));
    let told = double.told();
    let outcome = told
        .iter()
        .find(|told| told.outcome == Some(Outcome::Error))
        .unwrap();
    assert_eq!(outcome.method, "tools/call");
    assert_eq!(
        outcome.error,
        "the server exited with status 3 before it answered"
    );
    assert_eq!(told[0].kind, EventType::ServerStarted);
    assert_eq!(double.exited().kind, EventType::ServerExited);
}

#[test]
fn signals_reach_the_server() {
    let double = Double::default();
    let script = r#"trap "exit 9" HUP; echo ready; while :; do sleep 0.05; done"#;
    let mut running = start(&shell(script), Mode::STRICT, &double);
    assert_eq!(running.hear_line(), "ready\n");
    running.happenings.send(Happening::Signal(SIGHUP)).unwrap();
    let info = running.session.join().unwrap().unwrap();
    assert_eq!(info.status, Status::Exited(9));
}

#[test]
fn the_end_of_the_clients_input_is_the_servers() {
    let double = Double::default();
    let mut running = start(
        &shell("cat >/dev/null; echo bye; exit 4"),
        Mode::STRICT,
        &double,
    );
    running.say(CALL);
    running.hang_up();
    assert_eq!(running.hear_all(), b"bye\n");
    assert_eq!(running.end().unwrap().status, Status::Exited(4));
    let told = double.told();
    let outcome = told
        .iter()
        .find(|told| told.outcome == Some(Outcome::Error))
        .unwrap();
    assert!(
        outcome
            .error
            .starts_with("the client closed and the server exited")
    );
}

/// SIGTERM after the grace, SIGKILL after another: no server outlives its client.
#[test]
fn a_server_that_will_not_leave_is_made_to() {
    let double = Double::default();
    let mut running = start(&shell("trap '' TERM; exec sleep 60"), Mode::STRICT, &double);
    let begun = Instant::now();
    running.hang_up();
    let info = running.end().unwrap();
    assert_eq!(info.status, Status::Signaled(9));
    let grace = crate::limits::EXIT_GRACE + crate::limits::TERM_GRACE;
    assert!(begun.elapsed() >= grace && begun.elapsed() < grace + Duration::from_secs(3));
}

#[test]
fn a_server_asked_to_leave_by_the_client_gets_less_time() {
    let double = Double::default();
    let mut running = start(
        &shell("trap '' TERM; echo up; exec sleep 60"),
        Mode::STRICT,
        &double,
    );
    assert_eq!(running.hear_line(), "up\n");
    running.hang_up();
    running.happenings.send(Happening::ClientEnded).unwrap();
    running.happenings.send(Happening::Signal(SIGTERM)).unwrap();
    let begun = Instant::now();
    assert_eq!(running.end().unwrap().status, Status::Signaled(9));
    assert!(begun.elapsed() < crate::limits::EXIT_GRACE);
}

/// A client that has only finished asking is still given its answers.
#[test]
fn a_slow_answer_after_the_end_of_input_is_waited_for() {
    let double = Double::default();
    let script = r#"read line; sleep 6; echo '{"id":1,"result":{}}'"#;
    let mut running = start(&shell(script), Mode::STRICT, &double);
    running.say(CALL);
    running.hang_up();
    assert_eq!(running.hear_all(), b"{\"id\":1,\"result\":{}}\n");
    assert_eq!(running.end().unwrap().status, Status::Exited(0));
}

#[test]
fn when_the_client_goes_deaf_recording_still_finishes() {
    let double = Double::default();
    let script = r#"read line; echo noise; sleep 0.2; echo '{"id":1,"result":{}}'; cat; exit 5"#;
    let mut running = start(&shell(script), Mode::STRICT, &double);
    running.output = None;
    running.say(CALL);
    let info = running.session.join().unwrap().unwrap();
    assert_eq!(info.status, Status::Exited(5));
    let told = double.told();
    assert!(
        told.iter().any(|told| told.outcome == Some(Outcome::Ok)),
        "{told:?}"
    );
}

#[test]
fn an_output_held_open_by_another_process_does_not_hold_up_the_end() {
    let double = Double::default();
    let mut running = start(&shell("sleep 30 & exit 6"), Mode::STRICT, &double);
    let begun = Instant::now();
    assert_eq!(running.hear_all(), b"");
    assert_eq!(
        running.session.join().unwrap().unwrap().status,
        Status::Exited(6)
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_server_that_closes_its_output_first_is_seen_to() {
    let double = Double::default();
    let mut running = start(
        &shell("echo x; exec >&-; cat >/dev/null; exit 8"),
        Mode::STRICT,
        &double,
    );
    assert_eq!(
        running.hear_all(),
        b"x\n",
        "the client sees the end though the server runs on"
    );
    assert_eq!(running.end().unwrap().status, Status::Exited(8));
}

#[test]
fn a_client_that_writes_to_a_server_without_input_feels_it() {
    let double = Double::default();
    let mut running = start(
        &shell("exec <&-; echo deaf; sleep 1"),
        Mode::STRICT,
        &double,
    );
    assert_eq!(running.hear_line(), "deaf\n");
    let mut input = running.input.take().unwrap();
    let failed = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(2));
        input.write_all(CALL.as_bytes()).is_err()
    });
    assert!(failed);
    assert_eq!(running.end().unwrap().status, Status::Exited(0));
}

#[test]
fn the_operators_limit_for_waiting_is_recorded() {
    let double = Double::default();
    let limit = Some(Duration::from_millis(100));
    let script = r#"read line; sleep 1; echo '{"id":1,"result":{}}'; cat"#;
    let mut running = start_with(&shell(script), Mode::STRICT, &double, limit, MESSAGE_BYTES);
    running.say(CALL);
    assert_eq!(running.hear_line(), "{\"id\":1,\"result\":{}}\n");
    running.end().unwrap();
    let told = double.told();
    let timeout = told
        .iter()
        .position(|told| told.outcome == Some(Outcome::Timeout))
        .unwrap();
    assert!(!told[timeout].directed && !told[timeout].intent);
    assert_eq!(told[timeout + 1].kind, EventType::McpResponse, "late");
}
