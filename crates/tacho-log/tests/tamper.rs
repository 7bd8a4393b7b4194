#![cfg(test)]
//! What an intruder can do to the files of a log, and that the verifier says so, by record and file,
//! without ever writing.

use std::fs;
use std::path::Path;

use tacho_event::Timestamp;
use tacho_log::LogDir;
use tacho_log::verify::{Verdict, VerifyOptions, verify};

#[path = "tamper/fixture.rs"]
mod fixture;

use Verdict::{Incomplete, Tampered};
use fixture::{DAY, DAYS, Fixture, body, check, expect, id, key, vkey};

#[test]
fn an_honest_log() {
    let fixture = Fixture::sealed();
    let mut report = fixture.verify();
    // The last of five unsealed records is an intent.
    assert_eq!(report.open_intents, 1);
    expect(&report, Incomplete, Some(604), Some(DAYS[3]), "no outcome");
    let options = VerifyOptions {
        writer_running: true,
        ..VerifyOptions::default()
    };
    report = fixture.verify_with(&vkey(), &options);
    assert_eq!(report.verdict, Verdict::Ok, "{report:#?}");
    assert_eq!((report.records, report.unsealed), (605, 5));
    assert_eq!(report.checkpoint_size, Some(600));
    // 256 + 256 + 88 leaves, and two hashes above the full ones.
    assert_eq!(report.tiles, 4);
    assert_eq!(
        report.newest.as_deref(),
        Some("2026-11-20T00:00:00.000000000Z")
    );
}

/// A writer at work never looks like an intruder.
#[test]
fn while_a_writer_is_at_work() {
    let fixture = Fixture::new();
    fixture.write(4, 0);
    let options = VerifyOptions {
        writer_running: true,
        ..VerifyOptions::default()
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..60 {
                fixture.write(36, 8);
            }
        });
        let mut runs = 0;
        while !writer.is_finished() || runs == 0 {
            let log = LogDir::at(fixture.dir.root()).unwrap();
            let report = verify(&log, vkey(), &options);
            assert_eq!(report.verdict, Verdict::Ok, "{report:#?}");
            runs += 1;
        }
    });
    let report = fixture.verify_with(&vkey(), &options);
    assert_eq!((report.verdict, report.records), (Verdict::Ok, 4 + 60 * 44));
}

#[test]
fn an_edited_record() {
    let edit = |lines: &mut Vec<String>| lines[7] = lines[7].replace("tool_call", "tool_cull");
    check(
        |log| log.lines(2, edit),
        Tampered,
        Some(307),
        Some(DAYS[2]),
        "not the one that was sealed",
    );
    // The record after it stays in its place and is not accused.
    let fixture = Fixture::sealed();
    fixture.lines(2, edit);
    assert!(
        !fixture
            .verify()
            .findings
            .iter()
            .any(|finding| finding.seq == Some(308))
    );
}

#[test]
fn a_record_that_is_no_json_any_more() {
    let edit = |lines: &mut Vec<String>| lines[7] = lines[7].replace("\"type\":", "\"type\"");
    check(
        |log| log.lines(2, edit),
        Tampered,
        Some(307),
        Some(DAYS[2]),
        "it is no record",
    );
    let edit = |lines: &mut Vec<String>| lines[7] = "x".to_owned();
    check(
        |log| log.lines(2, edit),
        Tampered,
        Some(307),
        Some(DAYS[2]),
        "does not begin",
    );
    let edit = |lines: &mut Vec<String>| lines[7] = "x".repeat(70_000);
    check(
        |log| log.lines(2, edit),
        Tampered,
        Some(307),
        Some(DAYS[2]),
        "longer than",
    );
    let edit = |lines: &mut Vec<String>| lines[7] = lines[7].replace("\"v\":1", "\"v\":2");
    check(
        |log| log.lines(2, edit),
        Tampered,
        Some(307),
        Some(DAYS[2]),
        "version is 2",
    );
    // A second seq that parsers might prefer.
    let edit =
        |lines: &mut Vec<String>| lines[7] = lines[7].replace(",\"id\"", ",\"id\":\"\",\"id\"");
    check(
        |log| log.lines(2, edit),
        Tampered,
        Some(307),
        Some(DAYS[2]),
        "duplicate",
    );
}

