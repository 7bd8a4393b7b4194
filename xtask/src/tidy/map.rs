//! `ARCHITECTURE.md` is a map: everything at the top of the clone and every crate is on it, and what is on it exists.

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
        if place != MAP && !map.text.contains(&place) {
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

/// Files and directories at the top, and the crates.
fn places(sources: &[Source]) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    for source in sources {
        let mut parts = source.path.split('/');
        let (top, below) = (parts.next().unwrap_or_default(), parts.next());
        places.insert(top.to_owned());
        if let ("crates", Some(name)) = (top, below) {
            places.insert(name.to_owned());
        }
    }
    places
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
            ("`crates/tacho-log`, README.md, `docs/format.md`", vec![]),
            (
                "`crates/`, README.md",
                vec!["ARCHITECTURE.md: does not name tacho-log"],
            ),
            (
                "`crates/tacho-log`",
                vec!["ARCHITECTURE.md: does not name README.md"],
            ),
            (
                "`crates/tacho-log`, README.md, `docs/gone.md`",
                vec!["ARCHITECTURE.md: names docs/gone.md, which does not exist"],
            ),
        ] {
            let sources = [
                source("ARCHITECTURE.md", map),
                source("README.md", ""),
                source("crates/tacho-log/src/lib.rs", ""),
            ];
            assert_eq!(check(&sources, &there), findings, "{map}");
        }
        assert_eq!(
            check(&[source("README.md", "")], &there),
            Vec::<String>::new()
        );
    }
}
