#![cfg(test)]
//! Installing and undoing, on texts: real shapes with their golden results, and generated ones.

#[path = "install/entries.rs"]
mod entries;
#[cfg(unix)]
#[path = "install/files.rs"]
mod files;
#[path = "install/generate.rs"]
mod generate;

use std::path::{Path, PathBuf};

use generate::{config, style, write};
use proptest::prelude::*;
use serde_json::{Value, json};
use tachograph::install::{Backup, Change, InstallError, Layout, Plan, Wrapper, plan, unplan};

const TACHO: &str = "/usr/local/bin/tacho";

fn wrapper() -> Wrapper {
    Wrapper::new(Path::new(TACHO), Vec::new()).unwrap()
}

fn backup(text: &str) -> Backup {
    Backup {
        path: PathBuf::new(),
        text: text.to_owned(),
    }
}

fn changes(plan: &Plan) -> Vec<(String, Change)> {
    plan.servers()
        .iter()
        .map(|server| (server.id.to_string(), server.change))
        .collect()
}

/// A fixture is installed into, compared with its golden files, installed into again, and undone.
fn check(
    name: &str,
    layout: Layout,
    before: &str,
    after: &str,
    diff: &str,
    expected: &[(&str, Change)],
) {
    let planned = plan(before, layout, &wrapper(), &[]).unwrap();
    assert_eq!(planned.after(), after, "{name}: text");
    assert_eq!(planned.diff(Path::new(name)), diff, "{name}: difference");
    assert_eq!(
        patch(before, diff),
        after,
        "{name}: the difference is the change"
    );
    let found = changes(&planned);
    let found: Vec<(&str, Change)> = found
        .iter()
        .map(|(id, change)| (id.as_str(), *change))
        .collect();
    assert_eq!(found, expected, "{name}: servers");
    let twice = plan(after, layout, &wrapper(), &[]).unwrap();
    assert!(
        !twice.changes() && twice.diff(Path::new(name)).is_empty(),
        "{name}: twice is once"
    );
    if !found
        .iter()
        .any(|(_, change)| *change == Change::PathUpdated)
    {
        let undone = unplan(after, layout, &[], &[backup(before)]).unwrap();
        assert_eq!(undone.after(), before, "{name}: undo");
        let again = unplan(undone.after(), layout, &[], &[]).unwrap_err();
        assert!(
            matches!(again, InstallError::NothingToUndo),
            "{name}: {again}"
        );
    }
}

macro_rules! fixture {
    ($name:literal, $extension:literal, $layout:expr, $expected:expr) => {
        check(
            $name,
            $layout,
            include_str!(concat!("install/", $name, ".before.", $extension)),
            include_str!(concat!("install/", $name, ".after.", $extension)),
            include_str!(concat!("install/", $name, ".diff")),
            $expected,
        )
    };
}

#[test]
fn real_shapes() {
    use Change::{NotStdio, PathUpdated, Unusable, Wrapped};
    fixture!(
        "claude-desktop",
        "json",
        Layout::McpServers,
        &[
            ("filesystem", Wrapped),
            ("github", Wrapped),
            ("notes", Wrapped),
            ("remote", NotStdio),
        ]
    );
    fixture!(
        "claude-code-user",
        "json",
        Layout::McpServersAndProjects,
        &[
            ("postgres (project /home/ada/src/engine)", Wrapped),
            ("linear (project /home/ada/src/engine)", NotStdio),
            ("postgres", Wrapped),
            ("notion", NotStdio),
        ]
    );
    fixture!(
        "claude-code-project",
        "json",
        Layout::McpServersAndProjects,
        &[
            ("api", Wrapped),
            ("bare", Wrapped),
            ("-dash \"quoted\" é", Wrapped),
        ]
    );
    fixture!(
        "cursor",
        "json",
        Layout::McpServers,
        &[("playwright", Wrapped), ("one", Wrapped), ("none", Wrapped)]
    );
    fixture!(
        "vscode",
        "jsonc",
        Layout::Servers,
        &[
            ("perplexity", Wrapped),
            ("fetch", Wrapped),
            ("quiet", Wrapped),
            ("github", NotStdio),
        ]
    );
    fixture!(
        "windsurf",
        "json",
        Layout::McpServers,
        &[("fs", Wrapped), ("solo", Wrapped), ("remote", NotStdio)]
    );
    fixture!(
        "settings",
        "jsonc",
        Layout::Any,
        &[
            ("time", Wrapped),
            ("odd", Unusable("`command` is not a string")),
            ("kept", PathUpdated),
            ("own", Wrapped),
        ]
    );
}

