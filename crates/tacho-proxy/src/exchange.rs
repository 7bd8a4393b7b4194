//! What was asked, what came of it, and which belongs to which: a state machine without clock, sockets
//! or threads. Messages in, events out.
//!
//! The rules are those of `docs/format.md` §3 and §4. One event per message bears a `direction`, so that
//! the number of those is the number of messages an independent observer counts; everything else that
//! is recorded (who connected, what changed, requests that ended without an answer) bears none.

mod answer;
mod bounded;
mod ending;
mod links;
mod open;
mod parties;
mod request;
#[cfg(test)]
mod tests;
mod tools;
mod verdict;

use std::time::{Duration, Instant};

use bytes::Bytes;
use tacho_event::{
    Actor, CallId, Detail, Direction, Event, EventId, EventType, IdSource, Outcome, RunId,
    Severity, Timestamp, Unredacted,
};

use self::links::{Call, Links, TaskId};
use self::open::Opens;
use self::parties::Parties;
use self::tools::Tools;
use crate::fields::{Meta, Params, text};
use crate::frame::Frame;
use crate::message::{IdKey, Line, Message, Shape};
use crate::mode::Mode;
use crate::rules::{Rules, Subject, Treatment};

pub use self::ending::{Argv, Ending};
pub use self::tools::Definitions;

/// One instant on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For the record.
    pub wall: Timestamp,
    /// For durations.
    pub mono: Instant,
}

/// What an [`Exchange`] is told once.
#[derive(Debug)]
pub struct Setup {
    /// Who uses the connection.
    pub actor: Option<Actor>,
    /// What the server is called here.
    pub server_name: String,
    /// The connection.
    pub session: RunId,
    /// Random bits from the operating system, for the ids of events.
    pub entropy: u64,
    /// The definitions of the tools that this server listed last, from an earlier run.
    pub known: Definitions,
    /// The operator's limit for waiting for an answer. It ends the record of the call, not the call.
    pub call_timeout: Option<Duration>,
    /// What is recorded of which message, and how much depends on it.
    pub rules: Rules,
    /// Which configuration that comes from: `sha256:` and hex of the file, or `none`.
    pub config: String,
}

/// Follows everything that is said on one connection.
#[derive(Debug)]
pub struct Exchange {
    ids: IdSource,
    parties: Parties,
    opens: Opens,
    links: Links,
    tools: Tools,
    call_timeout: Option<Duration>,
    rules: Rules,
    config: String,
    from_client: Traffic,
    from_server: Traffic,
    /// Messages without a record, as a rule says.
    omitted: u64,
}

/// What has passed in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages, an element of a batch being one, and lines that are none.
    pub messages: u64,
    /// Bytes, of everything.
    pub bytes: u64,
    /// Lines of white space, which are passed on and not recorded.
    pub blank_lines: u64,
}

/// What is to be done about one frame.
#[derive(Debug, Default)]
pub struct Observed {
    /// To be recorded, in this order.
    pub events: Vec<Event>,
    /// Whether the frame may have to wait for them: all but notifications of the server.
    pub waits: bool,
    /// How much the frame depends on them: the strictest mode of its messages.
    pub mode: Mode,
    /// The requests in it, to be refused should they not be recorded.
    pub requests: Vec<Asked>,
    /// The answers in it, to be replaced should their outcome not be recorded.
    pub answers: Vec<Answered>,
    /// The requests that it cancels once it is passed on; then [`Exchange::cancelled`] is due.
    pub cancels: Vec<Cancel>,
    /// It was a batch, so replies in its place come as one.
    pub batch: bool,
    /// [`Exchange::definitions`] is not what it was before.
    pub definitions_changed: bool,
}

/// A request that was observed.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The id as written; absent never, for then it is no request.
    pub id: Bytes,
    /// The record of its intent.
    pub intent: EventId,
}

/// An answer that was observed.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The id as written.
    pub id: Bytes,
    /// The intent, the call and the type of the request that it ended; none of an answer to nothing, or to a
    /// request without a record.
    pub to: Option<(EventId, CallId, EventType)>,
}

/// A request that a notification names.
#[derive(Clone, Debug)]
pub struct Cancel {
    asker: Direction,
    key: IdKey,
    intent: EventId,
    outcome: Outcome,
}

