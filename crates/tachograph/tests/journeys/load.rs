//! Large messages and many calls at once.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::env::{Env, call, of_type};

const CALLS: usize = 10_000;

/// A MiB of arguments: the call passes as it is; of the body the record keeps what fits, or nothing,
/// and says so; its digest and length are always there.
#[test]
fn an_oversized_record_is_cut_and_says_so() {
    let one_string = json!({"text": "x".repeat(1 << 20)}).to_string();
    let many_strings = json!({"texts": vec!["y".repeat(1_000); 1_049]}).to_string();
    for (name, arguments) in [("one string", one_string), ("many strings", many_strings)] {
        let env = Env::new();
        let got = env.path("got");
        let script = format!(
            r#"head -n 1 > {}; echo '{{"jsonrpc":"2.0","id":7,"result":{{}}}}'; cat"#,
            got.display()
        );
        let mut session = env.session(&[], &script);
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"big","arguments":{arguments}}}}}"#
        );
        session.send(&line);
        assert_eq!(session.message()["id"], 7, "{name}");
        session.close();
        assert!(
            std::fs::read_to_string(got).unwrap() == format!("{line}\n"),
            "{name}: other bytes"
        );
        env.stop_and_verify();
        let records = env.records();
        let calls = of_type(&records, "tool_call");
        assert_eq!(calls.len(), 2, "{name}");
        let intent = calls[0];
        assert!(intent.to_string().len() <= 65_535, "{name}");
        assert_eq!(intent["tool"], "big", "{name}");
        assert_eq!(
            intent["digest"]["args_bytes"],
            json!(arguments.len()),
            "{name}"
        );
        let digest = intent["digest"]["args"].as_str().unwrap();
        assert!(digest.starts_with("hmac-sha256:"), "{name}: {digest}");
        let told = &intent["redaction"];
        if name == "one string" {
            assert_eq!(
                told["truncated"],
                json!([{"path": "/text", "bytes": 1 << 20}]),
                "{told}"
            );
            assert!(intent["args"]["text"].as_str().unwrap().len() < 4_096);
        } else {
            assert_eq!(told["cut"], json!({"args": arguments.len()}), "{told}");
            assert!(intent["args"].is_null(), "{name}: what is cut is not there");
        }
    }
}

/// The server answers nothing until all have come.
#[test]
fn ten_thousand_calls_in_flight() {
    let env = Env::new();
    let script = format!(
        r#"head -n {CALLS} > all; sed -E 's/.*"id":"([^"]*)".*/{{"jsonrpc":"2.0","id":"\1","result":{{}}}}/' all; cat"#
    );
    let mut session = env.session(&[], &script);
    let lines: Vec<String> = (0..CALLS).map(|id| call(&id.to_string())).collect();
    session.send(&lines.join("\n"));
    let mut answered = HashSet::new();
    for _ in 0..CALLS {
        let answer = session.message();
        assert!(answer["result"].is_object(), "{answer}");
        answered.insert(answer["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(answered.len(), CALLS);
    session.close();
    env.stop_and_verify();
    let mut stages: HashMap<String, Vec<String>> = HashMap::new();
    for record in of_type(&env.records(), "tool_call") {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        stages
            .entry(text(&record["request"]))
            .or_default()
            .push(text(&record["stage"]));
    }
    assert_eq!(stages.len(), CALLS);
    assert!(
        stages
            .values()
            .all(|stages| stages.as_slice() == ["intent", "outcome"])
    );
}
