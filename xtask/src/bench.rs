//! `cargo xtask bench [proxy|emit|log|redact|all] [--rounds N] [--quick]`: builds what is measured, in
//! release, and runs the benches. They print ratios and never fail because something was slow.

use std::io;

use crate::place;

/// Builds and runs; `arguments` go to the benches.
pub(crate) fn run(arguments: &[String]) -> io::Result<bool> {
    let programs: &[&str] = &[
        "build",
        "--release",
        "-p",
        "tachograph",
        "-p",
        "tacho-bench",
    ];
    let example: &[&str] = &[
        "build",
        "--release",
        "-p",
        "tacho-event",
        "--example",
        "redact_bench",
    ];
    for step in [programs, example] {
        if !place::cargo().args(step).status()?.success() {
            return Ok(false);
        }
    }
    let mut bench = place::cargo();
    bench
        .args(["run", "--release", "-q", "-p", "tacho-bench", "--"])
        .args(arguments);
    Ok(bench.status()?.success())
}
