//! The plain relay: starts COMMAND and copies bytes both ways, nothing else. What a proxy costs that
//! does nothing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;
use std::process::{Command, ExitCode, Stdio};

fn main() -> ExitCode {
    match relay() {
        Ok(code) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn relay() -> io::Result<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let Some(program) = args.next() else {
        return Ok(ExitCode::from(3));
    };
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(child_in), Some(child_out)) = (child.stdin.take(), child.stdout.take()) else {
        return Ok(ExitCode::FAILURE);
    };
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Not joined: when the child ends, the client may never close its side.
    std::thread::spawn(move || copy(stdin, child_in));
    copy(child_out, stdout)?;
    let code = child
        .wait()?
        .code()
        .and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(buffer.get(..read).unwrap_or_default())?;
    }
}
