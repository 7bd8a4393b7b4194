//! The flight recorder for AI agents: arguments, configuration, wiring, exit codes, and the only code
//! that prints. No logic.

mod args;
mod bodies;
mod commands;
mod config;
mod connect;
mod definitions;
mod error;
mod identities;
pub mod install;
mod keys;
mod outside;
mod place;
mod quantity;
mod record;
mod render;
mod terminal;

use std::process::ExitCode;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    // The usual message of a panic may quote the text that was being worked on, which may be a secret.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |place| format!(" at {place}"));
        terminal::message(&format!("tacho: a defect{place}; please report it"));
    }));
    match args::parse() {
        Ok(args) => commands::run(args),
        Err(code) => code,
    }
}
