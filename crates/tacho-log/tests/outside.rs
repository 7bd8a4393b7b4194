#![cfg(test)]
//! The recorder and what holds its checkpoints outside: what it hands out, what it writes down, when it
//! says that nothing happened.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tacho_event::DigestKey;
use tacho_log::checkpoint::SignedCheckpoint;
use tacho_log::key::SigningKey;
use tacho_log::outside::{HeldOutside, News, Outside, WitnessNews};
use tacho_log::reader::Reader;
use tacho_log::{
    Clock as _, DataDir, Intake, Left, LogOptions, OpenLog, ServeError, ServeOptions, Server,
    SystemClock, ask_status, ask_stop,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a test sees of the hook, and puts into it.
#[derive(Default)]
struct Seen {
    sizes: Vec<u64>,
    news: Vec<News>,
    held: Option<HeldOutside>,
    left: bool,
}

struct Hook {
    seen: Arc<Mutex<Seen>>,
    wake: UnixStream,
}

impl Outside for Hook {
    fn published(&mut self, checkpoint: &SignedCheckpoint) {
        let size = checkpoint.unverified().size();
        self.seen.lock().unwrap().sizes.push(size);
    }

    fn wake(&self) -> &UnixStream {
        &self.wake
    }

    fn news(&mut self) -> Vec<News> {
        let mut byte = [0];
        (&self.wake).read_exact(&mut byte).unwrap();
        std::mem::take(&mut self.seen.lock().unwrap().news)
    }

    fn held(&self) -> Option<HeldOutside> {
        self.seen.lock().unwrap().held
    }

    fn leave(&mut self) {
        self.seen.lock().unwrap().left = true;
    }
}

struct Running {
    dir: DataDir,
    seen: Arc<Mutex<Seen>>,
    waker: UnixStream,
    thread: JoinHandle<Result<Left, ServeError>>,
    _stop: UnixStream,
}

impl Running {
    fn start(path: &Path, leave_after: Option<Duration>) -> Self {
        let dir = DataDir::create(path).unwrap();
        let key = SigningKey::generate("tacho.local/test", [7; 32]).unwrap();
        let lock = dir.lock().unwrap();
        let open = OpenLog::open(dir.clone(), lock, key, LogOptions::default()).unwrap();
        let listener = UnixListener::bind(dir.socket()).unwrap();
        let (stop, keep) = UnixStream::pair().unwrap();
        let options = ServeOptions {
            retention: tacho_log::retention::Retention::KEEP_ALL,
            encrypt: None,
            config: "none".to_owned(),
            space: tacho_log::SpaceOptions::default(),
            room: Arc::new(tacho_log::room),
            digest_key: DigestKey::new([9; 32]),
            leave_after,
            checkpoint_interval: Duration::from_millis(40),
            clock: Arc::new(SystemClock),
            entropy: 77,
            version: "test",
        };
        let mut server = Server::new(open, Intake::Socket(listener), stop, options).unwrap();
        let (wake, waker) = UnixStream::pair().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let hook = Hook {
            seen: Arc::clone(&seen),
            wake,
        };
        server.hold_outside(Box::new(hook));
        Self {
            dir,
            seen,
            waker,
            thread: std::thread::spawn(move || server.run()),
            _stop: keep,
        }
    }

    fn tell(&self, what: WitnessNews) {
        let witness = "w1".to_owned();
        self.seen.lock().unwrap().news.push(News { witness, what });
        (&self.waker).write_all(&[1]).unwrap();
    }

    fn status(&self) -> Value {
        ask_status(UnixStream::connect(self.dir.socket()).unwrap()).unwrap()
    }

    fn records(&self) -> Vec<Value> {
        let records = Reader::new(self.dir.log()).records_from(0);
        records
            .map(|record| serde_json::from_slice(&record.unwrap().1).unwrap())
            .collect()
    }

    fn of_type(&self, kind: &str) -> Vec<Value> {
        let mut records = self.records();
        records.retain(|record| record["type"] == kind);
        records
    }

    fn stop(self) {
        ask_stop(UnixStream::connect(self.dir.socket()).unwrap()).unwrap();
        assert_eq!(self.thread.join().unwrap().unwrap(), Left::Stopped);
    }
}

fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_checkpoint_goes_out_the_last_one_before_leaving() {
    let root = tempfile::tempdir().unwrap();
    let running = Running::start(root.path(), None);
    until("some checkpoints", || {
        running.seen.lock().unwrap().sizes.len() > 3
    });
    let (seen, dir) = (Arc::clone(&running.seen), running.dir.clone());
    running.stop();
    let seen = seen.lock().unwrap();
    assert!(seen.left);
    assert!(seen.sizes.is_sorted(), "{:?}", seen.sizes);
    let newest = std::fs::read(dir.log().checkpoint()).unwrap();
    let newest = SignedCheckpoint::parse(&newest).unwrap();
    assert_eq!(seen.sizes.last(), Some(&newest.unverified().size()));
}

/// Silence is provable: also when nobody is connected, by a recorder that stays.
#[test]
fn a_recorder_that_stays_writes_heartbeats_and_one_that_leaves_does_not() {
    let root = tempfile::tempdir().unwrap();
    let staying = Running::start(root.path(), None);
    until("heartbeats", || staying.of_type("heartbeat").len() >= 2);
    let status = staying.status();
    assert_eq!(status["sources"], 0);
    staying.stop();

    let root = tempfile::tempdir().unwrap();
    let leaving = Running::start(root.path(), Some(Duration::from_millis(400)));
    assert_eq!(leaving.thread.join().unwrap().unwrap(), Left::Idle);
    let records = Reader::new(leaving.dir.log()).records_from(0);
    let kinds = records.map(|record| {
        let record: Value = serde_json::from_slice(&record.unwrap().1).unwrap();
        record["type"].as_str().unwrap().to_owned()
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["log_opened", "log_closed"]);
}

#[test]
fn what_goes_wrong_outside_is_recorded() {
    let root = tempfile::tempdir().unwrap();
    let running = Running::start(root.path(), None);
    running.tell(WitnessNews::Failed {
        reason: "it is down, token sk_live_4eC39HqLyjWDarjtT1zdp7dc".to_owned(),
    });
    until("one record", || {
        running.of_type("witness_failed").len() == 1
    });
    running.tell(WitnessNews::Contradicted {
        reason: "put back".to_owned(),
        held: 9,
        size: 5,
    });
    running.tell(WitnessNews::Recovered);
    until("three records", || {
        running.of_type("witness_failed").len() == 3
    });
    let told = running.of_type("witness_failed");
    let severities: Vec<_> = told.iter().map(|one| &one["severity"]).collect();
    assert_eq!(severities, ["warning", "critical", "info"]);
    assert_eq!(told[0]["details"]["witness"], "w1");
    let reason = told[0]["details"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("down") && !reason.contains("4eC39"),
        "{reason}"
    );
    assert_eq!(
        (&told[1]["details"]["held"], &told[1]["details"]["size"]),
        (&9.into(), &5.into())
    );
    assert_eq!(told[2]["details"]["recovered"], true);
    running.stop();
}

#[test]
fn the_loss_window_grows_from_what_is_held_and_silence_costs_nothing() {
    let root = tempfile::tempdir().unwrap();
    let running = Running::start(root.path(), None);
    assert_eq!(running.status()["witnesses"], true);
    assert!(running.status()["loss_window_seconds"].is_null());
    let now = SystemClock.now().unix_seconds();
    let hold = |size, time| running.seen.lock().unwrap().held = Some(HeldOutside { size, time });
    // Record 0 is the opening; all after it are heartbeats.
    hold(0, now - 100);
    let window = running.status()["loss_window_seconds"].as_u64().unwrap();
    assert!((100..200).contains(&window), "{window}");
    hold(1, now - 100);
    until("heartbeats", || running.of_type("heartbeat").len() >= 2);
    assert_eq!(running.status()["loss_window_seconds"], 0);
    running.tell(WitnessNews::Recovered);
    until("a record", || running.of_type("witness_failed").len() == 1);
    assert_ne!(running.status()["loss_window_seconds"], 0);
    running.stop();
}
