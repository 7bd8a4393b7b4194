//! How much is recorded of which message.

use tacho_event::Level;

use super::*;
use crate::rules::{Glob, Hint, Rule};

fn glob(pattern: &str) -> Option<Glob> {
    Some(Glob::new(pattern).unwrap())
}

fn rule(tool: &str, level: Option<Level>, mode: Mode) -> Rule {
    Rule {
        tool: glob(tool),
        level: Some(level),
        mode: Some(mode),
        ..Rule::default()
    }
}

/// `quiet_*` is not recorded, `full_*` wholly and strictly, the rest at `metadata` without waiting.
fn ruled() -> Exchange {
    let rules = vec![
        rule("quiet_*", None, Mode::BestEffort),
        rule("full_*", Some(Level::RequestResponse), Mode::STRICT),
        Rule {
            hint: Some(Hint::ReadOnly(true)),
            level: Some(None),
            ..Rule::default()
        },
        Rule {
            level: Some(Some(Level::Metadata)),
            mode: Some(Mode::BestEffort),
            ..Rule::default()
        },
    ];
    exchange_with(&[], None, Rules::new(rules, "files", Treatment::default()))
}

fn from(exchange: &mut Exchange, client: bool, line: &str) -> Observed {
    let from = if client {
        Direction::ClientToServer
    } else {
        Direction::ServerToClient
    };
    observe(exchange, from, line.as_bytes())
}

