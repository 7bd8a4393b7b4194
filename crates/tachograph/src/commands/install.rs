//! `tacho install` and `tacho uninstall`: which files, and what to say about them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::{Install, ScopeArg};
use crate::error::{CliError, Exit, Result};
use crate::install::{
    Applied, Client, InstallError, Layout, Places, Plan, Platform, Scope, Wrapper, apply, backups,
    plan, read, unplan,
};
use crate::place;
use crate::terminal::{Colour, Output, escape, message};

/// Where to look, and what to tell the user to do afterwards.
struct Target {
    files: Vec<PathBuf>,
    layout: Layout,
    reload: &'static str,
}

/// `tacho install`. A data directory given to this command is written into the configuration too:
/// clients are rarely started from the shell that knows `TACHO_DIR`.
pub(crate) fn install(args: &Install, dir: Option<&Path>) -> Result<ExitCode> {
    let mut run_args = Vec::new();
    if dir.is_some() {
        let path = place::data_path(dir)?;
        let path = path.to_str().ok_or_else(|| {
            CliError::new(Exit::Usage, "the data directory's path is not UTF-8")
                .hint("configurations are JSON and cannot hold it: choose another --dir")
        })?;
        run_args.extend(["--dir".to_owned(), path.to_owned()]);
    }
    let wrapper = Wrapper::new(&own_path()?, run_args).map_err(failed)?;
    run(args, |text, _, layout| {
        plan(text, layout, &wrapper, &args.servers)
    })
}

/// `tacho uninstall`. Nothing to undo is no failure: afterwards things are as they were asked to be.
pub(crate) fn uninstall(args: &Install) -> Result<ExitCode> {
    run(args, |text, path, layout| {
        unplan(text, layout, &args.servers, &backups(path)?)
    })
}

/// Everything is planned before anything is written, so that a bad file leaves the others alone too.
fn run(
    args: &Install,
    plan: impl Fn(&str, &Path, Layout) -> Result<Plan, InstallError>,
) -> Result<ExitCode> {
    let target = target(args)?;
    let mut plans = Vec::new();
    let mut empty = None;
    for path in &target.files {
        match read(path).and_then(|text| plan(&text, path, target.layout)) {
            Ok(plan) => plans.push((path, plan)),
            Err(error @ (InstallError::NoServers { .. } | InstallError::NothingToUndo)) => {
                empty.get_or_insert((path, error));
            }
            Err(error) => return Err(failed_at(path, error)),
        }
    }
    match empty {
        Some((path, InstallError::NothingToUndo)) if plans.is_empty() => {
            message(&format!("{}: {}", shown(path), InstallError::NothingToUndo));
            return Ok(Exit::Ok.into());
        }
        Some((path, error)) if plans.is_empty() => return Err(failed_at(path, error)),
        _ => {}
    }
    let mut out = Output::new(false);
    for (path, plan) in &plans {
        if args.dry_run {
            super::printed(print_diff(&mut out, path, plan))?;
            continue;
        }
        let applied = apply(plan, path).map_err(|error| failed_at(path, error))?;
        super::printed(print(&mut out, plan, &applied))?;
    }
    let changes = plans.iter().any(|(_, plan)| plan.changes());
    if args.dry_run {
        message(if changes {
            "nothing was written (--dry-run)"
        } else {
            "nothing to do"
        });
    } else if changes {
        message(&format!("To use it, {}.", target.reload));
    } else {
        message("nothing to do");
    }
    super::printed(out.flush())?;
    Ok(Exit::Ok.into())
}

