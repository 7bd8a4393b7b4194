#![cfg(test)]
//! The recorder end to end in one process: sources, sockets, the server, the log on a real disk.

#[path = "recorder/busy.rs"]
mod busy;
#[path = "recorder/keeping.rs"]
mod keeping;

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tacho_event::{
    Context, DigestKey, Event, EventType, IdSource, Options, Outcome, ParsedRecord, Stage,
    Unredacted,
};
use tacho_log::evidence::EvidenceStore;
use tacho_log::key::SigningKey;
use tacho_log::reader::Reader;
use tacho_log::retention::Retention;
use tacho_log::{
    Clock as _, Connect, ConnectError, DataDir, Intake, Left, LogOptions, OpenLog, Patience,
    RecordError, Recorder, RecorderOptions, RecorderThreads, ServeError, ServeOptions, Server,
    SystemClock, Ticket, ask_status, ask_stop,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn signing_key() -> SigningKey {
    SigningKey::generate("tacho.local/test", [7; 32]).unwrap()
}

fn serve_options() -> ServeOptions {
    ServeOptions {
        config: "none".to_owned(),
        space: tacho_log::SpaceOptions::default(),
        room: Arc::new(tacho_log::room),
        digest_key: DigestKey::new([9; 32]),
        leave_after: None,
        checkpoint_interval: Duration::from_secs(60),
        retention: Retention::KEEP_ALL,
        encrypt: None,
        clock: Arc::new(SystemClock),
        entropy: 77,
        version: "test",
    }
}

/// A server of the directory's log, on its socket, in a thread.
struct Running {
    dir: DataDir,
    thread: JoinHandle<Result<Left, ServeError>>,
    kill: UnixStream,
}

impl Running {
    fn start(path: &Path) -> Self {
        Self::start_with(path, serve_options())
    }

    fn start_with(path: &Path, options: ServeOptions) -> Self {
        let dir = DataDir::create(path).unwrap();
        let lock = dir.lock().unwrap();
        let open = OpenLog::open(dir.clone(), lock, signing_key(), LogOptions::default()).unwrap();
        drop(std::fs::remove_file(dir.socket()));
        let listener = UnixListener::bind(dir.socket()).unwrap();
        let (stop, kill) = UnixStream::pair().unwrap();
        let server = Server::new(open, Intake::Socket(listener), stop, options).unwrap();
        Self {
            dir,
            thread: std::thread::spawn(move || server.run()),
            kill,
        }
    }

    fn stop(self) -> Left {
        ask_stop(UnixStream::connect(self.dir.socket()).unwrap()).unwrap();
        self.thread.join().unwrap().unwrap()
    }

    fn records(&self) -> Vec<ParsedRecord> {
        records(&self.dir)
    }
}

fn records(dir: &DataDir) -> Vec<ParsedRecord> {
    let records = Reader::new(dir.log()).records_from(0);
    records
        .map(|record| ParsedRecord::parse(&record.unwrap().1).unwrap())
        .collect()
}

struct ToSocket(PathBuf);

impl Connect for ToSocket {
    fn connect(&mut self) -> Result<UnixStream, ConnectError> {
        UnixStream::connect(&self.0).map_err(|error| ConnectError::NotYet(error.to_string()))
    }
}

struct Source {
    recorder: Recorder,
    threads: RecorderThreads,
    ids: IdSource,
    context: Arc<Context>,
}

impl Source {
    fn start(socket: PathBuf, entropy: u64) -> Self {
        Self::start_with(socket, entropy, None)
    }

    fn start_with(socket: PathBuf, entropy: u64, evidence: Option<EvidenceStore>) -> Self {
        let run = IdSource::new(entropy).run(SystemClock.now());
        let options = RecorderOptions {
            run,
            redaction: Options::default(),
            entropy,
            clock: Arc::new(SystemClock),
            evidence,
        };
        let (recorder, threads) = Recorder::start(options, Box::new(ToSocket(socket))).unwrap();
        let context = Arc::new(Context {
            session: Some(run),
            ..Context::none()
        });
        Self {
            recorder,
            threads,
            ids: IdSource::new(entropy ^ 0xffff),
            context,
        }
    }

    fn event(&mut self, stage: Stage) -> Event {
        let now = SystemClock.now();
        let id = self.ids.event(now);
        let mut event = Event::new(id, now, EventType::ToolCall, Arc::clone(&self.context));
        event.stage = stage;
        event.tool = Some(Unredacted::from("delete_file"));
        event.outcome = Some(if stage == Stage::Intent {
            Outcome::Pending
        } else {
            Outcome::Ok
        });
        event.args = Some(Unredacted::new(bytes::Bytes::from_static(
            br#"{"path":"a"}"#,
        )));
        event
    }
}

fn durable(ticket: Ticket) {
    if let Err(error) = ticket.wait(None) {
        panic!("not recorded: {error}");
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_receipt_means_that_the_record_is_in_the_log() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path());
    let mut source = Source::start(server.dir.socket(), 1);
    let mut intents = Vec::new();
    for _ in 0..100 {
        let event = source.event(Stage::Intent);
        let id = event.id;
        durable(source.recorder.record(event, Patience::Wait));
        let on_disk = server.records();
        assert_eq!(on_disk.last().unwrap().id, id.to_string());
        intents.push(id);
    }
    for intent in intents {
        let outcome = source.event(Stage::Outcome(intent));
        durable(source.recorder.record(outcome, Patience::Never));
    }
    assert_eq!(source.threads.close(PATIENCE), 0);
    let dir = server.dir.clone();
    assert_eq!(server.stop(), Left::Stopped);
    let kinds: Vec<_> = records(&dir)
        .into_iter()
        .map(|record| record.kind)
        .collect();
    assert_eq!(kinds.len(), 202);
    assert_eq!(
        (kinds[0].as_str(), kinds[201].as_str()),
        ("log_opened", "log_closed")
    );
}

#[test]
fn many_in_flight_stay_in_order_and_share_syncs() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path());
    let mut source = Source::start(server.dir.socket(), 2);
    let mut tickets = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..10_000 {
        let event = source.event(Stage::Single);
        ids.push(event.id.to_string());
        tickets.push(source.recorder.record(event, Patience::Wait));
    }
    for ticket in tickets {
        durable(ticket);
    }
    let on_disk: Vec<_> = server
        .records()
        .into_iter()
        .skip(1)
        .map(|record| record.id)
        .collect();
    assert!(on_disk == ids, "{} records", on_disk.len());
    source.threads.close(PATIENCE);
    server.stop();
}

