//! The write half: one writer appends, commits and seals.

mod compress;
mod edge;
mod encrypt;
mod line;
mod live;
mod prune;
mod recover;
mod rotate;
mod seal;
mod survey;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tacho_event::Timestamp;
use thiserror::Error;

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::dir::{DataDir, LogDir, WriterLock};
use crate::disk::Disk;
use crate::key::{SigningKey, VerifyingKey};
use crate::limits::{
    BATCH_BYTES, CHECKPOINT_RECORDS, RECORD_BYTES, SEGMENT_BYTES, UNSEALED_RECORDS,
};
use crate::merkle::{Hash, leaf_hash};
use crate::rotation::RotationError;
use crate::tile::TileError;

pub use compress::compress_segment;
use edge::Edge;
pub use encrypt::encrypt_closed;
pub(crate) use line::has_control;
use line::{decimal, is_body};
use live::Live;
pub use prune::{PruneError, remove_pruned};
pub use rotate::RotateError;
pub use survey::survey;

/// What an operator, or a test, may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// A segment is closed before it grows past this many bytes.
    pub segment_bytes: u64,
    /// [`Log::seal_due`] after this many records.
    pub checkpoint_records: u64,
    /// Opening visits the records from here on, or from the checkpoint's size where that is less.
    pub visit_from: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            checkpoint_records: CHECKPOINT_RECORDS,
            visit_from: u64::MAX,
        }
    }
}

/// The log, open for writing. There is one at a time: it holds the [`WriterLock`].
///
/// ```text
/// append … append ── commit ──► durable, acknowledged ── seal ──► covered by a signed checkpoint
/// ```
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: LogDir,
    key: SigningKey,
    options: LogOptions,
    live: Live,
    /// Lines and leaf hashes of what was appended and not committed.
    batch: Vec<u8>,
    batch_leaves: Vec<Hash>,
    /// The tree under the newest checkpoint, and the committed leaves after it.
    edge: Edge,
    unsealed: Vec<Hash>,
    unsealed_since: Option<Timestamp>,
    checkpoint: Option<SignedCheckpoint>,
    /// Closed segments that wait to be compressed.
    closed: Vec<Closed>,
    broken: Option<String>,
    lock: WriterLock,
}

/// A segment that takes no more records, and the `seq` after its last one.
#[derive(Debug)]
struct Closed {
    path: PathBuf,
    end: u64,
}

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Records in the log.
    pub size: u64,
    /// Records that the newest checkpoint covers.
    pub checkpoint_size: u64,
    /// The torn tail that was cut, if there was one.
    pub torn: Option<Torn>,
    /// Whether nothing was there before.
    pub is_new: bool,
}

/// Bytes at the end of the newest segment that a crash left, now in the `.torn` file beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment's file name.
    pub file: String,
    /// How many bytes were cut.
    pub bytes: u64,
}

impl Log {
    /// Opens the log of `dir`, which is recovery: what a crash left behind is put right here and
    /// nowhere else, and what no crash can leave behind is refused. `visit` is given each record, by
    /// `seq` and without its line feed, as [`LogOptions::visit_from`] says.
    ///
    /// Records that the checkpoint covers are not read, except the last one, which ties the segments to
    /// the tiles; a change further back is found by [`crate::verify`].
    ///
    /// # Errors
    ///
    /// [`OpenError`] names the record and the file that are not as a writer leaves them.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &DataDir,
        lock: WriterLock,
        key: SigningKey,
        options: LogOptions,
        visit: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<(Self, Recovered), OpenError> {
        let found = recover::recover(&*disk, dir.log(), key.verifying_key(), &options, visit)?;
        let recovered = found.recovered;
        let log = Self {
            disk,
            dir: dir.log().clone(),
            key,
            options,
            live: found.live,
            batch: Vec::with_capacity(BATCH_BYTES),
            batch_leaves: Vec::new(),
            edge: found.edge,
            // Since when, nobody knows: the next timer seals them.
            unsealed_since: (!found.unsealed.is_empty()).then_some(Timestamp::from_unix_nanos(0)),
            unsealed: found.unsealed,
            checkpoint: found.checkpoint,
            closed: found.closed,
            broken: None,
            lock,
        };
        Ok((log, recovered))
    }

