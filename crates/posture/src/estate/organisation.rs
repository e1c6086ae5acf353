//! Organisations: the tree, the policies on it, and who administers what.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{AccountId, PolicyText};

/// An organisation.
#[derive(Clone, Debug, Default)]
pub struct Organisation {
    /// `o-…`.
    pub id: Arc<str>,
    /// The management account; `None` if nothing that was read names it.
    pub management: Option<AccountId>,
    /// `ALL` or `CONSOLIDATED_BILLING`; with the latter there are no service control policies.
    pub feature_set: Option<Arc<str>>,
    /// Roots and OUs by id (`r-…`, `ou-…`).
    pub nodes: BTreeMap<Arc<str>, Node>,
    /// Accounts.
    pub members: BTreeMap<AccountId, Member>,
    /// Policies of the organisation by id (`p-…`).
    pub policies: BTreeMap<Arc<str>, OrgPolicy>,
    /// Delegated administrators; `None` if they were not collected.
    pub delegations: Option<Vec<Delegation>>,
    /// The resource policy of the organisation, which lets others manage its policies; `None` if it was not
    /// collected, `Some(None)` if there is none.
    pub resource_policy: Option<Option<PolicyText>>,
    /// Services that are trusted with the organisation; `None` if they were not collected.
    pub trusted_services: Option<Vec<Arc<str>>>,
}

impl Organisation {
    /// The nodes above an account, from its own OU up to the root. Ends early where a parent is not known: the last
    /// node is then no root.
    pub fn ancestors(&self, account: AccountId) -> Vec<&Node> {
        let mut above = Vec::new();
        let mut next = self.members.get(&account).and_then(|member| member.parent.clone());
        // A tree that contradicts itself may hold a circle.
        while let Some(node) = next.and_then(|id| self.nodes.get(&id)) {
            if above.len() > self.nodes.len() {
                break;
            }
            above.push(node);
            next = node.parent.clone();
        }
        above
    }

    /// Whether the place of an account is known up to a root.
    pub fn place_is_known(&self, account: AccountId) -> bool {
        self.ancestors(account).last().is_some_and(|node| node.kind == NodeKind::Root)
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// The root of the organisation.
    Root,
    /// An organisational unit.
    Unit,
}

/// A root or an organisational unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `r-…` or `ou-…`.
    pub id: Arc<str>,
    /// Root or unit.
    pub kind: NodeKind,
    /// Name, where it was told.
    pub name: Option<Arc<str>>,
    /// ARN, where it was told.
    pub arn: Option<Arc<str>>,
    /// The node above; `None` for a root, and where it is not known.
    pub parent: Option<Arc<str>>,
    /// Ids of the service control policies on this node; `None` if they were not collected.
    pub scps: Option<Vec<Arc<str>>>,
    /// Ids of the resource control policies on this node; `None` if they were not collected.
    pub rcps: Option<Vec<Arc<str>>>,
    /// Types of policies and whether they are switched on; roots only.
    pub policy_types: Vec<PolicyTypeState>,
}

/// Whether a type of policy is switched on at a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTypeState {
    /// The type.
    pub kind: OrgPolicyKind,
    /// `ENABLED`, `PENDING_ENABLE` or `PENDING_DISABLE`.
    pub status: Arc<str>,
}

/// An account as the organisation lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Number.
    pub id: AccountId,
    /// Name.
    pub name: Option<Arc<str>>,
    /// E-mail address of its root user.
    pub email: Option<Arc<str>>,
    /// State.
    pub state: MemberState,
    /// `INVITED` or `CREATED`. An account that was created in the organisation has OrganizationAccountAccessRole
    /// unless somebody took it away.
    pub joined: Option<Arc<str>>,
    /// The node above; `None` if it is not known.
    pub parent: Option<Arc<str>>,
    /// Ids of the service control policies on the account itself; `None` if they were not collected.
    pub scps: Option<Vec<Arc<str>>>,
    /// Ids of the resource control policies on the account itself; `None` if they were not collected.
    pub rcps: Option<Vec<Arc<str>>>,
}

/// The state of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
    /// In use.
    Active,
    /// Suspended: by AWS, or closed and still in the organisation.
    Suspended,
    /// Being closed.
    PendingClosure,
    /// Closed.
    Closed,
    /// Not told.
    Unknown,
}

/// The kinds of policies of an organisation that are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrgPolicyKind {
    /// Binds the principals of accounts.
    Scp,
    /// Binds the resources of accounts.
    Rcp,
    /// Another kind: its type as AWS names it.
    Other(Arc<str>),
}

/// A policy of an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgPolicy {
    /// `p-…`.
    pub id: Arc<str>,
    /// Kind.
    pub kind: OrgPolicyKind,
    /// Name.
    pub name: Option<Arc<str>>,
    /// ARN.
    pub arn: Option<Arc<str>>,
    /// Whether AWS manages it.
    pub aws_managed: bool,
    /// The document; `None` if it was not collected.
    pub document: Option<PolicyText>,
}

/// A member that administers a service for the organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The account.
    pub account: AccountId,
    /// Its services, as service principals; `None` if they were not collected.
    pub services: Option<Vec<Arc<str>>>,
}
