//! Set-up: whether a Transit key is fit to be a keyholder, and what the keyring will say of it.

use super::{
    access::Access,
    classify,
    parameters::{Address, DEFAULT_MOUNT, Parameters},
    session::Session,
};
use crate::holder::HolderError;
use reqwest::Method;
use serde::Deserialize;
use strongroom_format::keyring::KeyholderSpec;

/// Types of key that encrypt with associated data under 256 bits.
const FIT_TYPES: [&str; 3] = ["aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"];

/// Which key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransitKey {
    /// `https://host[:port]`; `http` on this machine only.
    pub address: String,
    /// Where the engine is mounted; empty for `transit`.
    pub mount: String,
    /// The key's name.
    pub key: String,
    /// The namespace, where it is not the root.
    pub namespace: Option<String>,
}

/// A key that is fit to be a keyholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// What the keyring says of it.
    pub spec: KeyholderSpec,
    /// What its owner should know and may want to change, in sentences.
    pub warnings: Vec<String>,
}

/// What the server tells of a key.
#[derive(Deserialize)]
pub(super) struct Metadata {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) allow_plaintext_backup: bool,
    #[serde(default)]
    pub(super) convergent_encryption: bool,
    #[serde(default)]
    pub(super) deletion_allowed: bool,
    #[serde(default)]
    pub(super) derived: bool,
    #[serde(default)]
    pub(super) exportable: bool,
    #[serde(default)]
    pub(super) soft_deleted: bool,
}

#[derive(Deserialize)]
struct Envelope {
    data: Metadata,
}

/// Asks the server for what it tells of the key.
pub(super) async fn metadata(session: &Session, parameters: &Parameters) -> Result<Metadata, HolderError> {
    let answered = session.call(Method::GET, &parameters.key_path(), None).await?;
    if !answered.is_success() {
        return Err(classify::failure(parameters, &answered));
    }
    match answered.json::<Envelope>() {
        Some(envelope) => Ok(envelope.data),
        None => Err(classify::unexpected(parameters)),
    }
}

/// Reads the key at its server and describes it for a keyring. Needs the right to read the key's metadata.
///
/// # Errors
/// [`HolderError::Malformed`] for a key that is not fit: of a type without associated data or with less than 256 bits,
/// or one that makes equal wraps of equal keys; [`HolderError::Disabled`] for a soft-deleted one. Others as the server
/// answers.
pub async fn describe(key: &TransitKey, access: &Access) -> Result<Described, HolderError> {
    let parameters = parameters(key)?;
    let session = Session::new(&parameters, access)?;
    session.ready()?;
    let metadata = metadata(&session, &parameters).await?;
    fit(&parameters, &metadata)?;
    let warnings = warnings(&parameters, &metadata);
    let parameters = Parameters { derived: metadata.derived, ..parameters };
    Ok(Described { spec: parameters.to_spec(), warnings })
}

/// A key as it was given, checked.
pub(super) fn parameters(key: &TransitKey) -> Result<Parameters, HolderError> {
    let trimmed = |path: &str| path.trim_matches('/').to_owned();
    let mount = trimmed(&key.mount);
    Parameters {
        address: Address::parse(&key.address)?,
        mount: if mount.is_empty() { DEFAULT_MOUNT.to_owned() } else { mount },
        key: key.key.clone(),
        namespace: key.namespace.as_deref().map(trimmed).filter(|namespace| !namespace.is_empty()),
        derived: false,
    }
    .checked()
}

fn fit(parameters: &Parameters, metadata: &Metadata) -> Result<(), HolderError> {
    let place = parameters.place();
    if !FIT_TYPES.contains(&metadata.kind.as_str()) {
        let (kind, fit) = (&metadata.kind, FIT_TYPES.join(", "));
        return Err(HolderError::Malformed(format!("the {place} is of type {kind}; fit are {fit}")));
    }
    if metadata.convergent_encryption {
        return Err(HolderError::Malformed(format!(
            "the {place} is convergent: equal keys would have equal wraps, which tells that they are equal"
        )));
    }
    if metadata.soft_deleted {
        return Err(HolderError::Disabled(format!("the {place} is soft-deleted").into()));
    }
    Ok(())
}

fn warnings(parameters: &Parameters, metadata: &Metadata) -> Vec<String> {
    let (path, place) = (parameters.key_path(), parameters.place());
    let mut warnings = Vec::new();
    if metadata.exportable {
        warnings.push(format!(
            "the {place} is exportable: whoever may export it can open wraps elsewhere, and no log of this server \
             shows it. That cannot be undone; a new key is needed"
        ));
    }
    if metadata.allow_plaintext_backup {
        warnings.push(format!(
            "the {place} allows backups in plain text, which hold the key itself. That cannot be undone; a new key \
             is needed"
        ));
    }
    if metadata.deletion_allowed {
        warnings.push(format!(
            "the {place} may be deleted, and with it all that only it can open. Forbid it: \
             bao write {path}/config deletion_allowed=false"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Parameters {
        Parameters {
            address: Address::parse("https://bao.example.org").unwrap(),
            mount: "transit".into(),
            key: "office".into(),
            namespace: None,
            derived: false,
        }
    }

    fn metadata(json: serde_json::Value) -> Metadata {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn only_aead_of_256_bits_is_fit() {
        for kind in FIT_TYPES {
            assert!(fit(&parameters(), &metadata(serde_json::json!({"type": kind}))).is_ok(), "{kind}");
        }
        for kind in
            ["aes128-gcm96", "rsa-4096", "ecdsa-p256", "ed25519", "hmac", "aes256-cmac", "managed_key", ""]
        {
            assert!(fit(&parameters(), &metadata(serde_json::json!({"type": kind}))).is_err(), "{kind}");
        }
        let convergent = serde_json::json!({"type": "aes256-gcm96", "convergent_encryption": true});
        assert!(fit(&parameters(), &metadata(convergent)).is_err());
        let deleted = serde_json::json!({"type": "aes256-gcm96", "soft_deleted": true});
        assert!(matches!(fit(&parameters(), &metadata(deleted)), Err(HolderError::Disabled(_))));
    }

    #[test]
    fn every_loose_setting_is_told() {
        let tight = serde_json::json!({"type": "aes256-gcm96", "keys": {"1": 1_700_000_000}});
        assert!(warnings(&parameters(), &metadata(tight)).is_empty());
        for setting in ["exportable", "allow_plaintext_backup", "deletion_allowed"] {
            let loose = serde_json::json!({"type": "aes256-gcm96", setting: true});
            assert_eq!(warnings(&parameters(), &metadata(loose)).len(), 1, "{setting}");
        }
    }
}
