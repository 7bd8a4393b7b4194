//! What recording an event costs the process that does it, without waiting for the disk: bars A1 to A5.

pub(crate) mod node;
mod tacho;
mod tracing_json;

use std::path::{Path, PathBuf};

use crate::events::{Sample, as_json, samples};
use crate::place::{Place, Result, put};
use crate::report::{Bar, Value, heading, limit, note, ratio};
use crate::stats::{Latency, median};

/// One logger in one round.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub(crate) events_per_second: f64,
    cpu_us: f64,
    bytes: f64,
    latency: Latency,
}

/// A logger and its rounds.
struct Logger<'a> {
    name: &'static str,
    run: Box<dyn Fn() -> Result<Run> + 'a>,
    rounds: Vec<Run>,
}

/// Runs all of it.
pub(crate) fn run(place: &Place) -> Result<()> {
    heading("emit: events of 500 bytes, one producer that never waits");
    let samples = samples();
    let work = place.fresh()?;
    let events = events_file(work.path(), &samples)?;

    let count = place.amount(200_000);
    let mut loggers = vec![
        Logger::new("tacho", || tacho::run(place, &samples, count)),
        Logger::new("tracing json + non_blocking", || {
            tracing_json::run(place, &samples, count)
        }),
    ];
    if let Some(script) = node::script(place)? {
        for (name, mode, count) in [
            ("pino sync", "pino-sync", count / 2),
            ("pino async", "pino-async", count / 2),
            ("pino-roll", "pino-roll", count / 2),
            ("NCP AuditLogger loop", "ncp", count / 10),
        ] {
            let (script, events) = (script.clone(), events.clone());
            loggers.push(Logger::new(name, move || {
                node::run(place, &script, mode, &events, count)
            }));
        }
    }
    for _ in 0..place.rounds {
        for logger in &mut loggers {
            match (logger.run)() {
                Ok(run) => logger.rounds.push(run),
                Err(error) => note(&format!("not measured: {}: {error}", logger.name)),
            }
        }
    }
    show(&loggers);
    let mut paced = Vec::new();
    for _ in 0..place.rounds {
        paced.push(tacho::paced(place, &samples, count / 10)?);
    }
    let latency = Latency::median(
        &paced
            .iter()
            .map(|(latency, _)| *latency)
            .collect::<Vec<_>>(),
    );
    let lost: u64 = paced.iter().map(|(_, lost)| lost).sum();
    note(&format!(
        "tacho at 20,000 events/s, never waiting: caller p50 {:.2}, p99 {:.2}, p99.9 {:.1} µs; {lost} lost",
        latency.p50, latency.p99, latency.p999
    ));
    Ok(())
}

/// The samples as JSON lines, for loggers in other processes.
pub(crate) fn events_file(dir: &Path, samples: &[Sample]) -> Result<PathBuf> {
    let path = dir.join("events.jsonl");
    let lines: Vec<_> = samples.iter().map(|one| as_json(one).to_string()).collect();
    put(&path, &lines.join("\n"))?;
    Ok(path)
}

impl<'a> Logger<'a> {
    fn new(name: &'static str, run: impl Fn() -> Result<Run> + 'a) -> Self {
        Self {
            name,
            run: Box::new(run),
            rounds: Vec::new(),
        }
    }

    fn median(&self, of: fn(&Run) -> f64) -> f64 {
        if self.rounds.is_empty() {
            return f64::NAN;
        }
        median(&self.rounds.iter().map(of).collect::<Vec<_>>())
    }
}

fn show(loggers: &[Logger<'_>]) {
    println!(
        "   {:<30} {:>10} {:>9} {:>9} {:>8} {:>8} {:>8}",
        "", "events/s", "CPU µs", "bytes", "p50 µs", "p99", "p99.9"
    );
    for logger in loggers {
        println!(
            "   {:<30} {:>10.0} {:>9.2} {:>9.0} {:>8.2} {:>8.2} {:>8.1}",
            logger.name,
            logger.median(|run| run.events_per_second),
            logger.median(|run| run.cpu_us),
            logger.median(|run| run.bytes),
            logger.median(|run| run.latency.p50),
            logger.median(|run| run.latency.p99),
            logger.median(|run| run.latency.p999),
        );
    }
    let of = |name: &str, figure: fn(&Run) -> f64| {
        loggers
            .iter()
            .find(|logger| logger.name == name)
            .map_or(f64::NAN, |logger| logger.median(figure))
    };
    let rate = |name| Value(of(name, |run| run.events_per_second), "ev/s");
    let cpu = |name| Value(of(name, |run| run.cpu_us), "µs");
    let pino = ["pino sync", "pino async", "pino-roll"].into_iter();
    let pino = pino.filter(|name| rate(name).0.is_finite());
    let ours = rate("tacho");
    if let Some(best) = pino.max_by(|a, b| rate(a).0.total_cmp(&rate(b).0)) {
        ratio(
            "A1 events/s, best mode of pino",
            ours,
            (best, rate(best)),
            Some(Bar::AtLeast(5.0)),
        );
    }
    ratio(
        "A2 CPU per event",
        cpu("tacho"),
        ("pino sync", cpu("pino sync")),
        Some(Bar::AtMost(0.2)),
    );
    let tracing = "tracing json + non_blocking";
    ratio(
        "A3 events/s",
        ours,
        (tracing, rate(tracing)),
        Some(Bar::AtLeast(2.5)),
    );
    ratio(
        "A3 by CPU per event",
        cpu("tacho"),
        (tracing, cpu(tracing)),
        Some(Bar::AtMost(1.0 / 2.5)),
    );
    let ncp = "NCP AuditLogger loop";
    ratio(
        "A4 events/s",
        ours,
        (ncp, rate(ncp)),
        Some(Bar::AtLeast(40.0)),
    );
    let us = |of| Value(of, "µs");
    limit("A5 caller p50", us(of("tacho", |run| run.latency.p50)), 0.6);
    limit("A5 caller p99", us(of("tacho", |run| run.latency.p99)), 4.5);
    limit(
        "A5 caller p99.9",
        us(of("tacho", |run| run.latency.p999)),
        10.0,
    );
    let p99 = |name| us(of(name, |run| run.latency.p99));
    ratio(
        "A5 caller p99",
        p99("tacho"),
        (tracing, p99(tracing)),
        Some(Bar::AtMost(1.0)),
    );
}
