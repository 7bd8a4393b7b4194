//! `cargo xtask bench [proxy|emit|log|redact|all] [--rounds N] [--quick]`: builds what is measured, in
//! release, and runs the benches. They print ratios and never fail because something was slow.

use std::io;
use std::process::{Command, ExitStatus};

/// Builds and runs; `args` go to the benches. The status is that of the first step that failed.
pub(crate) fn run(args: &[String]) -> io::Result<ExitStatus> {
    let built: [&[&str]; 2] = [
        &["build", "--release", "-p", "tachograph", "-p", "tacho-bench"],
        &["build", "--release", "-p", "tacho-event", "--example", "redact_bench"],
    ];
    for step in built {
        let status = Command::new(env!("CARGO")).args(step).status()?;
        if !status.success() {
            return Ok(status);
        }
    }
    Command::new(env!("CARGO"))
        .args(["run", "--release", "-q", "-p", "tacho-bench", "--"])
        .args(args)
        .status()
}
