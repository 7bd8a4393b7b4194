//! What the log itself can do: records per second, durable acknowledgements, verification.

mod verify;

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use tacho_log::Patience;

use crate::disk;
use crate::events::{Sample, samples};
use crate::machine::{cpu_of, own_cpu};
use crate::place::{Place, Result};
use crate::recorder::Serve;
use crate::report::{Value, heading, plain, ratio};
use crate::source::{Maker, Source};
use crate::stats::{Latency, float, median};

/// Runs all of it.
pub(crate) fn run(place: &Place) -> Result<()> {
    if !place.has_tacho() {
        return Err("tacho is not built beside this program".into());
    }
    let samples = samples();
    throughput(place, &samples)?;
    durable(place, &samples)?;
    verify::run(place, &samples)
}

/// Records per second through the socket of one recorder.
fn throughput(place: &Place, samples: &[Sample]) -> Result<()> {
    heading("log: records per second through tacho serve, nobody waits for one record");
    let dir = place.fresh()?;
    let recorder = Serve::start(place, dir.path())?;
    let total = place.amount(160_000);
    let clients: [usize; 2] = [1, 8];
    let mut rates = [Vec::new(), Vec::new()];
    let mut costs = [Vec::new(), Vec::new()];
    for round in 0..place.rounds {
        for ((clients, rates), costs) in clients.into_iter().zip(&mut rates).zip(&mut costs) {
            let cpu = || own_cpu() + cpu_of(recorder.pid());
            let before = cpu();
            let first = u64::try_from(round * 100 + clients)? * 100;
            let took = together(clients, first, dir.path(), |source, maker| {
                for sample in samples.iter().cycle().take(total / clients) {
                    drop(source.recorder.record(maker.make(sample), Patience::Wait));
                }
                Ok(())
            })?;
            let events = float(u64::try_from(total / clients * clients)?);
            rates.push(events / took.as_secs_f64());
            costs.push((cpu().saturating_sub(before)).as_secs_f64() * 1e6 / events);
        }
    }
    let [one, eight] = rates.map(|rates| Value(median(&rates), "rec/s"));
    let [one_cost, eight_cost] = costs.map(|costs| Value(median(&costs), "µs"));
    plain("1 client", one);
    ratio("8 clients", eight, ("1 client", one), None);
    plain("1 client: CPU per record, client and recorder", one_cost);
    ratio(
        "8 clients: CPU per record",
        eight_cost,
        ("1 client", one_cost),
        None,
    );
    Ok(())
}

/// Each caller waits until its record is durable before it makes the next.
fn durable(place: &Place, samples: &[Sample]) -> Result<()> {
    heading("log: durable acknowledgement");
    let dir = place.fresh()?;
    let recorder = Serve::start(place, dir.path())?;
    let each = place.amount(2_000);
    let callers: [usize; 3] = [1, 16, 64];
    let mut latencies = [const { Vec::new() }; 3];
    let mut rates = [const { Vec::new() }; 3];
    let (mut raw, mut raw_rates) = (Vec::new(), Vec::new());
    for round in 0..place.rounds {
        let bytes = 1_024;
        let mut took = disk::append_and_sync(dir.path(), each, bytes)?;
        let seconds = took.iter().sum::<Duration>().as_secs_f64();
        raw_rates.push(float(u64::try_from(each)?) / seconds);
        raw.push(Latency::of(&mut took));
        for ((callers, latencies), rates) in callers.into_iter().zip(&mut latencies).zip(&mut rates)
        {
            let source = Source::to_socket(dir.path(), u64::try_from(round * 100 + callers)?)?;
            let (took, mut all) = wait_each(&source, callers, each, samples)?;
            source.close()?;
            rates.push(float(u64::try_from(all.len())?) / took.as_secs_f64());
            latencies.push(Latency::of(&mut all));
        }
    }
    drop(recorder);
    let base = Latency::median(&raw);
    plain("append 1 KiB + fdatasync: p50", Value(base.p50, "µs"));
    let base_rate = Value(median(&raw_rates), "/s");
    for ((callers, latencies), rates) in callers.into_iter().zip(latencies).zip(rates) {
        let found = Latency::median(&latencies);
        let name = format!("{callers} callers: p50");
        ratio(
            &name,
            Value(found.p50, "µs"),
            ("fdatasync", Value(base.p50, "µs")),
            None,
        );
        let name = format!("{callers} callers: p99");
        ratio(
            &name,
            Value(found.p99, "µs"),
            ("fdatasync", Value(base.p99, "µs")),
            None,
        );
        let name = format!("{callers} callers: acknowledgements");
        ratio(
            &name,
            Value(median(&rates), "/s"),
            ("one by one", base_rate),
            None,
        );
    }
    Ok(())
}

/// `clients` sources at once, until everything of all is durable.
fn together(
    clients: usize,
    first: u64,
    dir: &Path,
    work: impl Fn(&Source, &mut Maker) -> Result<()> + Sync,
) -> Result<Duration> {
    let ready = Barrier::new(clients + 1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (first..)
            .take(clients)
            .map(|number| {
                let (ready, work) = (&ready, &work);
                scope.spawn(move || {
                    let opened = Source::to_socket(dir, number);
                    ready.wait();
                    let done = opened.and_then(|source| {
                        work(&source, &mut Maker::new(number))?;
                        source.close()
                    });
                    match done {
                        Ok(0) => Ok(()),
                        Ok(lost) => Err(format!("{lost} events were lost")),
                        Err(error) => Err(error.to_string()),
                    }
                })
            })
            .collect();
        ready.wait();
        let started = Instant::now();
        for thread in threads {
            thread.join().map_err(|_panic| "a client panicked")??;
        }
        Ok(started.elapsed())
    })
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