#[test]
fn a_source_that_dies_in_mid_call_leaves_an_interrupted_outcome() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path());
    let mut source = Source::start(server.dir.socket(), 3);
    let intent = source.event(Stage::Intent);
    let id = intent.id.to_string();
    durable(source.recorder.record(intent, Patience::Wait));
    // Says goodbye, but with its call open: the same as dying, for the call.
    source.threads.close(PATIENCE);
    until("the interrupted record", || {
        server.records().iter().any(|record| {
            record.kind == "interrupted"
                && record.intent.as_deref() == Some(&id)
                && record.outcome.as_deref() == Some("interrupted")
                && record.tool.as_deref() == Some("delete_file")
        })
    });
    server.stop();
}

#[test]
fn a_new_recorder_takes_over_and_nothing_is_lost_or_doubled() {
    let root = tempfile::tempdir().unwrap();
    let mut server = Running::start(root.path());
    let mut source = Source::start(server.dir.socket(), 4);
    let mut ids = Vec::new();
    let mut open = Vec::new();
    for _round in 0..4 {
        let mut tickets = Vec::new();
        for _ in 0..500 {
            let event = source.event(Stage::Intent);
            ids.push(event.id.to_string());
            open.push(event.id);
            tickets.push(source.recorder.record(event, Patience::Wait));
        }
        // In the middle of it the recorder is told to go, and another comes.
        drop(server.kill);
        server.thread.join().unwrap().unwrap();
        server = Running::start(root.path());
        for ticket in tickets {
            durable(ticket);
        }
    }
    for intent in open {
        let outcome = source.event(Stage::Outcome(intent));
        durable(source.recorder.record(outcome, Patience::Wait));
    }
    source.threads.close(PATIENCE);
    let dir = server.dir.clone();
    server.stop();
    let records = records(&dir);
    let mut seen: Vec<_> = records
        .iter()
        .filter(|r| r.stage.as_deref() == Some("intent"))
        .map(|r| r.id.clone())
        .collect();
    assert_eq!(seen, ids);
    seen.dedup();
    assert_eq!(seen.len(), 2_000);
}

#[test]
fn without_a_recorder_events_are_refused_in_time_and_the_gap_is_recorded() {
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::create(root.path()).unwrap();
    let mut source = Source::start(dir.socket(), 5);
    let event = source.event(Stage::Intent);
    let started = Instant::now();
    let refused = source.recorder.record(event, Patience::Wait).wait(None);
    assert!(
        matches!(refused, Err(RecordError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );

    let server = Running::start(root.path());
    let event = source.event(Stage::Single);
    until("the link", || {
        let event = source.event(Stage::Single);
        source
            .recorder
            .record(event, Patience::Wait)
            .wait(None)
            .is_ok()
    });
    durable(source.recorder.record(event, Patience::Wait));
    let gap = server
        .records()
        .into_iter()
        .find(|record| record.kind == "gap")
        .unwrap();
    assert!(gap.details.unwrap().get().starts_with(r#"{"lost":"#));
    source.threads.close(PATIENCE);
    server.stop();
}

#[test]
fn the_status_counts_and_strangers_to_the_protocol_are_sent_away() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path());
    let source = Source::start(server.dir.socket(), 6);
    until("a connected source", || {
        let stream = UnixStream::connect(server.dir.socket()).unwrap();
        ask_status(stream).unwrap()["sources"] == 1
    });
    let mut stranger = UnixStream::connect(server.dir.socket()).unwrap();
    std::io::Write::write_all(&mut stranger, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stranger, &mut answer).unwrap();
    assert!(
        String::from_utf8_lossy(&answer).contains("frame"),
        "{answer:?}"
    );
    source.threads.close(PATIENCE);
    server.stop();
}

#[test]
fn an_orderly_stop_leaves_the_calls_of_living_sources_to_the_next_recorder() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path());
    let mut source = Source::start(server.dir.socket(), 7);
    let intent = source.event(Stage::Intent);
    let id = intent.id;
    durable(source.recorder.record(intent, Patience::Wait));
    server.stop();
    let server = Running::start(root.path());
    let outcome = source.event(Stage::Outcome(id));
    durable(source.recorder.record(outcome, Patience::Wait));
    assert!(
        server
            .records()
            .iter()
            .all(|record| record.kind != "interrupted")
    );
    source.threads.close(PATIENCE);
    server.stop();
}

