use std::io;

use super::Report;
use crate::checkpoint::SignedCheckpoint;
use crate::dir::LogDir;
use crate::disk::{RealDisk, read_limited};
use crate::limits::{FINDINGS, NOTE_BYTES, TILE_BYTES};
use crate::merkle::Hash;
use crate::tile::{TILE_WIDTH, TileId, place};

/// Compares the hashes that the records give with those in the tiles, one open tile for each level.
pub(super) struct Tiles<'a> {
    dir: &'a LogDir,
    size: u64,
    open: Vec<Option<(TileId, Option<Vec<Hash>>)>>,
    /// Hashes that differ, in the order in which they were met.
    differences: Vec<Difference>,
    pub(super) compared: u64,
}

/// A hash in a tile that the records do not give.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) tile: TileId,
    /// The first record under it, and the segment in which the last of them was read.
    pub(super) seq: u64,
    pub(super) file: String,
}

impl<'a> Tiles<'a> {
    pub(super) fn new(dir: &'a LogDir, size: u64) -> Self {
        Self {
            dir,
            size,
            open: Vec::new(),
            differences: Vec::new(),
            compared: 0,
        }
    }

    /// The hash of a record that is not there to be read; `None` when its tile is missing, which is a
    /// finding then.
    pub(super) fn leaf(&mut self, seq: u64, report: &mut Report) -> Option<(Hash, String)> {
        let place = place(0, seq, self.size)?;
        let hashes = self.open(place.tile, report)?;
        Some((hashes.get(place.first).copied()?, place.tile.path()))
    }

    /// Compares the root of the complete subtree `index` at `level` of the tree, where it is one that
    /// tiles hold.
    pub(super) fn compare(
        &mut self,
        level: u32,
        index: u64,
        hash: &Hash,
        file: &dyn Fn() -> String,
        report: &mut Report,
    ) {
        if !level.is_multiple_of(8) {
            return;
        }
        let Some(place) = place(level, index, self.size) else {
            return;
        };
        let Some(hashes) = self.open(place.tile, report) else {
            return;
        };
        if hashes.get(place.first) != Some(hash) && self.differences.len() < FINDINGS {
            let seq = index.checked_shl(level).unwrap_or(0);
            self.differences.push(Difference {
                tile: place.tile,
                seq,
                file: file(),
            });
        }
    }

    /// The hashes of a tile, read once while the walk is under it.
    fn open(&mut self, tile: TileId, report: &mut Report) -> Option<&[Hash]> {
        let slot = usize::from(tile.level());
        self.open
            .resize_with(self.open.len().max(slot + 1), || None);
        let is_open = matches!(self.open.get(slot), Some(Some((open, _))) if *open == tile);
        if !is_open {
            let hashes = self.read(tile, report);
            if let Some(open) = self.open.get_mut(slot) {
                *open = Some((tile, hashes));
            }
        }
        match self.open.get(slot) {
            Some(Some((_, Some(hashes)))) => Some(hashes),
            _ => None,
        }
    }

    fn read(&mut self, tile: TileId, report: &mut Report) -> Option<Vec<Hash>> {
        let path = tile.path();
        let bytes = match read_limited(&RealDisk, &self.dir.tile(&tile), TILE_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.read_wider(tile),
            read => read.map(Some),
        };
        match bytes {
            Ok(Some(bytes)) => match tile.decode(&bytes) {
                Ok(hashes) => {
                    self.compared += 1;
                    return Some(hashes);
                }
                Err(error) => report.tampered(None, Some(&path), error.to_string()),
            },
            Ok(None) => report.incomplete(None, Some(&path), "the tile is missing".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                report.tampered(None, Some(&path), error.to_string());
            }
            Err(error) => report.incomplete(None, Some(&path), format!("cannot be read: {error}")),
        }
        None
    }

    /// A writer that makes a newer checkpoint removes the partial tiles that only the older one needs;
    /// their hashes are then the first ones of a wider tile.
    fn read_wider(&self, tile: TileId) -> io::Result<Option<Vec<u8>>> {
        let now = read_limited(&RealDisk, &self.dir.checkpoint(), NOTE_BYTES)?;
        let size = SignedCheckpoint::parse(&now).map_or(self.size, |now| now.unverified().size());
        if tile.is_full() || size <= self.size {
            return Ok(None);
        }
        for width in tile.width()..=TILE_WIDTH {
            let Ok(wider) = TileId::new(tile.level(), tile.index(), width) else {
                continue;
            };
            match read_limited(&RealDisk, &self.dir.tile(&wider), TILE_BYTES) {
                Ok(mut bytes) => {
                    bytes.truncate(tile.bytes());
                    return Ok(Some(bytes));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Says which is wrong where records and tiles differ: with the right root it is the tiles.
    pub(super) fn report(self, root_is_right: bool, report: &mut Report) {
        report.tiles = self.compared;
        for difference in self.differences {
            let Difference { tile, seq, file } = difference;
            let path = tile.path();
            if root_is_right {
                let what = "the tile does not hold the hashes of the records".to_owned();
                report.tampered(Some(seq), Some(&path), what);
            } else if tile.level() == 0 {
                let what = format!("the record is not the one that was sealed (see {path})");
                report.tampered(Some(seq), Some(&file), what);
            } else {
                let last = seq | ((1_u64 << (8 * u32::from(tile.level()))) - 1);
                let what = format!("one of the records up to {last} is not as sealed (see {path})");
                report.tampered(Some(seq), Some(&file), what);
            }
        }
    }
}
