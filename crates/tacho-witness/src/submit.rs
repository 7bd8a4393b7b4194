//! Has checkpoints of a log held outside: one thread beside the recorder's loop, which never waits for it.
//!
//! It goes in rounds. A round takes the newest checkpoint and asks each witness whose turn it is for a
//! cosignature of it, so that the cosignatures of a quorum are on one checkpoint however fast the log
//! grows. A witness that fails is asked again later, and later still.

mod ask;
mod post;
mod round;

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tacho_log::LogDir;
use tacho_log::checkpoint::SignedCheckpoint;
use tacho_log::key::VerifyingKey;
use tacho_log::outside::{HeldOutside, News, Outside};
use tacho_log::policy::Policy;

use self::post::{Http, Post};
use self::round::Rounds;
use crate::limits::{LEAVE_PATIENCE, LONGEST_BACK_OFF};

/// Submits the checkpoints of one log to the witnesses of a policy.
pub struct Submitter {
    shared: Arc<Shared>,
    wake: UnixStream,
}

/// What the recorder's loop and the thread have in common. The loop holds it for moments only.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether `cosigned` may still be written. Held while it is.
    may_write: Mutex<bool>,
}

#[derive(Default)]
struct State {
    newest: Option<SignedCheckpoint>,
    held: Option<HeldOutside>,
    news: Vec<News>,
    leaving: bool,
    /// The thread has nothing more to do, or nothing that it could still do in time.
    finished: bool,
}

/// A panic elsewhere leaves the state whole: every change of it is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Submitter {
    /// Starts the thread. `key` is the one that the log's checkpoints are signed with from now on.
    ///
    /// # Errors
    ///
    /// When the system gives no thread, or no pair of sockets to wake the loop with.
    pub fn start(log: LogDir, key: VerifyingKey, policy: Policy) -> io::Result<Self> {
        Self::start_with(log, key, policy, Box::new(Http::new()))
    }

    fn start_with(
        log: LogDir,
        key: VerifyingKey,
        policy: Policy,
        post: Box<dyn Post>,
    ) -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            may_write: Mutex::new(true),
        });
        let mut rounds = Rounds::new(log, &key, policy, post);
        let theirs = Arc::clone(&shared);
        locked(&theirs.state).held = rounds.held();
        let thread = std::thread::Builder::new().name("recorder-witnesses".to_owned());
        // Not joined: a witness may keep it waiting, and nobody waits for that.
        drop(thread.spawn(move || work(&mut rounds, &theirs, &waker))?);
        Ok(Self { shared, wake })
    }
}

impl Outside for Submitter {
    fn published(&mut self, checkpoint: &SignedCheckpoint) {
        locked(&self.shared.state).newest = Some(checkpoint.clone());
        self.shared.changed.notify_all();
    }

    fn wake(&self) -> &UnixStream {
        &self.wake
    }

    fn news(&mut self) -> Vec<News> {
        // First the bytes, then the news: what comes in between wakes the loop once more.
        let mut bytes = [0; 64];
        while (&self.wake).read(&mut bytes).is_ok_and(|read| read > 0) {}
        std::mem::take(&mut locked(&self.shared.state).news)
    }

    fn held(&self) -> Option<HeldOutside> {
        locked(&self.shared.state).held
    }

    fn leave(&mut self) {
        let until = Instant::now() + LEAVE_PATIENCE;
        let mut state = locked(&self.shared.state);
        state.leaving = true;
        self.shared.changed.notify_all();
        while !state.finished {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        // From here on another recorder may have the log, and `cosigned` is its.
        *locked(&self.shared.may_write) = false;
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        *locked(&self.shared.may_write) = false;
        locked(&self.shared.state).leaving = true;
        self.shared.changed.notify_all();
    }
}

/// The thread.
fn work(rounds: &mut Rounds, shared: &Shared, waker: &UnixStream) {
    while let Some((target, leaving)) = next(rounds, shared) {
        let news = rounds.run(&target, leaving, &shared.may_write, &|| {
            locked(&shared.state).leaving
        });
        let mut state = locked(&shared.state);
        state.held = rounds.held();
        if !news.is_empty() {
            state.news.extend(news);
            drop(state);
            // A full pipe wakes as well as one more byte would; a closed one has nobody to wake.
            drop((&*waker).write(&[1]));
        }
    }
    locked(&shared.state).finished = true;
    shared.changed.notify_all();
}

/// Waits for the next round; `None` when there will be none.
fn next(rounds: &mut Rounds, shared: &Shared) -> Option<(SignedCheckpoint, bool)> {
    let mut state = locked(&shared.state);
    loop {
        let mut due = Instant::now() + LONGEST_BACK_OFF;
        if let Some(newest) = &state.newest {
            let leaving = state.leaving;
            match rounds.due(newest.unverified().size(), leaving) {
                Some(at) if at <= Instant::now() => return Some((newest.clone(), leaving)),
                Some(at) => due = at,
                None if leaving => return None,
                None => {}
            }
        } else if state.leaving {
            return None;
        }
        let left = due.saturating_duration_since(Instant::now());
        let waited = shared
            .changed
            .wait_timeout(state, left.max(Duration::from_millis(1)));
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests;
