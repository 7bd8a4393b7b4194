//! Replacing ranges of a text, and showing what that changes.

use std::fmt::Write as _;
use std::ops::Range;

/// Unchanged lines shown around a change.
const CONTEXT: usize = 3;

/// One replacement. Ranges of one text never overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) new: String,
}

/// `text` with the edits made; they are sorted by where they start.
pub(super) fn apply(text: &str, edits: &[Edit]) -> String {
    splice(text, &(0..text.len()), edits)
}

/// The part `within` of the text, edited.
fn splice(text: &str, within: &Range<usize>, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(within.len() + 128 * edits.len());
    let mut from = within.start;
    for edit in edits {
        out.push_str(text.get(from..edit.range.start).unwrap_or_default());
        out.push_str(&edit.new);
        from = edit.range.end;
    }
    out.push_str(text.get(from..within.end).unwrap_or_default());
    out
}

/// A run of whole lines that changes: numbers of the old lines from 0, and what stands there afterwards.
struct Block {
    old: Range<usize>,
    new: Vec<String>,
}

/// The change in the unified format (as `diff -u` and `patch` know it), without file names; empty if there is none.
///
/// The edits are known, so nothing is searched for: the time is linear even for a state file of many megabytes.
pub(super) fn unified(text: &str, edits: &[Edit]) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let blocks = blocks(text, &lines, edits);
    let mut out = String::new();
    let mut shift = 0_isize;
    let mut rest = blocks.as_slice();
    while let Some(first) = rest.first() {
        let near = |pair: &[Block]| match pair {
            [a, b] => b.old.start.saturating_sub(a.old.end) <= 2 * CONTEXT,
            _ => false,
        };
        let count = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
        let (hunk, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        let end = hunk.last().map_or(first.old.end, |block| block.old.end);
        let shown = first.old.start.saturating_sub(CONTEXT)..(end + CONTEXT).min(lines.len());
        write_hunk(&mut out, &lines, hunk, &shown, &mut shift);
        rest = later;
    }
    out
}

fn blocks(text: &str, lines: &[&str], edits: &[Edit]) -> Vec<Block> {
    let mut starts = Vec::with_capacity(lines.len());
    let mut at = 0;
    for line in lines {
        starts.push(at);
        at += line.len();
    }
    let line_of = |offset: usize| {
        starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    };
    let mut blocks: Vec<Block> = Vec::new();
    let mut rest = edits;
    while let Some(first) = rest.first() {
        let from = line_of(first.range.start);
        let mut to = line_of(first.range.end);
        let mut count = 1;
        while let Some(next) = rest
            .get(count)
            .filter(|next| line_of(next.range.start) <= to)
        {
            to = line_of(next.range.end).max(to);
            count += 1;
        }
        let (here, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        let span = starts.get(from).copied().unwrap_or(0)
            ..starts.get(to + 1).copied().unwrap_or(text.len());
        let new = splice(text, &span, here);
        blocks.extend(trimmed(lines, from..to + 1, &new));
        rest = later;
    }
    blocks
}

/// Without the equal lines at either end; none if nothing is left.
fn trimmed(lines: &[&str], old: Range<usize>, new: &str) -> Option<Block> {
    let mut new: Vec<&str> = new.split_inclusive('\n').collect();
    let was = lines.get(old.clone()).unwrap_or_default();
    let head = was.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = was
        .iter()
        .skip(head)
        .rev()
        .zip(new.iter().skip(head).rev())
        .take_while(|(a, b)| a == b)
        .count();
    new.truncate(new.len() - tail);
    let new: Vec<String> = new.into_iter().skip(head).map(str::to_owned).collect();
    let old = old.start + head..old.end - tail;
    (!old.is_empty() || !new.is_empty()).then_some(Block { old, new })
}

fn write_hunk(
    out: &mut String,
    lines: &[&str],
    blocks: &[Block],
    shown: &Range<usize>,
    shift: &mut isize,
) {
    let removed: usize = blocks.iter().map(|block| block.old.len()).sum();
    let added: usize = blocks.iter().map(|block| block.new.len()).sum();
    let new_count = shown.len() - removed + added;
    let start = |count: usize, at: usize| if count == 0 { at } else { at + 1 };
    let new_at = shown.start.saturating_add_signed(*shift);
    let header = (
        start(shown.len(), shown.start),
        shown.len(),
        start(new_count, new_at),
        new_count,
    );
    // Writing to a String cannot fail.
    _ = writeln!(
        out,
        "@@ -{},{} +{},{} @@",
        header.0, header.1, header.2, header.3
    );
    let mut line = |sign: char, text: &str| {
        let newline = text.ends_with('\n');
        _ = write!(
            out,
            "{sign}{text}{}",
            if newline {
                ""
            } else {
                "\n\\ No newline at end of file\n"
            }
        );
    };
    let mut at = shown.start;
    for block in blocks {
        lines
            .get(at..block.old.start)
            .unwrap_or_default()
            .iter()
            .for_each(|text| line(' ', text));
        lines
            .get(block.old.clone())
            .unwrap_or_default()
            .iter()
            .for_each(|text| line('-', text));
        block.new.iter().for_each(|text| line('+', text));
        at = block.old.end;
    }
    lines
        .get(at..shown.end)
        .unwrap_or_default()
        .iter()
        .for_each(|text| line(' ', text));
    *shift = shift
        .saturating_add_unsigned(added)
        .saturating_sub_unsigned(removed);
}
