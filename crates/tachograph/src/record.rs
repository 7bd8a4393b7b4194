//! A command's own record: what an operator did to the log goes through the same door as every call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tacho_event::{Context, Detail, Event, EventType, IdSource, Options};
use tacho_log::{Clock as _, DataDir, Patience, Recorder, RecorderOptions, SystemClock};

use crate::connect::OnDemand;
use crate::error::{CliError, Exit, Result};
use crate::{keys, place};

/// A recorder that has to be started and to recover first is there within this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Records one thing that the user of this command did, and returns when it is durable.
pub(crate) fn record(
    dir: &DataDir,
    kind: EventType,
    details: Vec<(&'static str, Detail)>,
) -> Result<()> {
    let entropy = u64::from_le_bytes(keys::entropy()?);
    let mut ids = IdSource::new(entropy);
    let now = SystemClock.now();
    let run = ids.run(now);
    let context = Context {
        actor: Some(place::os_user()),
        session: Some(run),
        ..Context::none()
    };
    let mut event = Event::new(ids.event(now), now, kind, Arc::new(context));
    event.details = details;

    let program = std::env::current_exe()
        .map_err(|error| CliError::from_error(Exit::Unable, "the path of this program", &error))?;
    let options = RecorderOptions {
        run,
        redaction: Options::default(),
        entropy: u64::from_le_bytes(keys::entropy()?),
        clock: Arc::new(SystemClock),
        evidence: None,
    };
    let connect = Box::new(OnDemand::new(dir.clone(), program));
    let (recorder, threads) = Recorder::start(options, connect)
        .map_err(|error| CliError::from_error(Exit::Unable, "cannot start threads", &error))?;
    let deadline = Instant::now() + PATIENCE;
    let recorded = recorder.record(event, Patience::Wait).wait(Some(deadline));
    threads.close(Duration::from_secs(1));
    recorded.map(drop).map_err(|error| {
        CliError::from_error(
            Exit::Unable,
            "it could not be recorded, so it was not done",
            &error,
        )
        .hint("see: tacho doctor")
    })
}