fn target(args: &Install) -> Result<Target> {
    if let Some(file) = &args.file {
        let reload = "restart the client that reads this file";
        return Ok(Target {
            files: vec![file.clone()],
            layout: Layout::Any,
            reload,
        });
    }
    let client = Client::parse(args.client.as_deref().unwrap_or_default()).map_err(failed)?;
    let path = |name| place::variable(name).map(PathBuf::from);
    let home = path("HOME")
        .or_else(|| path("USERPROFILE"))
        .ok_or_else(|| {
            CliError::new(Exit::Usage, "HOME is not set").hint("name the file with --file PATH")
        })?;
    let cwd = std::env::current_dir()
        .map_err(|error| CliError::from_error(Exit::Unable, "the current directory", &error))?;
    let (xdg_config, claude_config) = (path("XDG_CONFIG_HOME"), path("CLAUDE_CONFIG_DIR"));
    let (app_data, local_app_data) = (path("APPDATA"), path("LOCALAPPDATA"));
    let places = Places {
        home: &home,
        xdg_config: xdg_config.as_deref(),
        app_data: app_data.as_deref(),
        local_app_data: local_app_data.as_deref(),
        claude_config: claude_config.as_deref(),
        cwd: &cwd,
    };
    let scope = match args.scope {
        ScopeArg::User => Scope::User,
        ScopeArg::Project => Scope::Project,
    };
    let places = client
        .config_files(&places, Platform::current(), scope)
        .map_err(failed)?;
    let files: Vec<PathBuf> = places
        .iter()
        .filter(|path| path.exists())
        .cloned()
        .collect();
    if files.is_empty() {
        let looked: Vec<String> = places.iter().map(|path| shown(path)).collect();
        let (client, looked) = (client.name().to_owned(), looked.join(", "));
        return Err(failed(InstallError::NoFile { client, looked }));
    }
    Ok(Target {
        files,
        layout: client.layout(),
        reload: client.reload(),
    })
}

/// The path to write down: that on `PATH` where it leads to this program, because a package manager
/// keeps it in place over upgrades; else the program's own.
fn own_path() -> Result<PathBuf> {
    let own = std::env::current_exe()
        .map_err(|error| CliError::from_error(Exit::Unable, "the path of this program", &error))?;
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let known = place::variable("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .filter_map(|dir| Some(dir.join(own.file_name()?)))
            .find(|candidate| real(candidate).is_some_and(|path| Some(path) == real(&own)))
    });
    Ok(known.unwrap_or(own))
}

fn print(out: &mut Output, plan: &Plan, applied: &Applied) -> std::io::Result<()> {
    out.line(&out.paint(Colour::Bold, &shown(&applied.path)))?;
    for server in plan.servers() {
        out.line(&format!(
            "  {}: {}",
            escape(&server.id.to_string()),
            server.change
        ))?;
    }
    if let Some(backup) = &applied.backup {
        out.line(&format!("  as it was: {}", shown(backup)))?;
    }
    for backup in &applied.kept {
        out.line(&format!(
            "  edited since, so this backup is kept: {}",
            shown(backup)
        ))?;
    }
    Ok(())
}

/// On a terminal escaped, for a configuration may come from a stranger's project; piped as it is,
/// for `patch`.
fn print_diff(out: &mut Output, path: &Path, plan: &Plan) -> std::io::Result<()> {
    for server in plan.servers() {
        message(&format!(
            "{}: {}",
            escape(&server.id.to_string()),
            server.change
        ));
    }
    for line in plan.diff(path).split_terminator('\n') {
        if !out.is_human() {
            out.raw_line(line.as_bytes())?;
            continue;
        }
        let colour = match line.bytes().next() {
            _ if line.starts_with("+++ ") || line.starts_with("--- ") => Colour::Bold,
            Some(b'+') => Colour::Green,
            Some(b'-') => Colour::Red,
            _ => Colour::Dim,
        };
        let line: Vec<String> = line
            .trim_end_matches('\r')
            .split('\t')
            .map(escape)
            .collect();
        out.line(&out.paint(colour, &line.join("\t")))?;
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    escape(&path.display().to_string())
}

fn failed(error: InstallError) -> CliError {
    CliError::new(exit(&error), escape(&error.to_string()))
}

fn failed_at(path: &Path, error: InstallError) -> CliError {
    let text = escape(&error.to_string());
    let text = if error.names_path() {
        text
    } else {
        format!("{}: {text}", shown(path))
    };
    CliError::new(exit(&error), text)
}

/// Files and permissions on one side, arguments and configurations on the other.
const fn exit(error: &InstallError) -> Exit {
    let unable = matches!(
        error,
        InstallError::ReadOnly { .. }
            | InstallError::Changed { .. }
            | InstallError::TooManyBackups { .. }
            | InstallError::Unsound { .. }
            | InstallError::Io { .. }
    );
    if unable { Exit::Unable } else { Exit::Usage }
}
