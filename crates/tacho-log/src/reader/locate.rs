use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::ReadError;
use crate::dir::LogDir;
use crate::limits::{RECORD_BYTES, SEGMENT_READ_BYTES};
use crate::recipients::{DecryptError, Identities};
use crate::segment::{Claim, Form, Line, LineHead, Lines, Segment, SegmentName, segments_among};

/// The segments as they are now, in log order.
pub(super) fn segments(dir: &LogDir) -> Result<Vec<Segment>, ReadError> {
    let path = dir.segments();
    let names = match std::fs::read_dir(&path) {
        // A log in which nothing was recorded yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound && dir.root().is_dir() => {
            return Ok(Vec::new());
        }
        names => names.map_err(failed(&path))?,
    };
    let names = names
        .map(|entry| Ok(entry?.file_name().into_string().ok()))
        .filter_map(Result::transpose)
        .collect::<io::Result<Vec<String>>>()
        .map_err(failed(&path))?;
    Ok(segments_among(names.iter().map(String::as_str)))
}

pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> ReadError {
    move |source| ReadError::Io {
        path: path.to_owned(),
        source,
    }
}

/// A segment that was looked for.
pub(super) enum Opened {
    Lines(Lines, Form),
    /// It is encrypted, and not to us.
    Locked(Claim),
    /// It is encrypted, and does not decrypt.
    Damaged(Claim, String),
    Gone,
}

/// Opens a segment at `offset` of its plain bytes. Between listing and opening the writer may have
/// compressed or encrypted it, so all forms are tried.
pub(super) fn open(
    dir: &LogDir,
    name: &SegmentName,
    offset: u64,
    identities: Option<&Identities>,
) -> Result<Opened, ReadError> {
    if let Some((lines, form)) = open_clear(dir, name, offset)? {
        return Ok(Opened::Lines(lines, form));
    }
    let listed = segments(dir)?;
    let claim = listed.into_iter().find(|segment| segment.name == *name);
    let Some(claim) = claim.and_then(|segment| segment.age) else {
        return Ok(Opened::Gone);
    };
    let Some(identities) = identities else {
        return Ok(Opened::Locked(claim));
    };
    let path = dir.segments().join(name.file(Form::Age(claim)));
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Gone),
        file => file.map_err(failed(&path))?,
    };
    let clear = match identities.decrypt(Box::new(file)) {
        Ok(clear) => clear,
        Err(DecryptError::NotForUs) => return Ok(Opened::Locked(claim)),
        Err(error @ DecryptError::Damaged(_)) => {
            return Ok(Opened::Damaged(claim, error.to_string()));
        }
        Err(DecryptError::Io(error)) => return Err(failed(&path)(error)),
    };
    let mut lines = Lines::new(clear, Form::Age(claim)).map_err(failed(&path))?;
    skip(&mut lines, offset);
    Ok(Opened::Lines(lines, Form::Age(claim)))
}

/// Damage is met again, and named, by whoever reads on.
fn skip(lines: &mut Lines, offset: u64) {
    while lines.offset() < offset && matches!(lines.next(), Ok(Some(_))) {}
}

fn open_clear(
    dir: &LogDir,
    name: &SegmentName,
    offset: u64,
) -> Result<Option<(Lines, Form)>, ReadError> {
    for form in [Form::Plain, Form::Zst] {
        let path = dir.segments().join(name.file(form));
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(failed(&path))?,
        };
        let lines = match form {
            Form::Plain => {
                file.seek(SeekFrom::Start(offset)).map_err(failed(&path))?;
                Lines::at(Box::new(file), offset)
            }
            Form::Zst | Form::Age(_) => {
                let mut lines = Lines::new(Box::new(file), form).map_err(failed(&path))?;
                skip(&mut lines, offset);
                lines
            }
        };
        return Ok(Some((lines, form)));
    }
    Ok(None)
}

/// The `seq` that a segment begins with; `None` when its first line does not say.
fn first_seq(dir: &LogDir, segment: &Segment) -> Result<Option<u64>, ReadError> {
    let claimed = segment.age.map(|claim| claim.first);
    let Some((mut lines, _)) = open_clear(dir, &segment.name, 0)? else {
        return Ok(claimed);
    };
    Ok(match lines.next() {
        Ok(Some(Line::Whole(line))) => LineHead::parse(line).map(|head| head.seq),
        Ok(Some(Line::Torn(_) | Line::TooLong) | None) | Err(_) => None,
    })
}

