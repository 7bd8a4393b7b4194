//! What is sealed: the newest checkpoint, the tiles of its right edge, the first record that is kept.

use std::io;
use std::path::PathBuf;

use super::super::OpenError;
use super::super::edge::Edge;
use super::failed;
use crate::checkpoint::SignedCheckpoint;
use crate::dir::LogDir;
use crate::disk::{Disk, read_limited};
use crate::key::VerifyingKey;
use crate::limits::{NOTE_BYTES, TILE_BYTES};
use crate::merkle::Hash;
use crate::minimum;
use crate::rotation::{Rotation, RotationError, rotations};
use crate::segment::Segment;
use crate::tile::{TileId, partial_tiles, place};

/// The newest change of the key, which must be to `key`: a retired key must not sign on.
pub(super) fn newest_rotation(
    disk: &dyn Disk,
    log: &LogDir,
    key: &VerifyingKey,
) -> Result<Option<Rotation>, OpenError> {
    let dir = log.rotations();
    // What the disk does is no finding about the log.
    let refused = |path: PathBuf| {
        move |error| {
            if let RotationError::Read(source) = error {
                return if source.kind() == io::ErrorKind::InvalidData {
                    let source = RotationError::Read(source);
                    OpenError::Rotation { path, source }
                } else {
                    OpenError::Io { path, source }
                };
            }
            let source = error;
            OpenError::Rotation { path, source }
        }
    };
    let mut all = rotations(disk, log).map_err(refused(dir))?;
    let Some((file, newest)) = all.pop() else {
        return Ok(None);
    };
    let newest = newest.map_err(refused(log.root().join(file)))?;
    if newest.new_key() != key {
        let size = newest.size();
        return Err(OpenError::RetiredKey { size });
    }
    Ok(Some(newest))
}

/// The newest checkpoint: that in its file, or that of a change of keys which a crash kept from being
/// published; the next seal publishes one that covers both.
pub(super) fn read_checkpoint(
    disk: &dyn Disk,
    log: &LogDir,
    key: &VerifyingKey,
    rotated: Option<Rotation>,
    segments: &[Segment],
) -> Result<Option<SignedCheckpoint>, OpenError> {
    let path = log.checkpoint();
    let bytes = match read_limited(disk, &path, NOTE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // All of them are made only after the first checkpoint. Signing anew would bless whatever
            // somebody made of the records in the meantime.
            let compressed = segments
                .iter()
                .find(|segment| !segment.plain)
                .map(Segment::file);
            let vkey = disk
                .identity(&log.vkey())
                .is_ok()
                .then(|| "vkey".to_owned());
            let pruned = disk
                .identity(&log.minimum_index())
                .is_ok()
                .then(|| "minimum-index".to_owned());
            return match compressed.or(vkey).or(pruned) {
                Some(evidence) => Err(OpenError::CheckpointMissing { path, evidence }),
                None => Ok(None),
            };
        }
        Err(source) => return Err(OpenError::Io { path, source }),
    };
    let refused = |source| OpenError::Checkpoint {
        path: path.clone(),
        source,
    };
    let signed = SignedCheckpoint::parse(&bytes).map_err(refused)?;
    let size = signed.unverified().size();
    if let Some(rotated) = rotated.filter(|rotated| rotated.size() > size) {
        signed.verify(rotated.old()).map_err(refused)?;
        return Ok(Some(rotated.checkpoint().clone()));
    }
    signed.verify(key).map_err(refused)?;
    Ok(Some(signed))
}

pub(super) fn read_tile(
    disk: &dyn Disk,
    log: &LogDir,
    size: u64,
    tile: TileId,
) -> Result<Vec<Hash>, OpenError> {
    let path = log.tile(&tile);
    let refused = |what: String| OpenError::Tiles {
        size,
        what: format!("{}: {what}", tile.path()),
    };
    let bytes = read_limited(disk, &path, TILE_BYTES).map_err(|error| {
        let tampered =
            [io::ErrorKind::NotFound, io::ErrorKind::InvalidData].contains(&error.kind());
        if tampered {
            refused(error.to_string())
        } else {
            failed(&path)(error)
        }
    })?;
    tile.decode(&bytes)
        .map_err(|error| refused(error.to_string()))
}

pub(super) fn read_edge(
    disk: &dyn Disk,
    log: &LogDir,
    checkpoint: Option<&SignedCheckpoint>,
) -> Result<Edge, OpenError> {
    let Some(checkpoint) = checkpoint.map(SignedCheckpoint::unverified) else {
        return Ok(Edge::default());
    };
    let size = checkpoint.size();
    let refused = |what| OpenError::Tiles { size, what };
    let mut tiles = Vec::new();
    for tile in partial_tiles(size) {
        tiles.push((tile, read_tile(disk, log, size, tile)?));
    }
    let edge = Edge::new(size, tiles).map_err(|error| refused(error.to_string()))?;
    if edge.root() != *checkpoint.root() {
        return Err(refused(format!("they give {}", edge.root())));
    }
    Ok(edge)
}

/// The leaf of the last sealed record, as the tiles have it.
pub(super) fn read_last_leaf(
    disk: &dyn Disk,
    log: &LogDir,
    size: u64,
) -> Result<Option<Hash>, OpenError> {
    let Some(place) = size.checked_sub(1).and_then(|last| place(0, last, size)) else {
        return Ok(None);
    };
    Ok(place.root(&read_tile(disk, log, size, place.tile)?))
}

/// The number, which only a checkpoint over a later record can have put there.
pub(super) fn read_minimum(disk: &dyn Disk, log: &LogDir, size: u64) -> Result<u64, OpenError> {
    let path = log.minimum_index();
    match minimum::read(disk, log) {
        Ok(minimum) if minimum > 0 && minimum >= size => {
            let what = format!(
                "it says that the log begins with record {minimum}, and the checkpoint covers {size}"
            );
            Err(OpenError::Minimum { path, what })
        }
        Ok(minimum) => Ok(minimum),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let what = error.to_string();
            Err(OpenError::Minimum { path, what })
        }
        Err(error) => Err(failed(&path)(error)),
    }
}
