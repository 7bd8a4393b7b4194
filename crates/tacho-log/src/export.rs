//! Writes a log as the files that C2SP tlog-tiles serves: `checkpoint`, `tile/L/N[.p/W]` and
//! `tile/entries/N[.p/W]` (`docs/format.md` §12). What a standard monitor or verifier needs, and a plain file
//! server offers. The log itself is only read.
//!
//! Every file is put in place by a rename, and the checkpoint after all that it covers: whenever the machine
//! stops, the directory holds a whole export or a part of one, and the next run goes on.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bundle::{BundleError, Bundles, hash_tile};
use crate::checkpoint::SignedCheckpoint;
use crate::dir::LogDir;
use crate::disk::{Disk as _, RealDisk, read_limited, replace};
use crate::limits::{BUNDLE_BYTES, NOTE_BYTES, TILE_BYTES};
use crate::merkle::{Hash, leaf_hash, node_hash, root_at};
use crate::prove::TileHashes;
use crate::tile::{TileError, TileId, decode_bundle, encode_tile, place, tiles_at};

/// What an export did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Records that the exported checkpoint covers.
    pub size: u64,
    /// Files written.
    pub written: u64,
    /// Files that were there already, and are right.
    pub kept: u64,
    /// Records before this one are not exported: retention removed them, or some of their bundle.
    pub pruned_below: Option<u64>,
    /// Bundles left out because their records are in segments that are encrypted to others; the segments.
    pub encrypted: BTreeSet<String>,
    /// How many those bundles are.
    pub encrypted_bundles: u64,
}