#[test]
fn a_checkpoint_that_cannot_be_written_is_tried_again_and_recording_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let options = || ServeOptions {
        checkpoint_interval: Duration::from_millis(50),
        ..serve_options()
    };
    let server = Running::start_with(root.path(), options());
    let sealed = |server: &Running| {
        ask_status(UnixStream::connect(server.dir.socket()).unwrap()).unwrap()["sealed"].as_u64()
    };
    let before = sealed(&server);
    // Something that no rename can replace stands where the next checkpoint is written.
    let in_the_way = server.dir.log().checkpoint().with_extension("tmp");
    std::fs::create_dir_all(in_the_way.join("x")).unwrap();
    let mut source = Source::start(server.dir.socket(), 8);
    for _ in 0..3 {
        let event = source.event(Stage::Single);
        durable(source.recorder.record(event, Patience::Wait));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(sealed(&server), before);
    std::fs::remove_dir_all(in_the_way).unwrap();
    until("a checkpoint", || sealed(&server) > before);
    source.threads.close(PATIENCE);
    server.stop();
}

#[test]
fn without_its_lock_file_a_recorder_stops_rather_than_write_beside_another() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path());
    let mut source = Source::start(server.dir.socket(), 9);
    let event = source.event(Stage::Single);
    durable(source.recorder.record(event, Patience::Wait));
    std::fs::remove_file(server.dir.lock_path()).unwrap();
    let event = source.event(Stage::Single);
    let ticket = source.recorder.record(event, Patience::Wait);
    assert!(matches!(
        server.thread.join().unwrap(),
        Err(ServeError::Commit(_))
    ));
    // Nobody was told anything about the record, so the next recorder takes it.
    let server = Running::start(root.path());
    durable(ticket);
    source.threads.close(PATIENCE);
    server.stop();
}

#[test]
fn silence_is_recorded_and_sealed_while_a_source_is_connected() {
    let root = tempfile::tempdir().unwrap();
    let options = ServeOptions {
        checkpoint_interval: Duration::from_millis(50),
        ..serve_options()
    };
    let server = Running::start_with(root.path(), options);
    let source = Source::start(server.dir.socket(), 10);
    let beats = |server: &Running| {
        let records = server.records();
        records
            .iter()
            .filter(|record| record.kind == "heartbeat")
            .count()
    };
    until("two heartbeats", || beats(&server) >= 2);
    let status = || ask_status(UnixStream::connect(server.dir.socket()).unwrap()).unwrap();
    until("all sealed", || {
        let status = status();
        status["sealed"] == status["records"]
    });
    source.threads.close(PATIENCE);
    server.stop();
}

struct SetClock(std::sync::atomic::AtomicU64);

impl tacho_log::Clock for SetClock {
    fn now(&self) -> tacho_event::Timestamp {
        tacho_event::Timestamp::from_unix_nanos(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[test]
fn a_clock_that_goes_back_takes_no_segment_back_and_the_log_verifies() {
    const DAY: u64 = 86_400_000_000_000;
    let root = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock((20_000 * DAY).into()));
    let options = ServeOptions {
        clock: Arc::clone(&clock) as Arc<dyn tacho_log::Clock>,
        ..serve_options()
    };
    let server = Running::start_with(root.path(), options);
    let mut source = Source::start(server.dir.socket(), 11);
    for day in [20_000, 19_990, 20_003, 20_001] {
        clock
            .0
            .store(day * DAY + 1, std::sync::atomic::Ordering::SeqCst);
        let event = source.event(Stage::Single);
        durable(source.recorder.record(event, Patience::Wait));
    }
    source.threads.close(PATIENCE);
    let dir = server.dir.clone();
    server.stop();
    let segments = std::fs::read_dir(dir.log().segments()).unwrap();
    let mut names: Vec<_> = segments
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let days: Vec<_> = names.iter().map(|name| name.split_at(10).0).collect();
    assert_eq!(days, ["2024-10-04", "2024-10-07"]);
    let key = signing_key();
    let report = tacho_log::verify::verify(
        dir.log(),
        key.verifying_key(),
        &tacho_log::verify::VerifyOptions::default(),
    );
    assert_eq!(report.findings, Vec::new());
}