    /// Buffers one record: `body` behind the members `v` and `seq`. Returns its `seq`. It is in the log
    /// when [`Log::commit`] has returned `Ok`, and not before.
    ///
    /// # Errors
    ///
    /// None of them changes the log. [`AppendError::CommitFirst`]: commit, then append again.
    pub fn append(&mut self, body: &[u8], now: Timestamp) -> Result<u64, AppendError> {
        if let Some(reason) = &self.broken {
            return Err(AppendError::Broken(reason.clone()));
        }
        let Some(members) = body.strip_prefix(b"{").filter(|_| is_body(body)) else {
            return Err(AppendError::NotARecord);
        };
        let seq = self.size();
        let (mut digits, head_start) = ([0; 20], b"{\"v\":1,\"seq\":");
        let digits = decimal(seq, &mut digits);
        let record_len = head_start.len() + digits.len() + 1 + members.len();
        if record_len > RECORD_BYTES {
            return Err(AppendError::TooLong { bytes: record_len });
        }
        if self.unsealed.len() + self.batch_leaves.len() >= unsealed_limit() {
            return Err(AppendError::Unsealed);
        }
        let line_len = record_len + 1;
        let fits = self
            .live
            .fits(now, self.batch.len() + line_len, self.options.segment_bytes);
        if self.batch.is_empty() {
            // A batch goes into one segment, so that one sync makes it durable.
            if !fits {
                self.live.rotate(now);
            }
        } else if !fits || self.batch.len() + line_len > BATCH_BYTES {
            return Err(AppendError::CommitFirst);
        }
        let start = self.batch.len();
        self.batch.extend_from_slice(head_start);
        self.batch.extend_from_slice(digits);
        self.batch.push(b',');
        self.batch.extend_from_slice(members);
        self.batch_leaves
            .push(leaf_hash(self.batch.get(start..).unwrap_or_default()));
        self.batch.push(b'\n');
        self.unsealed_since.get_or_insert(now);
        Ok(seq)
    }

    /// Makes durable what was appended since the last commit, with one write and one fdatasync.
    ///
    /// # Errors
    ///
    /// The records of this batch are not in the log and never will be; their numbers are given out
    /// again, and the log stays usable. Not so after [`CommitError::Fatal`]: then only opening the log
    /// again decides whether they are there.
    pub fn commit(&mut self) -> Result<(), CommitError> {
        if let Some(reason) = &self.broken {
            return Err(CommitError::Fatal {
                reason: reason.clone(),
            });
        }
        if self.batch.is_empty() {
            return Ok(());
        }
        if !self.lock.is_in_force() {
            let reason = "the lock file was removed or replaced: there may be another writer";
            self.broken = Some(reason.to_owned());
            return Err(CommitError::Fatal {
                reason: reason.to_owned(),
            });
        }
        let committed = self.committed();
        let written = self.live.write(&*self.disk, &self.batch, committed);
        self.batch.clear();
        match written {
            Ok(closed) => {
                self.closed.extend(closed);
                self.unsealed.append(&mut self.batch_leaves);
                Ok(())
            }
            Err(error) => {
                self.batch_leaves.clear();
                if self.unsealed.is_empty() {
                    self.unsealed_since = None;
                }
                if let CommitError::Fatal { reason } = &error {
                    self.broken = Some(reason.clone());
                }
                Err(error)
            }
        }
    }

    /// Records appended, committed or not: the `seq` of the next one.
    pub fn size(&self) -> u64 {
        self.committed().saturating_add(len(&self.batch_leaves))
    }

    /// Records that are durable.
    pub fn committed(&self) -> u64 {
        self.sealed().saturating_add(len(&self.unsealed))
    }

    /// Records that the newest checkpoint covers.
    pub const fn sealed(&self) -> u64 {
        self.edge.size()
    }

    /// The newest checkpoint; `None` before the first.
    pub const fn checkpoint(&self) -> Option<&SignedCheckpoint> {
        self.checkpoint.as_ref()
    }

    /// When the first record was appended that no checkpoint covers; the epoch where opening found it.
    pub const fn unsealed_since(&self) -> Option<Timestamp> {
        self.unsealed_since
    }

    /// Whether enough records are waiting for a checkpoint.
    pub fn seal_due(&self) -> bool {
        len(&self.unsealed) >= self.options.checkpoint_records
    }

    /// The key that its checkpoints are checked with.
    pub const fn verifying_key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    /// The log's name: that of its key.
    pub fn origin(&self) -> &str {
        self.key.name()
    }

