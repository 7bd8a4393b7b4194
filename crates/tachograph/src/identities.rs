//! Private keys of whoever reads encrypted segments: a file that `age-keygen` made.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tacho_log::limits::IDENTITY_BYTES;
use tacho_log::reader::ReadError;
use tacho_log::recipients::Identities;

use crate::error::{CliError, Exit, Result};
use crate::terminal::{self, escape};

/// Reads the identities, if a file is given.
pub(crate) fn load(path: Option<&Path>) -> Result<Option<Arc<Identities>>> {
    let Some(path) = path else { return Ok(None) };
    let wrong = |error: &dyn std::error::Error| {
        CliError::from_error(
            Exit::Usage,
            &format!("--identity {}", path.display()),
            error,
        )
        .hint("make one with: age-keygen -o FILE")
    };
    let text = read(path).map_err(|error| wrong(&error))?;
    Identities::parse(&text)
        .map(|identities| Some(Arc::new(identities)))
        .map_err(|error| wrong(&error))
}

fn read(path: &Path) -> io::Result<String> {
    let file = std::fs::File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        terminal::message(&format!(
            "tacho: others can read {0}, which opens encrypted records; run: chmod 600 {0}",
            path.display()
        ));
    }
    let mut text = String::new();
    file.take(IDENTITY_BYTES + 1).read_to_string(&mut text)?;
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
