//! Who may read what is kept encrypted: age v1 (<https://age-encryption.org/v1>) with X25519 keys.
//!
//! [`Recipients`] are public, and all that a writer has: it cannot read back what it encrypted.
//! [`Identities`] are the private halves, which auditors hold.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::str::FromStr as _;

use age::secrecy::ExposeSecret as _;
use age::x25519::{Identity, Recipient};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::limits::{IDENTITIES, RECIPIENTS};

/// A text that is no recipient, or no file of identities.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecipientError {
    /// Not `age1…`.
    #[error("{text:?} is not an age recipient ({why}): it looks like age1… and has 62 characters")]
    NotARecipient {
        /// The beginning of what was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A list with nobody in it.
    #[error("there are no recipients")]
    Nobody,
    /// More than [`RECIPIENTS`] or [`IDENTITIES`].
    #[error("there are more than {0} of them")]
    TooMany(usize),
    /// A line that is neither a comment nor `AGE-SECRET-KEY-1…`. The line itself is not repeated: it may be a
    /// damaged key.
    #[error("line {line} is neither a comment nor an AGE-SECRET-KEY-1… identity")]
    NotAnIdentity {
        /// From 1.
        line: usize,
    },
    /// A file without an identity.
    #[error("there is no AGE-SECRET-KEY-1… line")]
    NoIdentity,
}

/// Those who can read what is encrypted from now on.
#[derive(Clone)]
pub struct Recipients(Vec<Recipient>);

impl Recipients {
    /// From `age1…` texts.
    ///
    /// # Errors
    ///
    /// When one of them is none, or there are none or too many.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, RecipientError> {
        if texts.is_empty() {
            return Err(RecipientError::Nobody);
        }
        if texts.len() > RECIPIENTS {
            return Err(RecipientError::TooMany(RECIPIENTS));
        }
        let recipient = |text: &S| {
            let text = text.as_ref();
            Recipient::from_str(text).map_err(|why| RecipientError::NotARecipient {
                text: text.chars().take(16).collect(),
                why: why.to_owned(),
            })
        };
        Ok(Self(texts.iter().map(recipient).collect::<Result<_, _>>()?))
    }

    /// Writes what `contents` gives to `out`, encrypted to all of them; returns `out`.
    ///
    /// # Errors
    ///
    /// When reading or writing fails; what is in `out` then does not decrypt.
    pub fn encrypt<W: Write>(&self, contents: &mut dyn Read, out: W) -> io::Result<W> {
        let all = self.0.iter().map(|one| one as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(all).map_err(io::Error::other)?;
        let mut writer = encryptor.wrap_output(out)?;
        io::copy(contents, &mut writer)?;
        writer.finish()
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(Recipient::to_string))
            .finish()
    }
}

/// Private keys that open what was encrypted to their public halves.
#[derive(Clone)]
pub struct Identities(Vec<Identity>);

/// Why an encrypted file was not opened.
#[derive(Debug, Error)]
pub enum DecryptError {
    /// It is encrypted to others.
    #[error("it is encrypted to others")]
    NotForUs,
    /// It is not an age file, or a damaged one.
    #[error("it does not decrypt: {0}")]
    Damaged(String),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl DecryptError {
    /// What a read of decrypted bytes failed with: age says so when a piece is not what was written, or the last
    /// one is missing.
    pub fn from_read(error: io::Error) -> Self {
        let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
        if kinds.contains(&error.kind()) {
            Self::Damaged("its bytes were changed or cut off".to_owned())
        } else {
            Self::Io(error)
        }
    }
}

impl Identities {
    /// From the text of an identity file, as `age-keygen` writes it: lines that begin with `#`, empty
    /// lines, and `AGE-SECRET-KEY-1…` lines.
    ///
    /// # Errors
    ///
    /// When a line is something else, or there is no identity in it.
    pub fn parse(text: &str) -> Result<Self, RecipientError> {
        let mut identities = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Ok(identity) = Identity::from_str(line) else {
                return Err(RecipientError::NotAnIdentity { line: at + 1 });
            };
            if identities.len() >= IDENTITIES {
                return Err(RecipientError::TooMany(IDENTITIES));
            }
            identities.push(identity);
        }
        if identities.is_empty() {
            return Err(RecipientError::NoIdentity);
        }
        Ok(Self(identities))
    }

