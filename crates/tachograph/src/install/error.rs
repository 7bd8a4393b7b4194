//! What can go wrong, and what to do about it.

use std::path::PathBuf;

/// A place in a text, as editors count: both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1; a byte order mark is not one.
    pub column: usize,
}

impl Position {
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let columns = before
            .get(start..)
            .unwrap_or_default()
            .trim_start_matches('\u{feff}')
            .chars()
            .count();
        Self {
            line,
            column: columns + 1,
        }
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why nothing was changed. Every message ends with what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The name of the client is none we know.
    #[error("unknown client `{name}`: use one of {known}, or --file PATH for any other")]
    UnknownClient {
        /// What was given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The client keeps no configuration in projects.
    #[error("{client} has no configuration per project: leave out the scope, or use --file PATH")]
    NoProjectScope {
        /// The client's name.
        client: &'static str,
    },
    /// None of the places where the client looks holds a file.
    #[error(
        "no configuration of {client} found; looked for {looked}: add a server in the client first, or use --file PATH"
    )]
    NoFile {
        /// The client's name.
        client: String,
        /// The paths, joined by commas.
        looked: String,
    },
    /// The program's own path cannot be written into a configuration.
    #[error(
        "the path of tacho, {path}, is not absolute UTF-8: move the binary to a plain path and run it from there"
    )]
    TachoPath {
        /// The path.
        path: PathBuf,
    },
    /// The file does not exist.
    #[error(
        "{path} does not exist: check the path, or add a server in the client first so that it is written"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The path names a directory, a device or the like.
    #[error("{path} is not a regular file: name the configuration file itself")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Larger than any client writes.
    #[error(
        "{path} has {bytes} bytes, more than the {limit} read: this is hardly a client's configuration; check the path"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The bytes are not UTF-8.
    #[error(
        "{path} is not UTF-8 (byte {offset}): save it as UTF-8 in an editor, then run this again"
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Of the first byte that is not, from 0.
        offset: usize,
    },
    /// The text is neither JSON nor JSONC.
    #[error("not JSON at {position}: {problem}; mend it there, then run this again")]
    NotJson {
        /// Where.
        position: Position,
        /// What was found or missing.
        problem: &'static str,
    },
    /// A member name stands twice in one object, so that readers disagree about what it says.
    #[error(
        "`{key}` stands twice in one object, the second time at {position}: remove one of them, then run this again"
    )]
    DuplicateKey {
        /// Of the second one.
        position: Position,
        /// The name.
        key: String,
    },
    /// Nested deeper than is read.
    #[error(
        "nested deeper than {limit} at {position}: this is hardly a client's configuration; check the path"
    )]
    TooDeep {
        /// Where.
        position: Position,
        /// The limit.
        limit: usize,
    },
    /// The file has no list of servers, or an empty one.
    #[error(
        "no MCP servers found (looked for {looked}): add a server in the client first, or check the path"
    )]
    NoServers {
        /// The members that would hold them.
        looked: &'static str,
    },
    /// `--server` names one that the file does not have.
    #[error("no server named `{name}`; the file has {known}")]
    NoSuchServer {
        /// What was asked for.
        name: String,
        /// What there is, joined by commas.
        known: String,
    },
    /// No server of the file runs under tacho.
    #[error("nothing to undo: no server here runs under tacho")]
    NothingToUndo,
    /// The file or its directory may not be written.
    #[error(
        "{path} is read-only: make it writable (it is not changed until then), then run this again"
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Someone wrote to the file after it was read.
    #[error(
        "{path} was changed by someone else meanwhile and is left as it is: quit the client, then run this again"
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// All the names for a backup are taken.
    #[error(
        "{path} has {limit} backups beside it already: remove those no longer needed (NAME.tacho-backup*)"
    )]
    TooManyBackups {
        /// The file.
        path: PathBuf,
        /// How many names there are.
        limit: usize,
    },
    /// Our own edit did not give a readable file; nothing was written.
    #[error(
        "internal error: the edited text would not be JSON ({reason}); nothing was written. Please report this"
    )]
    Unsound {
        /// What the scanner says.
        reason: String,
    },
    /// The system refused.
    #[error("cannot {what} {path}: {source}; the configuration is as it was")]
    Io {
        /// The step.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl InstallError {
    /// Whether the message says which file is meant, or whoever shows it has to.
    #[must_use]
    pub fn names_path(&self) -> bool {
        matches!(
            self,
            Self::TachoPath { .. }
                | Self::Missing { .. }
                | Self::NotAFile { .. }
                | Self::TooLarge { .. }
                | Self::NotUtf8 { .. }
                | Self::ReadOnly { .. }
                | Self::Changed { .. }
                | Self::TooManyBackups { .. }
                | Self::Io { .. }
        )
    }
}
