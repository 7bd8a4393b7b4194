//! Where things are: the programs beside this one, and the directory for peers and logs.

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What ends a bench early.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How the benches run and where.
pub(crate) struct Place {
    /// The directory of the built programs.
    programs: PathBuf,
    /// Peers and logs; on the disk that the build is on, which is the one that is measured.
    pub(crate) cache: PathBuf,
    /// How often each figure is taken.
    pub(crate) rounds: usize,
    /// Divides the amount of work: 1 for a figure, more to try the bench itself.
    pub(crate) divide: usize,
}

impl Place {
    /// The directory of this program, `cache` or a directory beside it.
    pub(crate) fn new(cache: Option<PathBuf>, rounds: usize, divide: usize) -> Result<Self> {
        let exe = std::env::current_exe()?;
        let programs = exe.parent().ok_or("no directory of programs")?.to_owned();
        let beside = programs
            .parent()
            .ok_or("no target directory")?
            .join("bench-peers");
        let cache = cache.unwrap_or(beside);
        fs::create_dir_all(&cache)?;
        Ok(Self {
            programs,
            cache: cache.canonicalize()?,
            rounds,
            divide,
        })
    }

    /// The program `name` beside this one.
    pub(crate) fn program(&self, name: &str) -> OsString {
        self.programs.join(name).into_os_string()
    }

    /// Whether `tacho` is built.
    pub(crate) fn has_tacho(&self) -> bool {
        self.programs.join("tacho").is_file()
    }

    /// A fresh directory on the disk that is measured, removed when dropped.
    pub(crate) fn fresh(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::Builder::new()
            .prefix("log-")
            .tempdir_in(&self.cache)?)
    }

    /// `count` events or calls, divided as asked for.
    pub(crate) fn amount(&self, count: usize) -> usize {
        (count / self.divide).max(10)
    }
}

/// Writes a file that needs to outlive only this run.
pub(crate) fn put(path: &Path, content: &str) -> Result<()> {
    File::create(path)?.write_all(content.as_bytes())?;
    Ok(())
}

/// The sizes of the files directly in `dir`, together.
pub(crate) fn bytes_in(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}
