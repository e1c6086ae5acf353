//! Changes under a time lock, what cancels them, and the certificates of what was done `[V-14]`.
//!
//! In scope: the three documents, their signatures, and what they must hold. Out of scope: clocks, and carrying
//! anything out.

use crate::{
    context::valid_label,
    error::{Damage, FormatError, Result},
    ids::{DatasetId, ObjectHash, VaultId},
    keyring::{KEYHOLDERS_MAX, KeyholderSpec, PolicyTree, SigningPublicKey, WrappedKey, is_utc_time},
    secret::Secret32,
    signed::Kind,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The time lock of a vault whose keyring names none, in hours.
pub const TIME_LOCK_DEFAULT: u32 = 72;
/// The longest time lock, in hours: a year.
pub const TIME_LOCK_MAX: u32 = 366 * 24;
/// Longest text for people, in bytes.
const TEXT_MAX: usize = 4 << 10;
/// Most epochs of one shred, and most names in a certificate.
const LIST_MAX: usize = 1 << 16;

const CHANGE: Kind = Kind { object: "change", magic: b"SRCH" };
const CANCELLATION: Kind = Kind { object: "cancellation", magic: b"SRCX" };
const CERTIFICATE: Kind = Kind { object: "certificate", magic: b"SRCT" };

const PROOF: Kind = Kind { object: "revocation proof", magic: b"SRPR" };

/// The one field that is read before a signature is verified.
#[derive(Deserialize)]
struct SignedBy {
    signing_key: SigningPublicKey,
}

/// A change that waits `[V-14.2]`. Its object is `changes/<id>`, the id being the hash of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The vault.
    pub vault: VaultId,
    /// When it was proposed: RFC 3339, UTC.
    pub created: String,
    /// When it may be carried out: RFC 3339, UTC.
    pub not_before: String,
    /// The version of the keyring in force when it was proposed.
    pub keyring: u32,
    /// Who proposed it, in their own words.
    pub requester: String,
    /// Why; may be empty.
    pub reason: String,
    /// What is to be done.
    pub what: What,
    /// The keyholders of the vault's policies, each with a key of its own that cancels.
    pub cancel: BTreeMap<String, Canceller>,
    /// Keyholders to which no key could be wrapped, so that they cannot cancel.
    pub cannot_cancel: BTreeSet<String>,
}

/// A key that cancels a change, wrapped to one keyholder: whole vault, purpose read, epoch 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canceller {
    /// What verifies the cancellation.
    pub public_key: SigningPublicKey,
    /// The Ed25519 seed, under the policy that is this keyholder alone.
    pub seed: WrappedKey,
}

/// What a change does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// New keyholders and policies; everything is wrapped under them.
    Policy(Policies),
    /// Documents from before the policies in force are deleted.
    Forget {
        /// The keyholder that loses what it held, for people.
        holder: Option<String>,
    },
    /// Another time lock, in hours.
    TimeLock(u32),
    /// Wraps are destroyed.
    Shred(Shred),
}

/// A change of keyholders and policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// Keyholders to add.
    pub add: BTreeMap<String, KeyholderSpec>,
    /// The new read policy, if it changes.
    pub read_policy: Option<PolicyTree>,
    /// The new write policy, if it changes.
    pub write_policy: Option<PolicyTree>,
    /// The datasets that change; the vault and all of them where it is none.
    pub datasets: Option<Vec<String>>,
    /// Whether documents from before are deleted.
    pub delete_old: bool,
}

/// Whose wraps are destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shred {
    /// Everything.
    Vault,
    /// A dataset with its write key.
    Dataset {
        /// Its name.
        name: String,
        /// Its id.
        id: DatasetId,
    },
    /// The read keys of epochs.
    Epochs {
        /// The dataset's name.
        name: String,
        /// The dataset's id.
        id: DatasetId,
        /// The epochs.
        epochs: BTreeSet<u32>,
    },
}

