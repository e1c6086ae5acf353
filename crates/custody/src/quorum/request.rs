//! What is asked of custodians.

use super::QuorumError;
use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};
use strongroom_format::{
    VaultId,
    context::{Context, Purpose, WHOLE_VAULT, valid_label},
    keyring::{KEYHOLDERS_MAX, KeyholderSpec, WrappedKey},
    xwing::SealingKey,
};

const DOCUMENT: &str = "the request";
/// Largest request, in bytes.
pub(super) const SIZE_MAX: usize = 4 << 20;
/// The number that stands for the signing key of the vault where others are those of epochs, which begin at 1.
pub const SIGNING_KEY: u32 = 0;
/// The number of a key that opens nothing, with which custodians show that they can answer.
pub const DRILL_KEY: u32 = u32::MAX;
/// Most keys of one request.
const KEYS_MAX: usize = 1024;
/// Longest text for people, in bytes.
const TEXT_MAX: usize = 4 << 10;
/// Most snapshots named.
const SNAPSHOTS_MAX: usize = 1024;

/// The id of a request: BLAKE3 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId([u8; 32]);

impl RequestId {
    /// The id of a request with these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The id in groups of four digits, to be compared by two people: 80 bits, which nobody can match by trying.
    #[must_use]
    pub fn spoken(&self) -> String {
        let hex: Vec<char> = HEXLOWER.encode(&self.0[..10]).chars().collect();
        hex.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    }

    /// The id.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

impl FromStr for RequestId {
    type Err = QuorumError;

    fn from_str(text: &str) -> Result<Self, QuorumError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| QuorumError::Malformed {
            document: "the approval",
            what: "the id of its request is not 64 digits".into(),
        })
    }
}

/// One key that is requested, as it stands wrapped in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedKey {
    /// The epoch whose read key it is; 0 for the signing key of the vault.
    pub epoch: u32,
    /// The key, wrapped.
    pub wrapped: WrappedKey,
}

/// A request to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// 1.
    pub strongroom_request: u32,
    /// Who asks, in their own words.
    pub requester: String,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub created: Timestamp,
    /// Until when approvals open it.
    pub expires: Timestamp,
    /// The vault.
    pub vault: VaultId,
    /// The dataset.
    pub dataset: String,
    /// The snapshots that are wanted, by id, for people: the keys open everything of their epochs.
    pub snapshots: Vec<String>,
    /// The keyholders that have a part in the keys.
    pub keyholders: BTreeMap<String, KeyholderSpec>,
    /// The keys.
    pub keys: Vec<RequestedKey>,
    /// The requester's public key, made for this request: X-Wing, in base64.
    pub public_key: String,
}

fn malformed(what: impl Into<String>) -> QuorumError {
    QuorumError::Malformed { document: DOCUMENT, what: what.into() }
}

impl Request {
    /// Checks the request and encodes it, as JSON that a person can read, with its id.
    ///
    /// # Errors
    /// [`QuorumError::Malformed`]: nothing is encoded that could not be decoded.
    pub fn encode(&self) -> Result<(Vec<u8>, RequestId), QuorumError> {
        self.check()?;
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| malformed(error.to_string()))?;
        bytes.push(b'\n');
        if bytes.len() > SIZE_MAX {
            return Err(malformed("it is too large"));
        }
        let id = RequestId::of(&bytes);
        Ok((bytes, id))
    }

    /// Decodes a request.
    ///
    /// # Errors
    /// [`QuorumError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<(Self, RequestId), QuorumError> {
        if bytes.len() > SIZE_MAX {
            return Err(malformed("it is too large"));
        }
        let request: Self = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        request.check()?;
        Ok((request, RequestId::of(bytes)))
    }

    fn check(&self) -> Result<(), QuorumError> {
        if self.strongroom_request != 1 {
            return Err(malformed("this program knows version 1 only"));
        }
        if !valid_label(&self.dataset) {
            return Err(malformed("the dataset has no valid name"));
        }
        let texts = [&self.requester, &self.reason].into_iter().chain(&self.snapshots);
        if texts.clone().any(|text| text.len() > TEXT_MAX) || self.snapshots.len() > SNAPSHOTS_MAX {
            return Err(malformed("a text is too long, or there are too many snapshots"));
        }
        if self.requester.trim().is_empty() || self.reason.trim().is_empty() {
            return Err(malformed("it does not say who asks, or why"));
        }
        if self.expires <= self.created {
            return Err(malformed("it ends before it begins"));
        }
        if self.keys.is_empty() || self.keys.len() > KEYS_MAX || self.keyholders.len() > KEYHOLDERS_MAX {
            return Err(malformed("it names no key, too many keys, or too many keyholders"));
        }
        let damaged = |error: strongroom_format::FormatError| malformed(error.to_string());
        for (label, spec) in &self.keyholders {
            if !valid_label(label) {
                return Err(malformed("a keyholder has no valid name"));
            }
            spec.check("keyholder").map_err(damaged)?;
        }
        let mut epochs = std::collections::BTreeSet::new();
        for key in &self.keys {
            key.wrapped.check("wrapped key").map_err(damaged)?;
            if !epochs.insert(key.epoch) {
                return Err(malformed(format!("epoch {} comes twice", key.epoch)));
            }
            if key.wrapped.policy.leaves().any(|label| !self.keyholders.contains_key(label)) {
                return Err(malformed("a policy names a keyholder that is not described"));
            }
        }
        self.sealing_key().map(drop)
    }

    /// The requester's public key.
    ///
    /// # Errors
    /// [`QuorumError::Malformed`].
    pub fn sealing_key(&self) -> Result<SealingKey, QuorumError> {
        let bytes = BASE64.decode(self.public_key.as_bytes()).ok();
        bytes
            .and_then(|bytes| SealingKey::from_bytes(&bytes))
            .ok_or_else(|| malformed("the public key is no X-Wing key in base64"))
    }

    /// The context of the read key of an epoch; of the signing key, where it is 0.
    #[must_use]
    pub fn context(&self, epoch: u32) -> Context {
        let dataset = if epoch == SIGNING_KEY { WHOLE_VAULT } else { &self.dataset };
        Context { vault: self.vault, dataset: dataset.to_owned(), purpose: Purpose::Read, epoch }
    }

    /// The key of an epoch.
    #[must_use]
    pub fn key(&self, epoch: u32) -> Option<&RequestedKey> {
        self.keys.iter().find(|key| key.epoch == epoch)
    }

    /// The epochs in which a custodian has a part, in order.
    pub fn epochs_of<'a>(&'a self, holder: &'a str) -> impl Iterator<Item = &'a RequestedKey> {
        self.keys.iter().filter(move |key| key.wrapped.wrap_of(holder).is_some())
    }

    /// Refuses a request whose time is over.
    ///
    /// # Errors
    /// [`QuorumError::Expired`].
    pub fn check_time(&self, now: Timestamp) -> Result<(), QuorumError> {
        if now < self.expires { Ok(()) } else { Err(QuorumError::Expired(self.expires)) }
    }
}
