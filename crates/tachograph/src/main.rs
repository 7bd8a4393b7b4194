//! The `tacho` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    tachograph::main()
}
