use std::path::Path;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tacho_log::Patience;

use super::bare::{self, Acknowledged};
use crate::events::Sample;
use crate::place::{Place, Result};
use crate::recorder::Serve;
use crate::report::{Value, heading, note, plain, ratio};
use crate::source::{Maker, Source};
use crate::stats::{Latency, float, median};

/// Processes that write to one recorder.
const WRITERS: [usize; 3] = [1, 8, 64];

/// About the length of a record of the samples.
const RECORD_BYTES: usize = 1_024;

type Percentile = fn(&Latency) -> f64;

#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    latencies: Vec<Latency>,
}

impl Rounds {
    fn add(&mut self, (took, mut all): Acknowledged) -> Result<()> {
        self.rates
            .push(float(u64::try_from(all.len())?) / took.as_secs_f64());
        self.latencies.push(Latency::of(&mut all));
        Ok(())
    }
}

/// Writers of their own connection, each of which waits until its record is durable, through the real
/// recorder, against the same number of threads that write to a file.
pub(super) fn run(place: &Place, samples: &[Sample]) -> Result<()> {
    heading("log: appends by writers that wait for each record");
    note("bare: threads that write 1 KiB to one file; no redaction, no hash, no socket");
    let dir = place.fresh()?;
    let recorder = Serve::start(place, dir.path())?;
    let mut rounds: [[Rounds; 3]; 3] = Default::default();
    for round in 0..place.rounds {
        for (writers, [single, group, ours]) in WRITERS.into_iter().zip(&mut rounds) {
            let each = (place.amount(2_000) / writers.min(16)).max(10);
            single.add(bare::one_by_one(dir.path(), writers, each, RECORD_BYTES)?)?;
            group.add(bare::group_commit(dir.path(), writers, each, RECORD_BYTES)?)?;
            let first = u64::try_from(round * 1_000 + writers)? * 1_000;
            ours.add(through_recorder(dir.path(), writers, each, first, samples)?)?;
        }
    }
    drop(recorder);
    for (writers, rounds) in WRITERS.into_iter().zip(rounds) {
        show(writers, rounds);
    }
    Ok(())
}

fn show(writers: usize, [single, group, ours]: [Rounds; 3]) {
    let rate = |rounds: &Rounds| Value(median(&rounds.rates), "/s");
    let rates = [&single, &group, &ours].map(rate);
    let [single, group, ours] =
        [single, group, ours].map(|rounds| Latency::median(&rounds.latencies));
    plain(
        &format!("{writers} writers: write + fdatasync each"),
        rates[0],
    );
    let name = format!("{writers} writers: appends");
    ratio(&name, rates[2], ("one by one", rates[0]), None);
    ratio(&name, rates[2], ("bare group commit", rates[1]), None);
    let of: [(&str, Percentile); 2] = [("p50", |one| one.p50), ("p99", |one| one.p99)];
    for (percentile, of) in of {
        let us = |latency: &Latency| Value(of(latency), "µs");
        let name = format!("{writers} writers: acknowledgement {percentile}");
        ratio(&name, us(&ours), ("one by one", us(&single)), None);
        ratio(&name, us(&ours), ("bare group commit", us(&group)), None);
    }
}

fn through_recorder(
    dir: &Path,
    writers: usize,
    each: usize,
    first: u64,
    samples: &[Sample],
) -> Result<Acknowledged> {
    let ready = Barrier::new(writers + 1);
    let all = Mutex::new(Vec::with_capacity(writers * each));
    let took = std::thread::scope(|scope| {
        let threads: Vec<_> = (first..)
            .take(writers)
            .map(|number| {
                let (ready, all) = (&ready, &all);
                scope.spawn(move || -> std::result::Result<(), String> {
                    let source = Source::to_socket(dir, number);
                    ready.wait();
                    let source = source.map_err(|error| error.to_string());
                    let written = source.and_then(|source| {
                        let took = write(&source, number, each, samples)?;
                        Ok((source, took))
                    });
                    // Leaving is not measured: nobody waits for it.
                    ready.wait();
                    let (source, took) = written?;
                    all.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend(took);
                    source.close().map(drop).map_err(|error| error.to_string())
                })
            })
            .collect();
        ready.wait();
        let started = Instant::now();
        ready.wait();
        let took = started.elapsed();
        for thread in threads {
            thread.join().map_err(|_panic| "a writer panicked")??;
        }
        Ok::<_, Box<dyn std::error::Error>>(took)
    })?;
    Ok((
        took,
        all.into_inner().unwrap_or_else(PoisonError::into_inner),
    ))
}

/// `each` records, each of which is waited for.
fn write(
    source: &Source,
    number: u64,
    each: usize,
    samples: &[Sample],
) -> std::result::Result<Vec<Duration>, String> {
    let mut maker = Maker::new(number);
    let mut took = Vec::with_capacity(each);
    for sample in samples.iter().cycle().take(each) {
        let before = Instant::now();
        let ticket = source.recorder.record(maker.make(sample), Patience::Wait);
        let receipt = ticket.wait(None);
        receipt.map(drop).map_err(|error| error.to_string())?;
        took.push(before.elapsed());
    }
    Ok(took)
}
