use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

use crate::tile::TileId;

/// The directory of a writer: keys, socket, lock and log (`docs/format.md` §1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir {
    root: PathBuf,
    log: LogDir,
}

impl DataDir {
    /// Opens the directory, making what is missing of it with mode 0700.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or is not safe: see [`DataDir::open`].
    pub fn create(path: &Path) -> Result<Self, DirError> {
        // An operator's own parents are made with their umask; only ours are closed to others.
        if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            std::fs::create_dir_all(parent).map_err(|source| DirError::io(parent, source))?;
        }
        let dir = Self::at(path);
        for path in [
            dir.root(),
            &dir.key_dir(),
            &dir.definitions(),
            dir.log.root(),
        ] {
            match DirBuilder::new().mode(0o700).create(path) {
                Ok(()) => sync_parent(path)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(DirError::io(path, error)),
            }
            check_private(path)?;
        }
        Ok(dir)
    }

    /// Opens an existing directory.
    ///
    /// # Errors
    ///
    /// When it is missing, belongs to another user, or can be written by others: whoever can write
    /// there can replace the log and its key.
    pub fn open(path: &Path) -> Result<Self, DirError> {
        let dir = Self::at(path);
        check_private(dir.root())?;
        for path in [&dir.key_dir(), dir.log.root()] {
            match check_private(path) {
                Ok(()) | Err(DirError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(dir)
    }

    fn at(path: &Path) -> Self {
        Self {
            root: path.to_owned(),
            log: LogDir {
                root: path.join("log"),
            },
        }
    }

    /// Takes the writer's lock, without waiting: flock(2), exclusive, on `lock`. The kernel gives it
    /// back when the process ends, however it ends.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] while another writer has it.
    pub fn lock(&self) -> Result<WriterLock, LockError> {
        let path = self.lock_path();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| LockError::Io {
                path: path.clone(),
                source,
            })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(WriterLock { file, path }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Held { path }),
            Err(errno) => Err(LockError::Io {
                path,
                source: errno.into(),
            }),
        }
    }

    /// Whether a writer holds the lock at this moment. Makes no file.
    pub fn has_writer(&self) -> bool {
        File::open(self.lock_path()).is_ok_and(|file| {
            flock(&file, FlockOperation::NonBlockingLockShared)
                == Err(rustix::io::Errno::WOULDBLOCK)
        })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The log within it.
    pub const fn log(&self) -> &LogDir {
        &self.log
    }

    /// The file that the writer locks.
    pub fn lock_path(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The Unix socket of a running recorder.
    pub fn socket(&self) -> PathBuf {
        self.root.join("recorder.sock")
    }

    /// Where a recorder in the background writes its stderr.
    pub fn recorder_log(&self) -> PathBuf {
        self.root.join("recorder.log")
    }

    /// The directory of the keys.
    pub fn key_dir(&self) -> PathBuf {
        self.root.join("key")
    }

    /// The private key that signs checkpoints.
    pub fn signing_key(&self) -> PathBuf {
        self.key_dir().join("signing.key")
    }

    /// The key of the digests in records.
    pub fn digest_key(&self) -> PathBuf {
        self.key_dir().join("digest.key")
    }

    /// What the operator chose.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// Holds on records: what retention must not remove.
    pub fn holds(&self) -> PathBuf {
        self.root.join("holds.json")
    }

    /// How far readers have come that retention waits for, one file each.
    pub fn cursors(&self) -> PathBuf {
        self.root.join("cursors")
    }

    /// The digest of the configuration that was recorded last; derived.
    pub fn config_recorded(&self) -> PathBuf {
        self.root.join("config.recorded")
    }

    /// Digests of the tools that servers listed last; derived.
    pub fn definitions(&self) -> PathBuf {
        self.root.join("definitions")
    }
}

/// The log itself: what an auditor gets a copy of, and all that readers look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    root: PathBuf,
}

impl LogDir {
    /// The log at `path`, which is either a log directory or a data directory with one in it. Its owner
    /// does not matter: a reader trusts the signature, not the directory.
    ///
    /// # Errors
    ///
    /// When neither holds a log.
    pub fn at(path: &Path) -> Result<Self, DirError> {
        let inner = path.join("log");
        for root in [inner.as_path(), path] {
            if root.join("segments").is_dir() || root.join("checkpoint").is_file() {
                return Ok(Self {
                    root: root.to_owned(),
                });
            }
        }
        // A data directory in which nothing was recorded yet.
        if inner.is_dir() {
            return Ok(Self { root: inner });
        }
        match std::fs::metadata(path) {
            Ok(_) => Err(DirError::NoLog {
                path: path.to_owned(),
            }),
            Err(error) => Err(DirError::io(path, error)),
        }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the records are.
    pub fn segments(&self) -> PathBuf {
        self.root.join("segments")
    }

    /// The newest signed checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoint")
    }

    /// The newest checkpoint that witnesses have cosigned, with their cosignatures.
    pub fn cosigned(&self) -> PathBuf {
        self.root.join("cosigned")
    }

    /// The proofs of changes of the key.
    pub fn rotations(&self) -> PathBuf {
        self.root.join("rotations")
    }

    /// The first record that retention has kept, where it removed any.
    pub fn minimum_index(&self) -> PathBuf {
        self.root.join("minimum-index")
    }

    /// The verifier key as the writer left it: a convenience that proves nothing.
    pub fn vkey(&self) -> PathBuf {
        self.root.join("vkey")
    }

    /// The writer's list of intents without an outcome; derived.
    pub fn open_calls(&self) -> PathBuf {
        self.root.join("open-calls")
    }

    /// Bodies kept on purpose, a directory for each day.
    pub fn evidence(&self) -> PathBuf {
        self.root.join("evidence")
    }

    /// One hash tile.
    pub fn tile(&self, tile: &TileId) -> PathBuf {
        self.root.join(tile.path())
    }

    /// Where the hash tiles are.
    pub fn tiles(&self) -> PathBuf {
        self.root.join("tile")
    }
}

/// Whoever holds it is the one writer of its data directory.
#[derive(Debug)]
pub struct WriterLock {
    file: File,
    path: PathBuf,
}

impl WriterLock {
    /// Whether the lock still keeps others out: not when somebody removed or replaced its file, for then
    /// another writer can lock the new one.
    pub fn is_in_force(&self) -> bool {
        let same = |ours: &Metadata, theirs: &Metadata| {
            (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
        };
        match (self.file.metadata(), std::fs::symlink_metadata(&self.path)) {
            (Ok(ours), Ok(theirs)) => same(&ours, &theirs),
            _ => false,
        }
    }
}

/// The writer's lock cannot be had.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another writer is at work.
    #[error("{path} is held by another recorder")]
    Held {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file cannot be opened or locked.
    #[error("cannot lock {path}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A directory cannot be used.
#[derive(Debug, Error)]
pub enum DirError {
    /// There is nothing there.
    #[error("{path} does not exist")]
    Missing {
        /// What was looked for.
        path: PathBuf,
    },
    /// It is something else.
    #[error("{path} is not a directory")]
    NotADirectory {
        /// What was found.
        path: PathBuf,
    },
    /// There is a directory, and no log in it.
    #[error("there is no log in {path}: neither segments nor a checkpoint")]
    NoLog {
        /// Where a log was looked for.
        path: PathBuf,
    },
    /// Another user could replace what is in it.
    #[error(
        "{path} belongs to user {owner}, not to user {uid} who runs this; use a directory of your own"
    )]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        uid: u32,
    },
    /// Others can replace what is in it.
    #[error("{path} can be written by others (mode {mode:04o}); run: chmod go-w {path}")]
    Writable {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system refused.
    #[error("cannot use {path}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DirError {
    fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let kind = source.kind();
        if kind == io::ErrorKind::NotFound {
            Self::Missing { path }
        } else if kind == io::ErrorKind::NotADirectory {
            Self::NotADirectory { path }
        } else {
            Self::Io { path, source }
        }
    }
}

