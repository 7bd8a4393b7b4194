use serde::Serialize;

use crate::limits::FINDINGS;
use crate::policy::Cosigner;

/// What a verification found. Serialised, it is the output of `tacho verify --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The worst of the findings.
    pub verdict: Verdict,
    /// The log's name: that of the key it was checked with.
    pub origin: String,
    /// The key it was checked with, in the form of a verifier key.
    pub key: String,
    /// Records that the checkpoint covers; absent without a good checkpoint.
    pub checkpoint_size: Option<u64>,
    /// The root that the checkpoint signs, in base64.
    pub root: Option<String>,
    /// The first record that the log has: what is before it was removed by retention.
    pub minimum_index: u64,
    /// Records found in their place, sealed or not.
    pub records: u64,
    /// Records that are encrypted to others: their hashes are under the root, and nobody read them.
    pub unread: u64,
    /// Those after the checkpoint: in order, and not yet proven.
    pub unsealed: u64,
    /// Tiles compared with the records.
    pub tiles: u64,
    /// Intents without an outcome.
    pub open_intents: u64,
    /// Bodies kept outside the records.
    pub evidence: EvidenceReport,
    /// The timestamp of the newest record that was read.
    pub newest: Option<String>,
    /// Records under the checkpoint that witnesses have cosigned; absent without a policy, or without one.
    pub cosigned_size: Option<u64>,
    /// The witnesses of the policy that have cosigned it.
    pub cosigners: Vec<Cosigner>,
    /// What could not be checked, and is no finding for that.
    pub notes: Vec<String>,
    /// What is wrong, in the order in which it was found.
    pub findings: Vec<Finding>,
    /// Findings beyond [`FINDINGS`], which are only counted.
    pub more_findings: u64,
}

/// What became of the bodies that records say are kept as evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EvidenceReport {
    /// Those whose file is there.
    pub kept: u64,
    /// Of these, those that were decrypted and are what was recorded.
    pub checked: u64,
    /// Those that a record says were erased.
    pub erased: u64,
    /// Those that are gone without a word.
    pub missing: u64,
    /// Files that no record names: a crash came before the record, or retention has not removed them yet.
    pub unnamed: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// The record it is about, or the first of them.
    pub seq: Option<u64>,
    /// The file it is in: a segment's name, or a path below the log's directory.
    pub file: Option<String>,
    /// What is wrong, in a sentence.
    pub what: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is wrong.
    Ok,
    /// Something is missing, unfinished or cannot be read, and nothing shows that somebody changed it.
    Incomplete,
    /// The log is not what was sealed.
    Tampered,
}

impl Verdict {
    /// The exit code of `tacho verify` (`docs/format.md` §9).
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Tampered => 1,
            Self::Incomplete => 2,
        }
    }
}

impl Report {
    pub(super) fn new(origin: &str) -> Self {
        Self {
            verdict: Verdict::Ok,
            origin: origin.to_owned(),
            key: String::new(),
            checkpoint_size: None,
            root: None,
            minimum_index: 0,
            records: 0,
            unread: 0,
            unsealed: 0,
            tiles: 0,
            open_intents: 0,
            evidence: EvidenceReport::default(),
            newest: None,
            cosigned_size: None,
            cosigners: Vec::new(),
            notes: Vec::new(),
            findings: Vec::new(),
            more_findings: 0,
        }
    }

    pub(super) fn tampered(&mut self, seq: Option<u64>, file: Option<&str>, what: String) {
        self.find(Verdict::Tampered, seq, file, what);
    }

    pub(super) fn incomplete(&mut self, seq: Option<u64>, file: Option<&str>, what: String) {
        self.find(Verdict::Incomplete, seq, file, what);
    }

    fn find(&mut self, verdict: Verdict, seq: Option<u64>, file: Option<&str>, what: String) {
        self.verdict = self.verdict.max(verdict);
        if self.findings.len() < FINDINGS {
            self.findings.push(Finding {
                verdict,
                seq,
                file: file.map(str::to_owned),
                what,
            });
        } else {
            self.more_findings = self.more_findings.saturating_add(1);
        }
    }
}
