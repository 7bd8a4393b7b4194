#![cfg(test)]
//! Vectors from outside: `fixtures/vectors`, whose README names the sources. Each suite asserts how many
//! cases it ran, so that it cannot pass on an empty folder.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tacho_log::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, TlogProof};
use tacho_log::key::{KeyError, SigningKey, VerifyingKey, WitnessKey};
use tacho_log::merkle::{
    Frontier, Hash, ProofError, leaf_hash, verify_consistency, verify_inclusion,
    verify_subtree_consistency, verify_subtree_inclusion,
};
use tacho_log::tile::{TileId, decode_bundle, encode_tile, tiles_at, write_entry};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/vectors")
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = vectors().join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(path: impl AsRef<Path>) -> String {
    String::from_utf8(read(path)).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The hash in a vector. Some vectors have other bytes where a hash should be, to see that they
/// are not looked at, or not believed: those are stood for by a hash of their own.
fn hash(value: &Value) -> Hash {
    let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    <[u8; 32]>::try_from(bytes.as_slice()).map_or_else(|_| leaf_hash(&bytes), Hash::from_bytes)
}

fn hashes(value: &Value) -> Vec<Hash> {
    value
        .as_array()
        .map(|all| all.iter().map(hash).collect())
        .unwrap_or_default()
}

/// Runs every case in a folder, and returns how many were to be believed and how many not.
fn check(folder: &str, run: fn(&Value) -> Result<(), ProofError>) -> (usize, usize) {
    let (mut good, mut bad) = (0, 0);
    for path in files(&vectors().join("merkle-proofs").join(folder)) {
        let case: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let wrong = case["wantErr"].as_bool().unwrap();
        // No bytes at all: that such a leaf is no hash, the type says.
        let result = if case["leafHash"] == "" {
            None
        } else {
            Some(run(&case))
        };
        assert_ne!(
            result == Some(Ok(())),
            wrong,
            "{}: {result:?}",
            path.display()
        );
        if wrong { bad += 1 } else { good += 1 }
    }
    (good, bad)
}

fn number(case: &Value, name: &str) -> u64 {
    case[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name} in {case}"))
}

#[test]
fn inclusion_proofs_of_transparency_dev() {
    let ran = check("inclusion", |case| {
        let (index, size) = (number(case, "leafIdx"), number(case, "treeSize"));
        let leaf = hash(&case["leafHash"]);
        verify_inclusion(
            index,
            size,
            &leaf,
            &hashes(&case["proof"]),
            &hash(&case["root"]),
        )
    });
    assert_eq!(ran, (6, 92));
}

#[test]
fn consistency_proofs_of_transparency_dev() {
    let ran = check("consistency", |case| {
        let (size1, size2) = (number(case, "size1"), number(case, "size2"));
        let (root1, root2) = (hash(&case["root1"]), hash(&case["root2"]));
        verify_consistency(size1, &root1, size2, &root2, &hashes(&case["proof"]))
    });
    assert_eq!(ran, (6, 92));
}

#[test]
fn subtree_inclusion_proofs_of_transparency_dev() {
    let ran = check("subtreeinclusion", |case| {
        let (start, end) = (number(case, "start"), number(case, "end"));
        let (leaf, proof) = (hash(&case["leafHash"]), hashes(&case["proof"]));
        let index = number(case, "leafIdx");
        verify_subtree_inclusion(index, start, end, &leaf, &proof, &hash(&case["root"]))
    });
    assert_eq!(ran, (12, 192));
}

#[test]
fn subtree_consistency_proofs_of_transparency_dev() {
    let ran = check("subtreeconsistency", |case| {
        let (start, end) = (number(case, "start"), number(case, "end"));
        let (root1, root2) = (hash(&case["root1"]), hash(&case["root2"]));
        let proof = hashes(&case["proof"]);
        verify_subtree_consistency(start, end, number(case, "size"), &root1, &root2, &proof)
    });
    assert_eq!(ran, (12, 106));
}

const TESSERA: &str =
    "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";

/// Sizes 0 to 15: the signature, the root from the entry bundle, and the tile from the same leaves.
#[test]
fn the_log_of_tessera() {
    let key = VerifyingKey::parse(TESSERA).unwrap();
    assert_eq!(key.encode(), TESSERA);
    let mut before: Vec<Vec<u8>> = Vec::new();
    let mut ran = 0;
    for size in 0..=15_u16 {
        let bytes = read(format!("tessera-log/checkpoint.{size}"));
        let signed = SignedCheckpoint::parse(&bytes).unwrap();
        assert_eq!(signed.encode().as_bytes(), bytes);
        let checkpoint = signed.verify(&key).unwrap();
        assert_eq!(checkpoint.size(), u64::from(size));

        let mut frontier = Frontier::new();
        for tile in tiles_at(u64::from(size)) {
            assert_eq!(tile, TileId::new(0, 0, size).unwrap());
            let bundle = read(Path::new("tessera-log").join(tile.entries_path()));
            let records = decode_bundle(&bundle, tile.width()).unwrap();
            let leaves: Vec<Hash> = records.iter().map(|record| leaf_hash(record)).collect();
            leaves.iter().for_each(|leaf| frontier.push(*leaf));
            let stored = read(Path::new("tessera-log").join(tile.path()));
            assert_eq!(encode_tile(&leaves), stored);
            assert_eq!(tile.decode(&stored).unwrap(), leaves);
            assert!(records.starts_with(&before.iter().map(Vec::as_slice).collect::<Vec<_>>()));
            before = records.into_iter().map(<[u8]>::to_vec).collect();
        }
        assert_eq!(frontier.size(), u64::from(size));
        assert_eq!(frontier.root(), *checkpoint.root(), "size {size}");
        ran += 1;
    }
    assert_eq!((ran, before.len()), (16, 15));
    assert_eq!(
        read("tessera-log/checkpoint"),
        read("tessera-log/checkpoint.15")
    );
}

fn kat_records() -> Vec<Vec<u8>> {
    vec![
        br#"{"n":0,"kind":"log.start"}"#.to_vec(),
        br#"{"n":1,"kind":"call.intent","tool":"ssh.exec"}"#.to_vec(),
        br#"{"n":2,"kind":"call.done","ref":1,"outcome":"success"}"#.to_vec(),
        Vec::new(),
        (0..=255).collect(),
    ]
}

/// SHA-256 of `test-seed`, as `generate.py` has it.
fn kat_key() -> SigningKey {
    use sha2::Digest as _;
    let seed = sha2::Sha256::digest(b"test-seed");
    SigningKey::generate("audit.example.com/mcp/host-1", seed.into()).unwrap()
}

#[test]
fn known_answers_bundle_and_roots() {
    let records = kat_records();
    let bundle = read("kat/bundle");
    assert_eq!(decode_bundle(&bundle, 5).unwrap(), records);
    let mut again = Vec::new();
    records
        .iter()
        .for_each(|record| write_entry(record, &mut again).unwrap());
    assert_eq!(again, bundle);

    let roots = [
        "/SKURDCm8fQe/DsWIuo6h2j3NJw4wr/x3iPhIXp31PA=",
        "lFyT7PECjmbowKIMyOiVGohsuc1TWu0hN/XgiKYAvSE=",
        "yKdfgzGw8IYzKqbubXol3bWsi9XFwQKf96QXUzWQF8o=",
        "Cd3EY46gr9elvp08LQJriILpQSP706gr/5EN2sknXEI=",
        "1wbh77A7FR2x2GzmGyygjpuwQcUQD/aru8v+U0MMwh4=",
    ];
    let mut frontier = Frontier::new();
    for (record, root) in records.iter().zip(roots) {
        frontier.push(leaf_hash(record));
        assert_eq!(frontier.root().to_string(), root);
    }
    let proof: Vec<Hash> = text("kat/cons")
        .lines()
        .map(|line| Hash::from_base64(line).unwrap())
        .collect();
    let root = |line: &str| Hash::from_base64(line).unwrap();
    assert_eq!(proof.len(), 4);
    assert_eq!(
        verify_consistency(3, &root(roots[2]), 5, &root(roots[4]), &proof),
        Ok(())
    );
}

#[test]
fn known_answers_keys_and_checkpoint() {
    let key = kat_key();
    let vkey = text("kat/vkey");
    assert_eq!(key.verifying_key().encode(), vkey);
    assert_eq!(VerifyingKey::parse(&vkey).unwrap(), *key.verifying_key());
    assert_eq!(
        SigningKey::parse(&key.encode()).unwrap().verifying_key(),
        key.verifying_key()
    );
    let line = key.encode();
    assert!(line.starts_with("PRIVATE+KEY+audit.example.com/mcp/host-1+1023832c+"));
    assert_eq!(
        format!("{key:?}"),
        "SigningKey(audit.example.com/mcp/host-1+1023832c)"
    );

    let stored = text("kat/cp3");
    let root = Hash::from_base64("yKdfgzGw8IYzKqbubXol3bWsi9XFwQKf96QXUzWQF8o=").unwrap();
    let checkpoint = Checkpoint::new("audit.example.com/mcp/host-1", 3, root).unwrap();
    assert_eq!(
        SignedCheckpoint::sign(&checkpoint, &key).unwrap().encode(),
        stored
    );
    let signed = SignedCheckpoint::parse(stored.as_bytes()).unwrap();
    assert_eq!(
        *signed.verify(key.verifying_key()).unwrap().checkpoint(),
        checkpoint
    );

    let other = VerifyingKey::parse(TESSERA).unwrap();
    assert_eq!(signed.verify(&other), Err(CheckpointError::OtherLog));
    let moved = Checkpoint::new("audit.example.com/mcp/host-2", 3, root).unwrap();
    assert_eq!(
        SignedCheckpoint::sign(&moved, &key),
        Err(CheckpointError::OtherLog)
    );
}

#[test]
fn known_answers_tlog_proof() {
    let (key, witness) = (kat_key(), WitnessKey::parse(&text("kat/wvkey")).unwrap());
    assert_eq!(witness.encode(), text("kat/wvkey"));
    let bytes = read("kat/kat.tlog-proof");
    let proof = TlogProof::parse(&bytes).unwrap();
    assert_eq!(proof.encode().as_bytes(), bytes);
    assert_eq!(
        (proof.index(), proof.hashes().len(), proof.extra()),
        (1, 3, None)
    );
    let records = kat_records();
    for (index, record) in records.iter().enumerate() {
        assert_eq!(
            proof.verify(record, key.verifying_key()).is_ok(),
            index == 1,
            "{index}"
        );
    }
    assert_eq!(
        proof.checkpoint().verify_witness(&witness),
        Ok(1_790_000_000)
    );

    let again = TlogProof::new(1, proof.hashes().to_vec(), proof.checkpoint().clone()).unwrap();
    assert_eq!(again, proof);

    // One changed bit anywhere, and it is another proof, or none.
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 1;
        let Ok(broken) = TlogProof::parse(&broken) else {
            continue;
        };
        let believed = broken.verify(&records[1], key.verifying_key()).is_ok()
            && broken.checkpoint().verify_witness(&witness) == Ok(1_790_000_000);
        assert!(!believed, "byte {at}");
    }
}

/// The example of the standard's own page, and the keys of Go's `sumdb/note` tests.
#[test]
fn keys_of_other_tools() {
    for vkey in [
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ] {
        assert_eq!(VerifyingKey::parse(vkey).unwrap().encode(), vkey);
        assert_eq!(WitnessKey::parse(vkey), Err(KeyError::Type(1)));
        let wrong_id =
            vkey.replacen("+530d903a+", "+530d903b+", 1)
                .replacen("+c74f20a3+", "+c74f20a4+", 1);
        assert_eq!(VerifyingKey::parse(&wrong_id), Err(KeyError::WrongId));
    }
}
