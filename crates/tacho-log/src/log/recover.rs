mod sealed;

use std::io::{self, Read as _};
use std::path::Path;

use serde::de::IgnoredAny;

use self::sealed::{newest_rotation, read_checkpoint, read_edge, read_last_leaf, read_minimum};
use super::edge::Edge;
use super::live::Live;
use super::{Closed, LogOptions, OpenError, Recovered, Torn, prune};
use crate::checkpoint::SignedCheckpoint;
use crate::dir::LogDir;
use crate::disk::{Disk, DiskFile};
use crate::key::VerifyingKey;
use crate::limits::BATCH_BYTES;
use crate::merkle::{Hash, leaf_hash};
use crate::segment::{Claim, Form, Line, LineHead, Lines, Segment, segments_among};

/// All that a [`super::Log`] starts from.
pub(super) struct Found {
    pub(super) recovered: Recovered,
    pub(super) live: Live,
    pub(super) edge: Edge,
    pub(super) unsealed: Vec<Hash>,
    pub(super) checkpoint: Option<SignedCheckpoint>,
    pub(super) closed: Vec<Closed>,
}

/// Reads what is there, and puts right what a crash may have left (`docs/format.md` §8).
pub(super) fn recover(
    disk: &dyn Disk,
    log: &LogDir,
    key: &VerifyingKey,
    options: &LogOptions,
    visit: &mut dyn FnMut(u64, &[u8]),
) -> Result<Found, OpenError> {
    let dir = log.segments();
    for path in [log.root(), &dir] {
        disk.make_dir(path).map_err(failed(path))?;
    }
    // Also where they existed: a crash of the process alone leaves names that are seen and not durable.
    for path in log.root().parent().into_iter().chain([log.root(), &dir]) {
        disk.sync_dir(path).map_err(failed(path))?;
    }
    let names = disk.list(&dir).map_err(failed(&dir))?;
    let segments = segments_among(names.iter().map(String::as_str));
    let rotated = newest_rotation(disk, log, key)?;
    let checkpoint = read_checkpoint(disk, log, key, rotated, &segments)?;
    let size = checkpoint
        .as_ref()
        .map_or(0, |signed| signed.unverified().size());
    let edge = read_edge(disk, log, checkpoint.as_ref())?;
    let minimum = read_minimum(disk, log, size)?;
    let segments = prune::finish(disk, log, segments, minimum, size)?;

    let from = options.visit_from.min(size).max(minimum);
    let mut scan = Scan {
        disk,
        dir: &dir,
        size,
        minimum,
        from,
        last_sealed: read_last_leaf(disk, log, size)?,
        next: minimum,
        unsealed: Vec::new(),
        closed: Vec::new(),
        visit,
    };
    // The last sealed record is read in any case: it ties the segments to the tiles.
    let last = size.saturating_sub(1).max(minimum);
    let tail = scan.run(&segments, from.min(last))?;
    let (next, unsealed, closed) = (scan.next, scan.unsealed, scan.closed);
    if next < size {
        let what = match segments.last() {
            Some(newest) => format!("the newest segment, {}, ends before it", newest.file()),
            None => format!("there are no segments in {}", dir.display()),
        };
        return Err(OpenError::Missing {
            seq: next,
            size,
            what,
        });
    }
    let newest = segments.last();
    let mut file = None;
    let mut torn = None;
    if let (Some(newest), Some(tail)) = (newest, tail) {
        let name = newest.name.file(Form::Plain);
        let path = dir.join(&name);
        let mut handle = disk.open(&path).map_err(failed(&path))?;
        if tail.torn_bytes > 0 {
            let kept = dir.join(format!("{}.torn", newest.name));
            cut(disk, &path, &mut *handle, &tail, &kept).map_err(failed(&path))?;
            torn = Some(Torn {
                file: name,
                bytes: tail.torn_bytes,
            });
        }
        settle(disk, &path, &mut *handle, &tail).map_err(failed(&path))?;
        file = Some((newest.name.clone(), handle));
    }
    let live = Live::new(dir.clone(), newest.map(|newest| newest.name.clone()), file)
        .map_err(failed(&dir))?;
    let is_new = checkpoint.is_none() && segments.is_empty();
    let recovered = Recovered {
        size: next,
        checkpoint_size: size,
        torn,
        is_new,
    };
    Ok(Found {
        recovered,
        live,
        edge,
        unsealed,
        checkpoint,
        closed,
    })
}

pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The `seq` that a segment begins with; `None` when its first line is not a record, which may be
/// a torn tail and is judged when it is read.
pub(super) fn first_seq(
    disk: &dyn Disk,
    dir: &Path,
    segment: &Segment,
) -> Result<Option<u64>, OpenError> {
    if let Form::Age(claim) = segment.form() {
        return Ok(Some(claim.first));
    }
    let path = dir.join(segment.file());
    let mut lines = lines(disk, &path, segment.form())?;
    let line = lines.next().map_err(failed(&path))?;
    Ok(match line {
        Some(Line::Whole(line)) => LineHead::parse(line).map(|head| head.seq),
        Some(Line::Torn(_) | Line::TooLong) | None => None,
    })
}

pub(super) fn lines(disk: &dyn Disk, path: &Path, form: Form) -> Result<Lines, OpenError> {
    disk.read(path)
        .and_then(|source| Lines::new(source, form))
        .map_err(failed(path))
}

struct Scan<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    size: u64,
    minimum: u64,
    from: u64,
    last_sealed: Option<Hash>,
    /// The `seq` that the next record must have.
    next: u64,
    unsealed: Vec<Hash>,
    closed: Vec<Closed>,
    visit: &'a mut dyn FnMut(u64, &[u8]),
}

/// The end of the newest segment, when it is plain.
struct Tail {
    /// Where the records that the checkpoint does not cover begin, and where they end.
    unsealed_at: u64,
    good_bytes: u64,
    torn_bytes: u64,
}

