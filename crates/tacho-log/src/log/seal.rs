use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::rotate::NewKey;
use super::{Log, SealError};
use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::disk::{Disk, replace};
use crate::tile::{TileId, encode_tile, partial_tiles};

impl Log {
    /// Signs a checkpoint over all committed records, and publishes it. When the newest checkpoint
    /// covers them all, that one is returned: no size is signed twice.
    ///
    /// # Errors
    ///
    /// The log is as before: no checkpoint was published, or the one that covers the same records as
    /// the next attempt's will.
    pub fn seal(&mut self) -> Result<SignedCheckpoint, SealError> {
        if let Some(reason) = &self.broken {
            return Err(SealError::Broken(reason.clone()));
        }
        if !self.lock.is_in_force() {
            // Another writer may have another history of the same sizes; two of them must not be signed.
            let reason = "the lock file was removed or replaced: there may be another writer";
            return Err(SealError::Broken(reason.to_owned()));
        }
        if let (Some(checkpoint), true) = (&self.checkpoint, self.unsealed.is_empty()) {
            return Ok(checkpoint.clone());
        }
        self.seal_with(None)
    }

    /// Signs and publishes; at a change of keys with both of them.
    pub(super) fn seal_with(
        &mut self,
        new_key: Option<&NewKey<'_>>,
    ) -> Result<SignedCheckpoint, SealError> {
        let (edge, tiles) = self.edge.grow(&self.unsealed)?;

        // 1. The tiles. A crash in here leaves tiles that no checkpoint needs. They are over durable
        // records, so whoever seals next writes the same bytes over them, or a full tile in their place.
        let disk = &*self.disk;
        let mut dirs = BTreeSet::new();
        for (tile, hashes) in &tiles {
            let path = self.dir.tile(tile);
            make_parents(disk, self.dir.root(), &path, &mut dirs).map_err(failed(&path))?;
            replace(disk, &path, &encode_tile(hashes)).map_err(failed(&path))?;
        }
        for dir in &dirs {
            disk.sync_dir(dir).map_err(failed(dir))?;
        }

        // 2. The signature. The records under it are durable and are never cut back again, so every
        // later run that signs this size signs this root.
        let checkpoint = Checkpoint::new(self.key.name(), edge.size(), edge.root())?;
        let mut signed = SignedCheckpoint::sign(&checkpoint, &self.key)?;
        if let Some(new_key) = new_key {
            signed = signed.and_by(new_key.key)?;
            self.keep_rotation(new_key, &signed)?;
        }

        // 3. The checkpoint, which from here on makes a shorter log a tampered one. A crash in here
        // leaves the old one or the new one; both have all their tiles.
        let path = self.dir.checkpoint();
        replace(disk, &path, signed.encode().as_bytes()).map_err(failed(&path))?;
        disk.sync_dir(self.dir.root()).map_err(failed(&path))?;

        let old_size = self.edge.size();
        self.edge = edge;
        self.unsealed.clear();
        self.checkpoint = Some(signed.clone());
        if self.batch.is_empty() {
            self.unsealed_since = None;
        }

        // 4. What nobody depends on, so that its failing is no reason to say that sealing failed: the
        // next seal tries again. The verifier key comes after the first checkpoint, so that a log with
        // a key and without a checkpoint tells of deletion.
        match self
            .write_vkey()
            .and_then(|()| remove_partial_tiles(&*self.disk, &self.dir, old_size, self.edge.size()))
        {
            Ok(()) | Err(_) => Ok(signed),
        }
    }

    fn write_vkey(&self) -> io::Result<()> {
        let path = self.dir.vkey();
        if self.disk.identity(&path).is_ok() {
            return Ok(());
        }
        self.replace_vkey()
    }

    pub(super) fn replace_vkey(&self) -> io::Result<()> {
        let path = self.dir.vkey();
        let vkey = format!("{}\n", self.key.verifying_key().encode());
        replace(&*self.disk, &path, vkey.as_bytes())
    }
}

pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> SealError {
    move |source| SealError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Makes the directories above a tile. Their names are durable on return; what the tile's own directory
/// holds is for the caller to sync, who finds it in `dirs`.
fn make_parents(
    disk: &dyn Disk,
    root: &Path,
    tile: &Path,
    dirs: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    let Some(parent) = tile.parent() else {
        return Ok(());
    };
    if dirs.contains(parent) {
        return Ok(());
    }
    let mut dir = root.to_owned();
    for part in parent.strip_prefix(root).unwrap_or(parent).components() {
        let above = dir.clone();
        dir.push(part);
        if disk.identity(&dir).is_err() {
            disk.make_dir(&dir)?;
        }
        // Also where the directory exists: a crash may have come between making and syncing it.
        if dirs.insert(above.clone()) {
            disk.sync_dir(&above)?;
        }
    }
    dirs.insert(dir);
    Ok(())
}

/// Removes the partial tiles of a log of `old` records that one of `new` does not need, and what crashed
/// or failed seals left beside them.
fn remove_partial_tiles(
    disk: &dyn Disk,
    log: &crate::dir::LogDir,
    old: u64,
    new: u64,
) -> io::Result<()> {
    let needed = partial_tiles(new)
        .map(|tile| log.tile(&tile))
        .collect::<BTreeSet<PathBuf>>();
    let dirs = partial_tiles(old)
        .chain(partial_tiles(new))
        .filter_map(|tile: TileId| log.tile(&tile).parent().map(Path::to_owned))
        .collect::<BTreeSet<_>>();
    for dir in dirs {
        let mut used = false;
        for name in disk.list(&dir)? {
            let path = dir.join(name);
            if needed.contains(&path) {
                used = true;
            } else {
                disk.unlink(&path)?;
            }
        }
        if !used {
            disk.remove_dir(&dir)?;
        }
    }
    Ok(())
}
