//! Logs of any size, made with the writer itself and without a recorder: the records are small and say
//! little, but it is the log that a recorder would have left, with a checkpoint every 4,096 records.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use tacho_event::{IdSource, Timestamp};
use tacho_log::disk::RealDisk;
use tacho_log::key::SigningKey;
use tacho_log::{
    AppendError, Clock as _, DataDir, Log, LogOptions, OpenLog, SystemClock, compress_segment,
};

use crate::place::{Place, Result, put};
use crate::recorder::Serve;

/// A log in a data directory of its own.
pub(super) struct Made {
    dir: tempfile::TempDir,
    /// Records.
    pub(super) records: u64,
    /// Bytes of the segment that takes the next records, all of which a checkpoint covers.
    pub(super) live_bytes: u64,
}

impl Made {
    /// Makes a log of `records` records in segments of `segment_bytes`.
    pub(super) fn new(place: &Place, records: u64, segment_bytes: u64) -> Result<Self> {
        let dir = place.fresh()?;
        // A recorder makes the keys, so that the next one takes the log for its own.
        drop(Serve::start(place, dir.path())?);
        let data = DataDir::open(dir.path())?;
        let options = LogOptions {
            segment_bytes,
            ..LogOptions::default()
        };
        let (lock, own_key) = (data.lock()?, key(&data)?);
        let disk = Arc::new(RealDisk);
        let (mut log, _) = Log::open(disk, &data, lock, own_key, options, &mut |_, _| {})?;
        fill(&mut log, records)?;
        let sealed = log.sealed();
        drop(log);
        // As the recorder leaves it before each checkpoint (docs/format.md §8).
        put(
            &data.log().open_calls(),
            &format!("{{\"size\":{sealed},\"open\":[]}}"),
        )?;
        let live = super::verify::segments(&data.log().segments())?.0;
        let live_bytes = match live.last() {
            Some(path) => path.metadata()?.len(),
            None => 0,
        };
        Ok(Self {
            dir,
            records: sealed,
            live_bytes,
        })
    }

    /// The data directory.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Opens the log as the recorder does, and gives it up again; what was found must be all of it.
    pub(super) fn open(&self) -> Result<()> {
        let data = DataDir::open(self.path())?;
        let (lock, key) = (data.lock()?, key(&data)?);
        let open = OpenLog::open(data, lock, key, LogOptions::default())?;
        let found = open.recovered().size;
        if found == self.records {
            Ok(())
        } else {
            Err(format!("opened with {found} records instead of {}", self.records).into())
        }
    }

    /// All files that opening may read.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>> {
        let data = DataDir::open(self.path())?;
        let mut files = vec![data.log().checkpoint(), data.log().open_calls()];
        for entry in std::fs::read_dir(data.log().segments())? {
            files.push(entry?.path());
        }
        Ok(files)
    }
}

fn key(data: &DataDir) -> Result<SigningKey> {
    let text = std::fs::read_to_string(data.signing_key())?;
    Ok(SigningKey::parse(text.trim_end())?)
}

/// Appends up to `records` records, sealed as a recorder seals, and compresses what is closed beside it.
fn fill(log: &mut Log, records: u64) -> Result<()> {
    let (closed, compress) = sync_channel::<PathBuf>(64);
    let compressing = std::thread::spawn(move || {
        compress
            .iter()
            .try_for_each(|path| compress_segment(&RealDisk, &path).map(drop))
    });
    let mut ids = IdSource::new(17);
    let mut body = Vec::new();
    while log.size() < records {
        let now = SystemClock.now();
        small_body(&mut ids, now, log.size(), &mut body);
        append(log, &body, now)?;
        if log.size() - log.sealed() >= 4_096 {
            log.commit()?;
            log.seal()?;
            for path in log.closed_segments() {
                closed.send(path)?;
            }
        }
    }
    log.commit()?;
    log.seal()?;
    drop(closed);
    compressing
        .join()
        .map_err(|_panic| "compressing panicked")??;
    Ok(())
}

/// Appends one record, and commits before it where the batch is full.
pub(super) fn append(log: &mut Log, body: &[u8], now: Timestamp) -> Result<()> {
    match log.append(body, now) {
        Err(AppendError::CommitFirst) => {
            log.commit()?;
            log.append(body, now)?;
        }
        appended => drop(appended?),
    }
    Ok(())
}

/// A record of about 150 bytes.
fn small_body(ids: &mut IdSource, now: Timestamp, number: u64, body: &mut Vec<u8>) {
    body.clear();
    let mut id = [0; 36];
    body.extend_from_slice(b"{\"id\":\"");
    body.extend_from_slice(ids.event(now).encode(&mut id).as_bytes());
    let rest = format!(
        "\",\"timestamp\":\"{now}\",\"type\":\"heartbeat\",\"severity\":\"info\",\"n\":{number}}}"
    );
    body.extend_from_slice(rest.as_bytes());
}
