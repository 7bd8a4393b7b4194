//! Fuzzing, a minute each target: what coverage-guided search finds in a minute must not be there.
//!
//! The instrumentation needs no nightly compiler as long as no sanitizer is asked for, and this code has no `unsafe`
//! for a sanitizer to look into; panics, overflows and hangs are found without.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::steps::passes;
use crate::place;

/// What `cargo fuzz build --sanitizer none` gives the compiler: edge counters and compared values for libFuzzer.
const INSTRUMENTATION: &str = "--cfg fuzzing -Cpasses=sancov-module -Cdebug-assertions -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Given, so that build scripts and macros are not instrumented.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Everything that parses foreign bytes.
const TARGETS: [&str; 9] = [
    "note",
    "checkpoint",
    "proof",
    "tile",
    "segment",
    "socket",
    "policy",
    "redact",
    "exchange",
];

/// Seconds for each target.
const SECONDS: u32 = 60;

/// As many at once as there are processors to be counted on.
const AT_ONCE: usize = 2;

/// Builds the targets and runs each for a minute from its committed corpus.
pub(crate) fn run() -> io::Result<bool> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        println!("    only on {TARGET}; elsewhere the corpora run");
        return Ok(true);
    }
    let fuzz = place::root().join("fuzz");
    let built = place::target().join("fuzz");
    let mut build = place::cargo();
    build
        .args([
            "build",
            "--release",
            "--locked",
            "--bins",
            "--target",
            TARGET,
            "--manifest-path",
        ])
        .arg(fuzz.join("Cargo.toml"))
        .env("RUSTFLAGS", INSTRUMENTATION)
        .env("CARGO_TARGET_DIR", &built);
    if !passes(&mut build)? {
        return Ok(false);
    }
    let programs = built.join(TARGET).join("release");
    let mut all_good = true;
    for together in TARGETS.chunks(AT_ONCE) {
        let started = together
            .iter()
            .map(|target| start(&programs, &fuzz, target).map(|child| (target, child)))
            .collect::<io::Result<Vec<_>>>()?;
        for (target, (mut child, log)) in started {
            let good = child.wait()?.success();
            all_good &= good;
            report(target, good, &log)?;
        }
    }
    Ok(all_good)
}

fn start(programs: &Path, fuzz: &Path, target: &str) -> io::Result<(Child, PathBuf)> {
    // Begins with the committed corpus alone and the same seed, so that a commit that was green stays green: hunting
    // for more is done by hand, with what was found before (CONTRIBUTING.md).
    let kept = place::target().join("fuzz").join("found").join(target);
    if kept.exists() {
        std::fs::remove_dir_all(&kept)?;
    }
    std::fs::create_dir_all(&kept)?;
    let log = kept.with_extension("log");
    let output = std::fs::File::create(&log)?;
    let child = Command::new(programs.join(target))
        .args([
            format!("-max_total_time={SECONDS}"),
            "-timeout=10".to_owned(),
        ])
        .args([
            "-max_len=16384",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            "-seed=1",
        ])
        .arg(format!(
            "-artifact_prefix={}/found-",
            kept.with_extension("").display()
        ))
        .arg(&kept)
        .arg(fuzz.join("corpus").join(target))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()?;
    Ok((child, log))
}

/// One line for a good run; everything for a bad one, with what to do.
fn report(target: &str, good: bool, log: &Path) -> io::Result<()> {
    let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    let executed = text
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let executed = executed.unwrap_or("an unknown number of").trim();
    if good {
        println!("    {target}: {executed} inputs");
    } else {
        println!("{text}");
        println!(
            "    {target}: a finding; the input belongs into fuzz/corpus/{target} with its fix"
        );
    }
    Ok(())
}
