//! The one writer at work: takes submissions from its sources, writes and syncs them in batches,
//! acknowledges, seals.
//!
//! One thread and one loop. What arrives while a batch is being synced is the next batch, so the
//! faster records come the more of them share one `fdatasync`, and nothing is handed between threads.

mod ask;
mod body;
mod connection;
mod intake;
mod open;
mod outside;
mod own;
mod retention;
mod rotate;
mod space;
mod timer;

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tacho_event::{DigestKey, EventId, IdSource, Options, Redactor, RunId, Stage};
use thiserror::Error;

use self::connection::Connection;
use crate::clock::Clock;
use crate::dir::DataDir;
use crate::limits::{CONNECTIONS, ORPHAN_GRACE, READ_CHUNK_BYTES};
use crate::log::{CommitError, Log, SealError};
use crate::open_calls::OpenCalls;
use crate::recipients::Recipients;
use crate::retention::Retention;

pub use self::ask::{AskError, ask_status, ask_stop};
pub use self::open::{OpenLog, OpenLogError};
pub use self::space::{Room, RoomProbe, SpaceOptions, Threshold, WhenLow, room};

/// How a recorder behaves.
pub struct ServeOptions {
    /// The key of the log's digests; sources get it in the greeting.
    pub digest_key: DigestKey,
    /// Leave when no source has been connected for this long; `None`: never.
    pub leave_after: Option<Duration>,
    /// Make a checkpoint at the latest this long after a record that none covers.
    pub checkpoint_interval: Duration,
    /// How long records are kept.
    pub retention: Retention,
    /// Encrypt closed segments to these.
    pub encrypt: Option<Arc<Recipients>>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Random bits of the operating system, for identifiers.
    pub entropy: u64,
    /// Version of the program, for `log_opened` and the status.
    pub version: &'static str,
    /// Which configuration it has: `sha256:` and hex of the file, or `none`.
    pub config: String,
    /// When little room is left on the log's disk, and what then.
    pub space: SpaceOptions,
    /// How that is found out: [`room`], or what tests want it to be.
    pub room: RoomProbe,
}

/// Where sources come from.
pub enum Intake {
    /// A socket that sources connect to, bound in the data directory.
    Socket(UnixListener),
    /// One source in the same process; when it is gone the recorder leaves.
    Pair(UnixStream),
}

/// Why a recorder left in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It was told to.
    Stopped,
    /// Nobody needed it.
    Idle,
}