impl Exchange {
    /// Before the first byte.
    pub fn new(setup: Setup) -> Self {
        Self {
            ids: IdSource::new(setup.entropy),
            parties: Parties::new(setup.actor, &setup.server_name, setup.session),
            opens: Opens::default(),
            links: Links::default(),
            tools: Tools::new(setup.known),
            call_timeout: setup.call_timeout,
            rules: setup.rules,
            config: setup.config,
            omitted: 0,
            from_client: Traffic::default(),
            from_server: Traffic::default(),
        }
    }

    /// The definitions listed last, to be known in the next run.
    pub const fn definitions(&self) -> &Definitions {
        self.tools.definitions()
    }

    /// What has passed from the client, and from the server.
    pub const fn traffic(&self) -> (Traffic, Traffic) {
        (self.from_client, self.from_server)
    }

    /// Messages that have no record because a rule says so.
    pub const fn omitted(&self) -> u64 {
        self.omitted
    }

    /// What is recorded of which message.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Requests without an answer so far.
    pub fn open_requests(&self) -> usize {
        self.opens.len()
    }

    /// Takes the next frame of one direction.
    pub fn observe(&mut self, from: Direction, frame: &Frame, now: Moment) -> Observed {
        self.observe_line(from, frame, Line::of(frame), now)
    }

    /// The same with what [`Line::of`] made of the frame, which takes time and needs no state.
    pub fn observe_line(
        &mut self,
        from: Direction,
        frame: &Frame,
        line: Option<Line>,
        now: Moment,
    ) -> Observed {
        let mut seen = Observed {
            mode: Mode::BestEffort,
            ..Observed::default()
        };
        let traffic = match from {
            Direction::ClientToServer => &mut self.from_client,
            Direction::ServerToClient => &mut self.from_server,
        };
        traffic.bytes += u64::try_from(frame.bytes.len()).unwrap_or(u64::MAX);
        traffic.blank_lines += u64::from(frame.is_blank());
        let Some(line) = line else { return seen };
        let messages = line.messages();
        traffic.messages += u64::try_from(messages.len()).unwrap_or(u64::MAX);
        seen.batch = matches!(line, Line::Batch(_));
        seen.events.reserve_exact(messages.len());
        seen.waits = from == Direction::ClientToServer
            || messages
                .iter()
                .any(|message| message.shape != Shape::Notification);
        for message in messages {
            match &message.shape {
                Shape::Request => self.request(&mut seen, from, message, now),
                Shape::Notification => self.notification(&mut seen, from, message, now),
                Shape::Response => self.response(&mut seen, from, message, now),
                Shape::Unparsed(reason) => self.unparsed(&mut seen, from, message, reason, now),
            }
        }
        seen
    }

    fn event(&mut self, kind: EventType, now: Moment) -> Event {
        Event::new(
            self.ids.event(now.wall),
            now.wall,
            kind,
            self.parties.context(),
        )
    }

    /// The event that stands for one message: what every shape has in common.
    fn message_event(
        &mut self,
        kind: EventType,
        from: Direction,
        message: &Message,
        now: Moment,
    ) -> Event {
        let mut event = self.event(kind, now);
        event.direction = Some(from);
        event.request = message.id.clone().map(Unredacted::new);
        event.method = message.method.clone().map(Unredacted::new);
        if message.duplicate_members {
            event.severity = Severity::Warning;
            event
                .details
                .push(("duplicate_members", Detail::Bool(true)));
        }
        if message.invalid_utf8 {
            event.severity = Severity::Warning;
            event.details.push(("invalid_utf8", Detail::Bool(true)));
        }
        event
    }

    /// Adds the record of a message, if it gets one.
    fn keep(&mut self, seen: &mut Observed, mut event: Event, treatment: Treatment) {
        let Some(level) = treatment.level else {
            self.omitted = self.omitted.saturating_add(1);
            return;
        };
        event.level = Some(level);
        seen.mode = seen.mode.stricter(treatment.mode);
        seen.events.push(event);
    }

