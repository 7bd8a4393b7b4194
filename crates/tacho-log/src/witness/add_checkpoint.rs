//! The body of C2SP tlog-witness `add-checkpoint`: the same bytes for whoever sends and whoever reads.

use thiserror::Error;

use crate::checkpoint::{CheckpointError, SignedCheckpoint, parse_decimal};
use crate::limits::ADD_CHECKPOINT_BYTES;
use crate::merkle::Hash;

/// C2SP tlog-witness: "The client MUST NOT send more than 63 consistency proof lines".
pub const MAX_PROOF_LINES: usize = 63;

/// A checkpoint that is to be cosigned, and the proof that it only adds to an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the checkpoint that the witness cosigned last, as the sender believes; 0: none.
    pub old: u64,
    /// RFC 6962 §2.1.2, from `old` to the checkpoint; empty when `old` is 0.
    pub proof: Vec<Hash>,
    /// The checkpoint, with signatures that nobody has checked yet.
    pub checkpoint: SignedCheckpoint,
}

/// Why bytes are no request.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AddCheckpointError {
    /// Longer than [`ADD_CHECKPOINT_BYTES`].
    #[error("the request is longer than {ADD_CHECKPOINT_BYTES} bytes")]
    TooLong,
    /// The first line is not `old`, a space, and a size.
    #[error("the first line is not 'old SIZE'")]
    Old,
    /// A line between the first and the empty one is not a hash in base64, or there are too many.
    #[error("proof line {0} is not a hash, or is one too many")]
    Proof(usize),
    /// No empty line after the proof.
    #[error("there is no empty line before the checkpoint")]
    Layout,
    /// What follows the empty line.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl AddCheckpoint {
    /// Reads a request; accepts only what [`AddCheckpoint::encode`] writes.
    pub fn parse(body: &[u8]) -> Result<Self, AddCheckpointError> {
        use AddCheckpointError as Wrong;
        if body.len() > ADD_CHECKPOINT_BYTES {
            return Err(Wrong::TooLong);
        }
        let at = memchr::memmem::find(body, b"\n\n").ok_or(Wrong::Layout)?;
        let (head, rest) = body.split_at_checked(at).ok_or(Wrong::Layout)?;
        let note = rest.strip_prefix(b"\n\n").ok_or(Wrong::Layout)?;
        let head = std::str::from_utf8(head).ok().ok_or(Wrong::Old)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(parse_decimal).ok_or(Wrong::Old)?;
        let mut proof = Vec::new();
        for (number, line) in lines.enumerate() {
            if number == MAX_PROOF_LINES {
                return Err(Wrong::Proof(number + 1));
            }
            proof.push(Hash::from_base64(line).ok_or(Wrong::Proof(number + 1))?);
        }
        Ok(Self {
            old,
            proof,
            checkpoint: SignedCheckpoint::parse_foreign(note)?,
        })
    }

    /// The bytes to send.
    pub fn encode(&self) -> String {
        let mut body = format!("old {}\n", self.old);
        for hash in &self.proof {
            body.push_str(&format!("{hash}\n"));
        }
        body.push('\n');
        body.push_str(&self.checkpoint.encode());
        body
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::key::SigningKey;
    use crate::merkle::leaf_hash;

    fn note() -> String {
        let key = SigningKey::generate("log", [1; 32]).unwrap();
        let checkpoint = Checkpoint::new("log", 9, leaf_hash(b"x")).unwrap();
        SignedCheckpoint::sign(&checkpoint, &key).unwrap().encode()
    }

    #[test]
    fn bodies() {
        let (note, hash) = (note(), leaf_hash(b"h").to_string());
        let with = |head: &str| format!("{head}\n{note}");
        for (head, old, hashes) in [
            ("old 0\n", 0, 0),
            ("old 9\n", 9, 0),
            (&format!("old 7\n{hash}\n{hash}\n"), 7, 2),
            (&format!("old 7\n{}", format!("{hash}\n").repeat(63)), 7, 63),
        ] {
            let parsed = AddCheckpoint::parse(with(head).as_bytes()).unwrap();
            assert_eq!((parsed.old, parsed.proof.len()), (old, hashes));
            assert_eq!(parsed.encode(), with(head));
        }
        use AddCheckpointError::{Layout, Old, Proof};
        for (head, error) in [
            ("", Old),
            ("old\n", Old),
            ("old \n", Old),
            ("old 00\n", Old),
            ("old 07\n", Old),
            ("old -1\n", Old),
            ("old +1\n", Old),
            ("old  1\n", Old),
            ("old 1 \n", Old),
            ("Old 1\n", Old),
            ("old 1\r\n", Old),
            ("old 18446744073709551616\n", Old),
            ("old 1\nAAAA\n", Proof(1)),
            (&format!("old 1\n{hash}\n{hash} \n"), Proof(2)),
            (
                &format!("old 1\n{}", format!("{hash}\n").repeat(64)),
                Proof(64),
            ),
        ] {
            let got = AddCheckpoint::parse(with(head).as_bytes());
            assert_eq!(got, Err(error), "{head:?}");
        }
        assert_eq!(AddCheckpoint::parse(b""), Err(Layout));
        assert_eq!(AddCheckpoint::parse(b"old 1\n"), Err(Layout));
        assert!(AddCheckpoint::parse(b"old 1\n\n").is_err());
        assert!(AddCheckpoint::parse(b"\xff\n\n").is_err());
        assert!(AddCheckpoint::parse(with("old 0\n").trim_end().as_bytes()).is_err());
        let long = format!("{}{}", with("old 0\n"), "x".repeat(ADD_CHECKPOINT_BYTES));
        let too_long = Err(AddCheckpointError::TooLong);
        assert_eq!(AddCheckpoint::parse(long.as_bytes()), too_long);
    }

    proptest! {
        #[test]
        fn parses_nothing_but_what_it_writes(
            at in any::<prop::sample::Index>(),
            with in any::<u8>(),
        ) {
            let mut body = format!("old 3\n{}\n\n{}", leaf_hash(b"h"), note()).into_bytes();
            let at = at.index(body.len());
            body[at] = with;
            if let Ok(parsed) = AddCheckpoint::parse(&body) {
                prop_assert_eq!(parsed.encode().into_bytes(), body);
            }
        }
    }
}
