use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn glob(pattern: &str) -> Option<Glob> {
    Some(Glob::new(pattern).unwrap())
}

#[test]
fn patterns() {
    for (pattern, yes, no) in [
        ("read", &["read"][..], &["reads", "rea", "", "READ"][..]),
        ("read_*", &["read_", "read_file"], &["read", "xread_file"]),
        ("*_file", &["_file", "read_file"], &["read_files"]),
        ("*", &["", "anything", "a*?"], &[]),
        ("**", &["", "x"], &[]),
        ("?", &["x", "?", "é", "\u{1f600}"], &["", "xx"]),
        ("?*?", &["ab", "abc"], &["a"]),
        ("a*b*c", &["abc", "aXbYc", "abbbcc"], &["acb", "ab"]),
        (
            "file:///*.env",
            &["file:///a/.env"],
            &["file:///a/.env.txt"],
        ),
    ] {
        let glob = Glob::new(pattern).unwrap();
        for text in yes {
            assert!(glob.matches(text), "{pattern} and {text}");
        }
        for text in no {
            assert!(!glob.matches(text), "{pattern} and {text}");
        }
    }
    assert_eq!(Glob::new(""), Err(GlobError::Empty));
    let longest = "x".repeat(crate::limits::GLOB_CHARS);
    assert!(
        Glob::new(&format!("*{longest}*"))
            .unwrap()
            .matches(&longest)
    );
    assert_eq!(Glob::new(&format!("{longest}?")), Err(GlobError::TooLong));
}

/// What the pattern means, in as few words as possible.
fn naive(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => {
            naive(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(_, text)| naive(pattern, text))
        }
        (Some((wanted, rest)), Some((char, text))) => {
            (*wanted == '?' || wanted == char) && naive(rest, text)
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn patterns_mean_what_they_say(pattern in "[ab*?é]{1,8}", text in "[abé?]{0,10}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(
            Glob::new(&pattern).unwrap().matches(&text),
            naive(&chars(&pattern), &chars(&text)),
            "{} and {}", pattern, text
        );
    }
}

/// A name made to be slow is not: a matcher that goes back takes minutes for this one.
#[test]
fn a_hostile_name_takes_no_longer() {
    let glob = Glob::new(&format!("{}b", "a*".repeat(60))).unwrap();
    let begun = std::time::Instant::now();
    assert!(!glob.matches(&"a".repeat(100_000)));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

const CALL: &str = "tools/call";

fn call(tool: &str) -> Subject<'_> {
    Subject {
        method: Some(CALL),
        tool: Some(tool),
        hints: Some(Hints::default()),
    }
}

const BLOCKING: Mode = Mode::Blocking {
    deadline: Duration::from_millis(5),
};

fn some_rules() -> Vec<Rule> {
    vec![
        Rule {
            server: glob("git*"),
            tool: glob("delete_*"),
            level: Some(Some(Level::RequestResponse)),
            ..Rule::default()
        },
        Rule {
            tool: glob("delete_*"),
            mode: Some(Mode::BestEffort),
            ..Rule::default()
        },
        Rule {
            method: glob("tools/call"),
            hint: Some(Hint::ReadOnly(true)),
            level: Some(None),
            ..Rule::default()
        },
        Rule {
            method: glob("*list*"),
            level: Some(Some(Level::Metadata)),
            mode: Some(BLOCKING),
            ..Rule::default()
        },
    ]
}

#[test]
fn the_first_match_wins() {
    let default = Treatment::default();
    let git = Rules::new(some_rules(), "github", default);
    let files = Rules::new(some_rules(), "files", default);
    let read_only = Hints {
        read_only: true,
        ..Hints::default()
    };
    let list = Subject {
        method: Some("tools/list"),
        ..Subject::default()
    };
    let claims = Subject {
        hints: Some(read_only),
        ..call("look")
    };
    let level = |level| Treatment { level, ..default };
    for (rules, subject, expected) in [
        (
            &git,
            call("delete_repo"),
            level(Some(Level::RequestResponse)),
        ),
        (
            &files,
            call("delete_file"),
            Treatment {
                mode: Mode::BestEffort,
                ..default
            },
        ),
        (&git, claims, level(None)),
        (&git, call("look"), default),
        // Without a name nothing that asks for one matches; without hints neither.
        (
            &git,
            Subject {
                tool: None,
                ..call("")
            },
            default,
        ),
        (
            &git,
            Subject {
                hints: None,
                ..claims
            },
            default,
        ),
        (
            &files,
            list,
            Treatment {
                level: Some(Level::Metadata),
                mode: BLOCKING,
            },
        ),
        (&files, Subject::default(), default),
    ] {
        assert_eq!(rules.treat(subject), expected, "{subject:?}");
    }
}

#[test]
fn hints_and_their_negations() {
    let careful = Hints::default();
    for (hint, said) in [
        (Hint::ReadOnly(true), false),
        (Hint::ReadOnly(false), true),
        (Hint::Destructive(true), true),
        (Hint::Destructive(false), false),
        (Hint::Idempotent(true), false),
        (Hint::Idempotent(false), true),
        (Hint::OpenWorld(true), true),
        (Hint::OpenWorld(false), false),
    ] {
        assert_eq!(
            careful.say(hint),
            said,
            "{hint:?} of a tool that claims nothing"
        );
    }
}

#[test]
fn stricter_is_more() {
    let ms = Duration::from_millis;
    let blocking = |n| Mode::Blocking { deadline: ms(n) };
    let strict = |n| Mode::Strict { deadline: ms(n) };
    for (one, other, expected) in [
        (Mode::BestEffort, blocking(1), blocking(1)),
        (blocking(9), strict(1), strict(1)),
        (blocking(2), blocking(1), blocking(2)),
        (strict(1), strict(2), strict(2)),
        (Mode::BestEffort, Mode::BestEffort, Mode::BestEffort),
    ] {
        assert_eq!(one.stricter(other), expected);
        assert_eq!(other.stricter(one), expected);
    }
    let none = Treatment {
        level: None,
        mode: Mode::BestEffort,
    };
    let both = none.stricter(Treatment::default());
    assert_eq!(both, Treatment::default());
    assert_eq!(none.recorded().level, Some(Level::Metadata));
}

#[test]
fn a_session_may_wait_by_a_rule_alone() {
    let best_effort = Treatment {
        mode: Mode::BestEffort,
        ..Treatment::default()
    };
    let strict = Rule {
        tool: glob("x"),
        mode: Some(Mode::default()),
        ..Rule::default()
    };
    assert!(!Rules::new(Vec::new(), "s", best_effort).may_wait());
    assert!(Rules::new(vec![strict.clone()], "s", best_effort).may_wait());
    let elsewhere = Rule {
        server: glob("t"),
        ..strict
    };
    assert!(!Rules::new(vec![elsewhere], "s", best_effort).may_wait());
}
