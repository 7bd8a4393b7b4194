//! kill -9 of everything at random moments; afterwards the log must hold what was promised.
//!
//! The seed is printed; `TACHO_CHAOS_SEED` runs it again, `TACHO_CHAOS_KILLS` kills more. The server
//! writes each call it receives into a file of its own before it answers, and the client notes each
//! answer it gets: two witnesses that know nothing of the log.

use std::collections::{HashMap, HashSet};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use crate::env::{ECHO, Env, PATIENCE, call, kill, until};

/// Kills in all, unless the environment asks for more.
const KILLS: usize = 800;

/// Clients at work at the same time.
const CLIENTS: usize = 3;

/// Says who it is, then counts before it answers.
const COUNTING: &str = r#"
echo $$ > PID
while IFS= read -r line; do
    id=${line#*'"id":"'}
    id=${id%%'"'*}
    echo "$id" >> RECEIVED
    printf '{"jsonrpc":"2.0","id":"%s","result":{}}\n' "$id"
done"#;

#[test]
fn nothing_promised_is_lost() {
    let seed =
        from_environment("TACHO_CHAOS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let goal = from_environment("TACHO_CHAOS_KILLS").and_then(|kills| usize::try_from(kills).ok());
    let chaos = Chaos {
        env: Env::new(),
        goal: goal.unwrap_or(KILLS),
        kills: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };
    println!("seed {seed}, {} kills", chaos.goal);
    let mut told = Told::default();
    std::thread::scope(|scope| {
        let chaos = &chaos;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || {
                    // Also when an assertion fails, lest the others go on for ever.
                    let _over = Over(&chaos.over);
                    chaos.clients(
                        number,
                        Random(seed.rotate_left(17 + u32::try_from(number).unwrap())),
                    )
                })
            })
            .collect();
        let recorders = scope.spawn(|| chaos.kill_recorders(Random(seed)));
        for client in clients {
            told.merge(client.join().unwrap());
        }
        println!(
            "{} of the kills hit the recorder",
            recorders.join().unwrap()
        );
    });
    chaos.settle();
    check(&chaos.env, &told);
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

struct Chaos {
    env: Env,
    goal: usize,
    kills: AtomicUsize,
    over: AtomicBool,
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// What the clients were told.
#[derive(Default)]
struct Told {
    answered: HashSet<String>,
    refused: HashSet<String>,
    withheld: HashSet<String>,
}

impl Told {
    fn note(&mut self, line: &[u8]) {
        let Ok(answer) = serde_json::from_slice::<Value>(line) else {
            // The last line of a killed `tacho run`: it was never an answer.
            return;
        };
        let id = answer["id"].as_str().unwrap().to_owned();
        let forwarded = &answer["error"]["data"]["forwarded"];
        let new = match forwarded.as_bool() {
            None => self.answered.insert(id),
            Some(false) => self.refused.insert(id),
            Some(true) => self.withheld.insert(id),
        };
        assert!(new, "answered twice: {answer}");
    }

    fn merge(&mut self, other: Self) {
        self.answered.extend(other.answered);
        self.refused.extend(other.refused);
        self.withheld.extend(other.withheld);
    }
}

impl Chaos {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.kills.load(Ordering::Relaxed) >= self.goal
    }

    fn kill(&self, pid: i32) {
        kill(pid);
        self.kills.fetch_add(1, Ordering::Relaxed);
    }

    fn kill_recorders(&self, mut random: Random) -> usize {
        let mut killed = 0;
        while !self.is_over() {
            std::thread::sleep(Duration::from_millis(20 + random.below(200)));
            if let Some(pid) = self.env.recorder() {
                self.kill(pid);
                killed += 1;
            }
        }
        killed
    }

    /// Sessions, one after the other, each of which ends with a death.
    fn clients(&self, number: usize, mut random: Random) -> Told {
        let mut told = Told::default();
        for round in 0.. {
            if self.is_over() {
                break;
            }
            let pid_file = self.env.path(&format!("pid-{number}-{round}"));
            let mut client = Client::start(&self.env, number, &pid_file);
            let mut next = 0;
            for _ in 0..random.below(4) {
                let burst = 1 + random.below(8);
                client.send(&format!("{number}-{round}"), &mut next, burst);
                for _ in 0..burst {
                    let line = client
                        .line()
                        .expect("an answer; nobody was killed but the recorder");
                    told.note(&line);
                }
            }
            let burst = 1 + random.below(8);
            client.send(&format!("{number}-{round}"), &mut next, burst);
            std::thread::sleep(Duration::from_micros(random.below(6_000)));
            for _ in 0..random.below(2) {
                client.line().inspect(|line| told.note(line));
            }
            match random.below(3) {
                0 => self.kill(client.pid()),
                1 => {
                    self.kill(until("the server", || pid_in(&pid_file)));
                }
                _ => {
                    // All that the death of a client is to others: its ends of the pipes are closed.
                    client.leave();
                    self.kills.fetch_add(1, Ordering::Relaxed);
                }
            }
            while let Some(line) = client.line() {
                told.note(&line);
            }
            client.end();
        }
        told
    }

