//! No record, no call; or what the mode says instead.

use serde_json::Value;

use super::*;

const CALL: &str =
    "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"tools/call\",\"params\":{\"name\":\"t\"}}\n";

fn error(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap();
    assert_eq!(value["error"]["code"], -32010, "{line}");
    value
}

#[test]
fn nothing_is_forwarded_before_it_is_durable() {
    for said in [CALL, "{\"method\":\"n\"}\n", "no message\n"] {
        let double = Double::default();
        double.stall(|_| true);
        let mut running = start(&["cat"], Mode::STRICT, &double);
        running.say("\n");
        assert_eq!(
            running.hear_line(),
            "\n",
            "a blank line has no record to wait for"
        );
        running.say(said);
        running.say("\n");
        assert!(!running.hears(150), "{said}");
        double.release();
        assert_eq!(running.hear_line(), said);
        assert_eq!(running.hear_line(), "\n", "in order");
        running.end().unwrap();
    }
}

#[test]
fn no_answer_is_passed_on_before_it_is_durable() {
    let double = Double::default();
    double.stall(|event| matches!(event.stage, Stage::Outcome(_)));
    let script = r#"read line; echo '{"method":"before"}'; echo '{"id":"q","result":{}}'
        echo '{"method":"after"}'; cat"#;
    let mut running = start(&shell(script), Mode::STRICT, &double);
    running.say(CALL);
    assert_eq!(
        running.hear_line(),
        "{\"method\":\"before\"}\n",
        "notifications do not wait"
    );
    assert!(!running.hears(150));
    double.release();
    assert_eq!(running.hear_line(), "{\"id\":\"q\",\"result\":{}}\n");
    assert_eq!(
        running.hear_line(),
        "{\"method\":\"after\"}\n",
        "nothing overtakes"
    );
    running.end().unwrap();
}

/// A line too long to be one message is recorded once, by its first piece; without that record none of
/// its pieces is forwarded.
#[test]
fn pieces_of_an_overlong_line_share_its_fate() {
    let long = format!("{}\n", "x".repeat(1_000_000));
    for fails in [false, true] {
        let double = Double::default();
        if fails {
            *double.0.fails.lock().unwrap() =
                Some(|event| event.direction == Some(Direction::ClientToServer));
        }
        let mut running = start_with(&["cat"], Mode::STRICT, &double, None, 1_000);
        let mut input = running.input.take().unwrap();
        let said = format!("{long}\n");
        let expected = if fails { "\n".to_owned() } else { said.clone() };
        let writer = std::thread::spawn(move || input.write_all(said.as_bytes()).unwrap());
        let heard = running.hear_all();
        writer.join().unwrap();
        assert!(
            heard == expected.as_bytes(),
            "{} bytes came through",
            heard.len()
        );
        let info = running.end().unwrap();
        assert_eq!(info.counts.withheld, u64::from(fails));
        assert_eq!(double.directed(), if fails { 0 } else { 2 });
    }
}

#[test]
fn a_call_without_record_is_refused() {
    let double = Double::failing(|event| event.stage == Stage::Intent);
    let mut running = start(&["cat"], Mode::STRICT, &double);
    running.say(CALL);
    let refusal = error(&running.hear_line());
    assert_eq!(refusal["id"], "q");
    assert_eq!(refusal["error"]["data"]["forwarded"], false);
    let message = refusal["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("not forwarded") && message.contains("disk full"),
        "{message}"
    );
    running.say("[{\"id\":1,\"method\":\"a\"},{\"method\":\"n\"},{\"id\":2.0,\"method\":\"b\"}]\n");
    let batch: Value = serde_json::from_str(&running.hear_line()).unwrap();
    assert_eq!(batch.as_array().unwrap().len(), 2);
    running.say("\n");
    assert_eq!(
        running.hear_line(),
        "\n",
        "the server has seen nothing but the blank line"
    );
    let info = running.end().unwrap();
    assert_eq!((info.counts.refused, info.counts.withheld), (3, 0));
    let denied = double
        .told()
        .iter()
        .filter(|told| told.outcome == Some(Outcome::Denied))
        .count();
    assert_eq!(
        denied, 3,
        "the refusal is recorded as soon as something can be"
    );
    assert!(
        double
            .exited()
            .details
            .contains(&("refused", "Int(3)".to_owned()))
    );
}