/// Applies a unified diff the way `patch` does, without fuzz: context has to match.
fn patch(before: &str, diff: &str) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let mut out = String::new();
    let mut at = 0;
    let lines: Vec<&str> = diff.split_inclusive('\n').skip(2).collect();
    for (i, line) in lines.iter().enumerate() {
        let bare = lines.get(i + 1).is_some_and(|next| next.starts_with('\\'));
        let (sign, content) = line.split_at(1);
        let body = if bare {
            content.trim_end_matches('\n')
        } else {
            content
        };
        match sign {
            "@" => {
                let (start, count) = content
                    .trim_start_matches("@ -")
                    .split_once(' ')
                    .unwrap()
                    .0
                    .split_once(',')
                    .unwrap();
                let (start, count): (usize, usize) =
                    (start.parse().unwrap(), count.parse().unwrap());
                let start = if count == 0 { start } else { start - 1 };
                out.extend(old[at..start].iter().copied());
                at = start;
                let new = content
                    .split('+')
                    .nth(1)
                    .unwrap()
                    .split(',')
                    .next()
                    .unwrap();
                let above = out.split_inclusive('\n').count();
                assert_eq!(
                    new.parse::<usize>().unwrap(),
                    above + 1,
                    "line in the new file"
                );
            }
            "+" => out.push_str(body),
            " " | "-" => {
                assert_eq!(old[at], body, "context");
                at += 1;
                if sign == " " {
                    out.push_str(body);
                }
            }
            "\\" => {}
            other => panic!("{other}"),
        }
    }
    out.extend(old[at..].iter().copied());
    out
}

/// What the configuration should mean afterwards, worked out on the parsed value and not on the text.
fn wrapped_value(mut value: Value) -> Value {
    fn each(list: Option<&mut Value>) {
        for (name, entry) in list.and_then(Value::as_object_mut).unwrap() {
            let Some(command) = entry.get("command").cloned() else {
                continue;
            };
            let mut args = if name.starts_with('-') {
                vec![
                    json!("run"),
                    json!(format!("--name={name}")),
                    json!("--"),
                    command,
                ]
            } else {
                vec![
                    json!("run"),
                    json!("--name"),
                    json!(name),
                    json!("--"),
                    command,
                ]
            };
            args.extend(
                entry
                    .get("args")
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default(),
            );
            entry["command"] = json!(TACHO);
            entry["args"] = Value::Array(args);
        }
    }
    each(value.get_mut("mcpServers"));
    each(value.get_mut("servers"));
    each(value.pointer_mut("/projects/~1p/mcpServers"));
    value
}

