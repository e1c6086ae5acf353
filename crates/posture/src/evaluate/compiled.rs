//! The estate with its policies compiled.

use std::collections::HashMap;
use std::sync::Arc;

use crate::conditions::{Missing, Reason};
use crate::estate::{
    AccountId, ComputeKind, Estate, Key, Kind, NamedPolicy, OrgPolicyKind, Organisation, PolicyText, Role,
    Scope, User,
};
use crate::policy::{Library, Policy};

/// A compiled policy where it hangs.
#[derive(Clone, Debug)]
pub(super) struct Hung<'e> {
    pub(super) name: Arc<str>,
    pub(super) policy: Arc<Policy>,
    pub(super) text: &'e PolicyText,
}

/// A policy, or that it is not known.
#[derive(Clone, Debug)]
pub(super) enum Part<'e> {
    Policy(Hung<'e>),
    Missing(Arc<Missing>),
}

/// A user or role.
#[derive(Debug)]
pub(super) struct Identity<'e> {
    pub(super) user: Option<&'e User>,
    pub(super) role: Option<&'e Role>,
    pub(super) policies: Vec<Part<'e>>,
    pub(super) boundary: Option<Part<'e>>,
}

/// Policies of an organisation over one account.
#[derive(Debug, Default)]
pub(super) struct Over<'e> {
    /// Levels, the root first; each with its policies.
    pub(super) levels: Vec<Vec<Part<'e>>>,
}

#[derive(Debug)]
pub(super) struct Compiled<'e> {
    pub(super) identities: HashMap<&'e str, Identity<'e>>,
    pub(super) scps: HashMap<AccountId, Over<'e>>,
    pub(super) rcps: HashMap<AccountId, Over<'e>>,
    pub(super) resources: HashMap<&'e str, Vec<Part<'e>>>,
    /// The vault of each recovery point.
    pub(super) points: HashMap<&'e str, &'e str>,
    pub(super) library: Library,
}

pub(super) fn not_collected(kind: Kind, scope: Scope, what: impl Into<Arc<str>>) -> Missing {
    Missing { reason: Reason::NotCollected, kind: Some(kind), scope: Some(scope), what: what.into() }
}

