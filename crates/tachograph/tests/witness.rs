#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that users would have"
)]
//! The binary as a log and as a witness, over loopback: what is held outside, what an attacker gets.

#[path = "journeys/env.rs"]
#[expect(dead_code, reason = "other journeys use the rest")]
mod env;
#[path = "witness/parties.rs"]
mod parties;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use env::{ECHO, Env, of_type, until};
use parties::{Forged, Witness, add, http};
use serde_json::Value;
use tacho_log::LogDir;
use tacho_log::checkpoint::SignedCheckpoint;
use tacho_log::merkle::{Frontier, leaf_hash};
use tacho_log::witness::origin_hex;

#[test]
fn attacks_on_a_running_witness() {
    let env = Env::new();
    let (log, fork) = (Forged::new(u64::MAX), Forged::new(50));
    let vkey = log.key.verifying_key().encode();
    let witness = Witness::start(&env, &env.path("w"), "0", &[vkey]);
    assert_eq!(add(&witness, &log.request(0, 100)).0, 200);
    let stranger = log
        .request(0, 100)
        .replace("example.com/log", "example.com/gol");
    for (name, body, status, says) in [
        ("rollback", log.request(0, 60), 409, "100\n"),
        ("rollback with the right old", log.request(100, 60), 400, ""),
        (
            "fork at the same size",
            fork.request(100, 100),
            409,
            "100\n",
        ),
        ("fork further on", fork.request(100, 200), 422, ""),
        ("from another size", log.request(60, 200), 409, "100\n"),
        ("another log", stranger, 404, ""),
        (
            "unsigned",
            log.request(100, 200).replace("\n200\n", "\n201\n"),
            403,
            "",
        ),
        ("nothing", String::new(), 400, ""),
        ("too long", "x".repeat(100_000), 413, ""),
        ("the same again", log.request(100, 100), 200, "\u{2014} "),
    ] {
        let (got, said) = add(&witness, &body);
        assert_eq!(got, status, "{name}: {said}");
        assert!(said.starts_with(says), "{name}: {said}");
    }
    let get = |method, path: &str| http(&witness.address, method, path, b"").unwrap();
    let (status, head, _) = http(
        &witness.address,
        "POST",
        "/add-checkpoint",
        log.request(0, 60).as_bytes(),
    )
    .unwrap();
    assert_eq!(status, 409);
    assert!(
        head.contains("content-type: text/x.tlog.size\r\n"),
        "{head}"
    );
    let path = format!("/{}/checkpoint", origin_hex("example.com/log"));
    let (status, _, held) = get("GET", &path);
    assert_eq!(status, 200);
    assert!(
        String::from_utf8(held)
            .unwrap()
            .starts_with("example.com/log\n100\n")
    );
    for (method, path, status) in [
        ("GET", "/add-checkpoint", 405),
        ("DELETE", &*path, 405),
        ("GET", "/witness.key", 404),
        ("GET", "/../witness.key", 404),
    ] {
        assert_eq!(get(method, path).0, status, "{method} {path}");
    }
}

/// The witness dies at any moment, many times, and forks and rollbacks are tried meanwhile: no size ever
/// has two roots, and no answer is ever behind one before.
#[test]
fn a_witness_that_is_killed_never_goes_back() {
    let env = Env::new();
    let (log, fork) = (Forged::new(u64::MAX), Forged::new(3));
    let vkey = [log.key.verifying_key().encode()];
    let dir = env.path("w");
    let mut last = 0_u64;
    let mut roots: BTreeMap<u64, String> = BTreeMap::new();
    for round in 0..25_u64 {
        let mut witness = Witness::start(&env, &dir, "0", &vkey);
        let killed = std::thread::scope(|scope| {
            let pid = i32::try_from(witness.child.id()).unwrap();
            let killer = scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(3 + round * 2));
                env::kill(pid);
            });
            let mut answers = 0;
            for step in 0.. {
                let sizes = [last + 1, last + 7, last, last.saturating_sub(1)];
                let size = sizes[usize::try_from((step + round) % 4).unwrap()];
                let from = if step % 3 == 0 { &fork } else { &log };
                let body = from.request(last.min(size), size.min(499));
                let reply = http(&witness.address, "POST", "/add-checkpoint", body.as_bytes());
                let Some((status, _, said)) = reply else {
                    break;
                };
                answers += 1;
                match status {
                    200 => {
                        let root = body.rsplit("\n\n").nth(1).unwrap().lines().nth(2).unwrap();
                        let size = size.min(499);
                        assert!(size >= last, "{size} after {last}");
                        let known = roots.entry(size).or_insert_with(|| root.to_owned());
                        assert_eq!(known, root, "two roots at {size}");
                        last = size;
                    }
                    // Killed between remembering and answering, it may be ahead of what we know.
                    409 => {
                        let held: u64 = String::from_utf8(said).unwrap().trim().parse().unwrap();
                        assert!(held >= last, "{held} after {last}");
                        last = held;
                    }
                    422 | 400 => {}
                    other => panic!("{other}"),
                }
            }
            killer.join().unwrap();
            answers
        });
        drop(witness.child.wait());
        assert!(killed < 100_000);
    }
    assert!(last > 20 && roots.len() > 5, "{last}: {roots:?}");
}

