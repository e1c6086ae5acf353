//! What one document says, before it is known what else was said.

use std::sync::Arc;

use crate::estate::{
    AccountId, Alias, Assignment, Association, BackupVault, Compute, Delegation, Grant, Group,
    InstanceProfile, Key, Kind, ManagedPolicy, Member, NamedPolicy, Node, ObjectLock, OrgPolicy, PolicyText,
    Problem, Provider, PublicAccessBlock, RecoveryPoint, ResourceShare, Role, Rotation, Selectors,
    SetBoundary, StackSet, Tags, Trail, TrailStatus, User, Versioning,
};

/// A piece of what was read. Where a field `account` or `region` is `None`, the place of the file has to tell.
#[derive(Debug)]
pub(crate) enum Record {
    /// A list of this kind was read. It is whole unless it is cut or says that it goes on: a last page is whole.
    Listed {
        kind: Kind,
        account: Option<AccountId>,
        region: Option<Arc<str>>,
        whole: bool,
    },
    Caller(AccountId),
    User(AccountId, User),
    Group(AccountId, Group),
    Role(AccountId, Role),
    ManagedPolicy(Option<AccountId>, ManagedPolicy),
    InstanceProfile(AccountId, InstanceProfile),
    Provider(AccountId, Provider),
    /// `iam get-open-id-connect-provider`, which does not name its account.
    OidcDetails {
        url: Arc<str>,
        audiences: Option<Vec<Arc<str>>>,
        tags: Option<Tags>,
    },
    RootSummary {
        access_keys: Option<bool>,
        mfa: Option<bool>,
        password: Option<bool>,
    },
    RootFeatures {
        organisation: Arc<str>,
        features: Vec<Arc<str>>,
    },
    Regions(Vec<Arc<str>>),

    KeyListed(Arc<str>),
    Key(Box<Key>),
    KeyPolicy {
        key: Option<Arc<str>>,
        name: Arc<str>,
        policy: PolicyText,
    },
    KeyPolicyNames {
        key: Option<Arc<str>>,
        names: Vec<Arc<str>>,
        whole: bool,
    },
    KeyTags {
        key: Option<Arc<str>>,
        tags: Tags,
        whole: bool,
    },
    KeyRotation {
        key: Option<Arc<str>>,
        rotation: Rotation,
    },
    /// Grants of one key; more than one key is more than one record.
    Grants {
        key: Option<Arc<str>>,
        grants: Vec<Grant>,
        whole: bool,
    },
    Alias {
        alias: Alias,
        target: Option<Arc<str>>,
    },

    Organisation {
        id: Arc<str>,
        management: Option<AccountId>,
        feature_set: Option<Arc<str>>,
    },
    Node {
        organisation: Option<Arc<str>>,
        node: Node,
    },
    Member {
        organisation: Arc<str>,
        member: Member,
    },
    /// `list-accounts` was read.
    MembersListed {
        organisation: Option<Arc<str>>,
        whole: bool,
    },
    /// `list-organizational-units-for-parent`, `list-accounts-for-parent`, `list-children` of a parent were read.
    Children {
        parent: Arc<str>,
        children: Vec<Arc<str>>,
    },
    OrgPolicy {
        organisation: Option<Arc<str>>,
        policy: OrgPolicy,
    },
    /// Policies on a target, of every type that is listed.
    OrgTarget {
        target: Option<Arc<str>>,
        policies: Vec<Arc<str>>,
        whole: bool,
    },
    OrgTargets {
        policy: Option<Arc<str>>,
        targets: Vec<Arc<str>>,
    },
    Delegations {
        organisation: Option<Arc<str>>,
        delegations: Vec<Delegation>,
        whole: bool,
    },
    DelegatedServices {
        account: Option<AccountId>,
        services: Vec<Arc<str>>,
    },
    OrgResourcePolicy(Option<PolicyText>),
    TrustedServices(Vec<Arc<str>>),

    Bucket {
        name: Arc<str>,
        region: Option<Arc<str>>,
    },
    BucketPolicy {
        bucket: Option<Arc<str>>,
        policy: Option<PolicyText>,
    },
    BucketVersioning {
        bucket: Option<Arc<str>>,
        versioning: Versioning,
    },
    BucketLock {
        bucket: Option<Arc<str>>,
        lock: Option<ObjectLock>,
    },
    BucketAccess {
        bucket: Option<Arc<str>>,
        block: Option<PublicAccessBlock>,
    },
    BucketKeys {
        bucket: Option<Arc<str>>,
        keys: Vec<Arc<str>>,
    },