impl<'e> Compiled<'e> {
    /// With the identities of these accounts, or of all.
    pub(super) fn new(estate: &'e Estate, only: Option<&[AccountId]>) -> Self {
        let mut compiled = Self {
            identities: HashMap::new(),
            scps: HashMap::new(),
            rcps: HashMap::new(),
            resources: HashMap::new(),
            points: HashMap::new(),
            library: Library::default(),
        };
        for (id, account) in &estate.accounts {
            let with_identities = only.is_none_or(|only| only.contains(id));
            for user in account.users.values().filter(|_| with_identities) {
                let mut policies = compiled.inline(&user.inline);
                policies.extend(user.attached.iter().map(|arn| compiled.managed(estate, *id, arn)));
                for name in &user.groups {
                    match account.groups.get(name) {
                        Some(group) => {
                            policies.extend(compiled.inline(&group.inline));
                            policies
                                .extend(group.attached.iter().map(|arn| compiled.managed(estate, *id, arn)));
                        }
                        None => {
                            let what = format!("the group {name}");
                            let missing = not_collected(Kind::Groups, Scope::Account(*id), what);
                            policies.push(Part::Missing(Arc::new(missing)));
                        }
                    }
                }
                let boundary = user.boundary.as_ref().map(|arn| compiled.managed(estate, *id, arn));
                let identity = Identity { user: Some(user), role: None, policies, boundary };
                compiled.identities.insert(&user.arn, identity);
            }
            for role in account.roles.values().filter(|_| with_identities) {
                let mut policies = compiled.inline(&role.inline);
                policies.extend(role.attached.iter().map(|arn| compiled.managed(estate, *id, arn)));
                let boundary = role.boundary.as_ref().map(|arn| compiled.managed(estate, *id, arn));
                let identity = Identity { user: None, role: Some(role), policies, boundary };
                compiled.identities.insert(&role.arn, identity);
                let trust = compiled.hang("trust policy", &role.trust);
                compiled.resources.insert(&role.arn, vec![Part::Policy(trust)]);
            }
            for (arn, key) in &account.keys {
                let parts = compiled.key_policies(key);
                compiled.resources.insert(arn, parts);
            }
            for (name, bucket) in &account.buckets {
                let part = compiled.optional(
                    Scope::Account(*id),
                    Kind::BucketPolicies,
                    name,
                    bucket.policy.as_ref(),
                );
                compiled.resources.insert(name, part);
            }
            for (arn, vault) in &account.vaults {
                let part =
                    compiled.optional(Scope::Account(*id), Kind::VaultPolicies, arn, vault.policy.as_ref());
                compiled.resources.insert(arn, part);
                let points = vault.recovery_points.iter().flatten();
                compiled.points.extend(points.map(|point| (&*point.arn, &**arn)));
            }
            let functions =
                account.compute.iter().filter(|(_, compute)| compute.kind == ComputeKind::LambdaFunction);
            for (arn, function) in functions {
                let policy = function.policy.as_ref();
                let part = match policy {
                    Some(text) => Part::Policy(compiled.hang("resource policy", text)),
                    None => {
                        let what = format!("the policy of {arn}");
                        Part::Missing(Arc::new(not_collected(Kind::Functions, Scope::Account(*id), what)))
                    }
                };
                compiled.resources.insert(arn, vec![part]);
            }
        }
        for organisation in estate.organisations.values() {
            let scope = Scope::Organisation(Arc::clone(&organisation.id));
            let policy = organisation.resource_policy.as_ref();
            let part = compiled.optional(scope, Kind::OrganisationPolicy, &organisation.id, policy);
            compiled.resources.insert(&organisation.id, part);
            for account in organisation.members.keys() {
                let scps = compiled.over(estate, organisation, *account, &OrgPolicyKind::Scp);
                compiled.scps.insert(*account, scps);
                let rcps = compiled.over(estate, organisation, *account, &OrgPolicyKind::Rcp);
                compiled.rcps.insert(*account, rcps);
            }
        }
        compiled
    }

    fn hang(&mut self, name: &str, text: &'e PolicyText) -> Hung<'e> {
        Hung { name: name.into(), policy: self.library.compile(text), text }
    }

    fn inline(&mut self, policies: &'e [NamedPolicy]) -> Vec<Part<'e>> {
        policies.iter().map(|policy| Part::Policy(self.hang(&policy.name, &policy.document))).collect()
    }

    fn managed(&mut self, estate: &'e Estate, account: AccountId, arn: &'e Arc<str>) -> Part<'e> {
        match estate.managed_policy(account, arn).and_then(|policy| policy.document()) {
            Some(text) => {
                Part::Policy(Hung { name: Arc::clone(arn), policy: self.library.compile(text), text })
            }
            None => {
                let what = format!("the document of {arn}");
                Part::Missing(Arc::new(not_collected(Kind::ManagedPolicies, Scope::Account(account), what)))
            }
        }
    }

    fn optional(
        &mut self,
        scope: Scope,
        kind: Kind,
        name: &str,
        policy: Option<&'e Option<PolicyText>>,
    ) -> Vec<Part<'e>> {
        match policy {
            Some(Some(text)) => vec![Part::Policy(self.hang("resource policy", text))],
            Some(None) => Vec::new(),
            None => {
                let what = format!("the policy of {name}");
                vec![Part::Missing(Arc::new(not_collected(kind, scope, what)))]
            }
        }
    }

