//! `tacho install` and `tacho uninstall`: rewriting a client's configuration so that its servers run under `tacho run`.
//!
//! A configuration belongs to its owner and often to a program that is running. So nothing is parsed and written back:
//! [`scan`] finds where things stand, [`wrap`] edits only the bytes of `command` and `args`, and everything else,
//! comments, order, white space, line ends and byte order mark, stays as it is. Planning is pure, text in and text out;
//! [`mod@file`] has the little that touches the disk.
//!
//! There is no state besides plain copies of the file as it was. A server under tacho is recognised by its shape, and what
//! it was before is in its own arguments, so undoing works on files that were edited or reformatted since, or copied to
//! another machine without the backup.

mod client;
mod edit;
mod error;
mod file;
mod scan;
mod server;
mod string;
mod wrap;

use std::path::{Path, PathBuf};

pub use client::{Client, Layout, Places, Platform, Scope};
pub use error::{InstallError, Position};
pub use file::{Applied, MAX_BACKUPS, MAX_CONFIG_BYTES, apply, backups, read};
pub use server::ServerId;

use edit::Edit;
use scan::{Node, slice};
use server::{Server, Stdio, What};
use wrap::OriginalArgs;

/// What is written in front of every server's command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapper {
    tacho: String,
    run_args: Vec<String>,
}

impl Wrapper {
    /// `tacho` is the absolute path of the binary (clients have their own idea of `PATH`); `run_args` are options of
    /// `tacho run` to write in front of `--name`, for instance `--dir` and a directory.
    ///
    /// # Errors
    ///
    /// `TachoPath` when the path is relative or not UTF-8.
    pub fn new(tacho: &Path, run_args: Vec<String>) -> Result<Self, InstallError> {
        match tacho.to_str() {
            Some(path) if tacho.is_absolute() => Ok(Self {
                tacho: path.to_owned(),
                run_args,
            }),
            _ => Err(InstallError::TachoPath {
                path: tacho.to_path_buf(),
            }),
        }
    }

    pub(crate) fn tacho(&self) -> &str {
        &self.tacho
    }

    pub(crate) fn run_args(&self) -> &[String] {
        &self.run_args
    }
}

/// A copy of a configuration from before it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Where it lies.
    pub path: PathBuf,
    /// The configuration as it was, byte for byte.
    pub text: String,
}

/// What a plan does to one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It will run under tacho.
    Wrapped,
    /// It runs under tacho already; the path of tacho is brought up to date.
    PathUpdated,
    /// It runs under tacho already.
    AlreadyWrapped,
    /// It will be started by the client itself again.
    Unwrapped,
    /// It does not run under tacho; nothing to undo.
    NotWrapped,
    /// It is reached by URL: a matter for `tacho gateway`, which is not yet available.
    NotStdio,
    /// It cannot be started as it stands, for the reason given.
    Unusable(&'static str),
    /// `--server` names others.
    NotSelected,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wrapped => "will run under tacho",
            Self::PathUpdated => "runs under tacho already; path brought up to date",
            Self::AlreadyWrapped => "runs under tacho already",
            Self::Unwrapped => "will run without tacho again",
            Self::NotWrapped => "does not run under tacho",
            Self::NotStdio => "not stdio: use tacho gateway (not yet available)",
            Self::Unusable(reason) => return write!(f, "left alone: {reason}"),
            Self::NotSelected => "left alone: not selected",
        })
    }
}

/// One server of the file and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerChange {
    /// Which one.
    pub id: ServerId,
    /// What happens to it.
    pub change: Change,
}

/// A change of one file, worked out and not yet made.
#[derive(Debug, Clone)]
pub struct Plan {
    before: String,
    after: String,
    edits: Vec<Edit>,
    servers: Vec<ServerChange>,
    undo: bool,
}

impl Plan {
    /// The text the plan was made for.
    #[must_use]
    pub fn before(&self) -> &str {
        &self.before
    }

    /// The text as it will be.
    #[must_use]
    pub fn after(&self) -> &str {
        &self.after
    }

    /// Every server of the file, in its order.
    #[must_use]
    pub fn servers(&self) -> &[ServerChange] {
        &self.servers
    }

    /// Whether there is anything to write.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.before != self.after
    }

    /// The change as a unified diff for `--dry-run`; empty if there is none.
    ///
    /// It shows neighbouring lines as they are, `env` values included: it is for the user's own terminal. Control
    /// characters are passed on; whoever prints has to escape them.
    #[must_use]
    pub fn diff(&self, path: &Path) -> String {
        let body = edit::unified(&self.before, &self.edits);
        if body.is_empty() {
            return body;
        }
        let path = path.display();
        format!("--- {path}\n+++ {path}\n{body}")
    }
}

