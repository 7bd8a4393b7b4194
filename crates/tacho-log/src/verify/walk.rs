use tacho_event::Timestamp;

use super::beginning::Beginning;
use super::evidence::Evidence;
use super::pairs::{Paired, Pairs, Unseen};
use super::quick::quick;
use super::tiles::Tiles;
use super::{Kept, Report, VerifyOptions};
use crate::checkpoint::VerifiedCheckpoint;
use crate::dir::LogDir;
use crate::merkle::{Frontier, leaf_hash};
use crate::reader::{Cursor, Step};

/// Reads all records once and compares them with everything that says what they should be.
pub(super) fn walk(
    dir: &LogDir,
    minimum: u64,
    checkpoint: Option<&VerifiedCheckpoint>,
    kept: &[Kept],
    options: &VerifyOptions,
    report: &mut Report,
) {
    let size = checkpoint.map_or(0, VerifiedCheckpoint::size);
    let mut walk = Walk {
        size,
        tree: Some(Frontier::new()),
        tiles: Tiles::new(dir, size),
        pairs: Pairs::default(),
        beginning: Beginning::new(minimum, options.min_retention),
        evidence: Evidence::new(dir, options.identities.as_deref()),
        kept,
        not_before: options.not_before,
        unread_to: None,
        tail: None,
        newest: None,
        root_is_right: false,
        checkpoint,
    };
    walk.at_size(report);
    walk.hashes_to(minimum, report);
    let mut cursor = Cursor::exactly(dir, minimum).with_identities(options.identities.clone());
    let readable = loop {
        let expected = cursor.expected();
        match cursor.next() {
            Ok(Step::Record { seq, .. }) => {
                walk.record(seq, cursor.line(), &|| cursor.file(), report);
            }
            Ok(Step::Unread { from, to, file }) => walk.unread(from, to, &file, report),
            Ok(Step::Damage { seq, file, what }) => walk.damage(seq, file, what, report),
            Ok(Step::End { torn }) => {
                walk.end(expected, torn, &cursor.file(), options, report);
                break true;
            }
            Err(error) => {
                report.incomplete(Some(expected), None, error_text(&error));
                break false;
            }
        }
    };
    report.newest = walk.newest.take();
    walk.tiles.report(walk.root_is_right, report);
    walk.beginning
        .report(size, walk.unread_to.is_some(), report);
    if readable {
        let all_read = walk.unread_to.is_none();
        walk.evidence
            .report(options.writer_running, all_read, report);
        walk.pairs.report(
            dir,
            Unseen {
                minimum,
                unread_to: walk.unread_to,
            },
            options,
            &cursor.file(),
            report,
        );
    }
}

fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

struct Walk<'a> {
    /// Records that the checkpoint covers.
    size: u64,
    checkpoint: Option<&'a VerifiedCheckpoint>,
    /// What else the records have to agree with.
    kept: &'a [Kept],
    not_before: Option<Timestamp>,
    /// The tree over the records, until one is found to be wrong.
    tree: Option<Frontier>,
    tiles: Tiles<'a>,
    pairs: Pairs,
    beginning: Beginning,
    evidence: Evidence<'a>,
    /// After the last record that could not be read.
    unread_to: Option<u64>,
    /// The first damage after the checkpoint: a torn tail, unless a further segment follows.
    tail: Option<(u64, String, String)>,
    newest: Option<String>,
    root_is_right: bool,
}