    /// The policies of a key: `default`, and `AWS_RAM` where it is shared.
    fn key_policies(&mut self, key: &'e Key) -> Vec<Part<'e>> {
        let mut parts: Vec<Part<'e>> =
            key.policies.iter().map(|(name, text)| Part::Policy(self.hang(name, text))).collect();
        let mut miss = |what: String| {
            let missing = not_collected(Kind::KeyPolicies, Scope::Account(key.account), what);
            parts.push(Part::Missing(Arc::new(missing)));
        };
        if !key.policies.contains_key("default") {
            miss(format!("the policy of {}", key.arn));
        }
        match &key.policy_names {
            Some(names) => {
                for name in names.iter().filter(|name| !key.policies.contains_key(*name)) {
                    miss(format!("the policy {name} of {}", key.arn));
                }
            }
            None => miss(format!("whether {} has a policy beside `default`", key.arn)),
        }
        parts
    }

    /// Policies of an organisation at every level from the root to the account.
    fn over(
        &mut self,
        estate: &'e Estate,
        organisation: &'e Organisation,
        account: AccountId,
        kind: &OrgPolicyKind,
    ) -> Over<'e> {
        let mut over = Over::default();
        // https://docs.aws.amazon.com/organizations/latest/userguide/orgs_getting-started_concepts.html: without all
        // features there are no such policies.
        if organisation.feature_set.as_deref() == Some("CONSOLIDATED_BILLING") {
            return over;
        }
        let (kind_of, word) = match kind {
            OrgPolicyKind::Rcp => (Kind::Rcps, "resource control policies"),
            _ => (Kind::Scps, "service control policies"),
        };
        let scope = Scope::Organisation(Arc::clone(&organisation.id));
        let miss = |kind, what: String| Part::Missing(Arc::new(not_collected(kind, scope.clone(), what)));
        let ancestors = organisation.ancestors(account);
        let root = ancestors.last().filter(|node| node.kind == crate::estate::NodeKind::Root);
        match root {
            None => over.levels.push(vec![miss(Kind::Tree, format!("where {account} is in the tree"))]),
            Some(root) => {
                let state = root.policy_types.iter().find(|state| state.kind == *kind);
                let attached = ancestors.iter().any(|node| {
                    let ids = if kind_of == Kind::Rcps { &node.rcps } else { &node.scps };
                    ids.as_ref().is_some_and(|ids| !ids.is_empty())
                });
                // `list-roots` names the types that are on. Where it names none and nothing is attached, none is.
                if state.is_none()
                    && !attached
                    && estate.coverage.extent(&scope, kind_of) == crate::estate::Extent::Whole
                {
                    return over;
                }
                if state.is_some_and(|state| &*state.status == "PENDING_DISABLE") {
                    over.levels.push(vec![miss(kind_of, format!("whether {word} are in force"))]);
                }
            }
        }
        let member = organisation.members.get(&account);
        let own = member.map(|member| (account.to_string(), member.scps.as_ref(), member.rcps.as_ref()));
        let nodes = ancestors.iter().rev();
        let levels =
            nodes.map(|node| (node.id.to_string(), node.scps.as_ref(), node.rcps.as_ref())).chain(own);
        for (name, scps, rcps) in levels {
            let ids = if kind_of == Kind::Rcps { rcps } else { scps };
            let mut level = Vec::new();
            match ids {
                None => level.push(miss(kind_of, format!("the {word} on {name}"))),
                // At least one hangs on each level while the type is on.
                Some(ids) if ids.is_empty() && kind_of == Kind::Scps => {
                    level.push(miss(kind_of, format!("any {word} on {name}")));
                }
                Some(ids) => {
                    for id in ids {
                        let policy = organisation.policies.get(id);
                        match policy.and_then(|policy| policy.document.as_ref()) {
                            Some(text) => {
                                level.push(Part::Policy(self.hang(&format!("{id} on {name}"), text)))
                            }
                            // https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html:
                            // it allows everything.
                            None if &**id == "p-RCPFullAWSAccess" => {}
                            None => level.push(miss(kind_of, format!("the document of {id}"))),
                        }
                    }
                }
            }
            over.levels.push(level);
        }
        over
    }
}
