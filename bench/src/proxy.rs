//! What standing between a client and a server costs: bars B1 and B2, and those of the durability modes.

mod startup;

use std::ffi::OsString;
use std::path::Path;

use crate::disk;
use crate::machine::memory_of;
use crate::peers;
use crate::place::{Place, Result};
use crate::recorder::Serve;
use crate::report::{Bar, Value, heading, limit, note, plain, ratio};
use crate::session::{Session, Target};
use crate::stats::{Latency, float, median};

const MODES: [&str; 3] = ["best_effort", "blocking", "strict"];

/// The concurrent callers and the milliseconds of their tool, as the bar has them.
const CALLERS: usize = 64;
const TOOL_MS: &str = "10";

/// Runs all of it.
pub(crate) fn run(place: &Place) -> Result<()> {
    let dir = place.fresh()?;
    if !place.has_tacho() {
        note("not measured: tacho is not built beside this program");
        return latency(place, dir.path(), &[]);
    }
    let recorder = Serve::start(place, dir.path())?;
    latency(place, dir.path(), &MODES)?;
    throughput(place, dir.path())?;
    memory(place, dir.path(), &recorder)?;
    drop(recorder);
    startup::run(place)
}

/// The bare server, started by this program.
fn bare(place: &Place) -> Vec<OsString> {
    vec![place.program("tacho-bench-echo")]
}

fn behind_tacho(place: &Place, dir: &Path, mode: &str, server: &[OsString]) -> Target {
    let mut before = vec![
        place.program("tacho"),
        "run".into(),
        "--dir".into(),
        dir.into(),
    ];
    before.extend(["--mode", mode, "--name", "bench", "--"].map(OsString::from));
    Target::new(mode, &before, server)
}

/// A target and its latencies, a round each.
struct Measured {
    target: Target,
    calls: usize,
    rounds: Vec<Latency>,
}

fn latency(place: &Place, dir: &Path, modes: &[&str]) -> Result<()> {
    heading("proxy: sequential tools/call, about 450 bytes each way");
    let server = bare(place);
    let relay = Target::new("relay", &[place.program("tacho-bench-relay")], &server);
    let measured = |target, calls| Measured {
        target,
        calls,
        rounds: Vec::new(),
    };
    let mut all = vec![
        measured(Target::new("bare", &[], &server), place.amount(20_000)),
        measured(relay, place.amount(20_000)),
    ];
    for mode in modes {
        let calls = if *mode == "best_effort" {
            20_000
        } else {
            2_000
        };
        all.push(measured(
            behind_tacho(place, dir, mode, &server),
            place.amount(calls),
        ));
    }
    if let Some(python) = peers::python(place, "venv-fastmcp", &["fastmcp==4.1.2"]) {
        let text = include_str!("../peers/fastmcp_proxy.py");
        let script = peers::script(&place.cache, "fastmcp_proxy.py", text)?;
        let before = [python.into_os_string(), script.into_os_string()];
        all.push(measured(
            Target::new("fastmcp", &before, &server),
            place.amount(500),
        ));
    }
    let mut syncs = Vec::new();
    for _ in 0..place.rounds {
        for one in &mut all {
            let mut session = Session::open(&one.target)?;
            let mut took = session.calls(one.calls)?;
            session.close()?;
            one.rounds.push(Latency::of(&mut took));
        }
        syncs.push(Latency::of(&mut disk::append_and_sync(
            dir,
            place.amount(500),
            512,
        )?));
    }
    show_latency(&all, Latency::median(&syncs));
    Ok(())
}

