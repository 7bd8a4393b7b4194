//! The flight recorder for AI agents: arguments, configuration, wiring, exit codes, and the only code
//! that prints. No logic.

mod args;
mod commands;
mod connect;
mod definitions;
mod error;
pub mod install;
mod keys;
mod place;
mod render;
mod terminal;

use std::process::ExitCode;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match args::parse() {
        Ok(args) => commands::run(args),
        Err(code) => code,
    }
}
