//! How long a file and a function may be. What is longer is usually two things.

use super::Source;

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

/// Files and functions that may be longer: path, function or nothing, lines allowed, reason. The list only shrinks:
/// an entry that is no longer needed is a finding.
const EXCEPTIONS: &[(&str, Option<&str>, usize, &str)] = &[
    (
        "crates/tacho-event/src/redact/detectors.rs",
        Some("detectors"),
        110,
        "a table of rules",
    ),
    (
        "crates/tacho-event/src/redact/keys.rs",
        Some("names"),
        110,
        "a table of rules",
    ),
    (
        "crates/tacho-event/tests/planted/planted.rs",
        Some("clean_corpus"),
        90,
        "a table of cases",
    ),
    (
        "crates/tacho-event/tests/redaction.rs",
        Some("texts"),
        110,
        "a table of cases",
    ),
    (
        "crates/tacho-event/tests/redaction.rs",
        Some("documents"),
        80,
        "a table of cases",
    ),
    (
        "crates/tacho-log/src/disk/faulty.rs",
        None,
        540,
        "to be split",
    ),
    (
        "crates/tacho-log/src/log/recover.rs",
        Some("recover"),
        90,
        "to be split",
    ),
    (
        "crates/tacho-log/src/note.rs",
        Some("what_is_no_note"),
        80,
        "a table of cases",
    ),
    (
        "crates/tacho-log/src/policy/tests.rs",
        Some("what_is_no_policy"),
        90,
        "a table of cases",
    ),
    (
        "crates/tacho-log/src/witness/tests.rs",
        Some("what_is_refused_and_how"),
        120,
        "a table of attacks",
    ),
    (
        "crates/tacho-log/tests/recovery.rs",
        None,
        560,
        "to be split",
    ),
    ("bench/src/emit.rs", Some("show"), 80, "to be split"),
];

/// Finds Rust files and functions that are too long.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    check_with(sources, EXCEPTIONS)
}

fn check_with(sources: &[Source], exceptions: &[(&str, Option<&str>, usize, &str)]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut needed = vec![false; exceptions.len()];
    for source in sources.iter().filter(|source| source.has_extension("rs")) {
        let mut measured = vec![(None, 1, source.text.lines().count(), FILE_LINES)];
        let functions = functions(&source.text);
        measured.extend(
            functions
                .iter()
                .map(|it| (Some(it.name.as_str()), it.line, it.lines, FUNCTION_LINES)),
        );
        for (name, line, lines, limit) in measured
            .into_iter()
            .filter(|(_, _, lines, limit)| lines > limit)
        {
            let mut allowed = limit;
            for (exception, used) in exceptions.iter().zip(&mut needed) {
                if exception.0 == source.path && exception.1 == name {
                    (allowed, *used) = (exception.2, true);
                }
            }
            if lines > allowed {
                let what = name.map_or("file".to_owned(), |name| format!("fn {name}"));
                findings.push(format!(
                    "{}:{line}: {what} has {lines} lines, more than {allowed}",
                    source.path
                ));
            }
        }
    }
    for (exception, used) in exceptions.iter().zip(needed) {
        if !used {
            findings.push(format!(
                "{}: its exception from the lengths is no longer needed",
                exception.0
            ));
        }
    }
    findings
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// Functions with a body, from the line with `fn` to the one with the closing brace.
fn functions(text: &str) -> Vec<Function> {
    let code = code_only(text);
    let mut found = Vec::new();
    let mut open: Vec<(Function, usize)> = Vec::new();
    let mut announced: Option<Function> = None;
    let mut depth = 0_usize;
    for (number, line) in code
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
    {
        if let Some(name) = declared(line) {
            announced = Some(Function {
                name,
                line: number,
                lines: 0,
            });
        }
        for character in line.chars() {
            match character {
                '{' => {
                    open.extend(announced.take().map(|function| (function, depth)));
                    depth += 1;
                }
                '}' => {
                    depth = depth.saturating_sub(1);
                    if let Some((mut function, _)) = open.pop_if(|(_, outside)| *outside == depth) {
                        function.lines = number + 1 - function.line;
                        found.push(function);
                    }
                }
                // A function without a body: a trait's.
                ';' if announced
                    .as_ref()
                    .is_some_and(|function| function.line == number) =>
                {
                    announced = None;
                }
                _ => {}
            }
        }
    }
    found
}

/// The name of the function that a line declares.
fn declared(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| {
        matches!(*word, "pub" | "const" | "async" | "unsafe" | "extern") || word.starts_with("pub(")
    });
    (words.next() == Some("fn")).then(|| {
        let name = words.next().unwrap_or_default();
        name.chars()
            .take_while(|character| character.is_alphanumeric() || *character == '_')
            .collect()
    })
}

