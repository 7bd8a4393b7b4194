use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::pairs::Paired;

/// The one member that a verifier reads and that need not stand among the first ones.
static STAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"stage\""));

/// Reads what pairing needs from the first members of a record, which our writer puts there
/// (`docs/format.md` §3), without looking at the rest: several times faster than parsing it.
///
/// A reader must not rely on the order, so this gives up on everything that is not as expected, and the
/// record is parsed as JSON. It is for sealed records only: the recorder has seen that they are JSON, and
/// the tree shows that they are what it saw.
pub(super) fn quick(line: &[u8]) -> Option<Paired<'_>> {
    let rest = line.strip_prefix(b"{\"v\":1,\"seq\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = rest.get(digits..)?.strip_prefix(b",")?;
    let mut head = Head::default();
    while let Some((name, value, after)) = member(rest) {
        head.take(name, value)?;
        rest = after;
    }
    let stage = head.stage;
    // Absent here, it may still stand further back, and so may what goes with it.
    let complete = match stage {
        Some("intent") => head.outcome.is_some(),
        Some("outcome") => head.outcome.is_some() && head.intent.is_some(),
        Some(_) => false,
        None => STAGE.find(rest).is_none(),
    };
    if !complete {
        return None;
    }
    Some(Paired {
        id: Cow::Borrowed(head.id?),
        timestamp: Some(Cow::Borrowed(head.timestamp?)),
        kind: Some(Cow::Borrowed(head.kind?)),
        stage: stage.map(Cow::Borrowed),
        intent: head.intent.map(Cow::Borrowed),
        outcome: head.outcome.map(Cow::Borrowed),
    })
}

#[derive(Default)]
struct Head<'a> {
    id: Option<&'a str>,
    timestamp: Option<&'a str>,
    kind: Option<&'a str>,
    stage: Option<&'a str>,
    intent: Option<&'a str>,
    outcome: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// `None` for a member that was there before: whoever parses the whole record says what is wrong.
    fn take(&mut self, name: &[u8], value: &'a str) -> Option<()> {
        let place = match name {
            b"id" => &mut self.id,
            b"timestamp" => &mut self.timestamp,
            b"type" => &mut self.kind,
            b"stage" => &mut self.stage,
            b"ref" => &mut self.intent,
            b"outcome" => &mut self.outcome,
            _ => return Some(()),
        };
        place.replace(value).is_none().then_some(())
    }
}

/// `"name":"value",` without escapes at the beginning of `bytes`, and what follows it.
fn member(bytes: &[u8]) -> Option<(&[u8], &str, &[u8])> {
    let (name, rest) = string(bytes)?;
    let (value, rest) = string(rest.strip_prefix(b":")?)?;
    let rest = rest.strip_prefix(b",")?;
    Some((name, std::str::from_utf8(value).ok()?, rest))
}

fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = bytes.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', bytes)?;
    let (value, rest) = bytes.split_at_checked(end)?;
    Some((value, rest.strip_prefix(b"\"")?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTENT: &str = r#"{"v":1,"seq":7,"id":"a","timestamp":"t","type":"tool_call","stage":"intent","severity":"info","outcome":"pending","actor":{}}"#;

    fn parsed(line: &str) -> Option<Paired<'_>> {
        serde_json::from_str(line).ok()
    }

    #[test]
    fn reads_what_our_writer_writes() {
        for line in [
            INTENT,
            r#"{"v":1,"seq":8,"id":"b","timestamp":"t","type":"tool_call","stage":"outcome","ref":"a","severity":"info","outcome":"ok","call":"a","duration_ms":1.5}"#,
            r#"{"v":1,"seq":9,"id":"c","timestamp":"t","type":"heartbeat","severity":"info","actor":{"id":"x"}}"#,
        ] {
            let quick = quick(line.as_bytes());
            assert!(quick.is_some(), "{line}");
            assert_eq!(quick, parsed(line), "{line}");
        }
    }

    /// Whatever it takes, it takes as the parser does; the rest it leaves to the parser.
    #[test]
    fn gives_up_on_what_it_does_not_expect() {
        for line in [
            INTENT.replace("\"id\":\"a\"", "\"id\":\"\\u0061\""),
            INTENT
                .replace("\"stage\":\"intent\",", "")
                .replace("{}", "{},\"stage\":\"intent\""),
            INTENT
                .replace("\"outcome\":\"pending\",", "")
                .replace("{}", "{},\"outcome\":\"pending\""),
            INTENT.replace("\"type\"", "\"id\":\"b\",\"type\""),
            INTENT.replace("{\"v\":1,", "{ \"v\":1,"),
            INTENT.replace("\"timestamp\":\"t\",", ""),
            String::new(),
        ] {
            assert_eq!(quick(line.as_bytes()), None, "{line}");
        }
    }

    /// Of a record that ends nothing, nobody asks what it names or how it ended.
    fn as_used(record: Paired<'_>) -> Paired<'_> {
        if record.stage.as_deref() == Some("outcome") {
            return record;
        }
        Paired {
            intent: None,
            outcome: None,
            ..record
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_parser(
            members in proptest::sample::subsequence(
                vec![
                    r#""id":"a""#, r#""timestamp":"t""#, r#""type":"x""#, r#""stage":STAGE"#,
                    r#""ref":"b""#, r#""outcome":"ok""#, r#""severity":"info""#,
                    r#""actor":{"stage":"intent"}"#, r#""request":1"#, r#""tool":"\"stage\"""#,
                ],
                0..=10,
            ).prop_shuffle(),
            stage in proptest::sample::select(vec!["\"intent\"", "\"outcome\"", "\"x\"", "1"]),
        ) {
            let line = format!("{{\"v\":1,\"seq\":3,{}}}", members.join(","));
            let line = line.replace("STAGE", stage);
            if let Some(quick) = quick(line.as_bytes()) {
                prop_assert_eq!(Some(as_used(quick)), parsed(&line).map(as_used));
            }
        }
    }
}
