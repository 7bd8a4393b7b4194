//! The part that touches the disk: reading a configuration, its backups, and replacing it in one step.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::error::InstallError;
use super::{Backup, Plan};

/// Largest configuration read, in bytes. Claude Code keeps prompt history in its own, which reaches some megabytes.
pub const MAX_CONFIG_BYTES: u64 = 64 * 1024 * 1024;

/// Most backups beside one file; the next install is refused rather than one of them overwritten.
pub const MAX_BACKUPS: usize = 100;

/// What [`apply`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The file that was replaced: where symbolic links led.
    pub path: PathBuf,
    /// The copy of the file as it was, new or found to be there already. Only after an install.
    pub backup: Option<PathBuf>,
    /// Backups that were removed because the file is again exactly as it was then.
    pub removed: Vec<PathBuf>,
    /// Backups left, because the file was edited in between and is not what they hold.
    pub kept: Vec<PathBuf>,
}

/// Reads a configuration; symbolic links are followed.
///
/// # Errors
///
/// `Missing`, `NotAFile`, `TooLarge`, `NotUtf8`, `Io`.
pub fn read(path: &Path) -> Result<String, InstallError> {
    let (target, _) = resolve(path)?;
    read_resolved(&target)
}

fn read_resolved(path: &Path) -> Result<String, InstallError> {
    let io = |source| InstallError::Io {
        what: "read",
        path: path.to_path_buf(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    // One byte more than the limit, so that a file that grows while it is read is noticed too.
    file.take(MAX_CONFIG_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if length > MAX_CONFIG_BYTES {
        let bytes = fs::metadata(path).map_or(length, |metadata| metadata.len());
        return Err(InstallError::TooLarge {
            path: path.to_path_buf(),
            bytes,
            limit: MAX_CONFIG_BYTES,
        });
    }
    String::from_utf8(bytes).map_err(|error| InstallError::NotUtf8 {
        path: path.to_path_buf(),
        offset: error.utf8_error().valid_up_to(),
    })
}

fn resolve(path: &Path) -> Result<(PathBuf, Metadata), InstallError> {
    let io = |source: io::Error| {
        let path = path.to_path_buf();
        if source.kind() == io::ErrorKind::NotFound {
            InstallError::Missing { path }
        } else {
            InstallError::Io {
                what: "find",
                path,
                source,
            }
        }
    };
    let target = fs::canonicalize(path).map_err(io)?;
    let metadata = fs::metadata(&target).map_err(io)?;
    if metadata.is_file() {
        Ok((target, metadata))
    } else {
        Err(InstallError::NotAFile {
            path: path.to_path_buf(),
        })
    }
}

fn backup_path(target: &Path, number: usize) -> PathBuf {
    let mut name = OsString::from(target.file_name().unwrap_or_default());
    name.push(".tacho-backup");
    if number > 0 {
        name.push(format!(".{number}"));
    }
    target.with_file_name(name)
}

/// The backups beside a configuration, newest first. One that cannot be read as text is passed over.
///
/// # Errors
///
/// `Missing`, `NotAFile`, `Io` for the configuration itself.
pub fn backups(path: &Path) -> Result<Vec<Backup>, InstallError> {
    let (target, _) = resolve(path)?;
    Ok(backups_of(&target))
}

fn backups_of(target: &Path) -> Vec<Backup> {
    let paths = (0..MAX_BACKUPS)
        .rev()
        .map(|number| backup_path(target, number));
    paths
        .filter_map(|path| {
            Some(Backup {
                text: read_resolved(&path).ok()?,
                path,
            })
        })
        .collect()
}

/// Makes a planned change: backs the file up (install) or clears backups away (undo), and replaces it in one step.
///
/// Mode and owner stay; a symbolic link stays one and its target is replaced. A plan without changes touches nothing. A crash
/// leaves the old file or the new one, whole, and at most a backup and a file named `.NAME.tacho-PID` beside it. Hard links,
/// ACLs and extended attributes do not survive.
///
/// # Errors
///
/// `Changed` when the file is not what the plan was made for; `ReadOnly`, `TooManyBackups`, `Io`; those of [`read`].
pub fn apply(plan: &Plan, path: &Path) -> Result<Applied, InstallError> {
    let (target, metadata) = resolve(path)?;
    let mut applied = Applied {
        path: target.clone(),
        backup: None,
        removed: Vec::new(),
        kept: Vec::new(),
    };
    if !plan.changes() {
        return Ok(applied);
    }
    if metadata.permissions().readonly() {
        return Err(InstallError::ReadOnly {
            path: path.to_path_buf(),
        });
    }
    // Before the backup, so that a stale plan leaves nothing behind.
    unchanged(plan, &target)?;
    if !plan.undo {
        applied.backup = Some(back_up(plan.before(), &target, &metadata)?);
    }
    replace(plan, &target, &metadata)?;
    if plan.undo {
        clear(plan.after(), &target, &mut applied);
    }
    Ok(applied)
}

fn unchanged(plan: &Plan, target: &Path) -> Result<(), InstallError> {
    if read_resolved(target)? == plan.before() {
        Ok(())
    } else {
        Err(InstallError::Changed {
            path: target.to_path_buf(),
        })
    }
}

fn back_up(text: &str, target: &Path, metadata: &Metadata) -> Result<PathBuf, InstallError> {
    if let Some(newest) = backups_of(target).into_iter().next()
        && newest.text == text
    {
        return Ok(newest.path);
    }
    // Behind the highest number taken, not in a gap: the numbers are the order.
    let taken = |number: &usize| fs::symlink_metadata(backup_path(target, *number)).is_ok();
    let number = (0..MAX_BACKUPS)
        .rev()
        .find(taken)
        .map_or(0, |highest| highest + 1);
    if number == MAX_BACKUPS {
        return Err(InstallError::TooManyBackups {
            path: target.to_path_buf(),
            limit: MAX_BACKUPS,
        });
    }
    let path = backup_path(target, number);
    write_new(&path, text, metadata).map_err(|source| refused("back up", target, source))?;
    Ok(path)
}

fn refused(what: &'static str, target: &Path, source: io::Error) -> InstallError {
    let path = target.to_path_buf();
    if matches!(
        source.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    ) {
        InstallError::ReadOnly { path }
    } else {
        InstallError::Io { what, path, source }
    }
}

/// Writes a file that must not exist yet, with mode and owner of another, and syncs it. Nothing is left on failure.
fn write_new(path: &Path, text: &str, like: &Metadata) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Configurations hold keys: nobody else may open it before the mode is set.
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| keep_owner(&file, like))
        .and_then(|()| {
            file.set_permissions(like.permissions())?;
            file.sync_all()
        });
    written.inspect_err(|_| discard(path))
}

#[cfg(unix)]
fn keep_owner(file: &File, like: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    fchown(file, Some(like.uid()), Some(like.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_file: &File, _like: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Removes a file of ours on the way out of a failure, which is what gets reported.
fn discard(path: &Path) {
    drop(fs::remove_file(path));
}

fn replace(plan: &Plan, target: &Path, metadata: &Metadata) -> Result<(), InstallError> {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".tacho-{}", std::process::id()));
    let new = target.with_file_name(name);
    // One of this name is from a process that is gone.
    discard(&new);
    write_new(&new, plan.after(), metadata).map_err(|source| refused("write", target, source))?;
    let swapped = sync_dir(target)
        .map_err(|source| refused("sync the directory of", target, source))
        .and_then(|()| unchanged(plan, target))
        .and_then(|()| rename(&new, target).map_err(|source| refused("replace", target, source)));
    swapped.inspect_err(|_| discard(&new))
}

/// Makes the backup's name durable before the file it was made from goes.
fn sync_dir(target: &Path) -> io::Result<()> {
    match target.parent() {
        Some(dir) if cfg!(unix) => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "contents and backup are synced; after a power cut either file will do"
)]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// After an undo: when the file is again what a backup holds, that one and the later ones have served.
fn clear(text: &str, target: &Path, applied: &mut Applied) {
    let backups = backups_of(target);
    let served = backups
        .iter()
        .position(|backup| backup.text == text)
        .map_or(0, |index| index + 1);
    for (index, backup) in backups.into_iter().enumerate() {
        if index < served && fs::remove_file(&backup.path).is_ok() {
            applied.removed.push(backup.path);
        } else {
            applied.kept.push(backup.path);
        }
    }
}
