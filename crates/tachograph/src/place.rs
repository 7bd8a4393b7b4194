//! Where the data directory is, and who runs us: the only readers of the environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tacho_event::{Actor, Auth, Unredacted};
use tacho_log::{DataDir, LogDir};

use crate::error::{CliError, Exit, Result};

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the environment is read"
)]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// `--dir`, else `TACHO_DIR` (clap has looked there), else the XDG state directory.
pub(crate) fn data_path(dir: Option<&Path>) -> Result<PathBuf> {
    if let Some(dir) = dir {
        return Ok(std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()));
    }
    if let Some(state) = variable("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
    {
        return Ok(state.join("tachograph"));
    }
    match variable("HOME") {
        Some(home) => Ok(PathBuf::from(home).join(".local/state/tachograph")),
        None => Err(
            CliError::new(Exit::Usage, "no place for the log: HOME is not set")
                .hint("give one with --dir DIR or TACHO_DIR"),
        ),
    }
}

/// The directory of a witness: `--dir`, else one beside the recorder's in the XDG state directory.
pub(crate) fn witness_path(dir: Option<&Path>) -> Result<PathBuf> {
    let path = data_path(dir)?;
    Ok(match dir {
        Some(_) => path,
        None => path.with_file_name("tachograph-witness"),
    })
}

/// The writer's directory, made when it is not there.
pub(crate) fn writers_dir(dir: Option<&Path>) -> Result<DataDir> {
    let path = data_path(dir)?;
    DataDir::create(&path)
        .map_err(|error| CliError::from_error(Exit::Unable, "the data directory", &error))
}

/// A log to read: a data directory or a copy of its `log`.
pub(crate) fn readers_dir(dir: Option<&Path>) -> Result<LogDir> {
    let path = data_path(dir)?;
    LogDir::at(&path).map_err(|error| {
        CliError::from_error(Exit::Incomplete, "no log to read", &error)
            .hint("record something first: tacho run -- COMMAND, or see tacho demo")
    })
}

/// The user that runs this process, as the operating system knows it.
pub(crate) fn os_user() -> Actor {
    let uid = rustix::process::getuid().as_raw();
    let name = std::fs::read_to_string("/etc/passwd")
        .ok()
        .and_then(|users| user_name(&users, uid));
    let id = name.unwrap_or_else(|| format!("uid:{uid}"));
    Actor {
        id: Unredacted::new(id),
        auth: Auth::OsUser,
        uid: Some(uid),
    }
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, uid_field) = (fields.next()?, fields.nth(1)?);
        (uid_field.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The name of this machine, for the log's origin.
pub(crate) fn host() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .to_ascii_lowercase();
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' || c == '-' {
                c
            } else {
                '-'
            }
        })
        .take(63)
        .collect();
    if name.is_empty() {
        "host".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_user_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbroken\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(user_name(passwd, 7), None);
    }
}
