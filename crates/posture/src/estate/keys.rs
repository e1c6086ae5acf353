//! KMS keys, their aliases and their grants.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{AccountId, PolicyText, Tags};

/// A KMS key in one region. Replicas of a multi-Region key are keys of their own, with policies and grants of their
/// own (KMS Developer Guide, "Multi-Region keys").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// ARN.
    pub arn: Arc<str>,
    /// Id: a UUID, or `mrk-…`.
    pub id: Arc<str>,
    /// The account that owns it.
    pub account: AccountId,
    /// Its region.
    pub region: Arc<str>,
    /// State; `None` if the key was not described.
    pub state: Option<KeyState>,
    /// Where its material comes from; `None` if the key was not described.
    pub origin: Option<KeyOrigin>,
    /// Who manages it; `None` if the key was not described.
    pub manager: Option<KeyManager>,
    /// `SYMMETRIC_DEFAULT`, `RSA_2048`…
    pub spec: Option<Arc<str>>,
    /// `ENCRYPT_DECRYPT`, `SIGN_VERIFY`…
    pub usage: Option<Arc<str>>,
    /// What people wrote about it.
    pub description: Option<Arc<str>>,
    /// When it was made, as AWS wrote it.
    pub created: Option<Arc<str>>,
    /// When it will be deleted, as AWS wrote it; there only while deletion is pending.
    pub deletion: Option<Arc<str>>,
    /// The waiting period in days of a primary key whose replicas are not gone yet.
    pub pending_window_days: Option<u32>,
    /// When imported material expires, as AWS wrote it; absent if it does not.
    pub material_expires: Option<Arc<str>>,
    /// Its custom key store, if it is in one.
    pub key_store: Option<Arc<str>>,
    /// Its part among multi-Region keys; absent if it is none, or was not described.
    pub multi_region: Option<MultiRegion>,
    /// Tags; `None` if they were not collected.
    pub tags: Option<Tags>,
    /// Rotation; `None` if it was not collected.
    pub rotation: Option<Rotation>,
    /// Policies by name: `default`, and `AWS_RAM` where the key is shared. Empty: not collected, for every key has
    /// a policy.
    pub policies: BTreeMap<Arc<str>, PolicyText>,
    /// Names of its policies (`kms list-key-policies`); `None` if they were not collected.
    pub policy_names: Option<Vec<Arc<str>>>,
    /// Grants; `None` if they were not collected.
    pub grants: Option<Vec<Grant>>,
    /// Aliases; `None` if those of its account and region were not collected.
    pub aliases: Option<Vec<Alias>>,
}

/// The states of a key (KMS API Reference, `KeyMetadata`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Being made.
    Creating,
    /// In use.
    Enabled,
    /// Switched off.
    Disabled,
    /// Will be deleted.
    PendingDeletion,
    /// Waits for imported material.
    PendingImport,
    /// A primary that waits for its replicas to go.
    PendingReplicaDeletion,
    /// Its key store is not connected.
    Unavailable,
    /// Being changed.
    Updating,
    /// A state that is not known here.
    Other(Arc<str>),
}

/// Where the material of a key comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOrigin {
    /// Made by KMS.
    AwsKms,
    /// Imported: can be deleted at once, and imported again by whoever kept it.
    External,
    /// In a CloudHSM cluster.
    CloudHsm,
    /// In a key manager outside AWS.
    ExternalKeyStore,
    /// An origin that is not known here.
    Other(Arc<str>),
}

/// Who manages a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyManager {
    /// A service of AWS, which nobody else can change.
    Aws,
    /// The account.
    Customer,
}

/// The part of a key among multi-Region keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiRegion {
    /// Whether this is the primary.
    pub primary: bool,
    /// The primary.
    pub primary_key: Option<Replica>,
    /// The replicas.
    pub replicas: Vec<Replica>,
}

/// One of a set of multi-Region keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// ARN.
    pub arn: Arc<str>,
    /// Region.
    pub region: Arc<str>,
}

/// Automatic rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Whether it is on.
    pub enabled: bool,
    /// The period in days, where AWS told it.
    pub period_days: Option<u32>,
}

/// An alias.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alias {
    /// `alias/…`.
    pub name: Arc<str>,
    /// ARN.
    pub arn: Arc<str>,
}

/// A grant (KMS API Reference, `GrantListEntry`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Id.
    pub id: Arc<str>,
    /// Name, if it was given one.
    pub name: Option<Arc<str>>,
    /// Who may use it: an ARN. A principal that was deleted shows as its unique id.
    pub grantee: Option<Arc<str>>,
    /// The service that may use it, in place of a principal.
    pub grantee_service: Option<Arc<str>>,
    /// Who may retire it.
    pub retiring: Option<Arc<str>>,
    /// The service that may retire it.
    pub retiring_service: Option<Arc<str>>,
    /// The account under which it was made, as AWS wrote it: an ARN.
    pub issuing_account: Option<Arc<str>>,
    /// What it allows, as `kms` operations without prefix: `Decrypt`…
    pub operations: Vec<Arc<str>>,
    /// When it holds; absent: always.
    pub constraints: Option<Constraints>,
    /// When it was made, as AWS wrote it.
    pub created: Option<Arc<str>>,
    /// Where it was read.
    pub origin: super::Origin,
}

/// When a grant holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// The encryption context has to hold these pairs.
    pub subset: Option<Tags>,
    /// The encryption context has to be these pairs.
    pub equals: Option<Tags>,
    /// The resource on whose behalf a service acts.
    pub source_arn: Option<Arc<str>>,
}
