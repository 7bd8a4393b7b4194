//! A log on disk, witnesses in memory or made up, no network.

use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

use tacho_event::Timestamp;
use tacho_log::disk::RealDisk;
use tacho_log::key::{CosigningKey, SigningKey};
use tacho_log::outside::{CosignedFile, WitnessNews, read_cosigned};
use tacho_log::witness::Witness;
use tacho_log::{DataDir, Log, LogOptions, SystemClock};
use tempfile::TempDir;

use super::post::Reply;
use super::*;
use crate::http::{Asked, Site as _};
use crate::{WitnessDir, WitnessSite};

const PATIENCE: Duration = Duration::from_secs(30);

fn log_key() -> SigningKey {
    SigningKey::generate("log", [1; 32]).unwrap()
}

fn witness_key(number: u8) -> CosigningKey {
    CosigningKey::generate(&format!("w{number}"), [100 + number; 32]).unwrap()
}

/// A log of `records` records, sealed; `kind` tells one history from another.
fn log(path: &Path, records: u64, kind: &str) -> (LogDir, Log) {
    let dir = DataDir::create(path).unwrap();
    let lock = dir.lock().unwrap();
    let options = LogOptions::default();
    let disk = Arc::new(RealDisk);
    let (mut log, _) = Log::open(disk, &dir, lock, log_key(), options, &mut |_, _| {}).unwrap();
    grow(&mut log, records, kind);
    (dir.log().clone(), log)
}

fn grow(log: &mut Log, records: u64, kind: &str) {
    for n in log.size()..records {
        let body = format!(
            r#"{{"id":"01970000-0000-7000-8000-{n:012}","timestamp":"2026-11-20T00:00:00.000000000Z","type":"{kind}"}}"#
        );
        log.append(
            body.as_bytes(),
            Timestamp::from_unix_nanos(1_795_000_000_000_000_000),
        )
        .unwrap();
    }
    log.commit().unwrap();
    log.seal().unwrap();
}

/// Witnesses behind no network: real ones, which are up or not, and one that answers what a test wants.
struct Witnesses {
    sites: Vec<(TempDir, Mutex<WitnessSite>)>,
    /// A status to answer with instead, or 0; one for each witness.
    instead: Vec<AtomicU16>,
    said: Mutex<String>,
}

impl Witnesses {
    fn new(count: u8) -> Arc<Self> {
        let site = |number| {
            let root = tempfile::tempdir().unwrap();
            let dir = WitnessDir::open(root.path()).unwrap();
            let witness = Witness::new(witness_key(number), [log_key().verifying_key().clone()]);
            let site = WitnessSite::open(witness, dir, Arc::new(SystemClock)).unwrap();
            (root, Mutex::new(site))
        };
        Arc::new(Self {
            sites: (0..count).map(site).collect(),
            instead: (0..count).map(|_| AtomicU16::new(0)).collect(),
            said: Mutex::default(),
        })
    }

    /// `w0`, `w1`… and a quorum of all.
    fn policy(&self) -> Policy {
        let mut file = String::new();
        let mut names = String::new();
        for number in 0..u8::try_from(self.sites.len()).unwrap() {
            let key = witness_key(number).witness_key().encode();
            file.push_str(&format!("witness n{number} {key} http://{number}\n"));
            names.push_str(&format!(" n{number}"));
        }
        Policy::parse(format!("{file}group all all{names}\nquorum all\n").as_bytes()).unwrap()
    }

    fn answer(&self, number: usize, status: u16) {
        self.instead[number].store(status, Ordering::SeqCst);
    }

    fn start(self: &Arc<Self>, log: &LogDir) -> Submitter {
        let key = log_key().verifying_key().clone();
        let post = Box::new(Network(Arc::clone(self)));
        Submitter::start_with(log.clone(), key, self.policy(), post).unwrap()
    }
}

struct Network(Arc<Witnesses>);

