//! What retention removes, and in which order (`docs/format.md` §15):
//!
//! ```text
//! retention_pruned appended, committed, sealed ── minimum-index replaced ── files removed, oldest first
//! ```
//!
//! Until `minimum-index` is replaced nothing has happened; from then on the removal is finished by
//! whoever opens the log next.

use std::io;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;

use super::recover::{failed, first_seq, lines};
use super::{Log, OpenError};
use crate::dir::LogDir;
use crate::disk::Disk;
use crate::minimum;
use crate::segment::{Form, Line, LineHead, Segment, day_start, segments_among};

pub(super) const DAY_NANOS: u64 = 86_400_000_000_000;

/// Why the minimum index was not raised.
#[derive(Debug, Error)]
pub enum PruneError {
    /// The record that says so, or the last of the records that are to go, is not under the checkpoint.
    #[error("record {seq} is not sealed")]
    NotSealed {
        /// The record.
        seq: u64,
    },
    /// `minimum-index` cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Log {
    /// Declares that the log begins with record `to`, as the `retention_pruned` record with position
    /// `record` says. From here on [`remove_pruned`] may remove what is below.
    ///
    /// # Errors
    ///
    /// [`PruneError::NotSealed`] unless the checkpoint covers that record and everything below `to`. A
    /// number that is not larger than the present one changes nothing.
    pub fn raise_minimum(&mut self, to: u64, record: u64) -> Result<(), PruneError> {
        for seq in [to.saturating_sub(1), record] {
            if seq >= self.sealed() || record < to {
                return Err(PruneError::NotSealed { seq });
            }
        }
        let path = self.dir.minimum_index();
        let failed = |source| PruneError::Io {
            path: path.clone(),
            source,
        };
        if to > minimum::read(&*self.disk, &self.dir).map_err(failed)? {
            minimum::write(&*self.disk, &self.dir, to).map_err(failed)?;
        }
        Ok(())
    }
}

/// Removes what lies wholly below the minimum index, the oldest first: segments in all their forms, and
/// the directories of evidence that no kept record can have a body in. May run beside the writer.
///
/// # Errors
///
/// Some of it is still there; calling this again, or opening the log, goes on.
pub fn remove_pruned(disk: &dyn Disk, log: &LogDir) -> Result<(), OpenError> {
    let path = log.minimum_index();
    let minimum = minimum::read(disk, log).map_err(failed(&path))?;
    let dir = log.segments();
    let names = disk.list(&dir).map_err(failed(&dir))?;
    let segments = segments_among(names.iter().map(String::as_str));
    let below = below(disk, &dir, &segments, minimum)?;
    if below > 0 {
        // The number may be seen and not durable, when replacing it failed halfway: a power failure would
        // bring the old one back, and the records would be missing.
        disk.sync_dir(log.root()).map_err(failed(log.root()))?;
    }
    let (pruned, kept) = segments.split_at_checked(below).unwrap_or((&segments, &[]));
    remove(disk, log, pruned, kept)
}

/// Finishes a removal that a crash interrupted, and returns the segments that remain.
pub(super) fn finish(
    disk: &dyn Disk,
    log: &LogDir,
    mut segments: Vec<Segment>,
    minimum: u64,
    size: u64,
) -> Result<Vec<Segment>, OpenError> {
    if minimum == 0 {
        return Ok(segments);
    }
    let dir = log.segments();
    let kept = segments.split_off(below(disk, &dir, &segments, minimum)?);
    // A number that somebody wrote into the file must not make us remove what no policy removed.
    if !segments.is_empty() && !is_declared(disk, &dir, &kept, minimum, size)? {
        let what = format!(
            "it says that the log begins with record {minimum}, and no sealed retention_pruned record \
             says so; nothing was removed"
        );
        let path = log.minimum_index();
        return Err(OpenError::Minimum { path, what });
    }
    remove(disk, log, &segments, &kept)?;
    Ok(kept)
}

/// How many segments, from the oldest on, have no record at or after `minimum`: those whose follower
/// begins at or before it.
fn below(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[Segment],
    minimum: u64,
) -> Result<usize, OpenError> {
    let mut below = 0;
    for follower in segments.iter().skip(1) {
        if first_seq(disk, dir, follower)?.is_none_or(|first| first > minimum) {
            break;
        }
        below += 1;
    }
    Ok(below)
}

#[derive(Deserialize)]
struct Declaration {
    #[serde(rename = "type")]
    kind: String,
    details: Option<To>,
}

#[derive(Deserialize)]
struct To {
    to: Option<u64>,
}

/// Whether a sealed record says that everything below `minimum` was pruned. It was written just before,
/// so the newest segments are read first.
fn is_declared(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[Segment],
    minimum: u64,
    size: u64,
) -> Result<bool, OpenError> {
    // What is encrypted was sealed long ago.
    let clear = |segment: &&Segment| !matches!(segment.form(), Form::Age(_));
    for segment in segments.iter().rev().filter(clear) {
        let path = dir.join(segment.file());
        let mut lines = lines(disk, &path, segment.form())?;
        while let Ok(Some(line)) = lines.next() {
            let Line::Whole(line) = line else { continue };
            let sealed = LineHead::parse(line).is_some_and(|head| head.seq < size);
            if sealed && declares(line, minimum) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn declares(line: &[u8], minimum: u64) -> bool {
    memchr::memmem::find(line, b"\"retention_pruned\"").is_some()
        && serde_json::from_slice::<Declaration>(line).is_ok_and(|record| {
            record.kind == "retention_pruned"
                && record.details.and_then(|details| details.to) == Some(minimum)
        })
}

/// A crash in here leaves the newest of them; what is there is without a gap at every moment.
fn remove(
    disk: &dyn Disk,
    log: &LogDir,
    pruned: &[Segment],
    kept: &[Segment],
) -> Result<(), OpenError> {
    let dir = log.segments();
    for segment in pruned {
        for file in segment.files() {
            let path = dir.join(file);
            unlink(disk, &path).map_err(failed(&path))?;
        }
        // In this order also after a power failure.
        disk.sync_dir(&dir).map_err(failed(&dir))?;
    }
    let evidence = log.evidence();
    let Some(oldest) = kept.first() else {
        return Ok(());
    };
    remove_evidence(disk, &evidence, oldest.name.day()).map_err(failed(&evidence))
}

/// Bodies of the days before the day before the oldest segment: a record is dated when it happened, and
/// may have been written down shortly after midnight. What is left of the day goes with the next pruning.
fn remove_evidence(disk: &dyn Disk, evidence: &Path, oldest: &str) -> io::Result<()> {
    let days = match disk.list(evidence) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        days => days?,
    };
    let Some(oldest) = day_start(oldest) else {
        return Ok(());
    };
    let before = |day: &str| {
        day_start(day).is_some_and(|day| day.unix_nanos() + DAY_NANOS < oldest.unix_nanos())
    };
    let mut removed = false;
    for day in days.iter().filter(|day| before(day)) {
        let dir = evidence.join(day);
        for file in disk.list(&dir)? {
            unlink(disk, &dir.join(file))?;
        }
        disk.remove_dir(&dir)?;
        removed = true;
    }
    if removed {
        disk.sync_dir(evidence)?;
    }
    Ok(())
}

fn unlink(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.unlink(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
