use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::merkle::{Frontier, HashSource, leaf_hash};

fn tile(level: u8, index: u64, width: u16) -> TileId {
    TileId::new(level, index, width).unwrap()
}

#[test]
fn paths_are_those_of_the_standard() {
    let cases = [
        (tile(0, 0, 256), "tile/0/000", "tile/entries/000"),
        (tile(0, 999, 1), "tile/0/999.p/1", "tile/entries/999.p/1"),
        (
            tile(0, 1_000, 256),
            "tile/0/x001/000",
            "tile/entries/x001/000",
        ),
        (
            tile(0, 1_234_067, 256),
            "tile/0/x001/x234/067",
            "tile/entries/x001/x234/067",
        ),
        (
            tile(7, 1_234_067, 112),
            "tile/7/x001/x234/067.p/112",
            "tile/entries/x001/x234/067.p/112",
        ),
        (
            tile(63, MAX_SIZE >> 8, 255),
            "tile/63/x036/x028/x797/x018/x963/967.p/255",
            "tile/entries/x036/x028/x797/x018/x963/967.p/255",
        ),
    ];
    for (tile, path, entries) in cases {
        assert_eq!(
            (tile.path(), tile.entries_path()),
            (path.to_owned(), entries.to_owned())
        );
        assert_eq!(TileId::parse(path), Ok(tile));
        let bundle = TileId::parse_entries(entries).unwrap();
        assert_eq!(
            (bundle.level(), bundle.index(), bundle.width()),
            (0, tile.index(), tile.width())
        );
    }
}

#[test]
fn other_paths_are_refused() {
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "/tile/0/000",
        "tile/00/000",
        "tile/+0/000",
        "tile/64/000",
        "tile/256/000",
        "tile/-1/000",
        "tile/0/000/",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/x000",
        "tile/0/x01/000",
        "tile/0/x1000/000",
        "tile/0/+01",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/000.p",
        "tile/8/0/000",
        "tile/data/000",
        "tile/entries/000",
        "tile/0/../000",
        "tile/0/xx01/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x036/x028/x797/x018/x963/968",
        "tile/0/\u{661}\u{661}\u{661}",
    ] {
        assert!(TileId::parse(path).is_err(), "{path}");
        let entries = path.replacen("tile/0/", "tile/entries/", 1);
        if entries != path {
            assert!(TileId::parse_entries(&entries).is_err(), "{entries}");
        }
    }
    assert!(TileId::parse_entries("tile/0/000").is_err());
    for (level, index, width) in [
        (64, 0, 1),
        (0, 0, 0),
        (0, 0, 257),
        (0, (MAX_SIZE >> 8) + 1, 1),
    ] {
        assert_eq!(TileId::new(level, index, width), Err(TileError::NoSuchTile));
    }
}

#[test]
fn seventy_thousand_records() {
    let mut count = BTreeMap::<(u8, bool), usize>::new();
    for tile in tiles_at(70_000) {
        *count.entry((tile.level(), tile.is_full())).or_default() += 1;
    }
    let expected = [
        ((0, true), 273),
        ((0, false), 1),
        ((1, true), 1),
        ((1, false), 1),
        ((2, false), 1),
    ];
    assert_eq!(count, BTreeMap::from(expected));
    let partial: Vec<TileId> = partial_tiles(70_000).collect();
    assert_eq!(partial, [tile(0, 273, 112), tile(1, 1, 17), tile(2, 0, 1)]);
}

#[test]
fn tiles_at_the_edges() {
    assert_eq!(tiles_at(0).count(), 0);
    assert_eq!(partial_tiles(0).count(), 0);
    assert_eq!(
        tiles_at(256).collect::<Vec<_>>(),
        [tile(0, 0, 256), tile(1, 0, 1)]
    );
    assert_eq!(partial_tiles(65_536).collect::<Vec<_>>(), [tile(2, 0, 1)]);
    assert_eq!(tiles_between(256, 256).count(), 0);
    assert_eq!(tiles_between(257, 256).count(), 0);
    assert_eq!(tiles_between(256, 257).collect::<Vec<_>>(), [tile(0, 1, 1)]);
    assert_eq!(
        tiles_between(255, 256).collect::<Vec<_>>(),
        [tile(0, 0, 256), tile(1, 0, 1)]
    );
    // Level 7 at the largest size: 2^63 - 1 is 127 whole 256^7, and so on down.
    assert_eq!(partial_tiles(MAX_SIZE).count(), 8);
    assert_eq!(partial_tiles(MAX_SIZE).last(), Some(tile(7, 0, 127)));
}

/// Tiles in memory, grown as a writer grows them.
#[derive(Default)]
struct Tiles {
    files: BTreeMap<TileId, Vec<u8>>,
    size: u64,
    complete: BTreeMap<(u32, u64), Hash>,
    frontier: Frontier,
}

impl Tiles {
    fn grow(&mut self, size: u64) {
        while self.frontier.size() < size {
            let leaf = leaf_hash(&self.frontier.size().to_be_bytes());
            let complete = &mut self.complete;
            self.frontier.push_with(leaf, |level, index, hash| {
                complete.insert((level, index), *hash);
            });
        }
        for tile in tiles_between(self.size, size) {
            let hashes: Vec<Hash> = tile.subtrees().map(|at| self.complete[&at]).collect();
            let bytes = encode_tile(&hashes);
            assert_eq!(tile.decode(&bytes).unwrap(), hashes);
            self.files.insert(tile, bytes);
        }
        self.size = size;
    }
}

