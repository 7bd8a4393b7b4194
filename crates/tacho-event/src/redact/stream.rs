use super::Report;
use super::assignment::Hit;
use super::engine::Engine;
use super::rules::Kind;

/// Held back at the end of what has come, in bytes: a token that has begun there may go on.
const HELD_BYTES: usize = 4_096;

/// Never held back more: a text without a place to part it is parted anyway.
const HELD_MOST: usize = 64 * 1024;

/// How far back from the held part a place to part is looked for: white space.
const PART_BYTES: usize = 512;

/// Redacts a text that comes in pieces, so that a secret split over two of them is still seen. Holds
/// back up to 64 KiB; strings are not cut.
pub struct Stream<'e> {
    engine: &'e Engine,
    held: String,
    report: Report,
    /// Inside a private key that was too long to be held back.
    inside_key: bool,
}

impl<'e> Stream<'e> {
    /// A stream with the engine's options.
    pub fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            held: String::new(),
            report: Report::default(),
            inside_key: false,
        }
    }

    /// Takes the next piece and appends to `out` what is safe by now.
    pub fn push(&mut self, piece: &str, out: &mut String) {
        self.held.push_str(piece);
        while self.inside_key {
            let Some(end) = self.held.find("-----END ") else {
                let keep = self
                    .held
                    .ceil_char_boundary(self.held.len().saturating_sub(16));
                self.held.drain(..keep);
                return;
            };
            self.held.drain(..end + "-----END ".len());
            self.inside_key = false;
        }
        while self.held.len() > 2 * HELD_BYTES {
            let Some(part) = self.part() else { return };
            self.release(part, out);
        }
    }

    /// Appends the rest. What was removed in all is in the report.
    pub fn finish(mut self, out: &mut String) -> Report {
        if !self.inside_key {
            self.release(self.held.len(), out);
        }
        self.report
    }

    fn release(&mut self, part: usize, out: &mut String) {
        let ready = self.held.get(..part).unwrap_or_default();
        out.push_str(&self.engine.piece(ready, &mut self.report));
        self.held.drain(..part);
    }

    /// Where the held text can be parted: at white space, not between a secret and its name.
    fn part(&mut self) -> Option<usize> {
        let mut hits = Vec::new();
        self.engine.hits(&self.held, &mut hits);
        let most = self.held.floor_char_boundary(self.held.len() - HELD_BYTES);
        let across = |at: usize, hits: &[Hit]| {
            hits.iter()
                .find(|hit| hit.context < at && at <= hit.end)
                .map(|hit| hit.context)
        };
        let mut part = most;
        loop {
            let head = self.held.get(..part)?;
            let near = part.saturating_sub(PART_BYTES);
            part = head
                .rfind('\n')
                .filter(|at| *at >= near)
                .map_or(part, |at| at + 1);
            match across(part, &hits) {
                Some(context) => part = context,
                None => break,
            }
        }
        if part > 0 {
            return Some(part);
        }
        if self.held.len() < HELD_MOST {
            return None;
        }
        self.inside_key = hits.last().is_some_and(|hit| {
            hit.kind == Kind::Redacted && hit.rule == "pem" && hit.end == self.held.len()
        });
        Some(self.held.len())
    }
}
