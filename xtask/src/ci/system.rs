//! What must be on the machine before anything else: a few packages of the distribution.

use std::io;
use std::process::{Command, Stdio};

/// A program that is needed, and the Debian package that has it.
struct Needed {
    /// Answers with success when the program is there and usable.
    probe: &'static [&'static str],
    package: &'static str,
}

const NEEDED: &[Needed] = &[
    Needed {
        probe: &["cc", "--version"],
        package: "build-essential",
    },
    Needed {
        probe: &["git", "--version"],
        package: "git",
    },
    Needed {
        probe: &["node", "--version"],
        package: "nodejs",
    },
    Needed {
        probe: &["npm", "--version"],
        package: "npm",
    },
    Needed {
        probe: &["strace", "-V"],
        package: "strace",
    },
    // Reads the evidence that we encrypt, and makes keys for it.
    Needed {
        probe: &["age-keygen", "--version"],
        package: "age",
    },
    // Debian's python3 has venv but not ensurepip, without which no environment can be made.
    Needed {
        probe: &["python3", "-c", "import venv, ensurepip"],
        package: "python3-venv",
    },
    // Foreign verifiers: Go with its libraries as Debian packages them, and what Python reads .zst with.
    Needed {
        probe: &["go", "version"],
        package: "golang-go",
    },
    Needed {
        probe: &["ls", "/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog"],
        package: "golang-golang-x-mod-dev",
    },
    Needed {
        probe: &["zstd", "--version"],
        package: "zstd",
    },
];

/// Installs what is missing when run by root; says what to install otherwise.
pub(crate) fn prepare() -> io::Result<bool> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|needed| !answers(needed.probe))
        .map(|needed| needed.package)
        .collect();
    if missing.is_empty() {
        println!("    everything is there");
        return Ok(true);
    }
    println!("    missing: {}", missing.join(", "));
    if !answers(&["apt-get", "--version"]) || !is_root()? {
        println!(
            "    please install them, on Debian with: sudo apt-get install {}",
            missing.join(" ")
        );
        return Ok(false);
    }
    install(&missing)
}

fn install(packages: &[&str]) -> io::Result<bool> {
    // Lists of a fresh machine are empty or old, and then a package is not found.
    if !apt(&["update"])? {
        return Ok(false);
    }
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)
}

fn apt(arguments: &[&str]) -> io::Result<bool> {
    let status = Command::new("apt-get")
        .args(["--quiet", "--quiet"])
        .args(arguments)
        // A package that asks a question must take its default, not wait for an answer.
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()?;
    Ok(status.success())
}

fn answers(probe: &[&str]) -> bool {
    let Some((program, arguments)) = probe.split_first() else {
        return false;
    };
    let quiet = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    matches!(quiet, Ok(status) if status.success())
}

fn is_root() -> io::Result<bool> {
    let output = Command::new("id").arg("-u").output()?;
    Ok(output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::answers;

    #[test]
    fn a_program_that_fails_or_is_not_there_is_missing() {
        for (probe, there) in [
            (&["cargo", "--version"][..], true),
            (&["cargo", "no-such-command"], false),
            (&["no-such-program-anywhere"], false),
            (&[], false),
        ] {
            assert_eq!(answers(probe), there, "{probe:?}");
        }
    }
}