    /// Waits for servers that lost their `tacho run`, and lets a recorder take over what is left.
    fn settle(&self) {
        let place = self.env.path("received").display().to_string();
        for file in std::fs::read_dir(self.env.path("")).unwrap() {
            let file = file.unwrap();
            if !file.file_name().to_string_lossy().starts_with("pid-") {
                continue;
            }
            let pid = until("a server's id", || pid_in(&file.path()));
            until("the servers' end", || {
                let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                (!String::from_utf8_lossy(&command).contains(&place)).then_some(())
            });
        }
        let mut last = self.env.session(&[], ECHO);
        assert!(last.call("last")["result"].is_object());
        assert!(last.close().status.success());
        self.env.stop_and_verify();
    }
}

/// What a server wrote of itself, once it has.
fn pid_in(path: &Path) -> Option<i32> {
    std::fs::read_to_string(path)
        .ok()?
        .strip_suffix('\n')?
        .parse()
        .ok()
}

fn check(env: &Env, told: &Told) {
    let mut received = HashSet::new();
    for number in 0..CLIENTS {
        let file = std::fs::read_to_string(env.path(&format!("received-{number}"))).unwrap();
        for id in file.lines() {
            assert!(received.insert(id.to_owned()), "{id} was forwarded twice");
        }
    }
    let records = env.records();
    let mut ids = HashSet::new();
    let mut intents: HashMap<&str, &str> = HashMap::new();
    let mut endings: HashMap<&str, Vec<&str>> = HashMap::new();
    for (seq, record) in records.iter().enumerate() {
        let text = |name: &str| record[name].as_str().unwrap();
        assert_eq!(record["seq"], seq, "seq has a gap");
        assert!(ids.insert(text("id")), "twice in the log: {record}");
        if record["type"] == "tool_call" && record["stage"] == "intent" {
            let again = intents.insert(text("request"), text("id"));
            assert_eq!(again, None, "two intents of one call: {record}");
        }
        if record["stage"] == "outcome" {
            endings
                .entry(text("ref"))
                .or_default()
                .push(text("outcome"));
        }
    }
    println!(
        "{} records; {} calls received, {} answered, {} refused, {} withheld",
        records.len(),
        received.len(),
        told.answered.len(),
        told.refused.len(),
        told.withheld.len()
    );
    assert!(
        told.answered.len() > CLIENTS,
        "too few calls to show anything"
    );
    for id in &received {
        assert!(
            intents.contains_key(id.as_str()),
            "{id} was forwarded without an intent in the log"
        );
        assert!(!told.refused.contains(id), "{id} was refused and forwarded");
    }
    for id in &told.answered {
        let intent = intents
            .get(id.as_str())
            .expect("an intent for an answered call");
        let endings = endings.get(intent).map(Vec::as_slice).unwrap_or_default();
        assert!(
            endings.contains(&"ok"),
            "{id} was answered without an outcome in the log: {endings:?}"
        );
    }
    for (id, intent) in intents {
        let endings = endings.get(intent).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(
            endings.len(),
            1,
            "{id}: {endings:?}\n{}",
            story(&records, intent)
        );
    }
}

/// What the log says about the session of a call, and about the log's writers meanwhile.
fn story(records: &[Value], intent: &str) -> String {
    let session = &records.iter().find(|r| r["id"] == intent).unwrap()["session"];
    let about = |record: &&Value| {
        let kind = record["type"].as_str().unwrap();
        record["id"] == intent
            || record["ref"] == intent
            || kind.starts_with("log_")
            || record["session"] == *session
    };
    let lines = records.iter().filter(about).map(|record| {
        format!(
            "{} {} {} {}",
            record["seq"], record["timestamp"], record["type"], record["outcome"]
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A client whose pipes can be closed at any moment.
struct Client {
    child: Child,
    pipes: Option<(ChildStdin, ChildStdout)>,
    bytes: Vec<u8>,
}

impl Client {
    fn start(env: &Env, number: usize, pid_file: &Path) -> Self {
        let received = env.path(&format!("received-{number}"));
        let script = COUNTING
            .replace("PID", &pid_file.display().to_string())
            .replace("RECEIVED", &received.display().to_string());
        let mut command = env.tacho(&[
            "run",
            "--name",
            &format!("server-{number}"),
            "--",
            "sh",
            "-c",
            &script,
        ]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let pipes = child.stdin.take().zip(child.stdout.take());
        Self {
            child,
            pipes,
            bytes: Vec::new(),
        }
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    fn send(&mut self, prefix: &str, next: &mut usize, calls: u64) {
        let (input, _) = self.pipes.as_mut().unwrap();
        for _ in 0..calls {
            input
                .write_all(format!("{}\n", call(&format!("{prefix}-{next}"))).as_bytes())
                .unwrap();
            *next += 1;
        }
    }

    /// The next whole line; `None` when there will be none any more.
    fn line(&mut self) -> Option<Vec<u8>> {
        let (_, output) = self.pipes.as_mut()?;
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                return Some(self.bytes.drain(..=end).collect());
            }
            let patience = Timespec {
                tv_sec: PATIENCE.as_secs().cast_signed(),
                tv_nsec: 0,
            };
            let ready = poll(&mut [PollFd::new(&*output, PollFlags::IN)], Some(&patience)).unwrap();
            assert!(ready > 0, "a call hangs");
            let mut chunk = [0; 4_096];
            match output.read(&mut chunk).unwrap() {
                0 => return None,
                read => self.bytes.extend_from_slice(&chunk[..read]),
            }
        }
    }

    fn leave(&mut self) {
        self.pipes = None;
    }

    fn end(mut self) {
        self.leave();
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "tacho run does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Only after a failed assertion is there anything left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// SplitMix64: enough to choose victims and moments, and the same again for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % limit
    }
}
