//! Redaction: `Event` in, `RedactedEvent` out. Pure, and the only way.
//!
//! [`Redactor`] knows which member of an event is what; [`Engine`] knows what a secret looks like.

mod assignment;
pub mod detectors;
mod email;
mod encoded;
mod engine;
mod entropy;
pub mod keys;
mod names;
pub mod numbers;
mod pem;
mod report;
pub mod rules;
mod scan;
mod seam;
mod stream;
mod walk;

use std::sync::Arc;

use bytes::Bytes;

pub use engine::{Engine, Options};
pub use report::{Finding, Report};
pub use stream::Stream;

use crate::event::{Context, Detail, Event, Failure, Party, RawJson};
use crate::evidence;
use crate::json::{write_integer, write_string};
use crate::limits::{ERROR_MESSAGE_CHARS, KEPT_JSON_BYTES, NAME_BYTES};
use crate::{DigestKey, EventId, Level, Stage, Unredacted};

/// What may be kept of an event. Made by [`Redactor::redact`] and nothing else; becomes bytes by
/// [`RedactedEvent::encode`](crate::wire).
#[derive(Debug)]
pub struct RedactedEvent {
    pub(crate) id: EventId,
    pub(crate) stage: Stage,
    /// The members before `args`, without the opening brace.
    pub(crate) head: Vec<u8>,
    pub(crate) args: Option<Kept>,
    pub(crate) result: Option<Kept>,
    pub(crate) details: Option<Kept>,
    /// The members of `digest`, without braces.
    pub(crate) digests: Vec<u8>,
    /// All of both bodies is asked for: level `request_response`.
    pub(crate) whole: bool,
    pub(crate) evidence: Vec<evidence::Kept>,
    pub(crate) report: Report,
}

/// A redacted JSON value, or the length of one that was too large to keep.
#[derive(Debug)]
pub(crate) enum Kept {
    Json(Vec<u8>),
    Cut { bytes: usize },
}

/// Turns events into what may be kept of them, with one set of options and one key.
pub struct Redactor {
    engine: Engine,
    key: DigestKey,
    keep_args: bool,
    keep_result: bool,
    /// The last context seen and its members: it is the same for many events in a row.
    context: Option<(Arc<Context>, Vec<u8>, Report)>,
    /// For names on their way into the record, so that none of them allocates.
    scratch: String,
}

impl Redactor {
    /// A redactor; making one builds the detectors and takes well under a millisecond.
    pub fn new(options: &Options, key: DigestKey) -> Self {
        Self {
            engine: Engine::new(options, key.clone()),
            key,
            keep_args: options.keep_args,
            keep_result: options.keep_result,
            context: None,
            scratch: String::new(),
        }
    }

    /// What may be kept of `event`.
    pub fn redact(&mut self, event: Event) -> RedactedEvent {
        let mut report = Report::default();
        let mut head = Vec::with_capacity(768);
        self.identity(&event, &mut head, &mut report);
        self.context(&event.context, &mut head, &mut report);
        self.message(&event, &mut head, &mut report);

        let (keep_args, keep_result) = event
            .level
            .map_or((self.keep_args, self.keep_result), |level| {
                (level >= Level::Request, level >= Level::RequestResponse)
            });
        let mut digests = Vec::with_capacity(256);
        let args = self.body(
            "args",
            event.args.as_ref(),
            keep_args,
            &mut digests,
            &mut report,
        );
        let result = self.body(
            "result",
            event.result.as_ref(),
            keep_result,
            &mut digests,
            &mut report,
        );
        let details = self.details(&event.details, &mut report);
        RedactedEvent {
            id: event.id,
            stage: event.stage,
            head,
            args,
            result,
            details,
            digests,
            whole: keep_result,
            evidence: Vec::new(),
            report,
        }
    }

    fn identity(&mut self, event: &Event, out: &mut Vec<u8>, report: &mut Report) {
        out.extend_from_slice(b"\"id\":\"");
        event.id.write(out);
        out.extend_from_slice(b"\",\"timestamp\":\"");
        event.timestamp.write(out);
        out.extend_from_slice(b"\",\"type\":\"");
        out.extend_from_slice(event.kind.as_str().as_bytes());
        out.push(b'"');
        match event.stage {
            Stage::Single => {}
            Stage::Intent => out.extend_from_slice(b",\"stage\":\"intent\""),
            Stage::Outcome(intent) => {
                out.extend_from_slice(b",\"stage\":\"outcome\",\"ref\":\"");
                intent.write(out);
                out.push(b'"');
            }
        }
        word(out, "severity", event.severity.as_str());
        if let Some(outcome) = event.outcome {
            word(out, "outcome", outcome.as_str());
        }
        if let Some(failure) = &event.error {
            self.failure(failure, out, report);
        }
        if let Some(call) = event.call {
            out.extend_from_slice(b",\"call\":\"");
            call.write(out);
            out.push(b'"');
        }
    }

