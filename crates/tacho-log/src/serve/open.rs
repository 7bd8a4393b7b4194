//! Opening a log for its one writer, with the intents that a crash left open.

use std::sync::Arc;

use thiserror::Error;

use crate::dir::{DataDir, LogDir, WriterLock};
use crate::disk::{Disk as _, RealDisk, read_limited};
use crate::key::SigningKey;
use crate::limits::OPEN_CALLS_BYTES;
use crate::log::{Log, LogOptions, OpenError, Recovered, SealError};
use crate::open_calls::OpenCalls;

/// A log open for writing and what opening found.
pub struct OpenLog {
    pub(super) log: Log,
    pub(super) dir: DataDir,
    pub(super) recovered: Recovered,
    pub(super) calls: OpenCalls,
}

/// Why a log was not opened.
#[derive(Debug, Error)]
pub enum OpenLogError {
    /// It is not as a writer leaves it, or it cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl OpenLog {
    /// Opens the log of `dir`: recovery, see [`Log::open`].
    ///
    /// # Errors
    ///
    /// When the log is not as a writer leaves it; only people mend that.
    pub fn open(
        dir: DataDir,
        lock: WriterLock,
        key: SigningKey,
        options: LogOptions,
    ) -> Result<Self, OpenLogError> {
        let stored = read_limited(&RealDisk, &dir.log().open_calls(), OPEN_CALLS_BYTES).ok();
        let stored = stored.as_deref().and_then(OpenCalls::from_json);
        // Without the file every record has to be looked at.
        let (mut calls, visit_from) = stored.unwrap_or_default();
        let options = LogOptions {
            visit_from,
            ..options
        };
        let mut visit = |seq: u64, record: &[u8]| calls.observe_record(seq, record);
        let (log, recovered) = Log::open(Arc::new(RealDisk), &dir, lock, key, options, &mut visit)?;
        Ok(Self {
            log,
            dir,
            recovered,
            calls,
        })
    }

    /// What opening found.
    pub const fn recovered(&self) -> &Recovered {
        &self.recovered
    }
}

/// Replaces `open-calls`. It is derived, so nothing waits for the disk: a crash leaves the old file, a
/// whole new one, or one that does not parse, and then the log is read from its beginning.
pub(super) fn store_open_calls(dir: &LogDir, json: &[u8]) -> Result<(), SealError> {
    let path = dir.open_calls();
    let temporary = path.with_extension("tmp");
    let stored = (|| {
        if RealDisk.identity(&temporary).is_ok() {
            RealDisk.unlink(&temporary)?;
        }
        RealDisk.create(&temporary)?.write_at(json, 0)?;
        RealDisk.rename(&temporary, &path)
    })();
    stored.map_err(|source| SealError::Write { path, source })
}
