//! Other people's programs, installed once into the cache directory. What cannot be installed is named in
//! the output and not measured.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::{Place, Result, put};
use crate::report::note;

/// The Python of a virtual environment that has `packages`; none when it cannot be made.
pub(crate) fn python(place: &Place, venv: &str, packages: &[&str]) -> Option<PathBuf> {
    let dir = place.cache.join(venv);
    let python = dir.join("bin/python");
    let mark = dir.join("installed");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&mark).is_ok_and(|has| has == wanted) {
        return Some(python);
    }
    let install = || -> Result<()> {
        run(Command::new("python3").arg("-m").arg("venv").arg(&dir))?;
        run(Command::new(&python)
            .args(["-m", "pip", "install", "-q"])
            .args(packages))?;
        put(&mark, &wanted)
    };
    available(&wanted, install()).then_some(python)
}

/// A directory whose `node_modules` has `packages`; none when it cannot be made.
pub(crate) fn node(place: &Place, packages: &[&str]) -> Option<PathBuf> {
    let dir = place.cache.join("node");
    let mark = dir.join("installed");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&mark).is_ok_and(|has| has == wanted) {
        return Some(dir);
    }
    let install = || -> Result<()> {
        std::fs::create_dir_all(&dir)?;
        put(
            &dir.join("package.json"),
            "{\"private\":true,\"type\":\"module\"}\n",
        )?;
        let quiet = ["install", "--no-audit", "--no-fund", "--silent"];
        run(Command::new("npm")
            .current_dir(&dir)
            .args(quiet)
            .args(packages))?;
        put(&mark, &wanted)
    };
    available(&wanted, install()).then_some(dir)
}

/// A script of ours in `dir`, where it finds the modules installed there.
pub(crate) fn script(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    put(&path, text)?;
    Ok(path)
}

/// Runs `command` and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let done = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !done.status.success() {
        return Err(format!("{} {}", command.get_program().display(), done.status).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

fn available(what: &str, installed: Result<()>) -> bool {
    match installed {
        Ok(()) => true,
        Err(error) => {
            note(&format!("not measured: {what}: {error}"));
            false
        }
    }
}