impl Post for Network {
    fn post(&self, url: &str, body: &str, _patience: Duration) -> Result<Reply, String> {
        let number = url.trim_start_matches("http://").split('/').next();
        let number: usize = number.and_then(|n| n.parse().ok()).ok_or("no such host")?;
        match self.0.instead[number].load(Ordering::SeqCst) {
            0 => {}
            1 => return Err("connection refused".to_owned()),
            status => {
                let body = locked(&self.0.said).clone().into_bytes();
                return Ok(Reply { status, body });
            }
        }
        let reply = locked(&self.0.sites[number].1).answer(Asked {
            method: &hyper::Method::POST,
            path: "/add-checkpoint",
            host: None,
            body: body.as_bytes(),
        });
        let (status, body) = (reply.status, reply.body);
        Ok(Reply { status, body })
    }
}

fn cosigned(log: &LogDir, policy: &Policy) -> Option<CosignedFile> {
    let key = log_key();
    read_cosigned(log, |signed| signed.verify(key.verifying_key()), policy).ok()
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn until_held(submitter: &Submitter, size: u64) {
    until("held", || submitter.held().filter(|held| held.size == size));
}

fn next_news(submitter: &mut Submitter) -> News {
    let mut news = until("news", || {
        let news = submitter.news();
        (!news.is_empty()).then_some(news)
    });
    assert_eq!(news.len(), 1, "{news:?}");
    news.remove(0)
}

#[test]
fn checkpoints_are_cosigned_as_the_log_grows_and_by_the_next_recorder() {
    let root = tempfile::tempdir().unwrap();
    let (dir, mut log) = log(root.path(), 3, "heartbeat");
    let witnesses = Witnesses::new(2);
    let policy = witnesses.policy();
    let mut submitter = witnesses.start(&dir);
    assert_eq!(submitter.held(), None);
    for size in [3, 4, 300, 301, 700] {
        grow(&mut log, size, "heartbeat");
        submitter.published(log.checkpoint().unwrap());
        until_held(&submitter, size);
        let file = cosigned(&dir, &policy).unwrap();
        assert_eq!((file.checkpoint.size(), file.cosigned.by.len()), (size, 2));
    }
    submitter.leave();
    drop(submitter);
    // The next one knows where the witnesses are; one that lost `cosigned` is told by them.
    for remove in [false, true] {
        if remove {
            std::fs::remove_file(dir.cosigned()).unwrap();
        }
        let mut submitter = witnesses.start(&dir);
        let size = log.size() + 10;
        grow(&mut log, size, "heartbeat");
        submitter.published(log.checkpoint().unwrap());
        until_held(&submitter, size);
        assert_eq!(submitter.news(), []);
    }
}

#[test]
fn a_witness_that_is_down_is_told_once_and_so_is_its_return() {
    let root = tempfile::tempdir().unwrap();
    let (dir, mut log) = log(root.path(), 3, "heartbeat");
    let witnesses = Witnesses::new(2);
    let mut submitter = witnesses.start(&dir);
    submitter.published(log.checkpoint().unwrap());
    until_held(&submitter, 3);
    witnesses.answer(1, 1);
    grow(&mut log, 9, "heartbeat");
    submitter.published(log.checkpoint().unwrap());
    let told = next_news(&mut submitter);
    assert_eq!(told.witness, "n1");
    assert!(matches!(told.what, WitnessNews::Failed { reason } if reason.contains("refused")));
    // The other one has cosigned 9; `cosigned` keeps what the quorum has.
    until("the other one", || {
        let held = locked(&witnesses.sites[0].1);
        let held = held.answer(get_of_log());
        String::from_utf8(held.body)
            .unwrap()
            .contains("\n9\n")
            .then_some(())
    });
    let file = cosigned(&dir, &witnesses.policy()).unwrap();
    assert_eq!((file.checkpoint.size(), file.held().is_some()), (3, true));
    witnesses.answer(1, 0);
    until_held(&submitter, 9);
    let told = next_news(&mut submitter);
    assert_eq!((&*told.witness, told.what), ("n1", WitnessNews::Recovered));
}

fn get_of_log() -> Asked<'static> {
    static PATH: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        format!("/{}/checkpoint", tacho_log::witness::origin_hex("log"))
    });
    Asked {
        method: &hyper::Method::GET,
        path: &PATH,
        host: None,
        body: &[],
    }
}

