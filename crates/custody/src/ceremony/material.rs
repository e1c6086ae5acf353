//! Key material for a provider: made here, told apart by its fingerprint, never written down in clear.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
        PrivateDecryptingKey, PublicEncryptingKey,
    },
};
use serde::{Deserialize, Serialize};
use std::fmt;
use strongroom_format::Entropy;
use thiserror::Error;
use zeroize::Zeroizing;

const AES_LEN: usize = 32;

/// Why a step of the ceremony cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CeremonyError {
    /// A provider's wrapping key does not protect what is wrapped under it.
    #[error("the wrapping key has {bits} bits, and fewer than 3072 do not protect the key material")]
    WrappingKeyTooSmall {
        /// Length of its modulus.
        bits: usize,
    },
    /// What should be a wrapping key is none.
    #[error("the wrapping key is no RSA public key (SubjectPublicKeyInfo, as PEM or base64)")]
    NoWrappingKey,
    /// The material is not of the kind that it should be.
    #[error("this is no key material of the kind {0}")]
    NoMaterial(MaterialKind),
    /// The shares give back a key that is not the one of the record.
    #[error("the shares give back other key material than the record is about")]
    OtherMaterial,
    /// A line of a record was changed, cut out or added by somebody else.
    #[error("line {line} of the record: {what}")]
    Record {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A provider opened a challenge to something else: its key is another one.
    #[error(
        "the provider's key is not the key material of the record: the challenge opens to something else"
    )]
    Unproven,
    /// The cryptographic library failed, which it does not do with proper input.
    #[error("the cryptographic library failed: {0}")]
    Library(&'static str),
}

/// What kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaterialKind {
    /// 32 random bytes, for a symmetric key.
    #[serde(rename = "aes-256")]
    Aes256,
    /// An RSA key pair of 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl fmt::Display for MaterialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes256 => "aes-256",
            Self::Rsa4096 => "rsa-4096",
        })
    }
}

/// Which material it is: `BLAKE3-derive("strongroom v1 key material", material)` in hexadecimal. It tells nothing of
/// the material, which is random.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// In hexadecimal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Key material: a secret. It is wiped when dropped and never shown.
pub struct Material {
    kind: MaterialKind,
    bytes: Zeroizing<Vec<u8>>,
}

impl Material {
    /// New material. The RSA key is made with the randomness of the cryptographic library.
    ///
    /// # Errors
    /// [`CeremonyError::Library`].
    pub fn generate(kind: MaterialKind, entropy: &mut dyn Entropy) -> Result<Self, CeremonyError> {
        let bytes = match kind {
            MaterialKind::Aes256 => {
                let mut bytes = Zeroizing::new(vec![0; AES_LEN]);
                entropy.fill(&mut bytes);
                bytes
            }
            MaterialKind::Rsa4096 => {
                let failed = |_| CeremonyError::Library("no RSA key was made");
                let key = PrivateDecryptingKey::generate(KeySize::Rsa4096).map_err(failed)?;
                let der: Pkcs8V1Der<'_> =
                    key.as_der().map_err(|_| CeremonyError::Library("the RSA key is not written"))?;
                Zeroizing::new(der.as_ref().to_vec())
            }
        };
        Ok(Self { kind, bytes })
    }

    /// Material that was put together from shares.
    ///
    /// # Errors
    /// [`CeremonyError::NoMaterial`].
    pub fn from_bytes(kind: MaterialKind, bytes: Zeroizing<Vec<u8>>) -> Result<Self, CeremonyError> {
        let material = Self { kind, bytes };
        match kind {
            MaterialKind::Aes256 if material.bytes.len() == AES_LEN => Ok(material),
            MaterialKind::Aes256 => Err(CeremonyError::NoMaterial(kind)),
            MaterialKind::Rsa4096 => match material.private_key() {
                Ok(key) if key.key_size_bits() == 4096 => Ok(material),
                _ => Err(CeremonyError::NoMaterial(kind)),
            },
        }
    }

    /// What kind of key it is.
    #[must_use]
    pub fn kind(&self) -> MaterialKind {
        self.kind
    }

    /// The material itself: a secret. 32 bytes, or PKCS#8 in DER.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Which material it is.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let hash = blake3::derive_key("strongroom v1 key material", &self.bytes);
        Fingerprint(data_encoding::HEXLOWER.encode(&hash))
    }

    /// The public half of an RSA key (`SubjectPublicKeyInfo` in DER); none of a symmetric key.
    ///
    /// # Errors
    /// [`CeremonyError::Library`].
    pub fn public_key(&self) -> Result<Option<Vec<u8>>, CeremonyError> {
        if self.kind == MaterialKind::Aes256 {
            return Ok(None);
        }
        let public = self.private_key()?.public_key();
        let der: PublicKeyX509Der<'_> =
            public.as_der().map_err(|_| CeremonyError::Library("the public key is not written"))?;
        Ok(Some(der.as_ref().to_vec()))
    }

    fn private_key(&self) -> Result<PrivateDecryptingKey, CeremonyError> {
        PrivateDecryptingKey::from_pkcs8(&self.bytes).map_err(|_| CeremonyError::NoMaterial(self.kind))
    }

    /// Opens RSAES-OAEP with SHA-256, with the private key and nobody else.
    ///
    /// # Errors
    /// [`CeremonyError::NoMaterial`] for a symmetric key, [`CeremonyError::Unproven`] where it does not open.
    pub fn open_oaep(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, CeremonyError> {
        let key = OaepPrivateDecryptingKey::new(self.private_key()?)
            .map_err(|_| CeremonyError::Library("the RSA key cannot decrypt"))?;
        let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
        let len = key
            .decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut out, None)
            .map_err(|_| CeremonyError::Unproven)?
            .len();
        out.truncate(len);
        Ok(out)
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Seals to an RSA public key in DER: RSAES-OAEP with SHA-256.
pub(super) fn seal_oaep(public_key: &[u8], plain: &[u8]) -> Result<Vec<u8>, CeremonyError> {
    let key = PublicEncryptingKey::from_der(public_key).map_err(|_| CeremonyError::NoWrappingKey)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| CeremonyError::NoWrappingKey)?;
    let mut out = vec![0; key.ciphertext_size()];
    let len = key
        .encrypt(&OAEP_SHA256_MGF1SHA256, plain, &mut out, None)
        .map_err(|_| CeremonyError::Library("the public key cannot encrypt"))?
        .len();
    out.truncate(len);
    Ok(out)
}
