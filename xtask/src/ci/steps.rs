//! The steps, in order. Each is an ordinary command that can be run alone.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::totals::Totals;
use super::{foreign, fuzz, system};
use crate::{peers, place, tidy};

/// The cargo-deny we install when there is none; pinned, so that a new release cannot turn a green commit red.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// One step.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut Totals) -> io::Result<bool>,
}

pub(crate) const ALL: &[Step] = &[
    Step {
        name: "system packages",
        run: |_| system::prepare(),
    },
    Step {
        name: "format",
        run: |_| passes(place::cargo().args(["fmt", "--all", "--check"])),
    },
    Step {
        name: "lints",
        run: lints,
    },
    Step {
        name: "tests",
        run: tests,
    },
    Step {
        name: "documentation",
        run: documentation,
    },
    Step {
        name: "tidy",
        run: |_| tidy::run(),
    },
    Step {
        name: "dependencies and licences (cargo-deny)",
        run: deny,
    },
    Step {
        name: "fuzz corpus",
        run: fuzz_corpus,
    },
    Step {
        name: "fuzzing, a minute each",
        run: |_| fuzz::run(),
    },
    Step {
        name: "Merkle oracles",
        run: oracles,
    },
    Step {
        name: "release build",
        run: release,
    },
    Step {
        name: "demo, as the README says",
        run: |_| passes(Command::new(peers::binary()).arg("demo")),
    },
    Step {
        name: "foreign verifiers: Go and Python",
        run: |_| foreign::run(),
    },
    Step {
        name: "peers: the test tested",
        run: |totals| counted(&mut peers::self_test(), totals),
    },
    Step {
        name: "peers: real MCP servers, byte for byte",
        run: |totals| counted(&mut peers::check(&[]), totals),
    },
];

fn lints(_: &mut Totals) -> io::Result<bool> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    passes(place::cargo().args(arguments))
}

/// Documentation examples included: `cargo test` without a target selection runs them too.
fn tests(totals: &mut Totals) -> io::Result<bool> {
    counted(
        place::cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"]),
        totals,
    )
}

fn documentation(_: &mut Totals) -> io::Result<bool> {
    let arguments = [
        "doc",
        "--workspace",
        "--locked",
        "--no-deps",
        "--document-private-items",
    ];
    passes(
        place::cargo()
            .args(arguments)
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Advisories are left out: a new one must be looked at, but it is no fault of the commit that happens to be tested.
fn deny(_: &mut Totals) -> io::Result<bool> {
    let Some(program) = cargo_deny()? else {
        return Ok(false);
    };
    let mut command = Command::new(program);
    command.current_dir(place::root());
    passes(command.args([
        "--workspace",
        "--locked",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

/// The cargo-deny on the path, else ours in the cache, built the first time (a minute or two: unoptimised is enough).
fn cargo_deny() -> io::Result<Option<PathBuf>> {
    let on_path = PathBuf::from("cargo-deny");
    if runs(&on_path) {
        return Ok(Some(on_path));
    }
    let tools = place::cache().join("tools");
    let ours = tools.join("bin").join("cargo-deny");
    if runs(&ours) {
        return Ok(Some(ours));
    }
    println!(
        "    cargo-deny is not installed: building it once into {}",
        tools.display()
    );
    let mut install = place::cargo();
    install
        .args(["install", "--quiet", "--locked", "--debug", "--root"])
        .arg(&tools)
        .arg(CARGO_DENY);
    // A target directory of its own, removed afterwards: else it stays in ours at ten times the size of the tool.
    let build = tools.join("build");
    install.env("CARGO_TARGET_DIR", &build);
    let installed = passes(&mut install)?;
    std::fs::remove_dir_all(&build)?;
    Ok(installed.then_some(ours))
}

fn runs(program: &Path) -> bool {
    let quiet = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    matches!(quiet, Ok(status) if status.success())
}

/// Plays the committed corpus through every fuzz target that offers it as a plain program.
///
/// Fuzzing itself needs a nightly compiler; playing a corpus does not, so a found input stays found on any machine.
fn fuzz_corpus(_: &mut Totals) -> io::Result<bool> {
    let manifest = place::root().join("fuzz").join("Cargo.toml");
    if !manifest.exists() {
        println!("    no fuzz targets yet");
        return Ok(true);
    }
    let mut command = place::cargo();
    command
        .args(["test", "--locked", "--manifest-path"])
        .arg(manifest);
    passes(&mut command)
}

/// Two Merkle verifiers that are not ours, on every proof that we make and on what a forger would make of it.
fn oracles(totals: &mut Totals) -> io::Result<bool> {
    let manifest = place::root().join("tests/oracles/Cargo.toml");
    let mut command = place::cargo();
    command.args(["test", "--locked", "--manifest-path"]);
    counted(command.arg(manifest), totals)
}

fn release(_: &mut Totals) -> io::Result<bool> {
    passes(place::cargo().args(["build", "--release", "--locked", "--package", "tachograph"]))
}

pub(super) fn passes(command: &mut Command) -> io::Result<bool> {
    announce(command);
    Ok(command.stdin(Stdio::null()).status()?.success())
}

/// Runs a test program: its output passes through as it comes, and its totals are added up.
fn counted(command: &mut Command, totals: &mut Totals) -> io::Result<bool> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let text = String::from_utf8_lossy(&line);
            println!("{text}");
            totals.take(&text);
        }
    }
    Ok(child.wait()?.success())
}

fn announce(command: &Command) {
    let words: Vec<_> = command
        .get_args()
        .map(|word| word.to_string_lossy())
        .collect();
    println!(
        "    $ {} {}",
        command.get_program().to_string_lossy(),
        words.join(" ")
    );
    // What the command prints to stderr must come after its announcement, also when stdout is a file.
    drop(io::stdout().flush());
}
