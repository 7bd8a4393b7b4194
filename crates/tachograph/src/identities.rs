//! Private keys of whoever reads what is encrypted: a file that `tacho evidence keygen` or `age-keygen` made.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tacho_log::limits::IDENTITY_BYTES;
use tacho_log::reader::ReadError;
use tacho_log::recipients::Identities;
use zeroize::Zeroizing;

use crate::error::{CliError, Exit, Result};
use crate::terminal::{self, escape};

/// Reads the identities, if a file is given.
pub(crate) fn load(path: Option<&Path>) -> Result<Option<Arc<Identities>>> {
    path.map(load_from).transpose()
}

/// Reads them from a file; `-` is stdin.
pub(crate) fn load_from(path: &Path) -> Result<Arc<Identities>> {
    let wrong = |error: &dyn std::error::Error| {
        CliError::from_error(
            Exit::Usage,
            &format!("--identity {}", path.display()),
            error,
        )
        .hint("make one with: tacho evidence keygen --out FILE")
    };
    let text = read(path).map_err(|error| wrong(&error))?;
    Identities::parse(&text)
        .map(Arc::new)
        .map_err(|error| wrong(&error))
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    if path == Path::new("-") {
        return read_text(io::stdin());
    }
    let file = std::fs::File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        terminal::message(&format!(
            "tacho: others can read {0}, which opens encrypted records; run: chmod 600 {0}",
            path.display()
        ));
    }
    read_text(file)
}

fn read_text(source: impl io::Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    source.take(IDENTITY_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|len| len <= IDENTITY_BYTES) {
        return Ok(text);
    }
    let what = format!("longer than {IDENTITY_BYTES} bytes");
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

/// Records were passed over: nobody should take what is shown for all there is.
pub(crate) fn say(error: &ReadError) {
    let text = escape(&error.to_string());
    terminal::message(&format!("tacho: not shown: {text} (see --identity)"));
}
