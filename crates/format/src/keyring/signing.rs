//! Signatures over keyrings, and the vault document that says whose they must be `[V-3.2]`.

use crate::{
    error::{Damage, FormatError, Result},
    ids::VaultId,
    secret::Secret32,
    wire::Reader,
};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use data_encoding::BASE64;

/// Length of an Ed25519 signature (RFC 8032).
pub const SIGNATURE_LEN: usize = 64;

const MAGIC: &[u8; 4] = b"SRVT";
const VERSION: u8 = 1;

/// The Ed25519 public key that verifies a vault's keyrings. In JSON: base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SigningPublicKey(pub [u8; 32]);

impl SigningPublicKey {
    /// The public half of the key with this seed.
    #[must_use]
    pub fn of_seed(seed: &Secret32) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(key_pair(seed).public_key().as_ref());
        Self(out)
    }

    /// The id of the vault whose first signing key this is.
    #[must_use]
    pub fn vault_id(&self) -> VaultId {
        let mut id = [0; VaultId::LEN];
        id.copy_from_slice(&blake3::hash(&self.0).as_bytes()[..VaultId::LEN]);
        VaultId(id)
    }

    /// Whether `signature` over `bytes` was made with this key.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(bytes, signature).is_ok()
    }
}

impl serde::Serialize for SigningPublicKey {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> serde::Deserialize<'de> for SigningPublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        BASE64
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a signing key is 32 bytes in base64"))
    }
}

fn key_pair(seed: &Secret32) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("every 32 bytes are an Ed25519 seed")
}

/// Signs `bytes` with the key of this seed.
pub(crate) fn sign(seed: &Secret32, bytes: &[u8]) -> [u8; SIGNATURE_LEN] {
    let mut out = [0; SIGNATURE_LEN];
    out.copy_from_slice(key_pair(seed).sign(bytes).as_ref());
    out
}

/// The object `vault`: which vault this is, and the key that signs its keyrings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VaultDocument {
    /// The first signing key.
    pub signing_key: SigningPublicKey,
}

impl VaultDocument {
    /// Length of the object in bytes.
    pub const LEN: usize = 8 + VaultId::LEN + 32 + 32;
    const OBJECT: &str = "vault document";

    /// The vault's id, made from the signing key.
    #[must_use]
    pub fn vault(&self) -> VaultId {
        self.signing_key.vault_id()
    }

    /// Encodes the object.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[VERSION, 0, 0, 0]);
        out.extend_from_slice(self.vault().as_bytes());
        out.extend_from_slice(&self.signing_key.0);
        let hash = blake3::hash(&out);
        out.extend_from_slice(hash.as_bytes());
        out
    }

    /// Decodes the object.
    ///
    /// # Errors
    /// [`Damage::Hash`] where the bytes were damaged, [`Damage::Foreign`] where the id is not that of the key,
    /// and the usual for magic, version and length.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(Self::OBJECT, bytes);
        if &reader.array()? != MAGIC {
            return Err(reader.error(Damage::Magic));
        }
        match reader.array()? {
            [VERSION, 0, 0, 0] => {}
            [VERSION, ..] => return Err(reader.error(Damage::Field("reserved"))),
            [version, ..] => return Err(reader.error(Damage::Version(version))),
        }
        let vault = VaultId(reader.array()?);
        let document = Self { signing_key: SigningPublicKey(reader.array()?) };
        let hash: [u8; 32] = reader.array()?;
        reader.finish()?;
        if blake3::hash(&bytes[..Self::LEN - 32]) != hash {
            return Err(FormatError::new(Self::OBJECT, Damage::Hash));
        }
        if document.vault() != vault {
            return Err(FormatError::new(Self::OBJECT, Damage::Foreign));
        }
        Ok(document)
    }
}
