//! What the README tells people to type must be what a test types.

use std::collections::BTreeSet;

use super::Source;

/// Finds subcommands in README.md that no test runs. No README, no findings.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let Some(readme) = sources.iter().find(|source| source.path == "README.md") else {
        return Vec::new();
    };
    let tests: Vec<&Source> = sources
        .iter()
        .filter(|source| is_test(&source.path))
        .collect();
    let typed = |words: &str| {
        tests
            .iter()
            .any(|test| test.text.contains(&format!("\"{words}\"")))
    };
    let untested = commands(&readme.text)
        .into_iter()
        .filter(|command| !typed(command));
    untested
        .map(|command| format!("README.md: no test runs `tacho {command}`"))
        .collect()
}

/// Tests that start programs, and the steps of `cargo xtask`.
fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.starts_with("xtask/src/") || path.contains("/tests/")
}

/// The subcommands in the README's blocks of shell: the first word after `tacho`, `cargo run … --` or `cargo xtask`.
fn commands(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
            continue;
        }
        let line = line.trim_start().trim_start_matches("$ ");
        let after = ["tacho ", "cargo xtask "]
            .iter()
            .find_map(|start| line.strip_prefix(start))
            .or_else(|| {
                line.strip_prefix("cargo run")
                    .and_then(|rest| rest.split_once(" -- "))
                    .map(|(_, command)| command)
            });
        let word = after
            .and_then(|after| after.split_whitespace().next())
            .unwrap_or_default();
        let is_subcommand = word.starts_with(|first: char| first.is_ascii_lowercase());
        if in_code && is_subcommand {
            found.insert(word.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::check;

    #[test]
    fn a_command_that_no_test_types_is_found() {
        let tests = "run(&[\"demo\"]); run(&[\"tail\", \"-n\", \"5\"]);";
        for (readme, untested) in [
            (
                "```sh\ncargo run --release -- demo\n$ tacho tail -n 5\n```\n",
                None,
            ),
            ("tacho unknown is only prose\n", None),
            (
                "```sh\ntacho frobnicate --now\n```\n",
                Some("README.md: no test runs `tacho frobnicate`"),
            ),
            ("```\ntacho --version\n```\n", None),
        ] {
            let sources = [
                source("README.md", readme),
                source("crates/tachograph/tests/journey.rs", tests),
            ];
            assert_eq!(
                check(&sources).first().map(String::as_str),
                untested,
                "{readme}"
            );
        }
    }
}