/// Where to begin reading for record `from`: the segment with it, and an offset at or before it.
pub(super) fn start(dir: &LogDir, from: u64) -> Result<Option<(SegmentName, u64)>, ReadError> {
    let segments = segments(dir)?;
    if from > 0 {
        for segment in segments.iter().rev() {
            if first_seq(dir, segment)?.is_some_and(|seq| seq <= from) {
                let offset = if segment.plain {
                    near(dir, &segment.name, from)?
                } else {
                    0
                };
                return Ok(Some((segment.name.clone(), offset)));
            }
        }
    }
    Ok(segments.into_iter().next().map(|oldest| (oldest.name, 0)))
}

/// The start of a line of a plain segment that is at or before record `from`, and not far before it: a
/// binary search by `seq`. A line that cannot be read ends the search, not the reading.
fn near(dir: &LogDir, name: &SegmentName, from: u64) -> Result<u64, ReadError> {
    let path = dir.segments().join(name.file(Form::Plain));
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => file.map_err(failed(&path))?,
    };
    let (mut low, mut high) = (0, file.metadata().map_err(failed(&path))?.len());
    let enough = u64::try_from(SEGMENT_READ_BYTES).unwrap_or(u64::MAX);
    while high - low > enough {
        let middle = low + (high - low) / 2;
        match line_after(&mut file, middle).map_err(failed(&path))? {
            Some((offset, seq)) if seq <= from && offset < high => low = offset,
            Some(_) => high = middle,
            None => break,
        }
    }
    Ok(low)
}

/// The first line that starts after `offset`: where, and its `seq`.
fn line_after(file: &mut File, offset: u64) -> io::Result<Option<(u64, u64)>> {
    let bytes = read_at(file, offset, 2 * (RECORD_BYTES + 1))?;
    let Some(line_feed) = memchr::memchr(b'\n', &bytes) else {
        return Ok(None);
    };
    let start = line_feed + 1;
    let line = bytes
        .get(start..)
        .unwrap_or_default()
        .split(|byte| *byte == b'\n')
        .next();
    let seq = line.and_then(LineHead::parse).map(|head| head.seq);
    let start = offset.saturating_add(u64::try_from(start).unwrap_or(0));
    Ok(seq.map(|seq| (start, seq)))
}

fn read_at(file: &mut File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(u64::try_from(len).unwrap_or(0))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The `seq` after the newest whole record.
pub(super) fn end(dir: &LogDir) -> Result<u64, ReadError> {
    for segment in segments(dir)?.iter().rev() {
        let last = match segment.form() {
            Form::Plain => last_of_plain(dir, &segment.name)?,
            Form::Zst => None,
            Form::Age(claim) => Some(claim.end.saturating_sub(1)),
        };
        let last = match last {
            Some(last) => Some(last),
            None => last_by_reading(dir, &segment.name)?,
        };
        if let Some(last) = last {
            return Ok(last.saturating_add(1));
        }
    }
    Ok(0)
}

/// Looks at the end of a plain segment only; `None` when that does not tell.
fn last_of_plain(dir: &LogDir, name: &SegmentName) -> Result<Option<u64>, ReadError> {
    let path = dir.segments().join(name.file(Form::Plain));
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed(&path))?,
    };
    let len = file.metadata().map_err(failed(&path))?.len();
    let window = SEGMENT_READ_BYTES;
    let start = len.saturating_sub(u64::try_from(window).unwrap_or(0));
    let bytes = read_at(&mut file, start, window).map_err(failed(&path))?;
    let whole = memchr::memrchr(b'\n', &bytes)
        .and_then(|at| bytes.get(..at))
        .unwrap_or_default();
    let line = whole
        .rsplit(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    Ok(LineHead::parse(line).map(|head| head.seq))
}

fn last_by_reading(dir: &LogDir, name: &SegmentName) -> Result<Option<u64>, ReadError> {
    let Some((mut lines, _)) = open_clear(dir, name, 0)? else {
        return Ok(None);
    };
    let mut last = None;
    while let Ok(Some(line)) = lines.next() {
        if let Line::Whole(line) = line {
            last = LineHead::parse(line).map(|head| head.seq).or(last);
        }
    }
    Ok(last)
}
