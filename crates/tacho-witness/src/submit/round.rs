//! Whose turn it is, what came of it, and what is kept in `log/cosigned`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tacho_log::LogDir;
use tacho_log::checkpoint::SignedCheckpoint;
use tacho_log::disk::{Disk as _, RealDisk, replace};
use tacho_log::key::VerifyingKey;
use tacho_log::merkle::root_at;
use tacho_log::note::Signature;
use tacho_log::outside::{
    CosignedError, CosignedFile, HeldOutside, News, WitnessNews, read_cosigned,
};
use tacho_log::policy::Policy;
use tacho_log::prove::TileHashes;

use super::ask::{Address, Outcome, ask};
use super::post::Post;
use crate::limits::{FIRST_BACK_OFF, LEAVE_PATIENCE, LONGEST_BACK_OFF, REQUEST_TIMEOUT};

/// A witness that is asked.
struct Peer {
    /// What the policy calls it.
    name: String,
    address: Address,
    /// The size of the newest checkpoint that it was seen to cosign.
    cosigned: u64,
    failures: u32,
    /// After a failure: not before this.
    not_before: Option<Instant>,
    trouble: Trouble,
    /// It has had its turn since the recorder leaves.
    asked_last: bool,
}

/// What was said about a witness, so that it is said once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Failed,
    Contradicted,
}

/// The state of the thread.
pub(super) struct Rounds {
    log: LogDir,
    policy: Policy,
    post: Box<dyn Post>,
    peers: Vec<Peer>,
    /// The checkpoint of this round, or of the last one, with what was gathered for it.
    gathered: Option<SignedCheckpoint>,
    /// What `cosigned` holds.
    kept: Option<Kept>,
    /// Whether that was compared with the log.
    checked: bool,
    /// Whether it contradicts the log, and is not to be replaced.
    is_evidence: bool,
    /// Said with the next round.
    news: Vec<News>,
}

/// What is known of `cosigned`.
#[derive(Clone, Copy)]
struct Kept {
    size: u64,
    /// `None` while the quorum is not fulfilled.
    held: Option<HeldOutside>,
}

impl Rounds {
    /// Goes on from what an earlier recorder left in `cosigned`.
    pub(super) fn new(
        log: LogDir,
        key: &VerifyingKey,
        policy: Policy,
        post: Box<dyn Post>,
    ) -> Self {
        let mut news = Vec::new();
        // A log whose key has changed has a `cosigned` by the old one until the next is there.
        let by_log = |signed: &SignedCheckpoint| signed.verify(key);
        let file = match read_cosigned(&log, by_log, &policy) {
            Ok(file) => Some(file),
            Err(CosignedError::Missing) => None,
            Err(error) => {
                news.push(News {
                    witness: "log/cosigned".to_owned(),
                    what: WitnessNews::Failed {
                        reason: format!("it is unusable and will be replaced: {error}"),
                    },
                });
                None
            }
        };
        let peers = policy.witnesses().iter().filter_map(|witness| {
            let url = witness.url.as_deref()?.trim_end_matches('/');
            let seen = file
                .as_ref()
                .map_or(0, |file| cosigned_size(file, &witness.name));
            Some(Peer {
                name: witness.name.clone(),
                address: Address {
                    url: format!("{url}/add-checkpoint"),
                    key: witness.key.clone(),
                    size: seen,
                },
                cosigned: seen,
                failures: 0,
                not_before: None,
                trouble: Trouble::None,
                asked_last: false,
            })
        });
        Self {
            peers: peers.collect(),
            kept: file.as_ref().map(|file| Kept {
                size: file.checkpoint.size(),
                held: file.held(),
            }),
            gathered: file.map(|file| file.signed),
            checked: false,
            is_evidence: false,
            log,
            policy,
            post,
            news,
        }
    }

    /// The newest checkpoint that is held as the policy demands.
    pub(super) fn held(&self) -> Option<HeldOutside> {
        self.kept.and_then(|kept| kept.held)
    }

    /// When somebody is to be asked for a checkpoint of `size` records; `None`: all have cosigned it, or
    /// had their last turn.
    pub(super) fn due(&self, size: u64, leaving: bool) -> Option<Instant> {
        let now = Instant::now();
        let unchecked = self.gathered.is_some() && !self.checked;
        if unchecked || !self.news.is_empty() {
            return Some(now);
        }
        let waiting = self.peers.iter().filter(|peer| peer.wants(size, leaving));
        waiting.map(|peer| peer.not_before.unwrap_or(now)).min()
    }

    /// Asks every witness whose turn it is, the reliable ones first. `interrupted` says that the recorder
    /// leaves: then the rest waits for the last round.
    pub(super) fn run(
        &mut self,
        target: &SignedCheckpoint,
        leaving: bool,
        may_write: &Mutex<bool>,
        interrupted: &dyn Fn() -> bool,
    ) -> Vec<News> {
        let mut news = std::mem::take(&mut self.news);
        let size = target.unverified().size();
        news.extend(self.contradiction(size));
        let text = target.note().text();
        if self
            .gathered
            .as_ref()
            .is_none_or(|one| one.note().text() != text)
        {
            self.gathered = Some(target.clone());
        }
        let patience = if leaving {
            LEAVE_PATIENCE
        } else {
            REQUEST_TIMEOUT
        };
        let until = leaving.then(|| Instant::now() + LEAVE_PATIENCE);
        self.peers.sort_by_key(|peer| peer.failures);
        for at in 0..self.peers.len() {
            let Some(peer) = self.peers.get_mut(at) else {
                break;
            };
            if !peer.is_due(size, leaving) {
                continue;
            }
            let patience = until.map_or(patience, |until| {
                until.saturating_duration_since(Instant::now())
            });
            peer.asked_last = leaving;
            let outcome = ask(&*self.post, &self.log, &mut peer.address, target, patience);
            let (change, cosignature) = peer.note(outcome, size);
            let witness = peer.name.clone();
            news.extend(change.map(|what| News { witness, what }));
            if let Some(cosignature) = cosignature {
                self.gather(cosignature);
                if let Err(reason) = self.keep(may_write) {
                    let witness = "log/cosigned".to_owned();
                    let what = WitnessNews::Failed { reason };
                    news.push(News { witness, what });
                }
            }
            if !leaving && interrupted() {
                break;
            }
        }
        news
    }

