//! Conversations in, one line for each event out: both protocol generations, and bad manners.

use std::fmt::Write as _;

use proptest::prelude::*;
use tacho_event::{Auth, Layer, Stage};

use super::*;
use crate::frame::End;

mod bounds;
mod conversations;
mod treatment;

fn exchange(known: &[(&str, &str)], call_timeout: Option<Duration>) -> Exchange {
    exchange_with(known, call_timeout, Rules::default())
}

fn exchange_with(known: &[(&str, &str)], call_timeout: Option<Duration>, rules: Rules) -> Exchange {
    let known = known
        .iter()
        .map(|(name, digest)| ((*name).into(), (*digest).into()))
        .collect();
    let actor = Actor {
        id: Unredacted::from("ann"),
        auth: Auth::OsUser,
        uid: Some(1000),
    };
    Exchange::new(Setup {
        actor: Some(actor),
        server_name: "files".to_owned(),
        session: RunId::from_bytes([7; 16]),
        entropy: 1,
        known,
        call_timeout,
        rules,
        config: "none".to_owned(),
    })
}

fn moment(start: Instant, ms: u64) -> Moment {
    Moment {
        wall: Timestamp::from_unix_nanos(1_000_000_000_000_000_000 + ms * 1_000_000),
        mono: start + Duration::from_millis(ms),
    }
}

fn frame(line: &[u8]) -> Frame {
    Frame {
        bytes: Bytes::copy_from_slice(line),
        end: End::Lf,
        continued: false,
    }
}

/// Plays a conversation and tells it back. Lines begin with `C ` or `S ` for who speaks, `wait MS`,
/// or `end` when the server exits; a line is a millisecond.
struct Play {
    exchange: Exchange,
    start: Instant,
    ms: u64,
    ids: Vec<EventId>,
    told: Vec<String>,
    directed: usize,
    spoken: usize,
}

impl Play {
    fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            start: Instant::now(),
            ms: 0,
            ids: Vec::new(),
            told: Vec::new(),
            directed: 0,
            spoken: 0,
        }
    }

    fn line(&mut self, line: &str) {
        let now = moment(self.start, self.ms);
        let events = match line.trim().split_once(' ') {
            Some((who @ ("C" | "S"), message)) => {
                self.spoken += 1;
                let from = match who {
                    "C" => Direction::ClientToServer,
                    _ => Direction::ServerToClient,
                };
                let mut seen = self.exchange.observe(from, &frame(message.as_bytes()), now);
                let ended = self.exchange.cancelled(&seen.cancels, now);
                seen.events.extend(ended);
                seen.events
            }
            Some(("wait", ms)) => {
                self.ms += ms.parse::<u64>().unwrap();
                self.exchange.expire(moment(self.start, self.ms))
            }
            _ => {
                let server = "exited with status 1".to_owned();
                self.exchange.close(
                    &Ending {
                        client_left: line.trim() == "leave",
                        server,
                    },
                    now,
                )
            }
        };
        self.ms += 1;
        for event in &events {
            let line = self.tell(event);
            self.told.push(line);
        }
    }

    fn number(&self, bytes: &[u8; 16]) -> String {
        let at = self.ids.iter().position(|id| id.as_bytes() == bytes);
        at.map_or_else(|| "?".to_owned(), |at| format!("#{at}"))
    }

    /// `#N type stage>ref direction id method tool = outcome (layer code message) call details`,
    /// where what is plain is left out.
    fn tell(&mut self, event: &Event) -> String {
        self.ids.push(event.id);
        self.directed += usize::from(event.direction.is_some());
        let mut out = format!("#{} {}", self.ids.len() - 1, event.kind);
        match event.stage {
            Stage::Single => {}
            Stage::Intent => out.push_str(" intent"),
            Stage::Outcome(intent) => {
                write!(out, " of {}", self.number(intent.as_bytes())).unwrap();
            }
        }
        if let Some(direction) = event.direction {
            out.push_str(if direction == Direction::ClientToServer {
                " c>s"
            } else {
                " s>c"
            });
        }
        let utf8 = |raw: &Bytes| String::from_utf8(raw.to_vec()).unwrap();
        if let Some(request) = &event.request {
            write!(out, " {}", utf8(request.expose())).unwrap();
        }
        for text in [&event.method, &event.tool].into_iter().flatten() {
            write!(out, " {}", text.expose()).unwrap();
        }
        if let Some(outcome) = event.outcome {
            write!(out, " = {outcome}").unwrap();
        }
        if let Some(error) = &event.error {
            let code = error.code.map_or(String::new(), |code| format!(" {code}"));
            write!(out, " ({}{code}: {})", error.layer, error.message.expose()).unwrap();
        }
        let own = CallId::from(event.id);
        if let Some(call) = event.call.filter(|call| *call != own) {
            write!(out, " call {}", self.number(call.as_bytes())).unwrap();
        }
        if event.tool_definition.is_some() {
            out.push_str(" defined");
        }
        for (word, detail) in &event.details {
            match detail {
                Detail::Bool(value) => write!(out, " {word}={value}"),
                Detail::Int(value) => write!(out, " {word}={value}"),
                Detail::Word(value) => write!(out, " {word}={value}"),
                Detail::Text(value) => write!(out, " {word}={}", value.expose()),
                Detail::Json(value) => write!(out, " {word}={}", utf8(value.expose())),
                Detail::Digest(value) => write!(out, " {word}=digest({})", utf8(value.expose())),
                Detail::Time(time) => write!(out, " {word}={time}"),
                Detail::Id(id) => write!(out, " {word}={}", self.number(id.as_bytes())),
                Detail::Named(pairs) => {
                    let names: Vec<_> = pairs
                        .iter()
                        .map(|(name, _)| name.expose().as_str())
                        .collect();
                    write!(out, " {word}={}", names.join("+"))
                }
            }
            .unwrap();
        }
        out
    }
}

