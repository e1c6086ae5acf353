//! What was collected, so that "none there" is told from "not asked".

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::AccountId;

/// The kinds of things that are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Users of IAM.
    Users,
    /// Groups of IAM.
    Groups,
    /// Roles of IAM.
    Roles,
    /// Managed policies in use.
    ManagedPolicies,
    /// Instance profiles.
    InstanceProfiles,
    /// OIDC providers.
    OidcProviders,
    /// SAML providers.
    SamlProviders,
    /// The root user.
    Root,
    /// Regions open to the account.
    Regions,
    /// Which keys there are.
    Keys,
    /// State, origin and so on of each key.
    KeyDescriptions,
    /// Policies of each key.
    KeyPolicies,
    /// Grants of each key.
    Grants,
    /// Tags of each key.
    KeyTags,
    /// Rotation of each key.
    KeyRotation,
    /// Aliases.
    Aliases,
    /// Which buckets there are.
    Buckets,
    /// Policy of each bucket.
    BucketPolicies,
    /// Object Lock of each bucket.
    ObjectLocks,
    /// Versioning of each bucket.
    BucketVersioning,
    /// Which backup vaults there are, and their locks.
    Vaults,
    /// Access policy of each backup vault.
    VaultPolicies,
    /// Recovery points of each backup vault.
    RecoveryPoints,
    /// Lambda functions.
    Functions,
    /// EC2 instances.
    Instances,
    /// ECS task definitions.
    TaskDefinitions,
    /// CodeBuild projects.
    BuildProjects,
    /// Glue jobs.
    GlueJobs,
    /// Glue development endpoints.
    GlueDevEndpoints,
    /// SageMaker notebook instances.
    Notebooks,
    /// App Runner services.
    AppRunnerServices,
    /// CloudFormation stacks.
    Stacks,
    /// CloudFormation stack sets.
    StackSets,
    /// CloudTrail trails.
    Trails,
    /// What each trail records.
    Selectors,
    /// Whether each trail records.
    TrailStatus,
    /// Resource shares.
    Shares,
    /// What and whom each share ties.
    ShareAssociations,
    /// The organisation itself: its management account.
    Organisation,
    /// Its roots and units, and where each account is.
    Tree,
    /// Its accounts.
    Members,
    /// Service control policies at every level, with their documents.
    Scps,
    /// Resource control policies at every level, with their documents.
    Rcps,
    /// Delegated administrators and their services.
    Delegations,
    /// The resource policy of the organisation.
    OrganisationPolicy,
    /// Instances of IAM Identity Center.
    SsoInstances,
    /// Permission sets with their policies.
    PermissionSets,
    /// Assignments of permission sets.
    Assignments,
    /// Users, groups and memberships of the directory.
    Directory,
}

