use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tacho_log::disk::{Disk, DiskFile, Identity, RealDisk};
use tacho_log::key::SigningKey;
use tacho_log::merkle::leaf_hash;
use tacho_log::{Clock as _, DataDir, Log, LogOptions, Patience, SystemClock};

use super::made::append;
use crate::events::{Sample, as_json};
use crate::machine::own_cpu;
use crate::place::{Place, Result};
use crate::report::{Bar, Value, heading, note, plain, ratio};
use crate::source::{Maker, Source};
use crate::stats::{float, median};

/// Records between checkpoints, and the same where there are none.
const USUAL: u64 = 4_096;
const NEVER: u64 = u64::MAX;

/// What tamper evidence costs: bar A8.
pub(super) fn run(place: &Place, samples: &[Sample]) -> Result<()> {
    heading("log: sealing, a checkpoint every 4,096 records against none");
    let count = place.amount(160_000);
    let (mut on, mut off, mut hashing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..place.rounds {
        on.push(recorded(place, samples, count, USUAL)?);
        off.push(recorded(place, samples, count, NEVER)?);
        hashing.push(hashed(samples, count)?);
    }
    let [on, off, hashing] = [on, off, hashing].map(|took| Value(median(&took), "µs"));
    plain("leaf hash alone: CPU per record", hashing);
    let bare = Value(off.0 - hashing.0, "µs");
    ratio(
        "CPU per record, redaction on",
        on,
        ("no checkpoints", off),
        None,
    );
    let name = "A8 CPU per record, redaction on";
    let baseline = ("neither hashes nor checkpoints", bare);
    ratio(name, on, baseline, Some(Bar::AtMost(1.4)));
    syncs(place, samples)
}

/// CPU microseconds a record, of a source and a recorder in this process.
fn recorded(place: &Place, samples: &[Sample], count: usize, checkpoints: u64) -> Result<f64> {
    let dir = place.fresh()?;
    let options = LogOptions {
        checkpoint_records: checkpoints,
        ..LogOptions::default()
    };
    let before = own_cpu();
    let source = Source::in_process_with(&dir.path().join("data"), options)?;
    let mut maker = Maker::new(7);
    for sample in samples.iter().cycle().take(count) {
        drop(source.recorder.record(maker.make(sample), Patience::Wait));
    }
    let lost = source.close()?;
    if lost > 0 {
        return Err(format!("{lost} events were lost").into());
    }
    per_record(own_cpu().saturating_sub(before), count)
}

/// CPU microseconds of the hash of one record.
fn hashed(samples: &[Sample], count: usize) -> Result<f64> {
    // A record has some 250 bytes before its arguments.
    let lines: Vec<_> = samples
        .iter()
        .map(|sample| format!("{:250}{}", "", as_json(sample)))
        .collect();
    let before = own_cpu();
    for line in lines.iter().cycle().take(count) {
        std::hint::black_box(leaf_hash(line.as_bytes()));
    }
    per_record(own_cpu().saturating_sub(before), count)
}

fn per_record(took: Duration, count: usize) -> Result<f64> {
    Ok(took.as_secs_f64() * 1e6 / float(u64::try_from(count)?))
}

/// The syncs of the same batches with and without checkpoints, counted where the writer asks for them.
fn syncs(place: &Place, samples: &[Sample]) -> Result<()> {
    let count = u64::try_from(place.amount(160_000))?.max(2 * USUAL);
    let bodies: Vec<_> = samples.iter().map(body).collect();
    let mut counted = [0.0; 2];
    for (counted, checkpoints) in counted.iter_mut().zip([USUAL, NEVER]) {
        let dir = place.fresh()?;
        let data = DataDir::create(&dir.path().join("data"))?;
        let (disk, lock) = (Arc::new(Counting::default()), data.lock()?);
        let key = SigningKey::generate("bench.local/log", [7; 32])?;
        let options = LogOptions {
            checkpoint_records: checkpoints,
            ..LogOptions::default()
        };
        let opened = Arc::<Counting>::clone(&disk);
        let (mut log, _) = Log::open(opened, &data, lock, key, options, &mut |_, _| {})?;
        let before = disk.0.load(Ordering::Relaxed);
        for (number, body) in (1..=count).zip(bodies.iter().cycle()) {
            append(&mut log, body.as_bytes(), SystemClock.now())?;
            if number.is_multiple_of(64) {
                log.commit()?;
            }
            if log.seal_due() {
                log.seal()?;
            }
        }
        log.commit()?;
        *counted = float(disk.0.load(Ordering::Relaxed) - before);
    }
    let [on, off] = counted;
    note("syncs of the same records in batches of 64, counted at the disk");
    let each = |syncs: f64| Value(syncs / float(count) * 1e3, "per 1,000");
    ratio("syncs", each(on), ("no checkpoints", each(off)), None);
    let checkpoints = float(count / USUAL);
    plain(
        "syncs of one checkpoint",
        Value((on - off) / checkpoints, ""),
    );
    Ok(())
}

fn body(sample: &Sample) -> String {
    let json = as_json(sample).to_string();
    format!("{{\"id\":\"\",{}", json.trim_start_matches('{'))
}

/// Counts what makes things durable.
#[derive(Debug, Default)]
struct Counting(Arc<AtomicU64>);

impl Counting {
    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(CountingFile(file, Arc::clone(&self.0)))
    }
}

impl Disk for Counting {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.make_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        RealDisk.sync_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.create(path).map(|file| self.file(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open(path).map(|file| self.file(file))
    }

    fn read_from(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        RealDisk.read_from(path, offset)
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        RealDisk.identity(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        RealDisk.unlink(path)
    }
}

#[derive(Debug)]
struct CountingFile(Box<dyn DiskFile>, Arc<AtomicU64>);

impl DiskFile for CountingFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }

    fn identity(&self) -> io::Result<Identity> {
        self.0.identity()
    }
}