fn show_latency(all: &[Measured], sync: Latency) {
    let Some(bare) = all.first() else { return };
    let us = |value| Value(value, "µs");
    for one in all {
        let figures = Latency::median(&one.rounds);
        plain(&format!("{}: p50", one.target.name), us(figures.p50));
        plain(&format!("{}: p99", one.target.name), us(figures.p99));
    }
    plain("append 512 B + fdatasync: p50", us(sync.p50));
    plain("append 512 B + fdatasync: p99", us(sync.p99));
    let added = |name: &str, of: fn(&Latency) -> f64| {
        let one = all.iter().find(|one| one.target.name == name);
        one.map_or(f64::NAN, |one| {
            let pairs = one.rounds.iter().zip(&bare.rounds);
            median(
                &pairs
                    .map(|(ours, bare)| of(ours) - of(bare))
                    .collect::<Vec<_>>(),
            )
        })
    };
    let p50 = |latency: &Latency| latency.p50;
    let p99 = |latency: &Latency| latency.p99;
    let (relay, fastmcp) = (added("relay", p50), added("fastmcp", p50));
    plain("relay: added p50", us(relay));
    plain("relay: added p99", us(added("relay", p99)));
    plain("fastmcp: added p50", us(fastmcp));
    let ours = added("best_effort", p50);
    limit("best_effort: added p50", us(ours), 12.0);
    limit(
        "best_effort: added p99",
        us(added("best_effort", p99)),
        60.0,
    );
    ratio(
        "B1 best_effort: added p50",
        us(ours),
        ("relay", us(relay)),
        Some(Bar::AtMost(1.3)),
    );
    let less = Some(Bar::AtMost(1.0 / 100.0));
    ratio(
        "B2 best_effort: added p50",
        us(ours),
        ("fastmcp", us(fastmcp)),
        less,
    );
    for mode in ["blocking", "strict"] {
        let added_p50 = added(mode, p50);
        ratio(
            &format!("{mode}: added p50"),
            us(added_p50),
            ("relay", us(relay)),
            None,
        );
        let (waited, beyond) = (2.0 * sync.p50, added_p50 - 2.0 * sync.p50);
        if beyond < 0.0 {
            // The probe waited for a busy CPU, not for the disk.
            note(&format!(
                "not measured: {mode} beyond two fdatasync: the machine is too busy"
            ));
        } else {
            let name = format!("{mode}: added p50 beyond two fdatasync ({waited:.0} µs)");
            limit(&name, us(beyond), 100.0);
        }
        plain(&format!("{mode}: added p99"), us(added(mode, p99)));
    }
}

fn throughput(place: &Place, dir: &Path) -> Result<()> {
    heading("proxy: 64 callers, a tool that takes 10 ms");
    let mut server = bare(place);
    server.extend(["--delay-ms", TOOL_MS].map(OsString::from));
    let mut targets = vec![Target::new("bare", &[], &server)];
    targets.extend(MODES.map(|mode| behind_tacho(place, dir, mode, &server)));
    let mut rates = vec![Vec::new(); targets.len()];
    let calls = place.amount(12_800);
    for _ in 0..place.rounds {
        for (target, rates) in targets.iter().zip(&mut rates) {
            let mut session = Session::open(target)?;
            session.pipelined(CALLERS * 4, CALLERS)?;
            let took = session.pipelined(calls, CALLERS)?;
            session.close()?;
            rates.push(float(u64::try_from(calls)?) / took.as_secs_f64());
        }
    }
    let rate = |name: &str| {
        let found = targets
            .iter()
            .zip(&rates)
            .find(|(target, _)| target.name == name);
        Value(
            found.map_or(f64::NAN, |(_, rates)| median(rates)),
            "calls/s",
        )
    };
    let (direct, unwaited) = (rate("bare"), rate("best_effort"));
    ratio("best_effort", unwaited, ("bare", direct), None);
    ratio(
        "blocking",
        rate("blocking"),
        ("best_effort", unwaited),
        None,
    );
    ratio(
        "strict",
        rate("strict"),
        ("best_effort", unwaited),
        Some(Bar::AtLeast(0.95)),
    );
    ratio("strict", rate("strict"), ("bare", direct), None);
    Ok(())
}

fn memory(place: &Place, dir: &Path, recorder: &Serve) -> Result<()> {
    heading("proxy: memory after 10,000 calls");
    let mib = |value| Value(value, "MiB");
    // The default; and calls that come faster than they are recorded, which wait in memory.
    for mode in ["strict", "best_effort"] {
        let mut session = Session::open(&behind_tacho(place, dir, mode, &bare(place)))?;
        for _ in 0..10_000 {
            session.call()?;
        }
        let shim = memory_of(session.pid());
        limit(
            &format!("tacho run, {mode}: resident"),
            mib(shim.resident),
            8.0,
        );
        plain(
            &format!("tacho run, {mode}: of which anonymous"),
            mib(shim.anonymous),
        );
        session.close()?;
    }
    let writer = memory_of(recorder.pid());
    limit("recorder: resident", mib(writer.resident), 30.0);
    plain("recorder: of which anonymous", mib(writer.anonymous));
    Ok(())
}
