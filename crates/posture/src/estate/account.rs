//! One account.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    BackupVault, Bucket, Compute, Group, InstanceProfile, Key, ManagedPolicy, Provider, ResourceShare, Role,
    SsoInstance, StackSet, Trail, User,
};

/// What was read about one account. Whether a map that is empty was asked for at all is told by
/// [`Coverage`](super::Coverage).
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Users by name.
    pub users: BTreeMap<Arc<str>, User>,
    /// Groups by name.
    pub groups: BTreeMap<Arc<str>, Group>,
    /// Roles by name.
    pub roles: BTreeMap<Arc<str>, Role>,
    /// Managed policies by ARN: the account's own and those of AWS that it uses.
    pub policies: BTreeMap<Arc<str>, ManagedPolicy>,
    /// Instance profiles by ARN.
    pub instance_profiles: BTreeMap<Arc<str>, InstanceProfile>,
    /// OIDC and SAML providers by ARN.
    pub providers: BTreeMap<Arc<str>, Provider>,
    /// KMS keys by ARN, in all regions.
    pub keys: BTreeMap<Arc<str>, Key>,
    /// S3 buckets by name.
    pub buckets: BTreeMap<Arc<str>, Bucket>,
    /// AWS Backup vaults by ARN.
    pub vaults: BTreeMap<Arc<str>, BackupVault>,
    /// Compute that carries a role, by ARN (or by a name of its service where there is none).
    pub compute: BTreeMap<Arc<str>, Compute>,
    /// CloudFormation stack sets by ARN.
    pub stack_sets: BTreeMap<Arc<str>, StackSet>,
    /// CloudTrail trails by ARN.
    pub trails: BTreeMap<Arc<str>, Trail>,
    /// RAM shares that this account owns, by ARN.
    pub shares: BTreeMap<Arc<str>, ResourceShare>,
    /// IAM Identity Center instances by ARN.
    pub sso: BTreeMap<Arc<str>, SsoInstance>,
    /// The root user.
    pub root: Root,
    /// Whether member accounts' root can be managed centrally: features as `iam list-organizations-features` says
    /// (`RootCredentialsManagement`, `RootSessions`). Known of a management account or delegated administrator only.
    pub root_features: Option<Vec<Arc<str>>>,
    /// Regions that are open to this account; `None` if it was not asked.
    pub regions: Option<Vec<Arc<str>>>,
}

/// The root user of an account, from `iam get-account-summary`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// Whether root has access keys.
    pub access_keys: Option<bool>,
    /// Whether root has a second factor.
    pub mfa: Option<bool>,
    /// Whether root has a password. It may have none under central root management.
    pub password: Option<bool>,
}
