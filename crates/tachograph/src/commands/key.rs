//! `tacho key`: the key that signs the log's checkpoints.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tacho_log::key::SigningKey;
use tacho_log::{DataDir, LockError, SystemClock, WriterLock, ask_stop};

use super::serve;
use crate::args::{Key as Args, KeyCommand};
use crate::config;
use crate::connect;
use crate::error::{CliError, Exit, Result};
use crate::keys::{self, KeySource};
use crate::place;
use crate::terminal::Output;

/// A recorder seals and closes within milliseconds; one at work on a slow disk may need longer.
const LOCK_PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn run(dir: Option<&Path>, args: Args) -> Result<ExitCode> {
    match args.command {
        KeyCommand::Create { file, name } => create(dir, file.as_deref(), name),
        KeyCommand::Show { key_fd, json } => show(dir, key_fd, json),
        KeyCommand::Rotate { new_file, key_fd } => rotate(dir, new_file, key_fd),
    }
}

fn create(dir: Option<&Path>, file: Option<&Path>, name: Option<String>) -> Result<ExitCode> {
    let name = name.map_or_else(keys::new_name, Ok)?;
    let key = keys::generate(&name)?;
    // Held to the end: a recorder that starts meanwhile would make a key of its own in the same place.
    let (path, _lock) = match file {
        Some(file) => (file.to_owned(), None),
        None => {
            let dir = place::writers_dir(dir)?;
            (dir.signing_key(), Some(take_over(&dir)?))
        }
    };
    if path.exists() {
        let exists = CliError::new(Exit::Usage, format!("{} exists already", path.display()));
        return Err(exists.hint("see it with: tacho key show; change it with: tacho key rotate"));
    }
    let cannot = |error: std::io::Error| {
        CliError::from_error(
            Exit::Unable,
            &format!("cannot store {}", path.display()),
            &error,
        )
    };
    keys::store(&path, &key.encode()).map_err(cannot)?;
    print_vkey(&key, false)
}

fn show(dir: Option<&Path>, key_fd: Option<u32>, json: bool) -> Result<ExitCode> {
    let dir = existing(dir)?;
    let (_, key) = current(&dir, key_fd)?;
    print_vkey(&key, json)
}

/// Changes the key while no recorder runs: the running one is asked to leave, and sources wait for the next.
fn rotate(dir: Option<&Path>, new_file: Option<PathBuf>, key_fd: Option<u32>) -> Result<ExitCode> {
    let dir = existing(dir)?;
    // First of all the lock: two changes at once, or one after a crash in the middle of another, must not
    // write over a new key that the log already goes by.
    let lock = take_over(&dir)?;
    let chosen = config::load(&dir)?.config.key;
    if let Some(path) = KeySource::of(&dir, &chosen, key_fd)?.path() {
        keys::finish_rotation(path, dir.log())?;
    }
    let (source, old) = current(&dir, key_fd)?;
    let place = source.path().map(Path::to_owned);
    let (new, waiting) = match (new_file, &place) {
        (Some(file), _) => {
            let new = KeySource::File(file).read()?;
            (
                new.ok_or_else(|| CliError::new(Exit::Usage, "there is no key in the new file"))?,
                None,
            )
        }
        (None, Some(path)) => {
            let (new, waiting) = (keys::generate(old.name())?, keys::waiting(path));
            // Durable before the log is told: it may be the only one that can go on.
            keys::store(&waiting, &new.encode()).map_err(|error| {
                CliError::from_error(Exit::Unable, "cannot store the new key", &error)
            })?;
            (new, Some(waiting))
        }
        (None, None) => {
            let cannot = CliError::new(
                Exit::Usage,
                "the key comes from a command or a file descriptor: its place cannot be written",
            );
            let hint = format!(
                "make the new one with: tacho key create --name {} --file NEW; then: tacho key rotate --new-file NEW",
                old.name()
            );
            return Err(cannot.hint(hint));
        }
    };
    let vkey = new.verifying_key().encode();
    let (open, digest) = serve::open(dir.clone(), lock, &source)?;
    let entropy = u64::from_le_bytes(keys::entropy()?);
    open.rotate(new, place::os_user(), digest, &SystemClock, entropy)
        .map_err(|error| {
            CliError::from_error(Exit::Unable, "the key was not changed", &error)
                .hint("the next recorder finds out how far it came; see: tacho verify")
        })?;
    let mut out = Output::words(false);
    super::printed(out.line(&vkey))?;
    match (place, waiting) {
        (Some(path), Some(_)) => keys::finish_rotation(&path, dir.log())?,
        _ => crate::terminal::message(
            "tacho: from now on only the new key can continue this log: point [key] in config.toml at it, and destroy the old one",
        ),
    }
    crate::terminal::message(
        "tacho: the key was changed; verifiers with the old one can follow, and should be given the new one",
    );
    Ok(Exit::Ok.into())
}

fn existing(dir: Option<&Path>) -> Result<DataDir> {
    let path = place::data_path(dir)?;
    DataDir::open(&path)
        .map_err(|error| CliError::from_error(Exit::Unable, "the data directory", &error))
}

/// Where the key is, and what it is.
fn current(dir: &DataDir, key_fd: Option<u32>) -> Result<(KeySource, SigningKey)> {
    let chosen = config::load(dir)?.config.key;
    let source = KeySource::of(dir, &chosen, key_fd)?;
    match source.read()? {
        Some(key) => Ok((source, key)),
        None => Err(CliError::new(Exit::Unable, "this log has no key yet")
            .hint("make one with: tacho key create; the first recorder does it too")),
    }
}

/// Asks the recorder to leave and takes its place. A source may start another one in between.
fn take_over(dir: &DataDir) -> Result<WriterLock> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        if let Ok(stream) = connect::connect(dir) {
            // One that does not answer still has the lock, and that is what counts.
            let _asked = ask_stop(stream).is_ok();
        }
        match dir.lock() {
            Ok(lock) => return Ok(lock),
            Err(LockError::Held { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => {
                let failed = CliError::from_error(Exit::Unable, "the writer's lock", &error);
                return Err(failed.hint("end what records into this log, then try again"));
            }
        }
    }
}

fn print_vkey(key: &SigningKey, json: bool) -> Result<ExitCode> {
    let vkey = key.verifying_key().encode();
    let mut out = Output::words(json);
    super::printed(if json {
        let id = format!("{:08x}", key.verifying_key().key_id());
        out.line(&serde_json::json!({"origin": key.name(), "key_id": id, "vkey": vkey}).to_string())
    } else {
        out.line(&vkey)
    })?;
    Ok(Exit::Ok.into())
}
