use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use memchr::memmem;
use rustix::fs::OFlags;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tacho_event::{Body, Commitment, EventId, ParsedRecord, Timestamp};
use thiserror::Error;

use super::file_name;
use crate::dir::LogDir;
use crate::limits::{AGE_HEADER_BYTES, EVIDENCE_BYTES, EVIDENCE_WRITE_BYTES};
use crate::reader::{ReadError, Reader};
use crate::recipients::{DecryptError, Identities};
use crate::segment::day_start;

/// A body that a record says is kept outside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The record's position.
    pub seq: u64,
    /// The record's name.
    pub id: EventId,
    /// The record's UTC day, `YYYY-MM-DD`.
    pub day: String,
    /// Which body.
    pub body: Body,
    /// Its length in bytes, as it came.
    pub bytes: u64,
    /// What its file must hold.
    pub commitment: Commitment,
}

/// Whether a body is where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its file is there, and of the right length.
    There,
    /// Its file is not there.
    Gone,
    /// Its file cannot be what was written: its length shows it.
    Changed,
}

/// A body cannot be had.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no file.
    #[error("the file is not there")]
    Gone,
    /// It cannot be decrypted.
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    /// It was decrypted, and is another body.
    #[error("it holds another body than the one that was recorded")]
    Differs,
    /// Larger than any body.
    #[error("the record says that it has {0} bytes, which is more than a body can have")]
    TooLong(u64),
    /// The decrypted bytes cannot be passed on.
    #[error("cannot write it")]
    Write(#[source] io::Error),
}

#[derive(Deserialize)]
struct Member {
    commitment: String,
    bytes: u64,
}

impl Kept {
    /// The bodies that a record names; none for most records.
    pub fn of(record: &ParsedRecord) -> Vec<Self> {
        let evidence = record.evidence.as_ref().map(|evidence| evidence.get());
        evidence
            .and_then(|evidence| Self::read(record.seq, &record.id, &record.timestamp, evidence))
            .unwrap_or_default()
    }

    /// Reads the member `evidence` of a record; `None` when it cannot be understood. Bodies of a later version
    /// are passed over.
    pub(crate) fn read(seq: u64, id: &str, timestamp: &str, evidence: &str) -> Option<Vec<Self>> {
        let id = EventId::parse(id)?;
        let day = Timestamp::parse(timestamp).ok()?.day();
        let members: BTreeMap<String, Member> = serde_json::from_str(evidence).ok()?;
        let mut kept = Vec::new();
        for (body, member) in members {
            if let Some(body) = Body::parse(&body) {
                kept.push(Self {
                    seq,
                    id,
                    day: day.clone(),
                    body,
                    bytes: member.bytes,
                    commitment: Commitment::parse(&member.commitment)?,
                });
            }
        }
        Some(kept)
    }

    /// Its file, below the log's directory.
    pub fn name(&self) -> String {
        format!("evidence/{}/{}", self.day, file_name(self.id, self.body))
    }

    /// Its file.
    pub fn path(&self, dir: &LogDir) -> PathBuf {
        dir.evidence()
            .join(&self.day)
            .join(file_name(self.id, self.body))
    }

