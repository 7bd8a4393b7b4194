use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

/// The largest file that is read or written, bytes: an answer is one line of JSON in memory.
pub(super) const FILE_BYTES: usize = 1 << 20;

/// The most names that a listing has, for the same reason.
pub(super) const LISTED_FILES: usize = 1_000;

/// The directory that files are confined to.
///
/// Meant for a demonstration: between the check of a path and its use, another process that may write
/// to the directory could swap a part of it for a link.
#[derive(Clone, Debug)]
pub(super) struct Root(PathBuf);

/// Why a file could not be used.
#[derive(Debug, Error)]
pub(super) enum FileError {
    /// The path is absolute, has `..`, or leads outside through a link.
    #[error("{0} leads outside the directory")]
    Outside(String),
    /// It is empty or names a directory.
    #[error("{0:?} is not the name of a file")]
    NotAFile(String),
    /// It is larger than [`FILE_BYTES`].
    #[error("{0} is larger than {FILE_BYTES} bytes")]
    TooLarge(String),
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// As it was asked for.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Root {
    /// Confines to `dir`, which must exist.
    ///
    /// # Errors
    /// What the operating system says of `dir`.
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        let dir = dir.canonicalize()?;
        if !dir.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self(dir))
    }

    /// The text of a file.
    ///
    /// # Errors
    /// See [`FileError`]; a file that is not UTF-8 is [`FileError::Io`].
    pub(super) fn read(&self, path: &str) -> Result<String, FileError> {
        let io = |source| FileError::Io {
            path: path.to_owned(),
            source,
        };
        let full = self.resolve(path)?;
        // A pipe or a device could keep the server waiting forever.
        if !fs::metadata(&full).map_err(io)?.is_file() {
            return Err(FileError::NotAFile(path.to_owned()));
        }
        let limit = u64::try_from(FILE_BYTES)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let mut text = String::new();
        File::open(full)
            .map_err(io)?
            .take(limit)
            .read_to_string(&mut text)
            .map_err(io)?;
        if text.len() > FILE_BYTES {
            return Err(FileError::TooLarge(path.to_owned()));
        }
        Ok(text)
    }

    /// Replaces the content of a file, or makes it; its directory must exist.
    ///
    /// # Errors
    /// See [`FileError`].
    pub(super) fn write(&self, path: &str, content: &str) -> Result<(), FileError> {
        if content.len() > FILE_BYTES {
            return Err(FileError::TooLarge(path.to_owned()));
        }
        let full = self.resolve(path)?;
        if full.exists() && !full.is_file() {
            return Err(FileError::NotAFile(path.to_owned()));
        }
        let io = |source| FileError::Io {
            path: path.to_owned(),
            source,
        };
        File::create(full)
            .map_err(io)?
            .write_all(content.as_bytes())
            .map_err(io)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// See [`FileError`].
    pub(super) fn delete(&self, path: &str) -> Result<(), FileError> {
        let full = self.resolve(path)?;
        fs::remove_file(full).map_err(|source| FileError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// The names directly in the directory, sorted; a directory's name ends in `/`.
    ///
    /// # Errors
    /// See [`FileError`].
    pub(super) fn list(&self) -> Result<Vec<String>, FileError> {
        let io = |source| FileError::Io {
            path: ".".to_owned(),
            source,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(io)?.take(LISTED_FILES) {
            let entry = entry.map_err(io)?;
            let mut name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().map_err(io)?.is_dir() {
                name.push('/');
            }
            names.push(name);
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Where `path` really is. Its last part need not exist.
    fn resolve(&self, path: &str) -> Result<PathBuf, FileError> {
        let outside = || FileError::Outside(path.to_owned());
        let mut full = self.0.clone();
        let mut parts = 0;
        for part in Path::new(path).components() {
            match part {
                Component::Normal(name) => {
                    full.push(name);
                    parts += 1;
                }
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(outside());
                }
            }
        }
        let (Some(parent), Some(name), 1..) = (full.parent(), full.file_name(), parts) else {
            return Err(FileError::NotAFile(path.to_owned()));
        };
        let io = |source| FileError::Io {
            path: path.to_owned(),
            source,
        };
        let parent = parent.canonicalize().map_err(io)?;
        let real = parent.join(name);
        let target = match fs::symlink_metadata(&real) {
            Ok(found) if found.is_symlink() => match real.canonicalize() {
                Ok(target) => target,
                // A link to nothing could make a file anywhere.
                Err(_) => return Err(outside()),
            },
            Ok(_) => real.clone(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => real.clone(),
            Err(error) => return Err(io(error)),
        };
        if !parent.starts_with(&self.0) || !target.starts_with(&self.0) {
            return Err(outside());
        }
        Ok(real)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        let other = dir.path().join("other");
        for made in [&base, &other, &base.join("sub")] {
            fs::create_dir(made).unwrap();
        }
        for (at, text) in [(base.join("in.txt"), "in"), (other.join("out.txt"), "out")] {
            File::create(at)
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
        }
        std::os::unix::fs::symlink(other.join("out.txt"), base.join("link")).unwrap();
        std::os::unix::fs::symlink(&other, base.join("dirlink")).unwrap();
        std::os::unix::fs::symlink(other.join("none"), base.join("dangling")).unwrap();
        std::os::unix::fs::symlink("in.txt", base.join("inner")).unwrap();
        std::os::unix::fs::symlink(base.join("in.txt"), other.join("back")).unwrap();
        let root = Root::new(&base).unwrap();

        let inside = ["in.txt", "./in.txt", "sub/../in.txt", "inner"];
        let verdicts = inside.map(|path| root.read(path).is_ok());
        assert_eq!(
            verdicts,
            [true, true, false, true],
            "`..` is refused even where it stays inside"
        );

        let absolute = other.join("out.txt");
        let outside = [
            "../other/out.txt",
            absolute.to_str().unwrap(),
            "link",
            "dirlink/out.txt",
            "dirlink/back",
            "dangling",
            "sub/../../other/out.txt",
        ];
        for path in outside {
            let refused = |verdict| matches!(verdict, Err(FileError::Outside(_)));
            assert!(refused(root.read(path).map(drop)), "read {path}");
            assert!(refused(root.write(path, "x")), "write {path}");
            assert!(refused(root.delete(path)), "delete {path}");
        }
        assert!(!other.join("none").exists());
        assert!(other.join("out.txt").exists());

        for path in ["", ".", "./", "sub"] {
            assert!(root.read(path).is_err(), "read {path:?}");
            assert!(root.write(path, "x").is_err(), "write {path:?}");
            assert!(root.delete(path).is_err(), "delete {path:?}");
        }
    }

    #[test]
    fn sizes_are_limited() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path()).unwrap();
        let large = "x".repeat(FILE_BYTES + 1);
        assert!(matches!(
            root.write("a", &large),
            Err(FileError::TooLarge(_))
        ));
        File::create(dir.path().join("b"))
            .unwrap()
            .write_all(large.as_bytes())
            .unwrap();
        assert!(matches!(root.read("b"), Err(FileError::TooLarge(_))));
        root.write("c", large.get(1..).unwrap()).unwrap();
        assert_eq!(root.read("c").unwrap().len(), FILE_BYTES);
        assert_eq!(root.list().unwrap(), ["b", "c"]);
    }
}
