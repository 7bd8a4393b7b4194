//! The keys beside the log: made by the first recorder, read by the next.

use std::io;
use std::path::Path;

use tacho_event::DigestKey;
use tacho_log::disk::{Disk as _, RealDisk};
use tacho_log::key::SigningKey;
use tacho_log::{DataDir, WriterLock};

use crate::error::{CliError, Exit, Result};

/// The keys of a log's writer.
pub(crate) struct Keys {
    pub(crate) signing: SigningKey,
    pub(crate) digest: DigestKey,
}

/// Random bits of the operating system.
pub(crate) fn entropy<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(CliError::new(
            Exit::Unable,
            format!("no random numbers: {error}"),
        )),
    }
}

/// Reads the keys, making those that are missing. Only the holder of the writer's lock may, so two
/// recorders never make two keys.
pub(crate) fn load_or_create(dir: &DataDir, _lock: &WriterLock) -> Result<Keys> {
    let signing = load(&dir.signing_key(), "the signing key", || {
        let [a, b, c, d] = entropy()?;
        let name = format!(
            "tacho.local/{}-{a:02x}{b:02x}{c:02x}{d:02x}",
            crate::place::host()
        );
        let key = SigningKey::generate(&name, entropy()?);
        let key =
            key.map_err(|error| CliError::from_error(Exit::Unable, "the log's name", &error))?;
        Ok(key.encode().to_string())
    })?;
    let signing = SigningKey::parse(signing.trim_end())
        .map_err(|error| unusable(&dir.signing_key(), "the signing key", &error))?;
    let digest = load(&dir.digest_key(), "the digest key", || {
        Ok(entropy::<32>()?
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    })?;
    let digest = DigestKey::from_hex(&digest)
        .map_err(|error| unusable(&dir.digest_key(), "the digest key", &error))?;
    Ok(Keys { signing, digest })
}

/// The digest key of an existing data directory.
pub(crate) fn load_digest_key(dir: &DataDir) -> Result<DigestKey> {
    let path = dir.digest_key();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        CliError::from_error(
            Exit::Unable,
            &format!("cannot read {}", path.display()),
            &error,
        )
        .hint("the key is made when the first recorder starts")
    })?;
    DigestKey::from_hex(&text).map_err(|error| unusable(&path, "the digest key", &error))
}

fn load(path: &Path, what: &str, make: impl FnOnce() -> Result<String>) -> Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = make()?;
            store(path, &text).map_err(|error| {
                CliError::from_error(Exit::Unable, &format!("cannot store {what}"), &error)
            })?;
            Ok(text)
        }
        Err(error) => Err(unusable(path, what, &error)),
    }
}

/// A crash leaves a temporary file, which the next start replaces, or the whole key: never half of one.
fn store(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    if RealDisk.identity(&temporary).is_ok() {
        RealDisk.unlink(&temporary)?;
    }
    let mut file = RealDisk.create(&temporary)?;
    file.write_at(format!("{text}\n").as_bytes(), 0)?;
    file.sync()?;
    RealDisk.rename(&temporary, path)?;
    path.parent()
        .map_or(Ok(()), |parent| RealDisk.sync_dir(parent))
}

fn unusable(path: &Path, what: &str, error: &dyn std::error::Error) -> CliError {
    CliError::from_error(Exit::Unable, &format!("{what} in {} is unusable", path.display()), error)
        .hint("without its keys a log cannot be continued; restore the file, or start a new log with --dir")
}
