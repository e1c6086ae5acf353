//! Key bytes that are wiped when dropped and never printed.

use crate::entropy::Entropy;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A 32-byte secret.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret32(Box<[u8; 32]>);

impl Secret32 {
    /// Takes over key bytes; the caller wipes its own copy.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Box::new(bytes))
    }

    /// A new random secret.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        let mut secret = Self(Box::new([0; 32]));
        entropy.fill(secret.0.as_mut_slice());
        secret
    }

    /// The secret in `bytes`, where they are exactly 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self(Box::new([0; 32]));
        if bytes.len() != 32 {
            return None;
        }
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// The key bytes, for the one call that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A public value that commits to this secret and tells nothing of it `[V-2.6]`.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        blake3::derive_key("strongroom v1 key commitment", self.0.as_slice())
    }
}

impl std::fmt::Debug for Secret32 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret32(..)")
    }
}
