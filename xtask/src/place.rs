//! Where things lie: the clone, its build output, the cache beside it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the clone.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

/// What may be kept between runs and is not part of the clone: tools, real servers.
pub(crate) fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    base.join("tachograph-ci")
}

/// `cargo`, the same one that runs us, in the root of the clone.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The files that git tracks, relative to the root. New files count from `git add` on.
pub(crate) fn tracked() -> io::Result<Vec<PathBuf>> {
    let listed = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "-z"])
        .output()?;
    if !listed.status.success() {
        return Err(io::Error::other("git ls-files failed: is this a clone?"));
    }
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    // A file that was deleted and not yet committed is listed, but there is nothing to check.
    Ok(names
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter(|path| root().join(path).exists())
        .collect())
}
