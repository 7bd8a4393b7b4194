//! Ed25519 keys with names, in the layouts of C2SP signed-note v1.0.0 and of Go's `note` package.

mod cosign;
#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::note::Signature;

pub use cosign::CosigningKey;

/// What a signing key's line starts with.
const PRIVATE: &str = "PRIVATE+KEY+";

/// C2SP signed-note, signature types: Ed25519 over the text.
const ED25519: u8 = 0x01;

/// C2SP signed-note, signature types: timestamped Ed25519 checkpoint cosignature.
const COSIGNATURE: u8 = 0x04;

/// The longest name: that of a host and a path, with room. A name stands in every signature.
pub const MAX_NAME_BYTES: usize = 255;

/// Why a key, or a signature with it, is refused. Names no secret.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// Names are not empty, have at most [`MAX_NAME_BYTES`] bytes, and neither white space, control
    /// characters nor `+`.
    #[error(
        "not a key name: empty, longer than {MAX_NAME_BYTES} bytes, or with white space, control characters or '+'"
    )]
    Name,
    /// Not in the layout of a key.
    #[error("not in the layout of a key")]
    Malformed,
    /// A kind of key that is not known, or not the one that is wanted here.
    #[error("a key of type {0:#04x} cannot be used here")]
    Type(u8),
    /// The identifier in the key is not that of the key.
    #[error("the key's identifier is not that of its name and public key")]
    WrongId,
    /// The public key is not a point of the curve, or one that anybody can sign for.
    #[error("not a usable Ed25519 public key")]
    Unusable,
    /// The signature names another key.
    #[error("the signature is by another key")]
    OtherKey,
    /// The signature is not one of this key over this text.
    #[error("the signature is not valid")]
    BadSignature,
}

/// Checks the name of a key that this project makes or trusts, which for a log is its origin.
pub fn check_name(name: &str) -> Result<(), KeyError> {
    if !is_note_name(name) || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
        return Err(KeyError::Name);
    }
    Ok(())
}

/// C2SP signed-note, "Format": what any name in a signature line is.
pub(crate) fn is_note_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+' || c < ' ')
}

/// The private half of any key here. Has no `Serialize` and is overwritten when dropped.
struct Secret(ed25519_dalek::SigningKey);

impl Secret {
    fn generate(name: &str, kind: u8, entropy: [u8; 32]) -> Result<(Self, Public), KeyError> {
        let entropy = Zeroizing::new(entropy);
        let secret = ed25519_dalek::SigningKey::from_bytes(&entropy);
        let public = Public::new(name, kind, secret.verifying_key())?;
        Ok((Self(secret), public))
    }

    fn parse(text: &str, kind: u8) -> Result<(Self, Public), KeyError> {
        let text = text.strip_prefix(PRIVATE).ok_or(KeyError::Malformed)?;
        let (name, id, seed) = fields(text, kind)?;
        let (secret, public) = Self::generate(name, kind, *seed)?;
        if public.id != id {
            return Err(KeyError::WrongId);
        }
        Ok((secret, public))
    }

    fn encode(&self, public: &Public) -> Zeroizing<String> {
        Zeroizing::new(format!("{PRIVATE}{}", *layout(public, self.0.as_bytes())))
    }

    fn sign(&self, message: &str) -> [u8; 64] {
        self.0.sign(message.as_bytes()).to_bytes()
    }
}

/// The private key of a log.
pub struct SigningKey {
    secret: Secret,
    public: VerifyingKey,
}

impl SigningKey {
    /// A new key from 32 bytes of the operating system's randomness.
    pub fn generate(name: &str, entropy: [u8; 32]) -> Result<Self, KeyError> {
        Secret::generate(name, ED25519, entropy).map(Self::of)
    }

    /// Reads `PRIVATE+KEY+NAME+HEX8+BASE64(0x01 || seed)`, without a line feed.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        Secret::parse(text, ED25519).map(Self::of)
    }

    fn of((secret, public): (Secret, Public)) -> Self {
        let public = VerifyingKey(public);
        Self { secret, public }
    }

    /// The line that [`SigningKey::parse`] reads.
    pub fn encode(&self) -> Zeroizing<String> {
        self.secret.encode(&self.public.0)
    }

    /// What signatures of this key are checked with.
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        self.public.name()
    }

    /// Signs a note's text.
    pub fn sign(&self, text: &str) -> Signature {
        Signature {
            name: self.public.0.name.clone(),
            key_id: self.public.0.id,
            bytes: self.secret.sign(text).to_vec(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SigningKey({}+{:08x})",
            self.public.0.name, self.public.0.id
        )
    }
}

/// The public key of a log: type 0x01.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey(Public);

impl VerifyingKey {
    /// Reads `NAME+HEX8+BASE64(0x01 || public key)`, without a line feed.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        Public::parse(vkey, ED25519).map(Self)
    }

    /// The line that [`VerifyingKey::parse`] reads.
    pub fn encode(&self) -> String {
        self.0.encode()
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Tells keys of one name apart; the first four bytes of a signature.
    pub const fn key_id(&self) -> u32 {
        self.0.id
    }

    /// Whether `signature` says it is by this key.
    pub fn signs(&self, signature: &Signature) -> bool {
        self.0.signs(signature)
    }

    /// Checks a signature of a note's text.
    pub fn verify_strict(&self, text: &str, signature: &Signature) -> Result<(), KeyError> {
        self.0.check_signer(signature)?;
        self.0.verify(text.as_bytes(), &signature.bytes)
    }

    /// The key itself: two verifier keys with the same one are the same log's, whatever their names.
    pub fn public_key(&self) -> &[u8; 32] {
        self.0.key.as_bytes()
    }
}