    /// Looks for its file, without a key: whether it is there, and has the length that it must have.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn state(&self, dir: &LogDir) -> io::Result<State> {
        let mut file = match self.file(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Gone),
            file => file?,
        };
        let right = self.has_right_length(&mut file)?;
        Ok(if right { State::There } else { State::Changed })
    }

    fn file(&self, dir: &LogDir) -> io::Result<File> {
        // Neither a link to elsewhere nor a pipe that nobody writes to.
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
        let path = self.path(dir);
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Err(io::Error::other("it is no file"))
    }

    /// Whether the file is as long as an age file of salt and body: its header, a nonce, and chunks of 64 KiB
    /// with a tag each (<https://c2sp.org/age>).
    fn has_right_length(&self, file: &mut File) -> io::Result<bool> {
        let mut header = Vec::new();
        Read::by_ref(file)
            .take(AGE_HEADER_BYTES)
            .read_to_end(&mut header)?;
        let last_line = memmem::find(&header, b"\n--- ").map(|at| at + 1);
        let end = last_line.and_then(|at| {
            let line = memchr::memchr(b'\n', header.get(at..)?)?;
            u64::try_from(at + line + 1).ok()
        });
        let Some(header) = end else {
            return Ok(false);
        };
        let plain = self.bytes.saturating_add(SALT_BYTES);
        let tags = plain
            .div_ceil(AGE_CHUNK_BYTES)
            .saturating_mul(AGE_TAG_BYTES);
        let expected = header
            .saturating_add(AGE_NONCE_BYTES)
            .saturating_add(plain)
            .saturating_add(tags);
        Ok(file.metadata()?.len() == expected)
    }

    /// Decrypts it into `out`, and then checks it against the record. What `out` got must not be used when this
    /// fails.
    ///
    /// # Errors
    ///
    /// When it is gone, was encrypted to others, or is not what was recorded.
    pub fn open(
        &self,
        dir: &LogDir,
        identities: &Identities,
        out: &mut dyn Write,
    ) -> Result<(), OpenError> {
        if self.bytes > EVIDENCE_BYTES {
            return Err(OpenError::TooLong(self.bytes));
        }
        let mut file = match self.file(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(OpenError::Gone),
            file => file.map_err(DecryptError::Io)?,
        };
        // Before a parser sees it: this bounds the header as well.
        if !self.has_right_length(&mut file).map_err(DecryptError::Io)? {
            let what = "its length is not that of what was written";
            return Err(DecryptError::Damaged(what.to_owned()).into());
        }
        io::Seek::rewind(&mut file).map_err(DecryptError::Io)?;
        let mut decrypted = identities.decrypt(Box::new(file))?;
        let mut salt = [0; Commitment::SALT_BYTES];
        decrypted
            .read_exact(&mut salt)
            .map_err(DecryptError::from_read)?;
        let mut hash = Sha256::new().chain_update(salt);
        let mut chunk = vec![0; EVIDENCE_WRITE_BYTES];
        let mut length = 0_u64;
        loop {
            let read = decrypted
                .read(&mut chunk)
                .map_err(DecryptError::from_read)?;
            let bytes = chunk.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            length = length.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            hash.update(bytes);
            out.write_all(bytes).map_err(OpenError::Write)?;
        }
        let commitment = Commitment::from_sha256(hash.finalize().into());
        if length == self.bytes && commitment == self.commitment {
            Ok(())
        } else {
            Err(OpenError::Differs)
        }
    }
}

const SALT_BYTES: u64 = 32;
const AGE_NONCE_BYTES: u64 = 16;
const AGE_CHUNK_BYTES: u64 = 64 * 1024;
const AGE_TAG_BYTES: u64 = 16;

/// What an `evidence_erased` record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// The record whose body was destroyed.
    pub id: EventId,
    /// That record's day.
    pub day: String,
    /// Which body.
    pub body: Body,
}

#[derive(Deserialize)]
struct Details {
    record: String,
    day: String,
    member: String,
}

impl Erased {
    /// The record's type.
    pub(crate) const KIND: &'static str = "evidence_erased";

    /// Reads the member `details` of such a record; `None` when it cannot be understood.
    pub(crate) fn read(details: &str) -> Option<Self> {
        let details: Details = serde_json::from_str(details).ok()?;
        // It becomes a path.
        day_start(&details.day)?;
        Some(Self {
            id: EventId::parse(&details.record)?,
            day: details.day,
            body: Body::parse(&details.member)?,
        })
    }

    /// Where the file was.
    pub(crate) fn path(&self, dir: &LogDir) -> PathBuf {
        dir.evidence()
            .join(&self.day)
            .join(file_name(self.id, self.body))
    }
}

/// Every body that the log from record `from` on says was erased, and the first record that says so. As many as
/// people have erased: one by one, each with a reason.
///
/// # Errors
///
/// When the log cannot be read.
pub fn erasures(reader: &Reader, from: u64) -> Result<BTreeMap<(EventId, Body), u64>, ReadError> {
    let word = memmem::Finder::new(Erased::KIND);
    let mut erased = BTreeMap::new();
    for record in reader.records_from(from) {
        let (seq, line) = match record {
            Ok(record) => record,
            Err(error @ ReadError::Io { .. }) => return Err(error),
            // What is damaged is for `verify` to name; what is encrypted to others says nothing to us.
            Err(_) => continue,
        };
        if word.find(&line).is_none() {
            continue;
        }
        let Ok(record) = ParsedRecord::parse(&line) else {
            continue;
        };
        let details = record.details.filter(|_| record.kind == Erased::KIND);
        if let Some(said) = details.and_then(|details| Erased::read(details.get())) {
            erased.entry((said.id, said.body)).or_insert(seq);
        }
    }
    Ok(erased)
}