    Vault(Box<BackupVault>),
    VaultPolicy {
        vault: Arc<str>,
        policy: Option<PolicyText>,
    },
    RecoveryPoints {
        vault: Option<Arc<str>>,
        points: Vec<RecoveryPoint>,
        whole: bool,
    },

    SsoInstance {
        arn: Arc<str>,
        store: Option<Arc<str>>,
        owner: Option<AccountId>,
    },
    PermissionSetListed(Arc<str>),
    PermissionSet {
        arn: Arc<str>,
        name: Option<Arc<str>>,
    },
    SetManaged {
        set: Option<Arc<str>>,
        policies: Vec<Arc<str>>,
        whole: bool,
    },
    SetCustomer {
        set: Option<Arc<str>>,
        policies: Vec<Arc<str>>,
        whole: bool,
    },
    SetInline {
        set: Option<Arc<str>>,
        policy: Option<PolicyText>,
    },
    SetBoundary {
        set: Option<Arc<str>>,
        boundary: Option<SetBoundary>,
    },
    SetAccounts {
        set: Option<Arc<str>>,
        accounts: Vec<AccountId>,
        whole: bool,
    },
    Assignments {
        assignments: Vec<Assignment>,
        whole: bool,
    },
    DirectoryGroup {
        store: Option<Arc<str>>,
        id: Arc<str>,
        name: Option<Arc<str>>,
    },
    DirectoryUser {
        store: Option<Arc<str>>,
        id: Arc<str>,
        name: Option<Arc<str>>,
    },
    Membership {
        store: Option<Arc<str>>,
        group: Arc<str>,
        user: Arc<str>,
    },
    MembershipsListed,

    Share(Box<ResourceShare>),
    ShareAssociation {
        share: Arc<str>,
        association: Association,
    },

    Compute {
        account: Option<AccountId>,
        compute: Box<Compute>,
    },
    FunctionPolicy {
        function: Arc<str>,
        policy: PolicyText,
    },
    StackSet(Box<StackSet>),

    Trail(Box<Trail>),
    Selectors {
        trail: Arc<str>,
        selectors: Selectors,
    },
    TrailStatus {
        trail: Option<Arc<str>>,
        status: TrailStatus,
    },

    /// One file of a resource of iam-collect.
    Piece {
        directory: Arc<str>,
        piece: Piece,
    },

    /// The collector asked, and was told that there is nothing, or was refused.
    Collected {
        call: Arc<str>,
        account: Option<AccountId>,
        region: Option<Arc<str>>,
        resource: Option<Arc<str>>,
        outcome: Outcome,
    },
}

/// What one file of iam-collect says of the resource in whose directory it lies.
#[derive(Debug)]
pub(crate) enum Piece {
    Metadata(Box<Metadata>),
    OrgPolicy { organisation: Arc<str>, policy: Box<OrgPolicy> },
    Policy(PolicyText),
    Inline(Vec<NamedPolicy>),
    Managed(Vec<Arc<str>>),
    Groups(Vec<Arc<str>>),
    Tags(Tags),
}

/// `metadata.json` of a resource.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) kind: Kind,
    pub(crate) arn: Arc<str>,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) id: Option<Arc<str>>,
    pub(crate) path: Option<Arc<str>>,
    pub(crate) boundary: Option<Arc<str>>,
    pub(crate) default_version: Option<Arc<str>>,
    pub(crate) created: Option<Arc<str>>,
    pub(crate) role: Option<Arc<str>>,
    pub(crate) key: Option<Arc<str>>,
    pub(crate) region: Option<Arc<str>>,
}

/// What became of a call that left no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is nothing: no bucket policy, no lock.
    Nothing,
    /// It failed, for this reason.
    Failed(Arc<str>),
}

/// A record and where it was read.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) line: u32,
    pub(crate) record: Record,
}

/// A problem, and what it may have cost.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) problem: Problem,
    /// The kind that was being read, if that is known.
    pub(crate) kind: Option<Kind>,
    pub(crate) account: Option<AccountId>,
}
