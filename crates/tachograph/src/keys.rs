//! The keys of a log's writer: the digest key beside the log, the signing key there or elsewhere.

use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tacho_event::DigestKey;
use tacho_log::disk::{Disk as _, RealDisk};
use tacho_log::key::{CosigningKey, SigningKey};
use tacho_log::rotation::rotations;
use tacho_log::{DataDir, LogDir, WriterLock};
use zeroize::Zeroizing;

use crate::config::Key;
use crate::error::{CliError, Exit, Result};

/// A key is one line of at most 400 bytes; what is longer is something else.
const KEY_BYTES: u64 = 4_096;

/// A program that prints the key may ask a person first; nobody answers for longer.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);

/// The keys of a log's writer.
pub(crate) struct Keys {
    pub(crate) signing: SigningKey,
    pub(crate) digest: DigestKey,
}

/// Where the signing key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// In the data directory; made there when it is missing.
    Own(PathBuf),
    /// In a file that the operator made.
    File(PathBuf),
    /// Behind an inherited file descriptor.
    Descriptor(u32),
    /// Printed by a program.
    Command(Vec<String>),
}

impl KeySource {
    /// The source that the operator chose: on the command line, else in the configuration.
    pub(crate) fn of(dir: &DataDir, chosen: &Key, descriptor: Option<u32>) -> Result<Self> {
        match (descriptor, &chosen.file, &chosen.command) {
            (Some(number), _, _) => Ok(Self::Descriptor(number)),
            (None, None, None) => Ok(Self::Own(dir.signing_key())),
            (None, Some(file), None) => Ok(Self::File(dir.root().join(file))),
            (None, None, Some(words)) if !words.is_empty() => Ok(Self::Command(words.clone())),
            (None, _, _) => Err(CliError::new(
                Exit::Usage,
                "[key] in config.toml has not one of: file, command",
            )),
        }
    }

    /// The file that a new key can take the place of.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Own(path) | Self::File(path) => Some(path),
            Self::Descriptor(_) | Self::Command(_) => None,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Own(path) | Self::File(path) => format!("the signing key in {}", path.display()),
            Self::Descriptor(number) => format!("the signing key from file descriptor {number}"),
            Self::Command(words) => {
                let program = words.first().map_or("", String::as_str);
                format!("the signing key that {program} prints")
            }
        }
    }

    /// Reads the key; `None` where the operator's own directory has none yet.
    pub(crate) fn read(&self) -> Result<Option<SigningKey>> {
        let text = match self {
            Self::Own(path) | Self::File(path) => read_private(path),
            Self::Descriptor(number) => {
                std::fs::File::open(format!("/dev/fd/{number}")).and_then(read_key)
            }
            Self::Command(words) => printed_by(words),
        };
        let text = match (text, self) {
            (Err(error), Self::Own(_)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            (Err(error), Self::File(path)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(unusable(&self.describe(), &error).hint(format!(
                    "make one with: tacho key create --file {}",
                    path.display()
                )));
            }
            (text, _) => text.map_err(|error| unusable(&self.describe(), &error))?,
        };
        let key = SigningKey::parse(text.trim_end());
        key.map(Some)
            .map_err(|error| unusable(&self.describe(), &error))
    }
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

/// Reads the keys, making those that are missing in the data directory. Only the holder of the writer's
/// lock may, so two recorders never make two keys.
pub(crate) fn load_or_create(
    dir: &DataDir,
    source: &KeySource,
    _lock: &WriterLock,
) -> Result<Keys> {
    if let Some(path) = source.path() {
        finish_rotation(path, dir.log())?;
    }
    let signing = match source.read()? {
        Some(key) => key,
        None => {
            let key = generate(&new_name()?)?;
            store(&dir.signing_key(), &key.encode()).map_err(|error| {
                CliError::from_error(Exit::Unable, "cannot store the signing key", &error)
            })?;
            key
        }
    };
    let path = dir.digest_key();
    let digest = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let bytes = Zeroizing::new(entropy::<32>()?);
            let hex: Zeroizing<String> =
                Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
            store(&path, &hex).map_err(|error| {
                CliError::from_error(Exit::Unable, "cannot store the digest key", &error)
            })?;
            hex
        }
        text => Zeroizing::new(text.map_err(|error| digest_unusable(&path, &error))?),
    };
    let digest = DigestKey::from_hex(&digest).map_err(|error| digest_unusable(&path, &error))?;
    Ok(Keys { signing, digest })
}