    /// A new identity: the text of its file, and the recipient that belongs to it.
    pub fn generate() -> (Zeroizing<String>, String) {
        let identity = Identity::generate();
        let recipient = identity.to_public().to_string();
        let secret = identity.to_string();
        let text = format!("# public key: {recipient}\n{}\n", secret.expose_secret());
        (Zeroizing::new(text), recipient)
    }

    /// The contents of an age file. Every piece of 64 KiB is checked before it is given out, and a file that was
    /// cut off ends in an error.
    ///
    /// # Errors
    ///
    /// [`DecryptError::NotForUs`] when none of the identities opens it.
    pub fn decrypt(
        &self,
        file: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>, DecryptError> {
        let refused = |error: age::DecryptError| {
            if matches!(error, age::DecryptError::NoMatchingKeys) {
                return DecryptError::NotForUs;
            }
            let what = error.to_string();
            if let age::DecryptError::Io(error) = error
                && error.kind() != io::ErrorKind::UnexpectedEof
            {
                return DecryptError::Io(error);
            }
            DecryptError::Damaged(what)
        };
        let decryptor = age::Decryptor::new_buffered(BufReader::new(file)).map_err(refused)?;
        let all = self.0.iter().map(|one| one as &dyn age::Identity);
        Ok(Box::new(decryptor.decrypt(all).map_err(refused)?))
    }
}

/// Says how many, and nothing of the keys.
impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let identity = Identity::generate();
        let secret = identity.to_string().expose_secret().to_owned();
        (identity.to_public().to_string(), secret)
    }

    fn decrypted(file: &[u8], identities: &Identities) -> Result<Vec<u8>, DecryptError> {
        let mut contents = Vec::new();
        identities
            .decrypt(Box::new(io::Cursor::new(file.to_vec())))?
            .read_to_end(&mut contents)?;
        Ok(contents)
    }

    #[test]
    fn each_recipient_reads_it_and_nobody_else() {
        let (ann, ann_key) = pair();
        let (bob, bob_key) = pair();
        let (_, other_key) = pair();
        let recipients = Recipients::parse(&[ann, bob]).unwrap();
        let contents = vec![7; 200_000];
        let file = recipients.encrypt(&mut &*contents, Vec::new()).unwrap();
        for key in [&ann_key, &bob_key] {
            let text = format!("# created: today\n# public key: age1…\n\n{key}\n");
            let identities = Identities::parse(&text).unwrap();
            assert_eq!(decrypted(&file, &identities).unwrap(), contents);
            // Cut off anywhere, at a piece's border too, it is no shorter contents.
            for len in [0, 10, 300, 70_000, file.len() - 1] {
                assert!(decrypted(&file[..len], &identities).is_err(), "{len}");
            }
            let mut flipped = file.clone();
            flipped[100_000] ^= 1;
            assert!(decrypted(&flipped, &identities).is_err());
        }
        let other = Identities::parse(&other_key).unwrap();
        assert!(matches!(
            decrypted(&file, &other),
            Err(DecryptError::NotForUs)
        ));
        assert!(!format!("{other:?}").contains("AGE-SECRET"));
    }

    #[test]
    fn texts_that_are_none() {
        let (ann, key) = pair();
        assert_eq!(
            Recipients::parse::<&str>(&[]).unwrap_err(),
            RecipientError::Nobody
        );
        assert!(Recipients::parse(&vec![ann.clone(); RECIPIENTS + 1]).is_err());
        for text in ["", "age1", "ssh-ed25519 AAAA", key.as_str()] {
            let error = Recipients::parse(&[text]).unwrap_err().to_string();
            assert!(error.contains("age1…"), "{error}");
            assert!(!error.contains(&key), "a private key is not repeated");
        }
        for (text, error) in [
            ("", RecipientError::NoIdentity),
            ("# nothing\n", RecipientError::NoIdentity),
            (
                "# x\nAGE-SECRET-KEY-1NONSENSE\n",
                RecipientError::NotAnIdentity { line: 2 },
            ),
            (ann.as_str(), RecipientError::NotAnIdentity { line: 1 }),
        ] {
            assert_eq!(Identities::parse(text).unwrap_err(), error, "{text:?}");
        }
    }
}
