//! Bodies kept on purpose, outside the records that name them (`docs/format.md` §14).
//!
//! [`EvidenceStore`] writes them in the source's process, before the record exists: what leaves that process,
//! for the disk as for the socket, is encrypted to people who are elsewhere. It has no key to read them back.
//! [`Kept`] is the reader's side.

mod kept;

use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tacho_event::{Body, Commitment, EventId, RawJson, Timestamp};
use thiserror::Error;
use zeroize::Zeroizing;

pub use kept::{Erased, Kept, OpenError, State, erasures};

use crate::dir::LogDir;
use crate::disk::{Disk, DiskFile, create_over};
use crate::limits::EVIDENCE_WRITE_BYTES;
use crate::recipients::Recipients;

/// Puts whole bodies where only its recipients can read them.
#[derive(Debug)]
pub struct EvidenceStore {
    disk: Arc<dyn Disk>,
    log: LogDir,
    recipients: Arc<Recipients>,
    /// The day whose directory is known to be durable.
    day: Option<String>,
}

/// A body could not be kept.
#[derive(Debug, Error)]
#[error("{body} could not be kept as evidence in {path}: {source}")]
pub struct EvidenceError {
    /// Which body.
    pub body: Body,
    /// Its directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl EvidenceStore {
    /// A store in the log at `log`, for whoever `recipients` are.
    pub const fn new(disk: Arc<dyn Disk>, log: LogDir, recipients: Arc<Recipients>) -> Self {
        Self {
            disk,
            log,
            recipients,
            day: None,
        }
    }

    /// Keeps a body of the record `id` of `time`, and returns what the record is to say of it. Durable when it
    /// returns: a record that names a body is never there without it. A crash before leaves a file that no
    /// record names.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; then the record must not be made.
    pub fn keep(
        &mut self,
        id: EventId,
        time: Timestamp,
        body: Body,
        bytes: &RawJson,
    ) -> Result<Commitment, EvidenceError> {
        let day = time.day();
        let dir = self.log.evidence().join(&day);
        let kept = self.make_day(day).and_then(|()| {
            let path = dir.join(file_name(id, body));
            self.write(&path, bytes)
        });
        kept.map_err(|source| {
            // Retention may have removed the directory: look again next time.
            self.day = None;
            let path = dir;
            EvidenceError { body, path, source }
        })
    }

    fn make_day(&mut self, day: String) -> io::Result<()> {
        if self.day.as_ref() == Some(&day) {
            return Ok(());
        }
        let evidence = self.log.evidence();
        self.disk.make_dir(&evidence)?;
        self.disk.sync_dir(self.log.root())?;
        self.disk.make_dir(&evidence.join(&day))?;
        self.disk.sync_dir(&evidence)?;
        self.day = Some(day);
        Ok(())
    }

    /// Through a temporary name: what has the right name is whole.
    fn write(&self, path: &Path, bytes: &RawJson) -> io::Result<Commitment> {
        let temporary = path.with_extension("age.tmp");
        let written = self.encrypt(&temporary, bytes).and_then(|commitment| {
            self.disk.rename(&temporary, path)?;
            if let Some(day) = path.parent() {
                self.disk.sync_dir(day)?;
            }
            Ok(commitment)
        });
        if written.is_err() {
            // A full disk needs the room. If this fails too, retention removes it with its day.
            drop(self.disk.unlink(&temporary));
        }
        written
    }

    fn encrypt(&self, path: &Path, bytes: &RawJson) -> io::Result<Commitment> {
        let mut salt = Zeroizing::new([0; Commitment::SALT_BYTES]);
        getrandom::fill(&mut *salt).map_err(io::Error::other)?;
        let file = FileWriter {
            file: create_over(&*self.disk, path)?,
            offset: 0,
        };
        let file = BufWriter::with_capacity(EVIDENCE_WRITE_BYTES, file);
        let mut contents = salt.as_slice().chain(bytes.expose().as_ref());
        let file = self.recipients.encrypt(&mut contents, file)?;
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.file.sync()?;
        let hash = Sha256::new()
            .chain_update(*salt)
            .chain_update(bytes.expose());
        Ok(Commitment::from_sha256(hash.finalize().into()))
    }
}

/// The name of a body's file within its day.
fn file_name(id: EventId, body: Body) -> String {
    format!("{id}.{body}.age")
}

struct FileWriter {
    file: Box<dyn DiskFile>,
    offset: u64,
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.offset)?;
        let written = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        self.offset = self.offset.saturating_add(written);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
