//! What the recorder's acknowledgements are measured against: several threads that make the same bytes
//! durable in one file, without redaction, hashing or a socket.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::place::Result;

/// What a number of writers found: how long all of it took, and each acknowledgement.
pub(super) type Acknowledged = (Duration, Vec<Duration>);

/// One `write` and one `fdatasync` for each record, by whoever has the file.
pub(super) fn one_by_one(
    dir: &Path,
    writers: usize,
    each: usize,
    bytes: usize,
) -> Result<Acknowledged> {
    let path = dir.join("bare");
    let file = Mutex::new(File::create(&path)?);
    let block = vec![b'x'; bytes];
    let found = writing(writers, each, || {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&block)?;
        file.sync_data()
    });
    std::fs::remove_file(path)?;
    found
}

/// What waits to be written, and what is durable, counted in records.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    last: u64,
    durable: u64,
    over: bool,
}

/// A group commit and nothing else: one thread writes and syncs what came while it synced the batch before.
pub(super) fn group_commit(
    dir: &Path,
    writers: usize,
    each: usize,
    bytes: usize,
) -> Result<Acknowledged> {
    let path = dir.join("bare");
    let mut file = File::create(&path)?;
    let block = vec![b'x'; bytes];
    let (batch, filled, synced) = (Mutex::new(Batch::default()), Condvar::new(), Condvar::new());
    let lock = || batch.lock().unwrap_or_else(PoisonError::into_inner);
    let found = std::thread::scope(|scope| {
        let committer = scope.spawn(|| -> std::io::Result<()> {
            let mut taken = Vec::new();
            loop {
                let guard = filled.wait_while(lock(), |now| now.bytes.is_empty() && !now.over);
                let mut now = guard.unwrap_or_else(PoisonError::into_inner);
                if now.bytes.is_empty() {
                    return Ok(());
                }
                std::mem::swap(&mut taken, &mut now.bytes);
                let last = now.last;
                drop(now);
                let done = file.write_all(&taken).and_then(|()| file.sync_data());
                taken.clear();
                // Also after an error, or the writers would wait for ever.
                lock().durable = last;
                synced.notify_all();
                done?;
            }
        });
        let found = writing(writers, each, || {
            let mut now = lock();
            now.bytes.extend_from_slice(&block);
            now.last += 1;
            let mine = now.last;
            filled.notify_one();
            drop(synced.wait_while(now, |now| now.durable < mine));
            Ok(())
        });
        lock().over = true;
        filled.notify_one();
        committer
            .join()
            .map_err(|_panic| "the committer panicked")??;
        found
    });
    std::fs::remove_file(path)?;
    found
}

/// `writers` threads, each of which calls `write` for `each` records.
fn writing(
    writers: usize,
    each: usize,
    write: impl Fn() -> std::io::Result<()> + Sync,
) -> Result<Acknowledged> {
    let started = Instant::now();
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|_| {
                scope.spawn(|| -> std::io::Result<_> {
                    let mut took = Vec::with_capacity(each);
                    for _ in 0..each {
                        let before = Instant::now();
                        write()?;
                        took.push(before.elapsed());
                    }
                    Ok(took)
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_panic| "a writer panicked")??);
        }
        Ok::<_, Box<dyn std::error::Error>>(all)
    })?;
    Ok((started.elapsed(), all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_acknowledged_once() {
        let dir = tempfile::tempdir().unwrap();
        for bare in [one_by_one, group_commit] {
            let (_, all) = bare(dir.path(), 4, 5, 100).unwrap();
            assert_eq!(all.len(), 20);
            assert!(!dir.path().join("bare").exists());
        }
    }
}
