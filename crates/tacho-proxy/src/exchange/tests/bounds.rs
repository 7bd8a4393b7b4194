//! What happens at the limits.

use super::*;

#[test]
fn ten_thousand_calls_in_flight() {
    let mut exchange = exchange(&[], None);
    for id in 0..10_000 {
        let line = format!(r#"{{"id":{id},"method":"tools/call","params":{{"name":"t"}}}}"#);
        observe(&mut exchange, Direction::ClientToServer, line.as_bytes());
    }
    assert_eq!(exchange.open_requests(), 10_000);
    for id in (0..10_000).rev() {
        let line = format!(r#"{{"id":{id},"result":{{}}}}"#);
        let seen = observe(&mut exchange, Direction::ServerToClient, line.as_bytes());
        assert_eq!(seen.events[0].outcome, Some(Outcome::Ok));
    }
    assert_eq!(exchange.open_requests(), 0);
}

#[test]
fn past_the_limit_the_oldest_is_given_up() {
    let mut exchange = exchange(&[], None);
    let mut given_up = Vec::new();
    for id in 0..crate::limits::OPEN_REQUESTS + 2 {
        let line = format!(r#"{{"id":{id},"method":"x"}}"#);
        given_up.extend(
            observe(&mut exchange, Direction::ClientToServer, line.as_bytes())
                .events
                .split_off(1),
        );
    }
    let ids: Vec<_> = given_up
        .iter()
        .map(|e| e.request.as_ref().unwrap().expose())
        .collect();
    assert_eq!(ids, [&b"0"[..], b"1"]);
    assert!(
        given_up
            .iter()
            .all(|event| event.outcome == Some(Outcome::Interrupted))
    );
    let late = observe(
        &mut exchange,
        Direction::ServerToClient,
        br#"{"id":1,"result":1}"#,
    );
    assert!(
        late.events[0]
            .details
            .iter()
            .any(|(word, _)| *word == "late")
    );
}

/// The limit is on requests, not on ids, and each request that makes room has its outcome.
#[test]
fn ids_used_again_count_and_none_vanishes() {
    let mut exchange = exchange(&[], None);
    let mut ended = std::collections::BTreeSet::new();
    let mut note = |events: Vec<Event>| {
        for event in events {
            if let Stage::Outcome(intent) = event.stage {
                assert!(ended.insert(intent));
            }
        }
    };
    let asked = crate::limits::OPEN_REQUESTS + 1_000;
    for number in 0..asked {
        let line = format!(r#"{{"id":{},"method":"x"}}"#, number % 7);
        note(observe(&mut exchange, Direction::ClientToServer, line.as_bytes()).events);
    }
    assert_eq!(exchange.open_requests(), crate::limits::OPEN_REQUESTS);
    let ending = Ending {
        client_left: false,
        server: "exited".to_owned(),
    };
    note(exchange.close(&ending, moment(Instant::now(), 0)));
    assert_eq!(ended.len(), asked);
}

/// What is kept of an open request is a copy of the little that is needed.
#[test]
fn an_open_request_does_not_hold_its_message() {
    let mut exchange = exchange(&[], None);
    let long = "i".repeat(crate::limits::ID_BYTES);
    for (id, kept) in [("1", true), (&*format!("\"{long}\""), false)] {
        let ask = frame(
            format!(
                r#"{{"id":{id},"method":"{}","params":{{"a":"{}"}}}}"#,
                "m".repeat(5_000),
                "x".repeat(100_000)
            )
            .as_bytes(),
        );
        let from = Direction::ClientToServer;
        drop(exchange.observe(from, &ask, moment(Instant::now(), 0)));
        let again = ask.bytes.clone();
        drop(ask);
        assert!(again.is_unique(), "the message is freed");
        let limit = exchange.call_timeout.replace(Duration::ZERO);
        let ended = exchange.expire(moment(Instant::now(), 10));
        exchange.call_timeout = limit;
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].request.is_some(), kept);
        let method = ended[0].method.as_ref().unwrap().expose();
        assert_eq!(method.len(), crate::limits::OPEN_NAME_BYTES);
        let late = observe(
            &mut exchange,
            Direction::ServerToClient,
            format!(r#"{{"id":{id},"result":{{}}}}"#).as_bytes(),
        );
        assert_eq!(late.events[0].details[0].0, "late", "found by its hash");
    }
}
