//! Single entries, one rule at a time.

use std::path::{Path, PathBuf};

use tachograph::install::{Backup, Change, Layout, Wrapper, plan, unplan};

use super::{changes, patch, wrapper};

fn backup(text: &str) -> Backup {
    Backup {
        path: PathBuf::new(),
        text: text.to_owned(),
    }
}

#[test]
fn which_entries_are_servers() {
    let check = |entry: &str, expected: Change| {
        let text = format!("{{\"mcpServers\": {{\"x\": {entry}}}}}");
        let planned = plan(&text, Layout::McpServers, &wrapper(), &[]).unwrap();
        assert_eq!(changes(&planned), [("x".to_owned(), expected)], "{entry}");
        let touched = matches!(expected, Change::Wrapped | Change::PathUpdated);
        assert_eq!(planned.changes(), touched, "{entry}");
    };
    check(r#"{"command": "a"}"#, Change::Wrapped);
    check(
        r#"{"type": "stdio", "command": "a", "args": []}"#,
        Change::Wrapped,
    );
    check(r#"{"command": "a", "url": "https://x"}"#, Change::Wrapped);
    check(
        r#"{"command": "tachometer", "args": ["run", "--", "b"]}"#,
        Change::Wrapped,
    );
    check(
        r#"{"command": "tacho", "args": ["run", "--"]}"#,
        Change::Wrapped,
    );
    check(
        r#"{"command": "tacho", "args": ["ssh", "--", "b"]}"#,
        Change::Wrapped,
    );
    check(r#"{"type": "sse", "command": "a"}"#, Change::NotStdio);
    check(r#"{"type": "http", "url": "https://x"}"#, Change::NotStdio);
    check(r#"{"serverUrl": "https://x"}"#, Change::NotStdio);
    check(r#"{"type": null, "command": "a"}"#, Change::NotStdio);
    check(r#"{"command": ""}"#, Change::Unusable("`command` is empty"));
    check(
        r#"{"command": 1}"#,
        Change::Unusable("`command` is not a string"),
    );
    check(
        r#"{"type": "stdio"}"#,
        Change::Unusable("it has no `command`"),
    );
    let args = Change::Unusable("`args` is not an array of strings");
    check(r#"{"command": "a", "args": "b"}"#, args);
    check(r#"{"command": "a", "args": ["b", 1]}"#, args);
    check(r#""a""#, Change::Unusable("the entry is not an object"));
    let path = r#"{"command": "C:\\t\\Tacho.EXE", "args": ["run", "--name", "x", "--", "b"]}"#;
    check(path, Change::PathUpdated);
    check(
        r#"{"command": "\/usr\/local\/bin\/tacho", "args": ["run", "--", "b"]}"#,
        Change::AlreadyWrapped,
    );
}

/// What comes back for `args` that are empty, from what the client made of the file and the backup.
#[test]
fn empty_args() {
    let check = |now: &str, was: Option<&str>, expected: &str| {
        let config = |entry: &str| format!("{{\"servers\": {{\"x\": {{{entry}}}}}}}");
        let backups: Vec<Backup> = was.iter().map(|was| backup(&config(was))).collect();
        let undone = unplan(&config(now), Layout::Servers, &[], &backups).unwrap();
        assert_eq!(undone.after(), config(expected), "{now}, was {was:?}");
    };
    let one = r#""command": "/t/tacho", "args": ["run", "--", "a"]"#;
    let many = "\"command\": \"/t/tacho\", \"args\": [\n\"run\",\n\"--\",\n\"a\"\n]";
    let noted = r#""command": "/t/tacho", "args": ["run", "--", "a" /* mine */]"#;
    let (bare, empty) = (r#""command": "a""#, r#""command": "a", "args": []"#);
    let commented = r#""command": "a", "args": [/* none */]"#;
    check(one, None, empty);
    check(one, Some(bare), bare);
    check(one, Some(empty), empty);
    check(
        many,
        Some(r#""command": "a", "args": [ ]"#),
        r#""command": "a", "args": [ ]"#,
    );
    check(many, Some(commented), empty);
    check(many, None, empty);
    check(
        noted,
        Some(empty),
        r#""command": "a", "args": [ /* mine */]"#,
    );
    let first = r#""args": ["run", "--", "a",], "command": "/t/tacho", "env": {}"#;
    check(first, Some(bare), r#""command": "a", "env": {}"#);
    check(
        first,
        Some(empty),
        r#""args": [], "command": "a", "env": {}"#,
    );
    let behind = r#""command": "/t/tacho" /* c */, "args": ["run", "--", "a"], "env": {}"#;
    check(behind, Some(bare), r#""command": "a" /* c */, "env": {}"#);
    let kept = r#""command": "/t/tacho", "args": ["run", "--", "a", /* k */ "b"]"#;
    check(
        kept,
        Some(empty),
        r#""command": "a", "args": [/* k */ "b"]"#,
    );
}

/// One name may stand in two lists of a file; each has its own past.
#[test]
fn one_name_in_two_lists() {
    let before = r#"{"mcpServers": {"x": {"command": "a"}}, "servers": {"x": {"command": "a", "args": []}}}"#;
    let after = plan(before, Layout::Any, &wrapper(), &[])
        .unwrap()
        .after()
        .to_owned();
    let undone = unplan(&after, Layout::Any, &[], &[backup(before)]).unwrap();
    assert_eq!(undone.after(), before);
}

#[test]
fn options_of_run_are_written_down() {
    let run_args = vec!["--dir".to_owned(), "/var/log/\"t\"".to_owned()];
    let wrapper = Wrapper::new(Path::new("/t/tacho"), run_args).unwrap();
    let text = r#"{"mcpServers":{"x":{"command":"a"}}}"#;
    let planned = plan(text, Layout::McpServers, &wrapper, &[]).unwrap();
    let expected = r#"{"mcpServers":{"x":{"command":"/t/tacho","args":["run","--dir","/var/log/\"t\"","--name","x","--","a"]}}}"#;
    assert_eq!(planned.after(), expected);
}

#[test]
fn a_difference_of_many_hunks() {
    let filler = "\n".repeat(20);
    let entries: Vec<String> = (0..5)
        .map(|i| format!("\"{i}\": {{\n\"command\": \"a\"\n}}{filler}"))
        .collect();
    let before = format!("{{\"servers\": {{{}}}}}", entries.join(","));
    let planned = plan(&before, Layout::Servers, &wrapper(), &[]).unwrap();
    let diff = planned.diff(Path::new("x"));
    assert_eq!(diff.matches("@@ -").count(), 5);
    assert_eq!(patch(&before, &diff), planned.after());
}
