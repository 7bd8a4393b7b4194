//! What C2SP tlog-tiles serves and this log does not store as files: entry bundles, made from the
//! segments, and partial tiles of older sizes, made from wider ones (`docs/format.md` §6, §12). Reads
//! only; a writer may be at work meanwhile.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::checkpoint::parse_decimal;
use crate::dir::LogDir;
use crate::disk::{RealDisk, read_limited};
use crate::limits::{SKIPPED_RECORDS, TILE_BYTES};
use crate::merkle::{Hash, leaf_hash};
use crate::reader::{Follow, ReadError, Reader};
use crate::tile::{TILE_WIDTH, TileError, TileId, write_entry};

/// Why a tile or a bundle cannot be had.
#[derive(Debug, Error)]
pub enum BundleError {
    /// A width outside 1 to 256, or an index that no log reaches.
    #[error(transparent)]
    NoSuchTile(#[from] TileError),
    /// The log is not that large, as far as it is sealed.
    #[error("{path} is not there: no checkpoint covers so much")]
    NotSealed {
        /// Relative to the log's directory.
        path: String,
    },
    /// Retention removed the records (`docs/format.md` §15).
    #[error("record {seq} was removed by retention; the records from {minimum} on are kept")]
    Pruned {
        /// The first record that was wanted.
        seq: u64,
        /// The first record that is there: C2SP tlog-tiles' minimum index.
        minimum: u64,
    },
    /// The records are in a segment that is encrypted to others (`docs/format.md` §15).
    #[error("record {seq} is in {file}, which is encrypted")]
    Encrypted {
        /// The first record that could not be had.
        seq: u64,
        /// The segment's file name.
        file: String,
    },
    /// There is no such record, though the log should have it.
    #[error("record {seq} is missing")]
    Missing {
        /// Which one.
        seq: u64,
    },
    /// The record is not the one that was sealed, or its tile is not as it was written.
    #[error("record {seq} is not the one in {path}: run tacho verify")]
    Differs {
        /// Which one.
        seq: u64,
        /// The tile with its hash.
        path: String,
    },
    /// A tile is too short, too long, or cannot be read.
    #[error("cannot read {path}")]
    Tile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A segment cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The bytes of one hash tile. A partial tile that is gone, because a newer checkpoint does not need it, is
/// made from a wider one.
///
/// # Errors
///
/// [`BundleError::NotSealed`] when the log has no such tile yet, [`BundleError::Tile`] when it is damaged.
pub fn hash_tile(dir: &LogDir, tile: &TileId) -> Result<Vec<u8>, BundleError> {
    // A writer that seals meanwhile puts a wider tile there before it removes the one that was just
    // listed; so whoever finds nothing looks again, and not for ever.
    for _ in 0..3 {
        let wider = partial_widths(dir, tile)?.into_iter().chain([TILE_WIDTH]);
        for width in std::iter::once(tile.width()).chain(wider) {
            let stored = TileId::new(tile.level(), tile.index(), width)?;
            let path = dir.tile(&stored);
            match read_limited(&RealDisk, &path, TILE_BYTES) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(BundleError::Tile { path, source }),
                Ok(bytes) if bytes.len() != stored.bytes() => {
                    let what = format!("{} bytes instead of {}", bytes.len(), stored.bytes());
                    let source = io::Error::new(io::ErrorKind::InvalidData, what);
                    return Err(BundleError::Tile { path, source });
                }
                Ok(mut bytes) => {
                    bytes.truncate(tile.bytes());
                    return Ok(bytes);
                }
            }
        }
    }
    Err(BundleError::NotSealed { path: tile.path() })
}

/// The hashes in a tile; see [`hash_tile`].
pub(crate) fn tile_hashes(dir: &LogDir, tile: &TileId) -> Result<Vec<Hash>, BundleError> {
    Ok(tile.decode(&hash_tile(dir, tile)?)?)
}

/// The partial tiles in a tile's place that are wider than it, the narrowest first.
fn partial_widths(dir: &LogDir, tile: &TileId) -> Result<Vec<u16>, BundleError> {
    let mut path = dir.tile(&tile.full()).into_os_string();
    path.push(".p");
    let path = PathBuf::from(path);
    let entries = match std::fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(BundleError::Tile { path, source }),
        Ok(entries) => entries,
    };
    let mut widths = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|width| (tile.width() + 1..TILE_WIDTH).contains(width))
        .collect::<Vec<u16>>();
    widths.sort_unstable();
    Ok(widths)
}

