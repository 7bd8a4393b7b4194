#![cfg(test)]
//! What must go, what must stay: one table for each kind of place.

use tacho_event::{DigestKey, Engine, Options, Report};

fn engine() -> Engine {
    Engine::new(&Options::default(), DigestKey::new([7; 32]))
}

fn text(input: &str) -> (String, Vec<(&'static str, u32)>) {
    let mut out = String::new();
    let mut report = Report::default();
    engine().text(input, &mut out, &mut report);
    (out, report.rules().to_vec())
}

fn json(input: &str) -> String {
    let mut out = Vec::new();
    let mut report = Report::default();
    assert!(
        engine().json(input.as_bytes(), &mut out, 1 << 20, &mut report),
        "not taken: {input}"
    );
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn check(input: &str, output: &str) {
    let (got, rules) = text(input);
    assert_eq!(got, output, "\n input {input}\n rules {rules:?}");
    assert_eq!(text(&got).0, got, "not idempotent: {input}");
}

#[track_caller]
fn check_json(input: &str, output: &str) {
    let got = json(input);
    assert_eq!(got, output, "\n input {input}");
    assert_eq!(json(&got), got, "not idempotent: {input}");
}

const GITHUB: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

#[test]
fn texts() {
    let pem =
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc=\n-----END RSA PRIVATE KEY-----";
    for (input, output) in [
        ("mail alice@example.com now", "mail [EMAIL] now"),
        ("a.b+c@mail.example.co.uk.", "[EMAIL]."),
        ("see 4111 1111 1111 1111!", "see [CARD]!"),
        ("378282246310005", "[CARD]"),
        (
            "to GB82 WEST 1234 5698 7654 32 please",
            "to [REDACTED] please",
        ),
        ("DE89370400440532013000", "[REDACTED]"),
        (GITHUB, "[TOKEN]"),
        ("x=ghp_16C7e42F292c6912E7710c838347Ae178B4a;", "x=[TOKEN];"),
        ("AKIAIOSFODNN7EXAMPLE", "[TOKEN]"),
        ("key AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe", "key [TOKEN]"),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "[TOKEN]",
        ),
        (
            "bot 110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawa",
            "bot [TOKEN]",
        ),
        (
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
            "https://[TOKEN]",
        ),
        (
            "Authorization: Bearer abc.def.ghi",
            "Authorization: [TOKEN]",
        ),
        (
            "curl -H \"Authorization: Basic dXNlcjpwYXNz\" x",
            "curl -H \"Authorization: [TOKEN]\" x",
        ),
        ("use Bearer abc123def then", "use Bearer [TOKEN] then"),
        ("Cookie: session=abc; theme=dark", "Cookie: [TOKEN]"),
        (
            "postgres://bob:hunter2@db.example.com/x",
            "postgres://bob:[REDACTED]@db.example.com/x",
        ),
        (
            "redis://:pw@localhost:6379",
            "redis://:[REDACTED]@localhost:6379",
        ),
        (
            "https://tok3n@github.com/a",
            "https://[REDACTED]@github.com/a",
        ),
        ("https://u:p@ss@host/a", "https://[REDACTED]@host/a"),
        (
            "https://x.io/a?page=2&access_token=abc&q=z#frag",
            "https://x.io/a?page=2&access_token=[REDACTED]&q=z#frag",
        ),
        (
            "https://x.io/a?sig=abc%2Bdef&se=1",
            "https://x.io/a?sig=[REDACTED]&se=1",
        ),
        (
            "Server=db;User Id=sa;Password=p@ss,w0rd;Encrypt=true",
            "Server=db;User Id=sa;Password=[REDACTED];Encrypt=true",
        ),
        (
            "AccountKey=abcdef==;EndpointSuffix=x",
            "AccountKey=[REDACTED];EndpointSuffix=x",
        ),
        ("export API_KEY='v a l'", "export API_KEY='[REDACTED]'"),
        (
            "DB_PASSWORD=hunter2\nPORT=1",
            "DB_PASSWORD=[REDACTED]\nPORT=1",
        ),
        ("password: hunter2", "password: [REDACTED]"),
        (
            "{password: \"x y\", user: 1}",
            "{password: \"[REDACTED]\", user: 1}",
        ),
        (
            "\"client_secret\" : \"abc\"",
            "\"client_secret\" : \"[REDACTED]\"",
        ),
        (
            "mysql --password=foo -u bob",
            "mysql --password=[REDACTED] -u bob",
        ),
        ("tool --api-key s3cr3t --x", "tool --api-key [REDACTED] --x"),
        (pem, "[REDACTED]"),
        (
            "k: -----BEGIN PRIVATE KEY-----\\nMIIEpAIBAAKCAQEA\\nab",
            "k: [REDACTED]",
        ),
        ("key 9f86d081884c7d659a2feaa0c55ad015", "key [REDACTED]"),
        ("cGFzc3dvcmQ9aHVudGVyMiBhbmQgbW9yZQ==", "[REDACTED]"),
        ("x%20alice%40example.com", "[REDACTED]"),
        (
            "say \\nghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "say \\n[TOKEN]",
        ),
    ] {
        check(input, output);
    }
}

#[test]
fn texts_that_stay() {
    for input in [
        "550e8400-e29b-41d4-a716-446655440000",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "2026-11-20T18:28:00.123456789Z",
        "version 1.2.3-beta.4+build.5",
        "/usr/lib/python3.11/site-packages/numpy/core/multiarray.py",
        "hmac-sha256:0a1b2c3d:76c0453e19c8d4e71a57e75d3c3fc47db0e168397331ab7723a3a95813907605",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
        "+44 20 7946 0958 ext 12",
        "git@github.com:owner/repo.git",
        "logo@2x.png",
        "pkg@1.2.3",
        "@scope/pkg@latest",
        "max_tokens: 4096",
        "let token = get_token();",
        "const token = await fetchToken();",
        "password: string",
        "token: str",
        "The password must be at least 8 characters: a digit, a letter",
        "password: must be at least 8 characters",
        "API_KEY=$API_KEY",
        "token=${TOKEN}",
        "process.env.API_KEY",
        "api_key = os.environ[\"API_KEY\"]",
        "if password == other",
        "std::token::Foo",
        "1732099680000 1732099680123456789",
        "0.4111111111111111",
        "https://example.com/a/b?page=2&limit=10#top",
        "ssh://git@github.com/a/b",
        "basic understanding of bearer authentication",
        "-----BEGIN CERTIFICATE-----\nMIIEpAIBAAKCAQEA\n-----END CERTIFICATE-----",
        "--help --token-count 5",
        "[REDACTED] [EMAIL] [CARD] [TOKEN] [EMAIL:hmac:0123456789abcdef]",
        "password=[REDACTED]",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "",
    ] {
        check(input, input);
    }
}

#[test]
fn documents() {
    for (input, output) in [
        (
            r#"{ "a" : [ 1 , 2.50e+1 , true , null ] }"#,
            r#"{"a":[1,2.50e+1,true,null]}"#,
        ),
        (
            r#"{"password":"x","n":1}"#,
            r#"{"password":"[REDACTED]","n":1}"#,
        ),
        (
            r#"{"email":"a","password":1,"token":true,"secret":[1,{"a":2}],"ssn":{"b":"c"},"phone":null,"creditCard":"4"}"#,
            r#"{"email":"[REDACTED]","password":"[REDACTED]","token":"[REDACTED]","secret":"[REDACTED]","ssn":"[REDACTED]","phone":null,"creditCard":"[REDACTED]"}"#,
        ),
        (
            r#"{"a":{"X-API-Key":"v"}}"#,
            r#"{"a":{"X-API-Key":"[REDACTED]"}}"#,
        ),
        (
            r#"{"max_tokens":5,"token_count":6,"progressToken":7,"author":"x"}"#,
            r#"{"max_tokens":5,"token_count":6,"progressToken":7,"author":"x"}"#,
        ),
        (r#"{"alice@example.com":1}"#, r#"{"[EMAIL]":1}"#),
        (
            r#"[4111111111111111,4111111111111112]"#,
            r#"["[CARD]",4111111111111112]"#,
        ),
        (
            r#"{"name":"password","value":"x"}"#,
            r#"{"name":"password","value":"[REDACTED]"}"#,
        ),
        (
            r#"{"value":"x","key":"API_KEY"}"#,
            r#"{"value":"[REDACTED]","key":"API_KEY"}"#,
        ),
        (
            r#"["--password","x","y"]"#,
            r#"["--password","[REDACTED]","y"]"#,
        ),
        (
            r#"["--password=x","y"]"#,
            r#"["--password=[REDACTED]","y"]"#,
        ),
        (r#"["X-Api-Key","abc"]"#, r#"["X-Api-Key","[REDACTED]"]"#),
        (
            r#"["password","token","email"]"#,
            r#"["password","token","email"]"#,
        ),
        (r#"["alice\u0040example.com"]"#, r#"["[EMAIL]"]"#),
        (
            r#"["\u0067hp_16C7e42F292c6912E7710c838347Ae178B4a"]"#,
            r#"["[TOKEN]"]"#,
        ),
        (
            r#"{"a":"{\"password\":\"x\"}"}"#,
            r#"{"a":"{\"password\":\"[REDACTED]\"}"}"#,
        ),
        (r#"{"a":"{ \"b\" : 1 }"}"#, r#"{"a":"{ \"b\" : 1 }"}"#),
        (
            r#"{"content":[{"type":"text","text":"it is ghp_16C7e4"},{"type":"text","text":"2F292c6912E7710c838347Ae178B4a ok"}]}"#,
            r#"{"content":[{"type":"text","text":"it is [TOKEN]"},{"type":"text","text":" ok"}]}"#,
        ),
        (
            r#"["ghp_16C7e4","2F292c6912E7710c838347Ae178B4a"]"#,
            r#"["[TOKEN]",""]"#,
        ),
        (
            r#"{"properties":{"password":{"type":"string","default":"x"}}}"#,
            r#"{"properties":{"password":{"type":"string","default":"[REDACTED]"}}}"#,
        ),
        (r#""a\u2028\n\u007f""#, r#""a\u2028\n\u007f""#),
        (r#""\ud83d\ude00 \ud800""#, "\"😀 \u{fffd}\""),
    ] {
        check_json(input, output);
    }
}

/// Strings short enough for the quickest look, with the shortest of each kind.
#[test]
fn short_strings() {
    for (input, output) in [
        (
            r#"["bearer abc12","n","a@b.co","otp=1","--pwd x1"]"#,
            r#"["bearer abc12","n","[EMAIL]","otp=[REDACTED]","--pwd [REDACTED]"]"#,
        ),
        (
            r#"["bearer abc123","basic YTpiY2Q=","4222222222222","%61@b.co",0]"#,
            r#"["bearer [TOKEN]","basic [TOKEN]","[CARD]","[EMAIL]",0]"#,
        ),
    ] {
        check_json(input, output);
    }
}

#[test]
fn not_documents() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    for input in [
        "",
        "{",
        "[1,]",
        "{\"a\"}",
        "{\"a\":1,}",
        "01",
        "1.",
        "1e",
        "-",
        "tru",
        "nulll",
        "\"\\x\"",
        "\"a\nb\"",
        "[1 2]",
        "{1:2}",
        "\"\\u12\"",
        "1 2",
        "'a'",
        deep.as_str(),
    ] {
        let mut out = Vec::new();
        assert!(
            !engine().json(input.as_bytes(), &mut out, 1 << 20, &mut Report::default()),
            "{input}"
        );
    }
    assert!(!engine().json(b"\"\xff\"", &mut Vec::new(), 100, &mut Report::default()));
    assert!(!engine().json(b"[1,2,3,4,5,6]", &mut Vec::new(), 8, &mut Report::default()));
    assert!(engine().json(
        b"[1,2,3,4,5,6]",
        &mut Vec::new(),
        13,
        &mut Report::default()
    ));
}

#[test]
fn long_strings_are_cut_after_redaction() {
    let secret = format!(
        "{}{GITHUB} tail {}",
        "word ".repeat(405),
        "x ".repeat(3_000)
    );
    let input = format!("{{\"a\":{{\"b/c\":\"{secret}\"}}}}");
    let mut out = Vec::new();
    let mut report = Report::default();
    assert!(engine().json(input.as_bytes(), &mut out, 1 << 20, &mut report));
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.contains("[TOKEN] ") && out.contains('…') && !out.contains("ghp_"),
        "{out}"
    );
    assert!(out.len() < 2_100);
    assert_eq!(report.truncated(), [("/a/b~1c".to_owned(), secret.len())]);
    assert_eq!(json(&out), out);
}

#[test]
fn sixteen_mebibytes_are_refused_or_cut() {
    let long = format!("[\"{}\"]", "ab \\n".repeat(16 << 18));
    // Each line feed is written as two bytes.
    assert!(json(&long).len() < 3_000);
    let many = format!("[{}1]", "1,".repeat(8 << 20));
    assert!(!engine().json(
        many.as_bytes(),
        &mut Vec::new(),
        24 << 10,
        &mut Report::default()
    ));
}

#[test]
fn placeholders_can_be_correlated_and_looked_up() {
    let options = Options {
        correlate: true,
        ..Options::default()
    };
    let mut engine = Engine::new(&options, DigestKey::new([7; 32]));
    let mut out = String::new();
    engine.text(
        "Alice@Example.com, alice@example.com",
        &mut out,
        &mut Report::default(),
    );
    let [_, email, card, _] = engine.placeholders("alice@example.com");
    assert_eq!(out, format!("{email}, {email}"));
    assert_ne!(email.get(7..), card.get(6..));
    assert_eq!(
        engine.placeholders("4111 1111 1111 1111")[2],
        engine.placeholders("4111111111111111")[2]
    );
}
