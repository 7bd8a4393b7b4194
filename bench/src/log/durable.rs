use std::time::{Duration, Instant};

use tacho_log::Patience;

use crate::disk;
use crate::emit::{events_file, node};
use crate::events::Sample;
use crate::place::{Place, Result};
use crate::recorder::Serve;
use crate::report::{Bar, Value, heading, plain, ratio};
use crate::source::{Maker, Source};
use crate::stats::{Latency, float, median};

/// Callers that wait, over one source; and the bar A7 against one process of pino.
const CALLERS: [(usize, Option<f64>); 3] = [(1, None), (16, Some(15.0)), (64, Some(25.0))];

#[derive(Default)]
struct Found {
    callers: [(Vec<f64>, Vec<Latency>); 3],
    growing: Vec<Latency>,
    written: Vec<Latency>,
    pino: Vec<f64>,
}

/// Each caller waits until its record is durable before it makes the next: bars A6 and A7.
pub(super) fn run(place: &Place, samples: &[Sample]) -> Result<()> {
    heading("log: durable acknowledgement, callers of one source");
    let dir = place.fresh()?;
    let recorder = Serve::start(place, dir.path())?;
    let each = place.amount(2_000);
    let events = events_file(dir.path(), samples)?;
    let script = node::script(place)?;
    let mut found = Found::default();
    for round in 0..place.rounds {
        let probe = |of: fn(&std::path::Path, usize, usize) -> Result<Vec<Duration>>| {
            Ok::<_, Box<dyn std::error::Error>>(Latency::of(&mut of(dir.path(), each, 1_024)?))
        };
        found.growing.push(probe(disk::append_and_sync)?);
        found.written.push(probe(disk::overwrite_and_sync)?);
        if let Some(script) = &script {
            let run = node::run(place, script, "pino-fsync", &events, each)?;
            found.pino.push(run.events_per_second);
        }
        for ((callers, _), (rates, latencies)) in CALLERS.into_iter().zip(&mut found.callers) {
            let source = Source::to_socket(dir.path(), u64::try_from(round * 100 + callers)?)?;
            let (took, mut all) = wait_each(&source, callers, each, samples)?;
            source.close()?;
            rates.push(float(u64::try_from(all.len())?) / took.as_secs_f64());
            latencies.push(Latency::of(&mut all));
        }
    }
    drop(recorder);
    show(&found);
    Ok(())
}

fn show(found: &Found) {
    let us = |value| Value(value, "µs");
    let growing = Latency::median(&found.growing);
    let written = Latency::median(&found.written);
    let pino = Value(
        if found.pino.is_empty() {
            f64::NAN
        } else {
            median(&found.pino)
        },
        "/s",
    );
    plain(
        "write 1 KiB + fdatasync, growing file: p50",
        us(growing.p50),
    );
    plain(
        "the same over bytes that were written: p50",
        us(written.p50),
    );
    plain("pino, fsync after each event", pino);
    for ((callers, bar), (rates, latencies)) in CALLERS.into_iter().zip(&found.callers) {
        let latency = Latency::median(latencies);
        let rate = Value(median(rates), "/s");
        let name = format!("{callers} callers: p50");
        ratio(
            &name,
            us(latency.p50),
            ("growing file", us(growing.p50)),
            None,
        );
        let a6 = (callers == 1).then_some(Bar::AtMost(1.3));
        let name = format!(
            "{}{callers} callers: p50",
            if a6.is_some() { "A6 " } else { "" }
        );
        ratio(
            &name,
            us(latency.p50),
            ("written file", us(written.p50)),
            a6,
        );
        let name = format!("{callers} callers: p99");
        ratio(
            &name,
            us(latency.p99),
            ("growing file", us(growing.p99)),
            None,
        );
        let (name, least) = match bar {
            Some(least) => ("A7", least),
            None => ("A6", 1.5),
        };
        let name = format!("{name} {callers} callers: acknowledgements");
        ratio(&name, rate, ("pino fsync", pino), Some(Bar::AtLeast(least)));
    }
}

/// `callers` threads over one source, each waiting for its receipts.
fn wait_each(
    source: &Source,
    callers: usize,
    each: usize,
    samples: &[Sample],
) -> Result<(Duration, Vec<Duration>)> {
    let started = Instant::now();
    let each_of = if callers > 1 { each / 4 } else { each };
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..callers)
            .map(|number| {
                scope.spawn(move || {
                    let mut maker = Maker::new(u64::try_from(number).unwrap_or_default());
                    let mut took = Vec::with_capacity(each_of);
                    for sample in samples.iter().cycle().take(each_of) {
                        let before = Instant::now();
                        let ticket = source.recorder.record(maker.make(sample), Patience::Wait);
                        ticket
                            .wait(None)
                            .map(drop)
                            .map_err(|error| error.to_string())?;
                        took.push(before.elapsed());
                    }
                    Ok::<_, String>(took)
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_panic| "a caller panicked")??);
        }
        Ok::<_, Box<dyn std::error::Error>>(all)
    })?;
    Ok((started.elapsed(), all))
}
