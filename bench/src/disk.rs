//! What the disk costs, in the directory and the run that are measured.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::place::Result;

/// How long each of `count` appends of `bytes` bytes takes with its `fdatasync`, in `dir`.
pub(crate) fn append_and_sync(dir: &Path, count: usize, bytes: usize) -> Result<Vec<Duration>> {
    write_and_sync(dir, count, bytes, false)
}

/// The same over a file whose bytes were written before, so that its length does not change.
pub(crate) fn overwrite_and_sync(dir: &Path, count: usize, bytes: usize) -> Result<Vec<Duration>> {
    write_and_sync(dir, count, bytes, true)
}

fn write_and_sync(dir: &Path, count: usize, bytes: usize, written: bool) -> Result<Vec<Duration>> {
    let path = dir.join("fdatasync-probe");
    let file = File::create(&path)?;
    if written {
        file.write_all_at(&vec![b'0'; count * bytes], 0)?;
        file.sync_all()?;
    }
    let block = vec![b'x'; bytes];
    let (mut took, mut offset) = (Vec::with_capacity(count), 0);
    for _ in 0..count {
        let started = Instant::now();
        file.write_all_at(&block, offset)?;
        file.sync_data()?;
        took.push(started.elapsed());
        offset += u64::try_from(bytes)?;
    }
    std::fs::remove_file(path)?;
    Ok(took)
}
