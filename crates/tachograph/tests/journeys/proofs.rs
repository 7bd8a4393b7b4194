//! Proofs for strangers, and `docs/proofs.md`, whose commands are run here as they stand there.

use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use crate::env::{Done, ECHO, Env, finish};

/// A log with three calls, closed in order: ten records under one checkpoint.
fn sealed() -> Env {
    let env = Env::new();
    grow(&env);
    env
}

fn grow(env: &Env) {
    let mut session = env.session(&["--name", "files"], ECHO);
    for id in ["1", "2", "3"] {
        session.call(id);
    }
    session.close();
    env.stop();
}

fn vkey(env: &Env) -> String {
    let vkey = std::fs::read_to_string(env.data().join("log/vkey")).unwrap();
    vkey.trim_end().to_owned()
}

/// `tacho verify --proof`, somewhere where there is no log.
fn verify(env: &Env, args: &[&str]) -> Done {
    let mut command = env.bare();
    command.args(["verify", "--proof"]).args(args);
    finish(command)
}

#[test]
fn every_record_of_a_log_for_a_stranger() {
    let env = sealed();
    let key = vkey(&env);
    let records = env.records();
    assert!(records.len() >= 8, "{records:?}");
    for record in &records {
        let (seq, id) = (record["seq"].to_string(), record["id"].as_str().unwrap());
        let by_seq = env.done(&["prove", &seq]);
        assert_eq!(by_seq.status.code(), Some(0), "{by_seq:?}");
        assert_eq!(env.done(&["prove", id]).stdout, by_seq.stdout);
        let file = env.path(&format!("{seq}.tlog-proof"));
        let file = file.to_str().unwrap();
        let written = env.done(&["prove", &seq, "--out", file]);
        assert_eq!(written.stdout, b"");
        assert_eq!(std::fs::read(file).unwrap(), by_seq.stdout);
        let proved = verify(&env, &[file, "--key", &key, "--json"]);
        assert_eq!(proved.status.code(), Some(0), "{proved:?}");
        let report: Value = serde_json::from_slice(&proved.stdout).unwrap();
        assert_eq!(report["size"], records.len());
        assert_eq!(report["inclusion"]["index"], record["seq"]);
        let text = report["inclusion"]["record"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), *record);

        // Without the record in it, it says nothing to who has not got the record.
        let bare = env.done(&["prove", &seq, "--bare", "--out", file]);
        assert_eq!(bare.status.code(), Some(0), "{bare:?}");
        let alone = verify(&env, &[file, "--key", &key]);
        assert_eq!(alone.status.code(), Some(2), "{alone:?}");
        assert!(alone.stderr.contains("--record FILE"), "{alone:?}");
        let line = env.path("record.json");
        std::fs::write(&line, format!("{text}\n")).unwrap();
        let args = [file, "--key", &key, "--record", line.to_str().unwrap()];
        let with = verify(&env, &args);
        assert_eq!(with.status.code(), Some(0), "{with:?}");
        std::fs::write(&line, format!("{text} \n")).unwrap();
        assert_eq!(verify(&env, &args).status.code(), Some(1));
    }
}

#[test]
fn a_proof_that_was_changed_fails() {
    let env = sealed();
    let key = vkey(&env);
    let good = env.done(&["prove", "4"]).text();
    let file = env.path("p");
    let path = file.to_str().unwrap();
    let code = |proof: &str, key: &str| {
        std::fs::write(&file, proof).unwrap();
        let done = verify(&env, &[path, "--key", key]);
        let json = verify(&env, &[path, "--key", key, "--json"]);
        assert_eq!(done.status, json.status);
        done.status.code()
    };
    assert_eq!(code(&good, &key), Some(0));
    let other = Env::new();
    grow(&other);
    let stranger = vkey(&other);
    let foreign = other.done(&["prove", "4"]).text();
    for (proof, key) in [
        (good.replace("index 4", "index 5"), &key),
        (good.replace("tlog-proof@v1", "tlog-proof@v2"), &key),
        (good.replacen('A', "B", 1), &key),
        (good.trim_end().to_owned(), &key),
        (String::new(), &key),
        (good.clone(), &stranger),
        (foreign, &key),
    ] {
        assert_eq!(code(&proof, key), Some(1), "{proof}");
    }
    assert_eq!(code(&good, "no key"), Some(3));
    let nothing = verify(&env, &["nowhere", "--key", &key]);
    assert_eq!(nothing.status.code(), Some(3));
    assert_eq!(
        verify(&env, &[path]).status.code(),
        Some(3),
        "without a key"
    );
}

