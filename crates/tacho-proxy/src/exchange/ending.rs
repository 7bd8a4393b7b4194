//! Requests that end without an answer, and the connection's own events.

use tacho_event::{
    Detail, Direction, Event, EventType, Failure, Layer, Level, Outcome, Severity, Stage,
    Unredacted, write_string,
};

use super::links::Call;
use super::open::{Open, Purpose};
use super::verdict::{Verdict, says_timeout};
use super::{Answered, Asked, Cancel, Exchange, Moment};
use crate::fields::Params;
use crate::message::IdKey;

const SIDES: [Direction; 2] = [Direction::ClientToServer, Direction::ServerToClient];

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The client closed its end first.
    pub client_left: bool,
    /// What became of the server, after "the server": `exited with status 1`.
    pub server: String,
}

/// What was run, or should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argv {
    /// The program.
    pub command: String,
    /// Its arguments: redacted as one JSON array, so that the value after `--token` is known for what
    /// it is.
    pub arguments: Vec<String>,
}

impl Argv {
    fn details(&self) -> Vec<(&'static str, Detail)> {
        let mut json = vec![b'['];
        for (at, argument) in self.arguments.iter().enumerate() {
            if at > 0 {
                json.push(b',');
            }
            write_string(&mut json, argument);
        }
        json.push(b']');
        vec![
            (
                "command",
                Detail::Text(Unredacted::from(self.command.as_str())),
            ),
            ("arguments", Detail::Json(Unredacted::new(json.into()))),
        ]
    }
}

impl Exchange {
    /// The outcome of a request that no message stands for; none of one without a record, save that it
    /// was denied: that is always told.
    fn unanswered(
        &mut self,
        asker: Direction,
        open: Open,
        verdict: Verdict,
        now: Moment,
    ) -> Option<Event> {
        let told = open.call.treatment.level.is_some() || verdict.outcome == Outcome::Denied;
        let mut event = self.event(open.kind, now);
        self.conclude(&mut event, asker, open, verdict, now);
        event.level = event.level.or(Some(Level::Metadata));
        told.then_some(event)
    }

    /// Too many requests are open: nobody will see how this one ends.
    pub(super) fn give_up(&mut self, asker: Direction, open: Open, now: Moment) -> Option<Event> {
        self.opens.remember_late(asker, &open);
        self.unanswered(asker, open, Verdict::plain(Outcome::Interrupted), now)
    }

    /// `notifications/cancelled` from one side: the request that it names, and its call. What was
    /// not passed on cancels nothing, so the outcome waits for [`Exchange::cancelled`].
    pub(super) fn cancel(
        &mut self,
        from: Direction,
        params: &Params<'_>,
    ) -> Option<(Cancel, Call)> {
        let key = IdKey::of(params.request_id?);
        let outcome = if says_timeout(params.reason) {
            Outcome::Timeout
        } else {
            Outcome::Cancelled
        };
        let (asker, open) = if let Some(open) = self.opens.get(from, &key) {
            (from, open)
        } else {
            // A server ends a subscription of the client's in this way (2026-07-28).
            let other = self.opens.get(from.reverse(), &key)?;
            matches!(other.purpose, Purpose::Listen).then_some((from.reverse(), other))?
        };
        let cancel = Cancel {
            asker,
            key,
            intent: open.intent,
            outcome,
        };
        Some((cancel, open.call))
    }

    /// A cancellation is passed on: the outcomes of the requests that it named, unless they have
    /// been answered meanwhile.
    pub fn cancelled(&mut self, cancels: &[Cancel], now: Moment) -> Vec<Event> {
        let mut events = Vec::new();
        for cancel in cancels {
            let taken = self
                .opens
                .take_intent(cancel.asker, &cancel.key, cancel.intent);
            if let Some(open) = taken {
                self.opens.remember_late(cancel.asker, &open);
                let verdict = Verdict::plain(cancel.outcome);
                events.extend(self.unanswered(cancel.asker, open, verdict, now));
            }
        }
        events
    }

    /// Answers that were not passed on because their outcomes could not be recorded: outcomes that
    /// say so, which may be recorded when the recorder is back, lest the intents stay open.
    pub fn withheld(&mut self, answers: &[Answered], why: &str, now: Moment) -> Vec<Event> {
        let mut events = Vec::new();
        for (intent, call, kind) in answers.iter().filter_map(|answer| answer.to) {
            let mut event = self.event(kind, now);
            event.stage = Stage::Outcome(intent);
            event.call = Some(call);
            event.severity = Severity::Error;
            event.outcome = Some(Outcome::Error);
            event.error = Some(Failure {
                layer: Layer::Transport,
                code: None,
                message: Unredacted::new(format!(
                    "the outcome could not be recorded in time, and the answer was withheld: {why}"
                )),
            });
            events.push(event);
        }
        events
    }

