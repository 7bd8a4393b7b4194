//! The recorder and the world outside of its log: witnesses, monitors, the loss window.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;
use tacho_log::key::VerifyingKey;
use tacho_log::limits::POLICY_BYTES;
use tacho_log::outside::{CosignedError, Outside, loss_window, matters_from, read_cosigned};
use tacho_log::policy::Policy;
use tacho_log::{Clock as _, DataDir, LogDir, SystemClock, ask_status, room};
use tacho_witness::{Gauges, Monitor, Serving, Submitter};

use crate::config::Witnesses;
use crate::error::{CliError, Exit, Result};
use crate::{config, connect, terminal};

/// Reads a policy file.
pub(crate) fn read_policy(path: &Path) -> Result<Policy> {
    let what = || format!("the policy {}", path.display());
    let length = std::fs::metadata(path).map(|about| about.len());
    let bytes = match length {
        // The parser says what is too long; a device without an end is never read.
        Ok(length) if usize::try_from(length).is_ok_and(|length| length <= POLICY_BYTES) => {
            std::fs::read(path)
        }
        Ok(_) => {
            return Err(CliError::new(
                Exit::Usage,
                format!("{} is too long", what()),
            ));
        }
        Err(error) => Err(error),
    };
    let bytes = bytes.map_err(|error| CliError::from_error(Exit::Usage, &what(), &error))?;
    Policy::parse(&bytes).map_err(|error| {
        CliError::from_error(Exit::Usage, &what(), &error)
            .hint("docs/witness.md shows one; the format is C2SP tlog-policy")
    })
}

/// The policy that a data directory's configuration names.
pub(crate) fn policy_of(dir: &DataDir, witnesses: &Witnesses) -> Result<Option<Policy>> {
    let path = witnesses.policy.as_ref();
    path.map(|path| read_policy(&dir.root().join(path)))
        .transpose()
}

/// What has the recorder's checkpoints held outside, when a policy says so. A policy that cannot do that is
/// an error, for whoever wrote it believes that they are.
pub(crate) fn submitter(
    dir: &DataDir,
    key: &VerifyingKey,
    policy: Option<Policy>,
) -> Result<Option<Box<dyn Outside>>> {
    let Some(policy) = policy else {
        return Ok(None);
    };
    check(&policy, key)?;
    let submitter = Submitter::start(dir.log().clone(), key.clone(), policy)
        .map_err(|error| CliError::from_error(Exit::Unable, "cannot start threads", &error))?;
    Ok(Some(Box::new(submitter)))
}

fn check(policy: &Policy, key: &VerifyingKey) -> Result<()> {
    let is_web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    let urls = policy.witnesses().iter().filter_map(|one| one.url.as_ref());
    if !urls.clone().any(is_web) || !urls.clone().all(is_web) {
        return Err(CliError::new(
            Exit::Usage,
            "the policy of [witnesses] names no witness that can be asked",
        )
        .hint("a witness line ends with its URL: witness NAME VKEY https://HOST/PREFIX"));
    }
    if !policy.accepts_log(key) {
        let what = "the policy of [witnesses] lists logs, and this one is not among them";
        let line = format!("add the line: log {}", key.encode());
        return Err(CliError::new(Exit::Usage, what).hint(line));
    }
    Ok(())
}

/// Opens a port.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        CliError::from_error(Exit::Unable, &format!("cannot listen on {address}"), &error)
    })
}

/// Serves the log over HTTP from a thread of its own, until the process ends.
pub(crate) fn monitor(dir: &DataDir, listener: TcpListener, witnessed: bool) -> Result<()> {
    let wrong = |error| CliError::from_error(Exit::Unable, "serving the log", &error);
    let address = listener.local_addr().map_err(wrong)?;
    // Its other end lives as long as the thread: nobody tells it to stop.
    let (stop, never) = UnixStream::pair().map_err(wrong)?;
    let dir = dir.clone();
    let serve = move || {
        let _never = never;
        let log = dir.log().clone();
        let monitor = Monitor::new(log, witnessed, address.ip(), Box::new(move || gauges(&dir)));
        if let Err(error) = monitor.serve(Serving { listener, stop }) {
            terminal::message(&format!("tacho: the log is no longer served: {error}"));
        }
    };
    let thread = std::thread::Builder::new().name("monitor".to_owned());
    thread.spawn(serve).map(drop).map_err(wrong)?;
    terminal::message(&format!("tacho: serving the log at http://{address}"));
    Ok(())
}

/// The recorder's own words, over its socket like everybody else's.
fn gauges(dir: &DataDir) -> Option<Gauges> {
    let status = ask_status(connect::connect(dir).ok()?).ok()?;
    let number = |name: &str| status.get(name)?.as_u64();
    Some(Gauges {
        records: number("records")?,
        sealed: number("sealed")?,
        sources: number("sources")?,
        open_calls: number("open_calls")?,
        witnesses: status.get("witnesses")?.as_bool()?,
        loss_window: number("loss_window_seconds"),
        free_bytes: room(dir.root()).ok().map(|room| room.free),
    })
}

/// What is known about cuts of a log: whether witnesses are configured, and the loss window.
pub(crate) struct Window {
    pub(crate) witnesses: bool,
    /// `None`: nothing is held outside.
    pub(crate) seconds: Option<u64>,
}

/// Asks the running recorder's status, or, where none runs, the log itself.
pub(crate) fn window(path: &Path, recorder: &Value) -> Result<Window> {
    if !recorder.is_null() {
        return Ok(Window {
            witnesses: recorder
                .get("witnesses")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            seconds: recorder.get("loss_window_seconds").and_then(Value::as_u64),
        });
    }
    let policy = match DataDir::open(path) {
        Ok(dir) => policy_of(&dir, &config::load(&dir)?.config.witnesses)?,
        // A copy of a log has no configuration.
        Err(_) => None,
    };
    Ok(Window {
        witnesses: policy.is_some(),
        seconds: policy.and_then(|policy| window_at_rest(&LogDir::at(path).ok()?, &policy)),
    })
}

fn window_at_rest(log: &LogDir, policy: &Policy) -> Option<u64> {
    let vkey = std::fs::read_to_string(log.vkey()).ok()?;
    let key = VerifyingKey::parse(vkey.trim_end()).ok()?;
    let held = match read_cosigned(log, |signed| signed.verify(&key), policy) {
        Ok(file) => file.held()?,
        Err(CosignedError::Missing | CosignedError::Io(_) | CosignedError::Checkpoint(_)) => {
            return None;
        }
    };
    let matters = matters_from(log, held.size).ok()?;
    loss_window(Some(held), matters, SystemClock.now().unix_seconds())
}
