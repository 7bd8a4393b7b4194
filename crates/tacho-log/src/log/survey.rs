use std::path::Path;

use tacho_event::Timestamp;

use super::OpenError;
use super::prune::DAY_NANOS;
use super::recover::{failed, first_seq, lines};
use crate::dir::LogDir;
use crate::disk::Disk;
use crate::minimum;
use crate::retention::{ClosedSegment, Protected, Pruning, Retention, decide};
use crate::segment::{Form, Line, Segment, day_start, segments_among};

/// Looks at the segments on disk, and decides which of them go now: see [`decide`]. Reads the oldest
/// ones, which takes a while; it may run beside the writer, but not beside [`super::compress_segment`].
///
/// # Errors
///
/// When the segments are not as a writer leaves them, or cannot be read: then nothing goes.
pub fn survey(
    disk: &dyn Disk,
    log: &LogDir,
    policy: &Retention,
    protected: &Protected,
    sealed: u64,
    now: Timestamp,
) -> Result<Option<Pruning>, OpenError> {
    if policy.keeps_all() {
        return Ok(None);
    }
    let path = log.minimum_index();
    let minimum = minimum::read(disk, log).map_err(failed(&path))?;
    let dir = log.segments();
    let names = disk.list(&dir).map_err(failed(&dir))?;
    let segments = segments_among(names.iter().map(String::as_str));
    let Found { closed, bytes } = look(disk, &dir, &segments, minimum)?;
    let mut newest = |at: usize| newest(disk, &dir, &segments, at);
    decide(policy, &closed, bytes, sealed, protected, now, &mut newest)
}

struct Found {
    closed: Vec<ClosedSegment>,
    bytes: u64,
}

fn look(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[Segment],
    minimum: u64,
) -> Result<Found, OpenError> {
    let mut found = Found {
        closed: Vec::new(),
        bytes: 0,
    };
    let mut begun: Option<ClosedSegment> = None;
    let mut expected = Some(minimum);
    for segment in segments {
        let path = dir.join(segment.file());
        let len = disk.identity(&path).map_err(failed(&path))?.len;
        found.bytes = found.bytes.saturating_add(len);
        let first = first_seq(disk, dir, segment)?;
        // Of what is not in order nothing is removed; `verify` says what is wrong.
        let in_order = first.is_some_and(|first| {
            expected.take().is_none_or(|minimum| minimum == first)
                && begun.is_none_or(|before| before.first < first)
        });
        let (Some(first), true) = (first, in_order) else {
            return Ok(Found {
                closed: Vec::new(),
                ..found
            });
        };
        if let Some(before) = begun {
            found.closed.push(ClosedSegment {
                end: first,
                ..before
            });
        }
        begun = Some(ClosedSegment {
            first,
            end: first,
            bytes: len,
            not_before: day_start(segment.name.day()).unwrap_or(Timestamp::from_unix_nanos(0)),
        });
    }
    Ok(found)
}

/// The time of the newest record of a segment. Records stand in the order in which they were written, which
/// is not quite that of their times.
fn newest(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[Segment],
    at: usize,
) -> Result<Timestamp, OpenError> {
    let unreadable = |what: String| OpenError::Damaged {
        seq: 0,
        file: segments.get(at).map(Segment::file).unwrap_or_default(),
        what,
    };
    let segment = segments
        .get(at)
        .ok_or_else(|| unreadable("there is no such segment".to_owned()))?;
    if let Form::Age(_) = segment.form() {
        // All of its records were written before the next segment was begun, whose day never goes back.
        let next = segments
            .get(at + 1)
            .and_then(|next| day_start(next.name.day()));
        return next
            .map(|day| Timestamp::from_unix_nanos(day.unix_nanos().saturating_add(DAY_NANOS)))
            .ok_or_else(|| unreadable("nothing says how old it is".to_owned()));
    }
    let path = dir.join(segment.file());
    let mut lines = lines(disk, &path, segment.form())?;
    let mut newest = None;
    loop {
        let line = match lines.next().map_err(failed(&path))? {
            None => break,
            Some(Line::Whole(line)) => line,
            Some(Line::Torn(_) | Line::TooLong) => {
                return Err(unreadable("it has a line that is no record".to_owned()));
            }
        };
        let time = timestamp(line).ok_or_else(|| unreadable("a record has no time".to_owned()))?;
        newest = newest.max(Some(time));
    }
    newest.ok_or_else(|| unreadable("it is empty".to_owned()))
}

/// The member stands behind `v`, `seq` and `id`, none of which can hold its name.
fn timestamp(line: &[u8]) -> Option<Timestamp> {
    const NAME: &[u8] = b"\"timestamp\":\"";
    let start = memchr::memmem::find(line, NAME)? + NAME.len();
    let text = line.get(start..start + 30)?;
    Timestamp::parse(std::str::from_utf8(text).ok()?).ok()
}
