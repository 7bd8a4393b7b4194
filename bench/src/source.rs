//! A source of events, as `tacho run` is one: over the socket of a recorder, or with the recorder in this
//! process.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tacho_event::{
    Actor, Auth, Context, DigestKey, Event, EventType, IdSource, Options, Outcome, Party,
    Unredacted,
};
use tacho_log::key::SigningKey;
use tacho_log::{
    Clock as _, Connect, ConnectError, DataDir, Intake, LogOptions, OpenLog, Recorder,
    RecorderOptions, RecorderThreads, ServeOptions, Server, SystemClock,
};

use crate::events::Sample;
use crate::place::Result;

/// Longer than any bench takes to drain.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connected source.
pub(crate) struct Source {
    /// The door.
    pub(crate) recorder: Recorder,
    threads: RecorderThreads,
    /// The recorder and what keeps it from stopping, when it is in this process.
    server: Option<(JoinHandle<()>, UnixStream)>,
}

impl Source {
    /// Over the socket of the recorder that serves `dir`. `number` tells sources apart.
    pub(crate) fn to_socket(dir: &Path, number: u64) -> Result<Self> {
        Self::start(Box::new(Socket(dir.join("recorder.sock"))), number, None)
    }

    /// With a recorder over `dir` in this process, on a thread of its own, as with `--in-process`.
    pub(crate) fn in_process(dir: &Path) -> Result<Self> {
        Self::in_process_with(dir, LogOptions::default())
    }

    /// The same with a log that is segmented and sealed as `log` says.
    pub(crate) fn in_process_with(dir: &Path, log: LogOptions) -> Result<Self> {
        let dir = DataDir::create(dir)?;
        let lock = dir.lock()?;
        let key = SigningKey::generate("bench.local/log", [7; 32])?;
        let open = OpenLog::open(dir, lock, key, log)?;
        let options = ServeOptions {
            config: "none".to_owned(),
            space: tacho_log::SpaceOptions::default(),
            room: Arc::new(tacho_log::room),
            digest_key: DigestKey::new([9; 32]),
            leave_after: None,
            checkpoint_interval: Duration::from_secs(60),
            retention: tacho_log::retention::Retention::KEEP_ALL,
            encrypt: None,
            clock: Arc::new(SystemClock),
            entropy: 11,
            version: env!("CARGO_PKG_VERSION"),
        };
        let (near, far) = UnixStream::pair()?;
        let (told, stop) = UnixStream::pair()?;
        let server = Server::new(open, Intake::Pair(far), stop, options)?;
        let thread = std::thread::spawn(move || drop(server.run()));
        Self::start(Box::new(Once(Some(near))), 1, Some((thread, told)))
    }

    fn start(
        connect: Box<dyn Connect>,
        number: u64,
        server: Option<(JoinHandle<()>, UnixStream)>,
    ) -> Result<Self> {
        let clock = Arc::new(SystemClock);
        let run = IdSource::new(number).run(clock.now());
        let options = RecorderOptions {
            run,
            redaction: Options::default(),
            entropy: number,
            clock,
            evidence: None,
        };
        let (recorder, threads) = Recorder::start(options, connect)?;
        Ok(Self {
            recorder,
            threads,
            server,
        })
    }

    /// Waits until everything recorded is durable, and leaves. The number of events that were lost.
    pub(crate) fn close(self) -> Result<u64> {
        let lost = self.threads.close(PATIENCE);
        if let Some((server, _told)) = self.server {
            server.join().map_err(|_panic| "the recorder panicked")?;
        }
        Ok(lost)
    }
}

struct Socket(PathBuf);

impl Connect for Socket {
    fn connect(&mut self) -> std::result::Result<UnixStream, ConnectError> {
        UnixStream::connect(&self.0).map_err(|error| ConnectError::NotYet(error.to_string()))
    }
}

struct Once(Option<UnixStream>);

impl Connect for Once {
    fn connect(&mut self) -> std::result::Result<UnixStream, ConnectError> {
        self.0
            .take()
            .ok_or_else(|| ConnectError::Never("the recorder ended".to_owned()))
    }
}

/// Makes events of samples, as a proxy would.
pub(crate) struct Maker {
    ids: IdSource,
    context: Arc<Context>,
}

impl Maker {
    /// `number` keeps the ids of several makers apart.
    pub(crate) fn new(number: u64) -> Self {
        let mut ids = IdSource::new(number);
        let party = |name: &str| Party {
            name: name.into(),
            reported_name: None,
            version: Some("1.0.0".into()),
        };
        let context = Arc::new(Context {
            actor: Some(Actor {
                id: "bench".into(),
                auth: Auth::OsUser,
                uid: Some(1_000),
            }),
            client: Some(party("tacho-bench")),
            server: Some(party("files")),
            session: Some(ids.run(SystemClock.now())),
        });
        Self { ids, context }
    }

    /// A tool call that went well.
    pub(crate) fn make(&mut self, sample: &Sample) -> Event {
        let now = SystemClock.now();
        let context = Arc::clone(&self.context);
        let mut event = Event::new(self.ids.event(now), now, EventType::ToolCall, context);
        event.outcome = Some(Outcome::Ok);
        event.request = Some(Unredacted::new(Bytes::from(sample.request.to_string())));
        event.method = Some("tools/call".into());
        event.tool = Some(sample.tool.into());
        event.args = Some(Unredacted::new(sample.args.clone()));
        event.duration = Some(Duration::from_secs_f64(sample.duration_ms / 1e3));
        event
    }
}
