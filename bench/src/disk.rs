//! What the disk costs, in the directory and the run that are measured.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::place::Result;

/// How long each of `count` appends of `bytes` bytes takes with its `fdatasync`, in `dir`.
pub(crate) fn append_and_sync(dir: &Path, count: usize, bytes: usize) -> Result<Vec<Duration>> {
    let path = dir.join("fdatasync-probe");
    let mut file = File::create(&path)?;
    let block = vec![b'x'; bytes];
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        took.push(started.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(took)
}