impl HashSource for Tiles {
    type Error = String;

    fn hash(&self, level: u32, index: u64) -> Result<Hash, String> {
        let place = place(level, index, self.size).ok_or("not complete")?;
        let bytes = self
            .files
            .get(&place.tile)
            .ok_or_else(|| place.tile.path())?;
        let hashes = place
            .tile
            .decode(bytes)
            .map_err(|error| error.to_string())?;
        place.root(&hashes).ok_or_else(|| "no root".to_owned())
    }
}

/// Grown in steps of any size, a log has every tile it needs, and each complete subtree is found.
#[test]
fn every_subtree_is_found_in_the_tiles() {
    let mut tiles = Tiles::default();
    for size in [
        0, 1, 5, 255, 256, 257, 511, 900, 901, 65_535, 65_536, 65_537, 66_000,
    ] {
        tiles.grow(size);
        let needed: BTreeSet<TileId> = tiles_at(size).collect();
        assert!(
            needed.iter().all(|tile| tiles.files.contains_key(tile)),
            "{size}"
        );
        assert_eq!(
            Frontier::read(&tiles, size).unwrap(),
            tiles.frontier,
            "{size}"
        );
    }
    for (at, hash) in tiles.complete.iter().step_by(7) {
        assert_eq!(tiles.hash(at.0, at.1).as_ref(), Ok(hash), "{at:?}");
    }
}

#[test]
fn an_incomplete_subtree_has_no_place() {
    assert!(place(0, 5, 5).is_none());
    assert!(place(0, 4, 5).is_some());
    assert!(place(3, 0, 7).is_none());
    for level in [62, 63, 64, 65, 511, 512, u32::MAX] {
        assert_eq!(place(level, 0, MAX_SIZE).is_some(), level == 62);
        assert!(place(level, u64::MAX, MAX_SIZE).is_none());
    }
    assert!(place(0, 0, MAX_SIZE + 1).is_none());
    let short = place(1, 1, 4).unwrap();
    assert_eq!(short.root(&[leaf_hash(b""); 3]), None);
}

#[test]
fn tiles_of_the_wrong_length() {
    let partial = tile(0, 0, 2);
    for bytes in [0, 1, 32, 63, 65, 96, 8_192] {
        let error = TileError::Length { width: 2, bytes };
        assert_eq!(partial.decode(&vec![0; bytes]), Err(error));
    }
    assert_eq!(partial.decode(&[0; 64]).unwrap().len(), 2);
    assert_eq!(partial.full().bytes(), 8_192);
}

#[test]
fn bundles_of_the_wrong_length() {
    let longest = vec![7; MAX_ENTRY_BYTES];
    let records: [&[u8]; 3] = [b"one", b"", &longest];
    let mut bundle = Vec::new();
    records
        .iter()
        .for_each(|record| write_entry(record, &mut bundle).unwrap());
    assert_eq!(decode_bundle(&bundle, 3).unwrap(), records);
    for width in [0, 1, 2, 4, 256] {
        assert_eq!(
            decode_bundle(&bundle, width),
            Err(TileError::Bundle { width })
        );
    }
    for end in (0..12).chain(bundle.len() - 3..bundle.len()) {
        assert!(decode_bundle(&bundle[..end], 3).is_err(), "{end}");
    }
    bundle.push(0);
    assert!(decode_bundle(&bundle, 3).is_err());
    let mut untouched = Vec::new();
    let error = write_entry(&[0; MAX_ENTRY_BYTES + 1], &mut untouched);
    assert_eq!(error, Err(TileError::EntryTooLong(MAX_ENTRY_BYTES + 1)));
    assert!(untouched.is_empty());
}

proptest! {
    #[test]
    fn parses_nothing_but_what_it_writes(
        path in prop_oneof![
            any::<String>(),
            "tile/[0-9]{1,2}/(x[0-9]{3}/){0,3}[0-9]{3}(\\.p/[0-9]{1,3})?",
            "tile/entries/(x?[0-9]{3}/){0,3}[0-9]{3}(\\.p/[0-9]{1,3})?",
        ],
    ) {
        if let Ok(tile) = TileId::parse(&path) {
            prop_assert_eq!(tile.path(), path.as_str());
        }
        if let Ok(tile) = TileId::parse_entries(&path) {
            prop_assert_eq!(tile.entries_path(), path);
        }
    }

    #[test]
    fn paths_round_trip(level in 0..=MAX_TILE_LEVEL, index in 0..=MAX_SIZE >> 8, width in 1..=TILE_WIDTH) {
        let id = tile(level, index, width);
        prop_assert_eq!(TileId::parse(&id.path()), Ok(id));
    }

    #[test]
    fn bundles_round_trip(bytes in any::<Vec<u8>>(), width in 0..4_u16) {
        if let Ok(records) = decode_bundle(&bytes, width) {
            let mut again = Vec::new();
            records.iter().for_each(|record| write_entry(record, &mut again).unwrap());
            prop_assert_eq!(again, bytes);
        }
    }
}