fn call(id: u32, tool: &str, more: &str) -> String {
    format!(r#"{{"id":{id},"method":"tools/call","params":{{"name":"{tool}"{more}}}}}"#)
}

fn levels(seen: &Observed) -> Vec<Option<Level>> {
    seen.events.iter().map(|event| event.level).collect()
}

#[test]
fn an_answer_has_the_level_and_mode_of_its_intent() {
    let mut exchange = ruled();
    for (tool, level, mode) in [
        ("full_x", Some(Level::RequestResponse), Mode::STRICT),
        ("other", Some(Level::Metadata), Mode::BestEffort),
    ] {
        let asked = from(&mut exchange, true, &call(1, tool, ""));
        let answered = from(&mut exchange, false, r#"{"id":1,"result":{}}"#);
        for seen in [asked, answered] {
            assert_eq!(levels(&seen), [level], "{tool}");
            assert_eq!(seen.mode, mode, "{tool}");
        }
    }
}

#[test]
fn what_is_not_recorded_is_counted() {
    let mut exchange = ruled();
    let asked = from(&mut exchange, true, &call(1, "quiet_x", ""));
    assert!(asked.events.is_empty() && asked.requests.len() == 1);
    let answered = from(&mut exchange, false, r#"{"id":1,"result":{}}"#);
    assert!(answered.events.is_empty());
    assert!(
        answered.answers[0].to.is_none(),
        "a withheld answer is not told"
    );
    from(&mut exchange, true, &call(2, "quiet_x", ""));
    let now = moment(Instant::now(), 0);
    let ending = Ending {
        client_left: true,
        server: "exited".to_owned(),
    };
    assert!(exchange.close(&ending, now).is_empty(), "nor is its end");
    assert_eq!(exchange.omitted(), 3);
    let exited = exchange.server_exited(("exit_code", 0), now);
    let omitted = exited.details.iter().find(|(word, _)| *word == "omitted");
    assert!(matches!(omitted, Some((_, Detail::Int(3)))));
}

/// Only calls of the client can go without a record.
#[test]
fn everything_else_is_recorded() {
    let quiet = Rule {
        level: Some(None),
        ..Rule::default()
    };
    let rules = Rules::new(vec![quiet], "files", Treatment::default());
    let mut exchange = exchange_with(&[("t", "00")], None, rules);
    for (client, line, kinds) in [
        (
            true,
            r#"{"id":1,"method":"initialize"}"#,
            &["client_connected"][..],
        ),
        (true, r#"{"method":"n"}"#, &["mcp_notification"]),
        (true, "no message", &["mcp_unparsed"]),
        (false, r#"{"id":7,"result":1}"#, &["mcp_response"]),
        (
            false,
            r#"{"id":8,"method":"sampling/createMessage"}"#,
            &["sampling"],
        ),
        (true, r#"{"id":8,"result":{}}"#, &["sampling"]),
        (true, r#"{"id":2,"method":"tools/list"}"#, &[]),
        (
            false,
            r#"{"id":2,"result":{"tools":[{"name":"u"}]}}"#,
            &["tool_definitions_changed"],
        ),
        (true, &call(3, "u", r#","_meta":{"progressToken":5}"#), &[]),
        (
            false,
            r#"{"method":"notifications/progress","params":{"progressToken":5}}"#,
            &["mcp_notification"],
        ),
    ] {
        let seen = from(&mut exchange, client, line);
        let found: Vec<_> = seen
            .events
            .iter()
            .map(|event| event.kind.as_str())
            .collect();
        assert_eq!(found, kinds, "{line}");
        for event in &seen.events {
            assert!(event.level <= Some(Level::Metadata), "{line}");
            let progress = line.contains("progress");
            assert!(
                !progress || event.call.is_none(),
                "it names a call without a record"
            );
        }
    }
    assert_eq!(exchange.omitted(), 4);
}

#[test]
fn denied_is_always_recorded() {
    let mut exchange = ruled();
    let batch = format!("[{},{}]", call(1, "quiet_x", ""), call(2, "full_x", ""));
    let seen = from(&mut exchange, true, &batch);
    assert_eq!(levels(&seen), [Some(Level::RequestResponse)]);
    assert_eq!(seen.mode, Mode::STRICT, "the strictest of a batch");
    let now = moment(Instant::now(), 0);
    let denied = exchange.denied(Direction::ClientToServer, &seen.requests, "full", now);
    let levels: Vec<_> = denied.iter().map(|event| event.level).collect();
    assert_eq!(
        levels,
        [Some(Level::Metadata), Some(Level::RequestResponse)]
    );
}

#[test]
fn rounds_and_tasks_are_treated_as_their_call() {
    let mut exchange = ruled();
    let more = r#"{"id":1,"result":{"resultType":"input_required","requestState":"s"}}"#;
    let retry = r#","requestState":"s","inputResponses":{}"#;
    let first = from(&mut exchange, true, &call(1, "full_x", ""));
    from(&mut exchange, false, more);
    // Whatever the later round is called, it is recorded as the first one was.
    let second = from(&mut exchange, true, &call(2, "quiet_x", retry));
    assert_eq!(levels(&second), [Some(Level::RequestResponse)]);
    assert_eq!(second.events[0].call, first.events[0].call);

    // And nobody gets around a rule by taking up a round of something that is not recorded.
    from(&mut exchange, true, &call(1, "quiet_x", ""));
    from(&mut exchange, false, more);
    let second = from(&mut exchange, true, &call(3, "full_x", retry));
    assert_eq!(levels(&second), [Some(Level::RequestResponse)]);
    assert_eq!(second.mode, Mode::STRICT);
    assert_eq!(
        second.events[0].call,
        Some(CallId::from(second.events[0].id))
    );

    for (tool, level) in [("full_x", Some(Level::RequestResponse)), ("quiet_x", None)] {
        from(&mut exchange, true, &call(4, tool, r#","task":{}"#));
        from(
            &mut exchange,
            false,
            r#"{"id":4,"result":{"task":{"taskId":"k","status":"working"}}}"#,
        );
        let result = r#"{"id":5,"method":"tasks/result","params":{"taskId":"k"}}"#;
        let asked = from(&mut exchange, true, result);
        let answered = from(&mut exchange, false, r#"{"id":5,"result":{}}"#);
        let expected: Vec<_> = level.map(Some).into_iter().collect();
        assert_eq!(
            (levels(&asked), levels(&answered)),
            (expected.clone(), expected)
        );
    }
}

/// A hint counts as the server listed it in this session; what is not listed is taken for the worst.
#[test]
fn hints_are_those_listed() {
    let mut exchange = ruled();
    let recorded =
        |exchange: &mut Exchange| !from(exchange, true, &call(9, "t", "")).events.is_empty();
    assert!(recorded(&mut exchange));
    for (annotations, expected) in [
        (r#"{"readOnlyHint":true}"#, false),
        (r#"{"readOnlyHint":false}"#, true),
        (r#"{"readOnlyHint":"true"}"#, true),
        ("{}", true),
        ("[]", true),
    ] {
        from(&mut exchange, true, r#"{"id":1,"method":"tools/list"}"#);
        let list = format!(
            r#"{{"id":1,"result":{{"tools":[{{"name":"t","annotations":{annotations}}}]}}}}"#
        );
        from(&mut exchange, false, &list);
        assert_eq!(recorded(&mut exchange), expected, "{annotations}");
    }
}

/// What a later round brings is arguments by another name.
#[test]
fn metadata_keeps_no_answers_of_the_user() {
    for (tool, kept) in [("other", false), ("full_x", true)] {
        let mut exchange = ruled();
        let asked = call(1, tool, r#","requestState":"s","inputResponses":{"a":1}"#);
        let seen = from(&mut exchange, true, &asked);
        let found = seen.events[0]
            .details
            .iter()
            .any(|(word, _)| *word == "input_responses");
        assert_eq!(found, kept, "{tool}");
    }
}
