//! Responses, and what else tells how a request went.

use tacho_event::{Detail, Direction, Event, EventType, Outcome, Severity, Stage, Unredacted};

use super::links::{Call, TaskId};
use super::open::{Open, Purpose};
use super::verdict::{Inner, Verdict};
use super::{Answered, Exchange, Moment, Observed};
use crate::fields::{Answer, Meta, Params, text};
use crate::message::{IdKey, Message};

impl Exchange {
    pub(super) fn response(
        &mut self,
        seen: &mut Observed,
        from: Direction,
        message: &Message,
        now: Moment,
    ) {
        let key = IdKey::of(message.id.as_deref().unwrap_or_default());
        let asker = from.reverse();
        let open = self.opens.take(asker, &key);
        seen.answers.extend(message.id.clone().map(|id| {
            Answered {
                id,
                to: open
                    .as_ref()
                    .and_then(|open| Some((open.intent, open.call.recorded_id()?, open.kind))),
            }
        }));
        let Some(open) = open else {
            let event = self.stray(from, message, &key, now);
            let treatment = self.treatment(None).recorded();
            self.keep(seen, event, treatment);
            return;
        };
        let answer = Answer::of(message.result.as_deref());
        if from == Direction::ServerToClient {
            let meta = Meta::of(answer.meta);
            let claimed = answer.server_info.filter(|_| open.method == "initialize");
            self.parties.server(claimed.or(meta.server_info));
        }
        let mut details = Vec::new();
        let verdict = match (&message.error, &message.result) {
            (Some(error), _) => Verdict::of_error(error),
            (None, _) => self.verdict(asker, &open, &answer, message, &mut details),
        };
        let changes = self.listed(seen, &open, &answer, &mut details, now);

        let mut event = self.message_event(open.kind, from, message, now);
        event.result = message
            .error
            .clone()
            .or_else(|| message.result.clone())
            .map(Unredacted::new);
        event.details.append(&mut details);
        let treatment = open.call.treatment;
        self.conclude(&mut event, asker, open, verdict, now);
        self.keep(seen, event, treatment);
        self.keep_own(seen, changes);
    }

    /// Makes `event` the outcome of `open`.
    pub(super) fn conclude(
        &mut self,
        event: &mut Event,
        asker: Direction,
        open: Open,
        verdict: Verdict,
        now: Moment,
    ) {
        if let Some(token) = open
            .progress
            .filter(|_| verdict.outcome != Outcome::Pending)
        {
            self.links.end_progress(asker, token);
        }
        event.stage = Stage::Outcome(open.intent);
        event.severity = event.severity.max(verdict.severity());
        event.outcome = Some(verdict.outcome);
        event.error = verdict.error;
        event.call = Some(open.call.id);
        event.level = open.call.treatment.level;
        event.method = Some(Unredacted::new(open.method));
        event.tool = open.tool.map(Unredacted::new);
        event.duration = Some(now.mono.saturating_duration_since(open.started));
        if event.request.is_none() {
            event.request = open.id.map(Unredacted::new);
        }
    }

    /// Reads a result. Rounds and tasks go on under the same call.
    fn verdict(
        &mut self,
        asker: Direction,
        open: &Open,
        answer: &Answer<'_>,
        message: &Message,
        details: &mut Vec<(&'static str, Detail)>,
    ) -> Verdict {
        let result_type = text(answer.result_type);
        let is = |word: &str| result_type.as_deref() == Some(word);
        if let Some(word) = result_type.clone().filter(|word| word != "complete") {
            details.push(("result_type", Detail::Text(Unredacted::new(word))));
        }
        if is("input_required") {
            if let Some(state) = answer.request_state {
                let raw = message.text.slice_ref(state);
                details.push(("request_state", Detail::Digest(Unredacted::new(raw))));
            }
            if let Some(round) = open.round {
                self.links
                    .expect_round(round, answer.request_state, open.call);
            }
            return Verdict::plain(Outcome::Pending);
        }
        if is("task") || (open.asks_for_task && answer.task.is_some()) {
            // 2025-11-25 wraps the description of a task, the extension does not.
            let task = Answer::of(answer.task.or(message.result.as_deref()));
            if let Some(id) = TaskId::of(asker, task.task_id) {
                details.push(("task", Detail::Text(Unredacted::from(id.id()))));
                self.links.expect_task(id, open.call);
            }
            return task_verdict(&task);
        }
        match &open.purpose {
            Purpose::TaskResult(task) => {
                details.push(("task", Detail::Text(Unredacted::from(task.id()))));
                Verdict::of_result(answer)
            }
            Purpose::Task(task) => {
                details.push(("task", Detail::Text(Unredacted::from(task.id()))));
                task_verdict(answer)
            }
            Purpose::Other | Purpose::ListTools { .. } | Purpose::Listen => {
                Verdict::of_result(answer)
            }
        }
    }

    /// Takes the definitions out of an answer to `tools/list`; an event when they are not as before.
    fn listed(
        &mut self,
        seen: &mut Observed,
        open: &Open,
        answer: &Answer<'_>,
        details: &mut Vec<(&'static str, Detail)>,
        now: Moment,
    ) -> Option<Event> {
        let Purpose::ListTools { first } = open.purpose else {
            return None;
        };
        let page = self.tools.page(first, answer)?;
        seen.definitions_changed = true;
        details.push(("tools", page.listed));
        let mut event = self.event(EventType::ToolDefinitionsChanged, now);
        event.severity = Severity::Warning;
        event.details = page.changes?;
        Some(event)
    }

    /// A response to nothing that is open.
    fn stray(&mut self, from: Direction, message: &Message, key: &IdKey, now: Moment) -> Event {
        let mut event = self.message_event(EventType::McpResponse, from, message, now);
        event.severity = Severity::Warning;
        event.result = message
            .error
            .clone()
            .or_else(|| message.result.clone())
            .map(Unredacted::new);
        event.error = message
            .error
            .as_deref()
            .and_then(|error| Verdict::of_error(error).error);
        if let Some(intent) = self.opens.take_late(from.reverse(), key) {
            event.severity = Severity::Info;
            event.details.push(("late", Detail::Id(intent)));
        }
        event
    }

    /// A notification that tells a task's status: what came of the call that created it.
    /// Gives back that call.
    pub(super) fn task_status(
        &self,
        event: &mut Event,
        from: Direction,
        params: &Params<'_>,
    ) -> Option<Call> {
        let inner = params.task.map(|raw| Params::of(Some(raw)));
        let params = inner
            .as_ref()
            .filter(|_| params.task_id.is_none())
            .unwrap_or(params);
        let task = TaskId::of(from.reverse(), params.task_id)?;
        event
            .details
            .push(("task", Detail::Text(Unredacted::from(task.id()))));
        let call = self.links.call_of_task(&task)?;
        let status = text(params.status)?;
        let inner = Inner {
            result: params.result,
            error: params.error,
        };
        let verdict = Verdict::of_task(&status, params.status_message, inner);
        event.severity = event.severity.max(verdict.severity());
        event.outcome = Some(verdict.outcome);
        event.error = verdict.error;
        Some(call)
    }
}

fn task_verdict(task: &Answer<'_>) -> Verdict {
    let inner = Inner {
        result: task.result,
        error: task.error,
    };
    let status = text(task.status).unwrap_or_default();
    Verdict::of_task(&status, task.status_message, inner)
}
