//! Requests: their intents, and what has to be known of them when the answer comes.

use bytes::Bytes;
use tacho_event::{
    CallId, Detail, Direction, Event, EventType, Level, Outcome, Severity, Stage, Unredacted,
};

use super::links::{Call, TaskId};
use super::open::{Open, Purpose};
use super::{Asked, Exchange, Moment, Observed, kind, may_take_rounds};
use crate::fields::{Meta, Params, text};
use crate::limits::{ID_BYTES, OPEN_NAME_BYTES};
use crate::message::{IdKey, Message};
use crate::rules::Subject;

impl Exchange {
    pub(super) fn request(
        &mut self,
        seen: &mut Observed,
        from: Direction,
        message: &Message,
        now: Moment,
    ) {
        let params = Params::of(message.params.as_deref());
        let meta = Meta::of(params.meta);
        let method = message.method.as_deref().unwrap_or_default();
        let connected = from == Direction::ClientToServer && self.introduce(method, &params, &meta);

        let kind = kind(method);
        let named = if kind == EventType::ResourceRead {
            params.uri
        } else {
            params.name
        };
        let tool = text(named).filter(|_| may_take_rounds(kind));
        let mut event = self.intent(kind, from, message, &params, tool.as_deref(), now);
        event.trace = text(meta.traceparent).map(Unredacted::new);
        let open = self.opened(&mut event, from, message, &params, &meta, tool, now);

        seen.requests.push(Asked {
            id: message.id.clone().unwrap_or_default(),
            intent: event.id,
        });
        let treatment = open.call.treatment;
        let (reused, given_up) = self.opens.insert(from, open);
        if reused {
            event.severity = Severity::Warning;
            event.details.push(("id_in_use", Detail::Bool(true)));
        }
        if treatment.level <= Some(Level::Metadata) {
            event.details.retain(|(word, _)| *word != "input_responses");
        }
        self.keep(seen, event, treatment);
        let given_up = given_up.and_then(|open| self.give_up(from, open, now));
        self.keep_own(seen, given_up);
        let connected = connected.then(|| self.connected(&params, &meta, now));
        self.keep_own(seen, connected);
    }

    /// The call that a request belongs to, and how it is treated.
    fn call(
        &self,
        event: &Event,
        from: Direction,
        method: &str,
        tool: Option<&str>,
        (round, task): (Option<Call>, Option<Call>),
    ) -> Call {
        let tool_hints = |tool| self.tools.hints(tool);
        let own = self.rules.treat(Subject {
            method: Some(method),
            tool,
            hints: (event.kind == EventType::ToolCall)
                .then(|| tool.map(tool_hints).unwrap_or_default()),
        });
        let treatment = match (round, task) {
            // Who may say what a round belongs to must not thereby say how little is recorded of it.
            (Some(round), _) => own.stricter(round.treatment),
            (None, Some(task)) => task.treatment,
            (None, None) => own,
        };
        let treatment = match from {
            Direction::ClientToServer => treatment,
            Direction::ServerToClient => treatment.recorded(),
        };
        // The first record of a call names it, even when an earlier round had none.
        let known = round
            .or(task)
            .filter(|call| call.treatment.level.is_some() || treatment.level.is_none());
        Call {
            id: known.map_or_else(|| CallId::from(event.id), |call| call.id),
            treatment,
        }
    }

    /// The record of a request as far as the message alone tells.
    fn intent(
        &mut self,
        kind: EventType,
        from: Direction,
        message: &Message,
        params: &Params<'_>,
        tool: Option<&str>,
        now: Moment,
    ) -> Event {
        let mut event = self.message_event(kind, from, message, now);
        event.stage = Stage::Intent;
        event.outcome = Some(Outcome::Pending);
        event.tool = tool.map(Unredacted::from);
        let arguments =
            matches!(kind, EventType::ToolCall | EventType::PromptGet).then_some(params.arguments);
        event.args = arguments
            .unwrap_or(message.params.as_deref())
            .map(|raw| Unredacted::new(message.text.slice_ref(raw)));
        if kind == EventType::ToolCall {
            event.tool_definition = tool.and_then(|name| self.tools.definition(name)).cloned();
        }
        if params.duplicate && !message.duplicate_members {
            event.severity = Severity::Warning;
            event
                .details
                .push(("duplicate_members", Detail::Bool(true)));
        }
        if let Some(responses) = params.input_responses {
            let raw = Unredacted::new(message.text.slice_ref(responses));
            event.details.push(("input_responses", Detail::Json(raw)));
        }
        event
    }

    /// Finds the call that the request belongs to, and notes what its answer will be read for.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one message, read once"
    )]
    fn opened(
        &mut self,
        event: &mut Event,
        from: Direction,
        message: &Message,
        params: &Params<'_>,
        meta: &Meta<'_>,
        tool: Option<String>,
        now: Moment,
    ) -> Open {
        let method = message.method.as_deref().unwrap_or_default();
        let round = may_take_rounds(event.kind).then(|| {
            self.links
                .round_key(method, tool.as_deref(), params.arguments)
        });
        let task = TaskId::of(from, params.task_id).filter(|_| method.starts_with("tasks/"));
        let earlier = round.and_then(|round| self.links.take_round(round, params));
        let task_call = task.as_ref().and_then(|task| self.links.call_of_task(task));
        let known = (earlier, task_call);
        let call = self.call(event, from, method, tool.as_deref(), known);
        event.call = Some(call.id);
        self.related_task(event, from, meta);

        let progress = meta.progress_token.map(IdKey::of);
        if let Some(token) = &progress {
            self.links.expect_progress(from, token.clone(), call);
        }
        let first = params.cursor.is_none();
        let id = message.id.as_deref().unwrap_or_default();
        Open {
            intent: event.id,
            call,
            kind: event.kind,
            method: kept_name(method).to_owned(),
            tool: tool.map(|mut name| {
                name.truncate(kept_name(&name).len());
                name
            }),
            key: IdKey::of(id),
            id: (id.len() <= ID_BYTES).then(|| Bytes::copy_from_slice(id)),
            started: now.mono,
            progress,
            round,
            asks_for_task: params.task.is_some(),
            purpose: match (method, task.filter(|_| task_call.is_some())) {
                ("tasks/result", Some(task)) => Purpose::TaskResult(task),
                (_, Some(task)) => Purpose::Task(task),
                ("tools/list", None) => Purpose::ListTools { first },
                ("subscriptions/listen", None) => Purpose::Listen,
                (_, None) => Purpose::Other,
            },
        }
    }

    /// Learns who the client is; whether that is worth a `client_connected`.
    fn introduce(&mut self, method: &str, params: &Params<'_>, meta: &Meta<'_>) -> bool {
        if method == "initialize" {
            self.parties.client(params.client_info);
            return true;
        }
        self.parties.client(meta.client_info)
    }

    fn connected(&mut self, params: &Params<'_>, meta: &Meta<'_>, now: Moment) -> Event {
        let mut event = self.event(EventType::ClientConnected, now);
        if let Some(version) = text(params.protocol_version.or(meta.protocol_version)) {
            event
                .details
                .push(("protocol_version", Detail::Text(Unredacted::new(version))));
        }
        event
    }
}

/// The name, or its beginning where it is far too long to be one.
fn kept_name(name: &str) -> &str {
    name.get(..name.floor_char_boundary(OPEN_NAME_BYTES))
        .unwrap_or(name)
}
