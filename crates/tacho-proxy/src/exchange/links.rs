//! What makes several messages one call: rounds, tasks, progress.

use std::hash::{BuildHasher as _, RandomState};

use tacho_event::{CallId, Direction};

use super::bounded::Bounded;
use crate::fields::{Params, text};
use crate::limits::{ID_BYTES, PROGRESS_TOKENS, ROUND_KEY_BYTES, ROUNDS, TASKS};
use crate::message::IdKey;
use crate::rules::Treatment;

/// A logical call, and how everything that belongs to it is treated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) treatment: Treatment,
}

impl Call {
    /// Its name, if anything in the log bears it.
    pub(super) fn recorded_id(self) -> Option<CallId> {
        self.treatment.level.map(|_| self.id)
    }
}

/// How the next round of a call is recognised: a hash under a key of this process, never stored.
pub(super) type RoundKey = u64;

/// A task, by the side that asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TaskId {
    side: Direction,
    id: String,
}

impl TaskId {
    /// From a raw `taskId`; none of one longer than [`ID_BYTES`].
    pub(super) fn of(side: Direction, raw: Option<&[u8]>) -> Option<Self> {
        Some(Self {
            side,
            id: text(raw).filter(|id| id.len() <= ID_BYTES)?,
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug)]
pub(super) struct Links {
    hasher: RandomState,
    rounds: Bounded<RoundKey, Call>,
    tasks: Bounded<TaskId, Call>,
    progress: Bounded<(Direction, IdKey), Call>,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            rounds: Bounded::new(ROUNDS),
            tasks: Bounded::new(TASKS),
            progress: Bounded::new(PROGRESS_TOKENS),
        }
    }
}

impl Links {
    /// The key of the next round where the answer bears no `requestState`: what was asked.
    pub(super) fn round_key(
        &self,
        method: &str,
        tool: Option<&str>,
        arguments: Option<&[u8]>,
    ) -> RoundKey {
        // The ends and the length of large arguments: enough to tell calls apart, and a message of many
        // mebibytes must not hold up the others.
        let whole = arguments.unwrap_or_default();
        let head = whole.get(..ROUND_KEY_BYTES).unwrap_or(whole);
        let tail = whole
            .get(whole.len().saturating_sub(ROUND_KEY_BYTES)..)
            .unwrap_or(whole);
        self.hasher
            .hash_one((method, tool, whole.len(), head, tail))
    }

    /// The call whose next round this is, if it is one.
    pub(super) fn take_round(&mut self, asked: RoundKey, params: &Params<'_>) -> Option<Call> {
        if let Some(state) = params.request_state {
            return self.rounds.remove(&self.state_key(state));
        }
        params
            .input_responses
            .and_then(|_| self.rounds.remove(&asked))
    }

    /// An answer wants more input: its retry is the same call.
    pub(super) fn expect_round(&mut self, asked: RoundKey, state: Option<&[u8]>, call: Call) {
        let key = state.map_or(asked, |state| self.state_key(state));
        self.rounds.insert(key, call);
    }

    fn state_key(&self, raw: &[u8]) -> RoundKey {
        self.hasher.hash_one(("requestState", text(Some(raw))))
    }

    pub(super) fn call_of_task(&self, task: &TaskId) -> Option<Call> {
        self.tasks.get(task).copied()
    }

    pub(super) fn expect_task(&mut self, task: TaskId, call: Call) {
        self.tasks.insert(task, call);
    }

    pub(super) fn call_of_progress(&self, side: Direction, token: &IdKey) -> Option<Call> {
        self.progress.get(&(side, token.clone())).copied()
    }

    pub(super) fn expect_progress(&mut self, side: Direction, token: IdKey, call: Call) {
        self.progress.insert((side, token), call);
    }

    pub(super) fn end_progress(&mut self, side: Direction, token: IdKey) {
        self.progress.remove(&(side, token));
    }
}
