//! The edits that put one server under tacho, and those that take it out again.
//!
//! Both move the text of the original command as it is written. Wrapping only replaces the value of `command` and inserts
//! at one point; unwrapping removes from there to where the original goes on. So each is the other's inverse, byte for byte.

use std::ops::Range;

use super::Wrapper;
use super::edit::Edit;
use super::scan::{Node, slice};
use super::server::{Args, Server, Stdio, string};
use super::string::quote;

/// What is known of a server's `args` before it was wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OriginalArgs {
    /// No backup tells.
    Unknown,
    /// There were none: the member goes.
    Absent,
    /// The array as it was written.
    Written(String),
}

/// Where the original command stands in the arguments of a server that runs under tacho.
///
/// Recognised by its shape, `tacho run [OPTIONS] -- COMMAND`, whatever the path of tacho and whoever wrote it.
pub(super) fn wrapped_at(text: &str, stdio: &Stdio<'_>) -> Option<usize> {
    let command = string(text, &stdio.command.value)?;
    let program = command.rsplit(['/', '\\']).next()?;
    if !program.eq_ignore_ascii_case("tacho") && !program.eq_ignore_ascii_case("tacho.exe") {
        return None;
    }
    let elements = stdio.args.as_ref()?.elements;
    if string(text, elements.first()?)? != "run" {
        return None;
    }
    let dashes = elements
        .iter()
        .position(|element| slice(text, &element.span) == "\"--\"")?;
    elements.get(dashes + 1).map(|_| dashes + 1)
}

/// Replaces tacho's path where it has moved.
pub(super) fn update_path(text: &str, stdio: &Stdio<'_>, wrapper: &Wrapper) -> Option<Edit> {
    let span = &stdio.command.value.span;
    let same = string(text, &stdio.command.value).as_deref() == Some(wrapper.tacho());
    (!same).then(|| Edit {
        range: span.clone(),
        new: quote(wrapper.tacho()),
    })
}

/// The edits that make tacho start the server.
pub(super) fn wrap(
    text: &str,
    server: &Server<'_>,
    stdio: &Stdio<'_>,
    wrapper: &Wrapper,
) -> Vec<Edit> {
    let command = &stdio.command.value.span;
    let mut new = quote(wrapper.tacho());
    let words = words(slice(text, command), server.raw_name, wrapper);
    let colon = text
        .get(stdio.command.key.end..command.start)
        .unwrap_or_default();
    let colon = if colon.trim_matches([' ', '\t']) == ":" {
        colon
    } else {
        ": "
    };
    let gap = if colon.ends_with([' ', '\t']) {
        " "
    } else {
        ""
    };
    let Some(args) = &stdio.args else {
        let before = separator(text, server.entry, stdio, gap);
        new.push_str(&format!(
            ",{before}\"args\"{colon}[{}]",
            words.join(&format!(",{gap}"))
        ));
        return vec![Edit {
            range: command.clone(),
            new,
        }];
    };
    let at = args
        .elements
        .first()
        .map_or(args.member.value.span.start + 1, |first| first.span.start);
    let inserted = if args.elements.is_empty() {
        words.join(&format!(",{gap}"))
    } else {
        let gap = element_gap(text, args, gap);
        words.iter().map(|word| format!("{word},{gap}")).collect()
    };
    vec![
        Edit {
            range: command.clone(),
            new,
        },
        Edit {
            range: at..at,
            new: inserted,
        },
    ]
}

/// tacho's own arguments and the original command, as JSON strings.
fn words(command: &str, raw_name: &str, wrapper: &Wrapper) -> Vec<String> {
    let mut words = vec![quote("run")];
    words.extend(wrapper.run_args().iter().map(|arg| quote(arg)));
    match raw_name.strip_prefix("\"-") {
        // A name that looks like an option has to be joined to its own.
        Some(rest) => words.push(format!("\"--name=-{rest}")),
        None => words.extend([quote("--name"), raw_name.to_owned()]),
    }
    words.extend([quote("--"), command.to_owned()]);
    words
}

/// The white space between the comma after `command` and the new `args`: that before `command` itself.
fn separator(text: &str, entry: &Node, stdio: &Stdio<'_>, gap: &str) -> String {
    let members = entry.members().unwrap_or_default();
    let before = stdio
        .command_index
        .checked_sub(1)
        .and_then(|i| members.get(i));
    let start = before.map_or(entry.span.start + 1, |member| member.value.span.end);
    let trivia = text.get(start..stdio.command.key.start).unwrap_or_default();
    line_start(trivia).unwrap_or_else(|| gap.to_owned())
}

