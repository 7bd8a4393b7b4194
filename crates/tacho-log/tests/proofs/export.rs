//! A log as the files of C2SP tlog-tiles.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tacho_log::checkpoint::SignedCheckpoint;
use tacho_log::export::{ExportError, Exported, export_tiles};
use tacho_log::merkle::{Frontier, leaf_hash};
use tacho_log::tile::{decode_bundle, tiles_at};

use super::{Fixture, line, vkey};

fn export(fixture: &Fixture, to: &Path) -> Result<Exported, ExportError> {
    // The last one that was made is the newest.
    let newest = &fixture.sealed[fixture.sealed.len() - 1];
    export_tiles(fixture.log(), newest, to)
}

/// Reads an export as a monitor does: checkpoint, each bundle, each tile.
fn check(to: &Path, size: u64) {
    let note = std::fs::read(to.join("checkpoint")).unwrap();
    let checkpoint = SignedCheckpoint::parse(&note).unwrap();
    let checkpoint = checkpoint.verify(&vkey()).unwrap();
    assert_eq!(checkpoint.size(), size);
    let mut tree = Frontier::new();
    for tile in tiles_at(size) {
        let bytes = std::fs::read(to.join(tile.path())).unwrap();
        let hashes = tile.decode(&bytes).unwrap();
        if tile.level() > 0 {
            continue;
        }
        let bundle = std::fs::read(to.join(tile.entries_path())).unwrap();
        for (record, hash) in decode_bundle(&bundle, tile.width())
            .unwrap()
            .iter()
            .zip(hashes)
        {
            assert_eq!(*record, line(tree.size()));
            assert_eq!(leaf_hash(record), hash);
            tree.push(hash);
        }
    }
    assert_eq!(tree.root(), *checkpoint.root());
}

fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn an_export_grows_with_its_log() {
    let mut fixture = Fixture::new(&[1, 300], 4);
    let temp = tempfile::tempdir().unwrap();
    let to = temp.path().join("a/b");
    // Two tiles and bundles, one tile above, and the checkpoint.
    let done = export(&fixture, &to).unwrap();
    assert_eq!((done.size, done.written, done.kept), (300, 6, 0));
    check(&to, 300);
    let before = files(&to);
    let done = export(&fixture, &to).unwrap();
    assert_eq!((done.written, done.kept), (0, 6));
    assert_eq!(files(&to), before);

    fixture.grow(310);
    let done = export(&fixture, &to).unwrap();
    assert_eq!((done.written, done.kept), (3, 3));
    check(&to, 310);
    // The partial tiles of the older size stay: a checkpoint was given out that needs them.
    assert!(to.join("tile/0/001.p/44").exists());

    fixture.grow(70_000);
    export(&fixture, &to).unwrap();
    check(&to, 70_000);
    // Their full ones are there.
    assert!(!to.join("tile/0/001.p").exists() && !to.join("tile/entries/001.p").exists());
}