/// A log whose directory is gone after a power failure would be no log.
fn sync_parent(path: &Path) -> Result<(), DirError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.map_err(|source| DirError::io(parent, source))
}

fn check_private(path: &Path) -> Result<(), DirError> {
    let metadata = std::fs::metadata(path).map_err(|source| DirError::io(path, source))?;
    check_owner(path, &metadata, rustix::process::geteuid().as_raw())
}

fn check_owner(path: &Path, metadata: &Metadata, uid: u32) -> Result<(), DirError> {
    let path = path.to_owned();
    if !metadata.is_dir() {
        return Err(DirError::NotADirectory { path });
    }
    if metadata.uid() != uid {
        return Err(DirError::ForeignOwner {
            path,
            owner: metadata.uid(),
            uid,
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(DirError::Writable { path, mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn makes_directories_that_only_the_owner_can_enter() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("a/b")).unwrap();
        for path in [
            dir.root(),
            &dir.key_dir(),
            dir.log().root(),
            &dir.definitions(),
        ] {
            assert_eq!(mode(path), 0o700, "{}", path.display());
        }
        DataDir::create(dir.root()).unwrap();
        DataDir::open(dir.root()).unwrap();
    }

    #[test]
    fn refuses_what_others_can_write() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("data")).unwrap();
        for path in [
            dir.root().to_owned(),
            dir.key_dir(),
            dir.log().root().to_owned(),
        ] {
            for bits in [0o770, 0o702] {
                std::fs::set_permissions(&path, Permissions::from_mode(bits)).unwrap();
                let error = DataDir::open(dir.root()).unwrap_err();
                assert!(matches!(&error, DirError::Writable { path: p, .. } if *p == path));
                assert!(error.to_string().contains("chmod go-w"), "{error}");
                assert!(DataDir::create(dir.root()).is_err());
            }
            std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        }
    }

    #[test]
    fn refuses_a_directory_of_someone_else() {
        let temp = tempfile::tempdir().unwrap();
        let metadata = std::fs::metadata(temp.path()).unwrap();
        let error = check_owner(temp.path(), &metadata, metadata.uid() + 1).unwrap_err();
        assert!(matches!(error, DirError::ForeignOwner { .. }), "{error}");
    }

    #[test]
    fn one_writer_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("data")).unwrap();
        let lock = dir.lock().unwrap();
        assert!(matches!(dir.lock(), Err(LockError::Held { .. })));
        drop(lock);
        drop(dir.lock().unwrap());
    }

    #[test]
    fn a_log_is_found_in_a_data_directory_and_by_itself() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("data")).unwrap();
        assert_eq!(&LogDir::at(dir.root()).unwrap(), dir.log());
        assert!(matches!(
            LogDir::at(&dir.key_dir()),
            Err(DirError::NoLog { .. })
        ));
        assert!(matches!(
            LogDir::at(&temp.path().join("no")),
            Err(DirError::Missing { .. })
        ));
        std::fs::create_dir(dir.log().segments()).unwrap();
        assert_eq!(&LogDir::at(dir.log().root()).unwrap(), dir.log());
    }
}