/// The white space between two elements of `args`.
fn element_gap(text: &str, args: &Args<'_>, gap: &str) -> String {
    let mut elements = args.elements.iter();
    let (first, second) = (elements.next(), elements.next());
    let lead = first.map_or("", |first| {
        text.get(args.member.value.span.start + 1..first.span.start)
            .unwrap_or_default()
    });
    if let Some(lead) = line_start(lead) {
        return lead;
    }
    let between = first
        .zip(second)
        .and_then(|(a, b)| text.get(a.span.end..b.span.start))
        .unwrap_or_default();
    match between.strip_prefix(',') {
        Some(space) if space.chars().all(|c| matches!(c, ' ' | '\t')) => space.to_owned(),
        _ => gap.to_owned(),
    }
}

/// The last line break of some trivia and the indentation after it.
fn line_start(trivia: &str) -> Option<String> {
    let newline = trivia.rfind('\n')?;
    let start = if trivia.get(..newline)?.ends_with('\r') {
        newline - 1
    } else {
        newline
    };
    let rest = trivia.get(newline + 1..)?;
    let indent = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    trivia.get(start..newline + 1 + indent).map(str::to_owned)
}

/// The edits that make the client start the server itself again; `at` is where [`wrapped_at`] found the command.
pub(super) fn unwrap(
    text: &str,
    entry: &Node,
    stdio: &Stdio<'_>,
    at: usize,
    original: &OriginalArgs,
) -> Vec<Edit> {
    let Some((args, command)) = stdio
        .args
        .as_ref()
        .and_then(|args| Some((args, args.elements.get(at)?)))
    else {
        return Vec::new();
    };
    let own = &stdio.command.value.span;
    let mut edits = vec![Edit {
        range: own.clone(),
        new: slice(text, &command.span).to_owned(),
    }];
    let array = &args.member.value.span;
    let start = args
        .elements
        .first()
        .map_or(array.start, |first| first.span.start);
    let rest = text.get(command.span.end..array.end).unwrap_or_default();
    let (comma, space) = after_comma(rest);
    if args.elements.len() > at + 1 {
        edits.push(Edit {
            range: start..command.span.end + space,
            new: String::new(),
        });
    } else if *original == OriginalArgs::Absent {
        edits.push(Edit {
            range: member_range(text, entry, args),
            new: String::new(),
        });
    } else {
        edits.push(emptied(
            text,
            array,
            start..command.span.end + comma,
            original,
        ));
    }
    edits.sort_by_key(|edit| edit.range.start);
    edits
}

/// How far it is to behind the comma, and to behind the white space after it. A comment stays.
fn after_comma(rest: &str) -> (usize, usize) {
    let mut from = 0;
    while let Some(tail) = rest.get(from..) {
        let blank = tail.len() - tail.trim_start_matches([' ', '\t', '\r', '\n']).len();
        let tail = tail.get(blank..).unwrap_or_default();
        let comment = if tail.starts_with("//") {
            tail.find(['\n', '\r'])
        } else if tail.starts_with("/*") {
            tail.find("*/").map(|end| end + 2)
        } else {
            None
        };
        if let Some(length) = comment {
            from += blank + length;
            continue;
        }
        if !tail.starts_with(',') {
            return (0, 0);
        }
        let comma = from + blank + 1;
        let space = rest.get(comma..).map_or(0, |s| {
            s.len() - s.trim_start_matches([' ', '\t', '\r', '\n']).len()
        });
        return (comma, comma + space);
    }
    (0, 0)
}

/// The array without our words. Where nothing but white space is left, it is written as it was before.
fn emptied(text: &str, array: &Range<usize>, ours: Range<usize>, original: &OriginalArgs) -> Edit {
    let inner = |array: &str| {
        array
            .get(1..array.len().saturating_sub(1))
            .unwrap_or_default()
            .to_owned()
    };
    let head = text.get(array.start + 1..ours.start).unwrap_or_default();
    let tail = text
        .get(ours.end..array.end.saturating_sub(1))
        .unwrap_or_default();
    let left = format!("{head}{tail}");
    let written = match original {
        OriginalArgs::Written(written) => written.as_str(),
        OriginalArgs::Unknown | OriginalArgs::Absent => "[]",
    };
    if !left.trim().is_empty() || left == inner(written) {
        return Edit {
            range: ours,
            new: String::new(),
        };
    }
    let blank = inner(written).trim().is_empty();
    Edit {
        range: array.clone(),
        new: if blank { written } else { "[]" }.to_owned(),
    }
}

/// The whole `args` member with the comma that goes with it.
fn member_range(text: &str, entry: &Node, args: &Args<'_>) -> Range<usize> {
    let members = entry.members().unwrap_or_default();
    let end = args.member.value.span.end;
    let before = args.index.checked_sub(1).and_then(|i| members.get(i));
    if let Some(before) = before {
        let between = text
            .get(before.value.span.end..args.member.key.start)
            .unwrap_or_default();
        if between.chars().all(|c| c == ',' || c.is_ascii_whitespace()) {
            return before.value.span.end..end;
        }
    }
    // First in its object, or behind a comment that is not ours to remove: take the comma behind it instead.
    let rest = text.get(end..entry.span.end).unwrap_or_default();
    args.member.key.start..end + after_comma(rest).1
}
