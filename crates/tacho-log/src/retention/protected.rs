use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::dir::DataDir;
use crate::disk::{Disk as _, RealDisk, read_limited, replace};
use crate::limits::{CURSOR_BYTES, CURSORS, HOLDS, HOLDS_BYTES};

/// A hold: somebody needs these records, whatever the policy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// What people call it; no two holds have the same.
    pub name: String,
    /// The first record that it covers.
    pub from: u64,
    /// The first record after it; `None`: all that comes.
    pub to: Option<u64>,
    /// Why.
    pub reason: String,
}

impl Hold {
    /// Whether it covers one of these records.
    pub fn covers(&self, records: &Range<u64>) -> bool {
        self.from < records.end && self.to.is_none_or(|to| to > records.start)
    }
}

/// What retention must not remove: records under a hold, and those that a required reader has not taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected {
    /// The holds in force.
    pub holds: Vec<Hold>,
    /// Where the slowest required reader is.
    pub cursor: Option<u64>,
}

/// What cannot be read protects everything.
#[derive(Debug, Error)]
#[error("{path} cannot be used, so nothing is removed: {source}")]
pub struct ProtectedError {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub source: io::Error,
}

#[derive(Deserialize)]
struct StoredCursor {
    seq: u64,
    required: bool,
}

impl Protected {
    /// Reads `holds.json` and `cursors/*.json` as they are now. Without them nothing is protected.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read or understood, or there are more than anyone needs.
    pub fn read(dir: &DataDir) -> Result<Self, ProtectedError> {
        Ok(Self {
            holds: read_holds(dir)?,
            cursor: slowest_cursor(&dir.cursors())?,
        })
    }

    /// Whether nothing protects these records.
    pub fn allows(&self, records: &Range<u64>) -> bool {
        self.cursor.is_none_or(|seq| records.end <= seq)
            && !self.holds.iter().any(|hold| hold.covers(records))
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> ProtectedError {
    move |source| ProtectedError {
        path: path.to_owned(),
        source,
    }
}

fn invalid(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The holds in force; none where there is no file.
///
/// # Errors
///
/// When the file cannot be read or understood.
pub fn read_holds(dir: &DataDir) -> Result<Vec<Hold>, ProtectedError> {
    let path = dir.holds();
    let bytes = match read_limited(&RealDisk, &path, HOLDS_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(failed(&path))?,
    };
    let holds: Vec<Hold> =
        serde_json::from_slice(&bytes).map_err(|error| failed(&path)(invalid(error)))?;
    if holds.len() > HOLDS {
        let what = format!("more than {HOLDS} holds");
        return Err(failed(&path)(invalid(what)));
    }
    Ok(holds)
}

/// Replaces the holds; in force and durable on return. A crash in here leaves the old ones or the new ones.
///
/// # Errors
///
/// When the disk does not take them, or there are too many.
pub fn write_holds(dir: &DataDir, holds: &[Hold]) -> Result<(), ProtectedError> {
    let path = dir.holds();
    let written = || {
        let mut bytes = serde_json::to_vec_pretty(holds).map_err(invalid)?;
        bytes.push(b'\n');
        if holds.len() > HOLDS || u64::try_from(bytes.len()).is_ok_and(|len| len > HOLDS_BYTES) {
            let what = format!("more than {HOLDS} holds or {HOLDS_BYTES} bytes");
            return Err(invalid(what));
        }
        replace(&RealDisk, &path, &bytes)?;
        RealDisk.sync_dir(dir.root())
    };
    written().map_err(failed(&path))
}

/// The smallest position of the readers that retention has to wait for.
fn slowest_cursor(dir: &Path) -> Result<Option<u64>, ProtectedError> {
    let names = match RealDisk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        names => names.map_err(failed(dir))?,
    };
    let mut slowest = None;
    let cursors = names.iter().filter(|name| name.ends_with(".json"));
    for (at, name) in cursors.enumerate() {
        let path = dir.join(name);
        if at >= CURSORS {
            return Err(failed(dir)(invalid(format!("more than {CURSORS} cursors"))));
        }
        let bytes = read_limited(&RealDisk, &path, CURSOR_BYTES).map_err(failed(&path))?;
        let cursor: StoredCursor =
            serde_json::from_slice(&bytes).map_err(|error| failed(&path)(invalid(error)))?;
        if cursor.required {
            slowest = Some(slowest.map_or(cursor.seq, |seq: u64| seq.min(cursor.seq)));
        }
    }
    Ok(slowest)
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "what operators and other programs write need not be durable"
)]
mod tests {
    use super::*;

    fn hold(from: u64, to: Option<u64>) -> Hold {
        Hold {
            name: "case-7".to_owned(),
            from,
            to,
            reason: "asked for".to_owned(),
        }
    }

    #[test]
    fn holds_cover_half_open_ranges() {
        for (from, to, covered) in [
            (0, None, true),
            (19, None, true),
            (20, None, false),
            (0, Some(10), false),
            (0, Some(11), true),
            (12, Some(13), true),
            (20, Some(30), false),
            (15, Some(15), true),
        ] {
            assert_eq!(hold(from, to).covers(&(10..20)), covered, "{from} {to:?}");
        }
    }

    #[test]
    fn files() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("data")).unwrap();
        assert_eq!(Protected::read(&dir).unwrap(), Protected::default());
        let holds = vec![hold(3, None), hold(7, Some(9))];
        write_holds(&dir, &holds).unwrap();
        std::fs::create_dir(dir.cursors()).unwrap();
        let cursor = |name: &str, text: &str| {
            std::fs::write(dir.cursors().join(name), text).unwrap();
        };
        cursor("siem.json", r#"{"seq":50,"required":true}"#);
        cursor(
            "archive.json",
            r#"{"seq":40,"required":true,"note":"later versions may say more"}"#,
        );
        cursor("curious.json", r#"{"seq":1,"required":false}"#);
        cursor("siem.json.tmp", "half");
        let protected = Protected::read(&dir).unwrap();
        assert_eq!((&protected.holds, protected.cursor), (&holds, Some(40)));
        cursor("broken.json", "{");
        let error = Protected::read(&dir).unwrap_err().to_string();
        assert!(
            error.contains("broken.json") && error.contains("nothing is removed"),
            "{error}"
        );
        std::fs::remove_file(dir.cursors().join("broken.json")).unwrap();
        for text in [
            "",
            "{}",
            "[{}]",
            r#"[{"name":"x","from":-1,"to":null,"reason":""}]"#,
        ] {
            std::fs::write(dir.holds(), text).unwrap();
            assert!(Protected::read(&dir).is_err(), "{text}");
        }
        assert!(write_holds(&dir, &vec![hold(0, None); HOLDS + 1]).is_err());
    }
}
