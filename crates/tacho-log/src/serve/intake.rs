//! From the sockets to the log's buffer.

use std::time::Instant;

use tacho_event::Timestamp;

use super::connection::Request;
use super::space::Fate;
use super::{Pending, Server, Settled, Verdict, body};
use crate::limits::{GATHER, READ_CHUNK_BYTES};
use crate::log::AppendError;

impl Server {
    /// Reads what the sources sent, and again while they send much; `true` when asked to stop.
    pub(super) fn gather(&mut self) -> bool {
        let until = Instant::now() + GATHER;
        let (mut read, mut stop) = self.read();
        while !stop && read >= READ_CHUNK_BYTES && Instant::now() < until {
            (read, stop) = self.read();
        }
        stop
    }

    /// Reads what every source sent and appends it to the log's buffer. Returns how many bytes came, and
    /// whether one asked us to stop.
    fn read(&mut self) -> (usize, bool) {
        let now = self.options.clock.now();
        let (mut read, mut stop) = (0, false);
        let mut asked_status = Vec::new();
        let mut connections = std::mem::take(&mut self.connections);
        for connection in &mut connections {
            read += connection.fill(&mut self.chunk);
            loop {
                let (request, length) = match connection.request() {
                    Ok(None) => break,
                    Ok(Some(whole)) => whole,
                    Err(reason) => {
                        connection.refuse(&reason);
                        break;
                    }
                };
                match request {
                    Request::Submit {
                        number,
                        id,
                        stage,
                        body,
                    } => {
                        let (connection, run) = (connection.id(), connection.run());
                        self.append(
                            Pending {
                                connection,
                                number,
                                id,
                                stage,
                                seq: 0,
                                run,
                            },
                            body,
                            now,
                        );
                    }
                    Request::Hello { run, resumed } => {
                        if resumed {
                            self.expect_resubmissions();
                        }
                        connection.welcome(run, &self.options.digest_key, self.log.origin());
                    }
                    Request::Bye => {}
                    Request::Status => asked_status.push(connection.id()),
                    Request::Stop => stop = true,
                }
                connection.consume(length);
            }
        }
        self.connections = connections;
        if !asked_status.is_empty() {
            let status = self.status();
            let asked = self.connections.iter_mut();
            asked
                .filter(|one| asked_status.contains(&one.id()))
                .for_each(|one| one.reply_status(&status));
        }
        (read, stop)
    }

    /// Appends one submission to the batch, or notes at once what to tell its source.
    fn append(&mut self, mut pending: Pending, body: &[u8], now: Timestamp) {
        let (connection, number) = (pending.connection, pending.number);
        let known = self
            .recent
            .as_ref()
            .is_some_and(|recent| recent.contains(pending.id));
        let fate = if known {
            Fate::Taken
        } else {
            self.fate(&pending, body)
        };
        let verdict = if fate == Fate::Counted {
            Verdict::Counted
        } else if fate == Fate::Refused {
            Verdict::Refused(self.space.to_string())
        } else if known {
            Verdict::Durable
        } else {
            let checked = body::check_body(pending.id, body).map_err(str::to_owned);
            let appended = checked.and_then(|()| {
                self.append_or_commit_first(body, now)
                    .map_err(|error| error.to_string())
            });
            match appended {
                Ok(seq) => {
                    if let Some(recent) = &mut self.recent {
                        recent.add(pending.id);
                    }
                    self.space
                        .took(u64::try_from(body.len()).unwrap_or(u64::MAX));
                    pending.seq = seq;
                    self.batch.push(pending);
                    return;
                }
                Err(reason) => Verdict::Refused(reason),
            }
        };
        self.settled.push(Settled {
            connection,
            number,
            verdict,
        });
    }

    fn append_or_commit_first(&mut self, body: &[u8], now: Timestamp) -> Result<u64, AppendError> {
        match self.log.append(body, now) {
            Err(AppendError::CommitFirst) => {
                self.commit();
                self.log.append(body, now)
            }
            appended => appended,
        }
    }
}
