//! S3 buckets and AWS Backup vaults.

use std::sync::Arc;

use super::PolicyText;

/// An S3 bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Name.
    pub name: Arc<str>,
    /// Region, where it was told.
    pub region: Option<Arc<str>>,
    /// Its policy; `None` if it was not collected, `Some(None)` if it has none.
    pub policy: Option<Option<PolicyText>>,
    /// Versioning; `None` if it was not collected.
    pub versioning: Option<Versioning>,
    /// Object Lock; `None` if it was not collected, `Some(None)` if it has none.
    pub lock: Option<Option<ObjectLock>>,
    /// What is refused to the public; `None` if it was not collected, `Some(None)` if nothing is set.
    pub public_access: Option<Option<PublicAccessBlock>>,
    /// KMS keys of its default encryption (an ARN, an id or an alias); `None` if it was not collected.
    pub encryption_keys: Option<Vec<Arc<str>>>,
}

/// Versioning of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Versioning {
    /// Never switched on.
    Off,
    /// On.
    Enabled {
        /// Whether deleting a version for good takes a second factor of root.
        mfa_delete: bool,
    },
    /// Was on, and is off.
    Suspended,
}

/// Object Lock of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectLock {
    /// Mode and period of new objects; `None` if objects are locked only when whoever writes them says so.
    pub default: Option<(LockMode, Period)>,
}

/// How firm a lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMode {
    /// Some may lift it.
    Governance,
    /// Nobody can lift it.
    Compliance,
}

/// A period of retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// In days.
    Days(u32),
    /// In years.
    Years(u32),
}

/// What a bucket refuses to the public.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicAccessBlock {
    /// Refuses to set public ACLs.
    pub block_acls: bool,
    /// Ignores public ACLs.
    pub ignore_acls: bool,
    /// Refuses to set a public policy.
    pub block_policy: bool,
    /// Refuses others than the account and services under a public policy.
    pub restrict: bool,
}

/// An AWS Backup vault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupVault {
    /// ARN.
    pub arn: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Region.
    pub region: Arc<str>,
    /// `BACKUP_VAULT`, `LOGICALLY_AIR_GAPPED_BACKUP_VAULT`…
    pub kind: Option<Arc<str>>,
    /// The key that encrypts it; absent if it was not described.
    pub key: Option<Arc<str>>,
    /// Whether Vault Lock is on; `None` if it was not described.
    pub locked: Option<bool>,
    /// From when the lock cannot be taken away, as AWS wrote it. A locked vault without a date is in governance mode.
    pub lock_date: Option<Arc<str>>,
    /// Shortest retention in days.
    pub min_retention_days: Option<u64>,
    /// Longest retention in days.
    pub max_retention_days: Option<u64>,
    /// How many recovery points it holds, where it was told.
    pub recovery_point_count: Option<u64>,
    /// Its access policy; `None` if it was not collected, `Some(None)` if it has none.
    pub policy: Option<Option<PolicyText>>,
    /// Its recovery points; `None` if they were not collected.
    pub recovery_points: Option<Vec<RecoveryPoint>>,
}

/// A recovery point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecoveryPoint {
    /// ARN.
    pub arn: Arc<str>,
    /// What it is a backup of.
    pub resource: Option<Arc<str>>,
    /// The key that encrypts it.
    pub key: Option<Arc<str>>,
    /// `COMPLETED`, `PARTIAL`…
    pub status: Option<Arc<str>>,
    /// When AWS Backup will delete it, as AWS wrote it.
    pub deletes_at: Option<Arc<str>>,
}