#[test]
fn what_needs_no_answer_is_withheld_and_counted() {
    let double = Double::failing(|event| event.direction == Some(Direction::ClientToServer));
    let mut running = start(&["cat"], Mode::STRICT, &double);
    running.say("{\"method\":\"n\"}\nnot a message\n\n");
    assert_eq!(running.hear_line(), "\n");
    let info = running.end().unwrap();
    assert_eq!((info.counts.refused, info.counts.withheld), (0, 2));
}

#[test]
fn an_answer_without_record_is_replaced() {
    let double = Double::failing(|event| {
        event.direction.is_some() && matches!(event.stage, Stage::Outcome(_))
    });
    let script = r#"read line; echo '{"jsonrpc":"2.0","id":"q","result":{"secret":1}}'; cat"#;
    let mut running = start(&shell(script), Mode::STRICT, &double);
    running.say(CALL);
    let replaced = error(&running.hear_line());
    assert_eq!(replaced["id"], "q");
    assert_eq!(replaced["error"]["data"]["forwarded"], true);
    running.end().unwrap();
    let told = double.told();
    let outcomes: Vec<_> = told
        .iter()
        .filter(|told| told.kind == EventType::ToolCall && !told.intent)
        .collect();
    assert_eq!(outcomes.len(), 1, "the intent is closed all the same");
    assert_eq!(outcomes[0].outcome, Some(Outcome::Error));
    assert!(
        outcomes[0]
            .error
            .starts_with("the outcome could not be recorded in time")
    );
}

/// The server never hears of it, so it cancels nothing.
#[test]
fn a_withheld_cancellation_cancels_nothing() {
    const CANCEL: &str =
        "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"q\"}}\n";
    for withheld in [true, false] {
        let double = Double::default();
        if withheld {
            *double.0.fails.lock().unwrap() =
                Some(|event| event.kind == EventType::McpNotification);
        }
        let mut running = start(&shell("cat >/dev/null"), Mode::STRICT, &double);
        running.say(CALL);
        running.say(CANCEL);
        let info = running.end().unwrap();
        assert_eq!(info.counts.withheld, u64::from(withheld));
        let told = double.told();
        let outcomes: Vec<_> = told
            .iter()
            .filter(|told| told.kind == EventType::ToolCall && !told.intent)
            .filter_map(|told| told.outcome)
            .collect();
        let expected = if withheld {
            Outcome::Error
        } else {
            Outcome::Cancelled
        };
        assert_eq!(outcomes, [expected]);
    }
}

/// Behind a full queue the deadline is waited out once, not by every message in turn.
#[test]
fn blocking_does_not_add_up() {
    let double = Double::default();
    let deadline = Duration::from_millis(200);
    let mut running = start(&["cat"], Mode::Blocking { deadline }, &double);
    running.say("\n");
    assert_eq!(running.hear_line(), "\n");
    double.fill();
    let begun = Instant::now();
    running.say(&"{\"method\":\"n\"}\n".repeat(30));
    for _ in 0..30 {
        running.hear_line();
    }
    assert!(begun.elapsed() < 6 * deadline, "{:?}", begun.elapsed());
    double.release();
    running.end().unwrap();
}

/// A recorder without room, whose source is stuck under the lock, does not keep the supervisor.
#[test]
fn signals_pass_while_the_recorder_has_no_room() {
    let double = Double::default();
    let script = r#"trap "exit 9" HUP; echo ready; while :; do sleep 0.05; done"#;
    let mut running = start(&shell(script), Mode::STRICT, &double);
    assert_eq!(running.hear_line(), "ready\n");
    double.fill();
    running.say(CALL);
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    running.happenings.send(Happening::Signal(SIGHUP)).unwrap();
    let info = running.session.join().unwrap().unwrap();
    assert_eq!(info.status, Status::Exited(9));
    assert!(begun.elapsed() < FINISH_GRACE + Duration::from_secs(4));
}