impl Walk<'_> {
    fn record(&mut self, seq: u64, line: &[u8], file: &dyn Fn() -> String, report: &mut Report) {
        if self.judge_tail(file, report) {
            return;
        }
        let quick = (seq < self.size).then(|| quick(line)).flatten();
        let parsed = quick.map_or_else(|| serde_json::from_slice::<Paired<'_>>(line), Ok);
        let record = match parsed {
            Ok(record) => record,
            Err(error) => {
                return self.damage(seq, file(), format!("it is no record: {error}"), report);
            }
        };
        report.records += 1;
        if seq >= self.size {
            report.unsealed += 1;
        }
        if let Some(timestamp) = record.timestamp.as_deref() {
            let newest = self.newest.get_or_insert_default();
            newest.clear();
            newest.push_str(timestamp);
        }
        self.pairs.take(seq, &record, file);
        let sealed = seq < self.size;
        self.evidence.take(seq, &record, line, sealed, file, report);
        if sealed {
            self.beginning.take(seq, &record, line, file, report);
        }
        if record.kind.as_deref() == Some("key_rotated") {
            self.rotated(seq, file, report);
        }
        if seq + 1 == self.size {
            self.fresh(seq, record.timestamp.as_deref(), file, report);
        }
        let leaf = leaf_hash(line);
        let Some(tree) = &mut self.tree else {
            // Without all records before it there is no tree, but still a place in a tile.
            self.tiles.compare(0, seq, &leaf, file, report);
            return;
        };
        let tiles = &mut self.tiles;
        tree.push_with(leaf, |level, index, hash| {
            tiles.compare(level, index, hash, file, report);
        });
        self.at_size(report);
    }

    /// The tree over records that are not read, from the hashes in the tiles. Whether they are the right
    /// ones the tiles above tell, and at last the root.
    fn hashes_to(&mut self, to: u64, report: &mut Report) {
        while let Some(tree) = self.tree.as_mut().filter(|tree| tree.size() < to) {
            let Some((leaf, path)) = self.tiles.leaf(tree.size(), report) else {
                self.tree = None;
                return;
            };
            let tiles = &mut self.tiles;
            tree.push_with(leaf, |level, index, hash| {
                tiles.compare(level, index, hash, &|| path.clone(), report);
            });
            self.at_size(report);
        }
    }

    /// The newest sealed record is as young as the caller demands.
    fn fresh(
        &self,
        seq: u64,
        timestamp: Option<&str>,
        file: &dyn Fn() -> String,
        report: &mut Report,
    ) {
        let Some(not_before) = self.not_before else {
            return;
        };
        let written = timestamp.and_then(|text| Timestamp::parse(text).ok());
        if written.is_none_or(|written| written < not_before) {
            let written = timestamp.unwrap_or("without a time");
            let what = format!(
                "the newest sealed record is of {written:.40}; one from {not_before} on is demanded"
            );
            report.incomplete(Some(seq), Some(&file()), what);
        }
    }

    /// Records that are encrypted to others: the tiles have their hashes.
    fn unread(&mut self, from: u64, to: u64, file: &str, report: &mut Report) {
        if to > self.size {
            let what = format!(
                "its name says records up to {to}, and {} are sealed",
                self.size
            );
            return self.damage(from, file.to_owned(), what, report);
        }
        report.unread += to.saturating_sub(from);
        self.unread_to = Some(to);
        self.hashes_to(to, report);
    }

    /// A change of the key has its proof beside the log.
    fn rotated(&self, seq: u64, file: &dyn Fn() -> String, report: &mut Report) {
        let proved = |kept: &Kept| kept.file.is_some() && kept.checkpoint.size() == seq + 1;
        if !self.kept.iter().any(proved) {
            let what = "the key was changed here, and no file in rotations proves it: the change was broken off, or its proof was removed";
            report.incomplete(Some(seq), Some(&file()), what.to_owned());
        }
    }

    /// Compares the root where a checkpoint says what it must be.
    fn at_size(&mut self, report: &mut Report) {
        let Some(tree) = &self.tree else { return };
        let signed = |checkpoint: &&VerifiedCheckpoint| checkpoint.size() == tree.size();
        if let Some(checkpoint) = self.checkpoint.filter(signed) {
            self.root_is_right = *checkpoint.root() == tree.root();
            if !self.root_is_right {
                let what = format!("the records give another root, {}", tree.root());
                report.tampered(None, Some("checkpoint"), what);
            }
        }
        for kept in self.kept.iter().filter(|kept| signed(&&kept.checkpoint)) {
            if kept.checkpoint.root() != &tree.root() {
                report.tampered(None, kept.file.as_deref(), kept.what.clone());
            }
        }
    }

    /// True while what is read belongs to the torn tail.
    fn judge_tail(&mut self, file: &dyn Fn() -> String, report: &mut Report) -> bool {
        let Some((seq, torn_file, what)) = self.tail.take() else {
            return false;
        };
        if torn_file == file() {
            self.tail = Some((seq, torn_file, what));
            return true;
        }
        // Only the newest segment can be torn.
        report.tampered(Some(seq), Some(&torn_file), what);
        false
    }

    fn damage(&mut self, seq: u64, file: String, what: String, report: &mut Report) {
        self.tree = None;
        if seq < self.size || self.checkpoint.is_none() {
            report.tampered(Some(seq), Some(&file), what);
        } else if !self.judge_tail(&|| file.clone(), report) {
            self.tail = Some((seq, file, what));
        }
    }

    fn end(
        &mut self,
        next: u64,
        torn: usize,
        file: &str,
        options: &VerifyOptions,
        report: &mut Report,
    ) {
        if next < self.size {
            let what = format!(
                "the records end before it; the checkpoint covers {}",
                self.size
            );
            report.tampered(Some(next), (!file.is_empty()).then_some(file), what);
        }
        if let Some((seq, file, what)) = self.tail.take() {
            let what = format!("a torn tail: {what}");
            report.incomplete(Some(seq), Some(&file), what);
        } else if torn > 0 && !options.writer_running {
            let what = format!("a torn tail: {torn} bytes without a line feed");
            report.incomplete(Some(next), Some(file), what);
        }
    }
}
