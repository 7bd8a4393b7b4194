//! What `sigstore-merkle` hashes with: SHA-256 of the `sha2` crate, and nothing else of what sigstore can do.

use sha2::{Digest as _, Sha256};
use sigstore_crypto::{CryptoProvider, Error, HashContext, SigningScheme};
use sigstore_types::HashAlgorithm;

#[derive(Debug)]
struct Sha256Only;

struct Context(Sha256);

impl HashContext for Context {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

impl CryptoProvider for Sha256Only {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>, Error> {
        if algorithm == HashAlgorithm::Sha2256 {
            Ok(Box::new(Context(Sha256::new())))
        } else {
            Err(unsupported())
        }
    }

    fn verify_raw(&self, _: SigningScheme, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), Error> {
        Err(unsupported())
    }

    fn verify_prehashed(
        &self,
        _: SigningScheme,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<(), Error> {
        Err(unsupported())
    }
}

fn unsupported() -> Error {
    Error::UnsupportedAlgorithm("a Merkle proof needs SHA-256 only".to_owned())
}

/// Must run before the first hash; later calls change nothing.
pub(crate) fn install() {
    sigstore_crypto::install_default_provider(&Sha256Only).ok();
}