#[track_caller]
fn check_on(exchange: Exchange, conversation: &str, expected: &str) -> Play {
    let mut play = Play::new(exchange);
    conversation.trim().lines().for_each(|line| play.line(line));
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(play.told, expected, "\n{}", play.told.join("\n"));
    play
}

#[track_caller]
fn check(conversation: &str, expected: &str) -> Play {
    let play = check_on(exchange(&[], None), conversation, expected);
    assert_eq!(
        play.directed, play.spoken,
        "one event with a direction for each message"
    );
    play
}

fn observe(exchange: &mut Exchange, from: Direction, line: &[u8]) -> Observed {
    exchange.observe(from, &frame(line), moment(Instant::now(), 0))
}

#[test]
fn an_intent_has_all_that_is_known() {
    let mut exchange = exchange(&[("write", "d1")], None);
    let line = br#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"_meta":{"traceparent":"00-t",
        "io.modelcontextprotocol/clientInfo":{"name":"agent","version":"2"}},"name":"write",
        "arguments":{"path":"/a"}}}"#;
    let seen = observe(&mut exchange, Direction::ClientToServer, line);
    assert!(seen.waits && !seen.batch);
    assert_eq!(seen.requests.len(), 1);
    assert_eq!(&seen.requests[0].id[..], b"\"x\"");
    let event = &seen.events[0];
    assert_eq!(
        event.args.as_ref().map(|raw| &raw.expose()[..]),
        Some(&br#"{"path":"/a"}"#[..])
    );
    assert_eq!(
        event.trace.as_ref().map(|text| text.expose().as_str()),
        Some("00-t")
    );
    assert_eq!(event.tool_definition.as_deref(), Some("d1"));
    assert_eq!(event.call, Some(CallId::from(event.id)));
    let client = event.context.client.as_ref().unwrap();
    assert_eq!(client.name.expose(), "agent");
    assert_eq!(
        client.version.as_ref().map(|text| text.expose().as_str()),
        Some("2")
    );
    assert_eq!(
        event.context.server.as_ref().unwrap().name.expose(),
        "files"
    );
    assert!(event.context.actor.is_some() && event.context.session.is_some());
    let again = observe(
        &mut exchange,
        Direction::ClientToServer,
        br#"{"id":2,"method":"x"}"#,
    );
    assert!(std::sync::Arc::ptr_eq(
        &again.events[0].context,
        &event.context
    ));
}

