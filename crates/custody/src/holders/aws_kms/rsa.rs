//! RSA keys: anyone wraps with the public key, KMS opens, and so does whoever holds the private key that was imported into KMS.
//!
//! A wrap holds 64 bytes under RSAES-OAEP with SHA-256: the BLAKE3 hash of the canonical context, then the key.
//! KMS takes no OAEP label and no encryption context for such keys, so that the context has to lie inside.

use super::super::key_file;
use crate::holder::HolderError;
use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::{
        OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
        PublicEncryptingKey,
    },
};
use data_encoding::BASE64;
use std::path::Path;
use strongroom_format::{Secret32, context::Context};
use zeroize::Zeroizing;

const PLAIN_LEN: usize = 64;
/// Lengths of moduli in bits: those of KMS that outlive a backup.
const BITS: [usize; 2] = [3072, 4096];

/// A public key, as the keyring has it.
#[derive(Clone)]
pub(super) struct PublicKey {
    der: Vec<u8>,
    key: PublicEncryptingKey,
}

impl PublicKey {
    /// From `SubjectPublicKeyInfo` (RFC 5280) in DER.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, HolderError> {
        let malformed = |what: &str| HolderError::Malformed(format!("the RSA public key {what}"));
        let key =
            PublicEncryptingKey::from_der(der).map_err(|_| malformed("is no SubjectPublicKeyInfo of RSA"))?;
        if !BITS.contains(&key.key_size_bits()) {
            return Err(malformed(&format!("has {} bits, not 3072 or 4096", key.key_size_bits())));
        }
        Ok(Self { der: encode(&key)?, key })
    }

    /// From base64, with or without the lines of PEM around it.
    pub(super) fn parse(text: &str) -> Result<Self, HolderError> {
        let body = pem(text, "PUBLIC KEY").unwrap_or(text);
        let der = from_base64(body);
        Self::from_der(&der.ok_or_else(|| {
            HolderError::Malformed("the RSA public key is neither PEM (BEGIN PUBLIC KEY) nor base64".into())
        })?)
    }

    /// The form in which keyrings hold it.
    pub(super) fn to_base64(&self) -> String {
        BASE64.encode(&self.der)
    }

    /// Length of a ciphertext in bytes.
    pub(super) fn ciphertext_len(&self) -> usize {
        self.key.key_size_bytes()
    }

    pub(super) fn seal(&self, context: &Context, key: &Secret32) -> Result<Vec<u8>, HolderError> {
        let mut plain = Zeroizing::new([0; PLAIN_LEN]);
        plain[..32].copy_from_slice(blake3::hash(&context.canonical()).as_bytes());
        plain[32..].copy_from_slice(key.expose());
        let mut out = vec![0; self.ciphertext_len()];
        let failed = |_| HolderError::Malformed("the RSA public key cannot encrypt".into());
        let encrypting = OaepPublicEncryptingKey::new(self.key.clone()).map_err(failed)?;
        let len = encrypting
            .encrypt(&OAEP_SHA256_MGF1SHA256, plain.as_slice(), &mut out, None)
            .map_err(failed)?
            .len();
        out.truncate(len);
        Ok(out)
    }
}

/// The private key of `public` in a file as `openssl genpkey` writes it: PKCS#8 in PEM, not encrypted.
pub(super) fn read_private(path: &Path, public: &PublicKey) -> Result<PrivateDecryptingKey, HolderError> {
    let shown = path.display();
    let malformed = |what: &str| HolderError::Malformed(format!("key file `{shown}`: {what}"));
    let text = key_file::read_private("private key", path)?;
    let Some(body) = pem(&text, "PRIVATE KEY") else {
        return Err(malformed(
            "it holds no private key in PEM with BEGIN PRIVATE KEY (other forms: openssl pkcs8 -topk8 -nocrypt)",
        ));
    };
    let der = from_base64(body).ok_or_else(|| malformed("its PEM is damaged"))?;
    let key = PrivateDecryptingKey::from_pkcs8(&der).map_err(|_| malformed("it holds no RSA key"))?;
    if encode(&key.public_key())? != public.der {
        return Err(HolderError::WrongSecret(format!("`{shown}` is the private key of another keyholder")));
    }
    Ok(key)
}

/// Opens a wrap without KMS.
pub(super) fn open(
    key: PrivateDecryptingKey,
    context: &Context,
    ciphertext: &[u8],
) -> Result<Secret32, HolderError> {
    let key = OaepPrivateDecryptingKey::new(key).map_err(|_| HolderError::Tampered)?;
    let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
    let plain = key.decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut out, None);
    opened(context, plain.map_err(|_| HolderError::Tampered)?)
}

/// The key in what a wrap was opened to.
pub(super) fn opened(context: &Context, plain: &[u8]) -> Result<Secret32, HolderError> {
    let (hash, key) = plain
        .split_at_checked(32)
        .filter(|_| plain.len() == PLAIN_LEN)
        .ok_or_else(|| HolderError::Malformed(format!("the wrapped key holds no {PLAIN_LEN} bytes")))?;
    if hash != blake3::hash(&context.canonical()).as_bytes() {
        return Err(HolderError::WrongContext);
    }
    Secret32::from_slice(key).ok_or(HolderError::Tampered)
}

fn encode(key: &PublicEncryptingKey) -> Result<Vec<u8>, HolderError> {
    let der: PublicKeyX509Der<'_> =
        key.as_der().map_err(|_| HolderError::Malformed("the RSA public key cannot be written".into()))?;
    Ok(der.as_ref().to_vec())
}

/// What stands between the lines `BEGIN` and `END` of the first such part.
fn pem<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    Some(rest.split_once(&format!("-----END {label}-----"))?.0)
}

/// White space is ignored.
fn from_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(text.len()));
    packed.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    BASE64.decode(&packed).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rsa::KeySize;

    fn base64(key: &PrivateDecryptingKey) -> String {
        BASE64.encode(&encode(&key.public_key()).unwrap())
    }

    #[test]
    fn public_keys_in_either_form_are_the_same() {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa3072).unwrap();
        let text = base64(&key);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\r\n{}\r\n-----END PUBLIC KEY-----\r\n", lines.join("\r\n"));
        assert_eq!(PublicKey::parse(&pem).unwrap().to_base64(), text);
        assert_eq!(PublicKey::parse(&text).unwrap().to_base64(), text);
        assert_eq!(PublicKey::parse(&text).unwrap().ciphertext_len(), 384);
    }

    #[test]
    fn weak_and_other_keys_are_refused() {
        let weak = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let error = PublicKey::parse(&base64(&weak)).err().unwrap();
        assert!(error.to_string().contains("2048 bits"), "{error}");
        for text in ["", "AAAA", "not base64!", "-----BEGIN PUBLIC KEY-----", "-----BEGIN PRIVATE KEY-----"] {
            assert!(matches!(PublicKey::parse(text), Err(HolderError::Malformed(_))), "{text}");
        }
    }
}