/// A recorder with a policy of one witness at `url`.
fn recorder(env: &Env, vkey: &str, url: &str) -> Child {
    let policy = format!("witness w1 {vkey} {url}\nquorum w1\n");
    std::fs::write(env.path("policy"), policy).unwrap();
    std::fs::create_dir_all(env.data()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(env.data(), mode).unwrap();
    let config = format!("[witnesses]\npolicy = {:?}\n", env.path("policy"));
    std::fs::write(env.data().join("config.toml"), config).unwrap();
    let mut command = env.tacho(&["serve", "--checkpoint-seconds", "1"]);
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    until("the recorder", || env.recorder());
    child
}

fn status(env: &Env) -> Value {
    serde_json::from_slice(&env.done(&["status", "--json"]).stdout).unwrap()
}

fn verify(env: &Env) -> (Option<i32>, String) {
    let policy = env.path("policy");
    let done = env.done(&["verify", "--policy", policy.to_str().unwrap()]);
    (done.status.code(), done.text())
}

/// A log, made so that its key is known, and a witness for it.
fn witnessed(env: &Env) -> (Witness, PathBuf) {
    env.session(&[], ECHO).close();
    env.stop();
    let vkey = env.data().join("log/vkey").to_str().unwrap().to_owned();
    let dir = env.path("w");
    (Witness::start(env, &dir, "0", &[vkey]), dir)
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_log_that_is_put_back_is_seen_by_the_verifier_and_by_its_own_recorder() {
    let env = Env::new();
    let (witness, _) = witnessed(&env);
    let url = format!("http://{}/", witness.address);
    assert_eq!(
        env.done(&["status", "--max-loss-window", "600"])
            .status
            .code(),
        Some(1)
    );
    let mut first = recorder(&env, &witness.vkey, &url);
    env.session(&[], ECHO).call("1");
    until("held", || {
        status(&env)["loss_window_seconds"]
            .as_u64()
            .filter(|s| *s == 0)
    });
    assert_eq!(
        env.done(&["status", "--max-loss-window", "600"])
            .status
            .code(),
        Some(0)
    );
    env.stop();
    drop(first.wait());
    let (code, said) = verify(&env);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("cosigned by w1"), "{said}");
    assert_eq!(status(&env)["loss_window_seconds"], 0);
    let old = env.path("old");
    copy(env.data(), &old);

    let mut second = recorder(&env, &witness.vkey, &url);
    env.session(&[], ECHO).call("2");
    until("held", || {
        status(&env)["loss_window_seconds"]
            .as_u64()
            .filter(|s| *s == 0)
    });
    env.stop();
    drop(second.wait());
    let kept = std::fs::read(env.data().join("log/cosigned")).unwrap();
    std::fs::remove_dir_all(env.data()).unwrap();
    copy(&old, env.data());
    // The old copy is whole in itself; with what the witnesses cosigned it is not.
    assert_eq!(verify(&env).0, Some(0));
    std::fs::write(env.data().join("log/cosigned"), &kept).unwrap();
    let (code, said) = verify(&env);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("put back"), "{said}");

    std::fs::copy(old.join("log/cosigned"), env.data().join("log/cosigned")).unwrap();
    let mut third = recorder(&env, &witness.vkey, &url);
    let told = until("what the witness says", || {
        let records = env.records();
        let told = of_type(&records, "witness_failed");
        told.iter()
            .find(|one| one["severity"] == "critical")
            .map(|one| (*one).clone())
    });
    assert!(
        told["details"]["held"].as_u64() > told["details"]["size"].as_u64(),
        "{told}"
    );
    env.stop();
    drop(third.wait());
}

#[test]
fn a_log_without_its_cosignatures_fails_the_policy() {
    let env = Env::new();
    let (witness, _) = witnessed(&env);
    let url = format!("http://{}/", witness.address);
    let mut serving = recorder(&env, &witness.vkey, &url);
    env.stop();
    drop(serving.wait());
    assert_eq!(verify(&env).0, Some(0));
    for (what, damage) in [
        ("no cosigned", None),
        ("no cosignature", Some("checkpoint")),
    ] {
        let path = env.data().join("log/cosigned");
        match damage {
            None => std::fs::remove_file(&path).unwrap(),
            Some(name) => drop(std::fs::copy(env.data().join("log").join(name), &path).unwrap()),
        }
        assert_eq!(verify(&env).0, Some(1), "{what}");
    }
}

