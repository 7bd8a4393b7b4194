use std::fmt;

use zeroize::Zeroizing;

use super::{COSIGNATURE, KeyError, Public, Secret, WitnessKey};
use crate::note::Signature;

/// The private key of a witness: type 0x04, C2SP tlog-cosignature v1.
pub struct CosigningKey {
    secret: Secret,
    public: WitnessKey,
}

impl CosigningKey {
    /// A new key from 32 bytes of the operating system's randomness.
    pub fn generate(name: &str, entropy: [u8; 32]) -> Result<Self, KeyError> {
        Secret::generate(name, COSIGNATURE, entropy).map(Self::of)
    }

    /// Reads `PRIVATE+KEY+NAME+HEX8+BASE64(0x04 || seed)`, without a line feed.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        Secret::parse(text, COSIGNATURE).map(Self::of)
    }

    fn of((secret, public): (Secret, Public)) -> Self {
        let public = WitnessKey(public);
        Self { secret, public }
    }

    /// The line that [`CosigningKey::parse`] reads.
    pub fn encode(&self) -> Zeroizing<String> {
        self.secret.encode(&self.public.0)
    }

    /// What cosignatures of this key are checked with.
    pub const fn witness_key(&self) -> &WitnessKey {
        &self.public
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        self.public.name()
    }

    /// Cosigns a checkpoint's text at `time`, in seconds since 1970 UTC. Whether the checkpoint is
    /// consistent with all that was cosigned before is for the caller to know:
    /// [`crate::witness::Witness`].
    pub fn cosign(&self, text: &str, time: u64) -> Signature {
        let signed = self.secret.sign(&message(text, time));
        Signature {
            name: self.public.0.name.clone(),
            key_id: self.public.0.id,
            bytes: [&time.to_be_bytes()[..], &signed].concat(),
        }
    }
}

/// C2SP tlog-cosignature, "Ed25519 signed message".
pub(super) fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

impl fmt::Debug for CosigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = &self.public.0;
        write!(f, "CosigningKey({}+{:08x})", public.name, public.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;

    const TEXT: &str = "log\n3\nyKdfgzGw8IYzKqbubXol3bWsi9XFwQKf96QXUzWQF8o=\n";

    /// A cosignature of another implementation (`fixtures/vectors`, kat.tlog-proof), made again.
    #[test]
    fn signs_what_other_tools_sign() {
        let seed: [u8; 32] = sha2::Digest::finalize(
            <sha2::Sha256 as sha2::Digest>::new_with_prefix(b"test-witness"),
        )
        .into();
        let key = CosigningKey::generate("witness.example.com/w1", seed).unwrap();
        assert_eq!(
            key.witness_key().encode(),
            "witness.example.com/w1+d951a68e+BB3GoGk/JItY6jeF1OgtQPfJQqGjJe7wRp9H08BOai0+"
        );
        let text =
            "audit.example.com/mcp/host-1\n5\n1wbh77A7FR2x2GzmGyygjpuwQcUQD/aru8v+U0MMwh4=\n";
        let mut line = String::new();
        key.cosign(text, 1_790_000_000).write(&mut line);
        assert_eq!(
            line,
            "\u{2014} witness.example.com/w1 2VGmjgAAAABqsTuAUs/F0zxuv4585dES7AwGVs1qt7p1szBw0unz8zjHFN7H/b6hzv0lnrrq46Psn77TAVU3Q0DvoAyE8VLVkFfpAA==\n"
        );
    }

    #[test]
    fn reads_back_its_line_and_no_other() {
        let key = CosigningKey::generate("w", [7; 32]).unwrap();
        let line = key.encode();
        let again = CosigningKey::parse(&line).unwrap();
        assert_eq!(again.witness_key(), key.witness_key());
        let log = SigningKey::generate("w", [7; 32]).unwrap();
        assert_eq!(
            CosigningKey::parse(&log.encode()).unwrap_err(),
            KeyError::Type(1)
        );
        assert_eq!(SigningKey::parse(&line).unwrap_err(), KeyError::Type(4));
        for bad in [
            line.trim_start_matches('P'),
            line.get(..line.len() - 1).unwrap(),
            "",
            &line.replacen("+w+", "+v+", 1),
        ] {
            assert!(CosigningKey::parse(bad).is_err(), "{bad}");
        }
        let secret = line.rsplit('+').next().unwrap();
        assert!(!format!("{key:?}").contains(secret));
    }

    #[test]
    fn a_cosignature_is_over_its_time_and_its_text() {
        let key = CosigningKey::generate("w", [7; 32]).unwrap();
        let good = key.cosign(TEXT, 1_000);
        let witness = key.witness_key();
        assert_eq!(witness.verify_strict(TEXT, &good), Ok(1_000));
        let bad = Err(KeyError::BadSignature);
        let mut later = good.clone();
        later.bytes[7] ^= 1;
        assert_eq!(witness.verify_strict(TEXT, &later), bad);
        assert_eq!(witness.verify_strict(&TEXT.replace('3', "4"), &good), bad);
        // tlog-cosignature: a time fits a signed number.
        let never = key.cosign(TEXT, u64::MAX);
        assert_eq!(witness.verify_strict(TEXT, &never), bad);
    }
}
