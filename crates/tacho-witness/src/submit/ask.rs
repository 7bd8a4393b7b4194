//! Asking one witness for one cosignature: C2SP tlog-witness, the client's side.

use std::time::{Duration, Instant};

use tacho_log::LogDir;
use tacho_log::checkpoint::SignedCheckpoint;
use tacho_log::key::WitnessKey;
use tacho_log::note::Signature;
use tacho_log::prove::{ProveError, prove_consistency};
use tacho_log::witness::AddCheckpoint;

use super::post::{Post, Reply};
use crate::limits::{ATTEMPTS, REASON_CHARS};

/// Where a witness is asked, and how far it has seen the log.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// The whole URL of `add-checkpoint`.
    pub(super) url: String,
    pub(super) key: WitnessKey,
    /// The size that it cosigned last, as far as is known here; 0: none.
    pub(super) size: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its cosignature, checked.
    Cosigned(Signature),
    /// It could not be had, now.
    Failed(String),
    /// The witness has seen something else than this log. `held` is the size that it cosigned last.
    Contradicted { reason: String, held: u64 },
}

/// Asks until there is an answer that stands. At first from where the witness was last; when it says that it is
/// elsewhere, from there, with the proof that belongs to it.
pub(super) fn ask(
    post: &dyn Post,
    log: &LogDir,
    address: &mut Address,
    target: &SignedCheckpoint,
    patience: Duration,
) -> Outcome {
    let until = Instant::now() + patience;
    let size = target.unverified().size();
    for _ in 0..ATTEMPTS {
        let old = address.size;
        if old > size {
            return put_back(address, size);
        }
        let body = match body(log, old, target) {
            Ok(body) => body,
            Err(error) => return Outcome::Failed(format!("no proof from size {old}: {error}")),
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let reply = match post.post(&address.url, &body, left) {
            Ok(reply) => reply,
            Err(error) => return Outcome::Failed(short(&error)),
        };
        match reply.status {
            200 => return cosignature(&reply, address, target),
            409 => match told_size(&reply) {
                Some(told) if told == old && told == size => return forked(told),
                Some(told) if told != old => address.size = told,
                _ => return Outcome::Failed(said(&reply)),
            },
            // Our proof was checked against our own root before it went out; so it is not the proof that
            // is wrong, but what the witness saw at `old` was not this log.
            422 if old > 0 => return forked(old),
            _ => return Outcome::Failed(said(&reply)),
        }
    }
    Outcome::Failed("it names another size each time it is asked, or no time is left".to_owned())
}

/// The request. A log of ours is never submitted without a proof that its tiles bear out.
fn body(log: &LogDir, old: u64, target: &SignedCheckpoint) -> Result<String, ProveError> {
    if old == 0 {
        let request = AddCheckpoint {
            old,
            proof: Vec::new(),
            checkpoint: target.clone(),
        };
        return Ok(request.encode());
    }
    Ok(prove_consistency(log, old, target.clone())?.encode())
}

/// The one signature of the answer that is by the witness, when it is right.
fn cosignature(reply: &Reply, address: &mut Address, target: &SignedCheckpoint) -> Outcome {
    let lines = std::str::from_utf8(&reply.body).unwrap_or_default();
    let text = target.note().text();
    let ours = lines
        .lines()
        .filter_map(Signature::parse)
        .find(|signature| address.key.signs(signature));
    let Some(signature) = ours else {
        return Outcome::Failed("it answered without a cosignature of its key".to_owned());
    };
    match address.key.verify_strict(text, &signature) {
        Ok(_time) => {
            address.size = target.unverified().size();
            Outcome::Cosigned(signature)
        }
        Err(error) => Outcome::Failed(format!("its cosignature is wrong: {error}")),
    }
}

fn told_size(reply: &Reply) -> Option<u64> {
    let told = std::str::from_utf8(&reply.body).ok()?.trim_end();
    told.parse()
        .ok()
        .filter(|size: &u64| size.to_string() == told)
}

fn put_back(address: &mut Address, size: u64) -> Outcome {
    let held = std::mem::take(&mut address.size);
    Outcome::Contradicted {
        reason: format!(
            "the witness has cosigned {held} records of this log, which has {size}: it was put back to an older state"
        ),
        held,
    }
}

fn forked(held: u64) -> Outcome {
    Outcome::Contradicted {
        reason: format!(
            "the witness has cosigned another history of this log: its first {held} records were not these"
        ),
        held,
    }
}

/// A refusal in the witness's own words.
fn said(reply: &Reply) -> String {
    let words = String::from_utf8_lossy(&reply.body);
    let hint = match reply.status {
        403 | 404 => "; does it know this log's key? (log/vkey)",
        _ => "",
    };
    let words = words.lines().next().unwrap_or_default();
    short(&format!("it answered {}: {words}{hint}", reply.status))
}

fn short(text: &str) -> String {
    text.chars().take(REASON_CHARS).collect()
}
