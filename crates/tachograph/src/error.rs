//! What went wrong, for people: a sentence, what to do next, and an exit code.

use std::fmt;
use std::process::ExitCode;

/// Documented exit codes (`tacho help`, `docs/cli.md`). `tacho run` passes on the server's own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Ok = 0,
    /// What was checked is not as it should be: for `verify`, tampered.
    Failed = 1,
    /// Something needed for a whole answer is missing or cannot be read.
    Incomplete = 2,
    /// The arguments or the configuration are wrong.
    Usage = 3,
    /// It could not be done: files, permissions, no recorder.
    Unable = 4,
    /// `tacho run` itself failed before or beside the server.
    RunFailed = 125,
    /// `tacho run`: the command exists and cannot be executed.
    CannotExecute = 126,
    /// `tacho run`: there is no such command.
    CommandNotFound = 127,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failed command.
#[derive(Debug)]
pub(crate) struct CliError {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

pub(crate) type Result<T, E = CliError> = std::result::Result<T, E>;

impl CliError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    /// A failure with its causes in one sentence.
    pub(crate) fn from_error(exit: Exit, doing: &str, error: &dyn std::error::Error) -> Self {
        let mut message = format!("{doing}: {error}");
        let mut cause = error.source();
        while let Some(deeper) = cause {
            message.push_str(&format!(": {deeper}"));
            cause = deeper.source();
        }
        Self::new(exit, message)
    }

    /// What to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure under another exit code.
    pub(crate) const fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tacho: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}