    /// Segments that were closed and are covered by a checkpoint, each handed out once. They are for
    /// [`compress_segment`], which another thread may run; one that is not compressed is handed out
    /// again when the log is opened next.
    pub fn closed_segments(&mut self) -> Vec<PathBuf> {
        // Compressing waits for the checkpoint, so that a `.zst` without a checkpoint tells of deletion.
        let sealed = self.sealed();
        self.closed
            .extract_if(.., |closed| closed.end <= sealed)
            .map(|closed| closed.path)
            .collect()
    }
}

fn len(hashes: &[Hash]) -> u64 {
    u64::try_from(hashes.len()).unwrap_or(u64::MAX)
}

fn unsealed_limit() -> usize {
    usize::try_from(UNSEALED_RECORDS).unwrap_or(usize::MAX)
}

/// Why a record was not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AppendError {
    /// It is longer than a record may be.
    #[error("the record would have {bytes} bytes; {RECORD_BYTES} are the most")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not an object on one line that begins with `id`.
    #[error("not the body of a record: an object on one line whose first member is id")]
    NotARecord,
    /// The batch is full, or the record belongs into the next segment.
    #[error("commit what was appended before, then append again")]
    CommitFirst,
    /// [`UNSEALED_RECORDS`] wait for a checkpoint.
    #[error("{UNSEALED_RECORDS} records wait for a checkpoint that cannot be made")]
    Unsealed,
    /// After [`CommitError::Fatal`].
    #[error("the log must be opened again: {0}")]
    Broken(String),
}

/// Why a batch is not in the log.
#[derive(Debug, Error)]
pub enum CommitError {
    /// Somebody deleted, replaced, cut or extended the live segment. The next batch begins a new one.
    #[error("{file} is not as the recorder left it: {what}")]
    Replaced {
        /// The segment's file name.
        file: String,
        /// What was expected and what was found.
        what: String,
    },
    /// The disk is full or failed; the segment was cut back to its last committed record.
    #[error("cannot write {file}")]
    Write {
        /// The segment's file name.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// What is on disk is not known any more. Opening the log again finds out.
    #[error("the log must be opened again: {reason}")]
    Fatal {
        /// What failed, and what then failed in putting it right.
        reason: String,
    },
}

/// Why there is no new checkpoint. The log is as before, and sealing may be tried again.
#[derive(Debug, Error)]
pub enum SealError {
    /// A tile or the checkpoint could not be written.
    #[error("cannot write {path}")]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key or the size allow no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tree has outgrown what tiles can hold.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// After [`CommitError::Fatal`].
    #[error("the log must be opened again: {0}")]
    Broken(String),
}

/// Why a log was not opened. Only people mend a log that was tampered with.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A file cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The checkpoint is not one of this log and key.
    #[error("{path} is not a checkpoint of this log's key")]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The key was retired by a rotation.
    #[error("the key of this log was changed at {size} records, and this is not the new one")]
    RetiredKey {
        /// The size of the checkpoint that both keys signed.
        size: u64,
    },
    /// A change of the key is not proved by its file.
    #[error("{path} does not prove a change of this log's key")]
    Rotation {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RotationError,
    },
    /// There is no checkpoint, and there was one.
    #[error("{path} is missing, but {evidence} exists, which is made after the first checkpoint")]
    CheckpointMissing {
        /// The checkpoint.
        path: PathBuf,
        /// What shows that there was one.
        evidence: String,
    },
    /// A tile is missing, or its size is wrong, or the tiles do not give the checkpoint's root.
    #[error("the tiles do not give the root of the checkpoint over {size} records: {what}")]
    Tiles {
        /// The checkpoint's size.
        size: u64,
        /// Which tile, and what about it.
        what: String,
    },
    /// A record is not what or where it should be.
    #[error("record {seq} in {file}: {what}")]
    Damaged {
        /// The record that was expected.
        seq: u64,
        /// The segment's file name.
        file: String,
        /// What was found instead.
        what: String,
    },
    /// Records that the checkpoint covers are not there.
    #[error("record {seq} is missing, and the checkpoint covers {size} records: {what}")]
    Missing {
        /// The first record that is not there.
        seq: u64,
        /// The checkpoint's size.
        size: u64,
        /// Where it was looked for.
        what: String,
    },
    /// `minimum-index` is unreadable, or says what no sealed record says.
    #[error("{path}: {what}")]
    Minimum {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A later version of this program wrote the log.
    #[error("record {seq} in {file} has version {version}; this program writes version 1")]
    NewerVersion {
        /// The record.
        seq: u64,
        /// The segment's file name.
        file: String,
        /// The record's version.
        version: u64,
    },
}
