//! One file a command.

mod demo;
mod doctor;
mod evidence;
mod export;
mod hold;
mod install;
mod key;
mod proof;
mod prove;
mod redact;
mod run;
mod serve;
mod show;
mod status;
mod tail;
mod verify;
mod witness;

use std::io;
use std::process::ExitCode;

use crate::args::{Cli, Command};
use crate::error::{CliError, Exit, Result};
use crate::terminal;

/// Runs one command and says what went wrong.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let dir = cli.place.dir.as_deref();
    let result = match cli.command {
        Command::Run(args) => run::run(dir, args),
        Command::Serve(args) => serve::run(dir, &args),
        Command::Witness(args) => witness::run(dir, &args),
        Command::Tail(args) => tail::run(dir, &args),
        Command::Show(args) => show::run(dir, &args),
        Command::Status(args) => status::run(dir, &args),
        Command::Doctor(args) => doctor::run(dir, &args),
        Command::Key(args) => key::run(dir, args),
        Command::Verify(args) => match &args.proof {
            Some(proof) => proof::run(proof, &args),
            None => verify::run(dir, &args),
        },
        Command::Prove(args) => prove::run(dir, &args),
        Command::Export(args) => export::run(dir, &args),
        Command::Evidence(args) => evidence::run(dir, &args),
        Command::Install(args) => install::install(&args, dir),
        Command::Uninstall(args) => install::uninstall(&args),
        Command::Hold(args) => hold::run(dir, args),
        Command::Redact(args) => redact::run(dir, args),
        Command::Demo(args) => demo::run(&args),
        Command::DemoServer { root } => demo::server(&root),
    };
    result.unwrap_or_else(|error| {
        terminal::message(&error.to_string());
        error.exit().into()
    })
}

/// Printing failed. A reader that has seen enough (`tacho tail | head`) is no failure.
fn printed(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::from_error(Exit::Unable, "cannot print", &error))
        }
        _ => Ok(()),
    }
}