/// Why a recorder had to give up. Everything acknowledged is on disk; the next opening recovers.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The log cannot be written any more.
    #[error("the log cannot be written any more: {0}")]
    Commit(#[from] CommitError),
    /// The log cannot be sealed.
    #[error("the log cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// Waiting for sources failed.
    #[error("waiting for sources: {0}")]
    Poll(#[from] std::io::Error),
}

/// The recorder.
pub struct Server {
    log: Log,
    dir: DataDir,
    options: ServeOptions,
    listener: Option<UnixListener>,
    stop: UnixStream,
    connections: Vec<Connection>,
    calls: OpenCalls,
    /// Until when sources of an earlier recorder may come back for their open calls.
    orphans_until: Option<Instant>,
    /// Ids of the newest records, while sources that submit again are about.
    recent: Option<own::Recent>,
    redactor: Redactor,
    ids: IdSource,
    /// Submissions appended to the log and not yet committed.
    batch: Vec<Pending>,
    settled: Vec<Settled>,
    /// How much room there is, and what was not recorded for want of it.
    space: space::Watch,
    losses: space::Losses,
    /// How often a file was not as we left it.
    tampered: u64,
    trouble: Option<CommitError>,
    started: Instant,
    idle_since: Instant,
    last_record: Instant,
    unsealed_since: Option<Instant>,
    retaining: retention::Retaining,
    /// After a failed checkpoint: when to try again.
    seal_again: Option<Instant>,
    /// What connections are read through.
    chunk: Box<[u8]>,
    outside: outside::Held,
}

/// What a source is to be told about a submission.
struct Settled {
    connection: u64,
    number: u64,
    verdict: Verdict,
}

/// What became of a submission.
#[derive(Clone)]
enum Verdict {
    Durable,
    Refused(String),
    /// Counted instead of recorded, as the operator chose.
    Counted,
}

/// A submission on its way to the disk.
struct Pending {
    connection: u64,
    number: u64,
    id: EventId,
    stage: Stage,
    seq: u64,
    run: Option<RunId>,
}

impl Server {
    /// A recorder over an open log; `stop` becomes readable when the recorder must leave.
    ///
    /// # Errors
    ///
    /// When the log does not take its `log_opened` record.
    pub fn new(
        open: OpenLog,
        intake: Intake,
        stop: UnixStream,
        options: ServeOptions,
    ) -> Result<Self, ServeError> {
        let now = Instant::now();
        let OpenLog {
            log,
            dir,
            recovered,
            calls,
        } = open;
        let (listener, connections, grace) = match intake {
            Intake::Socket(listener) => {
                listener.set_nonblocking(true)?;
                (Some(listener), Vec::new(), ORPHAN_GRACE)
            }
            // Sources of an earlier recorder cannot come back to one without a socket.
            Intake::Pair(stream) => (None, vec![Connection::new(0, stream)?], Duration::ZERO),
        };
        let retaining = retention::Retaining::new(
            !options.retention.keeps_all(),
            options.encrypt.is_some(),
            now,
        );
        let mut server = Self {
            space: space::Watch::new(options.space, Arc::clone(&options.room)),
            losses: space::Losses::default(),
            tampered: 0,
            redactor: Redactor::new(&Options::default(), options.digest_key.clone()),
            ids: IdSource::new(options.entropy),
            orphans_until: (calls.len() > 0).then_some(now + grace),
            log,
            dir,
            options,
            listener,
            stop,
            connections,
            calls,
            recent: None,
            batch: Vec::new(),
            settled: Vec::new(),
            trouble: None,
            started: now,
            idle_since: now,
            last_record: now,
            unsealed_since: None,
            retaining,
            seal_again: None,
            chunk: vec![0; READ_CHUNK_BYTES].into_boxed_slice(),
            outside: outside::Held::default(),
        };
        server.record_opened(&recovered)?;
        server.record_config(recovered.is_new)?;
        if recovered.is_new {
            // From its first record on a log has a key and a checkpoint, so it can be verified at any time.
            server.seal()?;
        }
        Ok(server)
    }

    /// Serves until told to stop or idle, then seals and closes the log.
    pub fn run(mut self) -> Result<Left, ServeError> {
        let mut next_connection = 1;
        let left = loop {
            let woken = self.wait()?;
            if woken.stop {
                break Left::Stopped;
            }
            if woken.outside {
                self.record_news()?;
            }
            self.accept(&mut next_connection);
            self.look_at_space()?;
            let stop = self.gather();
            self.commit();
            self.acknowledge()?;
            self.bury()?;
            self.keep_time()?;
            if stop {
                break Left::Stopped;
            }
            if self.is_idle() {
                break Left::Idle;
            }
        };
        self.leave(left)?;
        Ok(left)
    }

    /// Waits for something to do.
    fn wait(&self) -> Result<outside::Woken, ServeError> {
        let timeout = self
            .next_deadline()
            .map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = timeout.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            // A millisecond more, so that the deadline has passed when we look.
            tv_nsec: i64::from(left.subsec_nanos())
                .saturating_add(1_000_000)
                .min(999_999_999),
        });
        let mut fds = vec![PollFd::new(&self.stop, PollFlags::IN)];
        let outside = self.outside.wake();
        fds.extend(outside.map(|wake| PollFd::new(wake, PollFlags::IN)));
        let listener = self.listener.iter();
        fds.extend(listener.map(|listener| PollFd::new(listener, PollFlags::IN)));
        for connection in &self.connections {
            fds.push(PollFd::new(connection.stream(), connection.interest()));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(ServeError::Poll(error.into())),
        }
        let is_ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        Ok(outside::Woken {
            stop: is_ready(0),
            outside: outside.is_some() && is_ready(1),
        })
    }

    fn accept(&mut self, next: &mut u64) {
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(UnixListener::accept) {
            if self.connections.len() >= CONNECTIONS || !connection::is_own_user(&stream) {
                // Closing it tells the peer enough; there is no protocol with strangers.
                continue;
            }
            if let Ok(connection) = Connection::new(*next, stream) {
                self.connections.push(connection);
                *next += 1;
            }
        }
    }

    /// Makes the batch durable and notes what to tell the sources. After a failure nothing of the
    /// batch is in the log.
    fn commit(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let committed = self.log.commit();
        if let Err(error @ CommitError::Fatal { .. }) = committed {
            // Only the next opening knows whether the batch is in the log, so nobody is told anything:
            // sources submit it again, and what is there already is not written twice.
            self.trouble = Some(error);
            return;
        }
        let verdict = committed.as_ref().err().map(describe);
        let verdict = verdict.map_or(Verdict::Durable, Verdict::Refused);
        for pending in self.batch.drain(..) {
            if committed.is_ok() {
                self.calls
                    .observe(pending.id, pending.stage, pending.seq, pending.run);
            } else if let Some(recent) = &mut self.recent {
                recent.remove(pending.id);
            }
            let (connection, number) = (pending.connection, pending.number);
            self.settled.push(Settled {
                connection,
                number,
                verdict: verdict.clone(),
            });
        }
        self.note_commit(committed);
    }

    fn note_commit(&mut self, committed: Result<(), CommitError>) {
        match committed {
            Ok(()) => {
                let now = Instant::now();
                self.last_record = now;
                self.unsealed_since.get_or_insert(now);
            }
            Err(error) => self.trouble = Some(error),
        }
    }

    /// Tells every source what became of its submissions, then faces what went wrong.
    fn acknowledge(&mut self) -> Result<(), ServeError> {
        self.acknowledge_without_recording()?;
        match self.trouble.take() {
            Some(error @ CommitError::Replaced { .. }) => self.record_tampering(&error),
            _ => Ok(()),
        }
    }

    fn acknowledge_without_recording(&mut self) -> Result<(), ServeError> {
        for settled in self.settled.drain(..) {
            let source = self
                .connections
                .iter_mut()
                .find(|one| one.id() == settled.connection);
            if let Some(source) = source {
                source.settled(settled.number, &settled.verdict);
            }
        }
        self.connections.iter_mut().for_each(Connection::flush);
        match self.trouble.take() {
            Some(error @ CommitError::Fatal { .. }) => Err(ServeError::Commit(error)),
            trouble => {
                self.trouble = trouble;
                Ok(())
            }
        }
    }

    /// Removes ended connections. A source that did not say goodbye is gone with its calls open.
    fn bury(&mut self) -> Result<(), ServeError> {
        if !self.connections.iter().any(Connection::has_ended) {
            return Ok(());
        }
        let ended: Vec<_> = self
            .connections
            .extract_if(.., |one| one.has_ended())
            .collect();
        self.idle_since = Instant::now();
        let mut gone: Vec<RunId> = ended.iter().filter_map(Connection::run).collect();
        gone.retain(|run| {
            !self
                .connections
                .iter()
                .any(|other| other.run() == Some(*run))
        });
        let open = self
            .calls
            .of_runs(|run| run.is_some_and(|run| gone.contains(&run)));
        self.record_interrupted(&open)
    }

    /// The last records, the last checkpoint. From here on nobody is answered any more.
    fn leave(&mut self, left: Left) -> Result<(), ServeError> {
        // Closed first: who connects now starts another recorder, which waits for our lock.
        self.listener = None;
        let here: Vec<_> = self
            .connections
            .iter()
            .filter_map(Connection::run)
            .collect();
        // Whoever asked us to stop learns by our closing the connection that all is done. Sources that
        // are cut off in mid-call go on with the next recorder: their calls stay open until then.
        self.connections
            .retain(|connection| connection.run().is_none());
        self.orphans_until = None;
        let open = self
            .calls
            .of_runs(|run| run.is_none_or(|run| !here.contains(&run)));
        self.record_interrupted(&open)?;
        self.record_losses_now()?;
        self.record_closed(left)?;
        self.seal()?;
        self.outside.leave();
        self.retaining.join();
        Ok(())
    }
}

/// An error with its causes, for people on the other side of the socket.
fn describe(error: &CommitError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    text
}
