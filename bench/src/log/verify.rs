use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tacho_log::Patience;

use crate::events::Sample;
use crate::machine::children_cpu;
use crate::peers::output;
use crate::place::{Place, Result};
use crate::report::{Bar, Value, heading, note, plain, ratio};
use crate::source::{Maker, Source};
use crate::stats::{float, median};

/// `tacho verify` against hashing the same bytes once: bars D1 and D3.
pub(super) fn run(place: &Place, samples: &[Sample]) -> Result<()> {
    heading("log: tacho verify, CPU seconds");
    // One plain segment; then several, most of them compressed.
    for records in [60_000, 300_000] {
        measure(place, samples, place.amount(records))?;
    }
    Ok(())
}

fn measure(place: &Place, samples: &[Sample], records: usize) -> Result<()> {
    let dir = place.fresh()?;
    let root = dir.path().join("data");
    let source = Source::in_process(&root)?;
    let mut maker = Maker::new(5);
    for sample in samples.iter().cycle().take(records) {
        drop(source.recorder.record(maker.make(sample), Patience::Wait));
    }
    let lost = source.close()?;
    if lost > 0 {
        return Err(format!("{lost} events were lost").into());
    }
    let (plain_files, compressed) = segments(&root.join("log/segments"))?;
    // The bytes that are verified, in one file for openssl.
    let lines = dir.path().join("lines");
    let file = std::fs::File::create(&lines)?;
    for path in &compressed {
        let decompress = Command::new("zstd")
            .arg("-dcq")
            .arg(path)
            .stdout(file.try_clone()?)
            .status();
        if !decompress.is_ok_and(|status| status.success()) {
            note("not measured: verify: zstd is not installed");
            return Ok(());
        }
    }
    for path in &plain_files {
        std::io::copy(&mut std::fs::File::open(path)?, &mut &file)?;
    }
    let megabytes = float(lines.metadata()?.len()) / 1e6;
    note(&format!(
        "{megabytes:.0} MB of records; {} segments compressed, {} plain",
        compressed.len(),
        plain_files.len()
    ));
    let mut verify = Command::new(place.program("tacho"));
    verify.arg("verify").arg("--dir").arg(&root);
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256"]).arg(&lines);
    let mut inflate = Command::new("zstd");
    inflate
        .args(["-dcq", "--"])
        .args(&compressed)
        .stdout(std::process::Stdio::null());
    let mut took = [const { Vec::new() }; 3];
    let mut walls = Vec::new();
    for _ in 0..place.rounds {
        let started = Instant::now();
        took[0].push(cpu(|| output(&mut verify).map(drop))?);
        walls.push(started.elapsed().as_secs_f64());
        took[1].push(cpu(|| output(&mut openssl).map(drop))?);
        if !compressed.is_empty() {
            took[2].push(cpu(|| Ok(inflate.status().map(drop)?))?);
        }
    }
    let (wall, used) = (Value(median(&walls), "s"), Value(median(&took[0]), "s"));
    note(
        "verification has one thread: what it has of a second core is reading ahead by the system",
    );
    ratio("verify: CPU time", used, ("wall time", wall), None);
    show(took, megabytes, compressed.is_empty());
    Ok(())
}

fn show(took: [Vec<f64>; 3], megabytes: f64, is_plain: bool) {
    let [verify, openssl, inflate] = took.map(|took| Value(median(&took), "s"));
    plain(
        "verify: megabytes per CPU second",
        Value(megabytes / verify.0, "MB/s"),
    );
    // Speeds, so that the ratio reads as the bar is written.
    let speed = |seconds: Value| Value(megabytes / seconds.0, "MB/s");
    let bar = Some(Bar::AtLeast(0.85));
    if is_plain {
        ratio(
            "D1 verify, plain segment",
            speed(verify),
            ("openssl sha256", speed(openssl)),
            bar,
        );
    } else {
        ratio(
            "verify, mostly compressed",
            speed(verify),
            ("openssl sha256", speed(openssl)),
            None,
        );
        ratio(
            "D3 verify, CPU",
            verify,
            ("zstd -dc", inflate),
            Some(Bar::AtMost(1.1)),
        );
    }
}

/// CPU seconds of the children of `work`.
fn cpu(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = children_cpu();
    work()?;
    Ok(children_cpu()
        .saturating_sub(before)
        .max(Duration::from_micros(1))
        .as_secs_f64())
}

/// Plain and compressed segments, each in order.
pub(super) fn segments(dir: &std::path::Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        paths.push(entry?.path());
    }
    paths.sort_unstable();
    let is = |path: &PathBuf, wanted: &str| path.extension().is_some_and(|found| found == wanted);
    let plain: Vec<_> = paths
        .iter()
        .filter(|path| is(path, "jsonl"))
        .cloned()
        .collect();
    let stem = |path: &PathBuf| path.file_stem().map(std::ffi::OsStr::to_owned);
    // While both forms of a segment exist, the plain one counts.
    let compressed = paths.iter().filter(|path| is(path, "zst")).filter(|path| {
        plain
            .iter()
            .all(|plain| plain.file_name().map(std::ffi::OsStr::to_owned) != stem(path))
    });
    let compressed = compressed.cloned().collect();
    Ok((plain, compressed))
}