/// A run that was stopped anywhere leaves files without a checkpoint, or with the old one.
#[test]
fn a_stopped_export_goes_on() {
    let fixture = Fixture::new(&[700], 0);
    let temp = tempfile::tempdir().unwrap();
    let whole = temp.path().join("whole");
    export(&fixture, &whole).unwrap();
    let all = files(&whole);
    for gone in all.keys() {
        std::fs::remove_file(gone).unwrap();
        let stray = PathBuf::from(format!("{}.tmp", gone.display()));
        std::fs::copy(fixture.log().checkpoint(), &stray).unwrap();
        let done = export(&fixture, &whole).unwrap();
        assert_eq!(done.written, 1, "{}", gone.display());
        assert_eq!(files(&whole), all);
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "an intruder cares little for durability"
)]
fn what_is_not_ours_is_not_touched() {
    let fixture = Fixture::new(&[300, 310], 0);
    let temp = tempfile::tempdir().unwrap();
    let refused = |to: &Path, words: &str| {
        let before = files(to);
        let error = export(&fixture, to).unwrap_err();
        assert!(matches!(error, ExportError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(files(to), before);
    };
    let home = temp.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("thesis.tex"), "x").unwrap();
    refused(&home, "thesis.tex");
    refused(fixture.log().root(), "directory of its own");

    let other = temp.path().join("other");
    export(&fixture, &other).unwrap();
    let note = std::fs::read(other.join("checkpoint")).unwrap();
    let put = |note: &[u8]| std::fs::write(other.join("checkpoint"), note).unwrap();
    put(b"nonsense");
    refused(&other, "checkpoint");
    let key = super::key("tacho.local/other", 1);
    let sign = |origin: &str, size| {
        let root = leaf_hash(b"another history");
        let checkpoint = tacho_log::checkpoint::Checkpoint::new(origin, size, root).unwrap();
        let key = if origin == key.name() {
            &key
        } else {
            &super::key(origin, 1)
        };
        SignedCheckpoint::sign(&checkpoint, key).unwrap().encode()
    };
    put(sign("tacho.local/other", 300).as_bytes());
    refused(&other, "it is of the log tacho.local/other");
    put(sign("tacho.local/proofs", 311).as_bytes());
    refused(&other, "put back");
    put(sign("tacho.local/proofs", 300).as_bytes());
    refused(&other, "two histories");
    put(&note);
    export(&fixture, &other).unwrap();

    for file in [
        "tile/0/000",
        "tile/entries/000",
        "tile/entries/001.p/54",
        "tile/1/000.p/1",
    ] {
        let path = other.join(file);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[10] ^= 1;
        std::fs::write(&path, bad).unwrap();
        refused(&other, "its contents are others");
        std::fs::write(&path, good).unwrap();
    }
}

/// A tile that was changed, and no bundle or checkpoint that would go out with it.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "an intruder cares little for durability"
)]
fn a_damaged_log_is_not_exported() {
    let fixture = Fixture::new(&[66_000], 0);
    for tile in [
        "tile/0/003",
        "tile/0/257.p/208",
        "tile/1/000",
        "tile/1/001.p/1",
        "tile/2/000.p/1",
    ] {
        let path = fixture.log().root().join(tile);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[5] ^= 1;
        std::fs::write(&path, bad).unwrap();
        let temp = tempfile::tempdir().unwrap();
        let error = export(&fixture, temp.path()).unwrap_err();
        assert!(
            !matches!(error, ExportError::Foreign { .. }),
            "{tile}: {error}"
        );
        assert!(!temp.path().join("checkpoint").exists(), "{tile}");
        std::fs::write(&path, good).unwrap();
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "as retention does")]
fn what_retention_removed_is_left_out() {
    let fixture = Fixture::new(&[300, 1_000], 0);
    let first = fixture.log().segments().join("2024-10-04-000.jsonl.zst");
    let zst = std::fs::read(&first).unwrap();
    std::fs::remove_file(&first).unwrap();
    std::fs::write(fixture.log().minimum_index(), "300\n").unwrap();
    let temp = tempfile::tempdir().unwrap();
    let done = export(&fixture, temp.path()).unwrap();
    assert_eq!(done.pruned_below, Some(512));
    let has = |path: &str| temp.path().join("tile").join(path).exists();
    assert!(has("0/000") && has("0/001") && has("entries/002"));
    assert!(!has("entries/000") && !has("entries/001"));

    std::fs::remove_file(fixture.log().minimum_index()).unwrap();
    let encrypted = "2024-10-04-000.0-300.jsonl.zst.age";
    std::fs::write(fixture.log().segments().join(encrypted), zst).unwrap();
    let done = export(&fixture, &temp.path().join("tile2")).unwrap();
    assert_eq!((done.encrypted_bundles, done.encrypted.len()), (2, 1));
}
