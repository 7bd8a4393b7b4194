//! Proofs from the files of a log: that a record is in it, and that it still begins with what an older
//! checkpoint covers (`docs/format.md` §12). Reads only; a writer may be at work meanwhile.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::bundle::{BundleError, Bundles, tile_hashes};
use crate::checkpoint::{
    CheckpointError, ConsistencyProof, ConsistencyProofError, SignedCheckpoint, TlogProof,
    TlogProofError,
};
use crate::dir::LogDir;
use crate::disk::{RealDisk, read_limited};
use crate::limits::{NOTE_BYTES, OPEN_TILES};
use crate::merkle::{
    self, Hash, HashSource, ProofError, consistency_proof, inclusion_proof, leaf_hash,
    verify_inclusion,
};
use crate::reader::{ReadError, Reader};
use crate::tile::{TileId, place};

/// Why there is no proof.
#[derive(Debug, Error)]
pub enum ProveError {
    /// The log has no checkpoint, so nothing can be proved yet.
    #[error("the log has no checkpoint yet")]
    NeverSealed,
    /// The record is there, and no checkpoint covers it yet.
    #[error("record {seq} is not sealed yet: the newest checkpoint covers {size} records")]
    NotSealed {
        /// Which one.
        seq: u64,
        /// Records that the checkpoint covers.
        size: u64,
    },
    /// The log has no such record.
    #[error("there is no record {seq}: the log has {end}")]
    NoSuchRecord {
        /// Which one.
        seq: u64,
        /// Records in the log.
        end: u64,
    },
    /// No checkpoint of that size is kept, and a proof without a signature proves nothing.
    #[error("no signed checkpoint of {size} records is kept; the newest covers {newest}")]
    NoCheckpoint {
        /// The size that was asked for.
        size: u64,
        /// The size of the newest one.
        newest: u64,
    },
    /// The older log would be larger than the newer one, or empty.
    #[error("a log of {old} records is no beginning of one of {new}, or proves nothing")]
    NoPrefix {
        /// Size of the older one.
        old: u64,
        /// Size of the newer one.
        new: u64,
    },
    /// A checkpoint cannot be read, or is none.
    #[error("cannot use {path}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: UnusableCheckpoint,
    },
    /// A tile, or the record.
    #[error(transparent)]
    Log(#[from] BundleError),
    /// The end of the log.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The tiles do not lead to the root of the checkpoint.
    #[error("the tiles do not give the root of the checkpoint of {size} records: run tacho verify")]
    Damaged {
        /// Records that the checkpoint covers.
        size: u64,
        /// What the check of the proof said.
        source: ProofError,
    },
    /// More than a proof can hold.
    #[error(transparent)]
    Inclusion(#[from] TlogProofError),
    /// More than a proof can hold.
    #[error(transparent)]
    Consistency(#[from] ConsistencyProofError),
}

/// What is wrong with the file of a checkpoint.
#[derive(Debug, Error)]
pub enum UnusableCheckpoint {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no checkpoint.
    #[error(transparent)]
    Note(#[from] CheckpointError),
}

/// The hashes of a log of some size, from its tiles; from wider ones where the partial tiles of that size
/// are gone. What they say is only as good as the root that is made of them.
#[derive(Debug)]
pub struct TileHashes<'a> {
    dir: &'a LogDir,
    size: u64,
    open: RefCell<BTreeMap<TileId, Vec<Hash>>>,
}

impl<'a> TileHashes<'a> {
    /// The hashes of the first `size` records of the log in `dir`.
    pub const fn new(dir: &'a LogDir, size: u64) -> Self {
        Self {
            dir,
            size,
            open: RefCell::new(BTreeMap::new()),
        }
    }
}

impl HashSource for TileHashes<'_> {
    type Error = BundleError;

    fn hash(&self, level: u32, index: u64) -> Result<Hash, BundleError> {
        let outside = || BundleError::NotSealed {
            path: format!("the hash {index} at level {level} of the tree"),
        };
        let place = place(level, index, self.size).ok_or_else(outside)?;
        let mut open = self.open.borrow_mut();
        if !open.contains_key(&place.tile) {
            if open.len() >= OPEN_TILES {
                open.clear();
            }
            open.insert(place.tile, tile_hashes(self.dir, &place.tile)?);
        }
        let hashes = open.get(&place.tile).map_or(&[][..], Vec::as_slice);
        place.root(hashes).ok_or_else(outside)
    }
}

/// The newest checkpoint of the log, with nothing checked but its form.
///
/// # Errors
///
/// [`ProveError::NeverSealed`] when there is none.
pub fn newest_checkpoint(dir: &LogDir) -> Result<SignedCheckpoint, ProveError> {
    read_checkpoint(dir.checkpoint())?.ok_or(ProveError::NeverSealed)
}

/// The newest checkpoint with the cosignatures of witnesses, where one is kept. A damaged one is none: it
/// only adds to what `checkpoint` says.
pub fn cosigned_checkpoint(dir: &LogDir) -> Option<SignedCheckpoint> {
    read_checkpoint(dir.cosigned()).ok().flatten()
}

/// The signed checkpoint of exactly `size` records, if the log keeps one: the newest, the newest that is
/// cosigned, or one at which the key changed.
///
/// # Errors
///
/// [`ProveError::NoCheckpoint`] when it keeps none.
pub fn checkpoint_of(dir: &LogDir, size: u64) -> Result<SignedCheckpoint, ProveError> {
    let newest = newest_checkpoint(dir)?;
    let of_size = |signed: &SignedCheckpoint| signed.unverified().size() == size;
    if let Some(cosigned) = cosigned_checkpoint(dir).filter(of_size) {
        return Ok(cosigned);
    }
    if of_size(&newest) {
        return Ok(newest);
    }
    let rotation = dir.rotations().join(format!("{size}.tlog-proof"));
    let rotation = read_limited(&RealDisk, &rotation, NOTE_BYTES).ok();
    let rotation = rotation.and_then(|bytes| TlogProof::parse(&bytes).ok());
    rotation
        .map(|proof| proof.checkpoint().clone())
        .filter(of_size)
        .ok_or(ProveError::NoCheckpoint {
            size,
            newest: newest.unverified().size(),
        })
}

fn read_checkpoint(path: PathBuf) -> Result<Option<SignedCheckpoint>, ProveError> {
    let read = match read_limited(&RealDisk, &path, NOTE_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(UnusableCheckpoint::from(error)),
        Ok(bytes) => SignedCheckpoint::parse(&bytes).map_err(UnusableCheckpoint::from),
    };
    match read {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(source) => Err(ProveError::Checkpoint { path, source }),
    }
}

/// Proves that record `seq` is in the log, under `checkpoint`, which is one of this log's. The record's bytes
/// come with the proof. Both are checked before they are given out: against the tile, and the hashes against
/// the root; the signature is for whoever holds the key.
///
/// # Errors
///
/// [`ProveError::NotSealed`] and [`ProveError::NoSuchRecord`] for what the checkpoint does not cover;
/// [`ProveError::Log`] for records that are not kept, or not in the clear; the others say that the log is damaged.
pub fn prove_inclusion(
    dir: &LogDir,
    seq: u64,
    checkpoint: SignedCheckpoint,
) -> Result<(TlogProof, Vec<u8>), ProveError> {
    let size = checkpoint.unverified().size();
    if seq >= size {
        let end = Reader::new(dir).end()?.max(size);
        return Err(if seq < end {
            ProveError::NotSealed { seq, size }
        } else {
            ProveError::NoSuchRecord { seq, end }
        });
    }
    let record = Bundles::new(dir).record(seq)?;
    let leaf = leaf_hash(&record);
    let tiles = TileHashes::new(dir, size);
    if tiles.hash(0, seq)? != leaf {
        let path = place(0, seq, size).map_or_else(String::new, |place| place.tile.path());
        return Err(BundleError::Differs { seq, path }.into());
    }
    let hashes = inclusion_proof(&tiles, seq, size).map_err(failed)?;
    let root = checkpoint.unverified().root();
    verify_inclusion(seq, size, &leaf, &hashes, root)
        .map_err(|source| ProveError::Damaged { size, source })?;
    Ok((TlogProof::new(seq, hashes, checkpoint)?, record))
}

/// Proves that the log under `checkpoint`, which is one of this log's, begins with its first `old` records.
/// The tiles are checked against the root before.
///
/// # Errors
///
/// [`ProveError::NoPrefix`] when there is nothing to be proved; the others say that the log is damaged.
pub fn prove_consistency(
    dir: &LogDir,
    old: u64,
    checkpoint: SignedCheckpoint,
) -> Result<ConsistencyProof, ProveError> {
    let size = checkpoint.unverified().size();
    if old == 0 || old > size {
        return Err(ProveError::NoPrefix { old, new: size });
    }
    let tiles = TileHashes::new(dir, size);
    let hashes = consistency_proof(&tiles, old, size).map_err(failed)?;
    let old_root = merkle::root_at(&tiles, old)?;
    let root = checkpoint.unverified().root();
    merkle::verify_consistency(old, &old_root, size, root, &hashes)
        .map_err(|source| ProveError::Damaged { size, source })?;
    Ok(ConsistencyProof::new(old, hashes, checkpoint)?)
}

fn failed(error: merkle::ProveError<BundleError>) -> ProveError {
    match error {
        merkle::ProveError::Source(error) => error.into(),
        merkle::ProveError::NoSuchLeaf { index, size } => ProveError::NoSuchRecord {
            seq: index,
            end: size,
        },
        merkle::ProveError::NoPrefix { old, new } => ProveError::NoPrefix { old, new },
    }
}
