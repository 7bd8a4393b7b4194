use std::time::{Duration, Instant};

use tacho_log::Patience;

use super::Run;
use crate::events::Sample;
use crate::machine::own_cpu;
use crate::place::{Place, Result};
use crate::source::{Maker, Source};
use crate::stats::{Latency, float};

/// Events a second of a busy source that is not saturated.
const PACE: u32 = 20_000;

/// Recorder, redaction, Merkle tree and segment in this process. Nothing is lost: a full queue is waited
/// for, and the time ends when everything is durable and sealed.
pub(super) fn run(place: &Place, samples: &[Sample], count: usize) -> Result<Run> {
    let dir = place.fresh()?;
    let (took, cpu, _) = saturated(&dir.path().join("saturated"), samples, count, false)?;
    let (.., mut latencies) = saturated(&dir.path().join("timed"), samples, count, true)?;
    let events = float(u64::try_from(count)?);
    let segments = dir.path().join("saturated/log/segments");
    Ok(Run {
        events_per_second: events / took.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / events,
        bytes: float(crate::place::bytes_in(&segments)?) / events,
        latency: Latency::of(&mut latencies),
    })
}

type Pass = (Duration, Duration, Vec<Duration>);

fn saturated(dir: &std::path::Path, samples: &[Sample], count: usize, timed: bool) -> Result<Pass> {
    let source = Source::in_process(dir)?;
    let mut maker = Maker::new(3);
    let mut latencies = Vec::with_capacity(if timed { count } else { 0 });
    let (started, cpu) = (Instant::now(), own_cpu());
    for sample in samples.iter().cycle().take(count) {
        let before = timed.then(Instant::now);
        drop(source.recorder.record(maker.make(sample), Patience::Wait));
        latencies.extend(before.map(|before| before.elapsed()));
    }
    let lost = source.close()?;
    if lost > 0 {
        return Err(format!("{lost} events were lost").into());
    }
    Ok((started.elapsed(), own_cpu().saturating_sub(cpu), latencies))
}

/// The caller's latency when it never waits and the recorder keeps up, and how many events were lost.
pub(super) fn paced(place: &Place, samples: &[Sample], count: usize) -> Result<(Latency, u64)> {
    let dir = place.fresh()?;
    let source = Source::in_process(&dir.path().join("paced"))?;
    let mut maker = Maker::new(3);
    let mut latencies = Vec::with_capacity(count);
    let gap = Duration::from_secs(1) / PACE;
    let mut next = Instant::now();
    for sample in samples.iter().cycle().take(count) {
        // Sleeping is too coarse for fifty microseconds.
        while Instant::now() < next {
            std::hint::spin_loop();
        }
        next += gap;
        let before = Instant::now();
        drop(source.recorder.record(maker.make(sample), Patience::Never));
        latencies.push(before.elapsed());
    }
    let lost = source.close()?;
    Ok((Latency::of(&mut latencies), lost))
}
