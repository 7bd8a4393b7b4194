//! What the operator chose: `config.toml` in the data directory. One file for every process of a log,
//! so that a source and its recorder cannot disagree; without it everything has its default.
//!
//! A change of it is recorded (`config_changed`): nobody turns recording down in silence.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tacho_log::DataDir;

use crate::error::{CliError, Exit, Result};

/// A configuration is a page or two; a larger file is something else.
const CONFIG_BYTES: u64 = 256 * 1024;

/// The whole file. An unknown member is a mistake that would otherwise do nothing in silence.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where the signing key is, when not in the data directory.
    pub(crate) key: Key,
}

/// `[key]`: the private key outside the data directory. At most one of them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Key {
    /// A file with the key.
    pub(crate) file: Option<PathBuf>,
    /// A program and its arguments that print the key.
    pub(crate) command: Option<Vec<String>>,
}

/// The configuration and what a record says of it.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// `sha256:` and hex of the file; `None` where there is none.
    pub(crate) digest: Option<String>,
}

/// Reads the configuration of a data directory.
pub(crate) fn load(dir: &DataDir) -> Result<Loaded> {
    let path = dir.config();
    let bytes = match read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::default()),
        Err(error) => return Err(unusable(&path, &error)),
    };
    let text = String::from_utf8(bytes).map_err(|error| unusable(&path, &error))?;
    let config: Config = toml::from_str(&text).map_err(|error| unusable(&path, &error))?;
    let digest: [u8; 32] = Sha256::digest(&text).into();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Loaded {
        config,
        digest: Some(format!("sha256:{hex}")),
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(CONFIG_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len <= CONFIG_BYTES) {
        return Ok(bytes);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("longer than {CONFIG_BYTES} bytes"),
    ))
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> CliError {
    let what = format!("{} is unusable", path.display());
    CliError::from_error(Exit::Usage, &what, error).hint(
        "docs/configuration.md says what may stand in it; nothing is recorded until it is right",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "written by hand, as operators do"
    )]
    fn check(text: &str, judge: impl Fn(Result<Loaded>)) {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("data")).unwrap();
        std::fs::write(dir.config(), text).unwrap();
        judge(load(&dir));
    }

    #[test]
    fn without_a_file_all_is_default() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("data")).unwrap();
        let loaded = load(&dir).unwrap();
        assert!(loaded.digest.is_none() && loaded.config.key.file.is_none());
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, says) in [
            ("[keys]\n", "keys"),
            ("[key]\nfil = 1\n", "fil"),
            ("[key\n", "line 1"),
        ] {
            check(text, |loaded| {
                let error = loaded.unwrap_err().to_string();
                assert!(error.contains("config.toml"), "{error}");
                assert!(error.contains(says), "{error}");
            });
        }
        check(&" ".repeat(300_000), |loaded| assert!(loaded.is_err()));
        check("[key]\nfile = \"/k\"\n", |loaded| {
            assert!(loaded.unwrap().digest.unwrap().starts_with("sha256:"));
        });
    }
}