/// Why a log could not be exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The directory holds something that no export of this log has put there.
    #[error("{path} is not from an export of this log: {what}")]
    Foreign {
        /// What was found.
        path: PathBuf,
        /// Why it cannot be.
        what: String,
    },
    /// A tile or bundle of the log.
    #[error(transparent)]
    Log(#[from] BundleError),
    /// The tiles of the log do not belong together, or not to its checkpoint.
    #[error("{path} does not fit the log's checkpoint: run tacho verify")]
    Damaged {
        /// The tile, relative to the log's directory.
        path: String,
    },
    /// A file or directory of the export.
    #[error("cannot write {path}")]
    Write {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of an earlier export.
    #[error("cannot read {path}")]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes the log in `dir`, as far as `checkpoint` covers it, which is one of this log's, to the directory `to`.
/// That may hold an earlier export of the same log: what is there is compared and kept.
///
/// # Errors
///
/// [`ExportError::Foreign`] when `to` holds anything else, and nothing of it is changed then;
/// [`ExportError::Damaged`] and [`ExportError::Log`] when the log is.
pub fn export_tiles(
    dir: &LogDir,
    checkpoint: &SignedCheckpoint,
    to: &Path,
) -> Result<Exported, ExportError> {
    let size = checkpoint.unverified().size();
    let tiles = TileHashes::new(dir, size);
    if root_at(&tiles, size)? != *checkpoint.unverified().root() {
        let path = "tile".to_owned();
        return Err(ExportError::Damaged { path });
    }
    let mut target = Target::open(to)?;
    target.accept(dir, checkpoint)?;
    let mut done = Exported {
        size,
        ..Exported::default()
    };
    let mut bundles = Bundles::new(dir);
    // The roots of the full tiles at the level below, which are the hashes of this one.
    let (mut level, mut below, mut roots) = (0, Vec::new(), Vec::new());
    for tile in tiles_at(size) {
        if tile.level() != level {
            (level, below, roots) = (tile.level(), roots, Vec::new());
        }
        let bytes = hash_tile(dir, &tile)?;
        let hashes = tile.decode(&bytes).map_err(BundleError::from)?;
        if level > 0 && !fits(&tile, &hashes, &below) {
            let path = tile.path();
            return Err(ExportError::Damaged { path });
        }
        roots.extend(root_of(&tile, &hashes));
        if level == 0 {
            export_bundle(&mut bundles, &tile, &hashes, &mut target, &mut done)?;
        }
        let same = |found: &[u8]| found == bytes;
        match target.has(&tile.path(), TILE_BYTES, same)? {
            true => done.kept += 1,
            false => target.write(&tile.path(), &encode_tile(&hashes), &mut done)?,
        }
    }
    target.publish(checkpoint, &mut done)?;
    Ok(done)
}

/// Whether the hashes of a tile are the roots of the full tiles below it.
fn fits(tile: &TileId, hashes: &[Hash], below: &[Hash]) -> bool {
    let first = usize::try_from(tile.index() << 8).ok();
    first.and_then(|first| below.get(first..first.checked_add(hashes.len())?)) == Some(hashes)
}

/// The root over a full tile.
fn root_of(tile: &TileId, hashes: &[Hash]) -> Option<Hash> {
    // Its two halves stand where those of the first tile of a log do.
    let half = |index| place(7, index, 256)?.root(hashes);
    if tile.is_full() {
        Some(node_hash(&half(0)?, &half(1)?))
    } else {
        None
    }
}

fn export_bundle(
    bundles: &mut Bundles,
    tile: &TileId,
    leaves: &[Hash],
    target: &mut Target,
    done: &mut Exported,
) -> Result<(), ExportError> {
    let path = tile.entries_path();
    // That the records give the sealed hashes is as good as reading them again, and much faster.
    let right = |found: &[u8]| -> Result<bool, TileError> {
        let records = decode_bundle(found, tile.width())?;
        Ok(records
            .into_iter()
            .map(leaf_hash)
            .eq(leaves.iter().copied()))
    };
    if target.has(&path, BUNDLE_BYTES, |found| {
        right(found).is_ok_and(|right| right)
    })? {
        done.kept += 1;
        return Ok(());
    }
    match bundles.entry_bundle(tile.index(), tile.width()) {
        Ok(bundle) => target.write(&path, &bundle, done),
        Err(BundleError::Pruned { .. }) => {
            done.pruned_below = Some((tile.index() + 1) << 8);
            Ok(())
        }
        Err(BundleError::Encrypted { file, .. }) => {
            done.encrypted.insert(file);
            done.encrypted_bundles += 1;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The directory that is written to.
struct Target {
    root: PathBuf,
    /// Directories with new names in them, which are not durable yet.
    dirs: BTreeSet<PathBuf>,
    /// Partial tiles and bundles that a full one has replaced.
    replaced: Vec<PathBuf>,
}

impl Target {
    /// Makes the directory, or looks at what is in it.
    fn open(root: &Path) -> Result<Self, ExportError> {
        let made = std::fs::create_dir_all(root).and_then(|()| RealDisk.list(root));
        let names = made.map_err(write_failed(root))?;
        for name in names {
            if !matches!(name.as_str(), "checkpoint" | "checkpoint.tmp" | "tile") {
                return Err(ExportError::Foreign {
                    path: root.join(name),
                    what: "choose a directory of its own for the export".to_owned(),
                });
            }
        }
        Ok(Self {
            root: root.to_owned(),
            dirs: BTreeSet::new(),
            replaced: Vec::new(),
        })
    }

    /// Sees to it that the checkpoint that is there, if there is one, is an older one of the same log.
    fn accept(&self, dir: &LogDir, newer: &SignedCheckpoint) -> Result<(), ExportError> {
        let path = self.root.join("checkpoint");
        let foreign = |what: String| ExportError::Foreign {
            path: path.clone(),
            what,
        };
        let Some(bytes) = self.read("checkpoint", NOTE_BYTES)? else {
            return Ok(());
        };
        let found = SignedCheckpoint::parse(&bytes).map_err(|error| foreign(error.to_string()))?;
        let (found, newer) = (found.unverified(), newer.unverified());
        if found.origin() != newer.origin() {
            return Err(foreign(format!("it is of the log {}", found.origin())));
        }
        if found.size() > newer.size() {
            let what = format!(
                "it covers {} records, and the log's own only {}: the log was put back",
                found.size(),
                newer.size()
            );
            return Err(foreign(what));
        }
        if root_at(&TileHashes::new(dir, newer.size()), found.size())? != *found.root() {
            return Err(foreign(
                "it covers other records: there are two histories".to_owned(),
            ));
        }
        Ok(())
    }

    fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, ExportError> {
        let path = self.root.join(path);
        match read_limited(&RealDisk, &path, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ExportError::Read { path, source }),
        }
    }

    /// Whether the file is there already. One that is there and not right is never written over.
    fn has(
        &self,
        path: &str,
        limit: u64,
        right: impl FnOnce(&[u8]) -> bool,
    ) -> Result<bool, ExportError> {
        match self.read(path, limit)? {
            None => Ok(false),
            Some(found) if right(&found) => Ok(true),
            Some(_) => Err(ExportError::Foreign {
                path: self.root.join(path),
                what: "its contents are others; remove it, or export to another directory"
                    .to_owned(),
            }),
        }
    }

    fn write(&mut self, path: &str, bytes: &[u8], done: &mut Exported) -> Result<(), ExportError> {
        let file = self.root.join(path);
        let mut dir = self.root.clone();
        for part in Path::new(path)
            .parent()
            .into_iter()
            .flat_map(Path::components)
        {
            self.dirs.insert(dir.clone());
            dir.push(part);
            RealDisk.make_dir(&dir).map_err(write_failed(&dir))?;
        }
        replace(&RealDisk, &file, bytes).map_err(write_failed(&file))?;
        self.dirs.insert(dir);
        let mut partial = file.into_os_string();
        partial.push(".p");
        let partial = PathBuf::from(partial);
        if partial.is_dir() {
            self.replaced.push(partial);
        }
        done.written += 1;
        Ok(())
    }

    /// The checkpoint, after everything that it covers is durable; then what nobody needs any more goes.
    fn publish(
        mut self,
        checkpoint: &SignedCheckpoint,
        done: &mut Exported,
    ) -> Result<(), ExportError> {
        for dir in std::mem::take(&mut self.dirs) {
            RealDisk.sync_dir(&dir).map_err(write_failed(&dir))?;
        }
        let bytes = checkpoint.encode().into_bytes();
        if self.read("checkpoint", NOTE_BYTES)?.as_ref() == Some(&bytes) {
            done.kept += 1;
        } else {
            let path = self.root.join("checkpoint");
            let replaced = replace(&RealDisk, &path, &bytes);
            replaced
                .and_then(|()| RealDisk.sync_dir(&self.root))
                .map_err(write_failed(&path))?;
            done.written += 1;
        }
        for dir in &self.replaced {
            for name in RealDisk.list(dir).map_err(write_failed(dir))? {
                let path = dir.join(name);
                RealDisk.unlink(&path).map_err(write_failed(&path))?;
            }
            RealDisk.remove_dir(dir).map_err(write_failed(dir))?;
        }
        Ok(())
    }
}

fn write_failed(path: &Path) -> impl Fn(io::Error) -> ExportError {
    move |source| ExportError::Write {
        path: path.to_owned(),
        source,
    }
}