impl Change {
    /// Checks, signs and encodes the change.
    ///
    /// # Errors
    /// What [`Change::decode`] would find.
    pub fn sign_and_encode(&self, seed: &Secret32) -> Result<Vec<u8>> {
        self.check()?;
        CHANGE.seal(self, seed)
    }

    /// Decodes a change of the vault with this signing key, and verifies it.
    ///
    /// # Errors
    /// [`Damage::Signature`], [`Damage::Foreign`], [`Damage::Field`], [`Damage::Limit`], or damage to the frame.
    pub fn decode(bytes: &[u8], signing_key: &SigningPublicKey) -> Result<Self> {
        let change: Self = CHANGE.open(bytes)?.verified(signing_key)?;
        if change.vault != signing_key.vault_id() {
            return Err(FormatError::new(CHANGE.object, Damage::Foreign));
        }
        change.check()?;
        Ok(change)
    }

    fn check(&self) -> Result<()> {
        let field = |name| Err(FormatError::new(CHANGE.object, Damage::Field(name)));
        let limit = |name| Err(FormatError::new(CHANGE.object, Damage::Limit(name)));
        if !is_utc_time(&self.created) || !is_utc_time(&self.not_before) {
            return field("created");
        }
        if self.requester.len() > TEXT_MAX || self.reason.len() > TEXT_MAX {
            return limit("text");
        }
        if self.cancel.len() > KEYHOLDERS_MAX || self.cannot_cancel.len() > KEYHOLDERS_MAX {
            return limit("cancel");
        }
        for (label, canceller) in &self.cancel {
            canceller.seed.check(CHANGE.object)?;
            if !valid_label(label) || canceller.seed.policy != PolicyTree::Keyholder(label.clone()) {
                return field("cancel");
            }
        }
        if !self.cannot_cancel.iter().all(|label| valid_label(label)) {
            return field("cannot_cancel");
        }
        match &self.what {
            What::Policy(policies) => {
                if policies.add.len() > KEYHOLDERS_MAX {
                    return limit("add");
                }
                for (label, spec) in &policies.add {
                    if !valid_label(label) {
                        return field("add");
                    }
                    spec.check(CHANGE.object)?;
                }
                for policy in [&policies.read_policy, &policies.write_policy].into_iter().flatten() {
                    policy.check(CHANGE.object)?;
                }
                match &policies.datasets {
                    Some(names) if names.len() > crate::keyring::DATASETS_MAX => limit("datasets"),
                    Some(names) if !names.iter().all(|name| valid_label(name)) => field("datasets"),
                    _ => Ok(()),
                }
            }
            What::Forget { holder: Some(holder) } if !valid_label(holder) => field("holder"),
            What::TimeLock(hours) if *hours > TIME_LOCK_MAX => limit("time lock"),
            What::Shred(Shred::Dataset { name, .. }) if !valid_label(name) => field("name"),
            What::Shred(Shred::Epochs { name, epochs, .. }) => match () {
                () if !valid_label(name) || epochs.is_empty() || epochs.contains(&0) => field("epochs"),
                () if epochs.len() > LIST_MAX => limit("epochs"),
                () => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// One keyholder's *no* to a change `[V-14.3]`. Its object is `cancellations/<id of the change>/<hash>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancellation {
    /// The change.
    pub change: ObjectHash,
    /// The keyholder.
    pub holder: String,
    /// When: RFC 3339, UTC, in the canceller's own time.
    pub time: String,
    /// Why; may be empty.
    pub reason: String,
}

impl Cancellation {
    /// Signs with the key that the change wrapped to the keyholder.
    ///
    /// # Errors
    /// [`Damage::Field`] or [`Damage::Limit`].
    pub fn sign_and_encode(&self, seed: &Secret32) -> Result<Vec<u8>> {
        self.check()?;
        CANCELLATION.seal(self, seed)
    }

    /// Decodes a cancellation of `change`, whose id is `id`.
    ///
    /// # Errors
    /// [`Damage::Foreign`] where it is of another change or by nobody who may cancel; [`Damage::Signature`].
    pub fn decode(bytes: &[u8], id: &ObjectHash, change: &Change) -> Result<Self> {
        let frame = CANCELLATION.open(bytes)?;
        for (label, canceller) in &change.cancel {
            let Ok(found) = frame.verified::<Self>(&canceller.public_key) else { continue };
            if found.change != *id || found.holder != *label {
                return Err(FormatError::new(CANCELLATION.object, Damage::Foreign));
            }
            found.check()?;
            return Ok(found);
        }
        Err(FormatError::new(CANCELLATION.object, Damage::Signature))
    }

    fn check(&self) -> Result<()> {
        if !is_utc_time(&self.time) || !valid_label(&self.holder) {
            return Err(FormatError::new(CANCELLATION.object, Damage::Field("time")));
        }
        if self.reason.len() > TEXT_MAX {
            return Err(FormatError::new(CANCELLATION.object, Damage::Limit("text")));
        }
        Ok(())
    }
}

/// What was done, signed by the vault `[V-14.5]`. Its object is `certificates/<id of the change>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The vault.
    pub vault: VaultId,
    /// The key that signs, by which the vault's id was made: so that the certificate stands for itself.
    pub signing_key: SigningPublicKey,
    /// The change that was carried out.
    pub change: ObjectHash,
    /// What it was.
    pub what: What,
    /// When it was proposed and when it was done: RFC 3339, UTC.
    pub proposed: String,
    /// When it was done: RFC 3339, UTC.
    pub done: String,
    /// Documents that held wraps and were deleted, by name.
    pub destroyed: BTreeMap<String, ObjectHash>,
    /// Documents that the store would not delete, by name: what they wrap can still be opened.
    pub kept: BTreeSet<String>,
    /// Snapshots that can no longer be read, by object name.
    pub snapshots: BTreeSet<String>,
}

impl Certificate {
    /// Signs with the seed of the vault's signing key.
    ///
    /// # Errors
    /// [`Damage::Field`] or [`Damage::Limit`].
    pub fn sign_and_encode(&self, seed: &Secret32) -> Result<Vec<u8>> {
        self.check()?;
        CERTIFICATE.seal(self, seed)
    }

    /// Decodes a certificate of `vault`.
    ///
    /// # Errors
    /// [`Damage::Foreign`] where its key is not that of the vault; [`Damage::Signature`]; damage to the frame.
    pub fn decode(bytes: &[u8], vault: &VaultId) -> Result<Self> {
        let frame = CERTIFICATE.open(bytes)?;
        let SignedBy { signing_key } = frame.unverified()?;
        if signing_key.vault_id() != *vault {
            return Err(FormatError::new(CERTIFICATE.object, Damage::Foreign));
        }
        let certificate: Self = frame.verified(&signing_key)?;
        certificate.check()?;
        Ok(certificate)
    }

    fn check(&self) -> Result<()> {
        if self.signing_key.vault_id() != self.vault {
            return Err(FormatError::new(CERTIFICATE.object, Damage::Foreign));
        }
        if !is_utc_time(&self.proposed) || !is_utc_time(&self.done) {
            return Err(FormatError::new(CERTIFICATE.object, Damage::Field("done")));
        }
        Ok(())
    }
}

/// How long after a provider's *no* a process could still read, signed by the vault `[V-14.6]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationProof {
    /// The vault.
    pub vault: VaultId,
    /// The key that signs, by which the vault's id was made.
    pub signing_key: SigningPublicKey,
    /// The keyholder whose provider said no.
    pub holder: String,
    /// Its kind.
    pub kind: String,
    /// The dataset that was read.
    pub dataset: String,
    /// When the provider first refused: RFC 3339, UTC.
    pub refused: String,
    /// When the measuring process last read something: RFC 3339, UTC.
    pub last_read: String,
    /// The time between the two, in milliseconds; 0 where nothing was read after the refusal.
    pub milliseconds: u64,
    /// The lease that the measuring process kept, in milliseconds.
    pub lease_milliseconds: u64,
    /// How often it read.
    pub reads: u64,
}

impl RevocationProof {
    /// Signs with the seed of the vault's signing key.
    ///
    /// # Errors
    /// [`Damage::Field`] or [`Damage::Foreign`].
    pub fn sign_and_encode(&self, seed: &Secret32) -> Result<Vec<u8>> {
        self.check()?;
        PROOF.seal(self, seed)
    }

