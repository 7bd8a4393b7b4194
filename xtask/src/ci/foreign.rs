//! Verifiers that are not ours, on a log that is: Go's `sumdb/note` and `sumdb/tlog`, and the page of Python in
//! `docs/verify.py`. Each must accept the log as it was written, and refuse it once a byte was changed.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{peers, place};

/// More than one tile of level 1, so that there are three levels of tiles, full and partial ones.
const RECORDS: &str = "70000";

/// Where Debian has the sources of Go libraries.
const GO_PATH: &str = "/usr/share/gocode";

/// Writes a log, exports it, and lets the others look at both.
pub(crate) fn run() -> io::Result<bool> {
    let scratch = place::cache().join("foreign");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch)?;
    }
    std::fs::create_dir_all(&scratch)?;
    let log = Log {
        data: scratch.join("data"),
        tiles: scratch.join("tiles"),
        go: scratch.join("check"),
        vkey: String::new(),
    };
    let good = log.checked();
    std::fs::remove_dir_all(&scratch)?;
    good
}

struct Log {
    data: PathBuf,
    tiles: PathBuf,
    /// The Go program, built.
    go: PathBuf,
    vkey: String,
}

impl Log {
    fn checked(mut self) -> io::Result<bool> {
        let mut write = place::cargo();
        write.args([
            "run",
            "--quiet",
            "--locked",
            "--package",
            "tacho-log",
            "--example",
        ]);
        let write = write.args(["write_log", "--"]).arg(&self.data).arg(RECORDS);
        let written = write
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        let printed = String::from_utf8_lossy(&written.stdout).into_owned();
        let Some((RECORDS, vkey)) = printed.trim_end().split_once(' ') else {
            println!("    the log could not be written: {printed}");
            return Ok(false);
        };
        vkey.clone_into(&mut self.vkey);
        let mut export = Command::new(peers::binary());
        export
            .arg("--dir")
            .arg(&self.data)
            .args(["export", "--tiles"]);
        Ok(passes(export.arg(&self.tiles))?
            && passes(&mut self.build_go())?
            && passes(&mut self.by_go())?
            && passes(&mut self.by_python())?
            && self.changes_are_seen()?)
    }

    fn build_go(&self) -> Command {
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(&self.go);
        build.arg(place::root().join("tests/foreign/check.go"));
        // As Debian builds: libraries from its packages, nothing from the network.
        build.envs([("GO111MODULE", "off"), ("GOPATH", GO_PATH), ("GOFLAGS", "")]);
        build
    }

    fn by_go(&self) -> Command {
        let mut check = Command::new(&self.go);
        check.arg("-tacho").arg(peers::binary());
        check
            .arg("-data")
            .arg(&self.data)
            .arg("-tiles")
            .arg(&self.tiles);
        check.args(["-vkey", &self.vkey]);
        check
    }

    fn by_python(&self) -> Command {
        let mut verify = Command::new("python3");
        verify.arg("-B").arg(place::root().join("docs/verify.py"));
        verify.args(["--key", &self.vkey]).arg(&self.data);
        verify
    }

    /// A check that accepts everything would pass until here.
    fn changes_are_seen(&self) -> io::Result<bool> {
        let log = self.data.join("log");
        let changes: [(PathBuf, Command, i32); 6] = [
            (self.tiles.join("tile/entries/007"), self.by_go(), 1),
            (self.tiles.join("tile/1/000"), self.by_go(), 1),
            (self.tiles.join("checkpoint"), self.by_go(), 1),
            (log.join("tile/0/271"), self.by_python(), 1),
            (log.join("checkpoint"), self.by_python(), 1),
            (live_segment(&log)?, self.by_python(), 1),
        ];
        for (file, mut check, code) in changes {
            let good = std::fs::read(&file)?;
            let mut bad = good.clone();
            let middle = bad.len() / 2;
            if let Some(byte) = bad.get_mut(middle) {
                *byte ^= 1;
            }
            std::fs::write(&file, bad)?;
            let quiet = check.stdin(Stdio::null()).stdout(Stdio::null());
            let status = quiet.stderr(Stdio::null()).status()?;
            std::fs::write(&file, good)?;
            if status.code() != Some(code) {
                println!("    a change of {} was not seen: {status}", file.display());
                return Ok(false);
            }
        }
        println!("    six changed files: each was seen");
        Ok(true)
    }
}

fn live_segment(log: &Path) -> io::Result<PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(log.join("segments"))? {
        paths.push(entry?.path());
    }
    let newest = paths.into_iter().max();
    newest.ok_or_else(|| io::Error::other("the log has no segment"))
}

fn passes(command: &mut Command) -> io::Result<bool> {
    Ok(command.stdin(Stdio::null()).status()?.success())
}
