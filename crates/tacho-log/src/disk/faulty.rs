use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, Identity};

/// A file system in memory that knows what would survive a crash, and fails on request.
///
/// Every operation has a number, from 0. A failed sync behaves as Linux does: what it did not write is
/// from then on taken for written, and no later sync makes it durable.
#[derive(Clone, Debug)]
pub struct FaultyDisk(Arc<Mutex<State>>);

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It reports an error, and did nothing.
    Before,
    /// It reports an error, and did harm: a write wrote the first half, and what a sync was to write
    /// will never be written. Others did nothing.
    Half,
    /// It reports an error, and did everything.
    After,
    /// The process dies before it.
    Crash,
    /// The process dies after it.
    CrashAfter,
}

/// How much is left after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterCrash {
    /// The process died and the machine did not: all is there, though not all is durable.
    ProcessDied,
    /// The power failed, and only what is durable is left.
    OnlyDurable,
    /// The power failed, and some of what is not durable is left, block by block and name by name, as the
    /// seed says.
    Mixed(u64),
}

#[derive(Clone, Debug)]
struct State {
    files: Vec<FileState>,
    /// Names as the process sees them, and as they are on disk.
    names: BTreeMap<PathBuf, Entry>,
    durable_names: BTreeMap<PathBuf, Entry>,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    fails_from: Option<u64>,
    crashed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Dir,
    File(usize),
}

#[derive(Clone, Debug, Default)]
struct FileState {
    bytes: Vec<Byte>,
    durable: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Byte {
    value: u8,
    dirty: bool,
    /// A sync failed when this was dirty.
    lost: bool,
}

/// The smallest piece of a file that a crash keeps or loses as one.
const BLOCK_BYTES: usize = 64;

impl FaultyDisk {
    /// An empty disk with one directory.
    pub fn new(root: &Path) -> Self {
        let names = BTreeMap::from([(root.to_owned(), Entry::Dir)]);
        Self(Arc::new(Mutex::new(State {
            files: Vec::new(),
            durable_names: names.clone(),
            names,
            operations: 0,
            faults: BTreeMap::new(),
            fails_from: None,
            crashed: false,
        })))
    }

    /// Lets operation number `at` fail.
    #[must_use]
    pub fn failing(self, at: u64, fault: Fault) -> Self {
        self.state().faults.insert(at, fault);
        self
    }

