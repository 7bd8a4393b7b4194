//! C2SP tlog-tiles v0.1.0: how the hashes of a log are cut into files, and its records into bundles.

use std::fmt::Write as _;

use thiserror::Error;

use crate::merkle::{HASH_BYTES, Hash, MAX_SIZE, node_hash};

/// Hashes in a full tile, records in a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Levels of the tree between a tile's level and the next: 256 is 2^8.
const TILE_HEIGHT: u32 = 8;

/// The largest level that the standard allows in a path.
pub const MAX_TILE_LEVEL: u8 = 63;

/// The levels that a tree of [`MAX_SIZE`] leaves has tiles at: 0 to 7.
const LEVELS: u8 = 8;

/// The longest record: an entry's length has two bytes.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// Why something is no tile or bundle.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TileError {
    /// A level above [`MAX_TILE_LEVEL`], a width outside 1 to 256, or an index that no tree reaches.
    #[error("no tile has this level, index and width")]
    NoSuchTile,
    /// Not the path of a tile, or not in its one right form.
    #[error("not the path of a tile")]
    Path,
    /// A tile's length is not 32 bytes for each hash.
    #[error("a tile of {width} hashes does not have {bytes} bytes")]
    Length {
        /// Hashes in the tile.
        width: u16,
        /// Bytes given.
        bytes: usize,
    },
    /// A bundle ends within an entry, or has more or fewer entries than its width.
    #[error("the bundle does not hold exactly {width} entries")]
    Bundle {
        /// Entries in the bundle.
        width: u16,
    },
    /// More than [`MAX_ENTRY_BYTES`].
    #[error("an entry of {0} bytes is longer than {MAX_ENTRY_BYTES}")]
    EntryTooLong(usize),
}

/// Which tile: hash `i` of it is the root of the complete subtree `256 * index + i` at level
/// `8 * level` of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    level: u8,
    index: u64,
    width: u16,
}

impl TileId {
    /// `level` up to [`MAX_TILE_LEVEL`]; `width` hashes, 1 to 256, of which 256 is a full tile.
    pub const fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        let reachable = index <= MAX_SIZE >> TILE_HEIGHT;
        if level > MAX_TILE_LEVEL || width == 0 || width > TILE_WIDTH || !reachable {
            return Err(TileError::NoSuchTile);
        }
        Ok(Self {
            level,
            index,
            width,
        })
    }

    /// The level of tiles, from 0; each is eight levels of the tree.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// From the left, from 0.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Hashes in it: 1 to 256.
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Whether it will never change.
    pub const fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full tile in whose place this one stands.
    pub const fn full(self) -> Self {
        Self {
            width: TILE_WIDTH,
            ..self
        }
    }

    /// The length of its file.
    pub const fn bytes(self) -> usize {
        // Widening, which a constant function cannot write as `usize::from`.
        self.width as usize * HASH_BYTES
    }

    /// Relative to the log's directory: `tile/0/x001/x234/067`, `tile/0/x001/x234/067.p/112`.
    pub fn path(self) -> String {
        format!("tile/{}/{}", self.level, numbered(self.index, self.width))
    }

    /// Where the records under a tile of level 0 are served: `tile/entries/x001/x234/067.p/112`.
    pub fn entries_path(self) -> String {
        format!("tile/entries/{}", numbered(self.index, self.width))
    }

    /// Reads what [`TileId::path`] writes, and nothing else.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let rest = path.strip_prefix("tile/").ok_or(TileError::Path)?;
        let (level, rest) = rest.split_once('/').ok_or(TileError::Path)?;
        let level = level.parse().ok().ok_or(TileError::Path)?;
        let (index, width) = parse_numbered(rest).ok_or(TileError::Path)?;
        let tile = Self::new(level, index, width)?;
        if tile.path() == path {
            Ok(tile)
        } else {
            Err(TileError::Path)
        }
    }

    /// Reads what [`TileId::entries_path`] writes, and nothing else; the tile of level 0 over the
    /// bundle.
    pub fn parse_entries(path: &str) -> Result<Self, TileError> {
        let rest = path.strip_prefix("tile/entries/").ok_or(TileError::Path)?;
        let (index, width) = parse_numbered(rest).ok_or(TileError::Path)?;
        let tile = Self::new(0, index, width)?;
        if tile.entries_path() == path {
            Ok(tile)
        } else {
            Err(TileError::Path)
        }
    }

    /// The level and the indices of the subtrees of the tree whose roots are its hashes, in order.
    pub fn subtrees(self) -> impl ExactSizeIterator<Item = (u32, u64)> {
        let level = u32::from(self.level) * TILE_HEIGHT;
        let first = self.index << TILE_HEIGHT;
        (0..self.width).map(move |at| (level, first + u64::from(at)))
    }

    /// The hashes in the tile's file.
    pub fn decode(self, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
        let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
        if bytes.len() != self.bytes() || !rest.is_empty() {
            return Err(TileError::Length {
                width: self.width,
                bytes: bytes.len(),
            });
        }
        Ok(hashes.iter().copied().map(Hash::from_bytes).collect())
    }
}

/// The bytes of a tile's file.
pub fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(Hash::as_bytes).copied().collect()
}

