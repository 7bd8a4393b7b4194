//! `tacho run`: one MCP server under the recorder.

use std::ffi::OsStr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tacho_event::{DigestKey, Engine, IdSource, Level, Options, Report};
use tacho_log::disk::RealDisk;
use tacho_log::evidence::EvidenceStore;
use tacho_log::{
    Clock as _, Connect, DataDir, Intake, Left, LockError, Recorder, RecorderOptions, ServeError,
    Server, SystemClock,
};
use tacho_proxy::limits::{BLOCKING_DEADLINE, STRICT_DEADLINE};
use tacho_proxy::{Client, Mode, Rules, RunError, Session, Treatment};

use super::serve;
use crate::args::{LevelArg, ModeArg, Run};
use crate::config::{self, Loaded};
use crate::connect::{InProcess, OnDemand};
use crate::error::{CliError, Exit, Result};
use crate::keys::KeySource;
use crate::terminal;
use crate::{definitions, keys, outside, place};

/// When the server has ended its last records get this long to become durable.
const CLOSE_PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn run(dir: Option<&Path>, args: Run) -> Result<ExitCode> {
    let dir = place::writers_dir(dir).map_err(as_run_error)?;
    let config = config::load(&dir).map_err(as_run_error)?;
    let mut command = args.command.into_iter();
    let program = command.next().unwrap_or_default();
    let name = args.name.unwrap_or_else(|| file_name(&program));
    let entropy = u64::from_le_bytes(keys::entropy()?);
    let run = IdSource::new(entropy).run(SystemClock.now());

    let (connect, recorder_thread): (Box<dyn Connect>, _) = if args.in_process {
        let (connect, thread) = in_process(&dir, args.key_fd, &config).map_err(as_run_error)?;
        (Box::new(connect), Some(thread))
    } else {
        let program = std::env::current_exe().map_err(|error| {
            CliError::from_error(Exit::RunFailed, "the path of this program", &error)
        })?;
        (Box::new(OnDemand::new(dir.clone(), program)), None)
    };
    let options = RecorderOptions {
        run,
        redaction: redaction(args.correlate),
        entropy: u64::from_le_bytes(keys::entropy()?),
        clock: Arc::new(SystemClock),
        evidence: evidence(&dir, &config),
    };
    let (recorder, threads) = Recorder::start(options, connect)
        .map_err(|error| CliError::from_error(Exit::RunFailed, "cannot start threads", &error))?;

    let default = treatment(args.level, mode(args.mode, args.deadline_ms));
    let client = Client::stdio()
        .map_err(|error| CliError::from_error(Exit::RunFailed, "stdin and stdout", &error))?;
    let session = Session {
        command: program,
        args: command.collect(),
        name: name.clone(),
        actor: Some(place::os_user()),
        run,
        config: config.digest_or_none(),
        rules: Rules::new(config.rules, &name, default),
        call_timeout: args.call_timeout.map(Duration::from_secs),
        recorder,
        clock: Arc::new(SystemClock),
        entropy: u64::from_le_bytes(keys::entropy()?),
        known: definitions::load(&dir, &name),
        listed: Some(Box::new(move |tools| {
            definitions::store(&dir, &name, tools);
        })),
        client,
    };
    let ended = tacho_proxy::run(session);

    let lost = threads.close(CLOSE_PATIENCE);
    if lost > 0 {
        terminal::message(&format!(
            "tacho: {lost} events could not be recorded; no gap record says so"
        ));
    }
    if let Some(thread) = recorder_thread {
        finish_in_process(thread)?;
    }
    let ended = ended.map_err(|error| cannot_run(&error))?;
    Ok(ExitCode::from(
        u8::try_from(ended.status.code()).unwrap_or(u8::MAX),
    ))
}

fn file_name(program: &OsStr) -> String {
    let name = Path::new(program).file_name().unwrap_or(program);
    name.to_string_lossy().into_owned()
}

/// Where whole bodies are kept, if somebody is to read them.
fn evidence(dir: &DataDir, config: &Loaded) -> Option<EvidenceStore> {
    let recipients = config.config.evidence.bodies_to()?;
    let log = dir.log().clone();
    Some(EvidenceStore::new(Arc::new(RealDisk), log, recipients))
}

