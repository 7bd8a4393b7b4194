//! Being a witness: the decisions are [`Witness`]'s; here are its memory and its two addresses
//! (C2SP tlog-witness; `docs/format.md` §13).
//!
//! A directory has one process, that process has one thread for requests, and a request is decided, made
//! durable and answered before the next one is looked at. So checking and remembering are one step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::Method;
use rustix::fs::{FlockOperation, flock};
use tacho_log::Clock;
use tacho_log::disk::{Disk, RealDisk, replace};
use tacho_log::limits::{ADD_CHECKPOINT_BYTES, NOTE_BYTES};
use tacho_log::witness::{AddCheckpoint, Answer, Held, HeldError, Refusal, Witness, origin_hex};
use thiserror::Error;

use crate::http::{Asked, Reply, Serving, Site, TEXT, serve};

/// The directory of a witness, locked.
#[derive(Debug)]
pub struct WitnessDir {
    root: PathBuf,
    /// The lock, which the kernel gives back when the process ends, however it ends.
    _lock: File,
}

/// The directory of a witness cannot be used.
#[derive(Debug, Error)]
pub enum WitnessDirError {
    /// Another process is the witness of this directory.
    #[error("{path} is held by another witness: one directory has one process")]
    Held {
        /// The lock file.
        path: PathBuf,
    },
    /// Others could write there: whoever can takes the witness back to an older state.
    #[error("{path} belongs to somebody else, or can be written by others; run: chmod 700 {path}")]
    NotPrivate {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot use {path}")]
    Io {
        /// What was to be used.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl WitnessDir {
    /// Opens the directory, makes it with mode 0700 when it is not there, and locks it.
    ///
    /// # Errors
    ///
    /// When another process has it, when others can write there, or when the system refuses.
    pub fn open(root: &Path) -> Result<Self, WitnessDirError> {
        let io = |path: &Path, source| WitnessDirError::Io {
            path: path.to_owned(),
            source,
        };
        RealDisk.make_dir(root).map_err(|source| io(root, source))?;
        let about = std::fs::metadata(root).map_err(|source| io(root, source))?;
        if about.uid() != rustix::process::getuid().as_raw() || about.mode() & 0o022 != 0 {
            let path = root.to_owned();
            return Err(WitnessDirError::NotPrivate { path });
        }
        let path = root.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| io(&path, source))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                root: root.to_owned(),
                _lock: lock,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(WitnessDirError::Held { path }),
            Err(errno) => Err(io(&path, errno.into())),
        }
    }

    /// Where the witness's private key is.
    pub fn key(&self) -> PathBuf {
        self.root.join("witness.key")
    }

    fn memory(&self, hex: &str) -> PathBuf {
        self.root.join(hex).join("checkpoint")
    }
}

/// A witness that cannot begin.
#[derive(Debug, Error)]
pub enum WitnessSiteError {
    /// What it remembers is not its own, or damaged. Going on without it would be going back.
    #[error("{path} is not what this witness remembers: {source}")]
    Memory {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: HeldError,
    },
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A witness, to be served.
pub struct WitnessSite {
    witness: Witness,
    dir: WitnessDir,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    /// By the hash of the origin, as in the paths.
    held: RefCell<BTreeMap<String, Held>>,
}

impl WitnessSite {
    /// Reads what the witness remembers of its logs.
    ///
    /// # Errors
    ///
    /// When there is something that is not its own memory.
    pub fn open(
        witness: Witness,
        dir: WitnessDir,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WitnessSiteError> {
        Self::open_on(Arc::new(RealDisk), witness, dir, clock)
    }

    fn open_on(
        disk: Arc<dyn Disk>,
        witness: Witness,
        dir: WitnessDir,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WitnessSiteError> {
        let mut held = BTreeMap::new();
        for origin in witness.origins() {
            let hex = origin_hex(origin);
            let path = dir.memory(&hex);
            match read(&*disk, &path) {
                Ok(bytes) => match witness.recall(origin, &bytes) {
                    Ok(one) => drop(held.insert(hex, one)),
                    Err(source) => return Err(WitnessSiteError::Memory { path, source }),
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(WitnessSiteError::Io { path, source }),
            }
        }
        Ok(Self {
            witness,
            dir,
            disk,
            clock,
            held: RefCell::new(held),
        })
    }

    /// Serves until told to stop.
    ///
    /// # Errors
    ///
    /// When the socket cannot be used at all.
    pub fn serve(self, serving: Serving) -> io::Result<()> {
        serve(serving, self)
    }

    fn add_checkpoint(&self, body: &[u8]) -> Reply {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(error) => return Reply::words(400, &error.to_string()),
        };
        let hex = origin_hex(request.checkpoint.unverified().origin());
        let now = self.clock.now().unix_seconds();
        let mut all = self.held.borrow_mut();
        match self.witness.judge(&request, all.get(&hex), now) {
            Answer::Cosigned { held, line } => match self.remember(&hex, &held) {
                Ok(()) => {
                    all.insert(hex, held);
                    Reply {
                        body: line.into_bytes(),
                        ..Reply::words(200, "")
                    }
                }
                // On disk is now the old memory or the new one, whose cosignature nobody was given.
                // Either is a right one to go on from.
                Err(error) => Reply::words(500, &format!("the checkpoint cannot be kept: {error}")),
            },
            Answer::Refused(refusal @ (Refusal::Conflict(size) | Refusal::OtherRoot(size))) => {
                Reply {
                    content_type: "text/x.tlog.size",
                    ..Reply::words(refusal.status(), &size.to_string())
                }
            }
            Answer::Refused(refusal) => Reply::words(refusal.status(), &refusal.to_string()),
        }
    }

    /// Makes the new memory durable. A crash in here leaves the whole old one or the whole new one.
    fn remember(&self, hex: &str, held: &Held) -> io::Result<()> {
        let path = self.dir.memory(hex);
        let dir = self.dir.root.join(hex);
        if self.disk.identity(&dir).is_err() {
            self.disk.make_dir(&dir)?;
        }
        replace(&*self.disk, &path, held.encode().as_bytes())?;
        self.disk.sync_dir(&dir)?;
        // Also when the directory was there: a crash may have come between making and syncing it.
        self.disk.sync_dir(&self.dir.root)
    }

    fn newest(&self, path: &str) -> Reply {
        let hex = path
            .strip_prefix('/')
            .and_then(|path| path.strip_suffix("/checkpoint"));
        match hex.and_then(|hex| self.held.borrow().get(hex).map(Held::encode)) {
            Some(note) => Reply {
                status: 200,
                content_type: TEXT,
                cache: "no-cache",
                allow: None,
                body: note.into_bytes(),
            },
            None => Reply::words(404, "no checkpoint of such a log was cosigned here"),
        }
    }
}

impl Site for WitnessSite {
    fn answer(&self, asked: Asked<'_>) -> Reply {
        match (asked.method, asked.path) {
            (&Method::POST, "/add-checkpoint") => self.add_checkpoint(asked.body),
            (_, "/add-checkpoint") => Reply::not_allowed("POST"),
            (&Method::GET | &Method::HEAD, path) => self.newest(path),
            _ => Reply::not_allowed("GET, HEAD"),
        }
    }

    fn body_bytes(&self) -> usize {
        ADD_CHECKPOINT_BYTES
    }
}

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(
        &mut io::Read::take(disk.read(path)?, NOTE_BYTES),
        &mut bytes,
    )?;
    Ok(bytes)
}
