//! What a record says of a body that is kept beside it, encrypted (`docs/format.md` §14).

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::Body;
use crate::json::write_integer;

const PREFIX: &str = "salted-sha256:";

/// SHA-256 over a random salt and a body: holds whoever kept the body to it, and tells nothing to whoever has
/// not the salt. In a record `salted-sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Commitment([u8; 32]);

impl Commitment {
    /// Bytes of the salt, which stands before the body in its file and nowhere else.
    pub const SALT_BYTES: usize = 32;

    /// To a body, with its salt.
    pub fn to(salt: &[u8; Self::SALT_BYTES], body: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(salt).chain_update(body);
        Self(hash.finalize().into())
    }

    /// From a hash over salt and body that was taken in pieces.
    pub const fn from_sha256(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Reads the form that stands in a record; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let lower = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            let pair = std::str::from_utf8(pair).ok()?;
            if !pair.as_bytes().iter().all(lower) {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One member of `evidence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) body: Body,
    pub(crate) commitment: Commitment,
    pub(crate) bytes: usize,
}

/// Room that the member `evidence` takes in a record at most, in bytes: two bodies, each at most 140.
pub(crate) const MEMBER_BYTES: usize = 320;

/// Appends the member `evidence`, with the comma before it; nothing when nothing is kept.
pub(crate) fn write(out: &mut Vec<u8>, kept: &[Kept]) {
    for (at, kept) in kept.iter().enumerate() {
        let opening: &[u8] = if at == 0 { b",\"evidence\":{" } else { b"," };
        out.extend_from_slice(opening);
        let (body, commitment) = (kept.body, kept.commitment);
        let member = format!("\"{body}\":{{\"commitment\":\"{commitment}\",\"bytes\":");
        out.extend_from_slice(member.as_bytes());
        write_integer(out, kept.bytes);
        out.push(b'}');
    }
    if !kept.is_empty() {
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_sha256_of_salt_and_body_and_reads_back() {
        // Python: hashlib.sha256(bytes(32) + b"{}").hexdigest()
        let commitment = Commitment::to(&[0; 32], b"{}");
        let text = commitment.to_string();
        assert_eq!(
            text,
            "salted-sha256:fb1634c4e6cd4b1f1afe3ce2d6ef080f7ac5d1f357d723ad4dfca782733b62db"
        );
        assert_eq!(Commitment::parse(&text), Some(commitment));
        for wrong in [
            "",
            "salted-sha256:",
            &text.to_uppercase(),
            &text.replace("salted-", ""),
            &format!("{text}0"),
            &text.replacen(':', ":+", 1),
        ] {
            assert!(Commitment::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_member_has_the_room_it_needs() {
        let kept = |body| Kept {
            body,
            commitment: Commitment::to(&[1; 32], b""),
            bytes: usize::MAX,
        };
        let mut out = Vec::new();
        write(&mut out, &[kept(Body::Args), kept(Body::Result)]);
        assert!(out.len() <= MEMBER_BYTES, "{}", out.len());
        let text = format!("{{\"v\":1{}}}", String::from_utf8(out).unwrap());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["evidence"]["result"]["bytes"], usize::MAX);
        let mut nothing = Vec::new();
        write(&mut nothing, &[]);
        assert!(nothing.is_empty());
    }
}