/// Without what an undo cannot know when it has no backup: whether an empty `args` was written.
fn without_empty_args(mut value: Value) -> Value {
    for list in ["/mcpServers", "/servers", "/projects/~1p/mcpServers"] {
        for (_, entry) in value
            .pointer_mut(list)
            .and_then(Value::as_object_mut)
            .unwrap()
        {
            if entry.get("args") == Some(&json!([])) {
                entry.as_object_mut().unwrap().remove("args");
            }
        }
    }
    value
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn undo_is_the_inverse_and_twice_is_once(config in config(), style in prop_oneof![style(false), style(true)]) {
        let before = write(&config, &style);
        let planned = plan(&before, Layout::Any, &wrapper(), &[]).unwrap();
        prop_assert!(planned.changes());
        let after = planned.after();
        prop_assert!(!plan(after, Layout::Any, &wrapper(), &[]).unwrap().changes());
        let undone = unplan(after, Layout::Any, &[], &[backup(&before)]).unwrap();
        prop_assert_eq!(undone.after(), &before);
        prop_assert_eq!(patch(&before, &planned.diff(Path::new("x"))), after);
        prop_assert_eq!(patch(after, &undone.diff(Path::new("x"))), before);
    }

    #[test]
    fn only_command_and_args_mean_something_else(config in config(), style in style(false)) {
        let before = write(&config, &style);
        let planned = plan(&before, Layout::Any, &wrapper(), &[]).unwrap();
        prop_assert_eq!(parse(planned.after()), wrapped_value(parse(&before)));
    }

    #[test]
    fn edits_in_between_survive(config in config(), style in style(true)) {
        let before = write(&config, &style);
        let edit = |text: &str| {
            let text = text.replacen('{', "{ // mine\n \"added\": {\"args\": [1]},", 1);
            text.replacen("\"servers\":", "\"servers\" /* too */ :", 1)
        };
        let after = plan(&before, Layout::Any, &wrapper(), &[]).unwrap().after().to_owned();
        let undone = unplan(&edit(&after), Layout::Any, &[], &[backup(&before)]).unwrap();
        prop_assert_eq!(undone.after(), edit(&before));
    }

    /// A client that rewrites its file keeps the meaning and nothing else.
    #[test]
    fn a_rewritten_file_can_be_undone(config in config(), style in style(false), pretty in any::<bool>()) {
        let before = write(&config, &style);
        let after = parse(plan(&before, Layout::Any, &wrapper(), &[]).unwrap().after());
        let rewritten = if pretty { serde_json::to_string_pretty(&after) } else { serde_json::to_string(&after) }.unwrap();
        let undone = unplan(&rewritten, Layout::Any, &[], &[backup(&before)]).unwrap();
        prop_assert_eq!(parse(undone.after()), parse(&before));
        let alone = unplan(&rewritten, Layout::Any, &[], &[]).unwrap();
        prop_assert_eq!(without_empty_args(parse(alone.after())), without_empty_args(parse(&before)));
    }

    #[test]
    fn a_moved_tacho_is_followed(config in config(), style in style(true)) {
        let before = write(&config, &style);
        let there = Wrapper::new(Path::new("/opt/\"t\"/tacho"), vec!["--in-process".to_owned()]).unwrap();
        let first = plan(&before, Layout::Any, &there, &[]).unwrap().after().to_owned();
        let moved = Wrapper::new(Path::new("/opt/new/tacho"), vec!["--in-process".to_owned()]).unwrap();
        let second = plan(&first, Layout::Any, &moved, &[]).unwrap().after().to_owned();
        let straight = plan(&before, Layout::Any, &moved, &[]).unwrap();
        prop_assert_eq!(&second, straight.after());
        let undone = unplan(&second, Layout::Any, &[], &[backup(&first), backup(&before)]).unwrap();
        prop_assert_eq!(undone.after(), &before);
    }

    /// Server by server, in either order, comes to the same.
    #[test]
    fn one_at_a_time(config in config(), style in style(true)) {
        let before = write(&config, &style);
        let all = plan(&before, Layout::Any, &wrapper(), &[]).unwrap();
        let mut names: Vec<String> = all.servers().iter().map(|server| server.id.name.clone()).collect();
        names.dedup();
        let (mut text, mut states) = (before.clone(), Vec::new());
        for name in names.iter().rev() {
            states.insert(0, backup(&text));
            text = plan(&text, Layout::Any, &wrapper(), std::slice::from_ref(name)).unwrap().after().to_owned();
        }
        prop_assert_eq!(&text, all.after());
        for name in &names {
            match unplan(&text, Layout::Any, std::slice::from_ref(name), &states) {
                Ok(undone) => text = undone.after().to_owned(),
                Err(InstallError::NothingToUndo) => {}
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
        prop_assert_eq!(text, before);
    }

    /// Cut or spoilt anywhere, a file is refused or still undone exactly; nothing panics.
    #[test]
    fn spoilt_files_are_refused_or_undone(
        config in config(), style in style(true), at in any::<prop::sample::Index>(), junk in prop_oneof![Just(String::new()), any::<String>()], cut in 0_usize..9,
    ) {
        let mut text = write(&config, &style);
        let boundary = |text: &str, mut at: usize| { while !text.is_char_boundary(at) { at += 1; } at };
        let start = boundary(&text, at.index(text.len()));
        let end = boundary(&text, (start + cut).min(text.len()));
        text.replace_range(start..end, &junk);
        if let Ok(planned) = plan(&text, Layout::Any, &wrapper(), &[]) && planned.changes() {
            let undone = unplan(planned.after(), Layout::Any, &[], &[backup(&text)]).unwrap();
            prop_assert_eq!(undone.after(), text);
        }
    }
}
