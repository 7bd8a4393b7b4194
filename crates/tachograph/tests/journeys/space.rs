//! Little room on the log's disk: said, refused, or counted, as the operator chose.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::directories::Mount;
use crate::env::{Env, Session, call, of_type, until};

const MIB: u64 = 1024 * 1024;

/// Answers `slow` only when told to, everything else at once.
const SERVER: &str = r#"
while IFS= read -r line; do
    id=${line#*'"id":"'}
    id=${id%%'"'*}
    case $id in slow) while [ ! -e GO ]; do sleep 0.05; done ;; esac
    printf '{"jsonrpc":"2.0","id":"%s","result":{}}\n' "$id"
done"#;

struct Place {
    env: Env,
    filler: PathBuf,
    _mount: Mount,
}

impl Place {
    fn new(when_low: &str) -> Self {
        let mount = Mount::new("16m");
        let env = Env::at(mount.path().join("data"));
        std::fs::create_dir(env.data()).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(env.data(), private).unwrap();
        let config =
            format!("[space]\nwarn = \"8MiB\"\nrefuse = \"30%\"\nwhen_low = \"{when_low}\"\n");
        std::fs::write(env.data().join("config.toml"), config).unwrap();
        Self {
            filler: mount.path().join("filler"),
            env,
            _mount: mount,
        }
    }

    /// Leaves two mebibytes, and waits until the recorder is due to look.
    fn fill(&self) {
        let file = File::create(&self.filler).unwrap();
        let free = free(self.env.data());
        rustix::fs::fallocate(
            &file,
            rustix::fs::FallocateFlags::empty(),
            0,
            free - 2 * MIB,
        )
        .unwrap();
        std::thread::sleep(Duration::from_millis(1_100));
    }

    fn free(&self) {
        std::fs::remove_file(&self.filler).unwrap();
    }

    fn session(&self, options: &[&str]) -> Session {
        let go = self.env.path("go").display().to_string();
        self.env.session(options, &SERVER.replace("GO", &go))
    }

    /// Lets the server answer `slow`.
    fn go(&self) {
        File::create(self.env.path("go")).unwrap();
    }
}

fn free(path: &Path) -> u64 {
    let stat = rustix::fs::statvfs(path).unwrap();
    stat.f_bavail * stat.f_frsize
}

/// The crossings in the log: `action`, or `recovered` behind it.
fn crossings(records: &[Value]) -> Vec<String> {
    let told = of_type(records, "space_low").into_iter().map(|record| {
        let details = &record["details"];
        assert!(details["free_bytes"].is_u64() && details["threshold_bytes"].is_u64());
        let recovered = if details["recovered"] == true {
            " recovered"
        } else {
            ""
        };
        format!("{}{recovered}", details["action"].as_str().unwrap())
    });
    told.collect()
}

fn stages(records: &[Value], id: &str) -> Vec<String> {
    let calls = of_type(records, "tool_call").into_iter();
    calls
        .filter(|record| record["request"] == id)
        .map(|record| record["stage"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn refuse_keeps_the_rest_for_what_is_under_way() {
    for options in [&[][..], &["--in-process"]] {
        let place = Place::new("refuse");
        let mut session = place.session(options);
        session.call("before");
        session.send_call("slow");
        until("the intent of the slow call", || {
            (!stages(&place.env.records(), "slow").is_empty()).then_some(())
        });
        place.fill();
        for id in ["a", "b", "c"] {
            let refused = session.call(id);
            let why = refused["error"]["message"].as_str().unwrap_or_default();
            assert!(why.contains("No space left for new records"), "{refused}");
            assert_eq!(refused["error"]["data"]["forwarded"], false, "{refused}");
        }
        if options.is_empty() {
            let done = place.env.done(&["status", "--json"]);
            let status: Value = serde_json::from_slice(&done.stdout).unwrap();
            assert_eq!(status["recorder"]["space"], "low", "{status}");
            assert!(
                status["recorder"]["free_bytes"].as_u64() < Some(3 * MIB),
                "{status}"
            );
            let doctor = place.env.done(&["doctor"]);
            assert!(doctor.text().contains("FAIL  disk space"), "{doctor:?}");
        }
        place.go();
        let answer = session.message();
        assert!(
            answer["result"].is_object(),
            "its outcome is still taken: {answer}"
        );
        place.free();
        until("a call that passes", || {
            session.call("after")["result"].is_object().then_some(())
        });
        assert!(session.close().status.success());
        place.env.stop_and_verify();
        let records = place.env.records();
        assert_eq!(stages(&records, "slow"), ["intent", "outcome"]);
        assert!(stages(&records, "a").is_empty());
        let told = crossings(&records);
        assert_eq!(
            told,
            ["warn", "refuse", "warn recovered", "refuse recovered"]
        );
        let gaps = of_type(&records, "gap");
        let lost: u64 = gaps
            .iter()
            .filter_map(|gap| gap["details"]["lost"].as_u64())
            .sum();
        assert!(lost >= 3, "{gaps:?}");
    }
}

#[test]
fn count_goes_on_and_says_how_many() {
    let place = Place::new("count");
    let mut session = place.session(&[]);
    session.call("before");
    place.fill();
    for id in 0..20 {
        let answer = session.call(&format!("low-{id}"));
        assert!(answer["result"].is_object(), "{answer}");
    }
    place.free();
    let gap = until("the count", || {
        let records = place.env.records();
        of_type(&records, "gap").first().map(|gap| (*gap).clone())
    });
    session.call("after");
    assert!(session.close().status.success());
    place.env.stop_and_verify();
    let details = &gap["details"];
    assert_eq!(
        details["lost"], 40,
        "twenty intents and their outcomes: {gap}"
    );
    assert_eq!(details["reason"], "no space left");
    assert!(
        details["first"].as_str() < details["last"].as_str(),
        "{gap}"
    );
    let records = place.env.records();
    assert!(stages(&records, "low-7").is_empty());
    assert_eq!(stages(&records, "after"), ["intent", "outcome"]);
    let told = crossings(&records);
    assert_eq!(told, ["warn", "count", "warn recovered", "count recovered"]);
    let exited = of_type(&records, "server_exited");
    assert_eq!(exited[0]["details"]["unrecorded"], 40, "{exited:?}");
}

#[test]
fn warn_only_says_so() {
    let place = Place::new("warn");
    let mut session = place.session(&[]);
    session.call("before");
    place.fill();
    session.send(&call("low"));
    assert!(session.message()["result"].is_object());
    assert!(session.close().status.success());
    place.env.stop_and_verify();
    let records = place.env.records();
    assert_eq!(stages(&records, "low"), ["intent", "outcome"]);
    assert_eq!(crossings(&records), ["warn", "warn"]);
    assert!(of_type(&records, "gap").is_empty());
}