    /// Whether what an earlier recorder left in `cosigned` is of another history than this log: then the log
    /// was put back, or there are two. Looked at once; the file is evidence then, and stays.
    fn contradiction(&mut self, size: u64) -> Option<News> {
        let (held, root) = match (&self.gathered, std::mem::replace(&mut self.checked, true)) {
            (Some(kept), false) => (kept.unverified().size(), *kept.unverified().root()),
            _ => return None,
        };
        let reason = if held > size {
            format!(
                "witnesses have cosigned {held} records of this log, which has {size}: it was put back to an older state"
            )
        } else {
            match root_at(&TileHashes::new(&self.log, size), held) {
                Ok(ours) if ours != root => format!(
                    "witnesses have cosigned another history of this log: its first {held} records were not these"
                ),
                // Tiles that cannot be read are a matter of verification.
                Ok(_) | Err(_) => return None,
            }
        };
        self.is_evidence = true;
        // What they have cosigned was not this log.
        self.peers.iter_mut().for_each(|peer| peer.cosigned = 0);
        Some(News {
            witness: "log/cosigned".to_owned(),
            what: WitnessNews::Contradicted { reason, held, size },
        })
    }

    fn gather(&mut self, cosignature: Signature) {
        let Some(gathered) = &self.gathered else {
            return;
        };
        let others = gathered.note().signatures().iter();
        let same =
            |one: &&Signature| one.key_id == cosignature.key_id && one.name == cosignature.name;
        let mut signatures: Vec<_> = others.filter(|one| !same(one)).cloned().collect();
        signatures.push(cosignature);
        if let Ok(more) = gathered.with_only(signatures) {
            self.gathered = Some(more);
        }
    }

    /// Replaces `cosigned`, when that is a step forward: it never gets smaller, and a checkpoint that
    /// fulfils the quorum never gives way to one that does not. A crash leaves the old file or the new one.
    fn keep(&mut self, may_write: &Mutex<bool>) -> Result<(), String> {
        let Some(gathered) = &self.gathered else {
            return Ok(());
        };
        let size = gathered.unverified().size();
        let cosigned = self
            .policy
            .quorum(gathered)
            .map_err(|error| error.to_string())?;
        let time = cosigned.newest().filter(|_| cosigned.fulfilled);
        let held = time.map(|time| HeldOutside { size, time });
        let is_back = |kept: Kept| kept.size > size || (kept.held.is_some() && held.is_none());
        if self.is_evidence || self.kept.is_some_and(is_back) {
            return Ok(());
        }
        let may_write = may_write.lock().unwrap_or_else(PoisonError::into_inner);
        if !*may_write {
            return Ok(());
        }
        let path = self.log.cosigned();
        replace(&RealDisk, &path, gathered.encode().as_bytes())
            .and_then(|()| RealDisk.sync_dir(self.log.root()))
            .map_err(|error| format!("cannot be written: {error}"))?;
        drop(may_write);
        self.kept = Some(Kept { size, held });
        Ok(())
    }
}

impl Peer {
    fn wants(&self, size: u64, leaving: bool) -> bool {
        // When there is little time it is for those that answer.
        let hopeless = leaving && (self.asked_last || self.failures > 0);
        self.cosigned != size && !hopeless
    }

    fn is_due(&self, size: u64, leaving: bool) -> bool {
        self.wants(size, leaving) && self.not_before.is_none_or(|at| at <= Instant::now())
    }

    /// Notes what came of asking: what is to be said about it, and the cosignature.
    fn note(&mut self, outcome: Outcome, size: u64) -> (Option<WitnessNews>, Option<Signature>) {
        let before = self.trouble;
        match outcome {
            Outcome::Cosigned(signature) => {
                self.cosigned = size;
                self.failures = 0;
                self.not_before = None;
                self.trouble = Trouble::None;
                let recovered = (before != Trouble::None).then_some(WitnessNews::Recovered);
                (recovered, Some(signature))
            }
            Outcome::Failed(reason) => {
                self.back_off();
                if before == Trouble::None {
                    self.trouble = Trouble::Failed;
                    return (Some(WitnessNews::Failed { reason }), None);
                }
                (None, None)
            }
            Outcome::Contradicted { reason, held } => {
                self.back_off();
                self.trouble = Trouble::Contradicted;
                let what = WitnessNews::Contradicted { reason, held, size };
                ((before != Trouble::Contradicted).then_some(what), None)
            }
        }
    }

    fn back_off(&mut self) {
        self.not_before = Some(Instant::now() + back_off(self.failures));
        self.failures = self.failures.saturating_add(1);
    }
}

/// One second, two, four, up to a minute.
fn back_off(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.min(16));
    FIRST_BACK_OFF.saturating_mul(doubled).min(LONGEST_BACK_OFF)
}

/// The size under a witness's cosignature in `cosigned`; 0 where it has none.
fn cosigned_size(file: &CosignedFile, name: &str) -> u64 {
    if file.cosigned.by.iter().any(|one| one.name == name) {
        file.checkpoint.size()
    } else {
        0
    }
}
