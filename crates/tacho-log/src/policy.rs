//! C2SP tlog-policy: which logs and witnesses count, and how many of them.

mod parse;

use serde::Serialize;
use thiserror::Error;

use crate::checkpoint::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint};
use crate::key::{KeyError, VerifyingKey, WitnessKey};
use crate::limits::{POLICY_BYTES, POLICY_LINES};
use crate::note::NoteError;

/// A trust policy. Made by [`Policy::parse`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    /// `None`: no cosignature is demanded.
    quorum: Option<Member>,
}

/// A log whose checkpoints are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyLog {
    /// What its signatures are checked with.
    pub key: VerifyingKey,
    /// As it stands in the policy; its meaning is the application's.
    pub url: Option<String>,
}

/// A witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyWitness {
    /// What the policy calls it; for people. Bytes that are not UTF-8 are shown as U+FFFD.
    pub name: String,
    /// What its cosignatures are checked with.
    pub key: WitnessKey,
    /// The prefix for submissions (C2SP tlog-witness), where it is to be reached.
    pub url: Option<String>,
}

/// Fulfilled when `threshold` of its members are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    threshold: usize,
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// Why a file is no policy: in which line, counted from 1, and what is wrong there.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {what}")]
pub struct PolicyError {
    /// From 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub what: PolicyFault,
}

/// What is wrong in a policy (C2SP tlog-policy, "Policy file syntax and structure").
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PolicyFault {
    /// Longer than [`POLICY_BYTES`].
    #[error("the policy is longer than {POLICY_BYTES} bytes")]
    TooLong,
    /// More than [`POLICY_LINES`] logs, witnesses or groups.
    #[error("more than {POLICY_LINES} of this kind")]
    TooMany,
    /// A control character that is neither tab nor line feed.
    #[error("a control character; only tab and line feed are allowed (no carriage return)")]
    Control,
    /// The last line has no line feed: the file may have been cut.
    #[error("the line does not end with a line feed: was the file cut?")]
    NoLineFeed,
    /// Not `log`, `witness`, `group`, `quorum` or a comment, or with the wrong number of words.
    #[error(
        "not 'log VKEY [URL]', 'witness NAME VKEY [URL]', 'group NAME all|any|K MEMBER…' or 'quorum NAME|none'"
    )]
    Line,
    /// A key is not one that is wanted there.
    #[error("the key: {0}")]
    Key(KeyError),
    /// The same public key in two lines.
    #[error("the key is in the policy already")]
    DuplicateKey,
    /// A name is defined twice, or is `none`.
    #[error("the name is taken")]
    NameTaken,
    /// A name that no line above defines, or `none` as a member.
    #[error("no line above defines '{0}'")]
    Unknown(String),
    /// A name is a member twice.
    #[error("'{0}' is a member already; a name may be one once")]
    MemberTwice(String),
    /// Not between 1 and the number of members.
    #[error("the threshold is not a number between 1 and the number of members")]
    Threshold,
    /// A second quorum.
    #[error("the quorum is defined already")]
    SecondQuorum,
    /// No quorum at all.
    #[error("there is no quorum line; write 'quorum none' to demand no witness")]
    NoQuorum,
}

/// One valid cosignature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cosigner {
    /// What the policy calls the witness.
    pub name: String,
    /// When it cosigned, in seconds since 1970 UTC, as it says itself.
    pub time: u64,
}

/// Which witnesses of a policy cosigned a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// Those that did, in the order of the policy.
    pub by: Vec<Cosigner>,
    /// Whether they are enough.
    pub fulfilled: bool,
}

impl Cosigned {
    /// The newest cosignature, in seconds since 1970 UTC.
    pub fn newest(&self) -> Option<u64> {
        self.by.iter().map(|one| one.time).max()
    }
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    ///
    /// With the line; a policy that is not understood as a whole is not used in part.
    pub fn parse(file: &[u8]) -> Result<Self, PolicyError> {
        parse::parse(file)
    }

    /// The logs, in order; may be empty where the log is known from elsewhere.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses, in order.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Whether checkpoints of the log with `key` are accepted: it is listed, or no log is.
    pub fn accepts_log(&self, key: &VerifyingKey) -> bool {
        self.logs.is_empty() || self.logs.iter().any(|log| log.key == *key)
    }

    /// Which witnesses cosigned, and whether the quorum is fulfilled. Says nothing about the log's own
    /// signature.
    ///
    /// # Errors
    ///
    /// When a signature says that it is by a witness of the policy, and is not: C2SP signed-note has such
    /// a note refused.
    pub fn quorum(&self, checkpoint: &SignedCheckpoint) -> Result<Cosigned, CheckpointError> {
        let mut by = Vec::new();
        let mut cosigned = vec![false; self.witnesses.len()];
        for (witness, done) in self.witnesses.iter().zip(&mut cosigned) {
            match checkpoint.verify_witness(&witness.key) {
                Ok(time) => {
                    *done = true;
                    let name = witness.name.clone();
                    by.push(Cosigner { name, time });
                }
                Err(CheckpointError::Note(NoteError::Unsigned)) => {}
                Err(error) => return Err(error),
            }
        }
        let fulfilled = self.is_fulfilled(&cosigned);
        Ok(Cosigned { by, fulfilled })
    }

    /// Checks a checkpoint against the whole policy: signed by `log`, which the policy accepts, and
    /// cosigned by whom.
    ///
    /// # Errors
    ///
    /// When it is not by that log, that log is not accepted, or a signature is wrong. Too few
    /// cosignatures are no error here: see [`Cosigned::fulfilled`].
    pub fn check(
        &self,
        checkpoint: &SignedCheckpoint,
        log: &VerifyingKey,
    ) -> Result<(VerifiedCheckpoint, Cosigned), CheckpointError> {
        if !self.accepts_log(log) {
            return Err(CheckpointError::OtherLog);
        }
        let verified = checkpoint.verify(log)?;
        Ok((verified, self.quorum(checkpoint)?))
    }

    fn is_fulfilled(&self, cosigned: &[bool]) -> bool {
        // A group names only groups before it, so one pass in order decides them all.
        let mut groups: Vec<bool> = Vec::with_capacity(self.groups.len());
        let is_done = |member: &Member, groups: &[bool]| match member {
            Member::Witness(index) => cosigned.get(*index).copied().unwrap_or(false),
            Member::Group(index) => groups.get(*index).copied().unwrap_or(false),
        };
        for group in &self.groups {
            let done = group.members.iter().filter(|one| is_done(one, &groups));
            groups.push(done.count() >= group.threshold);
        }
        self.quorum.is_none_or(|quorum| is_done(&quorum, &groups))
    }
}

#[cfg(test)]
mod tests;
