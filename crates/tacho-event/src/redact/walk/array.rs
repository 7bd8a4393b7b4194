//! Lists: what one element says about the next, and texts that go on from one to the next.

use super::{Chunk, Step, Stop, Walk};
use crate::json::escape_into;
use crate::limits::JSON_DEPTH;
use crate::redact::keys::{KeyClass, classify};
use crate::redact::seam;

impl Walk<'_, '_> {
    pub(super) fn array(&mut self) -> Result<(), Stop> {
        if self.steps.len() >= JSON_DEPTH {
            return Err(Stop::Depth);
        }
        self.bracket();
        let mut first = true;
        let mut chunks = Vec::new();
        let mut flag = false;
        let mut count = 0;
        while let Some(comma) = self.next(b']', &mut first)? {
            self.keep_comma(comma);
            self.steps.push(Step::Index(count));
            if std::mem::take(&mut flag) && !self.flag_comes() {
                self.conceal("key")?;
            } else {
                if self.value(KeyClass::Plain)? {
                    let chunk = self.last;
                    flag = !chunk.prose && self.is_flag(chunk.raw);
                    chunks.push((count, chunk));
                }
            }
            self.steps.pop();
            self.within()?;
            count += 1;
        }
        if let ([(_, name), (_, value)], 2) = (chunks.as_slice(), count)
            && self.is_pair(*name, *value)
        {
            self.steps.push(Step::Index(1));
            self.conceal_written((value.raw.0, value.raw.1, value.out.0, value.out.1));
            self.steps.pop();
        } else if chunks.len() > 1 {
            seam::mend(self, &chunks);
        }
        self.keep(self.at - 1, self.at);
        Ok(())
    }

    /// `--password`, whose value is the next element.
    fn is_flag(&mut self, raw: (usize, usize)) -> bool {
        let flag = self.text.get(raw.0..raw.1).unwrap_or_default();
        let name = flag.trim_matches('"').trim_start_matches('-');
        flag.starts_with("\"-") && !name.contains('=') && classify(name) == KeyClass::Secret
    }

    fn flag_comes(&mut self) -> bool {
        self.blanks();
        self.raw.get(self.at..self.at + 2) == Some(b"\"-")
    }

    /// `["X-Api-Key", "…"]`
    fn is_pair(&mut self, name: Chunk, value: Chunk) -> bool {
        if name.prose || value.prose {
            return false;
        }
        let (name, value) = (self.again(name.raw), self.again(value.raw));
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        {
            return false;
        }
        classify(&name) == KeyClass::Secret && classify(&value) != KeyClass::Secret
    }

    /// Writes the string at `chunk` anew; every later place in the output moves.
    pub(in crate::redact) fn rewrite(&mut self, chunk: Chunk, text: &str) {
        let mut written = vec![b'"'];
        escape_into(&mut written, text);
        written.push(b'"');
        self.flush();
        self.out.splice(chunk.out.0..chunk.out.1, written);
    }

    /// Reports a removal at an element of the current array.
    pub(in crate::redact) fn note_element(
        &mut self,
        index: usize,
        rule: &'static str,
        placeholder: &str,
    ) {
        self.steps.push(Step::Index(index));
        self.note(rule, placeholder);
        self.steps.pop();
    }
}