impl Scan<'_> {
    /// Reads the segments from the one with record `from` on.
    fn run(&mut self, segments: &[Segment], from: u64) -> Result<Option<Tail>, OpenError> {
        let start = self.find_start(segments, from)?;
        let (before, read) = segments.split_at_checked(start).unwrap_or((segments, &[]));
        let mut tail = None;
        for (at, segment) in read.iter().enumerate() {
            let newest = at + 1 == read.len();
            tail = self.segment(segment, newest)?;
            if !newest && segment.plain {
                let path = self.dir.join(segment.file());
                self.closed.push(Closed {
                    path,
                    end: self.next,
                });
            }
        }
        // Left over from a run that ended before compressing; all of them are sealed.
        for segment in before.iter().filter(|segment| segment.plain) {
            self.closed.push(Closed {
                path: self.dir.join(segment.file()),
                end: 0,
            });
        }
        Ok(tail)
    }

    /// The newest segment whose first record is not after `from`. Sets [`Scan::next`].
    fn find_start(&mut self, segments: &[Segment], from: u64) -> Result<usize, OpenError> {
        for (at, segment) in segments.iter().enumerate().rev() {
            match first_seq(self.disk, self.dir, segment)? {
                Some(seq) if seq <= from => {
                    self.next = seq;
                    return Ok(at);
                }
                Some(seq) if at == 0 => {
                    let what = format!("the oldest segment, {}, begins with {seq}", segment.file());
                    return Err(OpenError::Missing {
                        seq: self.minimum,
                        size: self.size.max(seq),
                        what,
                    });
                }
                _ => {}
            }
        }
        Ok(0)
    }

    fn segment(&mut self, segment: &Segment, newest: bool) -> Result<Option<Tail>, OpenError> {
        let file = segment.file();
        if let Form::Age(claim) = segment.form() {
            return self.encrypted(claim, file);
        }
        let path = self.dir.join(&file);
        let mut lines = lines(self.disk, &path, segment.form())?;
        let mut unsealed_at = 0;
        let mut good_bytes = 0;
        let problem = loop {
            if self.next <= self.size {
                unsealed_at = good_bytes;
            }
            let line = match lines.next() {
                Ok(None) => break None,
                Ok(Some(Line::Torn(_))) => break Some("the segment ends within it".to_owned()),
                Ok(Some(Line::TooLong)) => break Some("it is too long".to_owned()),
                Ok(Some(Line::Whole(line))) => line,
                // What zstd says of a damaged file is not about the system.
                Err(error) if segment.form() == Form::Zst => break Some(error.to_string()),
                Err(error) => return Err(failed(&path)(error)),
            };
            if let Some(problem) = self.record(line, &file)? {
                break Some(problem);
            }
            good_bytes = lines.offset();
        };
        let is_tail = newest && segment.form() == Form::Plain;
        let Some(what) = problem else {
            return Ok(is_tail.then_some(Tail {
                unsealed_at,
                good_bytes,
                torn_bytes: 0,
            }));
        };
        let damaged = |what| {
            Err(OpenError::Damaged {
                seq: self.next,
                file: file.clone(),
                what,
            })
        };
        // No crash tears what was synced before a checkpoint, or before the next segment was begun.
        if !is_tail || self.next < self.size {
            return damaged(what);
        }
        let len = self.disk.identity(&path).map_err(failed(&path))?.len;
        let torn_bytes = len.saturating_sub(good_bytes);
        // A crash tears at most one batch; records behind more than that were acknowledged.
        if torn_bytes > u64::try_from(BATCH_BYTES).unwrap_or(u64::MAX) {
            return damaged(format!(
                "{what}; the {torn_bytes} bytes from here on are no torn batch"
            ));
        }
        Ok(Some(Tail {
            unsealed_at,
            good_bytes,
            torn_bytes,
        }))
    }

    /// Passes over records that were sealed when they were encrypted, and that a writer cannot read.
    fn encrypted(&mut self, claim: Claim, file: String) -> Result<Option<Tail>, OpenError> {
        if claim.first != self.next || claim.end > self.size {
            let what = format!(
                "the name says {claim}, and {} records are sealed",
                self.size
            );
            let seq = self.next;
            return Err(OpenError::Damaged { seq, file, what });
        }
        self.next = claim.end;
        Ok(None)
    }

    /// Takes in one line; says what is wrong when it is not the next record.
    fn record(&mut self, line: &[u8], file: &str) -> Result<Option<String>, OpenError> {
        let Some(head) = LineHead::parse(line) else {
            return Ok(Some(
                "it does not begin and end as a record does".to_owned(),
            ));
        };
        if head.version > 1 {
            let (seq, file) = (head.seq, file.to_owned());
            return Err(OpenError::NewerVersion {
                seq,
                file,
                version: head.version,
            });
        }
        if head.seq != self.next || head.version != 1 {
            return Ok(Some(format!(
                "there is version {}, seq {}",
                head.version, head.seq
            )));
        }
        if self.next >= self.size {
            // Of a torn batch a middle page may be missing, which reads as zeros.
            if serde_json::from_slice::<IgnoredAny>(line).is_err() {
                return Ok(Some("it is not JSON".to_owned()));
            }
            self.unsealed.push(leaf_hash(line));
        } else if self.next + 1 == self.size && Some(leaf_hash(line)) != self.last_sealed {
            return Ok(Some("it is not the record that was sealed".to_owned()));
        }
        if self.next >= self.from {
            (self.visit)(self.next, line);
        }
        self.next += 1;
        Ok(None)
    }
}

/// Moves a torn tail out of the segment. A crash in here leaves it in both files, and the next opening
/// appends it to the `.torn` file once more.
fn cut(
    disk: &dyn Disk,
    segment: &Path,
    handle: &mut dyn DiskFile,
    tail: &Tail,
    kept: &Path,
) -> io::Result<()> {
    let bytes = read_range(disk, segment, tail.good_bytes, tail.torn_bytes)?;
    let mut file = match disk.open(kept) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(kept)?,
        opened => opened?,
    };
    let end = file.identity()?.len;
    file.write_at(&bytes, end)?;
    file.sync()?;
    if let Some(dir) = kept.parent() {
        disk.sync_dir(dir)?;
    }
    handle.truncate(tail.good_bytes)
}

/// Makes durable the records that the last writer did not live to sync. They are written once more,
/// because a sync that failed in its time may have left them in memory as if they were on disk.
fn settle(
    disk: &dyn Disk,
    segment: &Path,
    handle: &mut dyn DiskFile,
    tail: &Tail,
) -> io::Result<()> {
    let len = tail.good_bytes.saturating_sub(tail.unsealed_at);
    let bytes = read_range(disk, segment, tail.unsealed_at, len)?;
    handle.write_at(&bytes, tail.unsealed_at)?;
    handle.sync()
}

/// At most a segment, or a batch.
fn read_range(disk: &dyn Disk, path: &Path, start: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let source = disk.read_from(path, start)?;
    source.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}
