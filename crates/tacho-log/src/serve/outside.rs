//! What the loop has to do with the world outside of the log: hand checkpoints out, write down what went
//! wrong there. It never waits for it.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use tacho_event::{Context, Detail, Event, EventType, Severity, Unredacted};

use super::{OpenLog, ServeError, Server};
use crate::checkpoint::SignedCheckpoint;
use crate::key::VerifyingKey;
use crate::outside::{News, Outside, WitnessNews, loss_window};

/// What the loop has to look at besides its sources.
pub(super) struct Woken {
    pub(super) stop: bool,
    pub(super) outside: bool,
}

/// The hook, where there is one, and which records at the log's end say only that nothing happened.
#[derive(Default)]
pub(super) struct Held {
    hook: Option<Box<dyn Outside>>,
    /// The heartbeats after which nothing else came: positions from the first up to one past the last.
    quiet: (u64, u64),
}

impl Held {
    pub(super) fn wake(&self) -> Option<&UnixStream> {
        self.hook.as_deref().map(Outside::wake)
    }

    pub(super) fn is_configured(&self) -> bool {
        self.hook.is_some()
    }

    pub(super) fn published(&mut self, checkpoint: &SignedCheckpoint) {
        if let Some(hook) = &mut self.hook {
            hook.published(checkpoint);
        }
    }

    pub(super) fn leave(&mut self) {
        if let Some(hook) = &mut self.hook {
            hook.leave();
        }
    }

    /// The records from `start` up to `end` are heartbeats.
    pub(super) const fn quiet(&mut self, start: u64, end: u64) {
        self.quiet = match self.quiet {
            (first, last) if last == start => (first, end),
            _ => (start, end),
        };
    }

    /// One more than the position of the last record that a cut would cost.
    const fn matters(&self, committed: u64) -> u64 {
        match self.quiet {
            (first, last) if last == committed => first,
            _ => committed,
        }
    }
}

impl OpenLog {
    /// What the log's checkpoints are checked with from now on.
    pub const fn verifying_key(&self) -> &VerifyingKey {
        self.log.verifying_key()
    }
}

impl Server {
    /// Has checkpoints held outside from now on, the newest one first.
    pub fn hold_outside(&mut self, mut hook: Box<dyn Outside>) {
        if let Some(checkpoint) = self.log.checkpoint() {
            hook.published(checkpoint);
        }
        self.outside.hook = Some(hook);
    }

    pub(super) fn loss_window_seconds(&self) -> Option<u64> {
        let held = self.outside.hook.as_ref()?.held();
        let matters = self.outside.matters(self.log.committed());
        loss_window(held, matters, self.options.clock.now().unix_seconds())
    }

    /// Writes down what went wrong outside, or right again.
    pub(super) fn record_news(&mut self) -> Result<(), ServeError> {
        let news = self.outside.hook.as_mut().map(|hook| hook.news());
        let mut events = Vec::new();
        for one in news.unwrap_or_default() {
            let now = self.options.clock.now();
            let id = self.ids.event(now);
            let context = Arc::new(Context::none());
            let mut event = Event::new(id, now, EventType::WitnessFailed, context);
            describe(one, &mut event);
            events.push(event);
        }
        if events.is_empty() {
            return Ok(());
        }
        self.commit_own(events).map(drop)
    }
}

fn describe(news: News, event: &mut Event) {
    let text = |text: String| Detail::Text(Unredacted::new(text));
    let size = |size: u64| Detail::Int(i64::try_from(size).unwrap_or(i64::MAX));
    event.details.push(("witness", text(news.witness)));
    match news.what {
        WitnessNews::Failed { reason } => {
            event.severity = Severity::Warning;
            event.details.push(("reason", text(reason)));
        }
        WitnessNews::Contradicted {
            reason,
            held,
            size: ours,
        } => {
            event.severity = Severity::Critical;
            event.details.push(("reason", text(reason)));
            event.details.push(("held", size(held)));
            event.details.push(("size", size(ours)));
        }
        WitnessNews::Recovered => event.details.push(("recovered", Detail::Bool(true))),
    }
}

#[cfg(test)]
mod tests {
    use super::Held;

    #[test]
    fn heartbeats_at_the_end_do_not_matter() {
        let mut held = Held::default();
        assert_eq!(held.matters(0), 0);
        assert_eq!(held.matters(5), 5);
        held.quiet(5, 6);
        assert_eq!((held.matters(6), held.matters(7)), (5, 7));
        held.quiet(6, 7);
        assert_eq!(held.matters(7), 5);
        held.quiet(8, 9);
        assert_eq!((held.matters(9), held.matters(10)), (8, 10));
        // A heartbeat that the disk did not take.
        held.quiet(10, 10);
        assert_eq!(held.matters(10), 10);
    }
}