    fn failure(&mut self, failure: &Failure, out: &mut Vec<u8>, report: &mut Report) {
        out.extend_from_slice(b",\"error\":{\"layer\":\"");
        out.extend_from_slice(failure.layer.as_str().as_bytes());
        out.push(b'"');
        if let Some(code) = failure.code {
            out.extend_from_slice(format!(",\"code\":{code}").as_bytes());
        }
        out.extend_from_slice(b",\"message\":");
        let mut message = String::new();
        self.engine
            .text(failure.message.expose(), &mut message, report);
        let end = message
            .char_indices()
            .nth(ERROR_MESSAGE_CHARS)
            .map_or(message.len(), |(at, _)| at);
        write_string(out, message.get(..end).unwrap_or_default());
        out.push(b'}');
    }

    fn context(&mut self, context: &Arc<Context>, out: &mut Vec<u8>, report: &mut Report) {
        let known = self
            .context
            .as_ref()
            .is_some_and(|(seen, ..)| Arc::ptr_eq(seen, context));
        if !known {
            let (members, found) = self.write_context(context);
            self.context = Some((Arc::clone(context), members, found));
        }
        if let Some((_, members, found)) = &self.context {
            out.extend_from_slice(members);
            report.merge(found);
        }
    }

    fn write_context(&mut self, context: &Context) -> (Vec<u8>, Report) {
        let mut out = Vec::new();
        let mut report = Report::default();
        if let Some(actor) = &context.actor {
            out.extend_from_slice(b",\"actor\":{\"id\":");
            self.name(&actor.id, &mut out, &mut report);
            word(&mut out, "auth", actor.auth.as_str());
            if let Some(uid) = actor.uid {
                out.extend_from_slice(format!(",\"uid\":{uid}").as_bytes());
            }
            out.push(b'}');
        }
        for (member, party) in [("client", &context.client), ("server", &context.server)] {
            if let Some(party) = party {
                out.extend_from_slice(format!(",\"{member}\":").as_bytes());
                self.party(party, &mut out, &mut report);
            }
        }
        if let Some(session) = context.session {
            out.extend_from_slice(b",\"session\":\"");
            session.write(&mut out);
            out.push(b'"');
        }
        (out, report)
    }

    fn party(&mut self, party: &Party, out: &mut Vec<u8>, report: &mut Report) {
        out.extend_from_slice(b"{\"name\":");
        self.name(&party.name, out, report);
        if let Some(reported) = &party.reported_name {
            out.extend_from_slice(b",\"reported_name\":");
            self.name(reported, out, report);
        }
        if let Some(version) = &party.version {
            out.extend_from_slice(b",\"version\":");
            self.name(version, out, report);
        }
        out.push(b'}');
    }

    fn message(&mut self, event: &Event, out: &mut Vec<u8>, report: &mut Report) {
        if let Some(direction) = event.direction {
            word(out, "direction", direction.as_str());
        }
        if let Some(request) = &event.request {
            out.extend_from_slice(b",\"request\":");
            self.small_json(request, out, report);
        }
        for (member, value) in [
            ("trace", &event.trace),
            ("method", &event.method),
            ("tool", &event.tool),
        ] {
            if let Some(value) = value {
                key(out, member);
                self.name(value, out, report);
            }
        }
        if let Some(digest) = &event.tool_definition {
            out.extend_from_slice(b",\"tool_definition\":");
            write_string(out, &format!("sha256:{digest}"));
        }
        if let Some(duration) = event.duration {
            let micros = duration.as_nanos().saturating_add(500) / 1_000;
            let micros = usize::try_from(micros).unwrap_or(usize::MAX);
            key(out, "duration_ms");
            write_integer(out, micros / 1_000);
            let fraction = micros % 1_000;
            out.extend_from_slice(match fraction {
                0..10 => b".00",
                10..100 => b".0",
                _ => b".",
            });
            write_integer(out, fraction);
        }
    }