/// Entry bundle `index`, of `width` records (256: a full one): each record behind its length in two big-endian
/// bytes. See [`Bundles`], which is for whoever wants more than one.
///
/// # Errors
///
/// See [`Bundles::entry_bundle`].
pub fn entry_bundle(dir: &LogDir, index: u64, width: u16) -> Result<Vec<u8>, BundleError> {
    Bundles::new(dir).entry_bundle(index, width)
}

/// Makes entry bundles. It keeps its place in the segments, so that bundles asked for in order cost one
/// reading of the log: a compressed segment can only be read from its beginning.
#[derive(Debug)]
pub struct Bundles {
    dir: LogDir,
    at: Option<Follow>,
    /// The record that `at` comes to next.
    next: u64,
}

impl Bundles {
    /// A maker of bundles of the log in `dir`. Nothing is opened yet.
    pub fn new(dir: &LogDir) -> Self {
        Self {
            dir: dir.clone(),
            at: None,
            next: 0,
        }
    }

    /// Entry bundle `index`, of `width` records (256: a full one). Each record is compared with its hash in the
    /// tile, so that what does not belong to the tree is an error here and not at the reader's.
    ///
    /// # Errors
    ///
    /// [`BundleError::NotSealed`] for records that no checkpoint covers; [`BundleError::Pruned`] and
    /// [`BundleError::Encrypted`] for records that this log has no more in the clear; the others say that
    /// the log is damaged.
    pub fn entry_bundle(&mut self, index: u64, width: u16) -> Result<Vec<u8>, BundleError> {
        let tile = TileId::new(0, index, width)?;
        let first = index.saturating_mul(u64::from(TILE_WIDTH));
        let minimum = minimum_index(&self.dir);
        if first < minimum {
            return Err(BundleError::Pruned {
                seq: first,
                minimum,
            });
        }
        let mut bundle = Vec::new();
        for (seq, leaf) in (first..).zip(tile_hashes(&self.dir, &tile)?) {
            let record = self.record(seq)?;
            if leaf_hash(&record) != leaf {
                let path = tile.path();
                return Err(BundleError::Differs { seq, path });
            }
            write_entry(&record, &mut bundle)?;
        }
        Ok(bundle)
    }

    /// The bytes of record `seq`, as the segments have them.
    ///
    /// # Errors
    ///
    /// As [`Bundles::entry_bundle`]; a record that does not exist is [`BundleError::Missing`].
    pub(crate) fn record(&mut self, seq: u64) -> Result<Vec<u8>, BundleError> {
        let mut follow = match self.at.take() {
            Some(follow) if self.next <= seq && seq - self.next <= SKIPPED_RECORDS => follow,
            _ => Reader::new(&self.dir).follow(seq),
        };
        loop {
            match follow.poll() {
                Ok(Some((found, _))) if found < seq => {}
                Ok(Some((found, record))) if found == seq => {
                    self.next = seq.saturating_add(1);
                    self.at = Some(follow);
                    return Ok(record);
                }
                // A place kept from before may be in front of such records.
                Err(ReadError::Encrypted { to, .. }) if to <= seq => {}
                Ok(Some(_) | None) => return Err(self.why_not(seq, None)),
                Err(error) => return Err(self.why_not(seq, Some(error))),
            }
        }
    }

    /// What is known of a record that the segments do not give.
    fn why_not(&self, seq: u64, error: Option<ReadError>) -> BundleError {
        let minimum = minimum_index(&self.dir);
        if seq < minimum {
            return BundleError::Pruned { seq, minimum };
        }
        if let Some(file) = encrypted_segment(&self.dir, seq) {
            return BundleError::Encrypted { seq, file };
        }
        error.map_or(BundleError::Missing { seq }, BundleError::Read)
    }
}

/// The first record that retention has kept; 0 where nothing, or nothing readable, says more: a wrong number
/// there hides no record that the segments have.
pub(crate) fn minimum_index(dir: &LogDir) -> u64 {
    crate::minimum::minimum_index(dir).unwrap_or(0)
}

/// The encrypted segment that claims to have record `seq`: `YYYY-MM-DD-NNN.FIRST-END.jsonl.zst.age`.
fn encrypted_segment(dir: &LogDir, seq: u64) -> Option<String> {
    let names = std::fs::read_dir(dir.segments()).ok()?;
    names
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| {
            let range = name
                .strip_suffix(".jsonl.zst.age")
                .and_then(|stem| stem.rsplit_once('.')?.1.split_once('-'))
                .and_then(|(first, end)| Some(parse_decimal(first)?..parse_decimal(end)?));
            range.is_some_and(|range| range.contains(&seq))
        })
}

#[cfg(test)]
mod tests;
