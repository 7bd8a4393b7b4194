//! The requests that have no answer yet.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use tacho_event::{Direction, EventId, EventType};

use super::bounded::Bounded;
use super::links::{Call, RoundKey, TaskId};
use crate::limits::{LATE_REQUESTS, OPEN_REQUESTS};
use crate::message::IdKey;

/// A request without an answer.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) intent: EventId,
    pub(super) call: Call,
    pub(super) kind: EventType,
    pub(super) method: String,
    pub(super) tool: Option<String>,
    pub(super) key: IdKey,
    /// As written, where it is not too long: a copy, lest the whole message stay in memory with it.
    pub(super) id: Option<Bytes>,
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

/// The open requests of one side.
#[derive(Debug)]
struct Side {
    /// By id; a correct peer has one for each.
    ids: Bounded<IdKey, VecDeque<Open>>,
    count: usize,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            // There are never more ids than requests, which are counted here.
            ids: Bounded::new(usize::MAX),
            count: 0,
        }
    }
}

impl Side {
    fn remove(&mut self, key: &IdKey, at: usize) -> Option<Open> {
        let same = self.ids.get_mut(key)?;
        let open = same.remove(at)?;
        if same.is_empty() {
            self.ids.remove(key);
        }
        self.count -= 1;
        Some(open)
    }
}

/// The open requests of both sides, and those that ended without an answer, which may still come.
#[derive(Debug)]
pub(super) struct Opens {
    client: Side,
    server: Side,
    late: Bounded<(Direction, IdKey), EventId>,
}

impl Default for Opens {
    fn default() -> Self {
        Self {
            client: Side::default(),
            server: Side::default(),
            late: Bounded::new(LATE_REQUESTS),
        }
    }
}

impl Opens {
    const fn side(&mut self, from: Direction) -> &mut Side {
        match from {
            Direction::ClientToServer => &mut self.client,
            Direction::ServerToClient => &mut self.server,
        }
    }

    /// Adds a request of one side. Whether its id was in use, and the request that had to make room:
    /// one at most, so that each one given up gets its outcome.
    pub(super) fn insert(&mut self, from: Direction, open: Open) -> (bool, Option<Open>) {
        let key = open.key.clone();
        // An id that is used again cannot be that of a late answer any more.
        if !self.late.is_empty() {
            self.late.remove(&(from, key.clone()));
        }
        let side = self.side(from);
        side.count += 1;
        let reused = if let Some(same) = side.ids.get_mut(&key) {
            same.push_back(open);
            true
        } else {
            let mut same = VecDeque::with_capacity(1);
            same.push_back(open);
            side.ids.insert(key, same);
            false
        };
        if side.count <= OPEN_REQUESTS {
            return (reused, None);
        }
        let oldest = side.ids.oldest().cloned();
        (reused, oldest.and_then(|key| side.remove(&key, 0)))
    }

    /// Takes out the request that an answer with this id is for: the oldest one that bears it.
    pub(super) fn take(&mut self, from: Direction, key: &IdKey) -> Option<Open> {
        self.side(from).remove(key, 0)
    }

    /// Takes out one certain request.
    pub(super) fn take_intent(
        &mut self,
        from: Direction,
        key: &IdKey,
        intent: EventId,
    ) -> Option<Open> {
        let side = self.side(from);
        let same = side.ids.get_mut(key)?;
        let at = same.iter().position(|open| open.intent == intent)?;
        side.remove(key, at)
    }

    pub(super) fn get(&mut self, from: Direction, key: &IdKey) -> Option<&Open> {
        self.side(from).ids.get_mut(key)?.front()
    }

    /// Every open request of one side for which `ended` holds.
    pub(super) fn take_where(
        &mut self,
        from: Direction,
        ended: impl Fn(&Open) -> bool,
    ) -> Vec<Open> {
        let found: Vec<(IdKey, EventId)> = self
            .side(from)
            .ids
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
        self.late.insert((from, open.key.clone()), open.intent);
    }

    pub(super) fn take_late(&mut self, from: Direction, key: &IdKey) -> Option<EventId> {
        self.late.remove(&(from, key.clone()))
    }

    /// Requests without an answer.
    pub(super) const fn len(&self) -> usize {
        self.client.count + self.server.count
    }
}
