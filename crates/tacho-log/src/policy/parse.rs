use std::collections::BTreeMap;

use super::{Group, Member, Policy, PolicyError, PolicyFault, PolicyLog, PolicyWitness};
use crate::key::{VerifyingKey, WitnessKey};
use crate::limits::{POLICY_BYTES, POLICY_LINES};

/// A policy on its way. Names are octets: two that look alike are two names.
#[derive(Default)]
struct Draft<'a> {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    names: BTreeMap<&'a [u8], Member>,
    /// Names that are members of some group: each may be one once.
    members: Vec<&'a [u8]>,
    quorum: Option<Option<Member>>,
}

pub(super) fn parse(file: &[u8]) -> Result<Policy, PolicyError> {
    let whole = |what| PolicyError { line: 0, what };
    if file.len() > POLICY_BYTES {
        return Err(whole(PolicyFault::TooLong));
    }
    let mut draft = Draft::default();
    for (number, line) in file.split_inclusive(|byte| *byte == b'\n').enumerate() {
        draft.line(line).map_err(|what| PolicyError {
            line: number + 1,
            what,
        })?;
    }
    Ok(Policy {
        logs: draft.logs,
        witnesses: draft.witnesses,
        groups: draft.groups,
        quorum: draft.quorum.ok_or(whole(PolicyFault::NoQuorum))?,
    })
}

impl<'a> Draft<'a> {
    fn line(&mut self, line: &'a [u8]) -> Result<(), PolicyFault> {
        let line = line.strip_suffix(b"\n").ok_or(PolicyFault::NoLineFeed)?;
        if line
            .iter()
            .any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f)
        {
            return Err(PolicyFault::Control);
        }
        let words = line.split(|byte| matches!(byte, b' ' | b'\t'));
        let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] => self.log(key, None),
            [b"log", key, url] => self.log(key, Some(url)),
            [b"witness", name, key] => self.witness(name, key, None),
            [b"witness", name, key, url] => self.witness(name, key, Some(url)),
            [b"group", name, threshold, members @ ..] if !members.is_empty() => {
                self.group(name, threshold, members)
            }
            [b"quorum", name] => self.quorum(name),
            _ => Err(PolicyFault::Line),
        }
    }

    fn log(&mut self, key: &[u8], url: Option<&[u8]>) -> Result<(), PolicyFault> {
        let key = VerifyingKey::parse(&text(key)).map_err(PolicyFault::Key)?;
        let same = |log: &PolicyLog| log.key.public_key() == key.public_key();
        if self.logs.iter().any(same) {
            return Err(PolicyFault::DuplicateKey);
        }
        let url = url.map(text);
        push(&mut self.logs, PolicyLog { key, url }).map(drop)
    }

    fn witness(
        &mut self,
        name: &'a [u8],
        key: &[u8],
        url: Option<&[u8]>,
    ) -> Result<(), PolicyFault> {
        let key = WitnessKey::parse(&text(key)).map_err(PolicyFault::Key)?;
        let same = |one: &PolicyWitness| one.key.public_key() == key.public_key();
        if self.witnesses.iter().any(same) {
            return Err(PolicyFault::DuplicateKey);
        }
        let witness = PolicyWitness {
            name: text(name),
            key,
            url: url.map(text),
        };
        let index = push(&mut self.witnesses, witness)?;
        self.define(name, Member::Witness(index))
    }

    fn group(
        &mut self,
        name: &'a [u8],
        threshold: &[u8],
        names: &[&'a [u8]],
    ) -> Result<(), PolicyFault> {
        let mut members = Vec::with_capacity(names.len());
        for member in names {
            members.push(self.find(member)?);
            if self.members.contains(member) {
                return Err(PolicyFault::MemberTwice(text(member)));
            }
            self.members.push(member);
        }
        let threshold = match threshold {
            b"all" => members.len(),
            b"any" => 1,
            number => decimal(number)
                .filter(|k| (1..=members.len()).contains(k))
                .ok_or(PolicyFault::Threshold)?,
        };
        let index = push(&mut self.groups, Group { threshold, members })?;
        self.define(name, Member::Group(index))
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), PolicyFault> {
        let quorum = if name == b"none" {
            None
        } else {
            Some(self.find(name)?)
        };
        match self.quorum.replace(quorum) {
            None => Ok(()),
            Some(_) => Err(PolicyFault::SecondQuorum),
        }
    }

    fn define(&mut self, name: &'a [u8], member: Member) -> Result<(), PolicyFault> {
        if name == b"none" || self.names.insert(name, member).is_some() {
            return Err(PolicyFault::NameTaken);
        }
        Ok(())
    }

    fn find(&self, name: &[u8]) -> Result<Member, PolicyFault> {
        let found = self.names.get(name).copied();
        found.ok_or_else(|| PolicyFault::Unknown(text(name)))
    }
}

/// Adds one more, and says where it stands.
fn push<T>(to: &mut Vec<T>, one: T) -> Result<usize, PolicyFault> {
    if to.len() == POLICY_LINES {
        return Err(PolicyFault::TooMany);
    }
    to.push(one);
    Ok(to.len() - 1)
}

/// A number without sign and without leading zeros.
fn decimal(word: &[u8]) -> Option<usize> {
    let digits = word.iter().all(u8::is_ascii_digit) && !word.starts_with(b"0");
    std::str::from_utf8(word)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}