/// The text with comments, strings and character literals left out, line by line, so that only real braces are counted.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skipped = literal_or_comment(rest);
        if skipped == 0 {
            code.push(character);
            rest = rest.get(character.len_utf8()..).unwrap_or_default();
        } else {
            let (inside, after) = rest.split_at_checked(skipped).unwrap_or((rest, ""));
            code.extend(inside.chars().filter(|character| *character == '\n'));
            rest = after;
        }
    }
    code
}

/// How many bytes of a comment, string or character literal stand at the beginning; 0 when there is none.
fn literal_or_comment(rest: &str) -> usize {
    let until = |end: &str, from: usize| {
        rest.get(from..)
            .and_then(|tail| tail.find(end))
            .map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return until("\n", 2).saturating_sub(1).max(2);
    }
    if rest.starts_with("/*") {
        return until("*/", 2);
    }
    if let Some(hashes) = rest
        .strip_prefix('r')
        .map(|tail| tail.len() - tail.trim_start_matches('#').len())
        && rest
            .get(1 + hashes..)
            .is_some_and(|tail| tail.starts_with('"'))
    {
        return until(&format!("\"{}", "#".repeat(hashes)), hashes + 2);
    }
    match rest.as_bytes() {
        [b'"', ..] => quoted(rest, '"'),
        [b'\'', b'\\', ..] => quoted(rest, '\''),
        // A lifetime has no second quote right after its first character.
        [b'\'', ..] if rest.chars().nth(2) == Some('\'') => until("'", 2).max(3),
        _ => 0,
    }
}

/// The length of a literal between quotes, in which a backslash takes the next character's meaning away.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if character == quote && !escaped {
            return at + character.len_utf8();
        }
        escaped = character == '\\' && !escaped;
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::{check_with, functions};

    fn long_function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    call();\n".repeat(lines - 2))
    }

    #[test]
    fn what_is_too_long_is_found() {
        for (text, finding) in [
            (long_function("short", 70), None),
            (
                long_function("long", 71),
                Some("a.rs:1: fn long has 71 lines, more than 70"),
            ),
            ("// line\n".repeat(500), None),
            (
                "// line\n".repeat(501),
                Some("a.rs:1: file has 501 lines, more than 500"),
            ),
        ] {
            let found = check_with(&[source("a.rs", &text)], &[]);
            assert_eq!(found.first().map(String::as_str), finding);
        }
    }

    #[test]
    fn an_exception_covers_one_function_and_ends_with_its_need() {
        let long = source("a.rs", &long_function("long", 90));
        let exception = ("a.rs", Some("long"), 90, "a table");
        assert_eq!(check_with(&[long], &[exception]), Vec::<String>::new());
        let longer = source("a.rs", &long_function("long", 91));
        assert_eq!(check_with(&[longer], &[exception]).len(), 1);
        let short = source("a.rs", &long_function("long", 9));
        assert_eq!(
            check_with(&[short], &[exception]),
            ["a.rs: its exception from the lengths is no longer needed"]
        );
    }

    #[test]
    fn braces_in_strings_and_comments_do_not_count() {
        let text = concat!(
            "pub(crate) const fn a<'a>(x: &'a str) -> char {\n    // }\n    let _ = (\"}\", r#\"}\"}\"#, '}', '\\'', \"\\\"}\");\n    'x'\n}\n",
            "trait T { fn no_body(&self); fn body(&self) {\n} }\n",
            "async fn b(\n    x: u8,\n) {\n    fn inner() {\n    }\n}\n",
        );
        let found: Vec<(String, usize)> = functions(text)
            .into_iter()
            .map(|it| (it.name, it.lines))
            .collect();
        let expected = [("a", 5), ("inner", 2), ("b", 6)];
        assert_eq!(
            found,
            expected.map(|(name, lines)| (name.to_owned(), lines))
        );
    }
}
