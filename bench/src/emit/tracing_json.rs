use std::fs::File;
use std::time::{Duration, Instant};

use tracing_appender::non_blocking::NonBlockingBuilder;

use super::Run;
use crate::events::Sample;
use crate::machine::own_cpu;
use crate::place::{Place, Result};
use crate::stats::{Latency, float};

/// `tracing-subscriber`'s JSON through `tracing-appender`'s worker, losing nothing.
pub(super) fn run(place: &Place, samples: &[Sample], count: usize) -> Result<Run> {
    let dir = place.fresh()?;
    let (took, cpu, _) = pass(&dir.path().join("saturated"), samples, count, false)?;
    let (.., mut latencies) = pass(&dir.path().join("timed"), samples, count, true)?;
    let events = float(u64::try_from(count)?);
    let bytes = float(dir.path().join("saturated").metadata()?.len());
    Ok(Run {
        events_per_second: events / took.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / events,
        bytes: bytes / events,
        latency: Latency::of(&mut latencies),
    })
}

type Pass = (Duration, Duration, Vec<Duration>);

fn pass(path: &std::path::Path, samples: &[Sample], count: usize, timed: bool) -> Result<Pass> {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(false)
        .finish(File::create(path)?);
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(writer)
        .finish();
    let mut latencies = Vec::with_capacity(if timed { count } else { 0 });
    let (started, cpu) = (Instant::now(), own_cpu());
    tracing::subscriber::with_default(subscriber, || {
        for sample in samples.iter().cycle().take(count) {
            let before = timed.then(Instant::now);
            tracing::info!(
                r#type = "tool_call",
                outcome = "ok",
                session = sample.session,
                request = sample.request,
                method = "tools/call",
                tool = sample.tool,
                duration_ms = sample.duration_ms,
                args = sample.args_text,
            );
            latencies.extend(before.map(|before| before.elapsed()));
        }
    });
    // Waits until the worker has written everything.
    drop(guard);
    Ok((started.elapsed(), own_cpu().saturating_sub(cpu), latencies))
}