#[test]
fn removed_and_moved_records() {
    let what = "record 310 is missing; 311 follows";
    let remove = |lines: &mut Vec<String>| drop(lines.remove(10));
    check(
        |log| log.lines(2, remove),
        Tampered,
        Some(310),
        Some(DAYS[2]),
        what,
    );
    let swap = |lines: &mut Vec<String>| lines.swap(10, 11);
    check(
        |log| log.lines(2, swap),
        Tampered,
        Some(310),
        Some(DAYS[2]),
        what,
    );
    check(
        |log| log.lines(2, |lines| lines.insert(10, lines[9].clone())),
        Tampered,
        Some(310),
        Some(DAYS[2]),
        "record 309 is in its place",
    );
    // Swapped, and renumbered so that the count is right.
    check(
        |log| {
            log.lines(2, |lines| {
                let (a, b) = (lines[10].replace("\"seq\":310", "\"seq\":311"), &lines[11]);
                (lines[10], lines[11]) = (b.replace("\"seq\":311", "\"seq\":310"), a);
            });
        },
        Tampered,
        Some(310),
        Some(DAYS[2]),
        "not the one that was sealed",
    );
}

#[test]
fn a_cut_off_end() {
    let cut = |lines: &mut Vec<String>| lines.truncate(149);
    check(
        |log| log.lines(3, cut),
        Tampered,
        Some(599),
        Some(DAYS[3]),
        "the records end",
    );
    let remove = |log: &Fixture| fs::remove_file(log.segment(3)).unwrap();
    check(
        remove,
        Tampered,
        Some(450),
        Some(DAYS[2]),
        "the records end before it",
    );
    // Records that no checkpoint covers can go unnoticed: that is the window the checkpoints close.
    let fixture = Fixture::sealed();
    fixture.lines(3, |lines| lines.truncate(150));
    assert_eq!(fixture.verify().verdict, Verdict::Ok);
}

#[test]
fn missing_segments() {
    let remove = |number| move |log: &Fixture| fs::remove_file(log.segment(number)).unwrap();
    let what = "records 150 to 299 are missing; 300 follows";
    check(remove(1), Tampered, Some(150), Some(DAYS[2]), what);
    check(
        remove(0),
        Tampered,
        Some(0),
        Some(DAYS[1]),
        "records 0 to 149 are missing",
    );
    let remove_all = |log: &Fixture| fs::remove_dir_all(log.dir.log().segments()).unwrap();
    check(
        remove_all,
        Tampered,
        Some(0),
        None,
        "the records end before it",
    );
}

#[test]
fn a_damaged_compressed_segment() {
    // The checksum at the end, and bytes in the middle.
    for at in [0, 60, usize::MAX] {
        let fixture = Fixture::sealed();
        fixture.edit(&fixture.segment(1), |bytes| {
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= 0x10;
        });
        let report = fixture.verify();
        assert_eq!(report.verdict, Tampered, "{report:#?}");
        let first = report
            .findings
            .iter()
            .filter_map(|finding| finding.seq)
            .min();
        assert!(
            first.is_some_and(|seq| (150..=300).contains(&seq)),
            "{report:#?}"
        );
        assert!(
            report
                .findings
                .iter()
                .any(|finding| finding.file.as_deref() == Some(DAYS[1]))
        );
    }
    let cut = |log: &Fixture| log.edit(&log.segment(1), |bytes| bytes.truncate(200));
    let fixture = Fixture::sealed();
    cut(&fixture);
    assert_eq!(fixture.verify().verdict, Tampered);
}

