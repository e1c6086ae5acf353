//! X-Wing key pairs, and 32-byte secrets sealed to them: HPKE (RFC 9180) in base mode with X-Wing,
//! HKDF-SHA-256 and AES-256-GCM, no associated data `[V-2.5]`.
//!
//! In scope: sealing, opening, the encoding of keys. Out of scope: what the secrets are, and what `info`
//! binds them to; the callers say that.

use crate::{
    entropy::{Entropy, EntropyRng},
    seal::TAG_LEN,
    secret::Secret32,
};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256, kem::XWing,
};

/// Length of an X-Wing public key.
pub const PUBLIC_KEY_LEN: usize = 1216;
/// Length of an X-Wing encapsulated key.
pub const ENCAPSULATED_LEN: usize = 1120;
/// Length of a 32-byte secret sealed by HPKE: encapsulated key, ciphertext, tag.
pub const SEALED_SECRET_LEN: usize = ENCAPSULATED_LEN + 32 + TAG_LEN;

/// A 32-byte secret, sealed to a public key: encapsulated key, ciphertext, tag.
pub type SealedSecret = [u8; SEALED_SECRET_LEN];

/// A public key, to which anyone can seal.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey(<XWing as Kem>::PublicKey);

impl SealingKey {
    /// Parses an encoded public key. `None` where the bytes are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <XWing as Kem>::PublicKey::from_bytes(bytes).map(Self).ok()
    }

    /// The encoded public key: [`PUBLIC_KEY_LEN`] bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    /// Seals `secret`, bound to `info`.
    pub fn seal(&self, info: &[u8], secret: &Secret32, entropy: &mut dyn Entropy) -> SealedSecret {
        let (encapsulated, ciphertext) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, XWing>(
            &OpModeS::Base,
            &self.0,
            info,
            secret.expose(),
            b"",
            &mut EntropyRng(entropy),
        )
        .expect("sealing to a checked public key succeeds");
        let mut out = [0; SEALED_SECRET_LEN];
        out[..ENCAPSULATED_LEN].copy_from_slice(&encapsulated.to_bytes());
        out[ENCAPSULATED_LEN..].copy_from_slice(&ciphertext);
        out
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingKey({})", &blake3::hash(&self.to_bytes()).to_hex()[..16])
    }
}

/// A private key: the 32-byte seed of a key pair.
#[derive(Debug, Clone)]
pub struct OpeningKey(Secret32);

impl OpeningKey {
    /// The private key with this seed; any 32 bytes are one.
    #[must_use]
    pub fn from_seed(seed: Secret32) -> Self {
        Self(seed)
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> &Secret32 {
        &self.0
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> SealingKey {
        leaving_no_trace(|| SealingKey(XWing::sk_to_pk(&self.hpke())))
    }

    /// Opens what [`SealingKey::seal`] made. `None` where it was changed, sealed to another key, or bound to
    /// another `info`, which cannot be told apart.
    #[must_use]
    pub fn open(&self, info: &[u8], sealed: &SealedSecret) -> Option<Secret32> {
        leaving_no_trace(|| self.open_here(info, sealed))
    }

    fn open_here(&self, info: &[u8], sealed: &SealedSecret) -> Option<Secret32> {
        let (encapsulated, ciphertext) = sealed.split_at(ENCAPSULATED_LEN);
        let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
        let mut opened = hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.hpke(),
            &encapsulated,
            info,
            ciphertext,
            b"",
        )
        .ok()?;
        let secret = Secret32::from_slice(&opened);
        zeroize::Zeroize::zeroize(&mut opened);
        secret
    }

    fn hpke(&self) -> <XWing as Kem>::PrivateKey {
        <XWing as Kem>::PrivateKey::from_bytes(self.0.expose()).expect("X-Wing seeds have 32 bytes")
    }
}

/// More stack than an X-Wing operation takes.
const STACK: usize = 96 << 10;

/// Does work with a private key, and wipes the stack that it used. Private keys are plain values in `hpke`: moving one
/// leaves a copy behind that no destructor knows of.
fn leaving_no_trace<T>(work: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn apart<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
    #[inline(never)]
    fn wipe() {
        let mut stack = [0u8; STACK];
        zeroize::Zeroize::zeroize(&mut stack);
        std::hint::black_box(&mut stack);
    }
    let result = apart(work);
    wipe();
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;
    use data_encoding::HEXLOWER;

    fn key(byte: u8) -> OpeningKey {
        OpeningKey::from_seed(Secret32::new([byte; 32]))
    }

    /// The first test vector of draft-connolly-cfrg-xwing-kem, by both ends of its public key.
    #[test]
    fn public_key_of_the_published_vector() {
        let seed = HEXLOWER.decode(b"7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26");
        let key = OpeningKey::from_seed(Secret32::from_slice(&seed.unwrap()).unwrap());
        let public = HEXLOWER.encode(&key.public().to_bytes());
        assert!(public.starts_with("e2236b35a8c24b39b10aa1323a96a919a2ced88400633a7b07131713fc14b2b5"));
        assert!(public.ends_with("2d9abac8cd049040ef6534"), "{public}");
    }

    #[test]
    fn opens_with_the_same_key_and_info_only() {
        let secret = Secret32::new([3; 32]);
        let sealed = key(1).public().seal(b"this", &secret, &mut SystemEntropy);
        assert_ne!(sealed, key(1).public().seal(b"this", &secret, &mut SystemEntropy));
        assert_eq!(key(1).open(b"this", &sealed).unwrap().expose(), secret.expose());
        assert!(key(2).open(b"this", &sealed).is_none());
        assert!(key(1).open(b"that", &sealed).is_none());
        assert!(key(1).open(b"", &sealed).is_none());
        for i in (0..SEALED_SECRET_LEN).step_by(7).chain([SEALED_SECRET_LEN - 1]) {
            let mut changed = sealed;
            changed[i] ^= 0x80;
            assert!(key(1).open(b"this", &changed).is_none(), "byte {i}");
        }
    }

    #[test]
    fn public_keys_are_checked() {
        let bytes = key(1).public().to_bytes();
        assert_eq!(bytes.len(), PUBLIC_KEY_LEN);
        assert_eq!(SealingKey::from_bytes(&bytes), Some(key(1).public()));
        assert!(SealingKey::from_bytes(&bytes[1..]).is_none());
        assert!(SealingKey::from_bytes(&[&bytes[..], b"\0"].concat()).is_none());
        // 4095 is no residue modulo 3329: an encoding that FIPS 203, section 7.2, has refused.
        assert!(SealingKey::from_bytes(&[&[0xff; 3], &bytes[3..]].concat()).is_none());
    }
}