/// Works out how to put the stdio servers of a configuration under tacho; `only` names those meant, all if it is empty.
///
/// # Errors
///
/// `NotJson`, `DuplicateKey`, `TooDeep`, `NoServers`, `NoSuchServer`.
pub fn plan(
    text: &str,
    layout: Layout,
    wrapper: &Wrapper,
    only: &[String],
) -> Result<Plan, InstallError> {
    let root = scan::scan(text)?;
    let servers = server::servers(text, &root, layout)?;
    check_names(&servers, only)?;
    build(
        text,
        &servers,
        only,
        false,
        |server, stdio, edits| match wrap::wrapped_at(text, stdio) {
            Some(_) => match wrap::update_path(text, stdio, wrapper) {
                Some(edit) => {
                    edits.push(edit);
                    Change::PathUpdated
                }
                None => Change::AlreadyWrapped,
            },
            None => {
                edits.extend(wrap::wrap(text, server, stdio, wrapper));
                Change::Wrapped
            }
        },
    )
}

/// Works out how to undo [`plan`]. `backups` are copies of the file from before, newest first, as [`backups`] finds them;
/// they tell whether an empty `args` was there. Those that cannot be read are passed over.
///
/// # Errors
///
/// `NothingToUndo` when none of the servers meant runs under tacho; the rest as for [`plan`].
pub fn unplan(
    text: &str,
    layout: Layout,
    only: &[String],
    backups: &[Backup],
) -> Result<Plan, InstallError> {
    let root = scan::scan(text)?;
    let servers = server::servers(text, &root, layout)?;
    check_names(&servers, only)?;
    let backups: Vec<(&str, Node)> = backups
        .iter()
        .filter_map(|backup| Some((backup.text.as_str(), scan::scan(&backup.text).ok()?)))
        .collect();
    let backups: Vec<(&str, Vec<Server<'_>>)> = backups
        .iter()
        .filter_map(|(text, root)| Some((*text, server::servers(text, root, layout).ok()?)))
        .collect();
    let plan = build(
        text,
        &servers,
        only,
        true,
        |server, stdio, edits| match wrap::wrapped_at(text, stdio) {
            Some(at) => {
                edits.extend(wrap::unwrap(
                    text,
                    server.entry,
                    stdio,
                    at,
                    &original_args(&backups, server),
                ));
                Change::Unwrapped
            }
            None => Change::NotWrapped,
        },
    )?;
    let any = plan
        .servers
        .iter()
        .any(|server| server.change == Change::Unwrapped);
    if any {
        Ok(plan)
    } else {
        Err(InstallError::NothingToUndo)
    }
}

/// What the newest backup in which the server did not yet run under tacho says about its arguments.
fn original_args(backups: &[(&str, Vec<Server<'_>>)], of: &Server<'_>) -> OriginalArgs {
    for (text, servers) in backups {
        for server in servers
            .iter()
            .filter(|server| server.id == of.id && server.list == of.list)
        {
            let What::Stdio(stdio) = &server.what else {
                continue;
            };
            if wrap::wrapped_at(text, stdio).is_some() {
                continue;
            }
            return stdio.args.as_ref().map_or(OriginalArgs::Absent, |args| {
                OriginalArgs::Written(slice(text, &args.member.value.span).to_owned())
            });
        }
    }
    OriginalArgs::Unknown
}

fn check_names(servers: &[Server<'_>], only: &[String]) -> Result<(), InstallError> {
    let missing = only
        .iter()
        .find(|name| !servers.iter().any(|server| server.id.name == **name));
    missing.map_or(Ok(()), |name| {
        let mut known: Vec<String> = servers
            .iter()
            .map(|server| format!("`{}`", server.id.name))
            .collect();
        known.dedup();
        Err(InstallError::NoSuchServer {
            name: name.clone(),
            known: known.join(", "),
        })
    })
}

fn build<'t>(
    text: &str,
    servers: &[Server<'t>],
    only: &[String],
    undo: bool,
    mut change: impl FnMut(&Server<'t>, &Stdio<'t>, &mut Vec<Edit>) -> Change,
) -> Result<Plan, InstallError> {
    let mut edits = Vec::new();
    let mut changes = Vec::with_capacity(servers.len());
    for server in servers {
        let change = match &server.what {
            _ if !only.is_empty() && !only.contains(&server.id.name) => Change::NotSelected,
            What::Stdio(stdio) => change(server, stdio, &mut edits),
            What::Remote => Change::NotStdio,
            What::Unusable(reason) => Change::Unusable(reason),
        };
        changes.push(ServerChange {
            id: server.id.clone(),
            change,
        });
    }
    edits.sort_by_key(|edit| edit.range.start);
    let after = edit::apply(text, &edits);
    if let Err(error) = scan::scan(&after) {
        return Err(InstallError::Unsound {
            reason: error.to_string(),
        });
    }
    Ok(Plan {
        before: text.to_owned(),
        after,
        edits,
        servers: changes,
        undo,
    })
}
