//! The read half: records from the segments, in order. Never writes, and needs no lock; a writer may be
//! at work meanwhile.

mod cursor;
mod locate;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::dir::LogDir;
use crate::recipients::Identities;

pub(crate) use cursor::{Cursor, Step};

/// Reads the records of one log.
#[derive(Clone, Debug)]
pub struct Reader {
    dir: LogDir,
    identities: Option<Arc<Identities>>,
}

impl Reader {
    /// A reader of the log in `dir`. Nothing is opened yet.
    pub fn new(dir: &LogDir) -> Self {
        Self {
            dir: dir.clone(),
            identities: None,
        }
    }

    /// The same, with keys for encrypted segments.
    #[must_use]
    pub fn with_identities(self, identities: Option<Arc<Identities>>) -> Self {
        Self { identities, ..self }
    }

    fn cursor(&self, from: u64) -> Cursor {
        Cursor::new(&self.dir, from).with_identities(self.identities.clone())
    }

    /// The records from `seq` on, oldest first, up to the end as it is when it is reached.
    pub fn records_from(&self, seq: u64) -> Records {
        Records {
            cursor: self.cursor(seq),
            over: false,
        }
    }

    /// The newest `count` records, oldest first. Reads the end of the log only, as far as its segments
    /// are not compressed.
    ///
    /// # Errors
    ///
    /// When the end of the log cannot be read.
    pub fn last(&self, count: u64) -> Result<Records, ReadError> {
        Ok(self.records_from(locate::end(&self.dir)?.saturating_sub(count)))
    }

    /// The `seq` after the newest whole record: the size of the log, for whoever trusts it.
    ///
    /// # Errors
    ///
    /// When the end of the log cannot be read.
    pub fn end(&self) -> Result<u64, ReadError> {
        locate::end(&self.dir)
    }

    /// The records from `seq` on, and those that are still to come.
    pub fn follow(&self, seq: u64) -> Follow {
        Follow {
            cursor: self.cursor(seq),
        }
    }
}

/// Records in order: each its `seq` and its bytes without line feed. An error stands in the place of what
/// cannot be read; the records after it follow, as far as there are any.
#[derive(Debug)]
pub struct Records {
    cursor: Cursor,
    over: bool,
}

impl Iterator for Records {
    type Item = Result<(u64, Vec<u8>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let item = step(&mut self.cursor).transpose();
        // A file that cannot be read would fail the same way for ever.
        self.over = matches!(item, None | Some(Err(ReadError::Io { .. })));
        item
    }
}

/// A log as it grows.
#[derive(Debug)]
pub struct Follow {
    cursor: Cursor,
}

impl Follow {
    /// The next record; `None` when there is no further one yet. Ask again after a while.
    ///
    /// # Errors
    ///
    /// What stands in the place of a record cannot be read; the next call goes on behind it.
    pub fn poll(&mut self) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
        step(&mut self.cursor)
    }
}

fn step(cursor: &mut Cursor) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
    match cursor.next()? {
        Step::Record { seq, line } => Ok(Some((seq, line.to_vec()))),
        Step::Damage { seq, file, what } => Err(ReadError::Damaged { seq, file, what }),
        Step::Unread { from, to, file } => Err(ReadError::Encrypted { from, to, file }),
        Step::End { .. } => Ok(None),
    }
}

/// What cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A file or directory.
    #[error("cannot read {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Records are encrypted to others. They are passed over.
    #[error("records {from} up to {to} are in {file}, which is encrypted to others")]
    Encrypted {
        /// The first of them.
        from: u64,
        /// The record after the last one, as the file's name claims.
        to: u64,
        /// The segment's file name.
        file: String,
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
}
