//! `minimum-index`: the first record that retention has kept (`docs/format.md` §15; C2SP tlog-tiles calls
//! it the minimum index). A number in decimal and a line feed; no file is a log from 0 on.

use std::io;

use crate::dir::LogDir;
use crate::disk::{Disk, RealDisk, read_limited, replace};
use crate::limits::MINIMUM_INDEX_BYTES;

/// The first record that the log still has to have, as its writer declared it: 0 where nothing was
/// pruned. A claim; that a sealed record says the same is for [`crate::verify`] to check.
///
/// # Errors
///
/// When the file cannot be read; [`io::ErrorKind::InvalidData`] when it is not a minimum index.
pub fn minimum_index(log: &LogDir) -> io::Result<u64> {
    read(&RealDisk, log)
}

pub(crate) fn read(disk: &dyn Disk, log: &LogDir) -> io::Result<u64> {
    match read_limited(disk, &log.minimum_index(), MINIMUM_INDEX_BYTES) {
        Ok(bytes) => parse(&bytes).ok_or_else(|| {
            let what = "not a number in decimal and a line feed";
            io::Error::new(io::ErrorKind::InvalidData, what)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Replaces the file; durable on return. A crash in here leaves the old number or the new one.
pub(crate) fn write(disk: &dyn Disk, log: &LogDir, minimum: u64) -> io::Result<()> {
    let bytes = format!("{minimum}\n");
    replace(disk, &log.minimum_index(), bytes.as_bytes())?;
    disk.sync_dir(log.root())
}

/// Exactly what [`write()`] makes, so that one number has one form.
fn parse(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let number: u64 = text.strip_suffix('\n')?.parse().ok()?;
    (format!("{number}\n") == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_only() {
        assert_eq!(parse(b"0\n"), Some(0));
        assert_eq!(parse(b"18446744073709551615\n"), Some(u64::MAX));
        for text in [
            "", "\n", "1", "01\n", "+1\n", " 1\n", "1\n\n", "1\r\n", "-1\n", "x\n",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
