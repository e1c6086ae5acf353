//! Wrapping key material under a provider's wrapping key, as its import takes it.

use super::material::{CeremonyError, Material, MaterialKind, seal_oaep};
use aws_lc_rs::{
    key_wrap::{AES_256, AesKek, KeyWrapPadded},
    rsa::PublicEncryptingKey,
};
use data_encoding::BASE64;
use strongroom_format::Entropy;
use zeroize::Zeroizing;

const BITS_MIN: usize = 3072;
/// Longest wrapping key that is read, in bytes of text.
const TEXT_MAX: usize = 16 << 10;

/// How material is wrapped, by the names that AWS KMS has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSAES-OAEP with SHA-256 around the material, which must be short.
    RsaesOaepSha256,
    /// RSAES-OAEP with SHA-256 around a new AES-256 key, then the material under that key (RFC 5649). The form of
    /// Transit, too.
    RsaAesKeyWrapSha256,
}

impl Algorithm {
    /// What AWS KMS takes for material of this kind.
    #[must_use]
    pub fn for_aws_kms(kind: MaterialKind) -> Self {
        match kind {
            MaterialKind::Aes256 => Self::RsaesOaepSha256,
            MaterialKind::Rsa4096 => Self::RsaAesKeyWrapSha256,
        }
    }

    /// Its name at AWS KMS.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaesOaepSha256 => "RSAES_OAEP_SHA_256",
            Self::RsaAesKeyWrapSha256 => "RSA_AES_KEY_WRAP_SHA_256",
        }
    }
}

/// The public key of a provider, for its import only.
#[derive(Debug, Clone)]
pub struct WrappingKey(Vec<u8>);

impl WrappingKey {
    /// From `SubjectPublicKeyInfo` (RFC 5280) in DER.
    ///
    /// # Errors
    /// [`CeremonyError::NoWrappingKey`], [`CeremonyError::WrappingKeyTooSmall`].
    pub fn from_der(der: &[u8]) -> Result<Self, CeremonyError> {
        let key = PublicEncryptingKey::from_der(der).map_err(|_| CeremonyError::NoWrappingKey)?;
        match key.key_size_bits() {
            bits if bits < BITS_MIN => Err(CeremonyError::WrappingKeyTooSmall { bits }),
            _ => Ok(Self(der.to_vec())),
        }
    }

    /// From base64, with or without the lines of PEM around it.
    ///
    /// # Errors
    /// As [`WrappingKey::from_der`].
    pub fn parse(text: &str) -> Result<Self, CeremonyError> {
        if text.len() > TEXT_MAX {
            return Err(CeremonyError::NoWrappingKey);
        }
        let lines = text.lines().filter(|line| !line.starts_with("-----"));
        let packed: String = lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
        let der = BASE64.decode(packed.as_bytes()).map_err(|_| CeremonyError::NoWrappingKey)?;
        Self::from_der(&der)
    }

    /// Its bytes in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// The material, so that only the owner of the wrapping key opens it.
    ///
    /// # Errors
    /// [`CeremonyError::Library`], also where the material is too long for the algorithm.
    pub fn wrap(
        &self,
        material: &Material,
        algorithm: Algorithm,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, CeremonyError> {
        if algorithm == Algorithm::RsaesOaepSha256 {
            return seal_oaep(&self.0, material.expose());
        }
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *key);
        let mut wrapped = seal_oaep(&self.0, &*key)?;
        let failed = |_| CeremonyError::Library("the material is not wrapped");
        let kek = AesKek::new(&AES_256, &*key).map_err(failed)?;
        let mut inner = vec![0; material.expose().len() + 15];
        wrapped.extend_from_slice(kek.wrap_with_padding(material.expose(), &mut inner).map_err(failed)?);
        Ok(wrapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::{
        encoding::{AsDer, PublicKeyX509Der},
        rsa::{KeySize, PrivateDecryptingKey},
    };
    use strongroom_format::SystemEntropy;

    fn der(key: &PrivateDecryptingKey) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    #[test]
    fn both_forms_open_for_the_provider_only() {
        let provider = Material::generate(MaterialKind::Rsa4096, &mut SystemEntropy).unwrap();
        let wrapping = WrappingKey::from_der(&provider.public_key().unwrap().unwrap()).unwrap();
        let short = Material::generate(MaterialKind::Aes256, &mut SystemEntropy).unwrap();
        let wrapped = wrapping.wrap(&short, Algorithm::RsaesOaepSha256, &mut SystemEntropy).unwrap();
        assert_eq!(*provider.open_oaep(&wrapped).unwrap(), short.expose());

        for material in [&short, &provider] {
            let wrapped =
                wrapping.wrap(material, Algorithm::RsaAesKeyWrapSha256, &mut SystemEntropy).unwrap();
            let (key, inner) = wrapped.split_at(512);
            let kek = AesKek::new(&AES_256, &provider.open_oaep(key).unwrap()).unwrap();
            let mut out = vec![0; inner.len()];
            assert_eq!(kek.unwrap_with_padding(inner, &mut out).unwrap(), material.expose());
        }
        // Too long for RSA alone.
        assert!(wrapping.wrap(&provider, Algorithm::RsaesOaepSha256, &mut SystemEntropy).is_err());
        assert!(!format!("{provider:?}").contains("bytes"));
    }

    #[test]
    fn small_and_other_keys_are_refused() {
        let small = der(&PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap());
        assert_eq!(
            WrappingKey::from_der(&small).unwrap_err(),
            CeremonyError::WrappingKeyTooSmall { bits: 2048 }
        );
        assert_eq!(WrappingKey::parse("not base64!").unwrap_err(), CeremonyError::NoWrappingKey);
        assert_eq!(WrappingKey::parse(&"A".repeat(TEXT_MAX + 1)).unwrap_err(), CeremonyError::NoWrappingKey);
        let good = der(&PrivateDecryptingKey::generate(KeySize::Rsa3072).unwrap());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&good));
        assert_eq!(WrappingKey::parse(&pem).unwrap().der(), good);
        assert_eq!(WrappingKey::parse(&BASE64.encode(&good)).unwrap().der(), good);
    }

    #[test]
    fn material_is_what_it_says() {
        let bytes = |len| Zeroizing::new(vec![7; len]);
        assert!(Material::from_bytes(MaterialKind::Aes256, bytes(32)).is_ok());
        for (kind, len) in
            [(MaterialKind::Aes256, 31), (MaterialKind::Aes256, 33), (MaterialKind::Rsa4096, 32)]
        {
            let refused = Material::from_bytes(kind, bytes(len)).unwrap_err();
            assert_eq!(refused, CeremonyError::NoMaterial(kind));
        }
    }
}