/// A recorder that hangs does not keep the process once it has nothing else to do, and what it did not
/// confirm is not forwarded.
#[test]
fn a_recorder_that_hangs_is_left() {
    for script in [
        "read line; echo answer",
        "read line; echo answer; exec sleep 60",
    ] {
        let double = Double::default();
        double.stall(|event| event.direction == Some(Direction::ServerToClient));
        let begun = Instant::now();
        let mut running = start(&shell(script), Mode::STRICT, &double);
        running.say(CALL);
        running.hang_up();
        let input = running.output.take().unwrap();
        running.session.join().unwrap().unwrap();
        let grace = crate::limits::EXIT_GRACE + 2 * FINISH_GRACE;
        assert!(begun.elapsed() < grace + Duration::from_secs(4));
        let mut fds = [rustix::event::PollFd::new(
            &input,
            rustix::event::PollFlags::IN,
        )];
        let now = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        assert_eq!(rustix::event::poll(&mut fds, Some(&now)).unwrap(), 0);
    }
}

#[test]
fn a_request_of_the_server_without_record_is_refused_to_the_server() {
    let double = Double::failing(|event| event.stage == Stage::Intent);
    let script = r#"echo '{"id":5,"method":"roots/list"}'; read line; echo "log: $line"; cat"#;
    let mut running = start(&shell(script), Mode::STRICT, &double);
    let line = running.hear_line();
    let refusal = error(line.strip_prefix("log: ").unwrap());
    assert_eq!(refusal["id"], 5);
    running.end().unwrap();
}

#[test]
fn blocking_waits_and_then_goes_on() {
    let double = Double::default();
    double.stall(|_| true);
    let deadline = Duration::from_millis(120);
    let begun = Instant::now();
    let mut running = start(
        &shell("read line; echo \"$line\" >&2"),
        Mode::Blocking { deadline },
        &double,
    );
    running.say(CALL);
    running.hear_all();
    assert!(begun.elapsed() >= deadline);
    double.release();
    let info = running.end().unwrap();
    assert_eq!((info.counts.unrecorded, info.counts.refused), (1, 0));
}

#[test]
fn best_effort_never_waits() {
    let double = Double::failing(|_| true);
    double.stall(|_| true);
    let mut running = start(&["cat"], Mode::BestEffort, &double);
    running.say(CALL);
    assert_eq!(running.hear_line(), CALL);
    double.release();
    running.end().unwrap();
}

/// A refusal that comes while another thread writes goes out after it, without further prompting.
#[test]
fn a_reply_waits_for_the_writer_and_no_longer() {
    use rustix::pipe::{PipeFlags, pipe_with};
    let (output, sink) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let outbox: Arc<Outbox<DoubleTicket>> = Arc::new(Outbox::new(sink));
    let long = "x".repeat(1_000_000);
    let frame = crate::frame::Frame {
        bytes: long.clone().into(),
        end: crate::frame::End::Lf,
        continued: true,
    };
    let setup = Setup {
        actor: None,
        server_name: String::new(),
        session: RunId::from_bytes([1; 16]),
        entropy: 7,
        known: Definitions::new(),
        call_timeout: None,
        rules: Rules::default(),
        config: "none".to_owned(),
    };
    let door = Door::new(
        Exchange::new(setup),
        Double::default(),
        Arc::new(Frozen),
        None,
    );
    let (mut covered, _) = door.pass(Direction::ServerToClient, frame).unwrap();
    let permit = door.permit_now(&mut covered);
    let forwarder = Arc::clone(&outbox);
    std::thread::spawn(move || {
        forwarder.forward_all(|item| match item {
            outbox::Item::Reply(bytes) => outbox::Decided::Own(bytes),
            outbox::Item::Frame(_) => outbox::Decided::Nothing,
        });
    });
    let writer = Arc::clone(&outbox);
    std::thread::spawn(move || writer.send(covered, permit));
    // The pipe is full long before the frame is written.
    std::thread::sleep(Duration::from_millis(100));
    assert!(outbox.reply(b"refused".to_vec()));
    std::thread::sleep(Duration::from_millis(50));
    let mut output = File::from(output);
    let mut heard = vec![0; long.len() + 7];
    let (tell, told) = sync_channel(1);
    std::thread::spawn(move || {
        output.read_exact(&mut heard).unwrap();
        tell.send(heard.ends_with(b"xrefused")).unwrap();
    });
    assert!(told.recv_timeout(Duration::from_secs(10)).unwrap());
}
