//! `tacho serve`: the one writer of the log.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tacho_log::limits::RECONNECT_TIMEOUT;
use tacho_log::{
    DataDir, Intake, LockError, LogOptions, OpenLog, ServeOptions, Server, SystemClock, WriterLock,
    ask_stop,
};

use crate::args::Serve;
use crate::config::{self, Loaded};
use crate::connect;
use crate::error::{CliError, Exit, Result};
use crate::keys::{self, KeySource, Keys};
use crate::terminal;
use crate::{outside, place};

/// A recorder that a source started leaves after this long without one.
const BACKGROUND_IDLE: Duration = Duration::from_secs(300);

/// A leaving recorder, or a reader's look at the lock, may be in the way for this long.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);

pub(crate) fn run(dir: Option<&Path>, args: &Serve) -> Result<ExitCode> {
    if args.stop {
        return stop(dir);
    }
    if args.background {
        // Out of the client's terminal and process group, so that its Ctrl-C does not end the record.
        // It fails only for a process that leads a group already, which then needs none of this.
        let _in_own_session = rustix::process::setsid().is_ok();
    }
    let dir = place::writers_dir(dir)?;
    let Some(lock) = take_lock(&dir, args.background)? else {
        return Ok(Exit::Ok.into());
    };
    let config = config::load(&dir)?;
    let policy = outside::policy_of(&dir, &config.config.witnesses)?;
    let monitor = args.monitor.map(outside::listen).transpose()?;
    let stop = stop_signals()?;
    let idle = match args.idle {
        Some(0) => None,
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => args.background.then_some(BACKGROUND_IDLE),
    };
    let source = KeySource::of(&dir, &config.config.key, args.key_fd)?;
    let (open, digest_key) = open(dir.clone(), lock, &source)?;
    let submitter = outside::submitter(&dir, open.verifying_key(), policy)?;
    let listener = connect::bind(&dir).map_err(|error| {
        CliError::from_error(
            Exit::Unable,
            "cannot listen on the recorder's socket",
            &error,
        )
    })?;
    let options = ServeOptions {
        leave_after: idle,
        checkpoint_interval: Duration::from_secs(args.checkpoint_seconds),
        ..options(digest_key, &config)?
    };
    let recovered = open.recovered().clone();
    let mut server = Server::new(open, Intake::Socket(listener), stop, options).map_err(failed)?;
    if let Some(monitor) = monitor {
        outside::monitor(&dir, monitor, submitter.is_some())?;
    }
    if let Some(submitter) = submitter {
        server.hold_outside(submitter);
    }
    if !args.background {
        let size = recovered.size;
        terminal::message(&format!(
            "tacho: recording into {} ({size} records)",
            dir.root().display()
        ));
    }
    let left = server.run().map_err(failed)?;
    if !args.background {
        terminal::message(
            &format!("tacho: the log is closed and sealed ({left:?})").to_lowercase(),
        );
    }
    Ok(Exit::Ok.into())
}

/// What both kinds of recorder have in common.
pub(crate) fn options(digest_key: tacho_event::DigestKey, config: &Loaded) -> Result<ServeOptions> {
    Ok(ServeOptions {
        digest_key,
        leave_after: None,
        checkpoint_interval: Duration::from_secs(60),
        retention: config.config.retention.0,
        encrypt: config.config.evidence.segments_to(),
        clock: Arc::new(SystemClock),
        entropy: u64::from_le_bytes(keys::entropy()?),
        version: env!("CARGO_PKG_VERSION"),
        config: config.digest_or_none(),
        space: config.config.space(),
        room: Arc::new(tacho_log::room),
    })
}

/// Opens the log for its one writer.
pub(crate) fn open(
    dir: DataDir,
    lock: WriterLock,
    source: &KeySource,
) -> Result<(OpenLog, tacho_event::DigestKey)> {
    let Keys { signing, digest } = keys::load_or_create(&dir, source, &lock)?;
    let open = OpenLog::open(dir, lock, signing, LogOptions::default()).map_err(|error| {
        CliError::from_error(Exit::Failed, "the log is refused", &error)
            .hint("look at it with: tacho verify; start a new log with --dir, and keep this one as evidence")
    })?;
    Ok((open, digest))
}

/// The writer's lock. In the background, a lock that stays with another recorder means that this one
/// is not needed: that one is at work, or opening the log, or leaving, and then it is asked for again.
fn take_lock(dir: &DataDir, background: bool) -> Result<Option<WriterLock>> {
    let patience = if background {
        RECONNECT_TIMEOUT
    } else {
        LOCK_PATIENCE
    };
    let deadline = Instant::now() + patience;
    loop {
        match dir.lock() {
            Ok(lock) => return Ok(Some(lock)),
            Err(LockError::Held { .. }) if background && connect::connect(dir).is_ok() => {
                return Ok(None);
            }
            Err(LockError::Held { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(LockError::Held { .. }) if background => return Ok(None),
            Err(error @ LockError::Held { .. }) => {
                let failed =
                    CliError::from_error(Exit::Unable, "a recorder is running already", &error);
                return Err(failed.hint("see: tacho status; end it with: tacho serve --stop"));
            }
            Err(error) => {
                return Err(CliError::from_error(
                    Exit::Unable,
                    "the writer's lock",
                    &error,
                ));
            }
        }
    }
}

/// A stream that becomes readable on SIGTERM, SIGINT and SIGHUP.
pub(super) fn stop_signals() -> Result<UnixStream> {
    let wrong = |error| CliError::from_error(Exit::Unable, "signals", &error);
    let (stop, told) = UnixStream::pair().map_err(wrong)?;
    for signal in [
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGHUP,
    ] {
        let told = told.try_clone().map_err(wrong)?;
        signal_hook::low_level::pipe::register(signal, told).map_err(wrong)?;
    }
    Ok(stop)
}

fn stop(dir: Option<&Path>) -> Result<ExitCode> {
    let dir = place::writers_dir(dir)?;
    match connect::connect(&dir) {
        Ok(stream) => ask_stop(stream)
            .map_err(|error| CliError::from_error(Exit::Unable, "stopping the recorder", &error))?,
        Err(error) if connect::is_absent(&error) => {
            terminal::message("tacho: no recorder is running");
        }
        Err(error) => {
            return Err(CliError::from_error(
                Exit::Unable,
                "reaching the recorder",
                &error,
            ));
        }
    }
    Ok(Exit::Ok.into())
}

fn failed(error: tacho_log::ServeError) -> CliError {
    CliError::from_error(Exit::Unable, "the recorder gave up", &error)
        .hint("what was acknowledged is on disk; the next start recovers")
}
