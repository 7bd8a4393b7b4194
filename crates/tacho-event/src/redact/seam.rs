//! Secrets split over neighbours in one array: `[{"text":"ghp_abc"},{"text":"def…"}]`.

use super::assignment::Hit;
use super::rules::{Kind, TOKEN_BYTES};
use super::walk::{Chunk, Walk};
use crate::Report;

/// Bytes at each end of a chunk that can belong to a secret across a seam.
const EDGE_BYTES: usize = 256;

/// A stretch of the joined text: where it came from.
struct Piece {
    chunk: usize,
    /// Place in the joined text, and in the chunk.
    joined: (usize, usize),
    offset: usize,
}

/// Rewrites the texts of an array whose secrets only show when the texts are put together.
pub(super) fn mend(walk: &mut Walk<'_, '_>, chunks: &[(usize, Chunk)]) {
    // In a list that is no message only tokens count, and each is longer than this.
    let bytes = chunks.iter().map(|(_, chunk)| chunk.raw.1 - chunk.raw.0);
    if bytes.sum::<usize>() < TOKEN_BYTES && !chunks.iter().any(|(_, chunk)| chunk.prose) {
        return;
    }
    let (joined, pieces) = join(walk, chunks);
    let mut hits = Vec::new();
    walk.engine.hits(&joined, &mut hits);
    hits.retain(|hit| crosses(hit, &pieces, &joined, chunks));
    if hits.is_empty() {
        return;
    }
    for (at, (index, chunk)) in chunks.iter().enumerate().rev() {
        let cuts = cuts(&hits, &pieces, at);
        if cuts.is_empty() {
            continue;
        }
        let original = walk.again(chunk.raw).into_owned();
        let mut text = String::with_capacity(original.len());
        let mut from = 0;
        for (start, end, hit) in cuts {
            text.push_str(original.get(from..start).unwrap_or_default());
            let first = pieces.iter().find(|piece| hit.start < piece.joined.1);
            if first.is_some_and(|piece| piece.chunk == at) {
                let value = joined.get(hit.start..hit.end).unwrap_or_default();
                let placeholder = walk.engine.placeholder(hit.kind, value);
                text.push_str(&placeholder);
                walk.note_element(*index, hit.rule, &placeholder);
            }
            from = end;
        }
        text.push_str(original.get(from..).unwrap_or_default());
        let seen = walk.engine.scanner().signs(text.as_bytes());
        let length = text.len();
        // What else is in the text was reported when it was first written.
        let cleaned =
            walk.engine
                .clean(&text, length, seen, 0, &mut Report::default(), &String::new);
        walk.rewrite(*chunk, cleaned.as_deref().unwrap_or(&text));
    }
}

fn join(walk: &mut Walk<'_, '_>, chunks: &[(usize, Chunk)]) -> (String, Vec<Piece>) {
    let mut joined = String::new();
    let mut pieces = Vec::new();
    for (at, (_, chunk)) in chunks.iter().enumerate() {
        let text = walk.again(chunk.raw);
        let mut add = |from: usize, to: usize| {
            let start = joined.len();
            joined.push_str(text.get(from..to).unwrap_or_default());
            pieces.push(Piece {
                chunk: at,
                joined: (start, joined.len()),
                offset: from,
            });
        };
        if text.len() <= 2 * EDGE_BYTES {
            add(0, text.len());
        } else {
            add(0, text.floor_char_boundary(EDGE_BYTES));
            let tail = text.ceil_char_boundary(text.len() - EDGE_BYTES);
            add(tail, text.len());
        }
    }
    (joined, pieces)
}

/// Whether a hit begins in one chunk and ends in another, is of a kind that can be told from its form
/// alone, and was not whole before the seam. Elements of plain lists are names and paths more
/// often than pieces of a text, so there only tokens count.
fn crosses(hit: &Hit, pieces: &[Piece], joined: &str, chunks: &[(usize, Chunk)]) -> bool {
    let Some(first) = pieces.iter().find(|piece| hit.start < piece.joined.1) else {
        return false;
    };
    let Some(last) = pieces.iter().find(|piece| hit.end <= piece.joined.1) else {
        return false;
    };
    if first.chunk == last.chunk {
        return false;
    }
    let prose = chunks
        .get(first.chunk)
        .is_some_and(|(_, chunk)| chunk.prose)
        && chunks.get(last.chunk).is_some_and(|(_, chunk)| chunk.prose);
    let token = hit.kind == Kind::Token && hit.rule != "authorization" && hit.rule != "cookie";
    let typed = token || matches!(hit.rule, "email" | "card" | "pem");
    let before = joined.get(hit.start..first.joined.1).unwrap_or_default();
    let apart = before.len() < TOKEN_BYTES;
    if prose { typed } else { token && apart }
}

fn cuts<'h>(hits: &'h [Hit], pieces: &[Piece], chunk: usize) -> Vec<(usize, usize, &'h Hit)> {
    let mut cuts = Vec::new();
    for hit in hits {
        for piece in pieces.iter().filter(|piece| piece.chunk == chunk) {
            let start = hit.start.max(piece.joined.0);
            let end = hit.end.min(piece.joined.1);
            if start < end {
                let shift = |at: usize| at - piece.joined.0 + piece.offset;
                cuts.push((shift(start), shift(end), hit));
            }
        }
    }
    cuts
}
