#![cfg(test)]
//! What must hold for every input: nothing planted survives, redacting twice is redacting once, the
//! structure stays, and the plain way gives the same text.

#[path = "plain/plain.rs"]
mod plain;
#[path = "planted/planted.rs"]
mod planted;

use plain::{Plain, Search};
use planted::{Planted, Random, Way};
use proptest::prelude::*;
use serde_json::Value;
use tacho_event::redact::Stream;
use tacho_event::redact::rules::tokens;
use tacho_event::{DigestKey, Engine, Options, Report};

fn engine(correlate: bool) -> Engine {
    let options = Options {
        correlate,
        kept_string_bytes: 1 << 20,
        ..Options::default()
    };
    Engine::new(&options, DigestKey::new([7; 32]))
}

fn thorough() -> Engine {
    let options = Options {
        kept_string_bytes: 1 << 20,
        ..Options::default()
    };
    Engine::thorough(&options, DigestKey::new([7; 32]))
}

fn json(engine: &mut Engine, input: &str) -> (String, Report) {
    let mut out = Vec::new();
    let mut report = Report::default();
    assert!(
        engine.json(input.as_bytes(), &mut out, 1 << 24, &mut report),
        "not taken: {input}"
    );
    (String::from_utf8(out).unwrap(), report)
}

fn text(engine: &mut Engine, input: &str) -> String {
    let mut out = String::new();
    engine.text(input, &mut out, &mut Report::default());
    out
}

fn gone(engine: &mut Engine, random: &mut Random, secret: &Planted, way: Way) {
    let (carried, traces) = way.carry(random, secret);
    let document = planted::bury(random, carried);
    let (out, report) = json(engine, &document);
    for trace in traces {
        assert!(
            !out.contains(&trace),
            "{way:?} {secret:?}\n in  {document}\n out {out}"
        );
    }
    assert!(report.removed() > 0, "{way:?} {secret:?}\n{document}");
    assert!(
        serde_json::from_str::<Value>(&out).is_ok(),
        "not JSON: {out}"
    );
    assert_eq!(json(engine, &out).0, out, "not idempotent: {document}");
}

#[test]
fn a_token_of_every_rule_in_every_way() {
    let mut engine = engine(false);
    let mut random = Random(1);
    for rule in tokens() {
        for way in Way::ALL {
            for _ in 0..5 {
                let secret = planted::token(&mut random, rule);
                gone(&mut engine, &mut random, &secret, way);
            }
        }
    }
}

#[test]
fn nothing_planted_survives() {
    for correlate in [false, true] {
        let mut engine = engine(correlate);
        let mut random = Random(2);
        for round in 0..6_000 {
            let secret = planted::any(&mut random);
            gone(
                &mut engine,
                &mut random,
                &secret,
                Way::ALL[round % Way::ALL.len()],
            );
        }
    }
}

#[test]
fn nothing_planted_in_prose_survives() {
    let mut engine = engine(false);
    let mut random = Random(3);
    for _ in 0..6_000 {
        let secret = planted::any(&mut random);
        let before = random.pick(&["", "see ", "(", "\n", "\"", "it is: ", "x = ", "–", "/"]);
        let after = random.pick(&["", " and more", ")", "\n", "\"", ", then", "!"]);
        let input = format!("{before}{}{after}", secret.text);
        let out = text(&mut engine, &input);
        assert!(
            !out.contains(&secret.secret),
            "{secret:?}\n in  {input}\n out {out}"
        );
        assert_eq!(text(&mut engine, &out), out, "not idempotent: {input}");
    }
}

#[test]
fn the_short_cuts_change_nothing() {
    let (mut fast, mut slow) = (engine(false), thorough());
    let mut random = Random(8);
    for round in 0..1_500 {
        let secret = planted::any(&mut random);
        let (carried, _) = Way::ALL[round % Way::ALL.len()].carry(&mut random, &secret);
        let document = planted::bury(&mut random, carried);
        let (expected, there) = json(&mut slow, &document);
        let (got, here) = json(&mut fast, &document);
        assert_eq!(got, expected, "{document}");
        assert_eq!(here, there, "{document}");
    }
    for line in planted::clean_corpus(&mut random, 100_000).lines() {
        assert_eq!(json(&mut fast, line), json(&mut slow, line));
    }
}

#[test]
fn a_secret_split_over_chunks_is_found() {
    let mut engine = engine(false);
    let mut random = Random(4);
    for _ in 0..2_000 {
        let rules: Vec<_> = tokens().collect();
        let rule = rules[random.below(rules.len())];
        let secret = planted::token(&mut random, rule).secret;
        let whole = format!("it is {secret} you know");
        let mut parts = Vec::new();
        let mut rest = whole.as_str();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rest.len().min(1 + random.below(20)));
            parts.push(format!("{{\"type\":\"text\",\"text\":\"{head}\"}}"));
            rest = tail;
        }
        let (out, _) = json(
            &mut engine,
            &format!("{{\"content\":[{}]}}", parts.join(",")),
        );
        let value: Value = serde_json::from_str(&out).unwrap();
        let joined: String = value["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["text"].as_str().unwrap())
            .collect();
        assert!(!joined.contains(&secret), "{secret} in {joined}");
        assert_eq!(joined, "it is [TOKEN] you know", "{secret}");
    }
}

