//! A recorder for a bench: `tacho serve`, and the word that ends one.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, Result};

/// Longest wait for a recorder to come or go.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running `tacho serve`.
pub(crate) struct Serve {
    child: Child,
    dir: PathBuf,
}

impl Serve {
    /// Starts a recorder over `dir` and waits until it listens.
    pub(crate) fn start(place: &Place, dir: &Path) -> Result<Self> {
        let child = Command::new(place.program("tacho"))
            .arg("serve")
            .arg("--dir")
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let serve = Self {
            child,
            dir: dir.to_owned(),
        };
        let started = Instant::now();
        while UnixStream::connect(dir.join("recorder.sock")).is_err() {
            if started.elapsed() > PATIENCE {
                return Err("tacho serve does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(serve)
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        if stop(&self.dir).is_err() {
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}

/// Asks the recorder over `dir` to leave (frame STOP of the log format, section 10) and waits until it
/// has; no recorder is no error.
pub(crate) fn stop(dir: &Path) -> Result<()> {
    let Ok(mut stream) = UnixStream::connect(dir.join("recorder.sock")) else {
        return Ok(());
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[1, 0, 0, 0, 9])?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    let started = Instant::now();
    while UnixStream::connect(dir.join("recorder.sock")).is_ok() {
        if started.elapsed() > PATIENCE {
            return Err("the recorder does not leave".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
