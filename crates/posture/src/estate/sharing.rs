//! AWS Resource Access Manager.

use std::sync::Arc;

use super::AccountId;

/// A share of resources with other accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceShare {
    /// ARN.
    pub arn: Arc<str>,
    /// Name.
    pub name: Option<Arc<str>>,
    /// The account that owns it.
    pub owner: Option<AccountId>,
    /// Whether accounts outside the organisation may be given it.
    pub allows_external: Option<bool>,
    /// `ACTIVE`…
    pub status: Option<Arc<str>>,
    /// What is shared, and with whom; see the coverage of
    /// [`Kind::ShareAssociations`](super::Kind::ShareAssociations).
    pub associations: Vec<Association>,
}

/// What an association ties to a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssociationKind {
    /// An account, an organisation, an OU, a role or a user that is given the resources.
    Principal,
    /// A resource.
    Resource,
}

/// A resource or principal of a share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Association {
    /// Resource or principal.
    pub kind: AssociationKind,
    /// ARN, or account number.
    pub entity: Arc<str>,
    /// `ASSOCIATED`…, where it was told.
    pub status: Option<Arc<str>>,
    /// Whether the principal is outside the organisation, where it was told.
    pub external: Option<bool>,
}
