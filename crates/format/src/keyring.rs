//! The keyring: who holds the keys of a vault, under which policies; public JSON, signed `[V-4]`.
//!
//! In scope: the `vault` object, `keyring/<version>` objects, their signatures and chain, and the parts
//! that epochs share with them: [`PolicyTree`] and [`WrappedKey`].
//!
//! Out of scope: wrapping and unwrapping, which keyholders do.

mod signing;
mod wrapped;

#[cfg(test)]
mod tests;

pub(crate) use signing::sign;
pub use signing::{SIGNATURE_LEN, SigningPublicKey, VaultDocument};
pub use wrapped::{
    KeyholderSpec, POLICY_DEPTH_MAX, POLICY_LEAVES_MAX, Parameter, PolicyTree, WRAP_MAX, Wrap, WrappedKey,
};

use crate::{
    change::{TIME_LOCK_DEFAULT, TIME_LOCK_MAX},
    context::valid_label,
    error::{Damage, FormatError, Result},
    ids::{DatasetId, ObjectHash, VaultId},
    limits,
    secret::Secret32,
    wire::{Reader, Writer},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most keyholders of one vault.
pub const KEYHOLDERS_MAX: usize = 64;
/// Most datasets of one vault.
pub const DATASETS_MAX: usize = 1024;

const OBJECT: &str = "keyring";
const MAGIC: &[u8; 4] = b"SRKR";
const VERSION: u8 = 1;
/// Magic, version, three zero bytes, length.
const HEADER_LEN: usize = 12;

/// One version of a vault's keyring `[V-4.3]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyring {
    /// 1 for the first, then one more each time.
    pub version: u32,
    /// The hash of the bytes of the version before; none for the first.
    pub previous: Option<ObjectHash>,
    /// The vault.
    pub vault: VaultId,
    /// The key that signs this document, from which the vault's id was made.
    pub signing_key: SigningPublicKey,
    /// When this version was made: RFC 3339, UTC, such as `2026-03-01T12:00:00Z`.
    pub created: String,
    /// The keyholders by their labels.
    #[serde(deserialize_with = "wrapped::unique_keys")]
    pub keyholders: BTreeMap<String, KeyholderSpec>,
    /// Who opens read keys, where a dataset does not say otherwise.
    pub read_policy: PolicyTree,
    /// Who opens write keys, where a dataset does not say otherwise.
    pub write_policy: PolicyTree,
    /// The seed of the signing key: whole vault, purpose read, epoch 0.
    pub signing: WrappedKey,
    /// The datasets.
    pub datasets: Vec<DatasetRecord>,
    /// How long dangerous changes wait, in hours; [`TIME_LOCK_DEFAULT`] where it is not given `[V-14]`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time_lock: Option<u32>,
    /// The change that this version carries out, where there was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change: Option<ObjectHash>,
}

/// What a keyring says of one dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetRecord {
    /// Its name, which the contexts of its keys hold.
    pub name: String,
    /// Its id, under which its objects lie.
    pub id: DatasetId,
    /// When it was made: RFC 3339, UTC.
    pub created: String,
    /// Who opens its read keys.
    pub read_policy: PolicyTree,
    /// Who opens its write key.
    pub write_policy: PolicyTree,
    /// Length of an epoch in days: 1 to 3660.
    pub epoch_days: u32,
    /// Smallest chunk in bytes, unless a file is smaller.
    pub chunk_min: u32,
    /// Largest chunk in bytes.
    pub chunk_max: u32,
    /// Size in bytes at which a pack is closed.
    pub pack_size: u32,
    /// Its write key.
    pub write_key: WrappedKey,
}

