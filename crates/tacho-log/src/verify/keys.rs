use thiserror::Error;

use super::Report;
use crate::checkpoint::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint};
use crate::dir::LogDir;
use crate::disk::RealDisk;
use crate::key::{KeyError, VerifyingKey};
use crate::rotation::{Rotation, rotations};

/// The keys that a verifier trusts, each for an interval of the log's sizes (`docs/format.md` §7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPolicy(Vec<Validity>);

/// From which size of the log to which a key is valid, both included; `to` is `None` while it is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The key.
    pub key: VerifyingKey,
    /// The first size that it may sign.
    pub from: u64,
    /// The last one.
    pub to: Option<u64>,
}

/// Why a text is no policy.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyPolicyError {
    /// A line is not `VKEY [FROM [TO]]`.
    #[error("line {line} is not: VKEY [FROM [TO]]")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// The key of a line.
    #[error("line {line}: {source}")]
    Key {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: KeyError,
    },
    /// All keys of a log have its name.
    #[error("line {line} has the key of another log")]
    OtherLog {
        /// Counted from 1.
        line: usize,
    },
    /// No line has a key.
    #[error("there is no key in it")]
    Empty,
}

impl From<VerifyingKey> for KeyPolicy {
    /// A key that is trusted whenever it was valid, and as far as its rotations lead.
    fn from(key: VerifyingKey) -> Self {
        Self(vec![Validity {
            key,
            from: 0,
            to: None,
        }])
    }
}

impl From<&VerifyingKey> for KeyPolicy {
    fn from(key: &VerifyingKey) -> Self {
        Self::from(key.clone())
    }
}

impl KeyPolicy {
    /// Reads lines of `VKEY [FROM [TO]]`; empty lines, and those that begin with `#`, are left out.
    ///
    /// # Errors
    ///
    /// Names the line that is something else.
    pub fn parse(text: &str) -> Result<Self, KeyPolicyError> {
        let mut keys: Vec<Validity> = Vec::new();
        for (line, words) in (1..).zip(text.lines()) {
            let mut words = words.split_whitespace();
            let Some(vkey) = words.next().filter(|word| !word.starts_with('#')) else {
                continue;
            };
            let key =
                VerifyingKey::parse(vkey).map_err(|source| KeyPolicyError::Key { line, source })?;
            let mut size = || words.next().map(str::parse::<u64>).transpose();
            let (Ok(from), Ok(to), None) = (size(), size(), words.next()) else {
                return Err(KeyPolicyError::Line { line });
            };
            let from = from.unwrap_or(0);
            if to.is_some_and(|to| to < from) {
                return Err(KeyPolicyError::Line { line });
            }
            if keys
                .first()
                .is_some_and(|first| first.key.name() != key.name())
            {
                return Err(KeyPolicyError::OtherLog { line });
            }
            keys.push(Validity { key, from, to });
        }
        if keys.is_empty() {
            return Err(KeyPolicyError::Empty);
        }
        Ok(Self(keys))
    }

    /// The keys and their intervals.
    pub fn keys(&self) -> &[Validity] {
        &self.0
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.0.first().map_or("", |first| first.key.name())
    }

    /// Follows the changes of the key that the log proves, both ways: the two keys of a rotation have signed
    /// the same history, so who trusts one of them for it can trust the other. Returns the checkpoints of those
    /// that were followed, for their roots have to be right too.
    pub(super) fn follow(&mut self, log: &LogDir, report: &mut Report) -> Vec<Followed> {
        let all = match rotations(&RealDisk, log) {
            Ok(all) => all,
            Err(error) => {
                report.incomplete(None, Some("rotations"), error.to_string());
                return Vec::new();
            }
        };
        let mut good = Vec::new();
        for (file, rotation) in all {
            match rotation {
                Ok(rotation) => good.push(Followed { file, rotation }),
                Err(error) => report.tampered(None, Some(&file), error.to_string()),
            }
        }
        good.iter()
            .rev()
            .for_each(|followed| self.back(&followed.rotation));
        good.iter()
            .for_each(|followed| self.forth(&followed.rotation));
        good.retain(|followed| self.verify(followed.rotation.checkpoint()).is_ok());
        good
    }

