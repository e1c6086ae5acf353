//! The object that says whose ledger it is `[L-2]`.

use serde::{Deserialize, Serialize};
use strongroom_format::Entropy;
use strongroom_ledger::{
    LedgerError,
    checkpoint::Identity,
    note::{Algorithm, VerifierKey},
    store::{Created, LedgerStore},
};
use thiserror::Error;

/// Its name.
pub const IDENTITY: &str = "identity";
const LEN_MAX: usize = 64 << 10;
const KEYS_MAX: usize = 256;
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    keys: Vec<String>,
    origin: String,
}

/// The identity of a ledger cannot be read or written.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The store fails.
    #[error("the ledger cannot be reached")]
    Store(#[source] LedgerError),
    /// It is malformed.
    #[error("the ledger's identity is malformed: {0}")]
    Malformed(String),
    /// There is another ledger.
    #[error("there is a ledger of somebody else here already")]
    Exists,
}

/// A name for a new ledger.
#[must_use]
pub fn new_origin(entropy: &mut impl Entropy) -> String {
    let mut id = [0; 16];
    entropy.fill(&mut id);
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("strongroom.ledger/{hex}")
}

/// Reads the identity; `None` where there is no ledger.
///
/// # Errors
/// [`IdentityError`].
pub async fn read_identity(store: &dyn LedgerStore) -> Result<Option<Identity>, IdentityError> {
    let stored = store.get(IDENTITY, LEN_MAX).await.map_err(|error| IdentityError::Store(error.into()))?;
    let Some(stored) = stored else { return Ok(None) };
    let malformed = |error: &dyn std::fmt::Display| IdentityError::Malformed(error.to_string());
    let document: Document = serde_json::from_slice(&stored.bytes).map_err(|error| malformed(&error))?;
    if document.format != FORMAT || document.keys.is_empty() || document.keys.len() > KEYS_MAX {
        return Err(malformed(&"its format or its number of keys is unknown here"));
    }
    let keys = document.keys.iter().map(|key| VerifierKey::parse(key)).collect::<Result<Vec<_>, _>>();
    let keys = keys.map_err(|error| malformed(&error))?;
    if keys.iter().any(|key| key.name() != document.origin || key.algorithm() != Algorithm::Ed25519) {
        return Err(malformed(&"a key has another name or another use"));
    }
    Ok(Some(Identity::new(document.origin, keys)))
}

/// Writes the identity of a new ledger.
///
/// # Errors
/// [`IdentityError::Exists`], [`IdentityError::Store`].
pub async fn write_identity(store: &dyn LedgerStore, identity: &Identity) -> Result<(), IdentityError> {
    let document = Document {
        format: FORMAT,
        keys: identity.keys().iter().map(ToString::to_string).collect(),
        origin: identity.origin().to_owned(),
    };
    let bytes = serde_json::to_vec(&document).map_err(|error| IdentityError::Malformed(error.to_string()))?;
    match store.put_new(IDENTITY, bytes.into()).await {
        Ok(Created::New) => Ok(()),
        Ok(Created::Exists) if read_identity(store).await?.as_ref() == Some(identity) => Ok(()),
        Ok(Created::Exists) => Err(IdentityError::Exists),
        Err(error) => Err(IdentityError::Store(error.into())),
    }
}