    /// Lets every operation from number `at` on fail: [`Fault::Half`].
    #[must_use]
    pub fn failing_from(self, at: u64) -> Self {
        self.state().fails_from = Some(at);
        self
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Whether a [`Fault::Crash`] or [`Fault::CrashAfter`] came.
    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// The disk as the next process finds it. It fails no more.
    #[must_use]
    pub fn restart(&self, how: AfterCrash) -> Self {
        let mut state = self.state().clone();
        state.operations = 0;
        state.faults.clear();
        state.fails_from = None;
        state.crashed = false;
        match how {
            AfterCrash::ProcessDied => {}
            AfterCrash::OnlyDurable => state.lose(&mut || false),
            AfterCrash::Mixed(seed) => {
                let mut random = seed.wrapping_mul(2).wrapping_add(1);
                state.lose(&mut || {
                    // xorshift64
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random >> 33 & 1 == 1
                });
            }
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// Every file that the process sees, with its bytes.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.state();
        let file = |(path, entry): (&PathBuf, &Entry)| match entry {
            Entry::Dir => None,
            Entry::File(file) => Some((
                path.clone(),
                state
                    .files
                    .get(*file)?
                    .bytes
                    .iter()
                    .map(|b| b.value)
                    .collect(),
            )),
        };
        state.names.iter().filter_map(file).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation and does it, or fails as planned.
    fn operation<T>(
        &self,
        half: impl FnOnce(&mut State),
        whole: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state();
        if state.crashed {
            return Err(io::Error::other("the process is dead"));
        }
        let number = state.operations;
        state.operations += 1;
        let lasting = state
            .fails_from
            .filter(|from| number >= *from)
            .map(|_| Fault::Half);
        let fault = state.faults.get(&number).copied().or(lasting);
        let failed = Err(io::Error::other(format!(
            "operation {number} was made to fail"
        )));
        match fault {
            None => whole(&mut state),
            Some(Fault::Before) => failed,
            Some(Fault::Half) => {
                half(&mut state);
                failed
            }
            Some(Fault::After) => whole(&mut state).and(failed),
            Some(Fault::Crash) => {
                state.crashed = true;
                failed
            }
            Some(Fault::CrashAfter) => {
                let done = whole(&mut state);
                state.crashed = true;
                done.and(failed)
            }
        }
    }
}

impl State {
    fn entry(&self, path: &Path) -> io::Result<Entry> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file_number(&self, path: &Path) -> io::Result<usize> {
        match self.entry(path)? {
            Entry::File(file) => Ok(file),
            Entry::Dir => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn file(&mut self, number: usize) -> io::Result<&mut FileState> {
        self.files
            .get_mut(number)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn check_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent().map(|parent| self.entry(parent)) {
            Some(Ok(Entry::Dir)) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn identity(&self, number: usize) -> io::Result<Identity> {
        let file = self.files.get(number).ok_or(io::ErrorKind::NotFound)?;
        let (inode, len) = (u64::try_from(number), u64::try_from(file.bytes.len()));
        Ok(Identity {
            device: 1,
            inode: inode.unwrap_or(0),
            len: len.unwrap_or(0),
        })
    }

    /// The power fails; `keep` decides about each thing that is not durable.
    fn lose(&mut self, keep: &mut dyn FnMut() -> bool) {
        let seen = std::mem::take(&mut self.names);
        let mut left = self.durable_names.clone();
        for path in seen.keys().chain(self.durable_names.keys()) {
            if seen.get(path) != self.durable_names.get(path) && keep() {
                match seen.get(path) {
                    Some(entry) => left.insert(path.clone(), *entry),
                    None => left.remove(path),
                };
            }
        }
        // A name in a directory that is lost is lost with it.
        let dirs = left.clone();
        left.retain(|path, _| {
            path.ancestors().skip(1).all(|above| {
                dirs.get(above) == Some(&Entry::Dir)
                    || !self.durable_names.contains_key(above) && !seen.contains_key(above)
            })
        });
        for file in &mut self.files {
            file.lose(keep);
        }
        self.durable_names = left.clone();
        self.names = left;
    }
}

impl FileState {
    fn write(&mut self, bytes: &[u8], offset: u64) {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = offset.saturating_add(bytes.len());
        self.bytes
            .resize(self.bytes.len().max(end), Byte::default());
        for (byte, value) in self.bytes.iter_mut().skip(offset).zip(bytes) {
            *byte = Byte {
                value: *value,
                dirty: true,
                lost: false,
            };
        }
    }

    fn sync(&mut self) {
        self.durable.resize(self.bytes.len(), 0);
        for (byte, durable) in self.bytes.iter_mut().zip(&mut self.durable) {
            byte.dirty = false;
            if !byte.lost {
                *durable = byte.value;
            }
        }
    }

    fn fail_to_sync(&mut self) {
        for byte in &mut self.bytes {
            byte.lost |= byte.dirty;
            byte.dirty = false;
        }
    }

    fn lose(&mut self, keep: &mut dyn FnMut() -> bool) {
        let seen = self.bytes.iter().map(|byte| byte.value).collect::<Vec<_>>();
        let len = if keep() {
            seen.len()
        } else {
            self.durable.len()
        };
        let mut left = vec![0; len];
        for (at, block) in left.chunks_mut(BLOCK_BYTES).enumerate() {
            let from = if keep() { &seen } else { &self.durable };
            for (byte, value) in block.iter_mut().zip(from.iter().skip(at * BLOCK_BYTES)) {
                *byte = *value;
            }
        }
        self.bytes = left
            .iter()
            .map(|value| Byte {
                value: *value,
                ..Byte::default()
            })
            .collect();
        self.durable = left;
    }
}

impl Disk for FaultyDisk {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.operation(
            |_| {},
            |state| {
                state.check_parent(path)?;
                match state.names.entry(path.to_owned()).or_insert(Entry::Dir) {
                    Entry::Dir => Ok(()),
                    Entry::File(_) => Err(io::ErrorKind::AlreadyExists.into()),
                }
            },
        )
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.operation(
            |_| {},
            |state| {
                if state.names.keys().any(|name| name.parent() == Some(path)) {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                state
                    .names
                    .remove(path)
                    .map(|_| ())
                    .ok_or_else(|| io::ErrorKind::NotFound.into())
            },
        )
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.operation(
            |_| {},
            |state| {
                if state.entry(path)? != Entry::Dir {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
                let inside = state
                    .names
                    .keys()
                    .filter(|name| name.parent() == Some(path));
                let name = |name: &PathBuf| Some(name.file_name()?.to_str()?.to_owned());
                Ok(inside.filter_map(name).collect())
            },
        )
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.operation(
            |_| {},
            |state| {
                state.entry(path)?;
                state
                    .durable_names
                    .retain(|name, _| name.parent() != Some(path));
                let inside = state
                    .names
                    .iter()
                    .filter(|(name, _)| name.parent() == Some(path));
                state
                    .durable_names
                    .extend(inside.map(|(name, entry)| (name.clone(), *entry)));
                Ok(())
            },
        )
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.operation(
            |_| {},
            |state| {
                state.check_parent(path)?;
                if state.names.contains_key(path) {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                let file = state.files.len();
                state.files.push(FileState::default());
                state.names.insert(path.to_owned(), Entry::File(file));
                Ok(Box::new(FaultyFile {
                    disk: self.clone(),
                    file,
                }) as Box<dyn DiskFile>)
            },
        )
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.operation(
            |_| {},
            |state| {
                let file = state.file_number(path)?;
                Ok(Box::new(FaultyFile {
                    disk: self.clone(),
                    file,
                }) as Box<dyn DiskFile>)
            },
        )
    }

    fn read_from(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        self.operation(
            |_| {},
            |state| {
                let file = state.file_number(path)?;
                let bytes = state
                    .file(file)?
                    .bytes
                    .iter()
                    .map(|byte| byte.value)
                    .collect::<Vec<_>>();
                let mut bytes = io::Cursor::new(bytes);
                bytes.set_position(offset);
                Ok(Box::new(bytes) as Box<dyn Read + Send>)
            },
        )
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        self.operation(
            |_| {},
            |state| match state.entry(path)? {
                Entry::File(file) => state.identity(file),
                Entry::Dir => Ok(Identity {
                    device: 1,
                    inode: u64::MAX,
                    len: 0,
                }),
            },
        )
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation(
            |_| {},
            |state| {
                state.check_parent(to)?;
                let entry = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
                state.names.insert(to.to_owned(), entry);
                Ok(())
            },
        )
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.operation(
            |_| {},
            |state| {
                state.file_number(path)?;
                state.names.remove(path);
                Ok(())
            },
        )
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    file: usize,
}

impl DiskFile for FaultyFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let file = self.file;
        let half = |state: &mut State| {
            if let Ok(file) = state.file(file) {
                file.write(bytes.get(..bytes.len() / 2).unwrap_or_default(), offset);
            }
        };
        self.disk.operation(half, |state| {
            state.file(file)?.write(bytes, offset);
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let file = self.file;
        let lose = |state: &mut State| {
            if let Ok(file) = state.file(file) {
                file.fail_to_sync();
            }
        };
        self.disk.operation(lose, |state| {
            state.file(file)?.sync();
            Ok(())
        })
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let file = self.file;
        self.disk.operation(
            |_| {},
            |state| {
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                state.file(file)?.bytes.truncate(len);
                Ok(())
            },
        )
    }

    fn identity(&self) -> io::Result<Identity> {
        self.disk
            .operation(|_| {}, |state| state.identity(self.file))
    }
}