    /// From a key whose beginning nobody named to the one before it.
    fn back(&mut self, rotation: &Rotation) {
        let new = self
            .0
            .iter_mut()
            .find(|entry| entry.key == *rotation.new_key());
        let Some(new) = new.filter(|entry| entry.from == 0) else {
            return;
        };
        new.from = rotation.size();
        if !self.has(rotation.old()) {
            self.0.push(Validity {
                key: rotation.old().clone(),
                from: 0,
                to: Some(rotation.size()),
            });
        }
    }

    /// From a key whose end nobody named to the one after it.
    fn forth(&mut self, rotation: &Rotation) {
        let old = self.0.iter_mut().find(|entry| entry.key == *rotation.old());
        let Some(old) = old.filter(|entry| entry.to.is_none() && entry.from <= rotation.size())
        else {
            return;
        };
        old.to = Some(rotation.size());
        if !self.has(rotation.new_key()) {
            self.0.push(Validity {
                key: rotation.new_key().clone(),
                from: rotation.size(),
                to: None,
            });
        }
    }

    fn has(&self, key: &VerifyingKey) -> bool {
        self.0.iter().any(|entry| entry.key == *key)
    }

    /// Checks a checkpoint by the keys that are valid at its size.
    pub fn verify(&self, signed: &SignedCheckpoint) -> Result<VerifiedCheckpoint, CheckpointError> {
        let size = signed.unverified().size();
        let mut outcome = Err(CheckpointError::OtherLog);
        for entry in &self.0 {
            match signed.verify(&entry.key) {
                Ok(verified) if entry.is_valid_at(size) => return Ok(verified),
                Ok(_) => outcome = Err(CheckpointError::KeyNotValid { size }),
                Err(error) if outcome == Err(CheckpointError::OtherLog) => outcome = Err(error),
                Err(_) => {}
            }
        }
        outcome
    }

    /// The key that signs now.
    pub(super) fn newest(&self) -> Option<&VerifyingKey> {
        let newest = self.0.iter().max_by_key(|entry| entry.from);
        newest.map(|entry| &entry.key)
    }
}

impl Validity {
    fn is_valid_at(&self, size: u64) -> bool {
        self.from <= size && self.to.is_none_or(|to| size <= to)
    }
}

/// A change of the key that was believed.
pub(super) struct Followed {
    pub(super) file: String,
    pub(super) rotation: Rotation,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::key::SigningKey;
    use crate::merkle::leaf_hash;

    #[test]
    fn policies() {
        let key = |seed| SigningKey::generate("log", [seed; 32]).unwrap();
        let (a, b) = (key(1), key(2));
        let (va, vb) = (a.verifying_key().encode(), b.verifying_key().encode());
        let policy = KeyPolicy::parse(&format!("# ours\n\n{va} 0 10\n {vb}  10 \n")).unwrap();
        let signed = |key: &SigningKey, size| {
            let checkpoint = Checkpoint::new("log", size, leaf_hash(b"")).unwrap();
            policy.verify(&SignedCheckpoint::sign(&checkpoint, key).unwrap())
        };
        for (key, size, good) in [
            (&a, 1, true),
            (&a, 10, true),
            (&a, 11, false),
            (&b, 9, false),
            (&b, 10, true),
            (&b, 99, true),
            (&key(3), 5, false),
        ] {
            assert_eq!(signed(key, size).is_ok(), good, "{size}");
        }
        assert_eq!(
            signed(&a, 11),
            Err(CheckpointError::KeyNotValid { size: 11 })
        );
        let other = SigningKey::generate("other", [1; 32]).unwrap();
        let other = other.verifying_key().encode();
        for (text, line) in [
            (format!("{va} x"), 1),
            (format!("{va} 5 4"), 1),
            (format!("\n{va} 1 2 3"), 2),
        ] {
            assert_eq!(KeyPolicy::parse(&text), Err(KeyPolicyError::Line { line }));
        }
        assert_eq!(KeyPolicy::parse("#\n"), Err(KeyPolicyError::Empty));
        let mixed = KeyPolicy::parse(&format!("{va}\n{other}"));
        assert_eq!(mixed, Err(KeyPolicyError::OtherLog { line: 2 }));
        assert!(matches!(
            KeyPolicy::parse("no key"),
            Err(KeyPolicyError::Key { line: 1, .. })
        ));
    }
}
