//! Requests that end without an answer, and the connection's own events.

use tacho_event::{
    Detail, Direction, Event, EventType, Failure, Layer, Outcome, Severity, Unredacted,
};

use super::open::{Open, Purpose};
use super::verdict::{Verdict, says_timeout};
use super::{Asked, Exchange, Moment};
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

impl Exchange {
    /// The outcome of a request that no message stands for.
    fn unanswered(&mut self, asker: Direction, open: Open, verdict: Verdict, now: Moment) -> Event {
        let mut event = self.event(open.kind, now);
        self.conclude(&mut event, asker, open, verdict, now);
        event
    }

    /// Too many requests are open: nobody will see how this one ends.
    pub(super) fn give_up(&mut self, asker: Direction, open: Open, now: Moment) -> Event {
        self.opens.remember_late(asker, &open);
        self.unanswered(asker, open, Verdict::plain(Outcome::Interrupted), now)
    }

    /// `notifications/cancelled` from one side: the outcome of the request that it names.
    pub(super) fn cancel(
        &mut self,
        from: Direction,
        params: &Params<'_>,
        now: Moment,
    ) -> Option<Event> {
        let key = IdKey::of(params.request_id?);
        let timeout = says_timeout(params.reason);
        let outcome = if timeout {
            Outcome::Timeout
        } else {
            Outcome::Cancelled
        };
        let asker = if self.opens.get(from, &key).is_some() {
            from
        } else {
            // A server ends a subscription of the client's in this way (2026-07-28).
            let other = self.opens.get(from.reverse(), &key)?;
            matches!(other.purpose, Purpose::Listen).then_some(from.reverse())?
        };
        let open = self.opens.take(asker, &key)?;
        self.opens.remember_late(asker, &open);
        Some(self.unanswered(asker, open, Verdict::plain(outcome), now))
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
                events.push(self.unanswered(asker, open, verdict, now));
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
            events.push(self.unanswered(from, open, verdict, now));
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
                events.push(self.unanswered(asker, open, verdict, now));
            }
        }
        events
    }

    /// The server process runs. Its arguments are not said: people put passwords there.
    pub fn server_started(&mut self, command: &str, pid: u32, now: Moment) -> Event {
        let mut event = self.event(EventType::ServerStarted, now);
        event.details = vec![
            ("command", Detail::Text(Unredacted::from(command))),
            ("pid", Detail::Int(i64::from(pid))),
        ];
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
        event
    }
}
