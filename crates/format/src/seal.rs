//! Sealing with AES-256-GCM under keys derived by HKDF-SHA-256 `[V-2]`.

use crate::{error::Damage, secret::Secret32};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use zeroize::Zeroize;

/// Length of the authentication tag that follows every ciphertext.
pub const TAG_LEN: usize = 16;
/// Length of a derivation salt.
pub const SALT_LEN: usize = 32;

struct Len32;

impl KeyType for Len32 {
    fn len(&self) -> usize {
        32
    }
}

/// Derives a 32-byte key: HKDF-SHA-256 with `salt`, the secret as input key material, and `info` `[V-2.2]`.
///
/// # Panics
/// Never: 32 bytes are within what HKDF can expand.
#[must_use]
pub fn derive(secret: &Secret32, salt: &[u8], info: &str) -> Secret32 {
    let prk = Salt::new(HKDF_SHA256, salt).extract(secret.expose());
    let mut out = [0; 32];
    prk.expand(&[info.as_bytes()], Len32)
        .and_then(|okm| okm.fill(&mut out))
        .expect("HKDF-SHA-256 gives 32 bytes");
    let derived = Secret32::new(out);
    out.zeroize();
    derived
}

/// An AES-256-GCM key, ready for use.
pub struct SealKey(LessSafeKey);

impl SealKey {
    /// Prepares a key.
    ///
    /// # Panics
    /// Never: the key has the right length.
    #[must_use]
    pub fn new(secret: &Secret32) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, secret.expose()).expect("AES-256 keys have 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Seals `bytes` in place and appends the tag. A number must be used once for each key `[V-2.3]`.
    ///
    /// # Panics
    /// Never: inputs are far below the limits of AES-GCM.
    pub fn seal(&self, number: u64, aad: &[u8], bytes: &mut Vec<u8>) {
        self.0
            .seal_in_place_append_tag(nonce(number), Aad::from(aad), bytes)
            .expect("input within AES-GCM limits");
    }

    /// Seals `bytes` in place and returns the tag.
    ///
    /// # Panics
    /// Never: inputs are far below the limits of AES-GCM.
    pub fn seal_detached(&self, number: u64, aad: &[u8], bytes: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(number), Aad::from(aad), bytes)
            .expect("input within AES-GCM limits");
        let mut out = [0; TAG_LEN];
        out.copy_from_slice(tag.as_ref());
        out
    }

    /// Opens `bytes` in place and returns the plaintext.
    ///
    /// # Errors
    /// [`Damage::Seal`] where the tag does not match.
    pub fn open<'a>(&self, number: u64, aad: &[u8], bytes: &'a mut [u8]) -> Result<&'a mut [u8], Damage> {
        self.0.open_in_place(nonce(number), Aad::from(aad), bytes).map_err(|_| Damage::Seal)
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(..)")
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// The size to which an object of `len` bytes is padded, so that its size tells little `[V-2.7]`.
///
/// Below 16 MiB this is Padmé (Nikitin et al., PETS 2019), at most 12 % and usually under 3 %;
/// from there on the next multiple of 64 KiB.
#[must_use]
pub fn padded_len(len: usize) -> usize {
    if len >= 16 << 20 {
        return len.next_multiple_of(64 << 10);
    }
    if len < 512 {
        return 512;
    }
    let exponent = usize::BITS - 1 - len.leading_zeros();
    let mantissa_bits = u32::BITS - exponent.leading_zeros();
    len.next_multiple_of(1 << (exponent - mantissa_bits))
}