    /// Adds a record that no message stands for.
    fn keep_own(&self, seen: &mut Observed, event: Option<Event>) {
        if event.is_some() {
            seen.mode = seen.mode.stricter(self.rules.default_mode());
            seen.events.extend(event);
        }
    }

    /// Notes the task that a message says it belongs to (2025-11-25, `related-task`). A notification
    /// then bears the task's call; a request has an outcome of its own and keeps its own.
    fn related_task(&self, event: &mut Event, from: Direction, meta: &Meta<'_>) -> Option<Call> {
        let id = meta
            .related_task
            .and_then(|raw| Params::of(Some(raw)).task_id)?;
        if let Some(id) = text(Some(id)) {
            event
                .details
                .push(("task", Detail::Text(Unredacted::new(id))));
        }
        [from, from.reverse()]
            .into_iter()
            .find_map(|side| self.links.call_of_task(&TaskId::of(side, Some(id))?))
    }

    fn notification(
        &mut self,
        seen: &mut Observed,
        from: Direction,
        message: &Message,
        now: Moment,
    ) {
        let params = Params::of(message.params.as_deref());
        let meta = Meta::of(params.meta);
        let mut event = self.message_event(EventType::McpNotification, from, message, now);
        event.args = message.params.clone().map(Unredacted::new);
        event.trace = text(meta.traceparent).map(Unredacted::new);
        let raw = |part: &[u8]| Detail::Json(Unredacted::new(message.text.slice_ref(part)));
        let mut call = None;
        if let Some(token) = params.progress_token {
            let token_key = IdKey::of(token);
            call = self.links.call_of_progress(from.reverse(), &token_key);
            event.details.push(("progress_token", raw(token)));
        }
        call = call.or(self.related_task(&mut event, from, &meta));
        match message.method.as_deref() {
            Some("notifications/cancelled") => {
                if let Some(id) = params.request_id {
                    event.details.push(("request", raw(id)));
                }
                if let Some(reason) = text(params.reason) {
                    event
                        .details
                        .push(("reason", Detail::Text(Unredacted::new(reason))));
                }
                if let Some((cancel, cancelled)) = self.cancel(from, &params) {
                    call = Some(cancelled);
                    seen.cancels.push(cancel);
                }
            }
            Some("notifications/tasks/status" | "notifications/tasks") => {
                call = self.task_status(&mut event, from, &params).or(call);
            }
            _ => {}
        }
        event.call = call.and_then(Call::recorded_id);
        let treatment = call.map_or_else(
            || self.treatment(message.method.as_deref()),
            |call| call.treatment,
        );
        self.keep(seen, event, treatment.recorded());
    }

    fn unparsed(
        &mut self,
        seen: &mut Observed,
        from: Direction,
        message: &Message,
        reason: &str,
        now: Moment,
    ) {
        let mut event = self.message_event(EventType::McpUnparsed, from, message, now);
        event.severity = Severity::Warning;
        event.request = None;
        event.method = None;
        let bytes = i64::try_from(message.text.len()).unwrap_or(i64::MAX);
        event.details.push(("bytes", Detail::Int(bytes)));
        event
            .details
            .push(("reason", Detail::Text(Unredacted::from(reason))));
        event
            .details
            .push(("text", verdict::excerpt(&message.text)));
        let treatment = self.treatment(None).recorded();
        self.keep(seen, event, treatment);
    }

    /// What the rules say of a message that names no tool.
    fn treatment(&self, method: Option<&str>) -> Treatment {
        self.rules.treat(Subject {
            method,
            ..Subject::default()
        })
    }
}

/// The type of a request's record, by its method; the same in both directions.
fn kind(method: &str) -> EventType {
    match method {
        "tools/call" => EventType::ToolCall,
        "resources/read" => EventType::ResourceRead,
        "prompts/get" => EventType::PromptGet,
        "sampling/createMessage" => EventType::Sampling,
        "elicitation/create" => EventType::Elicitation,
        _ => EventType::McpRequest,
    }
}

/// The requests that name a thing, and that may end with `input_required` and be asked again (MCP
/// 2026-07-28, multi-round-trip requests).
const fn may_take_rounds(kind: EventType) -> bool {
    matches!(
        kind,
        EventType::ToolCall | EventType::ResourceRead | EventType::PromptGet
    )
}