#[test]
fn tiles() {
    for tile in [
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
    ] {
        let flip = |log: &Fixture| log.edit(&log.path(tile), |bytes| bytes[40] ^= 1);
        let fixture = Fixture::sealed();
        flip(&fixture);
        let report = fixture.verify();
        assert_eq!(report.verdict, Tampered, "{report:#?}");
        assert!(
            report
                .findings
                .iter()
                .all(|f| f.verdict != Tampered || f.file.as_deref() == Some(tile))
        );
        let cut =
            |log: &Fixture| log.edit(&log.path(tile), |bytes| bytes.truncate(bytes.len() - 1));
        check(cut, Tampered, None, Some(tile), "does not have");
        let remove = |log: &Fixture| fs::remove_file(log.path(tile)).unwrap();
        check(remove, Incomplete, None, Some(tile), "missing");
    }
}

/// Whoever edits a record and its hash in the tile still fails at the tile above, and at the root.
#[test]
fn a_record_and_its_tile() {
    let attack = |log: &Fixture| {
        log.lines(2, |lines| {
            lines[7] = lines[7].replace("tool_call", "tool_cull");
        });
        let text = fs::read_to_string(log.segment(2)).unwrap();
        let leaf = tacho_log::merkle::leaf_hash(text.lines().nth(7).unwrap().as_bytes());
        log.edit(&log.path("tile/0/001"), |bytes| {
            bytes[51 * 32..52 * 32].copy_from_slice(leaf.as_bytes());
        });
    };
    check(
        attack,
        Tampered,
        Some(256),
        Some(DAYS[3]),
        "one of the records up to 511",
    );
    check(attack, Tampered, None, Some("checkpoint"), "another root");
}

#[test]
fn checkpoints() {
    let checkpoint = |log: &Fixture| log.path("checkpoint");
    let file = Some("checkpoint");
    let remove = |log: &Fixture| fs::remove_file(checkpoint(log)).unwrap();
    check(remove, Tampered, None, file, "never sealed");
    for (at, bit) in [(0, 1), (20, 1), (60, 2), (120, 4)] {
        let flip = |log: &Fixture| log.edit(&checkpoint(log), |bytes| bytes[at] ^= bit);
        check(flip, Tampered, None, file, "");
    }
    let empty = |log: &Fixture| log.edit(&checkpoint(log), Vec::clear);
    check(empty, Tampered, None, file, "");
    let long = |log: &Fixture| log.edit(&checkpoint(log), |bytes| bytes.resize(100_000, b'x'));
    check(long, Tampered, None, file, "longer than");
}

#[test]
fn checkpoints_of_others() {
    let fixture = Fixture::sealed();
    for other in [key("tacho.local/tamper", 2), key("tacho.local/other", 1)] {
        let report = fixture.verify_with(other.verifying_key(), &VerifyOptions::default());
        expect(&report, Tampered, None, Some("checkpoint"), "");
    }
}

#[test]
fn a_log_that_was_put_back() {
    let fixture = Fixture::sealed();
    let old = fs::read(fixture.path("checkpoint")).unwrap();
    fixture.write(41, 0);
    let new = fs::read(fixture.path("checkpoint")).unwrap();
    // The older one that was kept is a beginning of the newer log,
    let known = |note: &[u8]| VerifyOptions {
        known: Some(note.to_vec()),
        writer_running: true,
        ..VerifyOptions::default()
    };
    assert_eq!(
        fixture.verify_with(&vkey(), &known(&old)).verdict,
        Verdict::Ok
    );
    // while a log in an older state is good in itself and shorter than what was kept.
    let older = Fixture::sealed();
    let report = older.verify_with(&vkey(), &known(&new));
    expect(&report, Tampered, Some(600), Some("checkpoint"), "put back");
    // A second history with the same key.
    let fork = Fixture::new();
    fork.write(300, 0);
    fork.write(346, 0);
    let report = fork.verify_with(&vkey(), &known(&new));
    assert_eq!(report.verdict, Verdict::Ok, "the same records: {report:#?}");
    let fork = Fixture::new();
    let mut log = fork.open();
    for n in 0..700 {
        log.append(
            body(n + 2).as_bytes(),
            Timestamp::from_unix_nanos(20_000 * DAY),
        )
        .unwrap();
    }
    log.commit().unwrap();
    log.seal().unwrap();
    drop(log);
    let report = fork.verify_with(&vkey(), &known(&new));
    expect(&report, Tampered, None, None, "two histories");
    let report = fixture.verify_with(&vkey(), &known(b"x"));
    expect(&report, Incomplete, None, None, "unusable");
}

