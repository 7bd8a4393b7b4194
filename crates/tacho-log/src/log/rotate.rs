use tacho_event::Timestamp;
use thiserror::Error;

use super::seal::failed;
use super::{AppendError, CommitError, Log, SealError};
use crate::checkpoint::{SignedCheckpoint, TlogProof};
use crate::disk::replace;
use crate::key::SigningKey;
use crate::rotation;

/// The key that takes over, and the record that says so.
pub(super) struct NewKey<'a> {
    pub(super) key: &'a SigningKey,
    record: Vec<u8>,
}

/// Why the key was not changed. Unless it says otherwise the log is as before.
#[derive(Debug, Error)]
pub enum RotateError {
    /// The new key is that of another log, or the old one.
    #[error("the new key must be another one with the same name, {0}")]
    WrongKey(String),
    /// The record of it was not taken.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The record of it is not in the log.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The record is in the log, and no checkpoint says that the new key took over: opening the log
    /// again finds out whether it did.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl Log {
    /// Hands over to another key of the same name: appends `body`, a `key_rotated` record, and publishes a
    /// checkpoint over it that both keys sign (`docs/format.md` §7). The private half of `new` must be durable
    /// already, for a crash in here may leave a log that only `new` can continue.
    ///
    /// # Errors
    ///
    /// See [`RotateError`].
    pub fn rotate(
        &mut self,
        body: &[u8],
        now: Timestamp,
        new: SigningKey,
    ) -> Result<SignedCheckpoint, RotateError> {
        let same_key = new.verifying_key() == self.key.verifying_key();
        if same_key || new.name() != self.key.name() {
            return Err(RotateError::WrongKey(self.key.name().to_owned()));
        }
        // The record must be the last one under the checkpoint, and the only one of its batch.
        self.commit()?;
        let seq = match self.append(body, now) {
            Err(AppendError::CommitFirst) => self.append(body, now)?,
            appended => appended?,
        };
        let members = body.strip_prefix(b"{").unwrap_or(body);
        let record = [format!("{{\"v\":1,\"seq\":{seq},").as_bytes(), members].concat();
        self.commit()?;
        let sealed = self.seal_with(Some(&NewKey { key: &new, record }));
        let signed = sealed.inspect_err(|_| {
            // The proof may be there although writing it failed: then the old key must sign no more.
            self.broken = Some("changing the key failed half-way".to_owned());
        })?;
        self.key = new;
        // A convenience, which whoever verifies without a key of their own finds out about.
        match self.replace_vkey() {
            Ok(()) | Err(_) => Ok(signed),
        }
    }

    /// Writes the proof of the change, before the checkpoint is published: from then on only the new key
    /// can go on, and everybody must be able to learn why.
    pub(super) fn keep_rotation(
        &self,
        new: &NewKey<'_>,
        signed: &SignedCheckpoint,
    ) -> Result<(), SealError> {
        let dir = self.dir.rotations();
        // The siblings of the last leaf are the complete subtrees of all that is before it.
        let mut before = self.edge.frontier().clone();
        let leaves = self.unsealed.split_last().map(|(_, leaves)| leaves);
        leaves
            .unwrap_or_default()
            .iter()
            .for_each(|leaf| before.push(*leaf));
        let siblings = before.peaks().iter().rev().copied().collect();
        let proof = TlogProof::new(before.size(), siblings, signed.clone())
            .map_err(|error| SealError::Broken(error.to_string()))?
            .with_extra(new.record.clone());
        let path = rotation::path(&dir, signed.unverified().size());
        let disk = &*self.disk;
        disk.make_dir(&dir).map_err(failed(&dir))?;
        replace(disk, &path, proof.encode().as_bytes()).map_err(failed(&path))?;
        for dir in [dir.as_path(), self.dir.root()] {
            disk.sync_dir(dir).map_err(failed(dir))?;
        }
        Ok(())
    }
}
