//! Words and files that must not be in the repository.

use super::Source;

/// Unfinished work and tests that do not run. Spelt in halves, as this file is checked too.
const UNFINISHED: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ig", "nore"),
];

/// What is true of one machine only.
const MACHINE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/fa", "rm/"),
];

/// Hosts of package registries: names of packages are enough, the client knows where to ask.
const REGISTRIES: &[&str] = &[
    concat!("registry.npm", "js.org"),
    concat!("files.python", "hosted.org"),
    concat!("py", "pi.org"),
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("deb.deb", "ian.org"),
    concat!("arti", "factory"),
];

/// Where one of the words is the subject: path, word, reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Finds forbidden words, and `mod.rs` files.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        if source.path.ends_with(concat!("/mod", ".rs")) {
            findings.push(format!(
                "{}: a module's file has the module's name",
                source.path
            ));
        }
        for (number, line) in source
            .text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
        {
            let words = UNFINISHED.iter().filter(|_| source.has_extension("rs"));
            for word in words
                .chain(MACHINE)
                .chain(REGISTRIES)
                .filter(|word| stands_in(line, word))
            {
                if !EXCEPTIONS
                    .iter()
                    .any(|(path, excepted, _)| *path == source.path && excepted == word)
                {
                    findings.push(format!("{}:{number}: {word}", source.path));
                }
            }
        }
    }
    findings
}

/// Whether a word stands in a line, and not as a part of a longer one.
fn stands_in(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at + word.len()..)
            .and_then(|text| text.chars().next());
        let joins = |edge: Option<char>, neighbour: Option<char>| {
            edge.is_some_and(char::is_alphanumeric)
                && neighbour.is_some_and(|it| it.is_alphanumeric() || it == '_')
        };
        let inside_a_path = word.starts_with('/')
            && before.is_some_and(|it| it.is_alphanumeric() || "._-}".contains(it));
        !joins(word.chars().next(), before)
            && !joins(word.chars().next_back(), after)
            && !inside_a_path
    })
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::check;

    #[test]
    fn forbidden_words_are_found() {
        for (path, line, found) in [
            ("a.rs", concat!("// FIX", "ME: later"), true),
            ("a.rs", concat!("to", "do!(\"x\")"), true),
            ("a.rs", concat!("#[ig", "nore = \"slow\"]"), true),
            ("a.rs", concat!("let masked = \"XX", "XX\";"), false),
            ("a.rs", concat!("// what to", "do"), false),
            ("a.md", concat!("see /wo", "rk/notes.md"), true),
            ("a.md", concat!("\"/ro", "ot/.cargo\""), true),
            ("a.md", concat!("docs/wo", "rk/notes.md"), false),
            (
                "lock.json",
                concat!("https://registry.npm", "js.org/zod"),
                true,
            ),
            ("a.md", "`cargo add serde`", false),
            ("src/a.rs", "mod a;", false),
            (concat!("src/mod", ".rs"), "", true),
        ] {
            assert_eq!(
                !check(&[source(path, line)]).is_empty(),
                found,
                "{path}: {line}"
            );
        }
    }
}
