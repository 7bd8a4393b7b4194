//! What the log itself can do: records per second, durable acknowledgements, sealing, verification, opening.

mod appends;
mod bare;
mod durable;
mod made;
mod opening;
mod sealing;
mod verify;

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use tacho_log::Patience;

use crate::events::{Sample, samples};
use crate::machine::{cpu_of, own_cpu};
use crate::place::{Place, Result};
use crate::recorder::Serve;
use crate::report::{Value, heading, plain, ratio};
use crate::source::{Maker, Source};
use crate::stats::{float, median};

/// Runs all of it.
pub(crate) fn run(place: &Place) -> Result<()> {
    if !place.has_tacho() {
        return Err("tacho is not built beside this program".into());
    }
    let samples = samples();
    throughput(place, &samples)?;
    appends::run(place, &samples)?;
    durable::run(place, &samples)?;
    sealing::run(place, &samples)?;
    verify::run(place, &samples)?;
    opening::run(place)
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
