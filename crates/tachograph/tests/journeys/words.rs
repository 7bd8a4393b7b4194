//! What people are shown: the demo's transcript and every `--help`, as golden files.
//!
//! `TACHO_BLESS=1 cargo test -p tachograph --test journeys words` rewrites both.

use std::path::PathBuf;

use regex::Regex;

use crate::env::{Env, finish};

/// Times, keys and names differ from run to run; all else is the same.
fn masked(transcript: &str) -> String {
    let mut text = transcript.to_owned();
    for (pattern, mask) in [
        (r"\d\d:\d\d:\d\d\.\d{3}", "TIME"),
        (r"\d+\.\d ms", "N ms"),
        (r"\d{4}-\d\d-\d\d-000", "DAY-000"),
        (r"tacho\.local/[a-z0-9.-]+", "LOG"),
        (r"\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+", "+KEY"),
        (r"root, [A-Za-z0-9+/=]{44}", "root, ROOT"),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, mask)
            .into_owned();
    }
    text
}

fn check_golden(path: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("TACHO_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not current; TACHO_BLESS=1 rewrites it. Found:\n{found}",
        path.display()
    );
}

#[test]
fn the_demo_goes_as_documented() {
    let env = Env::new();
    let temporary = env.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = env.bare();
    command.arg("demo").env("TMPDIR", &temporary);
    let done = finish(command);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(done.stderr, "");
    check_golden("tests/journeys/demo.txt", &masked(&done.text()));
    let left = std::fs::read_dir(&temporary).unwrap().count();
    assert_eq!(left, 0, "it leaves its directory behind");
    assert_eq!(
        std::fs::read_dir(env.home()).unwrap().count(),
        0,
        "it touches the home"
    );
}

#[test]
fn the_readme_shows_what_the_demo_says() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, rest) = readme
        .split_once("$ cargo run --release -- demo\n")
        .unwrap();
    let (transcript, _) = rest.split_once("```").unwrap();
    check_golden("tests/journeys/demo.txt", &masked(transcript));
}

#[test]
fn every_help_text_is_documented() {
    let env = Env::new();
    let mut page = String::from(
        "# The command line\n\nWhat `--help` says, command by command. A test keeps this page current.\n",
    );
    for command in [
        "",
        "run",
        "serve",
        "witness",
        "tail",
        "show",
        "status",
        "doctor",
        "verify",
        "prove",
        "export",
        "key",
        "key create",
        "key show",
        "key rotate",
        "evidence",
        "evidence list",
        "evidence open",
        "evidence erase",
        "evidence keygen",
        "install",
        "uninstall",
        "hold",
        "hold add",
        "hold remove",
        "hold list",
        "redact",
        "redact test",
        "redact hash",
        "demo",
    ] {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let mut help = env.bare();
        help.args(words);
        let done = finish(help);
        assert_eq!(done.status.code(), Some(0), "{command}: {done:?}");
        let text = done.text();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let title = format!("tacho {command}");
        page.push_str(&format!(
            "\n## {}\n\n```text\n{}\n```\n",
            title.trim_end(),
            lines.join("\n").trim_end()
        ));
    }
    check_golden("../../docs/cli.md", &page);
    let listed = env.done(&["--help"]).text();
    let commands = listed
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1);
    for line in commands.take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        let known = name == "help" || page.contains(&format!("\n## tacho {name}\n"));
        assert!(
            known || !line.starts_with("  ") || line.starts_with("   "),
            "{name} is not on the page"
        );
    }
}

#[test]
fn the_version_is_the_packages() {
    let done = Env::new().done(&["--version"]);
    assert_eq!(
        done.text(),
        format!("tacho {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(done.status.code(), Some(0));
}
