//! IAM Identity Center: permission sets, assignments, and the directory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{AccountId, PolicyText};

/// An instance of IAM Identity Center.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SsoInstance {
    /// ARN, `arn:aws:sso:::instance/ssoins-…`.
    pub arn: Arc<str>,
    /// Its identity store, `d-…`.
    pub identity_store: Option<Arc<str>>,
    /// The account that owns it, where it was told.
    pub owner: Option<AccountId>,
    /// Permission sets by ARN.
    pub permission_sets: BTreeMap<Arc<str>, PermissionSet>,
    /// Assignments; see the coverage of [`Kind::Assignments`](super::Kind::Assignments).
    pub assignments: Vec<Assignment>,
    /// Groups of the directory by id.
    pub groups: BTreeMap<Arc<str>, DirectoryGroup>,
    /// Users of the directory by id.
    pub users: BTreeMap<Arc<str>, DirectoryUser>,
}

/// A permission set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionSet {
    /// ARN.
    pub arn: Arc<str>,
    /// Name; `None` if it was not described.
    pub name: Option<Arc<str>>,
    /// ARNs of managed policies of AWS; `None` if they were not collected.
    pub managed: Option<Vec<Arc<str>>>,
    /// Names, with paths, of managed policies that are looked up in each account; `None` if not collected.
    pub customer_managed: Option<Vec<Arc<str>>>,
    /// Its inline policy; `None` if it was not collected, `Some(None)` if it has none.
    pub inline: Option<Option<PolicyText>>,
    /// Its permissions boundary; `None` if it was not collected, `Some(None)` if it has none.
    pub boundary: Option<Option<SetBoundary>>,
    /// Accounts in which it is provisioned; `None` if they were not collected.
    pub provisioned: Option<Vec<AccountId>>,
}

/// The permissions boundary of a permission set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetBoundary {
    /// A policy of AWS, by ARN.
    Aws(Arc<str>),
    /// A policy looked up in each account, by path and name.
    Customer(Arc<str>),
}

/// Who an assignment is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A group of the directory, by id.
    Group(Arc<str>),
    /// A user of the directory, by id.
    User(Arc<str>),
}

/// A permission set for somebody in an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Assignment {
    /// The account.
    pub account: AccountId,
    /// ARN of the permission set.
    pub permission_set: Arc<str>,
    /// Who.
    pub holder: Holder,
}

/// A group of the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryGroup {
    /// Its name, where it was told.
    pub name: Option<Arc<str>>,
    /// Ids of its members; `None` if they were not collected.
    pub members: Option<Vec<Arc<str>>>,
}

/// A user of the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryUser {
    /// Its name, where it was told.
    pub name: Option<Arc<str>>,
}