/// What a kind is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Once for an account.
    Account,
    /// For each region of an account.
    Region,
    /// Once for an organisation.
    Organisation,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 49] = [
        Self::Users,
        Self::Groups,
        Self::Roles,
        Self::ManagedPolicies,
        Self::InstanceProfiles,
        Self::OidcProviders,
        Self::SamlProviders,
        Self::Root,
        Self::Regions,
        Self::Keys,
        Self::KeyDescriptions,
        Self::KeyPolicies,
        Self::Grants,
        Self::KeyTags,
        Self::KeyRotation,
        Self::Aliases,
        Self::Buckets,
        Self::BucketPolicies,
        Self::ObjectLocks,
        Self::BucketVersioning,
        Self::Vaults,
        Self::VaultPolicies,
        Self::RecoveryPoints,
        Self::Functions,
        Self::Instances,
        Self::TaskDefinitions,
        Self::BuildProjects,
        Self::GlueJobs,
        Self::GlueDevEndpoints,
        Self::Notebooks,
        Self::AppRunnerServices,
        Self::Stacks,
        Self::StackSets,
        Self::Trails,
        Self::Selectors,
        Self::TrailStatus,
        Self::Shares,
        Self::ShareAssociations,
        Self::Organisation,
        Self::Tree,
        Self::Members,
        Self::Scps,
        Self::Rcps,
        Self::Delegations,
        Self::OrganisationPolicy,
        Self::SsoInstances,
        Self::PermissionSets,
        Self::Assignments,
        Self::Directory,
    ];

    /// What it is asked of.
    pub fn reach(self) -> Reach {
        match self {
            Self::Users
            | Self::Groups
            | Self::Roles
            | Self::ManagedPolicies
            | Self::InstanceProfiles
            | Self::OidcProviders
            | Self::SamlProviders
            | Self::Root
            | Self::Regions
            | Self::Buckets
            | Self::BucketPolicies
            | Self::ObjectLocks
            | Self::BucketVersioning => Reach::Account,
            Self::Organisation
            | Self::Tree
            | Self::Members
            | Self::Scps
            | Self::Rcps
            | Self::Delegations
            | Self::OrganisationPolicy
            | Self::SsoInstances
            | Self::PermissionSets
            | Self::Assignments
            | Self::Directory => Reach::Organisation,
            _ => Reach::Region,
        }
    }

    /// The call of the AWS CLI that collects it.
    pub fn call(self) -> &'static str {
        match self {
            Self::Users | Self::Groups | Self::Roles | Self::ManagedPolicies => {
                "iam get-account-authorization-details"
            }
            Self::InstanceProfiles => "iam list-instance-profiles",
            Self::OidcProviders => "iam list-open-id-connect-providers, get-open-id-connect-provider",
            Self::SamlProviders => "iam list-saml-providers",
            Self::Root => "iam get-account-summary",
            Self::Regions => "ec2 describe-regions",
            Self::Keys => "kms list-keys",
            Self::KeyDescriptions => "kms describe-key",
            Self::KeyPolicies => "kms list-key-policies, get-key-policy",
            Self::Grants => "kms list-grants",
            Self::KeyTags => "kms list-resource-tags",
            Self::KeyRotation => "kms get-key-rotation-status",
            Self::Aliases => "kms list-aliases",
            Self::Buckets => "s3api list-buckets",
            Self::BucketPolicies => "s3api get-bucket-policy",
            Self::ObjectLocks => "s3api get-object-lock-configuration",
            Self::BucketVersioning => "s3api get-bucket-versioning",
            Self::Vaults => "backup list-backup-vaults",
            Self::VaultPolicies => "backup get-backup-vault-access-policy",
            Self::RecoveryPoints => "backup list-recovery-points-by-backup-vault",
            Self::Functions => "lambda list-functions",
            Self::Instances => "ec2 describe-instances",
            Self::TaskDefinitions => "ecs list-task-definitions, describe-task-definition",
            Self::BuildProjects => "codebuild list-projects, batch-get-projects",
            Self::GlueJobs => "glue get-jobs",
            Self::GlueDevEndpoints => "glue get-dev-endpoints",
            Self::Notebooks => "sagemaker list-notebook-instances, describe-notebook-instance",
            Self::AppRunnerServices => "apprunner list-services, describe-service",
            Self::Stacks => "cloudformation describe-stacks",
            Self::StackSets => "cloudformation list-stack-sets, describe-stack-set",
            Self::Trails => "cloudtrail describe-trails",
            Self::Selectors => "cloudtrail get-event-selectors",
            Self::TrailStatus => "cloudtrail get-trail-status",
            Self::Shares => "ram get-resource-shares",
            Self::ShareAssociations => "ram get-resource-share-associations",
            Self::Organisation => "organizations describe-organization",
            Self::Tree => {
                "organizations list-roots, list-organizational-units-for-parent, list-accounts-for-parent"
            }
            Self::Members => "organizations list-accounts",
            Self::Scps | Self::Rcps => "organizations list-policies-for-target, describe-policy",
            Self::Delegations => {
                "organizations list-delegated-administrators, list-delegated-services-for-account"
            }
            Self::OrganisationPolicy => "organizations describe-resource-policy",
            Self::SsoInstances => "sso-admin list-instances",
            Self::PermissionSets => "sso-admin list-permission-sets, describe-permission-set",
            Self::Assignments => "sso-admin list-account-assignments",
            Self::Directory => "identitystore list-groups, list-users, list-group-memberships",
        }
    }
}

/// How much of a kind was collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extent {
    /// Nothing.
    #[default]
    Absent,
    /// Something, but not all; see the gaps.
    Partial,
    /// All there is.
    Whole,
}

/// What a gap is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// An account.
    Account(AccountId),
    /// An organisation, by id.
    Organisation(Arc<str>),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => write!(f, "account {account}"),
            Self::Organisation(id) => write!(f, "organisation {id}"),
        }
    }
}

/// Something that was not collected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// Whose; `None` if not even that is known: a file that could not be read may be about anything.
    pub scope: Option<Scope>,
    /// What kind; `None` if that is not known.
    pub kind: Option<Kind>,
    /// In which region, if in one.
    pub region: Option<Arc<str>>,
    /// Of which key, bucket, vault or target, if of one.
    pub resource: Option<Arc<str>>,
    /// Why.
    pub why: Box<str>,
}

/// What was collected of each account and organisation, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub(crate) extents: BTreeMap<(Scope, Kind), Extent>,
    pub(crate) gaps: Vec<Gap>,
}

impl Coverage {
    /// How much of a kind is known of an account or organisation. Whole only if nothing of it is missing, in any
    /// region, and no file is unread that might belong to it.
    pub fn extent(&self, scope: &Scope, kind: Kind) -> Extent {
        self.extents.get(&(scope.clone(), kind)).copied().unwrap_or_default()
    }

    /// Everything that is missing, ordered.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// What is missing of a kind, including what may be.
    pub fn gaps_of(&self, scope: &Scope, kind: Kind) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(move |gap| {
            gap.scope.as_ref().is_none_or(|of| of == scope) && gap.kind.is_none_or(|of| of == kind)
        })
    }

    /// Every scope and kind of which something is known, with its extent.
    pub fn extents(&self) -> impl Iterator<Item = (&Scope, Kind, Extent)> {
        self.extents.iter().map(|((scope, kind), extent)| (scope, *kind, *extent))
    }
}
