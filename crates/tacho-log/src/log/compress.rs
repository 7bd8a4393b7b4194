use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskFile, create_over};
use crate::limits::{SEGMENT_READ_BYTES, ZSTD_LEVEL};

/// Puts `X.jsonl.zst` in the place of the closed segment `X.jsonl`, and returns its path. Readers find
/// the records in one or the other at every moment. May run beside the writer.
///
/// # Errors
///
/// The plain segment is still there, and still counts.
pub fn compress_segment(disk: &dyn Disk, segment: &Path) -> io::Result<PathBuf> {
    let with = |suffix: &str| {
        let mut path = segment.as_os_str().to_owned();
        path.push(suffix);
        PathBuf::from(path)
    };
    let (path, temp) = (with(".zst"), with(".zst.tmp"));
    let dir = segment.parent().ok_or(io::ErrorKind::InvalidInput)?;

    // A crash in here leaves a temporary file, which the next attempt replaces.
    let file = create_over(disk, &temp)?;
    let mut encoder = zstd::Encoder::new(At::new(file), ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    io::copy(&mut disk.read(segment)?, &mut encoder)?;
    encoder.finish()?.sync()?;

    // The plain segment is the only good copy until this one was read back.
    if !same(disk.read(segment)?, zstd::Decoder::new(disk.read(&temp)?)?)? {
        return Err(io::Error::other(format!(
            "{} does not read back",
            temp.display()
        )));
    }
    disk.rename(&temp, &path)?;
    disk.sync_dir(dir)?;

    // A crash before this leaves both forms; the plain one counts, and is compressed again.
    disk.unlink(segment)?;
    disk.sync_dir(dir)?;
    Ok(path)
}

/// A file of the [`Disk`], written from its beginning on.
pub(super) struct At {
    file: Box<dyn DiskFile>,
    offset: u64,
}

impl At {
    pub(super) fn new(file: Box<dyn DiskFile>) -> Self {
        Self { file, offset: 0 }
    }

    /// Makes durable what was written.
    pub(super) fn sync(mut self) -> io::Result<()> {
        self.file.sync()
    }
}

impl Write for At {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.offset)?;
        self.offset = self
            .offset
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn same(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        let limit = u64::try_from(SEGMENT_READ_BYTES).unwrap_or(u64::MAX);
        one.by_ref().take(limit).read_to_end(&mut left)?;
        other.by_ref().take(limit).read_to_end(&mut right)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}