/// Where the root of a complete subtree is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The tile, as wide as it is at the size of the tree that was asked about.
    pub tile: TileId,
    /// The first of the tile's hashes that the subtree is made of.
    pub first: usize,
    /// How many: a power of two up to 128.
    pub count: usize,
}

impl Place {
    /// The root of the subtree, from all hashes of the tile; `None` when there are too few.
    pub fn root(&self, tile: &[Hash]) -> Option<Hash> {
        let mut hashes = tile
            .get(self.first..self.first.checked_add(self.count)?)?
            .to_vec();
        while hashes.len() > 1 {
            let (pairs, _) = hashes.as_chunks::<2>();
            hashes = pairs
                .iter()
                .map(|[left, right]| node_hash(left, right))
                .collect();
        }
        hashes.pop()
    }
}

/// Finds the complete subtree `index` at `level` of the tree in the tiles of a log of `size` records;
/// `None` when it is not complete there.
pub fn place(level: u32, index: u64, size: u64) -> Option<Place> {
    // 65 bits hold every end; a level beyond them has no complete subtree.
    let end = (u128::from(index) + 1)
        .checked_shl(level)
        .filter(|_| level < u64::BITS)?;
    if end > u128::from(size) || size > MAX_SIZE {
        return None;
    }
    let inside = level % TILE_HEIGHT;
    let tile_level = u8::try_from(level / TILE_HEIGHT).ok()?;
    let first = index << inside;
    let tile = at_width(tile_level, first >> TILE_HEIGHT, size)?;
    let first = usize::try_from(first % u64::from(TILE_WIDTH)).ok()?;
    Some(Place {
        tile,
        first,
        count: 1 << inside,
    })
}

/// The tile as wide as it is in a log of `size` records; `None` where it has no hash yet.
fn at_width(level: u8, index: u64, size: u64) -> Option<TileId> {
    let nodes = nodes(level, size).checked_sub(index.checked_mul(u64::from(TILE_WIDTH))?)?;
    let width = u16::try_from(nodes.min(u64::from(TILE_WIDTH))).ok()?;
    TileId::new(level, index, width).ok()
}

/// The hashes at a level of tiles.
fn nodes(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * TILE_HEIGHT)
        .unwrap_or(0)
}

/// Every tile of a log of `size` records (at most [`MAX_SIZE`]), full and partial, level by level, left
/// to right.
pub fn tiles_at(size: u64) -> impl Iterator<Item = TileId> {
    tiles_between(0, size)
}

/// The tiles that a log of `new` records has and one of `old` records had not: what is to be written
/// when it grows. Full tiles, and at most one partial tile for each level.
pub fn tiles_between(old: u64, new: u64) -> impl Iterator<Item = TileId> {
    (0..LEVELS).flat_map(move |level| {
        let (had, has) = (nodes(level, old), nodes(level, new));
        let first = had >> TILE_HEIGHT;
        let end = if had < has {
            has.div_ceil(u64::from(TILE_WIDTH))
        } else {
            first
        };
        (first..end).filter_map(move |index| at_width(level, index, new))
    })
}

/// The partial tiles of a log of `size` records: at most one for each level. They hold the roots of
/// all its complete subtrees, so a [`crate::merkle::Frontier`] is read from them alone.
pub fn partial_tiles(size: u64) -> impl Iterator<Item = TileId> {
    (0..LEVELS).filter_map(move |level| {
        at_width(level, nodes(level, size) >> TILE_HEIGHT, size).filter(|tile| !tile.is_full())
    })
}

/// `x001/x234/067`, and `.p/112` when not full.
fn numbered(index: u64, width: u16) -> String {
    let mut groups = vec![format!("{:03}", index % 1_000)];
    let mut rest = index / 1_000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1_000));
        rest /= 1_000;
    }
    groups.reverse();
    let mut path = groups.join("/");
    // Writing to a String cannot fail.
    if width != TILE_WIDTH && write!(path, ".p/{width}").is_err() {
        path.clear();
    }
    path
}

/// Undoes [`numbered`], and accepts some more; the caller compares.
fn parse_numbered(path: &str) -> Option<(u64, u16)> {
    let (index, width) = match path.split_once(".p/") {
        Some((index, width)) => (
            index,
            width.parse().ok().filter(|width| *width < TILE_WIDTH)?,
        ),
        None => (path, TILE_WIDTH),
    };
    let mut number = 0_u64;
    for group in index.split('/') {
        let group: u16 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
        number = number.checked_mul(1_000)?.checked_add(u64::from(group))?;
    }
    Some((number, width))
}

/// Appends one record to a bundle, behind its length in two big-endian bytes.
pub fn write_entry(record: &[u8], bundle: &mut Vec<u8>) -> Result<(), TileError> {
    let length = u16::try_from(record.len())
        .ok()
        .ok_or(TileError::EntryTooLong(record.len()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(record);
    Ok(())
}

/// The records of a bundle, which must be exactly `width`.
pub fn decode_bundle(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let wrong = TileError::Bundle { width };
    let mut records = Vec::new();
    let mut rest = bundle;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (record, after) = after.split_at_checked(length).ok_or(wrong)?;
        records.push(record);
        rest = after;
        if records.len() > usize::from(width) {
            return Err(wrong);
        }
    }
    if !rest.is_empty() || records.len() != usize::from(width) {
        return Err(wrong);
    }
    Ok(records)
}

#[cfg(test)]
mod tests;