/// The public key of a witness: type 0x04, C2SP tlog-cosignature v1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey(Public);

impl WitnessKey {
    /// Reads `NAME+HEX8+BASE64(0x04 || public key)`, without a line feed.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        Public::parse(vkey, COSIGNATURE).map(Self)
    }

    /// The line that [`WitnessKey::parse`] reads.
    pub fn encode(&self) -> String {
        self.0.encode()
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Tells keys of one name apart; the first four bytes of a signature.
    pub const fn key_id(&self) -> u32 {
        self.0.id
    }

    /// Whether `signature` says it is by this key.
    pub fn signs(&self, signature: &Signature) -> bool {
        self.0.signs(signature)
    }

    /// Checks a cosignature of a checkpoint's text, and returns its time in seconds since 1970 UTC.
    pub fn verify_strict(&self, text: &str, signature: &Signature) -> Result<u64, KeyError> {
        self.0.check_signer(signature)?;
        let (time, bytes) = signature
            .bytes
            .split_first_chunk()
            .ok_or(KeyError::BadSignature)?;
        let time = u64::from_be_bytes(*time);
        if i64::try_from(time).is_err() {
            return Err(KeyError::BadSignature);
        }
        self.0
            .verify(cosign::message(text, time).as_bytes(), bytes)?;
        Ok(time)
    }

    /// The key itself: two witness keys with the same one are the same witness, whatever their names.
    pub fn public_key(&self) -> &[u8; 32] {
        self.0.key.as_bytes()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Public {
    name: String,
    id: u32,
    kind: u8,
    key: ed25519_dalek::VerifyingKey,
}

impl Public {
    fn new(name: &str, kind: u8, key: ed25519_dalek::VerifyingKey) -> Result<Self, KeyError> {
        check_name(name)?;
        // For a key of small order there are signatures that fit many texts.
        if key.is_weak() {
            return Err(KeyError::Unusable);
        }
        Ok(Self {
            name: name.to_owned(),
            id: key_id(name, kind, key.as_bytes()),
            kind,
            key,
        })
    }

    fn parse(vkey: &str, kind: u8) -> Result<Self, KeyError> {
        let (name, id, bytes) = fields(vkey, kind)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes)
            .ok()
            .ok_or(KeyError::Unusable)?;
        let public = Self::new(name, kind, key)?;
        if public.id != id {
            return Err(KeyError::WrongId);
        }
        Ok(public)
    }

    fn encode(&self) -> String {
        layout(self, self.key.as_bytes()).to_string()
    }

    fn signs(&self, signature: &Signature) -> bool {
        signature.key_id == self.id && signature.name == self.name
    }

    fn check_signer(&self, signature: &Signature) -> Result<(), KeyError> {
        if self.signs(signature) {
            Ok(())
        } else {
            Err(KeyError::OtherKey)
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let signature = ed25519_dalek::Signature::from_slice(signature).ok();
        let signature = signature.ok_or(KeyError::BadSignature)?;
        self.key
            .verify_strict(message, &signature)
            .ok()
            .ok_or(KeyError::BadSignature)
    }
}

/// The first four bytes of SHA-256(name || LF || type || public key).
fn key_id(name: &str, kind: u8, key: &[u8; 32]) -> u32 {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', kind])
        .chain_update(key);
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk().map_or(0, |id| u32::from_be_bytes(*id))
}

/// `NAME+HEX8+BASE64(type || key)`, where the 32 bytes of the key may be secret.
fn layout(public: &Public, key: &[u8; 32]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 + key.len()));
    bytes.push(public.kind);
    bytes.extend_from_slice(key);
    let base64 = Zeroizing::new(STANDARD.encode(&*bytes));
    Zeroizing::new(format!("{}+{:08x}+{}", public.name, public.id, *base64))
}

/// The name, the identifier and the 32 key bytes, which may be secret, of [`layout`].
fn fields(text: &str, wanted: u8) -> Result<(&str, u32, Zeroizing<[u8; 32]>), KeyError> {
    let (name, rest) = text.split_once('+').ok_or(KeyError::Malformed)?;
    let (hex, base64) = rest.split_once('+').ok_or(KeyError::Malformed)?;
    let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hex.len() != 8 || !hex.bytes().all(is_lower_hex) {
        return Err(KeyError::Malformed);
    }
    let id = u32::from_str_radix(hex, 16)
        .ok()
        .ok_or(KeyError::Malformed)?;
    let bytes = Zeroizing::new(STANDARD.decode(base64).ok().ok_or(KeyError::Malformed)?);
    let (kind, key) = bytes.split_first().ok_or(KeyError::Malformed)?;
    if *kind != wanted {
        return Err(KeyError::Type(*kind));
    }
    let key = Zeroizing::new(<[u8; 32]>::try_from(key).ok().ok_or(KeyError::Malformed)?);
    Ok((name, id, key))
}
