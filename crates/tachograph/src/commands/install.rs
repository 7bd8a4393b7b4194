//! `tacho install` and `tacho uninstall`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::{Install, ScopeArg};
use crate::error::{CliError, Exit, Result};
use crate::install::{
    self, Change, Client, InstallError, Layout, Places, Plan, Platform, Scope, Wrapper,
};
use crate::place::{self, variable};
use crate::terminal::{self, Output, escape};

/// The configurations to change, how servers stand in them, and what to do so that it takes effect.
struct Target {
    paths: Vec<PathBuf>,
    layout: Layout,
    reload: Option<&'static str>,
}

pub(crate) fn install(args: &Install, dir: Option<&Path>) -> Result<ExitCode> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::from_error(Exit::Unable, "the path of this program", &error))?;
    let run_args = match dir {
        // Options of tacho itself stand before `run` as well as after it.
        Some(_) => vec![
            "--dir".to_owned(),
            place::data_path(dir)?.display().to_string(),
        ],
        None => Vec::new(),
    };
    let wrapper = Wrapper::new(&program, run_args).map_err(|error| wrong(None, &error))?;
    each_file(args, &mut |text, layout, _| {
        install::plan(text, layout, &wrapper, &args.servers)
    })
}

pub(crate) fn uninstall(args: &Install) -> Result<ExitCode> {
    each_file(args, &mut |text, layout, path| {
        install::unplan(text, layout, &args.servers, &install::backups(path)?)
    })
}

type Planner<'a> = dyn FnMut(&str, Layout, &Path) -> Result<Plan, InstallError> + 'a;

fn each_file(args: &Install, plan: &mut Planner<'_>) -> Result<ExitCode> {
    let target = target(args)?;
    let mut out = Output::words(false);
    let mut existing = target.paths.iter().filter(|path| path.exists()).peekable();
    if existing.peek().is_none() {
        let looked: Vec<_> = target
            .paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(CliError::new(
            Exit::Failed,
            format!("no configuration at {}", looked.join(" or ")),
        )
        .hint("start the client once, or name the file with --file"));
    }
    for path in existing {
        let text = install::read(path).map_err(|error| wrong(Some(path), &error))?;
        let plan = plan(&text, target.layout, path).map_err(|error| wrong(Some(path), &error))?;
        super::printed(show(&mut out, &plan, path, args.dry_run))?;
        if args.dry_run || !plan.changes() {
            continue;
        }
        let applied = install::apply(&plan, path).map_err(|error| wrong(Some(path), &error))?;
        if let Some(backup) = applied.backup {
            super::printed(out.line(&format!("backup: {}", backup.display())))?;
        }
        if let Some(reload) = target.reload {
            super::printed(out.line(reload))?;
        }
    }
    Ok(Exit::Ok.into())
}

fn target(args: &Install) -> Result<Target> {
    if let Some(path) = &args.file {
        return Ok(Target {
            paths: vec![path.clone()],
            layout: Layout::Any,
            reload: None,
        });
    }
    let name = args.client.as_deref().unwrap_or_default();
    let client = Client::parse(name).map_err(|error| wrong(None, &error).with_exit(Exit::Usage))?;
    let home = variable("HOME").map(PathBuf::from).ok_or_else(|| {
        CliError::new(Exit::Usage, "HOME is not set").hint("name the configuration with --file")
    })?;
    let cwd = std::env::current_dir()
        .map_err(|error| CliError::from_error(Exit::Unable, "the current directory", &error))?;
    let [xdg, app_data, local_app_data, claude] = [
        "XDG_CONFIG_HOME",
        "APPDATA",
        "LOCALAPPDATA",
        "CLAUDE_CONFIG_DIR",
    ]
    .map(|name| variable(name).map(PathBuf::from));
    let places = Places {
        home: &home,
        xdg_config: xdg.as_deref(),
        app_data: app_data.as_deref(),
        local_app_data: local_app_data.as_deref(),
        claude_config: claude.as_deref(),
        cwd: &cwd,
    };
    let scope = match args.scope {
        ScopeArg::User => Scope::User,
        ScopeArg::Project => Scope::Project,
    };
    let paths = client
        .config_files(&places, Platform::current(), scope)
        .map_err(|error| wrong(None, &error).with_exit(Exit::Usage))?;
    Ok(Target {
        paths,
        layout: client.layout(),
        reload: Some(client.reload()),
    })
}

fn show(out: &mut Output, plan: &Plan, path: &Path, dry_run: bool) -> std::io::Result<()> {
    if dry_run {
        for line in plan.diff(path).lines() {
            out.line(&escape(line))?;
        }
    }
    for server in plan.servers() {
        if server.change == Change::NotSelected {
            continue;
        }
        let project = server
            .id
            .project
            .as_ref()
            .map_or_else(String::new, |p| format!(" ({p})"));
        out.line(&format!(
            "{}{}: {}",
            escape(&server.id.name),
            escape(&project),
            server.change
        ))?;
    }
    if !plan.changes() {
        terminal::message(&format!("tacho: {} needs no change", path.display()));
    }
    Ok(())
}

fn wrong(path: Option<&Path>, error: &InstallError) -> CliError {
    let doing = match path {
        Some(path) if !error.names_path() => path.display().to_string(),
        _ => "install".to_owned(),
    };
    CliError::from_error(Exit::Failed, &doing, error)
}