    /// A body's keyed digest is always taken; the body itself is kept where the level says so and
    /// it fits.
    fn body(
        &mut self,
        member: &'static str,
        raw: Option<&RawJson>,
        keep: bool,
        digests: &mut Vec<u8>,
        report: &mut Report,
    ) -> Option<Kept> {
        let raw = raw?.expose();
        if !digests.is_empty() {
            digests.push(b',');
        }
        digests.push(b'"');
        digests.extend_from_slice(member.as_bytes());
        digests.extend_from_slice(b"\":\"");
        let digest = self.key.digest(member, raw);
        self.key.write_label(&digest, digests);
        digests.extend_from_slice(b"\",\"");
        digests.extend_from_slice(member.as_bytes());
        digests.extend_from_slice(b"_bytes\":");
        write_integer(digests, raw.len());
        keep.then(|| self.kept(raw, KEPT_JSON_BYTES, report))
    }

    fn kept(&mut self, raw: &[u8], budget: usize, report: &mut Report) -> Kept {
        let mut out = Vec::with_capacity(raw.len().min(budget));
        if self.engine.json(raw, &mut out, budget, report) {
            Kept::Json(out)
        } else {
            Kept::Cut { bytes: raw.len() }
        }
    }

    fn details(&mut self, details: &[(&'static str, Detail)], report: &mut Report) -> Option<Kept> {
        if details.is_empty() {
            return None;
        }
        let mut out = vec![b'{'];
        for (at, (member, detail)) in details.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_string(&mut out, member);
            out.push(b':');
            self.detail(detail, &mut out, report);
        }
        out.push(b'}');
        if out.len() > KEPT_JSON_BYTES {
            return Some(Kept::Cut { bytes: out.len() });
        }
        Some(Kept::Json(out))
    }

    fn detail(&mut self, detail: &Detail, out: &mut Vec<u8>, report: &mut Report) {
        match detail {
            Detail::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Detail::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Detail::Word(word) => write_string(out, word),
            Detail::Id(id) => write_string(out, &id.to_string()),
            Detail::Time(time) => write_string(out, &time.to_string()),
            Detail::Text(text) => {
                let mut kept = String::new();
                self.engine.text(text.expose(), &mut kept, report);
                write_string(out, &kept);
            }
            Detail::Json(raw) => self.small_json(raw, out, report),
            Detail::Digest(value) => self.digest(value, out),
            Detail::Named(pairs) => {
                out.push(b'{');
                for (at, (name, value)) in pairs.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.name(name, out, report);
                    out.push(b':');
                    write_string(out, value);
                }
                out.push(b'}');
            }
        }
    }

    fn digest(&self, value: &Unredacted<Bytes>, out: &mut Vec<u8>) {
        write_string(
            out,
            &self.key.label(&self.key.digest("detail", value.expose())),
        );
    }

    /// Raw JSON expected to be small, like a request id; too large becomes its digest.
    fn small_json(&mut self, raw: &RawJson, out: &mut Vec<u8>, report: &mut Report) {
        let start = out.len();
        if !self
            .engine
            .json(raw.expose(), out, KEPT_JSON_BYTES / 4, report)
        {
            out.truncate(start);
            self.digest(raw, out);
        }
    }

    /// A short identifier from outside: redacted, then cut to [`NAME_BYTES`].
    fn name(&mut self, name: &Unredacted<String>, out: &mut Vec<u8>, report: &mut Report) {
        if name.expose().len() <= NAME_BYTES && self.engine.leaves(name.expose()) {
            return write_string(out, name.expose());
        }
        let mut kept = std::mem::take(&mut self.scratch);
        kept.clear();
        self.engine.text(name.expose(), &mut kept, report);
        if kept.len() > NAME_BYTES {
            let end = (0..=NAME_BYTES)
                .rev()
                .find(|end| kept.is_char_boundary(*end))
                .unwrap_or(0);
            kept.truncate(end);
            kept.push('…');
        }
        write_string(out, &kept);
        self.scratch = kept;
    }
}

fn key(out: &mut Vec<u8>, member: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(member.as_bytes());
    out.extend_from_slice(b"\":");
}

fn word(out: &mut Vec<u8>, member: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(member.as_bytes());
    out.extend_from_slice(b"\":\"");
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}
