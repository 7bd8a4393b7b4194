//! How fast redaction is: the engine over JSON and over text, the plain way (a set of regular
//! expressions, then those that apply; and all of them one by one), and a copy, over the same lines,
//! in turn, in one run. Asserts that engine and plain way redact the same.
//!
//! `cargo run --release -p tacho-event --example redact_bench`
//! `cargo run --release -p tacho-event --example redact_bench -- json` runs the engine over JSON alone, for a profiler.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement: prints, and stops where something is wrong"
)]

#[path = "../tests/plain/plain.rs"]
mod plain;
#[path = "../tests/planted/planted.rs"]
mod planted;

use std::hint::black_box;
use std::time::Instant;

use plain::{Plain, Search};
use planted::{Random, Way};
use serde_json::Value;
use tacho_event::{DigestKey, Engine, Options, Report};

const ROUNDS: usize = 7;

/// Bytes of the whole corpus, and of the part of it that the plain way gets in each round: it is
/// hundreds of times slower.
const CORPUS: usize = 16 << 20;
const SLICE: usize = 96 << 10;

fn main() {
    let clean = corpus(CORPUS, 0);
    let mixed = corpus(CORPUS, 8);
    let texts: Vec<String> = mixed.iter().map(|line| strings(line)).collect();
    let mut engine = engine();
    if std::env::args().nth(1).as_deref() == Some("json") {
        for _ in 0..ROUNDS {
            println!("clean {:8.0} MB/s", json(&mut engine, &clean));
            println!("mixed {:8.0} MB/s", json(&mut engine, &mixed));
        }
        return;
    }
    let plain = Plain::new();
    let slice = texts
        .iter()
        .scan(0, |sum, text| {
            *sum += text.len();
            (*sum <= SLICE).then_some(())
        })
        .count();
    let slice = &texts[..slice];
    let mut removed = 0;
    for text in slice {
        let mut report = Report::default();
        let mut out = String::new();
        engine.text(text, &mut out, &mut report);
        assert_eq!(out, plain.text(text, Search::Set), "{text}");
        assert_eq!(out, plain.text(text, Search::Each), "{text}");
        removed += report.removed();
    }
    let total = |lines: &[String]| lines.iter().map(String::len).sum::<usize>();
    println!(
        "{} lines, mean {} bytes; identical output on {} of them, {removed} removals",
        mixed.len(),
        total(&mixed) / mixed.len(),
        slice.len()
    );

    let names = [
        "copy",
        "engine, JSON, clean lines",
        "engine, JSON, 8 % with secrets",
        "engine, text, 8 % with secrets",
        "RegexSet, then those that apply",
        "regular expressions one by one",
    ];
    let mut rates: [Vec<f64>; 6] = Default::default();
    for _ in 0..ROUNDS {
        let round = [
            copy(&mixed),
            json(&mut engine, &clean),
            json(&mut engine, &mixed),
            rate(&texts, |text| {
                let mut out = String::with_capacity(text.len());
                engine.text(text, &mut out, &mut Report::default());
                out.len()
            }),
            rate(slice, |text| plain.text(text, Search::Set).len()),
            rate(slice, |text| plain.text(text, Search::Each).len()),
        ];
        for (all, one) in rates.iter_mut().zip(round) {
            all.push(one);
        }
    }
    for (name, values) in names.iter().zip(rates) {
        println!("{name:32} {:10.1} MB/s", median(values));
    }
}

fn engine() -> Engine {
    let options = Options {
        kept_string_bytes: 1 << 20,
        ..Options::default()
    };
    Engine::new(&options, DigestKey::new([7; 32]))
}

fn json(engine: &mut Engine, lines: &[String]) -> f64 {
    let mut out = Vec::with_capacity(1 << 16);
    rate(lines, |line| {
        out.clear();
        assert!(engine.json(line.as_bytes(), &mut out, 1 << 24, &mut Report::default()));
        out.len()
    })
}

fn copy(lines: &[String]) -> f64 {
    let mut out = Vec::with_capacity(1 << 16);
    rate(lines, |line| {
        out.clear();
        out.extend_from_slice(line.as_bytes());
        black_box(out.as_slice()).len()
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn rate(texts: &[String], mut work: impl FnMut(&str) -> usize) -> f64 {
    let bytes: usize = texts.iter().map(String::len).sum();
    let start = seconds();
    for text in texts {
        black_box(work(black_box(text)));
    }
    bytes as f64 / 1e6 / (seconds() - start).max(1e-9)
}

/// Processor time of this thread where the system tells it (Linux), so that a busy machine does not
/// count; else the time that passed.
fn seconds() -> f64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    // The system brings the figure up to date when the thread gives way.
    std::thread::yield_now();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse::<f64>().ok());
    nanos.map_or_else(|| START.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}

/// Tool calls, `share` of a hundred with a secret in it.
fn corpus(bytes: usize, share: usize) -> Vec<String> {
    let mut random = Random(11);
    let clean = planted::clean_corpus(&mut random, bytes);
    clean
        .lines()
        .map(|line| {
            if random.below(100) >= share {
                return line.to_owned();
            }
            let secret = planted::any(&mut random);
            let way = Way::ALL[random.below(Way::ALL.len())];
            let (carried, _) = way.carry(&mut random, &secret);
            let carried = planted::bury(&mut random, carried);
            line.replacen(
                "\"arguments\":{",
                &format!("\"arguments\":{{\"note\":{carried},"),
                1,
            )
        })
        .collect()
}

/// All strings of a document, one a line.
fn strings(line: &str) -> String {
    fn walk(value: &Value, out: &mut String) {
        match value {
            Value::String(text) => {
                out.push_str(text);
                out.push('\n');
            }
            Value::Array(all) => all.iter().for_each(|value| walk(value, out)),
            Value::Object(all) => all.values().for_each(|value| walk(value, out)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut out = String::from("- ");
    walk(&serde_json::from_str(line).unwrap(), &mut out);
    out
}
