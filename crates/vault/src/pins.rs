//! What a client remembers of a vault, so that a swapped, forked or rolled-back keyring is refused `[V-4.4]`.
//!
//! In scope: the rule. Out of scope: where a client keeps what it remembers.

use crate::access::Vault;
use crate::error::{Result, VaultError};
use serde::{Deserialize, Serialize};
use strongroom_format::{ObjectHash, VaultId, keyring::Keyring, limits::DOCUMENT_MAX, names};
use thiserror::Error;

/// The newest keyring that a client has seen at a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The vault, whose id commits to its signing key.
    pub vault: VaultId,
    /// The version of the keyring.
    pub version: u32,
    /// The hash of its object.
    pub keyring: ObjectHash,
}

/// What is wrong with a keyring, compared with what the client remembers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PinError {
    /// Another vault stands in the place.
    #[error(
        "the vault was swapped: this place held vault {pinned}, and now holds {found}, whose keys somebody else \
         may have"
    )]
    Swapped {
        /// The vault that was there.
        pinned: VaultId,
        /// The one that is there.
        found: VaultId,
    },
    /// An older keyring is in force than before.
    #[error(
        "the keyring was rolled back: version {pinned} was seen here before, and now the newest is {found}, under \
         which keyholders that were removed may open the keys"
    )]
    RolledBack {
        /// The version that was seen.
        pinned: u32,
        /// The newest now.
        found: u32,
    },
    /// A keyring made opening easier without the wait that the one before it demands.
    #[error(
        "the keyring was changed without its time lock: version {version} lets fewer keyholders open than the one before \
         it, and no change that waited as long as it must says so"
    )]
    Hurried {
        /// The version.
        version: u32,
    },
    /// Another keyring of a version that was seen, or a newer one that does not follow from it.
    #[error("the keyring was forked: version {version} is not the one that was seen here before")]
    Forked {
        /// The version.
        version: u32,
    },
}

impl Vault {
    /// What to remember of this vault.
    #[must_use]
    pub fn pin(&self) -> Pin {
        Pin { vault: self.keyring.vault, version: self.keyring.version, keyring: self.keyring_hash }
    }

    /// Compares the vault with what was remembered of it. Where versions in between are still there, each must
    /// follow the one before.
    ///
    /// # Errors
    /// [`VaultError::Pinned`] with the attack that this would be; where the store fails.
    pub async fn check_pin(&self, pinned: &Pin) -> Result<()> {
        let found = self.pin();
        if found.vault != pinned.vault {
            return Err(PinError::Swapped { pinned: pinned.vault, found: found.vault }.into());
        }
        if found.version < pinned.version {
            return Err(PinError::RolledBack { pinned: pinned.version, found: found.version }.into());
        }
        if found.version == pinned.version {
            return match found.keyring == pinned.keyring {
                true => Ok(()),
                false => Err(PinError::Forked { version: pinned.version }.into()),
            };
        }
        self.check_chain(pinned).await
    }

    /// Walks back from the keyring in force to the one that was remembered.
    async fn check_chain(&self, pinned: &Pin) -> Result<()> {
        let mut newer = self.keyring.clone();
        while newer.version > pinned.version {
            let version = newer.version - 1;
            let name = names::keyring(version);
            let bytes = match self.store.get(&name, DOCUMENT_MAX as u64).await {
                Ok(bytes) => bytes,
                // A rewrap removes old keyrings; the signature on the newest stands for itself.
                Err(error) if error.is_not_found() => {
                    let direct = newer.version == pinned.version + 1;
                    return match direct && newer.previous != Some(pinned.keyring) {
                        true => Err(PinError::Forked { version: pinned.version }.into()),
                        false => Ok(()),
                    };
                }
                Err(error) => return Err(error.into()),
            };
            if version == pinned.version && ObjectHash::of(&bytes) != pinned.keyring {
                return Err(PinError::Forked { version }.into());
            }
            let older =
                Keyring::decode(&bytes, &pinned.vault).map_err(|error| VaultError::format(&name, error))?;
            if newer.follows(&bytes, &older).is_err() {
                return Err(PinError::Forked { version }.into());
            }
            if !self.has_waited(&older, &newer).await? {
                return Err(PinError::Hurried { version: newer.version }.into());
            }
            newer = older;
        }
        Ok(())
    }
}