impl Keyring {
    /// Checks this document, signs it and encodes it as the object `keyring/<version>`.
    ///
    /// # Errors
    /// What [`Keyring::check`] finds; [`Damage::Field`] where `seed` is not that of `signing_key`;
    /// [`Damage::Limit`] where the document is too large. Nothing is encoded that could not be decoded.
    pub fn sign_and_encode(&self, seed: &Secret32) -> Result<Vec<u8>> {
        self.check()?;
        if SigningPublicKey::of_seed(seed) != self.signing_key {
            return Err(field("signing_key"));
        }
        let json = serde_json::to_vec(self)
            .map_err(|error| FormatError::new(OBJECT, Damage::Document(error.to_string())))?;
        let len = u32::try_from(json.len())
            .ok()
            .filter(|_| HEADER_LEN + json.len() + SIGNATURE_LEN <= limits::DOCUMENT_MAX)
            .ok_or(FormatError::new(OBJECT, Damage::Limit("document")))?;
        let mut out = Vec::with_capacity(HEADER_LEN + json.len() + SIGNATURE_LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[VERSION, 0, 0, 0]);
        out.put_u32(len);
        out.extend_from_slice(&json);
        let signature = signing::sign(seed, &out);
        out.extend_from_slice(&signature);
        Ok(out)
    }

    /// Decodes a keyring object of the vault `expected` and verifies its signature.
    ///
    /// The signature must be by the key from which the vault's id was made. This format version has no way
    /// to hand signing over to another key, so that nobody else can sign any version.
    ///
    /// # Errors
    /// [`FormatError`], the object being `keyring`, with what is wrong: [`Damage::Foreign`] for another vault's,
    /// [`Damage::Signature`] for changed bytes, [`Damage::Document`] for a policy node that this version
    /// does not know and other malformed JSON.
    pub fn decode(bytes: &[u8], expected: &VaultId) -> Result<Self> {
        if bytes.len() > limits::DOCUMENT_MAX {
            return Err(FormatError::new(OBJECT, Damage::Limit("document")));
        }
        let mut reader = Reader::new(OBJECT, bytes);
        if &reader.array()? != MAGIC {
            return Err(reader.error(Damage::Magic));
        }
        match reader.array()? {
            [VERSION, 0, 0, 0] => {}
            [VERSION, ..] => return Err(reader.error(Damage::Field("reserved"))),
            [version, ..] => return Err(reader.error(Damage::Version(version))),
        }
        let len = reader.u32()? as usize;
        let json = reader.bytes(len)?;
        let signature = reader.array::<SIGNATURE_LEN>()?;
        reader.finish()?;

        // The vault id commits to the signing key, so the key is believed before the rest is read.
        let SignedBy { signing_key } = parse(json)?;
        if signing_key.vault_id() != *expected {
            return Err(FormatError::new(OBJECT, Damage::Foreign));
        }
        let signed = &bytes[..HEADER_LEN + len];
        if !signing_key.verifies(signed, &signature) {
            return Err(FormatError::new(OBJECT, Damage::Signature));
        }
        let keyring: Self = parse(json)?;
        keyring.check()?;
        Ok(keyring)
    }

    /// Checks that this is the version after `previous`, whose object has the bytes `previous_bytes`.
    ///
    /// # Errors
    /// [`Damage::Foreign`] for another vault's keyring; [`Damage::Field`] where the version is not the next one;
    /// [`Damage::Hash`] where it follows other bytes; [`Damage::Signature`] where another key signed it.
    pub fn follows(&self, previous_bytes: &[u8], previous: &Self) -> Result<()> {
        if self.vault != previous.vault {
            return Err(FormatError::new(OBJECT, Damage::Foreign));
        }
        if previous.version.checked_add(1) != Some(self.version) {
            return Err(field("version"));
        }
        if self.previous != Some(ObjectHash::of(previous_bytes)) {
            return Err(FormatError::new(OBJECT, Damage::Hash));
        }
        if self.signing_key != previous.signing_key {
            return Err(FormatError::new(OBJECT, Damage::Signature));
        }
        Ok(())
    }

    /// How long dangerous changes wait, in hours.
    #[must_use]
    pub fn time_lock(&self) -> u32 {
        self.time_lock.unwrap_or(TIME_LOCK_DEFAULT)
    }

    /// The dataset of this name.
    #[must_use]
    pub fn dataset(&self, name: &str) -> Option<&DatasetRecord> {
        self.datasets.iter().find(|dataset| dataset.name == name)
    }