#[test]
fn after_the_checkpoint() {
    let append = |text: &'static str| {
        move |log: &Fixture| log.edit(&log.segment(3), |bytes| bytes.extend(text.as_bytes()))
    };
    let file = Some(DAYS[3]);
    check(append("garbage"), Incomplete, Some(605), file, "torn tail");
    check(
        append("garbage\n"),
        Incomplete,
        Some(605),
        file,
        "torn tail",
    );
    check(
        append("\0\0\0\0\n"),
        Incomplete,
        Some(605),
        file,
        "torn tail",
    );
    check(
        append("{\"v\":1,\"seq\":605,}\n"),
        Incomplete,
        Some(605),
        file,
        "torn tail",
    );
    check(
        append("{\"v\":1,\"seq\":607,\"id\":\"\"}\n"),
        Incomplete,
        Some(605),
        file,
        "missing; 607",
    );
    // A tail is torn in the newest segment only.
    let attack = |log: &Fixture| {
        append("garbage\n")(log);
        log.edit(&log.segment(3), |_| {});
        let next = log.dir.log().segments().join("2024-10-08-000.jsonl");
        fs::copy(log.segment(2), next).unwrap();
    };
    check(attack, Tampered, Some(605), file, "does not begin");
}

#[test]
fn outcomes_and_intents() {
    let add = |text: String| {
        move |log: &Fixture| log.edit(&log.segment(3), |bytes| bytes.extend(text.as_bytes()))
    };
    let outcome = |named: &str| {
        format!("{{\"v\":1,\"seq\":605,\"id\":\"x\",\"stage\":\"outcome\",\"ref\":\"{named}\"}}\n")
    };
    let what = "that is not before it";
    check(
        add(outcome("nothing")),
        Incomplete,
        Some(605),
        Some(DAYS[3]),
        what,
    );
    check(
        add(outcome("x")),
        Incomplete,
        Some(605),
        Some(DAYS[3]),
        what,
    );
    // A second outcome of an old intent is no finding; one of the open intent closes it.
    for (named, open) in [(id(0), 1), (id(604), 0)] {
        let fixture = Fixture::sealed();
        add(outcome(&named))(&fixture);
        let report = fixture.verify();
        assert_eq!(report.open_intents, open);
        assert!(
            !report
                .findings
                .iter()
                .any(|finding| finding.seq == Some(605)),
            "{report:#?}"
        );
    }
}

fn contents(path: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_some_and(|end| end == "zst") {
        zstd::decode_all(&*bytes).ok()
    } else {
        Some(bytes)
    }
}

/// A log under attack in every byte: never a panic, never a clean bill for a changed sealed record.
#[test]
fn every_byte_of_a_small_log() {
    let fixture = Fixture::new();
    fixture.write(4, 0);
    let mut paths = (0..4)
        .map(|number| fixture.segment(number))
        .collect::<Vec<_>>();
    paths.extend(["checkpoint", "tile/0/000.p/4"].map(|file| fixture.path(file)));
    for path in paths {
        let honest = contents(&path);
        let len = fs::metadata(&path).unwrap().len();
        for at in 0..usize::try_from(len).unwrap() {
            fixture.edit(&path, |bytes| bytes[at] ^= 0x20);
            let report = fixture.verify();
            // Other bytes of a compressed file may still stand for the same records.
            let same = contents(&path) == honest;
            fixture.edit(&path, |bytes| bytes[at] ^= 0x20);
            assert!(
                report.verdict == Tampered || same,
                "{} byte {at}: {report:#?}",
                path.display()
            );
        }
    }
    assert_eq!(fixture.verify().verdict, Verdict::Ok);
}

/// Its page promises two hundred lines, which somebody is to read.
#[test]
fn the_second_opinion_is_short() {
    assert!(include_str!("../../../docs/verify.py").lines().count() <= 200);
}
