//! The estate: organisations, accounts, identities, keys, storage and compute, as AWS described them.
//!
//! In scope: what the evaluator and the attack graph need, kept as AWS said it, with the file and line of every
//! policy; and [`Coverage`], which tells what was asked at all.
//!
//! Out of scope: what a policy means. Policies are text here.
//!
//! A field that is an `Option` because it may not have been collected says so: `None` is "not known", never "none
//! there". What AWS leaves out because it does not apply is said to be so at the field.

mod account;
mod compute;
mod coverage;
mod identity;
mod keys;
mod names;
mod organisation;
mod policy;
mod problem;
mod sharing;
mod sso;
mod storage;
mod trails;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use account::{Account, Root};
pub use compute::{Compute, ComputeKind, InstanceProfile, StackSet};
pub use coverage::{Coverage, Extent, Gap, Kind, Reach, Scope};
pub use identity::{
    Group, ManagedPolicy, NamedPolicy, PolicyVersion, Provider, ProviderKind, Role, Tags, User,
};
pub use keys::{
    Alias, Constraints, Grant, Key, KeyManager, KeyOrigin, KeyState, MultiRegion, Replica, Rotation,
};
pub use names::{AccountId, Arn, NotAnAccount};
pub use organisation::{
    Delegation, Member, MemberState, Node, NodeKind, OrgPolicy, OrgPolicyKind, Organisation, PolicyTypeState,
};
pub use policy::{Form, Origin, PolicyText};
pub use problem::{Place, Problem, ProblemKind, Severity};
pub use sharing::{Association, AssociationKind, ResourceShare};
pub use sso::{Assignment, DirectoryGroup, DirectoryUser, Holder, PermissionSet, SetBoundary, SsoInstance};
pub use storage::{
    BackupVault, Bucket, LockMode, ObjectLock, Period, PublicAccessBlock, RecoveryPoint, Versioning,
};
pub use trails::{DataResource, FieldSelector, Selector, Selectors, Trail, TrailStatus};

/// Everything that was read, of all accounts and organisations.
#[derive(Clone, Debug, Default)]
pub struct Estate {
    /// Organisations by their id (`o-…`). There may be several: a key organisation apart from the production one.
    pub organisations: BTreeMap<Arc<str>, Organisation>,
    /// Accounts by number: those of which something was collected, and those that an organisation lists.
    pub accounts: BTreeMap<AccountId, Account>,
    /// What was collected and what was not.
    pub coverage: Coverage,
    /// What was wrong with the input, ordered by file and position.
    pub problems: Vec<Problem>,
}

impl Estate {
    /// The organisation that lists this account, if one was read that does.
    pub fn organisation_of(&self, account: AccountId) -> Option<&Organisation> {
        self.organisations.values().find(|organisation| organisation.members.contains_key(&account))
    }

    /// The key with this ARN.
    pub fn key(&self, arn: &str) -> Option<&Key> {
        let account = Arn::parse(arn)?.account()?;
        self.accounts.get(&account)?.keys.get(arn)
    }

    /// The managed policy with this ARN as this account sees it. A policy of AWS's own that the account's answers
    /// lack is taken from another account: they are the same everywhere.
    pub fn managed_policy(&self, account: AccountId, arn: &str) -> Option<&ManagedPolicy> {
        if let Some(policy) = self.accounts.get(&account).and_then(|account| account.policies.get(arn)) {
            return Some(policy);
        }
        if !ManagedPolicy::is_arn_of_aws(arn) {
            return None;
        }
        self.accounts.values().find_map(|account| account.policies.get(arn))
    }

    /// The number of users and roles in all accounts.
    pub fn principal_count(&self) -> usize {
        self.accounts.values().map(|account| account.users.len() + account.roles.len()).sum()
    }
}