/// A witness that takes the connection and says nothing: recording goes on, the deadline is kept, and when
/// there is a real one at that address again, all is held.
#[test]
fn a_witness_that_never_answers_keeps_nobody_waiting() {
    let env = Env::new();
    let (witness, dir) = witnessed(&env);
    let (address, vkey) = (witness.address.clone(), witness.vkey.clone());
    drop(witness);
    let silent = TcpListener::bind(&address).unwrap();
    let mut serving = recorder(&env, &vkey, &format!("http://{address}"));
    let mut session = env.session(&[], ECHO);
    let begun = Instant::now();
    for id in 0..50 {
        session.call(&id.to_string());
    }
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    let told = until("a failure", || {
        of_type(&env.records(), "witness_failed")
            .first()
            .map(|one| (*one).clone())
    });
    assert_eq!(
        (&told["severity"], &told["details"]["witness"]),
        (&"warning".into(), &"w1".into())
    );
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
    session.close();
    drop(silent);
    let log = env.data().join("log/vkey").to_str().unwrap().to_owned();
    let _witness = Witness::start(&env, &dir, &address, &[log]);
    let records = until("its return", || {
        let records = env.records();
        let failed = of_type(&records, "witness_failed");
        let back = failed.iter().any(|one| one["details"]["recovered"] == true);
        back.then_some(records.len())
    });
    assert!(records > 100);
    env.stop();
    drop(serving.wait());
    assert_eq!(verify(&env).0, Some(0));
}

#[test]
fn a_policy_that_cannot_hold_anything_is_refused_before_recording() {
    let env = Env::new();
    let (witness, _) = witnessed(&env);
    let other = Forged::new(0).key.verifying_key().encode();
    let vkey = &witness.vkey;
    for (policy, says) in [
        ("quorum none\n".to_owned(), "names no witness"),
        (format!("witness a {vkey}\nquorum a\n"), "names no witness"),
        (
            format!("witness a {vkey} ftp://x\nquorum a\n"),
            "names no witness",
        ),
        (format!("witness a {vkey} http://x\n"), "no quorum line"),
        (
            format!("log {other}\nwitness a {vkey} http://x\nquorum a\n"),
            "add the line: log tacho.local/",
        ),
    ] {
        std::fs::write(env.data().join("p"), &policy).unwrap();
        std::fs::write(
            env.data().join("config.toml"),
            "[witnesses]\npolicy = \"p\"\n",
        )
        .unwrap();
        let done = env.done(&["serve"]);
        assert_eq!(done.status.code(), Some(3), "{policy}: {done:?}");
        assert!(done.stderr.contains(says), "{policy}: {}", done.stderr);
    }
    // A witness in a recorder's directory, twice in one directory, or for nobody.
    let log = LogDir::at(env.data()).unwrap().vkey();
    let log = log.to_str().unwrap();
    for (dir, logs, code) in [
        (env.data(), &["--log", log][..], 3),
        (&env.path("w"), &["--log", log], 4),
        (&env.path("w2"), &[], 3),
    ] {
        let done = env.done(
            &[
                &["witness", "--listen", "0", "--dir", dir.to_str().unwrap()],
                logs,
            ]
            .concat(),
        );
        assert_eq!(done.status.code(), Some(code), "{done:?}");
    }
}

/// What `tacho serve --monitor` serves is the log: rebuilt from entry bundles it has the checkpoint's root.
#[test]
fn a_monitor_can_rebuild_the_log_from_what_is_served() {
    let env = Env::new();
    let mut command = env.tacho(&["serve", "--checkpoint-seconds", "1", "--monitor", "0"]);
    let mut serving = Witness::spawn({
        command.stdin(Stdio::null());
        command
    });
    let mut session = env.session(&[], ECHO);
    for id in 0..140 {
        session.call(&id.to_string());
    }
    session.close();
    let get = |path: &str| http(&serving.address, "GET", path, b"").unwrap();
    let note = until("a checkpoint over all", || {
        let (_, _, note) = get("/checkpoint");
        let note = SignedCheckpoint::parse(&note).ok()?;
        (note.unverified().size() > 280).then_some(note)
    });
    let size = note.unverified().size();
    let mut tree = Frontier::new();
    for tile in tacho_log::tile::tiles_at(size).filter(|tile| tile.level() == 0) {
        let (status, head, bundle) = get(&format!("/{}", tile.entries_path()));
        assert_eq!(status, 200, "{head}");
        assert!(head.contains("immutable"), "{head}");
        let (_, _, hashes) = get(&format!("/{}", tile.path()));
        let hashes = tile.decode(&hashes).unwrap();
        let records = tacho_log::tile::decode_bundle(&bundle, tile.width()).unwrap();
        for (record, hash) in records.into_iter().zip(hashes) {
            assert_eq!(leaf_hash(record), hash);
            tree.push(hash);
        }
    }
    assert_eq!(
        (tree.size(), tree.root()),
        (size, *note.unverified().root())
    );
    // An older size is made from the wider tiles.
    assert_eq!(get("/tile/0/000.p/7").2.len(), 7 * 32);
    assert_eq!(get("/tile/0/009").0, 404);
    assert_eq!(
        http(&serving.address, "HEAD", "/checkpoint", b"")
            .unwrap()
            .2,
        b""
    );
    let metrics = String::from_utf8(get("/metrics").2).unwrap();
    assert!(metrics.contains("\ntacho_recorder_up 1\n"), "{metrics}");
    assert!(
        metrics.contains("\ntacho_loss_window_seconds +Inf\n"),
        "{metrics}"
    );
    env.stop();
    drop(serving.child.wait());
}
