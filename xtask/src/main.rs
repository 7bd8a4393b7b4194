//! The project's chores: `cargo xtask ci`, which a newcomer and the CI machine run alike, and its parts.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to whoever started it; the rule is for what speaks MCP on stdout"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a chore reads the environment and keeps no data that must be durable"
)]

mod bench;
mod ci;
mod peers;
mod place;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci       everything that must pass: format, lints, tests, documentation, fences, real servers
  tidy     the rules that no other tool checks (fences, lengths, links, forbidden words)
  peers    real MCP servers from npm and PyPI, with and without the recorder (release build)
  foreign  verifiers that are not ours, on a log of our own writer (uses the release build)
  bench    [proxy|emit|log|redact|all]: costs as ratios against peers, in one run (release build)
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let outcome = match command.as_deref() {
        Some("ci") => ci::run(),
        Some("tidy") => tidy::run(),
        Some("peers") => peers::run(&rest),
        Some("foreign") => ci::foreign(),
        Some("bench") => bench::run(&rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
