use std::io;
use std::path::{Path, PathBuf};

use tacho_event::Timestamp;

use super::{Closed, CommitError};
use crate::disk::{Disk, DiskFile, Identity};
use crate::segment::{Form, SegmentName};

/// The segment that takes the next batch, and how it is kept whole.
#[derive(Debug)]
pub(super) struct Live {
    segments: PathBuf,
    /// The newest name that was ever used; the next one comes after it.
    newest: Option<SegmentName>,
    file: Option<LiveFile>,
    /// The batch in the making begins a segment with this name.
    rotate_to: Option<SegmentName>,
}

#[derive(Debug)]
struct LiveFile {
    name: SegmentName,
    handle: Box<dyn DiskFile>,
    /// Which file the name must still lead to, with the length after the last commit.
    expected: Identity,
}

impl Live {
    /// `newest` is the newest segment's name, and `file` is it, when it can take more.
    pub(super) fn new(
        segments: PathBuf,
        newest: Option<SegmentName>,
        file: Option<(SegmentName, Box<dyn DiskFile>)>,
    ) -> io::Result<Self> {
        let file = match file {
            None => None,
            Some((name, handle)) => Some(LiveFile {
                name,
                expected: handle.identity()?,
                handle,
            }),
        };
        Ok(Self {
            segments,
            newest,
            file,
            rotate_to: None,
        })
    }

    /// Whether a batch of `bytes` may go into the segment that is planned for it.
    pub(super) fn fits(&self, now: Timestamp, bytes: usize, limit: u64) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if let Some(name) = &self.rotate_to {
            // A segment takes at least one record, however long.
            return now.day().as_str() <= name.day() && bytes <= limit;
        }
        let Some(file) = &self.file else { return false };
        let full = file.expected.len > 0 && file.expected.len.saturating_add(bytes) > limit;
        // Where the day has no numbers left, growing beats losing records.
        now.day().as_str() <= file.name.day()
            && (!full || file.name.next(file.name.day()).is_none())
    }

    /// The next batch begins a new segment. Touches no file before there is something to write.
    pub(super) fn rotate(&mut self, now: Timestamp) {
        let day = now.day();
        self.rotate_to = match &self.newest {
            None => Some(SegmentName::first(&day)),
            Some(newest) => newest.next(&day),
        };
    }

    /// Writes one batch and makes it durable. `committed` is the log's size before it. Returns the
    /// segment that was closed, if the batch began a new one.
    pub(super) fn write(
        &mut self,
        disk: &dyn Disk,
        batch: &[u8],
        committed: u64,
    ) -> Result<Option<Closed>, CommitError> {
        match (self.rotate_to.take(), self.file.take()) {
            (None, Some(file)) => self.extend(disk, file, batch).map(|()| None),
            (Some(name), old) => match self.begin(disk, name, batch) {
                Ok(()) => Ok(old.map(|old| Closed {
                    path: self.segments.join(old.name.file(Form::Plain)),
                    end: committed,
                })),
                Err(error) => {
                    self.file = old;
                    Err(error)
                }
            },
            (None, None) => Err(CommitError::Fatal {
                reason: "the numbers of this day's segments are used up".to_owned(),
            }),
        }
    }

    fn extend(
        &mut self,
        disk: &dyn Disk,
        mut file: LiveFile,
        batch: &[u8],
    ) -> Result<(), CommitError> {
        let name = file.name.file(Form::Plain);
        let path = self.segments.join(&name);
        // Without this look, records would go into a file that nobody can find any more.
        match disk.identity(&path) {
            Ok(found) if found == file.expected => {}
            Ok(found) => {
                let what = difference(&file.expected, &found);
                return Err(CommitError::Replaced { file: name, what });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(CommitError::Replaced {
                    file: name,
                    what: "it is gone".to_owned(),
                });
            }
            Err(source) => {
                self.file = Some(file);
                return Err(CommitError::Write { file: name, source });
            }
        }
        let end = file.expected.len;
        let (failed, source) = match file.handle.write_at(batch, end) {
            Err(source) => ("write", source),
            Ok(()) => match file.handle.sync() {
                Err(source) => ("sync", source),
                Ok(()) => {
                    let len = u64::try_from(batch.len()).unwrap_or(0);
                    file.expected.len = end.saturating_add(len);
                    self.file = Some(file);
                    return Ok(());
                }
            },
        };
        // The batch is refused, so none of it may be found by whoever opens the log next: the cut must
        // be durable as well. If we crash before it is, the sources were not told anything yet.
        match file.handle.truncate(end).and_then(|()| file.handle.sync()) {
            Ok(()) if failed == "write" => self.file = Some(file),
            // After a failed sync the kernel's copy of this file is not to be trusted with more:
            // the next batch begins a new segment.
            Ok(()) => {}
            Err(error) => {
                let reason = format!(
                    "{name}: {failed} failed ({source}), and cutting it back to {end} bytes failed ({error})"
                );
                return Err(CommitError::Fatal { reason });
            }
        }
        Err(CommitError::Write { file: name, source })
    }

    fn begin(
        &mut self,
        disk: &dyn Disk,
        name: SegmentName,
        batch: &[u8],
    ) -> Result<(), CommitError> {
        let file_name = name.file(Form::Plain);
        let path = self.segments.join(&file_name);
        match write_new(disk, &self.segments, &path, batch) {
            Ok((handle, expected)) => {
                self.newest = Some(name.clone());
                self.file = Some(LiveFile {
                    name,
                    handle,
                    expected,
                });
                Ok(())
            }
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                // Not ours: left as it is, for people to look at.
                self.newest = Some(name);
                let what = "it was there before it was begun".to_owned();
                Err(CommitError::Replaced {
                    file: file_name,
                    what,
                })
            }
            Err(source) => {
                // A half-written segment that is not the newest would be damage, not a torn tail.
                match discard(disk, &self.segments, &path) {
                    Ok(()) => Err(CommitError::Write {
                        file: file_name,
                        source,
                    }),
                    Err(error) => Err(CommitError::Fatal {
                        reason: format!(
                            "{file_name}: cannot be begun ({source}) nor removed ({error})"
                        ),
                    }),
                }
            }
        }
    }
}

fn write_new(
    disk: &dyn Disk,
    segments: &Path,
    path: &Path,
    batch: &[u8],
) -> io::Result<(Box<dyn DiskFile>, Identity)> {
    let mut handle = disk.create(path)?;
    handle.write_at(batch, 0)?;
    handle.sync()?;
    // A crash before this loses the whole segment; nobody was told of its records yet.
    disk.sync_dir(segments)?;
    let expected = handle.identity()?;
    Ok((handle, expected))
}

fn discard(disk: &dyn Disk, segments: &Path, path: &Path) -> io::Result<()> {
    match disk.unlink(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    disk.sync_dir(segments)
}

fn difference(expected: &Identity, found: &Identity) -> String {
    if (expected.device, expected.inode) != (found.device, found.inode) {
        return "another file has its name".to_owned();
    }
    format!("{} bytes long instead of {}", found.len, expected.len)
}