fn redaction(correlate: bool) -> Options {
    Options {
        correlate,
        ..Options::default()
    }
}

/// What holds where no rule matches.
const fn treatment(level: LevelArg, mode: Mode) -> Treatment {
    let level = match level {
        LevelArg::Metadata => Level::Metadata,
        LevelArg::Request => Level::Request,
        LevelArg::RequestResponse => Level::RequestResponse,
    };
    Treatment {
        level: Some(level),
        mode,
    }
}

fn mode(mode: ModeArg, deadline_ms: Option<u64>) -> Mode {
    let deadline = deadline_ms.map(Duration::from_millis);
    match mode {
        ModeArg::Strict => Mode::Strict {
            deadline: deadline.unwrap_or(STRICT_DEADLINE),
        },
        ModeArg::Blocking => Mode::Blocking {
            deadline: deadline.unwrap_or(BLOCKING_DEADLINE),
        },
        ModeArg::BestEffort => Mode::BestEffort,
    }
}

type RecorderThread = (JoinHandle<Result<Left, ServeError>>, UnixStream);

/// A recorder in this process, and the way to it.
fn in_process(
    dir: &DataDir,
    key_fd: Option<u32>,
    config: &Loaded,
) -> Result<(InProcess, RecorderThread)> {
    let wrong = |error| CliError::from_error(Exit::RunFailed, "a pair of sockets", &error);
    let lock = dir.lock().map_err(|error| {
        let held = matches!(error, LockError::Held { .. });
        let failed = CliError::from_error(Exit::RunFailed, "the writer's lock", &error);
        if held {
            failed.hint("leave out --in-process to use that recorder, or give another --dir")
        } else {
            failed
        }
    })?;
    let policy = outside::policy_of(dir, &config.config.witnesses)?;
    let source = KeySource::of(dir, &config.config.key, key_fd)?;
    let (open, digest_key) = serve::open(dir.clone(), lock, &source)?;
    let submitter = outside::submitter(dir, open.verifying_key(), policy)?;
    let (ours, theirs) = UnixStream::pair().map_err(wrong)?;
    // Kept open as long as the recorder lives: it ends with its source, not by a signal.
    let (stop, never) = UnixStream::pair().map_err(wrong)?;
    let mut server = Server::new(
        open,
        Intake::Pair(theirs),
        stop,
        serve::options(digest_key, config)?,
    )
    .map_err(|error| CliError::from_error(Exit::RunFailed, "the recorder", &error))?;
    if let Some(submitter) = submitter {
        server.hold_outside(submitter);
    }
    let thread = std::thread::Builder::new()
        .name("recorder".to_owned())
        .spawn(move || server.run())
        .map_err(|error| CliError::from_error(Exit::RunFailed, "cannot start threads", &error))?;
    Ok((InProcess(Some(ours)), (thread, never)))
}

fn finish_in_process((thread, _never): RecorderThread) -> Result<()> {
    match thread.join() {
        Ok(Ok(_left)) => Ok(()),
        Ok(Err(error)) => Err(CliError::from_error(
            Exit::RunFailed,
            "the recorder gave up",
            &error,
        )),
        Err(_panic) => Err(CliError::new(
            Exit::RunFailed,
            "the recorder ended unexpectedly",
        )),
    }
}

fn cannot_run(error: &RunError) -> CliError {
    let exit = match error {
        RunError::NotFound { .. } => Exit::CommandNotFound,
        RunError::NotPermitted { .. } | RunError::Spawn { .. } => Exit::CannotExecute,
        RunError::Setup(_) => Exit::RunFailed,
    };
    // A whole command line given as one word is a common mistake, and it may hold a token.
    let mut shown = String::new();
    Engine::new(&Options::default(), DigestKey::new([0; 32])).text(
        &error.to_string(),
        &mut shown,
        &mut Report::default(),
    );
    CliError::new(exit, format!("cannot run the server: {shown}"))
}

/// The server's exit codes are below 125, so ours are not mistaken for them.
fn as_run_error(error: CliError) -> CliError {
    error.with_exit(Exit::RunFailed)
}