#[test]
fn the_log_still_begins_as_it_did() {
    let env = sealed();
    let (key, kept) = (vkey(&env), env.path("kept"));
    std::fs::copy(env.data().join("log/checkpoint"), &kept).unwrap();
    let size = env.records().len().to_string();
    grow(&env);
    let proof = env.path("p");
    let (proof, kept) = (proof.to_str().unwrap(), kept.to_str().unwrap());
    let proved = env.done(&["prove", "--from", &size, "--out", proof]);
    assert_eq!(proved.status.code(), Some(0), "{proved:?}");
    let done = verify(&env, &[proof, "--key", &key, "--checkpoint", kept]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(
        done.text()
            .contains(&format!("begins with the {size} records")),
        "{done:?}"
    );
    for (args, code) in [
        (vec![proof, "--key", &key], 3),
        (
            vec![proof, "--key", &key, "--checkpoint", kept, "--record", kept],
            3,
        ),
        (vec![proof, "--key", &key, "--checkpoint", proof], 2),
        (vec![proof, "--key", &key, "--checkpoint", "nowhere"], 3),
    ] {
        assert_eq!(verify(&env, &args).status.code(), Some(code), "{args:?}");
    }
    let newest = env.data().join("log/checkpoint");
    let args = [
        proof,
        "--key",
        &key,
        "--checkpoint",
        newest.to_str().unwrap(),
    ];
    assert_eq!(verify(&env, &args).status.code(), Some(1));
}

#[test]
fn what_cannot_be_proved_is_said() {
    let env = sealed();
    let size = env.records().len();
    let (end, before) = (size.to_string(), (size - 1).to_string());
    for (args, code, words) in [
        (vec!["prove", &end], 1, "there is no record"),
        (vec!["prove", "nonsense"], 3, "neither an id nor a seq"),
        (
            vec!["prove", "01970000-0000-7000-8000-000000000000"],
            1,
            "no record has the id",
        ),
        (vec!["prove", "--from", "0"], 3, "proves nothing"),
        (vec!["prove", "--from", "99999"], 3, "no beginning of"),
        (
            vec!["prove", "--from", "1", "--to", &before],
            3,
            "no signed checkpoint",
        ),
        (vec!["prove"], 3, "required"),
        (vec!["prove", "1", "--from", "1"], 3, "cannot be used with"),
        (
            vec!["export", "--tiles", "data/log/tiles"],
            3,
            "inside the log",
        ),
    ] {
        let done = env.done(&args);
        assert_eq!(done.status.code(), Some(code), "{args:?}: {done:?}");
        assert!(done.stderr.contains(words), "{args:?}: {done:?}");
    }
    // With a recorder at work, something is not sealed yet; it is said when it will be.
    let mut session = env.session(&[], ECHO);
    session.call("1");
    let newest = (env.records().len() - 1).to_string();
    let done = env.done(&["prove", &newest]);
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    assert!(
        done.stderr.contains("not sealed yet") && done.stderr.contains("serve --stop"),
        "{done:?}"
    );
    session.close();
    env.stop();
    assert_eq!(env.done(&["prove", &newest]).status.code(), Some(0));
}

#[test]
fn an_export_goes_on_and_refuses_what_is_not_its_own() {
    let env = sealed();
    let export = || env.done(&["export", "--tiles", "tiles"]);
    let first = export();
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    assert!(
        first
            .text()
            .contains("3 files written, 0 were there already"),
        "{first:?}"
    );
    grow(&env);
    let second = export();
    assert_eq!(second.status.code(), Some(0), "{second:?}");
    let other = Env::new();
    grow(&other);
    let to = env.path("tiles");
    let refused = other.done(&["export", "--tiles", to.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let home = env.done(&["export", "--tiles", "."]);
    assert_eq!(home.status.code(), Some(1), "{home:?}");
    let empty = Env::new();
    std::fs::create_dir_all(empty.data().join("log")).unwrap();
    assert_eq!(
        empty.done(&["export", "--tiles", "tiles"]).status.code(),
        Some(2)
    );
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The page is a session: each `$` line is run in a shell, and what follows it is what it prints. Names,
/// times and hashes differ from run to run.
#[test]
fn the_page_on_proofs_is_true() {
    let env = sealed();
    let bin = env.path("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tacho"), bin.join("tacho")).unwrap();
    std::fs::copy(root().join("docs/verify.py"), env.path("verify.py")).unwrap();
    let page = std::fs::read_to_string(root().join("docs/proofs.md")).unwrap();
    let mut ran = 0;
    for (command, expected) in session(&page) {
        if command.starts_with("# ") {
            grow(&env);
            continue;
        }
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("exec 2>&1; {command}")])
            .env_clear()
            .env("PATH", path_with(&bin))
            .env("HOME", env.home())
            .env("TACHO_DIR", env.data())
            .current_dir(env.path("."));
        let found = masked(&finish(shell).text());
        assert_eq!(found, masked(&expected), "$ {command}");
        ran += 1;
    }
    assert!(ran >= 10, "{ran} commands");
}

/// Python may be anywhere.
fn path_with(bin: &Path) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", bin.display())
}

/// The commands in the page's consoles, each with what it prints; `# …` is something that happens.
fn session(page: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if !inside {
        } else if let Some(command) = line.strip_prefix("$ ") {
            found.push((command.to_owned(), String::new()));
        } else if line.starts_with("# ") {
            found.push((line.to_owned(), String::new()));
        } else if let Some((_, output)) = found.last_mut() {
            output.push_str(&format!("{line}\n"));
        }
    }
    found
}

fn masked(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, mask) in [
        (r#"\{"v":1,.*\}"#, "RECORD"),
        (r"extra [A-Za-z0-9+/=]+", "extra RECORD"),
        (r"tacho\.local/[a-z0-9.-]+", "LOG"),
        (r"\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+", "+KEY"),
        (r"(?m)^— LOG [A-Za-z0-9+/=]+$", "— LOG SIGNATURE"),
        (r"[A-Za-z0-9+/]{43}=", "HASH"),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, mask)
            .into_owned();
    }
    text
}
