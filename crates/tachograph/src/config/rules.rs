//! `[[rule]]`: what is recorded of which call, and what happens when that fails.

use std::time::Duration;

use serde::Deserialize;
use tacho_event::Level;
use tacho_proxy::limits::{BLOCKING_DEADLINE, STRICT_DEADLINE};
use tacho_proxy::rules::{Glob, Hint};
use tacho_proxy::{Mode, Rule};
use toml::Spanned;

/// Rules in one file. Each call is held against them in turn, and nobody keeps more in mind.
const RULES: usize = 1_000;

/// The longest deadline of a rule, in milliseconds: ten minutes, past every client's patience.
const DEADLINE_MS: u64 = 600_000;

/// One `[[rule]]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    server: Option<String>,
    tool: Option<String>,
    method: Option<String>,
    hint: Option<HintWord>,
    level: Option<LevelWord>,
    mode: Option<ModeWord>,
    deadline_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LevelWord {
    None,
    Metadata,
    Request,
    RequestResponse,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModeWord {
    Strict,
    Blocking,
    BestEffort,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HintWord {
    ReadOnly,
    NotReadOnly,
    Destructive,
    NotDestructive,
    Idempotent,
    NotIdempotent,
    OpenWorld,
    NotOpenWorld,
}

/// The rules that a file means. The error is what is wrong, with its line in `text`.
pub(super) fn rules(entries: &[Spanned<Entry>], text: &str) -> Result<Vec<Rule>, String> {
    if entries.len() > RULES {
        return Err(format!("{} rules; {RULES} are the most", entries.len()));
    }
    let mut rules = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        let line = super::line_of(text, entry.span().start);
        let rule = rule(entry.get_ref())
            .and_then(|rule| {
                if rule.matches_all() && at + 1 < entries.len() {
                    return Err(
                        "it matches everything, so the rules after it never apply; put it last"
                            .to_owned(),
                    );
                }
                Ok(rule)
            })
            .map_err(|wrong| format!("line {line}, rule {}: {wrong}", at + 1))?;
        rules.push(rule);
    }
    Ok(rules)
}

fn rule(entry: &Entry) -> Result<Rule, String> {
    let glob = |member: &str, pattern: &Option<String>| {
        let glob = pattern.as_deref().map(Glob::new).transpose();
        glob.map_err(|error| format!("{member}: {error}"))
    };
    if entry.level.is_none() && entry.mode.is_none() {
        return Err("it says neither a level nor a mode".to_owned());
    }
    Ok(Rule {
        server: glob("server", &entry.server)?,
        tool: glob("tool", &entry.tool)?,
        method: glob("method", &entry.method)?,
        hint: entry.hint.map(hint),
        level: entry.level.map(level),
        mode: mode(entry)?,
    })
}

fn mode(entry: &Entry) -> Result<Option<Mode>, String> {
    if let Some(ms) = entry
        .deadline_ms
        .filter(|ms| !(1..=DEADLINE_MS).contains(ms))
    {
        return Err(format!("deadline_ms is {ms}; it is 1 to {DEADLINE_MS}"));
    }
    let deadline = entry.deadline_ms.map(Duration::from_millis);
    match (entry.mode, deadline) {
        (None, None) => Ok(None),
        (Some(ModeWord::Strict), deadline) => Ok(Some(Mode::Strict {
            deadline: deadline.unwrap_or(STRICT_DEADLINE),
        })),
        (Some(ModeWord::Blocking), deadline) => Ok(Some(Mode::Blocking {
            deadline: deadline.unwrap_or(BLOCKING_DEADLINE),
        })),
        (Some(ModeWord::BestEffort), None) => Ok(Some(Mode::BestEffort)),
        (None | Some(ModeWord::BestEffort), Some(_)) => {
            Err("deadline_ms goes with mode = \"blocking\" or \"strict\", which wait".to_owned())
        }
    }
}

const fn level(word: LevelWord) -> Option<Level> {
    match word {
        LevelWord::None => None,
        LevelWord::Metadata => Some(Level::Metadata),
        LevelWord::Request => Some(Level::Request),
        LevelWord::RequestResponse => Some(Level::RequestResponse),
    }
}

const fn hint(word: HintWord) -> Hint {
    match word {
        HintWord::ReadOnly => Hint::ReadOnly(true),
        HintWord::NotReadOnly => Hint::ReadOnly(false),
        HintWord::Destructive => Hint::Destructive(true),
        HintWord::NotDestructive => Hint::Destructive(false),
        HintWord::Idempotent => Hint::Idempotent(true),
        HintWord::NotIdempotent => Hint::Idempotent(false),
        HintWord::OpenWorld => Hint::OpenWorld(true),
        HintWord::NotOpenWorld => Hint::OpenWorld(false),
    }
}
