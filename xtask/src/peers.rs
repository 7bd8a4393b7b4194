//! `cargo xtask peers`: real MCP servers, with and without the recorder, byte for byte (`tests/peers/`).

use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::place;

/// Builds the release binary and plays every server's session. Arguments go to the script, such as `--only git`.
pub(crate) fn run(arguments: &[String]) -> io::Result<bool> {
    let built = place::cargo()
        .args(["build", "--release", "--locked", "--package", "tachograph"])
        .status()?;
    Ok(built.success() && check(arguments).status()?.success())
}

/// The command that plays the sessions, with the release binary.
pub(crate) fn check(arguments: &[String]) -> Command {
    let mut command = script("check.py");
    command
        .arg("--tacho")
        .arg(binary())
        .arg("--cache")
        .arg(place::cache().join("peers"))
        .args(arguments);
    command
}

/// The command that tests the test: its comparisons must fail on what is wrong.
pub(crate) fn self_test() -> Command {
    script("test_harness.py")
}

/// The release binary.
pub(crate) fn binary() -> PathBuf {
    place::target().join("release").join("tacho")
}

fn script(name: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .current_dir(place::root())
        .arg("-B")
        .arg(place::root().join("tests/peers").join(name));
    command
}
