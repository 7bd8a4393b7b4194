use std::io::{self, Read};
use std::ops::Range;

use super::Form;
use crate::limits::{RECORD_BYTES, SEGMENT_READ_BYTES, ZSTD_WINDOW_LOG};

/// The lines of one segment, one after the other, in bounded memory.
pub(crate) struct Lines {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The unread part of the buffer.
    start: usize,
    end: usize,
    /// Where in the segment the unread part starts.
    offset: u64,
    /// The line that was read last, in the buffer.
    line: Range<usize>,
}

/// What stands at one place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A line, without its line feed.
    Whole(&'a [u8]),
    /// The end of the segment, without a line feed. In a live segment this may be a batch that is being
    /// written.
    Torn(&'a [u8]),
    /// More bytes than a record may have; they were skipped up to the next line feed.
    TooLong,
}

impl Lines {
    /// Reads a segment in the given form from its beginning; of an encrypted one the source is what was
    /// decrypted.
    pub(crate) fn new(source: Box<dyn Read + Send>, form: Form) -> io::Result<Self> {
        let source = match form {
            Form::Plain => source,
            Form::Zst | Form::Age(_) => {
                let mut decoder = zstd::stream::read::Decoder::new(source)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        Ok(Self::at(source, 0))
    }

    /// Reads plain lines from a source that stands at `offset` of its segment.
    pub(crate) fn at(source: Box<dyn Read + Send>, offset: u64) -> Self {
        Self {
            source,
            buffer: vec![0; SEGMENT_READ_BYTES],
            start: 0,
            end: 0,
            offset,
            line: 0..0,
        }
    }

    /// Where the next line starts, in bytes of the uncompressed segment.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The line that [`Lines::next`] gave last, until it is called again: for whoever wants to look at the
    /// walk and at the line at once. Empty where that was no whole line.
    pub(crate) fn line(&self) -> &[u8] {
        self.buffer.get(self.line.clone()).unwrap_or_default()
    }

    /// The next line; `None` at the end of the segment.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = 0;
        self.line = 0..0;
        loop {
            let unread = self.buffer.get(self.start..self.end).unwrap_or_default();
            let fresh = unread.get(searched..).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', fresh) {
                let from = self.start;
                let to = from + searched + at;
                self.consume(to - from + 1);
                if to - from > RECORD_BYTES {
                    return Ok(Some(Line::TooLong));
                }
                self.line = from..to;
                return Ok(Some(Line::Whole(self.line())));
            }
            searched = unread.len();
            if searched > RECORD_BYTES {
                return self.skip_line().map(Some);
            }
            if self.fill()? == 0 {
                let (from, to) = (self.start, self.end);
                self.consume(to - from);
                let rest = self.buffer.get(from..to).unwrap_or_default();
                return Ok((!rest.is_empty()).then_some(Line::Torn(rest)));
            }
        }
    }

    fn skip_line(&mut self) -> io::Result<Line<'_>> {
        loop {
            let unread = self.buffer.get(self.start..self.end).unwrap_or_default();
            match memchr::memchr(b'\n', unread) {
                Some(at) => {
                    self.consume(at + 1);
                    return Ok(Line::TooLong);
                }
                None => self.consume(self.end - self.start),
            }
            if self.fill()? == 0 {
                return Ok(Line::TooLong);
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset = self
            .offset
            .saturating_add(u64::try_from(bytes).unwrap_or(0));
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = loop {
            match self.source.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.end += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time, or all at once.
    struct Slow(Vec<u8>, usize, usize);

    impl Read for Slow {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = buf.len().min(self.2).min(self.0.len() - self.1);
            buf[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
            self.1 += n;
            Ok(n)
        }
    }

    fn check(bytes: &[u8], expected: &[(u64, Line<'_>)]) {
        for chunk in [1, 7, usize::MAX] {
            let mut lines = Lines::at(Box::new(Slow(bytes.to_vec(), 0, chunk)), 0);
            for (offset, line) in expected {
                assert_eq!(lines.next().unwrap().as_ref(), Some(line), "chunk {chunk}");
                assert_eq!(lines.offset(), *offset);
            }
            assert_eq!(lines.next().unwrap(), None);
        }
    }

    #[test]
    fn lines() {
        check(b"", &[]);
        check(
            b"a\nbc\n",
            &[(2, Line::Whole(b"a")), (5, Line::Whole(b"bc"))],
        );
        check(b"a\nbc", &[(2, Line::Whole(b"a")), (4, Line::Torn(b"bc"))]);
        check(b"\n", &[(1, Line::Whole(b""))]);
        let longest = vec![b'x'; RECORD_BYTES];
        let mut bytes = longest.clone();
        bytes.push(b'\n');
        check(&bytes, &[(65_536, Line::Whole(&longest))]);
        let mut bytes = vec![b'x'; RECORD_BYTES + 1];
        bytes.extend_from_slice(b"\na\n");
        check(
            &bytes,
            &[(65_537, Line::TooLong), (65_539, Line::Whole(b"a"))],
        );
        check(
            &vec![b'x'; 3 * SEGMENT_READ_BYTES],
            &[(786_432, Line::TooLong)],
        );
    }
}