#[test]
fn an_outcome_has_its_duration_and_result() {
    let mut exchange = exchange(&[], None);
    let start = Instant::now();
    let ask = frame(br#"{"id":1,"method":"initialize","params":{}}"#);
    exchange.observe(Direction::ClientToServer, &ask, moment(start, 0));
    let answer = frame(br#"{"result":{"serverInfo":{"name":"s","version":"3"}},"id":1}"#);
    let seen = exchange.observe(Direction::ServerToClient, &answer, moment(start, 40));
    assert_eq!(seen.events[0].duration, Some(Duration::from_millis(40)));
    assert_eq!(&seen.answers[0].id[..], b"1");
    assert!(seen.answers[0].to.is_some());
    assert!(
        seen.events[0]
            .result
            .as_ref()
            .unwrap()
            .expose()
            .starts_with(b"{\"serverInfo")
    );
    let server = seen.events[0].context.server.as_ref().unwrap();
    assert_eq!(server.name.expose(), "files");
    assert_eq!(server.reported_name.as_ref().unwrap().expose(), "s");
}

#[test]
fn only_notifications_of_the_server_do_not_wait() {
    let mut exchange = exchange(&[], None);
    for (from, line, waits) in [
        (Direction::ClientToServer, &br#"{"method":"n"}"#[..], true),
        (Direction::ServerToClient, br#"{"method":"n"}"#, false),
        (
            Direction::ServerToClient,
            br#"[{"method":"n"},{"method":"n"}]"#,
            false,
        ),
        (
            Direction::ServerToClient,
            br#"[{"method":"n"},{"id":1,"result":1}]"#,
            true,
        ),
        (Direction::ServerToClient, br#"{"method":"n","id":1}"#, true),
        (Direction::ServerToClient, b"log line", true),
        (Direction::ServerToClient, b" \r\n", false),
    ] {
        let seen = observe(&mut exchange, from, line);
        assert_eq!(seen.waits, waits, "{}", String::from_utf8_lossy(line));
    }
    let (client, server) = exchange.traffic();
    assert_eq!((client.messages, client.blank_lines), (1, 0));
    assert_eq!(
        (server.messages, server.blank_lines, server.bytes),
        (7, 1, 113)
    );
}

#[test]
fn pieces_of_an_overlong_line_are_one_record() {
    let mut exchange = exchange(&[], None);
    let piece = |end, continued| Frame {
        bytes: Bytes::from_static(b"{\"id\""),
        end,
        continued,
    };
    let now = moment(Instant::now(), 0);
    let from = Direction::ServerToClient;
    let first = exchange.observe(from, &piece(End::Cut, false), now);
    assert_eq!(first.events[0].kind, EventType::McpUnparsed);
    for end in [End::Cut, End::Lf] {
        assert!(
            exchange
                .observe(from, &piece(end, true), now)
                .events
                .is_empty()
        );
    }
}

/// What exactly was run is in the record, save its secrets.
#[test]
fn arguments_are_recorded_without_their_secrets() {
    use tacho_event::{DigestKey, Options, Redactor};
    let mut exchange = exchange(&[], None);
    let argv = Argv {
        command: "server".to_owned(),
        arguments: [
            "--root",
            "/srv/da\"ta",
            "--token",
            "s3cr3t-one",
            "API_KEY=s3cr3t-two",
        ]
        .map(str::to_owned)
        .to_vec(),
    };
    let now = moment(Instant::now(), 0);
    for event in [
        exchange.server_started(&argv, 7, now),
        exchange.launch_failed(&argv, 127, "server: command not found".to_owned(), now),
    ] {
        let mut redactor = Redactor::new(&Options::default(), DigestKey::new([1; 32]));
        let record = redactor.redact(event).encode();
        let text = String::from_utf8_lossy(record.body()).into_owned();
        for kept in [
            "\"command\":\"server\"",
            "[\"--root\",\"/srv/da\\\"ta\",\"--token\"",
            "API_KEY=",
        ] {
            assert!(text.contains(kept), "{kept} not in {text}");
        }
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}

#[test]
fn what_was_not_forwarded_is_denied() {
    let mut exchange = exchange(&[], None);
    let line = br#"[{"id":1,"method":"a"},{"id":1,"method":"b"},{"method":"n"}]"#;
    let seen = observe(&mut exchange, Direction::ClientToServer, line);
    assert!(seen.batch);
    let now = moment(Instant::now(), 0);
    let denied = exchange.denied(Direction::ClientToServer, &seen.requests, "disk full", now);
    let methods: Vec<_> = denied
        .iter()
        .map(|e| e.method.as_ref().unwrap().expose())
        .collect();
    assert_eq!(methods, ["a", "b"]);
    for event in &denied {
        assert_eq!(event.outcome, Some(Outcome::Denied));
        assert_eq!(event.error.as_ref().unwrap().layer, Layer::Transport);
        assert_eq!(
            event.error.as_ref().unwrap().message.expose(),
            "not forwarded: disk full"
        );
    }
    assert_eq!(exchange.open_requests(), 0);
}

proptest! {
    #[test]
    fn any_bytes_are_observed(
        lines in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..20)
    ) {
        let mut exchange = exchange(&[], None);
        for (client, line) in &lines {
            let from = if *client { Direction::ClientToServer } else { Direction::ServerToClient };
            let seen = observe(&mut exchange, from, line);
            let directed = seen.events.iter().filter(|event| event.direction.is_some()).count();
            prop_assert_eq!(directed == 0, frame(line).is_blank());
        }
    }

    /// Messages made of the right words in any combination: nothing panics, each gets its record, and
    /// at the end every intent has exactly one outcome.
    #[test]
    fn every_intent_gets_one_outcome(lines in prop::collection::vec((any::<bool>(), words()), 0..60)) {
        let mut exchange = exchange(&[], None);
        let mut open = std::collections::BTreeSet::new();
        let mut note = |events: Vec<Event>| {
            for event in events {
                match event.stage {
                    Stage::Intent => assert!(open.insert(event.id)),
                    Stage::Outcome(intent) => assert!(open.remove(&intent)),
                    Stage::Single => {}
                }
            }
        };
        for (client, line) in &lines {
            let from = if *client { Direction::ClientToServer } else { Direction::ServerToClient };
            let seen = observe(&mut exchange, from, line.as_bytes());
            let directed = seen.events.iter().filter(|event| event.direction.is_some()).count();
            prop_assert_eq!(directed, 1);
            note(seen.events);
            // Every other cancellation is withheld.
            if *client {
                note(exchange.cancelled(&seen.cancels, moment(Instant::now(), 0)));
            }
        }
        let ending = Ending { client_left: false, server: "exited".to_owned() };
        note(exchange.close(&ending, moment(Instant::now(), 0)));
        prop_assert!(open.is_empty());
    }
}

fn words() -> impl Strategy<Value = String> {
    let id = prop::sample::select(vec![
        "",
        r#""id":1,"#,
        r#""id":2,"#,
        r#""id":"1","#,
        r#""id":null,"#,
    ]);
    let body = prop::sample::select(vec![
        r#""method":"tools/call","params":{"name":"t","_meta":{"progressToken":1},"task":{}}"#,
        r#""method":"tools/call","params":{"name":"t","requestState":"s","inputResponses":{}}"#,
        r#""method":"tools/list""#,
        r#""method":"tasks/get","params":{"taskId":"k"}"#,
        r#""method":"subscriptions/listen""#,
        r#""method":"notifications/cancelled","params":{"requestId":1,"reason":"timed out"}"#,
        r#""method":"notifications/progress","params":{"progressToken":1}"#,
        r#""method":"notifications/tasks/status","params":{"taskId":"k","status":"failed"}"#,
        r#""result":{"task":{"taskId":"k","status":"working"},"tools":[{"name":"t"}]}"#,
        r#""result":{"resultType":"input_required","requestState":"s"}"#,
        r#""result":{"isError":true}"#,
        r#""error":{"code":1}"#,
        r#""x":1"#,
    ]);
    (id, body).prop_map(|(id, body)| format!("{{{id}{body}}}"))
}
