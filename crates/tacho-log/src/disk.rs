//! The file operations that the writer needs, and no others: the one place where durability is made.
//!
//! What is durable after a crash, and why the writer calls what it calls:
//!
//! * bytes of a file: after [`DiskFile::sync`]. A failed sync says nothing about earlier bytes, and the
//!   kernel may forget what it could not write: never sync again and believe it
//!   (<https://lwn.net/Articles/752063/>).
//! * a name in a directory (made, renamed, removed): after [`Disk::sync_dir`] on the directory.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

#[cfg(any(test, feature = "testing"))]
mod faulty;

#[cfg(any(test, feature = "testing"))]
pub use faulty::{AfterCrash, Fault, FaultyDisk};

/// A file system, as far as the writer uses one. Files are made with mode 0600, directories 0700.
pub trait Disk: Debug + Send + Sync {
    /// Makes a directory; it is no error when it exists.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, in no order. Names that are not UTF-8 are left out: none is ours.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Opens a new, empty file for writing; an error when the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing file for writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading, from its beginning.
    fn read(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.read_from(path, 0)
    }
    /// Opens a file for reading from `offset` on; behind its end there is nothing.
    fn read_from(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read + Send>>;
    /// Which file a name leads to.
    fn identity(&self, path: &Path) -> io::Result<Identity>;
    /// Gives a file another name, in place of a file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name.
    fn unlink(&self, path: &Path) -> io::Result<()>;
}

/// A file open for writing.
pub trait DiskFile: Debug + Send {
    /// Writes all of `bytes` at `offset`. After an error any part of them may be there.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the file's bytes and length durable: fdatasync(2).
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `len` bytes.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// Which file this is.
    fn identity(&self) -> io::Result<Identity>;
}

/// Tells one file from another that took its name, and from itself when cut or grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The file system.
    pub device: u64,
    /// The file in it.
    pub inode: u64,
    /// Its length, in bytes.
    pub len: u64,
}

impl From<&std::fs::Metadata> for Identity {
    fn from(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
        }
    }
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// Never through a symbolic link: a link in place of a segment would send records elsewhere.
fn no_follow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

impl Disk for RealDisk {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            made => made,
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(no_follow())
            .open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn read_from(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(path)?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        Ok(Box::new(file))
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        Ok(Identity::from(&std::fs::symlink_metadata(path)?))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the durable rename is built on this one"
    )]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.flush()?;
        self.0.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn identity(&self) -> io::Result<Identity> {
        Ok(Identity::from(&self.0.metadata()?))
    }
}

/// Puts a file in place so that, whenever the machine stops, the name leads to the whole old or the
/// whole new contents. The name itself is durable after [`Disk::sync_dir`], which is left to the caller
/// because one is enough for many files.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temp = path.as_os_str().to_owned();
    temp.push(".tmp");
    let temp = Path::new(&temp);
    let mut file = create_over(disk, temp)?;
    file.write_at(bytes, 0)?;
    // Without this the rename could become durable before the bytes: an empty file with a good name.
    file.sync()?;
    disk.rename(temp, path)
}

/// Opens an empty file, in place of one that a crash may have left.
pub(crate) fn create_over(disk: &dyn Disk, path: &Path) -> io::Result<Box<dyn DiskFile>> {
    match disk.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.unlink(path)?;
            disk.create(path)
        }
        made => made,
    }
}

/// A file's contents, which may be at most `limit` bytes long.
pub(crate) fn read_limited(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    disk.read(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len <= limit) {
        return Ok(bytes);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("longer than {limit} bytes"),
    ))
}
