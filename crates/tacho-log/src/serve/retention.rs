//! Work beside the loop, and retention, which decides there and acts here.
//!
//! What is slow (compressing, reading old segments, removing files) runs in one thread, one job at a time, so
//! that no two jobs meet on the same files. What has an order (record, checkpoint, minimum index) runs in
//! the loop.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tacho_event::{Context, Detail, Event, EventType};

use super::{ServeError, Server};
use crate::disk::RealDisk;
use crate::limits::{BESIDE_POLL, RETENTION_INTERVAL};
use crate::log::{compress_segment, encrypt_closed, remove_pruned, survey};
use crate::retention::{Protected, Pruning};

/// Where the recorder stands with retention, and with its work beside the loop.
pub(super) struct Retaining {
    job: Option<JoinHandle<Done>>,
    /// When to look for records to remove; `None`: never.
    next_look: Option<Instant>,
    /// Recorded, and waiting for its checkpoint: what goes, and where the record of it is.
    recorded: Option<(Pruning, u64)>,
    /// Files below the minimum index are to be removed.
    remove: bool,
    /// Closed segments wait for being encrypted until more than this is sealed.
    encrypt_after: Option<u64>,
    /// Why nothing was removed at the last look, though the policy asks for it.
    trouble: Option<String>,
    /// Looks that are done.
    looks: u64,
}

/// What a job came to.
#[derive(Default)]
struct Done {
    /// What may go; `None` when it did not look.
    surveyed: Option<Result<Option<Pruning>, String>>,
    /// See [`Retaining::encrypt_after`].
    encrypt_after: Option<u64>,
}

impl Retaining {
    pub(super) const fn new(looks: bool, encrypts: bool, now: Instant) -> Self {
        Self {
            job: None,
            next_look: if looks { Some(now) } else { None },
            recorded: None,
            remove: looks,
            encrypt_after: if encrypts { Some(0) } else { None },
            trouble: None,
            looks: 0,
        }
    }

    /// For `tacho status`.
    pub(super) fn status(&self) -> serde_json::Value {
        serde_json::json!({"looks": self.looks, "trouble": self.trouble})
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.job {
            Some(_) => Some(Instant::now() + BESIDE_POLL),
            None => self.next_look,
        }
    }

    /// Waits for the job: the lock must not be given up while a thread of ours still writes.
    pub(super) fn join(&mut self) {
        if let Some(job) = self.job.take() {
            drop(job.join());
        }
    }
}

impl Server {
    /// Takes over what the last job found, and begins the next one. What is not finished when the process
    /// ends is done by the next opening.
    pub(super) fn work_beside(&mut self) -> Result<(), ServeError> {
        self.declare_pruning();
        if let Some(job) = self.retaining.job.take_if(|job| job.is_finished()) {
            // One that panicked did nothing that the next one could not do.
            let done = job.join().unwrap_or_default();
            self.retaining.encrypt_after = done.encrypt_after;
            if let Some(surveyed) = done.surveyed {
                self.retaining.trouble = None;
                match surveyed {
                    Ok(None) => {}
                    Ok(Some(pruning)) => self.prune(pruning)?,
                    Err(trouble) => self.retaining.trouble = Some(trouble),
                }
                self.retaining.looks += 1;
            }
        }
        if self.retaining.job.is_none() {
            self.begin_job();
        }
        Ok(())
    }

    fn begin_job(&mut self) {
        let closed = self.log.closed_segments();
        let now = Instant::now();
        // Another look would find what is already on its way.
        let idle = self.retaining.recorded.is_none();
        let look_now = idle && self.retaining.next_look.is_some_and(|at| at <= now);
        let remove = std::mem::take(&mut self.retaining.remove);
        let sealed = self.log.sealed();
        let encrypt = self
            .retaining
            .encrypt_after
            .is_some_and(|size| size < sealed);
        if closed.is_empty() && !look_now && !remove && !encrypt {
            return;
        }
        if look_now {
            self.retaining.next_look = Some(now + RETENTION_INTERVAL);
        }
        let dir = self.dir.clone();
        let (policy, recipients) = (self.options.retention, self.options.encrypt.clone());
        let time = self.options.clock.now();
        let work = move || {
            for segment in closed {
                // One that cannot be compressed stays as it is, whole and readable.
                drop(compress_segment(&RealDisk, &segment));
            }
            if remove {
                // What is left is removed at the next look, or by the next opening.
                drop(remove_pruned(&RealDisk, dir.log()));
            }
            // One that cannot be encrypted now stays as it is until the next one is, or the next opening.
            let encrypt_after = recipients
                .and_then(|to| encrypt_closed(&RealDisk, dir.log(), &to, sealed).ok())
                .flatten();
            let look = || {
                let protected = Protected::read(&dir).map_err(|error| error.to_string())?;
                survey(&RealDisk, dir.log(), &policy, &protected, sealed, time)
                    .map_err(|error| error.to_string())
            };
            Done {
                surveyed: look_now.then(look),
                encrypt_after,
            }
        };
        let thread = std::thread::Builder::new().name("recorder-beside".to_owned());
        self.retaining.job = thread.spawn(work).ok();
    }

    /// Records that these records go, and seals it. A crash from here on until the minimum index is
    /// raised leaves a record that nothing followed; the next look decides, and records, again.
    fn prune(&mut self, pruning: Pruning) -> Result<(), ServeError> {
        if !self.may_go(&pruning) {
            return Ok(());
        }
        let position = |seq: u64| Detail::Int(i64::try_from(seq).unwrap_or(i64::MAX));
        let now = self.options.clock.now();
        let id = self.ids.event(now);
        let mut event = Event::new(
            id,
            now,
            EventType::RetentionPruned,
            Arc::new(Context::none()),
        );
        event.details = vec![
            ("from", position(pruning.from)),
            ("to", position(pruning.to)),
            ("newest", Detail::Time(pruning.newest)),
            ("reason", Detail::Word(pruning.reason.word())),
            ("bytes", position(pruning.bytes)),
        ];
        if !self.commit_own(vec![event])? {
            return Ok(());
        }
        let record = self.log.committed().saturating_sub(1);
        self.retaining.recorded = Some((pruning, record));
        self.seal()?;
        self.declare_pruning();
        Ok(())
    }

    /// Raises the minimum index once the record is sealed. From then on the records are gone, whatever
    /// happens to us.
    fn declare_pruning(&mut self) {
        let sealed = self.log.sealed();
        let recorded = &mut self.retaining.recorded;
        let Some((pruning, record)) = recorded.take_if(|(_, record)| *record < sealed) else {
            return;
        };
        // A checkpoint may have been long in coming, and a hold was faster.
        if !self.may_go(&pruning) {
            return;
        }
        match self.log.raise_minimum(pruning.to, record) {
            Ok(()) => self.retaining.remove = true,
            Err(error) => self.retaining.trouble = Some(error.to_string()),
        }
    }

    /// Whether nothing protects these records at this moment.
    fn may_go(&mut self, pruning: &Pruning) -> bool {
        match Protected::read(&self.dir) {
            Ok(protected) => protected.allows(&pruning.range()),
            Err(error) => {
                self.retaining.trouble = Some(error.to_string());
                false
            }
        }
    }
}
