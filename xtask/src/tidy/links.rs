//! Links from Markdown to files of the clone must lead somewhere.

use std::path::{Component, Path, PathBuf};

use super::Source;

/// Finds links to files that do not exist. Links to the web are not followed: that would need the web.
pub(crate) fn check(sources: &[Source], exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.has_extension("md")) {
        let mut in_code = false;
        for (number, line) in source
            .text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
        {
            in_code ^= line.trim_start().starts_with("```");
            for link in targets(line).filter(|_| !in_code) {
                if !exists(&resolve(&source.path, link)) {
                    findings.push(format!("{}:{number}: {link} leads nowhere", source.path));
                }
            }
        }
    }
    findings
}

/// The files that a line links to.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|after| {
        let target = after.split([')', ' ']).next()?;
        let file = target.split('#').next()?;
        (!file.is_empty() && !file.contains(':')).then_some(file)
    })
}

/// A link's path from the root of the clone; one with a leading `/` starts there.
fn resolve(from: &str, link: &str) -> PathBuf {
    let beside = Path::new(from).parent().unwrap_or(Path::new(""));
    let joined = link
        .strip_prefix('/')
        .map_or_else(|| beside.join(link), PathBuf::from);
    let mut plain = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            other @ (Component::Normal(_) | Component::RootDir | Component::Prefix(_)) => {
                plain.push(other);
            }
            Component::CurDir => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::source;
    use super::check;

    #[test]
    fn a_dead_link_is_found() {
        let exists =
            |path: &Path| [Path::new("docs/format.md"), Path::new("README.md")].contains(&path);
        for (line, dead) in [
            (
                "[format](format.md#3-record) and [home](../README.md)",
                None,
            ),
            (
                "[web](https://example.org/x.md) [mail](mailto:a@example.org) [here](#there)",
                None,
            ),
            (
                "[gone](gone.md)",
                Some("docs/a.md:1: gone.md leads nowhere"),
            ),
            (
                "[ok](/README.md) [gone](../docs/no.md)",
                Some("docs/a.md:1: ../docs/no.md leads nowhere"),
            ),
            ("```\n[in code](gone.md)\n```", None),
        ] {
            let found = check(&[source("docs/a.md", line)], &exists);
            assert_eq!(found.first().map(String::as_str), dead, "{line}");
        }
    }
}