    /// Checks everything that the format demands of the document, its signature apart `[V-4.4]`.
    ///
    /// # Errors
    /// [`Damage::Field`], [`Damage::Limit`] or [`Damage::Foreign`] with the first fault found.
    pub fn check(&self) -> Result<()> {
        let first = self.version == 1;
        if self.version == 0 || first != self.previous.is_none() {
            return Err(field("previous"));
        }
        if self.signing_key.vault_id() != self.vault {
            return Err(FormatError::new(OBJECT, Damage::Foreign));
        }
        if !is_utc_time(&self.created) {
            return Err(field("created"));
        }
        if self.keyholders.len() > KEYHOLDERS_MAX {
            return Err(FormatError::new(OBJECT, Damage::Limit("keyholders")));
        }
        for (label, spec) in &self.keyholders {
            if !valid_label(label) {
                return Err(field("keyholders"));
            }
            spec.check(OBJECT)?;
        }
        if self.time_lock.is_some_and(|hours| hours > TIME_LOCK_MAX) {
            return Err(FormatError::new(OBJECT, Damage::Limit("time lock")));
        }
        self.check_policy(&self.read_policy)?;
        self.check_policy(&self.write_policy)?;
        self.check_wrapped(&self.signing)?;
        self.check_datasets()
    }

    fn check_datasets(&self) -> Result<()> {
        if self.datasets.len() > DATASETS_MAX {
            return Err(FormatError::new(OBJECT, Damage::Limit("datasets")));
        }
        let mut names = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for dataset in &self.datasets {
            if !valid_label(&dataset.name) || !names.insert(&dataset.name) {
                return Err(field("datasets.name"));
            }
            if !ids.insert(dataset.id) {
                return Err(field("datasets.id"));
            }
            if !is_utc_time(&dataset.created) {
                return Err(field("datasets.created"));
            }
            if !(1..=3660).contains(&dataset.epoch_days) {
                return Err(field("datasets.epoch_days"));
            }
            let chunk_max = dataset.chunk_max as usize;
            if dataset.chunk_min == 0
                || dataset.chunk_min > dataset.chunk_max
                || chunk_max > limits::CHUNK_MAX
            {
                return Err(field("datasets.chunk_max"));
            }
            if dataset.pack_size == 0 || dataset.pack_size as usize > limits::PACK_MAX {
                return Err(field("datasets.pack_size"));
            }
            self.check_policy(&dataset.read_policy)?;
            self.check_policy(&dataset.write_policy)?;
            self.check_wrapped(&dataset.write_key)?;
        }
        Ok(())
    }

    fn check_policy(&self, policy: &PolicyTree) -> Result<()> {
        policy.check(OBJECT)?;
        if policy.leaves().all(|label| self.keyholders.contains_key(label)) {
            Ok(())
        } else {
            Err(field("policy: unknown keyholder"))
        }
    }

    fn check_wrapped(&self, wrapped: &WrappedKey) -> Result<()> {
        wrapped.check(OBJECT)?;
        self.check_policy(&wrapped.policy)
    }
}

/// The one field that is read before the signature is verified.
#[derive(Deserialize)]
struct SignedBy {
    signing_key: SigningPublicKey,
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json)
        .map_err(|error| FormatError::new(OBJECT, Damage::Document(error.to_string())))
}

fn field(name: &'static str) -> FormatError {
    FormatError::new(OBJECT, Damage::Field(name))
}

/// Whether `text` is a time such as `2026-03-01T12:00:00Z`, with at most nine digits of a second's fraction.
pub(crate) fn is_utc_time(text: &str) -> bool {
    let Some((clock, fraction)) = text.split_at_checked(19) else { return false };
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let shaped = clock.bytes().zip(shape).all(|(byte, shape)| match shape {
        b'd' => byte.is_ascii_digit(),
        other => byte == *other,
    });
    let fraction_ok = match fraction.strip_suffix('Z') {
        Some("") => true,
        Some(rest) => rest.strip_prefix('.').is_some_and(|digits| {
            (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        }),
        None => false,
    };
    let within = |range: std::ops::Range<usize>, least: u8, most: u8| {
        clock
            .get(range)
            .and_then(|digits| digits.parse().ok())
            .is_some_and(|n: u8| (least..=most).contains(&n))
    };
    shaped
        && fraction_ok
        && within(5..7, 1, 12)
        && within(8..10, 1, 31)
        && within(11..13, 0, 23)
        && within(14..16, 0, 59)
        && within(17..19, 0, 59)
}