/// The key of a witness, made when there is none. The caller holds the lock of its directory.
pub(crate) fn load_or_create_witness(path: &Path, name: Option<&str>) -> Result<CosigningKey> {
    let wrong = |exit, error: &dyn std::error::Error| {
        let what = format!("the witness's key in {}", path.display());
        CliError::from_error(exit, &what, error)
            .hint("restore the file; a witness with another key is another witness")
    };
    match read_private(path) {
        Ok(text) => {
            CosigningKey::parse(text.trim_end()).map_err(|error| wrong(Exit::Unable, &error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = match name {
                Some(name) => name.to_owned(),
                None => new_name()?.replacen('/', "/witness/", 1),
            };
            let key = CosigningKey::generate(&name, entropy()?)
                .map_err(|error| CliError::from_error(Exit::Usage, "the witness's name", &error))?;
            store(path, &key.encode()).map_err(|error| wrong(Exit::Unable, &error))?;
            Ok(key)
        }
        Err(error) => Err(wrong(Exit::Unable, &error)),
    }
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
    DigestKey::from_hex(&text).map_err(|error| digest_unusable(&path, &error))
}

/// A name for a new log.
pub(crate) fn new_name() -> Result<String> {
    let [a, b, c, d] = entropy()?;
    let host = crate::place::host();
    Ok(format!("tacho.local/{host}-{a:02x}{b:02x}{c:02x}{d:02x}"))
}

/// A new signing key.
pub(crate) fn generate(name: &str) -> Result<SigningKey> {
    SigningKey::generate(name, entropy()?)
        .map_err(|error| CliError::from_error(Exit::Usage, "the log's name", &error))
}

/// Where a new key waits until the log is its own.
pub(crate) fn waiting(path: &Path) -> PathBuf {
    let mut waiting = path.as_os_str().to_owned();
    waiting.push(".new");
    PathBuf::from(waiting)
}

/// Puts the new key in the place of the old one, if the log has changed its key already: a crash may have
/// come between the two. The old private key is gone then.
pub(crate) fn finish_rotation(path: &Path, log: &LogDir) -> Result<()> {
    let waiting = waiting(path);
    let Ok(text) = read_private(&waiting) else {
        return Ok(());
    };
    // One that cannot be read was never in force: the key is whole before the log is told of it.
    let Ok(new) = SigningKey::parse(text.trim_end()) else {
        return Ok(());
    };
    let failed = |error: &dyn std::error::Error| {
        CliError::from_error(Exit::Unable, "cannot finish the change of the key", error)
    };
    let changed = rotations(&RealDisk, log).map_err(|error| failed(&error))?;
    let newest = changed.into_iter().next_back();
    let in_force = newest
        .and_then(|(_, rotation)| rotation.ok())
        .is_some_and(|rotation| rotation.new_key() == new.verifying_key());
    if in_force {
        RealDisk
            .rename(&waiting, path)
            .map_err(|error| failed(&error))?;
        sync_parent(path).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Writes a key so that, whenever the machine stops, there is none or the whole.
pub(crate) fn store(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    if RealDisk.identity(&temporary).is_ok() {
        RealDisk.unlink(&temporary)?;
    }
    let mut file = RealDisk.create(&temporary)?;
    let line = Zeroizing::new(format!("{text}\n"));
    file.write_at(line.as_bytes(), 0)?;
    file.sync()?;
    RealDisk.rename(&temporary, path)?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    RealDisk.sync_dir(parent.unwrap_or(Path::new(".")))
}

/// A key that others can read is no secret of this log.
fn read_private(path: &Path) -> io::Result<Zeroizing<String>> {
    let no_wait = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = std::fs::OpenOptions::new()
        .read(true)
        // A named pipe without a writer must not keep the recorder from saying so.
        .custom_flags(no_wait)
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o7777;
        return Err(io::Error::other(format!(
            "it can be used by others (mode {mode:04o}); run: chmod 600 {}",
            path.display()
        )));
    }
    read_key(file)
}

fn read_key(source: impl io::Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    source.take(KEY_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|len| len <= KEY_BYTES) {
        Ok(text)
    } else {
        Err(io::Error::other("it is longer than a key"))
    }
}

/// What a program prints. Its stderr stays the terminal's, or the recorder's log.
fn printed_by(words: &[String]) -> io::Result<Zeroizing<String>> {
    let (program, args) = words
        .split_first()
        .ok_or_else(|| io::Error::other("no program is named"))?;
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take();
    let reader = std::thread::Builder::new()
        .name("key-command".to_owned())
        .spawn(move || output.map_or_else(|| Ok(Zeroizing::default()), read_key))?;
    let deadline = Instant::now() + COMMAND_PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            let seconds = COMMAND_PATIENCE.as_secs();
            return Err(io::Error::other(format!(
                "it printed nothing within {seconds} s"
            )));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    if !status.success() {
        return Err(io::Error::other(format!("it failed: {status}")));
    }
    reader
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("its output could not be read")))
}

fn unusable(what: &str, error: &dyn std::error::Error) -> CliError {
    CliError::from_error(Exit::Unable, &format!("{what} is unusable"), error).hint(
        "without its key a log cannot be continued; restore it, or start a new log with --dir",
    )
}

fn digest_unusable(path: &Path, error: &dyn std::error::Error) -> CliError {
    unusable(&format!("the digest key in {}", path.display()), error)
}
