//! Calls of different modes in one session.

use super::*;
use crate::rules::{Glob, Rule};

const STRICT: Duration = Duration::from_millis(150);
const BLOCKING: Duration = Duration::from_millis(60);

/// `strict`, `blocking` and `loose` are tools in that mode, `quiet` is not recorded.
fn mixed() -> Rules {
    let rule = |tool, mode| Rule {
        tool: Some(Glob::new(tool).unwrap()),
        mode: Some(mode),
        ..Rule::default()
    };
    let quiet = Rule {
        level: Some(None),
        ..rule("quiet", Mode::STRICT)
    };
    let rules = vec![
        quiet,
        rule("strict", Mode::Strict { deadline: STRICT }),
        rule("blocking", Mode::Blocking { deadline: BLOCKING }),
        rule("loose", Mode::BestEffort),
    ];
    Rules::new(rules, "test", Treatment::default())
}

fn call(tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"{tool}","method":"tools/call","params":{{"name":"{tool}"}}}}"#
    ) + "\n"
}

/// A recorder that hangs holds up each call as long as its mode says and no longer.
#[test]
fn each_call_waits_as_its_own_mode_says() {
    let double = Double::default();
    double.stall(|event| event.stage == Stage::Intent);
    let server = shell("while read -r line; do echo '{\"method\":\"passed\"}'; done");
    let mut running = start_under(&server, mixed(), &double, (None, MESSAGE_BYTES));
    for (tool, refused, least) in [
        ("quiet", false, Duration::ZERO),
        ("loose", false, Duration::ZERO),
        ("blocking", false, BLOCKING),
        ("strict", true, STRICT),
    ] {
        let begun = Instant::now();
        running.say(&call(tool));
        let heard = running.hear_line();
        assert_eq!(!heard.contains("passed"), refused, "{tool}: {heard}");
        assert!(
            begun.elapsed() >= least,
            "{tool} after {:?}",
            begun.elapsed()
        );
        if refused {
            assert!(heard.contains("did not answer in time"), "{heard}");
        }
    }
    double.release();
    let info = running.end().unwrap();
    assert_eq!((info.counts.refused, info.counts.unrecorded), (1, 1));
    let told = double.told();
    let denied = told.iter().filter(|it| it.outcome == Some(Outcome::Denied));
    assert_eq!(
        denied.count(),
        1,
        "the late record is followed by what became of it"
    );
    let omitted = double.exited().details;
    assert!(
        omitted.contains(&("omitted", "Int(1)".to_owned())),
        "{omitted:?}"
    );
}

/// With a full queue only the first waits for room, in mode strict too.
#[test]
fn strict_does_not_add_up() {
    let double = Double::default();
    let mode = Mode::Strict { deadline: STRICT };
    let mut running = start(&["cat"], mode, &double);
    running.say("\n");
    assert_eq!(running.hear_line(), "\n");
    double.fill();
    let begun = Instant::now();
    running.say(&call("strict").repeat(30));
    for _ in 0..30 {
        assert!(running.hear_line().contains("error"));
    }
    assert!(begun.elapsed() < 8 * STRICT, "{:?}", begun.elapsed());
    double.release();
    running.say(&call("strict"));
    assert_eq!(running.hear_line(), call("strict"), "there is room again");
    running.end().unwrap();
}
