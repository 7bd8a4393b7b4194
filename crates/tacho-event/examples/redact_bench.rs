//! How fast redaction is: the engine, the plain way (a set of regular expressions, then those that
//! apply), and `memcpy`, over the same texts, in turn, in one run. Asserts that both redact the same.
//!
//! `cargo run --release -p tacho-event --example redact_bench`
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

use plain::Plain;
use planted::{Random, Way};
use serde_json::Value;
use tacho_event::{DigestKey, Engine, Options, Report};

const ROUNDS: usize = 7;

fn main() {
    let lines = corpus(1 << 20);
    let texts: Vec<String> = lines.iter().map(|line| strings(line)).collect();
    let mut engine = Engine::new(
        &Options {
            kept_string_bytes: 1 << 20,
            ..Options::default()
        },
        DigestKey::new([7; 32]),
    );
    let plain = Plain::new();
    let mut removed = 0;
    for text in &texts {
        let mut report = Report::default();
        let mut out = String::new();
        engine.text(text, &mut out, &mut report);
        assert_eq!(out, plain.text(text), "{text}");
        removed += report.removed();
    }
    println!(
        "{} texts, {removed} removals, identical output",
        texts.len()
    );

    let mut ratios = Vec::new();
    let mut rates = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let fast = rate(&texts, |text| {
            let mut out = String::with_capacity(text.len());
            engine.text(text, &mut out, &mut Report::default());
            out.len()
        });
        let slow = rate(&texts, |text| plain.text(text).len());
        let copy = rate(&texts, |text| black_box(text.as_bytes().to_vec()).len());
        let json = rate(&lines, |line| {
            let mut out = Vec::with_capacity(line.len());
            assert!(engine.json(line.as_bytes(), &mut out, 1 << 24, &mut Report::default()));
            out.len()
        });
        ratios.push(fast / slow);
        for (all, one) in rates.iter_mut().zip([fast, slow, copy, json]) {
            all.push(one);
        }
    }
    let [fast, slow, copy, json] = rates.map(median);
    println!("engine, text      {fast:8.0} MB/s");
    println!("plain way, text   {slow:8.0} MB/s");
    println!("copy and allocate {copy:8.0} MB/s");
    println!("engine, JSON      {json:8.0} MB/s");
    println!(
        "engine / plain way, median of {ROUNDS} rounds: {:.2}",
        median(ratios)
    );
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
    bytes as f64 / 1e6 / (seconds() - start)
}

/// Processor time of this thread where the system tells it (Linux), so that a busy machine does not
/// count; else the time that passed.
fn seconds() -> f64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse::<f64>().ok());
    nanos.map_or_else(|| START.elapsed().as_secs_f64(), |nanos| nanos / 1e9)
}

/// Tool calls, one in twelve with a secret in it.
fn corpus(bytes: usize) -> Vec<String> {
    let mut random = Random(11);
    let clean = planted::clean_corpus(&mut random, bytes);
    clean
        .lines()
        .map(|line| {
            if random.below(12) > 0 {
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
