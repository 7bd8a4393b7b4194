use crate::json::write_string;
use crate::limits::{LISTED_PATH_BYTES, LISTED_RULES, LISTED_TRUNCATIONS};

/// What redaction did to one event: member `redaction`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    removed: u32,
    rules: Vec<(&'static str, u32)>,
    truncated: Vec<(String, usize)>,
    truncated_more: u32,
    findings: Option<Vec<Finding>>,
}

/// One value that was removed, for people who test a policy: `tacho redact test`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: a JSON Pointer (RFC 6901) into the value, itself redacted.
    pub path: String,
    /// Which rule.
    pub rule: &'static str,
    /// What stands there now.
    pub placeholder: String,
}

impl Report {
    /// A report that also says where each value stood; costs memory, so only for tests of a policy.
    pub fn with_findings() -> Self {
        Self {
            findings: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Whether findings are wanted, so that their paths need to be made.
    pub const fn wants_findings(&self) -> bool {
        self.findings.is_some()
    }

    /// How many values were removed.
    pub const fn removed(&self) -> u32 {
        self.removed
    }

    /// How many by each rule, in the order in which the rules first applied.
    pub fn rules(&self) -> &[(&'static str, u32)] {
        &self.rules
    }

    /// The findings, if they were asked for.
    pub fn findings(&self) -> &[Finding] {
        self.findings.as_deref().unwrap_or_default()
    }

    /// Strings that were cut: JSON Pointer and original length in bytes.
    pub fn truncated(&self) -> &[(String, usize)] {
        &self.truncated
    }

    pub(crate) fn remove(&mut self, rule: &'static str) {
        self.removed = self.removed.saturating_add(1);
        match self.rules.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.rules.push((rule, 1)),
        }
    }

    pub(crate) fn find(&mut self, finding: Finding) {
        if let Some(findings) = &mut self.findings {
            findings.push(finding);
        }
    }

    pub(crate) fn truncate(&mut self, mut path: String, bytes: usize) {
        if self.truncated.len() < LISTED_TRUNCATIONS {
            if path.len() > LISTED_PATH_BYTES {
                let end = (0..=LISTED_PATH_BYTES)
                    .rev()
                    .find(|end| path.is_char_boundary(*end));
                path.truncate(end.unwrap_or(0));
                path.push('…');
            }
            self.truncated.push((path, bytes));
        } else {
            self.truncated_more = self.truncated_more.saturating_add(1);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (rule, count) in &other.rules {
            self.removed = self.removed.saturating_add(*count);
            match self.rules.iter_mut().find(|(known, _)| known == rule) {
                Some((_, sum)) => *sum = sum.saturating_add(*count),
                None => self.rules.push((rule, *count)),
            }
        }
    }

    /// Takes over everything that `other` says, findings and truncations too.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.merge(&other);
        for (path, bytes) in other.truncated {
            self.truncate(path, bytes);
        }
        self.truncated_more = self.truncated_more.saturating_add(other.truncated_more);
        for finding in other.findings.unwrap_or_default() {
            self.find(finding);
        }
    }

    /// Appends `,"redaction":{…}`, or nothing when there is nothing to say. `cut` lists the members
    /// that were too large to keep, with their length in bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>, cut: &[(&'static str, usize)]) {
        if self.removed == 0 && self.truncated.is_empty() && cut.is_empty() {
            return;
        }
        out.extend_from_slice(format!(",\"redaction\":{{\"count\":{}", self.removed).as_bytes());
        if !self.rules.is_empty() {
            out.extend_from_slice(b",\"rules\":{");
            for (at, (rule, count)) in self.rules.iter().take(LISTED_RULES).enumerate() {
                let comma = if at > 0 { "," } else { "" };
                out.extend_from_slice(format!("{comma}\"{rule}\":{count}").as_bytes());
            }
            out.push(b'}');
        }
        if !self.truncated.is_empty() {
            out.extend_from_slice(b",\"truncated\":[");
            for (at, (path, bytes)) in self.truncated.iter().enumerate() {
                out.extend_from_slice(if at > 0 {
                    b",{\"path\":"
                } else {
                    b"{\"path\":"
                });
                write_string(out, path);
                out.extend_from_slice(format!(",\"bytes\":{bytes}}}").as_bytes());
            }
            out.push(b']');
        }
        if self.truncated_more > 0 {
            out.extend_from_slice(
                format!(",\"truncated_more\":{}", self.truncated_more).as_bytes(),
            );
        }
        if !cut.is_empty() {
            out.extend_from_slice(b",\"cut\":{");
            for (at, (member, bytes)) in cut.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                out.extend_from_slice(format!("{comma}\"{member}\":{bytes}").as_bytes());
            }
            out.push(b'}');
        }
        out.push(b'}');
    }
}
