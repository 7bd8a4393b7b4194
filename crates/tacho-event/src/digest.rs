use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

type HmacSha256 = Hmac<Sha256>;

/// The key of a log's digests: what lets its holder ask "was it this value?" and nobody else.
///
/// 32 random bytes, kept beside the log and never in it. Its identifier, the first four bytes of
/// SHA-256 over the domain `tacho digest key id` and the key, stands in every digest.
#[derive(Clone)]
pub struct DigestKey {
    bytes: Zeroizing<[u8; 32]>,
    keyed: HmacSha256,
    id: String,
}

/// `hmac-sha256:`, the key's identifier, a colon, and the digest.
const LABEL_BYTES: usize = 85;

/// A digest key must be 64 hexadecimal digits.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a digest key is 64 hexadecimal digits")]
pub struct DigestKeyError;

impl DigestKey {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        // HMAC pads a short key with zeros to the block (RFC 2104 §2).
        let mut block = Zeroizing::new([0; 64]);
        block
            .iter_mut()
            .zip(bytes.iter())
            .for_each(|(to, from)| *to = *from);
        let keyed = HmacSha256::new((&*block).into());
        let id = {
            use sha2::Digest as _;
            let hash = Sha256::new()
                .chain_update(b"tacho digest key id")
                .chain_update(*bytes);
            hex(hash.finalize().get(..4).unwrap_or_default())
        };
        Self { bytes, keyed, id }
    }

    /// From the hexadecimal form in which it is stored.
    pub fn from_hex(text: &str) -> Result<Self, DigestKeyError> {
        let text = text.trim().as_bytes();
        if text.len() != 64 || !text.iter().all(u8::is_ascii_hexdigit) {
            return Err(DigestKeyError);
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok().ok_or(DigestKeyError)?;
            *byte = u8::from_str_radix(pair, 16).ok().ok_or(DigestKeyError)?;
        }
        Ok(Self::new(*bytes))
    }

    /// The key itself, for its file and for the recorder's greeting.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.bytes.clone()
    }

    /// Eight hexadecimal digits that tell keys apart.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// HMAC-SHA256 over `domain`, a zero byte, and `value`. The domain keeps, say, a digest of
    /// arguments from being compared with that of an e-mail address.
    pub fn digest(&self, domain: &str, value: &[u8]) -> KeyedDigest {
        let mut mac = self.keyed.clone();
        mac.update(domain.as_bytes());
        mac.update(&[0]);
        mac.update(value);
        KeyedDigest(mac.finalize().into_bytes().into())
    }

    /// The form of a digest in a record: `hmac-sha256:KEYID:HEX`.
    pub fn label(&self, digest: &KeyedDigest) -> String {
        let mut label = Vec::with_capacity(LABEL_BYTES);
        self.write_label(digest, &mut label);
        String::from_utf8(label).unwrap_or_default()
    }

    /// Appends the same.
    pub(crate) fn write_label(&self, digest: &KeyedDigest, out: &mut Vec<u8>) {
        out.extend_from_slice(b"hmac-sha256:");
        out.extend_from_slice(self.id.as_bytes());
        out.push(b':');
        push_hex(out, &digest.0);
    }
}

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DigestKey({})", self.id)
    }
}

/// HMAC-SHA256 of a value under a [`DigestKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyedDigest([u8; 32]);

impl KeyedDigest {
    /// The first `2 * bytes` hexadecimal digits; all 64 when `bytes` is 32 or more.
    pub fn short_hex(&self, bytes: usize) -> String {
        hex(self.0.get(..bytes).unwrap_or(&self.0))
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    push_hex(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

/// Once or twice for each record, so without the formatting machinery.
fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
    out.extend(
        bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_hmac_sha256_of_domain_zero_value() {
        // Python: hmac.new(bytes(range(32)), b"args\0" + b"{}", "sha256").hexdigest()
        let key = DigestKey::new(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(
            key.digest("args", b"{}").short_hex(32),
            "76c0453e19c8d4e71a57e75d3c3fc47db0e168397331ab7723a3a95813907605"
        );
        assert_ne!(key.digest("args", b"{}"), key.digest("result", b"{}"));
    }

    #[test]
    fn reads_back_its_hex_and_refuses_the_rest() {
        let key = DigestKey::new([7; 32]);
        let read = DigestKey::from_hex(&format!("{}\n", hex(&*key.to_bytes()))).unwrap();
        assert_eq!(read.id(), key.id());
        assert!(DigestKey::from_hex("").is_err());
        assert!(DigestKey::from_hex(&"g".repeat(64)).is_err());
        assert!(DigestKey::from_hex(&"+1".repeat(32)).is_err());
    }
}
