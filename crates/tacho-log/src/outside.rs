//! What is known outside of a log: how the recorder hands checkpoints out, and how much could be cut off
//! without anybody noticing (`docs/format.md` §13).

use std::io;
use std::os::unix::net::UnixStream;

use tacho_event::ParsedRecord;
use thiserror::Error;

use crate::checkpoint::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint};
use crate::dir::LogDir;
use crate::disk::{RealDisk, read_limited};
use crate::limits::NOTE_BYTES;
use crate::policy::{Cosigned, Policy};
use crate::reader::{ReadError, Reader};

/// Holds the recorder's checkpoints outside. The recorder's loop calls it and must never wait for it: the
/// work is done beside the loop.
pub trait Outside: Send {
    /// A checkpoint was published.
    fn published(&mut self, checkpoint: &SignedCheckpoint);

    /// Becomes readable when there is [`Outside::news`].
    fn wake(&self) -> &UnixStream;

    /// What went wrong, or right again, since it was asked last. Called when [`Outside::wake`] is readable.
    fn news(&mut self) -> Vec<News>;

    /// The newest checkpoint that is held as the policy demands.
    fn held(&self) -> Option<HeldOutside>;

    /// The log is closed and its last checkpoint published: tries to have it held, for seconds at most. After
    /// that it writes nothing any more, for another recorder may have the log. This one call may wait.
    fn leave(&mut self);
}

/// What the recorder writes down as `witness_failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What the policy calls the witness.
    pub witness: String,
    /// What happened.
    pub what: WitnessNews,
}

/// What happened at a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessNews {
    /// A checkpoint could not be held; it is tried again.
    Failed {
        /// In a sentence.
        reason: String,
    },
    /// The witness has seen another history of this log, or a longer one: this log was put back, or there
    /// are two.
    Contradicted {
        /// In a sentence.
        reason: String,
        /// The size that the witness cosigned last.
        held: u64,
        /// The size of the checkpoint that it refused.
        size: u64,
    },
    /// It holds checkpoints again.
    Recovered,
}

/// A checkpoint that is held outside as the policy demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldOutside {
    /// Records covered.
    pub size: u64,
    /// Its newest cosignature, in seconds since 1970 UTC.
    pub time: u64,
}

/// Seconds since 1970 UTC up to which a cut of the log would be noticed by whoever asks the witnesses, as a
/// time ago; `None` while nothing is held. `matters` is one more than the position of the last record
/// that is neither a heartbeat nor the log's own closing.
pub fn loss_window(held: Option<HeldOutside>, matters: u64, now: u64) -> Option<u64> {
    let held = held?;
    Some(if matters <= held.size {
        0
    } else {
        now.saturating_sub(held.time)
    })
}

/// `log/cosigned` is not what it should be.
#[derive(Debug, Error)]
pub enum CosignedError {
    /// There is none: no witness ever cosigned this log, or the file was removed.
    #[error("there is none: no witness ever cosigned this log, or the file was removed")]
    Missing,
    /// It cannot be read.
    #[error("cannot be read")]
    Io(#[source] io::Error),
    /// It is not a checkpoint of this log, or a signature on it is wrong.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// The newest checkpoint with cosignatures, and whose they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignedFile {
    /// With all its signatures.
    pub signed: SignedCheckpoint,
    /// As signed by the log.
    pub checkpoint: VerifiedCheckpoint,
    /// Which witnesses of the policy cosigned it.
    pub cosigned: Cosigned,
}

impl CosignedFile {
    /// What is held outside, when the quorum is fulfilled.
    pub fn held(&self) -> Option<HeldOutside> {
        let size = self.checkpoint.size();
        let time = self.cosigned.newest().filter(|_| self.cosigned.fulfilled)?;
        Some(HeldOutside { size, time })
    }
}

/// Reads `log/cosigned`, has `verify` check the log's own signature, and checks those of the policy's
/// witnesses.
pub fn read_cosigned(
    log: &LogDir,
    verify: impl FnOnce(&SignedCheckpoint) -> Result<VerifiedCheckpoint, CheckpointError>,
    policy: &Policy,
) -> Result<CosignedFile, CosignedError> {
    let bytes = match read_limited(&RealDisk, &log.cosigned(), NOTE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(CosignedError::Missing);
        }
        Err(error) => return Err(CosignedError::Io(error)),
    };
    let signed = SignedCheckpoint::parse(&bytes)?;
    let checkpoint = verify(&signed)?;
    let cosigned = policy.quorum(&signed)?;
    Ok(CosignedFile {
        signed,
        checkpoint,
        cosigned,
    })
}

/// One more than the position of the last record from `from` on that a cut would cost: not a heartbeat, and
/// not the log's own closing. `from` itself where there is none.
pub fn matters_from(log: &LogDir, from: u64) -> Result<u64, ReadError> {
    let mut matters = from;
    for record in Reader::new(log).records_from(from) {
        let (seq, record) = record?;
        let kind = ParsedRecord::parse(&record).map(|record| record.kind);
        if !kind.is_ok_and(|kind| kind == "heartbeat" || kind == "log_closed") {
            matters = seq + 1;
            // One is enough to know that something can be lost.
            break;
        }
    }
    Ok(matters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        let held = |size, time| Some(HeldOutside { size, time });
        for (held, matters, now, window) in [
            (None, 5, 1_000, None),
            (held(5, 900), 5, 1_000, Some(0)),
            (held(9, 900), 5, 1_000, Some(0)),
            (held(4, 900), 5, 1_000, Some(100)),
            (held(4, 900), 5, 900, Some(0)),
            // A witness whose clock is ahead.
            (held(4, 2_000), 5, 1_000, Some(0)),
        ] {
            assert_eq!(loss_window(held, matters, now), window);
        }
    }
}
