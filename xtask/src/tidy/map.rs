//! `ARCHITECTURE.md` is a map: every crate is on it, and what is on it exists.

use std::collections::BTreeSet;
use std::path::Path;

use super::Source;

const MAP: &str = "ARCHITECTURE.md";

/// Finds what the map does not name, and what it names that is not there. No map, no findings.
pub(crate) fn check(sources: &[Source], exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let Some(map) = sources.iter().find(|source| source.path == MAP) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for place in places(sources) {
        if !map.text.contains(&place) {
            findings.push(format!("{MAP}: does not name {place}"));
        }
    }
    for named in paths_in(&map.text) {
        if !exists(Path::new(named)) {
            findings.push(format!("{MAP}: names {named}, which does not exist"));
        }
    }
    findings
}

/// The crates, by the names of their directories; those outside `crates/` too.
fn places(sources: &[Source]) -> BTreeSet<String> {
    let manifests = sources
        .iter()
        .filter_map(|source| source.path.strip_suffix("/Cargo.toml"));
    manifests
        .filter_map(|directory| directory.rsplit('/').next())
        .map(str::to_owned)
        .collect()
}

/// What stands between backticks and begins like a path in the clone.
fn paths_in(text: &str) -> impl Iterator<Item = &str> {
    let spans = text
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.filter(|span| {
        let starts = ["crates/", "docs/", "fixtures/", "fuzz/", "tests/", "xtask/"];
        let pattern =
            |character: char| "*{}<>… ".contains(character) || character.is_ascii_uppercase();
        starts.iter().any(|start| span.starts_with(start)) && !span.contains(pattern)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::source;
    use super::check;

    #[test]
    fn a_map_that_lies_is_found() {
        let there = |path: &Path| path != Path::new("docs/gone.md");
        for (map, findings) in [
            ("`crates/tacho-log`, `xtask/`, `docs/format.md`", vec![]),
            (
                "`crates/`, `xtask/`",
                vec!["ARCHITECTURE.md: does not name tacho-log"],
            ),
            (
                "`crates/tacho-log`",
                vec!["ARCHITECTURE.md: does not name xtask"],
            ),
            (
                "`crates/tacho-log`, `xtask/`, `docs/gone.md`",
                vec!["ARCHITECTURE.md: names docs/gone.md, which does not exist"],
            ),
        ] {
            let sources = [
                source("ARCHITECTURE.md", map),
                source("xtask/Cargo.toml", ""),
                source("crates/tacho-log/Cargo.toml", ""),
            ];
            assert_eq!(check(&sources, &there), findings, "{map}");
        }
        assert_eq!(
            check(&[source("README.md", "")], &there),
            Vec::<String>::new()
        );
    }
}