    /// Ends the record of requests for which the operator's limit for waiting has passed.
    pub fn expire(&mut self, now: Moment) -> Vec<Event> {
        let Some(limit) = self.call_timeout else {
            return Vec::new();
        };
        let over = |open: &Open| {
            !matches!(open.purpose, Purpose::Listen)
                && now.mono.saturating_duration_since(open.started) >= limit
        };
        let mut events = Vec::new();
        for asker in SIDES {
            for open in self.opens.take_where(asker, over) {
                self.opens.remember_late(asker, &open);
                let mut verdict = Verdict::failed(
                    Layer::Transport,
                    None,
                    format!("no answer within {} ms", limit.as_millis()),
                );
                verdict.outcome = Outcome::Timeout;
                events.extend(self.unanswered(asker, open, verdict, now));
            }
        }
        events
    }

    /// Requests that were not forwarded because they could not be recorded: their outcomes, which
    /// may be recorded when the recorder is back.
    pub fn denied(
        &mut self,
        from: Direction,
        requests: &[Asked],
        why: &str,
        now: Moment,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for asked in requests {
            let key = IdKey::of(&asked.id);
            let Some(open) = self.opens.take_intent(from, &key, asked.intent) else {
                continue;
            };
            let error = Failure {
                layer: Layer::Transport,
                code: None,
                message: Unredacted::new(format!("not forwarded: {why}")),
            };
            let verdict = Verdict {
                outcome: Outcome::Denied,
                error: Some(error),
            };
            events.extend(self.unanswered(from, open, verdict, now));
        }
        events
    }

    /// The connection is over: the outcomes of everything that is still open.
    pub fn close(&mut self, ending: &Ending, now: Moment) -> Vec<Event> {
        let mut events = Vec::new();
        for asker in SIDES {
            for open in self.opens.take_where(asker, |_| true) {
                let verdict = if ending.client_left && matches!(open.purpose, Purpose::Listen) {
                    Verdict::plain(Outcome::Cancelled)
                } else {
                    let left = if ending.client_left {
                        "the client closed and "
                    } else {
                        ""
                    };
                    let whose = match asker {
                        Direction::ClientToServer => "it answered",
                        Direction::ServerToClient => "the client answered",
                    };
                    let words = format!("{left}the server {} before {whose}", ending.server);
                    Verdict::failed(Layer::Transport, None, words)
                };
                events.extend(self.unanswered(asker, open, verdict, now));
            }
        }
        events
    }

    /// The server process runs.
    pub fn server_started(&mut self, argv: &Argv, pid: u32, now: Moment) -> Event {
        let mut event = self.event(EventType::ServerStarted, now);
        event.details = argv.details();
        event.details.push(("pid", Detail::Int(i64::from(pid))));
        let config = Unredacted::from(self.config.as_str());
        event.details.push(("config", Detail::Text(config)));
        event
    }

    /// The server process could not be started; `code` is what a shell would exit with.
    pub fn launch_failed(&mut self, argv: &Argv, code: i32, why: String, now: Moment) -> Event {
        let mut event = self.event(EventType::ServerExited, now);
        event.severity = Severity::Error;
        event.outcome = Some(Outcome::Error);
        event.error = Some(Failure {
            layer: Layer::Transport,
            code: Some(i64::from(code)),
            message: Unredacted::new(why),
        });
        event.details = argv.details();
        event
    }

    /// The server process has ended; `status` is what stands in `exit_code` or `signal`.
    pub fn server_exited(&mut self, status: (&'static str, i32), now: Moment) -> Event {
        let mut event = self.event(EventType::ServerExited, now);
        if status != ("exit_code", 0) {
            event.severity = Severity::Warning;
        }
        let int = |count: u64| Detail::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let (client, server) = self.traffic();
        event.details = vec![
            (status.0, Detail::Int(i64::from(status.1))),
            ("client_messages", int(client.messages)),
            ("client_bytes", int(client.bytes)),
            ("client_blank_lines", int(client.blank_lines)),
            ("server_messages", int(server.messages)),
            ("server_bytes", int(server.bytes)),
            ("server_blank_lines", int(server.blank_lines)),
        ];
        if self.omitted > 0 {
            event.details.push(("omitted", int(self.omitted)));
        }
        event
    }
}