    /// Decodes a proof of `vault`.
    ///
    /// # Errors
    /// [`Damage::Foreign`] where its key is not that of the vault; [`Damage::Signature`]; damage to the frame.
    pub fn decode(bytes: &[u8], vault: &VaultId) -> Result<Self> {
        let frame = PROOF.open(bytes)?;
        let SignedBy { signing_key } = frame.unverified()?;
        if signing_key.vault_id() != *vault {
            return Err(FormatError::new(PROOF.object, Damage::Foreign));
        }
        let proof: Self = frame.verified(&signing_key)?;
        proof.check()?;
        Ok(proof)
    }

    fn check(&self) -> Result<()> {
        if self.signing_key.vault_id() != self.vault {
            return Err(FormatError::new(PROOF.object, Damage::Foreign));
        }
        let times = is_utc_time(&self.refused) && is_utc_time(&self.last_read);
        if times && [&self.holder, &self.kind, &self.dataset].into_iter().all(|label| valid_label(label)) {
            Ok(())
        } else {
            Err(FormatError::new(PROOF.object, Damage::Field("refused")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::Wrap;

    const ID: ObjectHash = ObjectHash([9; 32]);

    fn seed(byte: u8) -> Secret32 {
        Secret32::new([byte; 32])
    }

    fn change() -> Change {
        let canceller = |label: &str, byte: u8| Canceller {
            public_key: SigningPublicKey::of_seed(&seed(byte)),
            seed: WrappedKey {
                policy: PolicyTree::Keyholder(label.into()),
                commitment: seed(byte).commitment(),
                wraps: vec![Wrap { holder: label.into(), commitment: None, blob: vec![byte; 48] }],
            },
        };
        Change {
            vault: SigningPublicKey::of_seed(&seed(1)).vault_id(),
            created: "2026-03-01T12:00:00Z".into(),
            not_before: "2026-03-04T12:00:00Z".into(),
            keyring: 3,
            requester: "operator@host-a".into(),
            reason: String::new(),
            what: What::Shred(Shred::Epochs {
                name: "home".into(),
                id: DatasetId([4; 16]),
                epochs: BTreeSet::from([2, 3]),
            }),
            cancel: BTreeMap::from([("a".into(), canceller("a", 11)), ("b".into(), canceller("b", 12))]),
            cannot_cancel: BTreeSet::from(["gone".into()]),
        }
    }

    fn damage<T: std::fmt::Debug>(result: Result<T>) -> Damage {
        result.unwrap_err().damage
    }

    #[test]
    fn a_change_is_believed_from_the_vaults_own_key_only() {
        let key = SigningPublicKey::of_seed(&seed(1));
        let bytes = change().sign_and_encode(&seed(1)).unwrap();
        assert_eq!(Change::decode(&bytes, &key).unwrap(), change());
        let forged = change().sign_and_encode(&seed(2)).unwrap();
        assert_eq!(damage(Change::decode(&forged, &key)), Damage::Signature);
        let foreign = Change { vault: VaultId([7; 16]), ..change() }.sign_and_encode(&seed(1)).unwrap();
        assert_eq!(damage(Change::decode(&foreign, &key)), Damage::Foreign);
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1;
            assert!(Change::decode(&bent, &key).is_err(), "byte {at}");
            assert!(Change::decode(&bytes[..at], &key).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_cancellation_says_who_made_it() {
        let by = |holder: &str| Cancellation {
            change: ID,
            holder: holder.into(),
            time: "2026-03-02T00:00:00Z".into(),
            reason: "nobody asked me".into(),
        };
        let bytes = by("b").sign_and_encode(&seed(12)).unwrap();
        assert_eq!(Cancellation::decode(&bytes, &ID, &change()).unwrap(), by("b"));
        assert_eq!(damage(Cancellation::decode(&bytes, &ObjectHash([8; 32]), &change())), Damage::Foreign);
        let in_another_name = by("a").sign_and_encode(&seed(12)).unwrap();
        assert_eq!(damage(Cancellation::decode(&in_another_name, &ID, &change())), Damage::Foreign);
        let forged = by("b").sign_and_encode(&seed(1)).unwrap();
        assert_eq!(damage(Cancellation::decode(&forged, &ID, &change())), Damage::Signature);
    }

    #[test]
    fn a_certificate_stands_for_itself() {
        let signing_key = SigningPublicKey::of_seed(&seed(1));
        let certificate = Certificate {
            vault: signing_key.vault_id(),
            signing_key,
            change: ID,
            what: What::Shred(Shred::Vault),
            proposed: "2026-03-01T12:00:00Z".into(),
            done: "2026-03-05T12:00:00Z".into(),
            destroyed: BTreeMap::from([("keyring/00000001".into(), ID)]),
            kept: BTreeSet::new(),
            snapshots: BTreeSet::new(),
        };
        let bytes = certificate.sign_and_encode(&seed(1)).unwrap();
        assert_eq!(Certificate::decode(&bytes, &certificate.vault).unwrap(), certificate);
        assert_eq!(damage(Certificate::decode(&bytes, &VaultId([1; 16]))), Damage::Foreign);
        let forged = certificate.sign_and_encode(&seed(2)).unwrap();
        assert_eq!(damage(Certificate::decode(&forged, &certificate.vault)), Damage::Signature);
    }

    #[test]
    fn a_proof_stands_for_itself() {
        let signing_key = SigningPublicKey::of_seed(&seed(1));
        let proof = RevocationProof {
            vault: signing_key.vault_id(),
            signing_key,
            holder: "kms".into(),
            kind: "aws-kms".into(),
            dataset: "home".into(),
            refused: "2026-03-01T12:00:00Z".into(),
            last_read: "2026-03-01T12:00:02Z".into(),
            milliseconds: 2000,
            lease_milliseconds: 5000,
            reads: 40,
        };
        let bytes = proof.sign_and_encode(&seed(1)).unwrap();
        assert_eq!(RevocationProof::decode(&bytes, &proof.vault).unwrap(), proof);
        assert_eq!(damage(RevocationProof::decode(&bytes, &VaultId([1; 16]))), Damage::Foreign);
        let forged = proof.sign_and_encode(&seed(2)).unwrap();
        assert_eq!(damage(RevocationProof::decode(&forged, &proof.vault)), Damage::Signature);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let none = Shred::Epochs { name: "home".into(), id: DatasetId([4; 16]), epochs: BTreeSet::new() };
        let refused = |what: What| damage(Change { what, ..change() }.sign_and_encode(&seed(1)));
        assert_eq!(refused(What::Shred(none)), Damage::Field("epochs"));
        assert_eq!(refused(What::TimeLock(TIME_LOCK_MAX + 1)), Damage::Limit("time lock"));
        assert_eq!(refused(What::Forget { holder: Some("-".into()) }), Damage::Field("holder"));
        let mut swapped = change();
        let b = swapped.cancel.remove("b").unwrap();
        swapped.cancel.insert("a".into(), b);
        assert_eq!(damage(swapped.sign_and_encode(&seed(1))), Damage::Field("cancel"));
    }
}
