//! The requests that have no answer yet.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use tacho_event::{CallId, Direction, EventId, EventType};

use super::bounded::Bounded;
use super::links::{RoundKey, TaskId};
use crate::limits::{LATE_REQUESTS, OPEN_REQUESTS, SAME_ID};
use crate::message::IdKey;

/// A request without an answer.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) intent: EventId,
    pub(super) call: CallId,
    pub(super) kind: EventType,
    pub(super) method: String,
    pub(super) tool: Option<String>,
    /// As written.
    pub(super) id: Bytes,
    pub(super) started: Instant,
    pub(super) progress: Option<IdKey>,
    /// How its next round would be known, for requests that can have one.
    pub(super) round: Option<RoundKey>,
    /// It bears `params.task` (2025-11-25), so its answer may be a task instead of a result.
    pub(super) asks_for_task: bool,
    pub(super) purpose: Purpose,
}

/// What the answer to a request has to be read for.
#[derive(Debug)]
pub(super) enum Purpose {
    Other,
    ListTools {
        first: bool,
    },
    /// `subscriptions/listen`: open-ended, no limit for waiting applies.
    Listen,
    /// `tasks/result` of a task we follow.
    TaskResult(TaskId),
    /// Another request about a task we follow; its answer tells a status, if anything.
    Task(TaskId),
}

/// The open requests of both sides, and those that ended without an answer, which may still come.
#[derive(Debug)]
pub(super) struct Opens {
    client: Bounded<IdKey, VecDeque<Open>>,
    server: Bounded<IdKey, VecDeque<Open>>,
    late: Bounded<(Direction, IdKey), EventId>,
}

impl Default for Opens {
    fn default() -> Self {
        Self {
            client: Bounded::new(OPEN_REQUESTS),
            server: Bounded::new(OPEN_REQUESTS),
            late: Bounded::new(LATE_REQUESTS),
        }
    }
}

impl Opens {
    fn side(&mut self, from: Direction) -> &mut Bounded<IdKey, VecDeque<Open>> {
        match from {
            Direction::ClientToServer => &mut self.client,
            Direction::ServerToClient => &mut self.server,
        }
    }

    /// Adds a request of one side. Whether its id was in use, and the request that had to make room.
    pub(super) fn insert(&mut self, from: Direction, open: Open) -> (bool, Option<Open>) {
        let key = IdKey::of(&open.id);
        // An id that is used again cannot be that of a late answer any more.
        self.late.remove(&(from, key.clone()));
        let side = self.side(from);
        if let Some(same) = side.get_mut(&key) {
            same.push_back(open);
            let given_up = if same.len() > SAME_ID {
                same.pop_front()
            } else {
                None
            };
            return (true, given_up);
        }
        let given_up = side.insert(key, VecDeque::from([open]));
        (false, given_up.and_then(|(_, mut same)| same.pop_front()))
    }

    /// Takes out the request that an answer with this id is for: the oldest one that bears it.
    pub(super) fn take(&mut self, from: Direction, key: &IdKey) -> Option<Open> {
        let side = self.side(from);
        let same = side.get_mut(key)?;
        let open = same.pop_front();
        if same.is_empty() {
            side.remove(key);
        }
        open
    }

    /// Takes out one certain request.
    pub(super) fn take_intent(
        &mut self,
        from: Direction,
        key: &IdKey,
        intent: EventId,
    ) -> Option<Open> {
        let side = self.side(from);
        let same = side.get_mut(key)?;
        let at = same.iter().position(|open| open.intent == intent)?;
        let open = same.remove(at);
        if same.is_empty() {
            side.remove(key);
        }
        open
    }

    pub(super) fn get(&mut self, from: Direction, key: &IdKey) -> Option<&Open> {
        self.side(from).get_mut(key)?.front()
    }

    /// Every open request of one side for which `ended` holds.
    pub(super) fn take_where(
        &mut self,
        from: Direction,
        ended: impl Fn(&Open) -> bool,
    ) -> Vec<Open> {
        let found: Vec<(IdKey, EventId)> = self
            .side(from)
            .iter()
            .flat_map(|(key, same)| same.iter().map(move |open| (key, open)))
            .filter(|(_, open)| ended(open))
            .map(|(key, open)| (key.clone(), open.intent))
            .collect();
        found
            .iter()
            .filter_map(|(key, intent)| self.take_intent(from, key, *intent))
            .collect()
    }

    /// Remembers that the record of a request has ended though its answer may still come.
    pub(super) fn remember_late(&mut self, from: Direction, open: &Open) {
        self.late.insert((from, IdKey::of(&open.id)), open.intent);
    }

    pub(super) fn take_late(&mut self, from: Direction, key: &IdKey) -> Option<EventId> {
        self.late.remove(&(from, key.clone()))
    }

    pub(super) fn len(&self) -> usize {
        self.client.len() + self.server.len()
    }
}