#[test]
fn a_stream_gives_the_same_as_the_whole() {
    let mut whole = engine(false);
    let mut random = Random(5);
    for _ in 0..60 {
        let mut input = String::new();
        for _ in 0..random.below(300) {
            input.push_str(&planted::any(&mut random).text);
            input.push_str(random.pick(&["\n", " and then some more words\n"]));
            input.push_str(&random.text("abcdefgh \n", 200));
        }
        let mut streamed = String::new();
        let parted = engine(false);
        let mut stream = Stream::new(&parted);
        let mut rest = input.as_str();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rest.len().min(1 + random.below(3_000)));
            stream.push(head, &mut streamed);
            rest = tail;
        }
        stream.finish(&mut streamed);
        let expected = text(&mut whole, &input);
        let differ = streamed
            .bytes()
            .zip(expected.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        let near = |text: &str| {
            text.get(differ.saturating_sub(80)..(differ + 80).min(text.len()))
                .map(str::to_owned)
        };
        assert_eq!(
            streamed.len(),
            expected.len(),
            "{:?} {:?}",
            near(&streamed),
            near(&expected)
        );
        assert_eq!(near(&streamed), near(&expected));
    }
}

#[test]
fn false_alarms_on_a_clean_corpus() {
    let corpus = planted::clean_corpus(&mut Random(6), 4 << 20);
    let mut engine = engine(false);
    let mut removed = Vec::new();
    for line in corpus.lines() {
        let mut report = Report::with_findings();
        assert!(engine.json(line.as_bytes(), &mut Vec::new(), 1 << 20, &mut report));
        removed.extend(
            report
                .findings()
                .iter()
                .map(|finding| (finding.rule, line.to_owned())),
        );
    }
    let megabytes = corpus.len() as f64 / 1e6;
    println!("false alarms: {} in {megabytes:.1} MB", removed.len());
    assert!(removed.len() < 3, "{removed:#?}");
}

#[test]
fn the_plain_way_gives_the_same() {
    let plain = Plain::new();
    let mut engine = engine(false);
    let mut random = Random(7);
    for _ in 0..3_000 {
        let mut input = String::new();
        for _ in 0..random.below(5) {
            input.push_str(&planted::any(&mut random).text);
            input.push_str(random.pick(&[" ", "\n", "\"", "&", "=", ": ", "", "x"]));
        }
        assert_eq!(
            text(&mut engine, &input),
            plain.text(&input, Search::Set),
            "{input}"
        );
    }
    for line in planted::clean_corpus(&mut random, 200_000).lines() {
        let line = line.strip_prefix('{').unwrap();
        assert_eq!(text(&mut engine, line), plain.text(line, Search::Each));
    }
}

fn same_shape(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (_, Value::String(text)) if text.starts_with('[') => true,
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_shape(a, b))
        }
        (Value::Object(a), Value::Object(b)) => a.len() >= b.len(),
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[ -~]{0,60}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z_]{0,12}", inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn structure_stays_and_twice_is_once(value in any_json()) {
        let mut engine = engine(false);
        let input = value.to_string();
        let value: Value = serde_json::from_str(&input).unwrap();
        let (out, report) = json(&mut engine, &input);
        let after: Value = serde_json::from_str(&out).unwrap();
        prop_assert!(same_shape(&value, &after), "{value} {out}");
        if report.removed() == 0 {
            prop_assert_eq!(&value, &after);
        }
        prop_assert!(out.bytes().all(|byte| byte >= 0x20));
        prop_assert_eq!((&out, &report), (&json(&mut thorough(), &input).0, &json(&mut thorough(), &input).1));
        prop_assert_eq!(&json(&mut engine, &out).0, &out);
    }

    #[test]
    fn any_bytes_are_taken_or_refused(raw in prop::collection::vec(any::<u8>(), 0..200), budget in 0_usize..300) {
        let mut out = Vec::new();
        if engine(false).json(&raw, &mut out, budget, &mut Report::default()) {
            prop_assert!(out.len() <= budget);
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&raw).is_ok());
        }
    }

    #[test]
    fn any_text_twice_is_once_and_the_plain_way_agrees(
        input in r#"([a-zA-Z0-9@:/=.\[\]{}"'%+\\ -]|password|token|key|://|--|Bearer |sk-|eyJ|%40|[0-9]{4} ){0,60}"#,
    ) {
        thread_local! { static PLAIN: Plain = Plain::new(); }
        let mut engine = engine(false);
        let out = text(&mut engine, &input);
        prop_assert_eq!(&text(&mut engine, &out), &out);
        if !input.trim_start().starts_with(['{', '[']) {
            let plain = PLAIN.with(|plain| plain.text(&input, Search::Set));
            prop_assert_eq!(&plain, &out, "{}", input);
        }
        // Parts of every length, where the quick looks at strings of JSON differ.
        let words: Vec<&str> = input.split_inclusive(' ').collect();
        for count in 1..=words.len().min(4) {
            let part = serde_json::to_string(&words.get(..count).unwrap().concat()).unwrap();
            let document = format!("{{\"note\":{part},\"n\":[{part},1,{part}]}}");
            prop_assert_eq!(json(&mut engine, &document), json(&mut thorough(), &document));
        }
    }

    #[test]
    fn truncated_json_is_refused(value in any_json(), cut in any::<prop::sample::Index>()) {
        let whole = value.to_string();
        let at = whole.floor_char_boundary(cut.index(whole.len()));
        let part = whole.get(..at).unwrap();
        let taken = engine(false).json(part.as_bytes(), &mut Vec::new(), 1 << 20, &mut Report::default());
        prop_assert_eq!(taken, serde_json::from_str::<Value>(part).is_ok());
    }
}
