//! `tacho witness`: a witness of other people's logs.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tacho_log::SystemClock;
use tacho_log::key::VerifyingKey;
use tacho_log::witness::Witness as Judge;
use tacho_witness::{Serving, WitnessDir, WitnessSite};

use super::serve::stop_signals;
use crate::args::Witness;
use crate::error::{CliError, Exit, Result};
use crate::terminal::{self, Output};
use crate::{keys, outside, place};

pub(crate) fn run(dir: Option<&Path>, args: &Witness) -> Result<ExitCode> {
    let path = place::witness_path(dir)?;
    if path.join("log").exists() || path.join("key").exists() {
        let what = format!("{} is the directory of a recorder", path.display());
        return Err(CliError::new(Exit::Usage, what).hint(
            "a witness has a directory of its own, best on another machine: give one with --dir",
        ));
    }
    let logs = logs(args)?;
    if logs.is_empty() && !args.show_key {
        return Err(
            CliError::new(Exit::Usage, "no log to be a witness for").hint(
                "give the key of one with --log (the owner finds it in log/vkey), or --policy FILE; for the witness's own key: --show-key",
            ),
        );
    }
    let dir = WitnessDir::open(&path)
        .map_err(|error| CliError::from_error(Exit::Unable, "the witness's directory", &error))?;
    let key = keys::load_or_create_witness(&dir.key(), args.name.as_deref())?;
    let vkey = key.witness_key().encode();
    if args.show_key {
        let mut out = Output::words(false);
        super::printed(out.line(&vkey))?;
        return Ok(Exit::Ok.into());
    }
    let count = logs.len();
    let site = WitnessSite::open(Judge::new(key, logs), dir, Arc::new(SystemClock)).map_err(|error| {
        CliError::from_error(Exit::Failed, "the witness's memory is refused", &error).hint(
            "a witness that goes on without its memory can be led back to an older history: restore the file, or begin anew with another --dir, and so another key",
        )
    })?;
    let stop = stop_signals()?;
    let listener = outside::listen(args.listen)?;
    // The port may have been left to the system.
    let address = listener
        .local_addr()
        .map_err(|error| CliError::from_error(Exit::Unable, "the address", &error))?;
    let logs = if count == 1 { "log" } else { "logs" };
    terminal::message(&format!(
        "tacho: a witness for {count} {logs}, at http://{address}\n{vkey}"
    ));
    site.serve(Serving { listener, stop })
        .map_err(|error| CliError::from_error(Exit::Unable, "serving", &error))?;
    Ok(Exit::Ok.into())
}

fn logs(args: &Witness) -> Result<Vec<VerifyingKey>> {
    let mut logs = Vec::new();
    for log in &args.logs {
        let keys = super::verify::given_key("--log", log)?;
        logs.extend(keys.keys().iter().map(|one| one.key.clone()));
    }
    if let Some(path) = &args.policy {
        let policy = outside::read_policy(path)?;
        logs.extend(policy.logs().iter().map(|log| log.key.clone()));
    }
    Ok(logs)
}
