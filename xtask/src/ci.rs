//! `cargo xtask ci`: every step in order, all of them even after a failure, a summary at the end.
//!
//! Debug and release are never built side by side: on two cores that is slower than one after the other, and it doubles
//! the memory that the linker needs.

mod foreign;
mod fuzz;
mod steps;
mod system;
mod totals;

use std::io;
use std::time::{Duration, Instant};

use totals::Totals;

/// What one step came to.
struct Done {
    name: &'static str,
    took: Duration,
    passed: bool,
}

/// Runs all steps. `false` when one of them failed.
pub(crate) fn run() -> io::Result<bool> {
    let started = Instant::now();
    let mut totals = Totals::default();
    let mut done = Vec::new();
    for step in steps::ALL {
        println!("\n==> {}", step.name);
        let begun = Instant::now();
        let outcome = (step.run)(&mut totals);
        if let Err(error) = &outcome {
            println!("    {error}");
        }
        let passed = matches!(outcome, Ok(true));
        let took = begun.elapsed();
        println!(
            "<== {}: {} in {:.1} s",
            step.name,
            verdict(passed),
            took.as_secs_f64()
        );
        done.push(Done {
            name: step.name,
            took,
            passed,
        });
    }
    Ok(summary(&done, &totals, started.elapsed()))
}

/// One step alone: verifiers that are not ours.
pub(crate) fn foreign() -> io::Result<bool> {
    foreign::run()
}

fn verdict(passed: bool) -> &'static str {
    if passed { "ok" } else { "FAILED" }
}

/// Prints the table and the line that totals everything; a step counts as a test of its own.
fn summary(done: &[Done], totals: &Totals, took: Duration) -> bool {
    println!("\n==> summary");
    for step in done {
        println!(
            "{:>8.1} s  {:<6}  {}",
            step.took.as_secs_f64(),
            verdict(step.passed),
            step.name
        );
    }
    println!("{:>8.1} s  in all", took.as_secs_f64());
    let failed_steps = done.iter().filter(|step| !step.passed).count();
    println!(
        "{} of {} steps passed",
        done.len() - failed_steps,
        done.len()
    );
    // A step can fail without a failed test (a lint, a build): then the last line must not say `0 failed`.
    let failed = totals
        .failed
        .max(u64::try_from(failed_steps).unwrap_or(u64::MAX));
    println!("{} passed, {failed} failed", totals.passed);
    failed == 0
}
