//! Splits a stream of bytes into lines without changing a byte.

use bytes::Bytes;

use crate::limits::MESSAGE_BYTES;

/// One line, or a piece of one, exactly as it came: with its line feed, its carriage return, its
/// byte order mark. The frames of a stream, one after the other, are the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The bytes to pass on.
    pub bytes: Bytes,
    /// What ended it.
    pub end: End,
    /// The line's beginning went into an earlier frame that ended with [`End::Cut`].
    pub continued: bool,
}

/// What ended a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A line feed.
    Lf,
    /// The end of the stream: a partial last line.
    Eof,
    /// Nothing: the line is longer than [`MESSAGE_BYTES`] and is passed on in pieces.
    Cut,
}

impl Frame {
    /// Whether the line holds nothing but white space.
    pub fn is_blank(&self) -> bool {
        !self.continued && self.end != End::Cut && self.bytes.trim_ascii().is_empty()
    }
}

/// Turns chunks, split anywhere, into frames.
#[derive(Debug)]
pub struct Framer {
    partial: Vec<u8>,
    continued: bool,
    limit: usize,
}

impl Default for Framer {
    fn default() -> Self {
        Self::with_limit(MESSAGE_BYTES)
    }
}

impl Framer {
    /// A framer that cuts lines longer than `limit` bytes.
    pub const fn with_limit(limit: usize) -> Self {
        Self {
            partial: Vec::new(),
            continued: false,
            limit,
        }
    }

    /// Takes the next chunk and gives each frame that it completes to `out`.
    pub fn push(&mut self, chunk: &[u8], mut out: impl FnMut(Frame)) {
        let mut rest = chunk;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(at + 1);
            rest = after;
            let bytes = if self.partial.is_empty() {
                Bytes::copy_from_slice(line)
            } else {
                self.partial.extend_from_slice(line);
                Bytes::from(std::mem::take(&mut self.partial))
            };
            out(Frame {
                bytes,
                end: End::Lf,
                continued: std::mem::take(&mut self.continued),
            });
        }
        self.partial.extend_from_slice(rest);
        // After a first cut every chunk is passed on as it comes: the line is not kept any more.
        if self.partial.len() > self.limit || (self.continued && !self.partial.is_empty()) {
            let bytes = Bytes::from(std::mem::take(&mut self.partial));
            out(Frame {
                bytes,
                end: End::Cut,
                continued: self.continued,
            });
            self.continued = true;
        }
    }

    /// The stream has ended: what is left of a partial last line.
    pub fn finish(&mut self) -> Option<Frame> {
        let continued = std::mem::take(&mut self.continued);
        let bytes = Bytes::from(std::mem::take(&mut self.partial));
        (!bytes.is_empty()).then_some(Frame {
            bytes,
            end: End::Eof,
            continued,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(limit: usize, chunks: &[&[u8]]) -> Vec<Frame> {
        let mut framer = Framer::with_limit(limit);
        let mut frames = Vec::new();
        for chunk in chunks {
            framer.push(chunk, |frame| frames.push(frame));
        }
        frames.extend(framer.finish());
        frames
    }

    proptest! {
        #[test]
        fn frames_are_the_stream_however_it_is_chunked(
            chunks in prop::collection::vec(prop::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(b' '), any::<u8>()], 0..40), 0..20),
            limit in 1_usize..64,
        ) {
            let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let stream = chunks.concat();
            let frames = frames(limit, &slices);
            let joined: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes.to_vec()).collect();
            prop_assert_eq!(&joined, &stream);
            let lines = memchr::memchr_iter(b'\n', &stream).count();
            prop_assert_eq!(frames.iter().filter(|frame| frame.end == End::Lf).count(), lines);
            for frame in &frames {
                prop_assert!(!frame.bytes.is_empty());
                prop_assert_eq!(frame.end == End::Lf, frame.bytes.ends_with(b"\n"));
            }
        }

        #[test]
        fn without_a_cut_the_chunking_makes_no_difference(
            stream in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
            size in 1_usize..50,
        ) {
            let chunks: Vec<&[u8]> = stream.chunks(size).collect();
            prop_assert_eq!(frames(MESSAGE_BYTES, &chunks), frames(MESSAGE_BYTES, &[&stream]));
        }
    }

    #[test]
    fn an_overlong_line_goes_on_in_pieces() {
        let got = frames(4, &[b"ab", b"cde", b"f", b"g\nh"]);
        let ends: Vec<_> = got
            .iter()
            .map(|f| (&*f.bytes, f.end, f.continued))
            .collect();
        assert_eq!(
            ends,
            [
                (&b"abcde"[..], End::Cut, false),
                (b"f", End::Cut, true),
                (b"g\n", End::Lf, true),
                (b"h", End::Eof, false)
            ]
        );
    }

    #[test]
    fn sees_blank_lines() {
        let blank = |bytes: &'static [u8], continued| {
            Frame {
                bytes: Bytes::from_static(bytes),
                end: End::Lf,
                continued,
            }
            .is_blank()
        };
        assert!(blank(b"\r\n", false));
        assert!(blank(b" \t\n", false));
        assert!(!blank(b"x\n", false));
        assert!(
            !blank(b"\n", true),
            "the end of a long line is no blank line"
        );
    }
}
