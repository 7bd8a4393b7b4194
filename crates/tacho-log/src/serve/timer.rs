//! What the recorder does because of the time: heartbeats, checkpoints, leaving.

use std::time::Instant;

use tacho_event::EventType;

use super::connection::Connection;
use super::{ServeError, Server, open, own};
use crate::limits::RETRY_INTERVAL;
use crate::log::SealError;

impl Server {
    pub(super) fn keep_time(&mut self) -> Result<(), ServeError> {
        let now = Instant::now();
        if self.orphans_until.is_some_and(|until| until <= now) {
            self.end_orphans()?;
        }
        if self
            .recent
            .as_ref()
            .is_some_and(|recent| recent.is_old(now))
        {
            self.recent = None;
        }
        let quiet = now.duration_since(self.last_record) >= self.options.checkpoint_interval;
        if quiet && self.unsealed_since.is_none() && self.stays() {
            // Also when the disk does not take it: the next attempt is an interval away.
            self.last_record = now;
            let before = self.log.committed();
            self.record_own(EventType::Heartbeat, Vec::new())?;
            self.outside.quiet(before, self.log.committed());
            self.seal()?;
        }
        if self.seal_at().is_some_and(|due| due <= now) {
            self.seal()?;
        }
        self.work_beside()
    }

    /// Intents of sources that did not come back.
    fn end_orphans(&mut self) -> Result<(), ServeError> {
        self.orphans_until = None;
        let here: Vec<_> = self
            .connections
            .iter()
            .filter_map(Connection::run)
            .collect();
        let open = self
            .calls
            .of_runs(|run| run.is_none_or(|run| !here.contains(&run)));
        self.record_interrupted(&open)
    }

    /// When the next checkpoint is due: an interval after the first record that none covers, at once
    /// when there are many, and later after one that failed.
    fn seal_at(&self) -> Option<Instant> {
        let since = self.unsealed_since?;
        if self.seal_again.is_some() {
            return self.seal_again;
        }
        if self.log.seal_due() {
            return Some(since);
        }
        Some(since + self.options.checkpoint_interval)
    }

    /// Makes a checkpoint. One that cannot be written now is tried again; recording goes on meanwhile,
    /// and is refused when too much waits for a checkpoint.
    pub(super) fn seal(&mut self) -> Result<(), ServeError> {
        // First the open calls, then the checkpoint: after a crash between the two they are of a larger
        // size than the checkpoint, and replaying the records after the checkpoint changes nothing.
        let calls = self.calls.to_json(self.log.committed());
        let sealed = open::store_open_calls(self.dir.log(), &calls).and_then(|()| self.log.seal());
        match sealed {
            Ok(checkpoint) => {
                self.outside.published(&checkpoint);
                self.unsealed_since = None;
                self.seal_again = None;
                Ok(())
            }
            Err(SealError::Write { .. }) => {
                self.seal_again = Some(Instant::now() + RETRY_INTERVAL);
                Ok(())
            }
            Err(error) => Err(ServeError::Seal(error)),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let heartbeat = self
            .stays()
            .then(|| self.last_record + self.options.checkpoint_interval);
        let recent = self.recent.as_ref().map(own::Recent::old_at);
        [
            self.seal_at(),
            heartbeat,
            self.leave_at(),
            self.orphans_until,
            recent,
            self.space.look_at(),
            self.losses.due(),
            self.retaining.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether silence is written down: not by a recorder that nobody is connected to and that leaves for
    /// it, over a `log_closed`.
    fn stays(&self) -> bool {
        self.leave_at().is_none()
    }

    fn leave_at(&self) -> Option<Instant> {
        if !self.connections.is_empty() {
            return None;
        }
        if self.listener.is_none() {
            return Some(self.idle_since);
        }
        self.options
            .leave_after
            .map(|after| self.idle_since + after)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.leave_at().is_some_and(|at| at <= Instant::now())
    }
}
