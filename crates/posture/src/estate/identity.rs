//! Users, groups, roles, managed policies and identity providers of IAM.

use std::sync::Arc;

use super::PolicyText;

/// Tags as AWS lists them.
pub type Tags = Vec<(Arc<str>, Arc<str>)>;

/// An inline policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPolicy {
    /// Its name.
    pub name: Arc<str>,
    /// The document.
    pub document: PolicyText,
}

/// An IAM user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// ARN, with its path.
    pub arn: Arc<str>,
    /// Name without path.
    pub name: Arc<str>,
    /// Path, `/` if it has none.
    pub path: Arc<str>,
    /// Unique id, `AIDA…`.
    pub id: Arc<str>,
    /// Names of its groups.
    pub groups: Vec<Arc<str>>,
    /// Inline policies.
    pub inline: Vec<NamedPolicy>,
    /// ARNs of managed policies.
    pub attached: Vec<Arc<str>>,
    /// ARN of its permissions boundary, if it has one.
    pub boundary: Option<Arc<str>>,
    /// Tags.
    pub tags: Tags,
    /// When it was made, as AWS wrote it.
    pub created: Option<Arc<str>>,
}

/// An IAM group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// ARN, with its path.
    pub arn: Arc<str>,
    /// Name without path.
    pub name: Arc<str>,
    /// Path, `/` if it has none.
    pub path: Arc<str>,
    /// Unique id, `AGPA…`.
    pub id: Arc<str>,
    /// Inline policies.
    pub inline: Vec<NamedPolicy>,
    /// ARNs of managed policies.
    pub attached: Vec<Arc<str>>,
}

/// An IAM role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// ARN, with its path.
    pub arn: Arc<str>,
    /// Name without path.
    pub name: Arc<str>,
    /// Path, `/` if it has none.
    pub path: Arc<str>,
    /// Unique id, `AROA…`.
    pub id: Arc<str>,
    /// Who may assume it.
    pub trust: PolicyText,
    /// Inline policies.
    pub inline: Vec<NamedPolicy>,
    /// ARNs of managed policies.
    pub attached: Vec<Arc<str>>,
    /// ARN of its permissions boundary, if it has one.
    pub boundary: Option<Arc<str>>,
    /// Tags.
    pub tags: Tags,
    /// When it was made, as AWS wrote it.
    pub created: Option<Arc<str>>,
    /// When it was last used, as AWS wrote it; absent if never in the tracking period.
    pub last_used: Option<Arc<str>>,
}

impl Role {
    /// Whether this is a service-linked role, which service control policies do not bind (Organizations User Guide,
    /// "Service control policies": tasks and entities not restricted by SCPs).
    pub fn is_service_linked(&self) -> bool {
        self.path.starts_with("/aws-service-role/")
    }

    /// Whether IAM Identity Center made this role for a permission set.
    pub fn is_of_sso(&self) -> bool {
        self.path.starts_with("/aws-reserved/sso.amazonaws.com/")
    }
}

/// One version of a managed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// `v1`…
    pub id: Arc<str>,
    /// The document.
    pub document: PolicyText,
}

/// A managed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedPolicy {
    /// ARN, with its path.
    pub arn: Arc<str>,
    /// Name without path.
    pub name: Arc<str>,
    /// Path, `/` if it has none.
    pub path: Arc<str>,
    /// Unique id, `ANPA…`, where AWS told it.
    pub id: Option<Arc<str>>,
    /// Id of the version in force.
    pub default_version: Arc<str>,
    /// Versions: who may set the default version may choose any of these.
    pub versions: Vec<PolicyVersion>,
}

impl ManagedPolicy {
    /// Whether the ARN is of a policy that AWS manages: `arn:aws:iam::aws:policy/…`.
    pub fn is_arn_of_aws(arn: &str) -> bool {
        super::Arn::parse(arn).is_some_and(|arn| arn.owner == "aws")
    }

    /// The document in force; `None` if its version was not among those read.
    pub fn document(&self) -> Option<&PolicyText> {
        self.versions
            .iter()
            .find(|version| version.id == self.default_version)
            .map(|version| &version.document)
    }
}

/// The kinds of identity providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderKind {
    /// OpenID Connect.
    Oidc,
    /// SAML 2.0.
    Saml,
}

/// An identity provider that roles may trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// ARN.
    pub arn: Arc<str>,
    /// OIDC or SAML.
    pub kind: ProviderKind,
    /// The issuer without its scheme, as in condition keys; OIDC only.
    pub url: Option<Arc<str>>,
    /// Audiences; OIDC only; `None` if they were not collected.
    pub audiences: Option<Vec<Arc<str>>>,
    /// When its metadata ends, as AWS wrote it; SAML only.
    pub valid_until: Option<Arc<str>>,
    /// Tags; `None` if they were not collected.
    pub tags: Option<Tags>,
}
