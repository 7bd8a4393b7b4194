//! What the figures were measured on, and what a process costs: facts from `/proc`.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use rustix::time::{ClockId, clock_gettime};

use crate::peers::output;
use crate::place::Result;
use crate::report::note;
use crate::stats::float;

/// Prints the machine: its cores, kernel, and how busy it is.
pub(crate) fn describe() {
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model
        .unwrap_or_default()
        .trim_start_matches(['\t', ' ', ':']);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    note(&format!("{cores} cores, {model}"));
    let flags = cpuinfo
        .lines()
        .find(|line| line.starts_with("flags"))
        .unwrap_or_default();
    let known = ["sha_ni", "avx2", "avx512f"];
    let has: Vec<_> = known
        .into_iter()
        .filter(|flag| flags.contains(flag))
        .collect();
    note(&format!(
        "features {}, kernel {}",
        has.join(" "),
        read("/proc/sys/kernel/osrelease").trim()
    ));
    let load = read("/proc/loadavg");
    note(&format!("load {}", load.trim()));
    let one_minute = load
        .split(' ')
        .next()
        .and_then(|first| first.parse::<f64>().ok());
    if one_minute.is_some_and(|load| load > 0.7) {
        note(
            "NOT QUIET: ratios of CPU time hold, latencies and throughput are those of a busy machine",
        );
    }
}

/// The CPU time, user and system, of all threads of this process.
pub(crate) fn own_cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

/// The CPU time, user and system, of all children that were waited for.
pub(crate) fn children_cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Duration::ZERO;
    };
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| {
            let micros = u64::try_from(time.tv_usec()).unwrap_or_default();
            Duration::from_secs(time.tv_sec().unsigned_abs()) + Duration::from_micros(micros)
        })
        .sum()
}

/// The CPU time so far of the living threads of another process.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Duration::ZERO;
    };
    tasks
        .flatten()
        .map(|task| {
            let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let nanos = stat.split(' ').next().and_then(|first| first.parse().ok());
            Duration::from_nanos(nanos.unwrap_or_default())
        })
        .sum()
}

/// Memory of a process, mebibytes: resident now, of which not backed by files, and resident at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// `VmRSS`.
    pub(crate) resident: f64,
    /// `RssAnon`.
    pub(crate) anonymous: f64,
    /// `VmHWM`.
    pub(crate) peak: f64,
}

/// The memory of process `pid`.
pub(crate) fn memory_of(pid: u32) -> Memory {
    let status = read(format!("/proc/{pid}/status"));
    let mib = |member: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(member));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.and_then(|kib| kib.parse::<f64>().ok())
            .map_or(f64::NAN, |kib| kib / 1024.0)
    };
    Memory {
        resident: mib("VmRSS"),
        anonymous: mib("RssAnon"),
        peak: mib("VmHWM"),
    }
}

/// The word before a program whose peak of memory is wanted: see [`peak_of`].
pub(crate) const PEAK: &str = "peak-of";

/// The most that `command` has resident until it ends, in mebibytes. It is the only child of a process of
/// its own, because the system tells only the maximum over all children.
pub(crate) fn peak_of(command: &Command) -> Result<f64> {
    let mut helper = Command::new(std::env::current_exe()?);
    helper.arg(PEAK).arg(command.get_program());
    helper.args(command.get_args());
    Ok(output(&mut helper)?.trim().parse()?)
}

/// What [`peak_of`] starts: runs the program named by `arguments`, and returns its peak in mebibytes.
pub(crate) fn run_for_peak(mut arguments: impl Iterator<Item = OsString>) -> Result<f64> {
    let mut command = Command::new(arguments.next().ok_or("no program")?);
    command.args(arguments).stdin(Stdio::null());
    let done = command.stdout(Stdio::null()).status()?;
    if !done.success() {
        return Err(format!("{} {done}", command.get_program().display()).into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let kib = u64::try_from(usage.max_rss())?;
    Ok(float(kib) / 1024.0)
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
