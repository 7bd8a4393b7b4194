//! A log to attack, and how an attack is judged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tacho_event::Timestamp;
use tacho_log::disk::RealDisk;
use tacho_log::key::{SigningKey, VerifyingKey};
use tacho_log::verify::{Report, Verdict, VerifyOptions, verify};
use tacho_log::{DataDir, Log, LogDir, LogOptions, compress_segment};
pub(crate) const DAY: u64 = 86_400_000_000_000;

/// The segments of the log under test.
pub(crate) const DAYS: [&str; 4] = [
    "2024-10-04-000.jsonl.zst",
    "2024-10-05-000.jsonl.zst",
    "2024-10-06-000.jsonl",
    "2024-10-07-000.jsonl",
];

/// Records in the log under test: two compressed segments, one plain, one live; 600 are sealed, so that
/// there are full tiles at level 0 and a partial one at levels 0 and 1.
pub(crate) const SEALED: u64 = 600;
pub(crate) const UNSEALED: u64 = 5;

pub(crate) fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::generate(name, [seed; 32]).unwrap()
}

pub(crate) fn vkey() -> VerifyingKey {
    key("tacho.local/tamper", 1).verifying_key().clone()
}

pub(crate) fn body(n: u64) -> String {
    // Every second record is the outcome of the one before it.
    let stage = match n % 2 {
        0 => r#""stage":"intent""#.to_owned(),
        _ => format!(r#""stage":"outcome","ref":"{}""#, id(n - 1)),
    };
    format!(
        r#"{{"id":"{}","timestamp":"2026-11-20T00:00:00.000000000Z","type":"tool_call",{stage},"severity":"info"}}"#,
        id(n)
    )
}

pub(crate) fn id(n: u64) -> String {
    format!("01970000-0000-7000-8000-{n:012}")
}

/// A log on a real disk.
pub(crate) struct Fixture {
    pub(crate) _temp: tempfile::TempDir,
    pub(crate) dir: DataDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(&temp.path().join("data")).unwrap();
        Self { _temp: temp, dir }
    }

    pub(crate) fn sealed() -> Self {
        let fixture = Self::new();
        fixture.write(SEALED, UNSEALED);
        fixture
    }

    pub(crate) fn open(&self) -> Log {
        let key = key("tacho.local/tamper", 1);
        let (dir, lock) = (&self.dir, self.dir.lock().unwrap());
        let disk = Arc::new(RealDisk);
        Log::open(disk, dir, lock, key, LogOptions::default(), &mut |_, _| {})
            .unwrap()
            .0
    }

    /// Appends records, a quarter of them each day; compresses the first two days.
    pub(crate) fn write(&self, sealed: u64, unsealed: u64) {
        let mut log = self.open();
        let start = log.size();
        for n in start..start + sealed {
            let now = Timestamp::from_unix_nanos((20_000 + 4 * (n - start) / sealed) * DAY);
            if log.append(body(n).as_bytes(), now).is_err() {
                log.commit().unwrap();
                log.append(body(n).as_bytes(), now).unwrap();
            }
        }
        log.commit().unwrap();
        log.seal().unwrap();
        for segment in log.closed_segments().into_iter().take(2) {
            compress_segment(&RealDisk, &segment).unwrap();
        }
        for n in start + sealed..start + sealed + unsealed {
            log.append(body(n).as_bytes(), Timestamp::from_unix_nanos(20_003 * DAY))
                .unwrap();
        }
        log.commit().unwrap();
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.log().root().join(file)
    }

    pub(crate) fn segment(&self, number: usize) -> PathBuf {
        let mut paths = fs::read_dir(self.dir.log().segments())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect::<Vec<_>>();
        paths.sort();
        paths[number].clone()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an intruder cares little for durability"
    )]
    pub(crate) fn edit(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).unwrap();
        edit(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn lines(&self, number: usize, edit: impl FnOnce(&mut Vec<String>)) {
        self.edit(&self.segment(number), |bytes| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            let mut lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
            edit(&mut lines);
            *bytes = lines
                .iter()
                .flat_map(|line| [line.as_bytes(), b"\n"].concat())
                .collect();
        });
    }

    /// Verifies, and sees to it that nothing is touched by that.
    pub(crate) fn verify_with(&self, key: &VerifyingKey, options: &VerifyOptions) -> Report {
        let before = snapshot(self.dir.root());
        let report = verify(&LogDir::at(self.dir.root()).unwrap(), key, options);
        assert_eq!(snapshot(self.dir.root()), before, "the verifier wrote");
        report
    }

    pub(crate) fn verify(&self) -> Report {
        self.verify_with(&vkey(), &VerifyOptions::default())
    }

    /// `docs/verify.py` comes to the same end, as far as it claims to look: not at pairs.
    fn second_opinion(&self, report: &Report) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify.py");
        let done = std::process::Command::new("python3")
            // Isolated, and without looking for packages: it needs none, and starts faster.
            .args(["-I", "-S"])
            .arg(script)
            .args(["--key", &vkey().encode()])
            .arg(self.dir.root())
            .output()
            .unwrap();
        let of_pairs = ["no outcome", "intent"];
        let claimed = report.findings.iter().filter(|finding| {
            let is = |words: &&str| finding.what.contains(*words);
            !of_pairs.iter().any(is)
        });
        let expected = claimed.map(|finding| finding.verdict).max();
        let expected = expected.unwrap_or(Verdict::Ok).exit_code();
        let printed = String::from_utf8_lossy(&done.stdout);
        assert_eq!(
            done.status.code(),
            Some(expected.into()),
            "verify.py says: {printed}{}\n{report:#?}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

pub(crate) fn snapshot(root: &Path) -> BTreeMap<PathBuf, (SystemTime, u64)> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                dirs.push(path.clone());
            }
            found.insert(path, (metadata.modified().unwrap(), metadata.len()));
        }
    }
    found
}

/// Makes a log, lets `attack` at it, and expects the verdict, with a finding that names this record and
/// file, and says these words.
pub(crate) fn check(
    attack: impl FnOnce(&Fixture),
    verdict: Verdict,
    seq: Option<u64>,
    file: Option<&str>,
    words: &str,
) {
    let fixture = Fixture::sealed();
    attack(&fixture);
    let report = fixture.verify();
    expect(&report, verdict, seq, file, words);
    fixture.second_opinion(&report);
}

pub(crate) fn expect(
    report: &Report,
    verdict: Verdict,
    seq: Option<u64>,
    file: Option<&str>,
    words: &str,
) {
    assert_eq!(report.verdict, verdict, "{report:#?}");
    let named = report.findings.iter().any(|finding| {
        finding.verdict == verdict
            && finding.seq == seq
            && finding.file.as_deref() == file
            && finding.what.contains(words)
    });
    assert!(named, "{words:?}, record {seq:?} in {file:?}: {report:#?}");
}
