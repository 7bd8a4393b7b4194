//! `tacho-bench [proxy|emit|log|redact|all] [--rounds N] [--quick] [--cache DIR]`
//!
//! Every figure is taken several times, alternately with its baseline, in the same run; medians are
//! shown, and the ratio of the two. Nothing here fails because something was slow.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints")]

mod disk;
mod emit;
mod events;
mod log;
mod machine;
mod peers;
mod place;
mod proxy;
mod recorder;
mod redact;
mod report;
mod session;
mod source;
mod stats;

use std::path::PathBuf;
use std::process::ExitCode;

use place::{Place, Result};

const USAGE: &str =
    "usage: tacho-bench [proxy|emit|log|redact|all] [--rounds N] [--quick] [--cache DIR]";

type Bench = fn(&Place) -> Result<()>;

const BENCHES: [(&str, Bench); 4] = [
    ("proxy", proxy::run),
    ("emit", emit::run),
    ("log", log::run),
    ("redact", redact::run),
];

/// Fewer rounds than this are no median.
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("{USAGE}");
            ExitCode::from(3)
        }
        Err(error) => {
            eprintln!("tacho-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == machine::PEAK) {
        println!("{}", machine::run_for_peak(words)?);
        return Ok(true);
    }
    let (mut which, mut rounds, mut divide, mut cache) = ("all".to_owned(), ROUNDS, 1, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => rounds = args.next().ok_or(USAGE)?.parse()?,
            "--quick" => (rounds, divide) = (2, 10),
            "--cache" => cache = Some(PathBuf::from(args.next().ok_or(USAGE)?)),
            "proxy" | "emit" | "log" | "redact" | "all" => which = arg,
            _ => return Ok(false),
        }
    }
    let place = Place::new(cache, rounds, divide)?;
    report::heading(&format!("tacho-bench {which}: {rounds} rounds, medians"));
    machine::describe();
    for (name, bench) in BENCHES {
        if which == "all" || which == name {
            // One bench that cannot run must not hide the others.
            if let Err(error) = bench(&place) {
                report::note(&format!("not measured: {name}: {error}"));
            }
        }
    }
    Ok(true)
}
