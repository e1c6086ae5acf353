//! Challenges: what proves that a provider's key is the material of a ceremony.

use super::material::{CeremonyError, Material, MaterialKind, seal_oaep};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use strongroom_format::Entropy;
use zeroize::Zeroizing;

const NONCE_LEN: usize = 12;
/// Longest ciphertext that is looked at, in characters.
const CIPHERTEXT_MAX: usize = 16 << 10;

/// A ciphertext under a provider's key, and what tells whether it was opened rightly. Public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// As the provider wrote it: base64 for AWS KMS, `vault:v1:...` for Transit.
    pub ciphertext: String,
    /// `BLAKE3-derive("strongroom v1 ceremony challenge", what was encrypted)` in hexadecimal.
    pub answer: String,
}

impl Challenge {
    /// What a provider is to encrypt: 32 random bytes.
    pub fn secret(entropy: &mut dyn Entropy) -> Zeroizing<Vec<u8>> {
        let mut secret = Zeroizing::new(vec![0; 32]);
        entropy.fill(&mut secret);
        secret
    }

    /// With what the provider made of it.
    #[must_use]
    pub fn new(secret: &[u8], ciphertext: String) -> Self {
        Self { ciphertext, answer: answer(secret) }
    }

    /// For an RSA key: made with the public key (DER) alone, to be opened by the provider.
    ///
    /// # Errors
    /// [`CeremonyError::NoWrappingKey`] where that is no public key.
    pub fn for_public_key(public_key: &[u8], entropy: &mut dyn Entropy) -> Result<Self, CeremonyError> {
        let secret = Self::secret(entropy);
        let sealed = seal_oaep(public_key, &secret)?;
        Ok(Self::new(&secret, BASE64.encode(&sealed)))
    }

    /// Whether `opened` is what was encrypted.
    ///
    /// # Errors
    /// [`CeremonyError::Unproven`] where it is not.
    pub fn check(&self, opened: &[u8]) -> Result<(), CeremonyError> {
        if answer(opened) == self.answer { Ok(()) } else { Err(CeremonyError::Unproven) }
    }

    /// Opens a ciphertext of Transit without its server: the nonce, then AES-256-GCM, in base64 behind `vault:vN:`.
    ///
    /// # Errors
    /// [`CeremonyError::Unproven`] where the material is not the key that made it.
    pub fn check_offline(&self, material: &Material, associated: &[u8]) -> Result<(), CeremonyError> {
        if material.kind() != MaterialKind::Aes256 || self.ciphertext.len() > CIPHERTEXT_MAX {
            return Err(CeremonyError::Unproven);
        }
        let unproven = CeremonyError::Unproven;
        let text = self.ciphertext.strip_prefix("vault:v").and_then(|rest| rest.split_once(':'));
        let (_, text) = text.ok_or(unproven.clone())?;
        let mut bytes = Zeroizing::new(BASE64.decode(text.as_bytes()).map_err(|_| unproven.clone())?);
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(unproven.clone())?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unproven.clone())?;
        let key = UnboundKey::new(&AES_256_GCM, material.expose()).map_err(|_| unproven.clone())?;
        let opened = LessSafeKey::new(key).open_in_place(nonce, Aad::from(associated), sealed);
        self.check(opened.map_err(|_| unproven)?)
    }
}

fn answer(secret: &[u8]) -> String {
    HEXLOWER.encode(&blake3::derive_key("strongroom v1 ceremony challenge", secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_format::SystemEntropy;

    #[test]
    fn only_the_material_opens_a_transit_ciphertext() {
        let material = Material::generate(MaterialKind::Aes256, &mut SystemEntropy).unwrap();
        let other = Material::generate(MaterialKind::Aes256, &mut SystemEntropy).unwrap();
        let secret = Challenge::secret(&mut SystemEntropy);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, material.expose()).unwrap());
        let mut sealed = secret.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key([9; 12]), Aad::from(b"x"), &mut sealed)
            .unwrap();
        let text = format!("vault:v1:{}", BASE64.encode(&[&[9; 12][..], &sealed].concat()));
        let challenge = Challenge::new(&secret, text.clone());
        assert_eq!(challenge.check_offline(&material, b"x"), Ok(()));
        assert_eq!(challenge.check_offline(&material, b"y"), Err(CeremonyError::Unproven));
        assert_eq!(challenge.check_offline(&other, b"x"), Err(CeremonyError::Unproven));
        for text in ["", "vault:v1:", "vault:v1:AAAA", &text[9..], &"A".repeat(CIPHERTEXT_MAX + 1)] {
            let bad = Challenge { ciphertext: text.into(), ..challenge.clone() };
            assert_eq!(bad.check_offline(&material, b"x"), Err(CeremonyError::Unproven), "{text}");
        }
    }

    #[test]
    fn an_rsa_challenge_opens_by_the_private_key() {
        let material = Material::generate(MaterialKind::Rsa4096, &mut SystemEntropy).unwrap();
        let public = material.public_key().unwrap().unwrap();
        let challenge = Challenge::for_public_key(&public, &mut SystemEntropy).unwrap();
        let opened = material.open_oaep(&BASE64.decode(challenge.ciphertext.as_bytes()).unwrap()).unwrap();
        assert_eq!(challenge.check(&opened), Ok(()));
        assert_eq!(challenge.check(b"another"), Err(CeremonyError::Unproven));
    }
}
