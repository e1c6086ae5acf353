//! The public keys of CloudTrail, as `aws cloudtrail list-public-keys` prints them.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use data_encoding::BASE64;
use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// A file that holds no public keys.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeysError {
    /// It is not what `aws cloudtrail list-public-keys` prints.
    #[error("the public keys are malformed: {0}")]
    Malformed(String),
    /// A key is no Base64.
    #[error("the public key {0} is no Base64")]
    Base64(String),
}

/// Keys by their fingerprints. They differ from region to region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicKeys(BTreeMap<String, Vec<u8>>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    public_key_list: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    value: String,
    fingerprint: String,
}

impl PublicKeys {
    /// Adds the keys of a region.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn add_json(&mut self, bytes: &[u8]) -> Result<(), KeysError> {
        let list: List =
            serde_json::from_slice(bytes).map_err(|error| KeysError::Malformed(error.to_string()))?;
        for key in list.public_key_list {
            let Ok(der) = BASE64.decode(key.value.as_bytes()) else {
                return Err(KeysError::Base64(crate::problem::quoted(&key.fingerprint)));
            };
            self.0.insert(key.fingerprint, der);
        }
        Ok(())
    }

    /// Whether a key is there.
    #[must_use]
    pub fn has(&self, fingerprint: &str) -> bool {
        self.0.contains_key(fingerprint)
    }

    /// Whether `signature` is that of `message`: RSASSA-PKCS1-v1_5 with SHA-256, of a key in PKCS #1.
    #[must_use]
    pub fn verify(&self, fingerprint: &str, message: &[u8], signature: &[u8]) -> bool {
        self.0.get(fingerprint).is_some_and(|der| {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(message, signature).is_ok()
        })
    }
}