/// Two ways a log can be another one than the witnesses have seen; with and without its own memory of it.
#[test]
fn a_log_that_was_put_back_or_written_anew_is_told_with_both_sizes() {
    for (records, kind, keep_cosigned) in [
        (5, "heartbeat", false),
        (5, "heartbeat", true),
        (9, "heartbeet", false),
        (9, "heartbeet", true),
        (20, "heartbeet", false),
        (20, "heartbeet", true),
    ] {
        let (root, other_root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, first) = log(root.path(), 9, "heartbeat");
        let witnesses = Witnesses::new(1);
        let mut submitter = witnesses.start(&dir);
        submitter.published(first.checkpoint().unwrap());
        until_held(&submitter, 9);
        drop(submitter);
        let (other, second) = log(other_root.path(), records, kind);
        let evidence = std::fs::read(dir.cosigned()).unwrap();
        if keep_cosigned {
            std::fs::copy(dir.cosigned(), other.cosigned()).unwrap();
        }
        let mut submitter = witnesses.start(&other);
        submitter.published(second.checkpoint().unwrap());
        let mut told = Vec::new();
        until("all news", || {
            told.extend(submitter.news());
            (told.len() == if keep_cosigned { 2 } else { 1 }).then_some(())
        });
        for one in told {
            let WitnessNews::Contradicted { held, size, reason } = one.what else {
                panic!("{one:?}");
            };
            assert_eq!((held, size), (9, records), "{reason}");
            assert_eq!(reason.contains("put back"), records < 9, "{reason}");
        }
        if keep_cosigned {
            assert_eq!(std::fs::read(other.cosigned()).unwrap(), evidence);
        } else {
            assert!(!other.cosigned().exists());
        }
    }
}

/// What a witness says is checked: none of these gets anything into `cosigned`.
#[test]
fn answers_that_are_none() {
    let root = tempfile::tempdir().unwrap();
    let (dir, log) = log(root.path(), 3, "heartbeat");
    let text = log.checkpoint().unwrap().note().text().to_owned();
    let line = |key: &CosigningKey, text: &str| {
        let mut line = String::new();
        key.cosign(text, 7).write(&mut line);
        line
    };
    let own = witness_key(0);
    for (status, said) in [
        (200, String::new()),
        (200, "hello\n".to_owned()),
        (200, "\u{fffd}".repeat(10_000)),
        (200, line(&witness_key(5), &text)),
        (200, line(&own, &text.replace('3', "4"))),
        (409, String::new()),
        (409, "-1\n".to_owned()),
        (409, "0\n".to_owned()),
        (409, "2\n".to_owned()),
        (302, "elsewhere".to_owned()),
        (403, "no".to_owned()),
        (404, "no".to_owned()),
        (422, "no".to_owned()),
        (500, "\u{1b}[2J".to_owned()),
    ] {
        let witnesses = Witnesses::new(1);
        witnesses.answer(0, status);
        *locked(&witnesses.said) = said.clone();
        let mut submitter = witnesses.start(&dir);
        submitter.published(log.checkpoint().unwrap());
        let told = next_news(&mut submitter);
        assert!(
            matches!(told.what, WitnessNews::Failed { .. }),
            "{status} {said}: {told:?}"
        );
        assert!(!dir.cosigned().exists(), "{status} {said}");
    }
}

#[test]
fn leaving_has_the_last_checkpoint_held_and_ends_the_writing() {
    let root = tempfile::tempdir().unwrap();
    let (dir, mut log) = log(root.path(), 3, "heartbeat");
    let witnesses = Witnesses::new(1);
    let mut submitter = witnesses.start(&dir);
    submitter.published(log.checkpoint().unwrap());
    grow(&mut log, 12, "heartbeat");
    submitter.published(log.checkpoint().unwrap());
    submitter.leave();
    let last = cosigned(&dir, &witnesses.policy()).unwrap();
    assert_eq!(last.checkpoint.size(), 12);
    grow(&mut log, 15, "heartbeat");
    submitter.published(log.checkpoint().unwrap());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(cosigned(&dir, &witnesses.policy()), Some(last));
}
