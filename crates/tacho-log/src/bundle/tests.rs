use std::sync::Arc;

use tacho_event::Timestamp;

use super::*;
use crate::key::SigningKey;
use crate::tile::decode_bundle;
use crate::{DataDir, Log, LogOptions, compress_segment};

const DAY: u64 = 86_400_000_000_000;

fn body(n: u64) -> Vec<u8> {
    format!(r#"{{"id":"x","n":{n}}}"#).into_bytes()
}

fn line(n: u64) -> Vec<u8> {
    format!(r#"{{"v":1,"seq":{n},"id":"x","n":{n}}}"#).into_bytes()
}

/// A log sealed at each of `sizes`, with a new day after each, and all but the last day compressed.
fn log(sizes: &[u64]) -> (tempfile::TempDir, DataDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::create(&temp.path().join("data")).unwrap();
    let key = SigningKey::generate("tacho.local/bundle", [7; 32]).unwrap();
    let (mut log, _) = Log::open(
        Arc::new(RealDisk),
        &dir,
        dir.lock().unwrap(),
        key,
        LogOptions::default(),
        &mut |_, _| {},
    )
    .unwrap();
    for (day, size) in (20_000..).zip(sizes) {
        for n in log.size()..*size {
            log.append(&body(n), Timestamp::from_unix_nanos(day * DAY))
                .unwrap();
        }
        log.commit().unwrap();
        log.seal().unwrap();
    }
    for segment in log.closed_segments() {
        compress_segment(&RealDisk, &segment).unwrap();
    }
    (temp, dir)
}

fn check(bundles: &mut Bundles, index: u64, width: u16) {
    let bundle = bundles.entry_bundle(index, width).unwrap();
    let records = decode_bundle(&bundle, width).unwrap();
    for (seq, record) in (index * 256..).zip(records) {
        assert_eq!(record, line(seq));
    }
}

#[test]
fn bundles_across_compressed_and_plain_segments() {
    let (_temp, dir) = log(&[300, 700, 1_000]);
    let mut bundles = Bundles::new(dir.log());
    // In order, again, backwards, with a jump, and at every older width.
    for (index, width) in [
        (0, 256),
        (1, 256),
        (2, 256),
        (3, 232),
        (3, 1),
        (0, 1),
        (2, 200),
    ] {
        check(&mut bundles, index, width);
        check(&mut Bundles::new(dir.log()), index, width);
    }
    for width in 1..=256 {
        check(&mut bundles, 1, width);
    }
    for (index, width) in [(3, 233), (3, 256), (4, 1)] {
        let error = bundles.entry_bundle(index, width).unwrap_err();
        assert!(matches!(error, BundleError::NotSealed { .. }), "{error}");
    }
    for width in [0, 257] {
        let error = bundles.entry_bundle(0, width).unwrap_err();
        assert!(matches!(error, BundleError::NoSuchTile(_)), "{error}");
    }
}

#[test]
fn tiles_of_older_sizes_come_from_wider_ones() {
    let (_temp, dir) = log(&[300, 700]);
    let full = |index| {
        (index * 256_u64..)
            .take(256)
            .map(|n| leaf_hash(&line(n)))
            .collect::<Vec<_>>()
    };
    // 1.p/44 was removed when the tile became full; 2.p/188 is the newest.
    for (index, width) in [(1, 44), (1, 256), (2, 1), (2, 187), (2, 188), (0, 255)] {
        let tile = TileId::new(0, index, width).unwrap();
        let expected = &full(index)[..usize::from(width)];
        assert_eq!(tile_hashes(dir.log(), &tile).unwrap(), expected, "{tile:?}");
    }
    for (level, index, width) in [(0, 2, 189), (0, 2, 256), (0, 3, 1), (1, 0, 3), (2, 0, 1)] {
        let tile = TileId::new(level, index, width).unwrap();
        let error = hash_tile(dir.log(), &tile).unwrap_err();
        assert!(matches!(error, BundleError::NotSealed { .. }), "{error}");
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "an intruder cares little for durability"
)]
fn what_cannot_be_had_is_said_precisely() {
    let (_temp, dir) = log(&[300, 700]);
    let log = dir.log();
    let segment = |name: &str| log.segments().join(name);
    let (first, second) = ("2024-10-04-000.jsonl.zst", "2024-10-05-000.jsonl");

    // A record that is another one.
    let good = std::fs::read(segment(second)).unwrap();
    let bad = String::from_utf8(good.clone())
        .unwrap()
        .replace("\"n\":400}", "\"n\":401}");
    std::fs::write(segment(second), bad).unwrap();
    let error = entry_bundle(log, 1, 256).unwrap_err();
    assert!(
        matches!(error, BundleError::Differs { seq: 400, .. }),
        "{error}"
    );
    std::fs::write(segment(second), &good).unwrap();

    // A tile that was cut.
    let tile = log.tile(&TileId::new(0, 1, 256).unwrap());
    let whole = std::fs::read(&tile).unwrap();
    std::fs::write(&tile, &whole[..8_000]).unwrap();
    let error = entry_bundle(log, 1, 256).unwrap_err();
    assert!(matches!(error, BundleError::Tile { .. }), "{error}");
    std::fs::write(&tile, whole).unwrap();

    // Encrypted to others, then pruned.
    let zst = std::fs::read(segment(first)).unwrap();
    std::fs::remove_file(segment(first)).unwrap();
    let error = entry_bundle(log, 0, 256).unwrap_err();
    assert!(matches!(error, BundleError::Read(_)), "{error}");
    let error = entry_bundle(log, 1, 256).unwrap_err();
    assert!(
        matches!(error, BundleError::Missing { seq: 256 }),
        "{error}"
    );
    std::fs::write(segment("2024-10-04-000.0-300.jsonl.zst.age"), zst).unwrap();
    for (index, seq) in [(0, 0), (1, 256)] {
        let error = entry_bundle(log, index, 256).unwrap_err();
        assert!(
            matches!(&error, BundleError::Encrypted { seq: at, file } if *at == seq && file.ends_with(".age")),
            "{error}"
        );
    }
    std::fs::write(log.minimum_index(), "300\n").unwrap();
    let error = entry_bundle(log, 1, 256).unwrap_err();
    let pruned = matches!(
        error,
        BundleError::Pruned {
            seq: 256,
            minimum: 300
        }
    );
    assert!(pruned, "{error}");
    check(&mut Bundles::new(log), 2, 188);
}
