//! What is there and what is not, at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Assembly;
use super::resources::set_id;
use crate::estate::{
    Account, AccountId, Extent, Gap, Key, KeyManager, Kind, OrgPolicyKind, Organisation, Reach, Scope,
};

/// What is missing of one kind, being gathered.
struct Tally {
    scope: Scope,
    kind: Kind,
    /// How much of what it is about is known to exist.
    base: Extent,
    found: usize,
    missing: Vec<Gap>,
}

impl Tally {
    fn new(scope: Scope, kind: Kind, base: Extent) -> Self {
        Self { scope, kind, base, found: 0, missing: Vec::new() }
    }

    fn miss(&mut self, resource: Option<&Arc<str>>, region: Option<&Arc<str>>, why: impl Into<Box<str>>) {
        self.missing.push(Gap {
            scope: Some(self.scope.clone()),
            kind: Some(self.kind),
            region: region.cloned(),
            resource: resource.cloned(),
            why: why.into(),
        });
    }

    /// Counts something that is there or is not.
    fn count(&mut self, there: bool, resource: &Arc<str>, why: &str) {
        if there {
            self.found += 1;
        } else {
            self.miss(Some(resource), None, why);
        }
    }

    fn extent(&self) -> Extent {
        match self.base {
            Extent::Absent => Extent::Absent,
            base if self.missing.is_empty() => base,
            _ if self.found == 0 => Extent::Absent,
            _ => Extent::Partial,
        }
    }
}

impl Assembly {
    /// Works out the extent of every kind for every account and organisation.
    pub(super) fn finish_coverage(&mut self) {
        let mut extents = BTreeMap::new();
        let mut gaps = std::mem::take(&mut self.gaps);
        for account in self.known_accounts() {
            self.cover_account(account, &mut extents, &mut gaps);
        }
        for organisation in self.estate.organisations.values() {
            self.cover_organisation(organisation, &mut extents, &mut gaps);
        }
        // What a gap is about, or may be about, is not whole.
        let anywhere: BTreeSet<Option<Kind>> =
            gaps.iter().filter(|gap| gap.scope.is_none()).map(|gap| gap.kind).collect();
        let whole: BTreeSet<(Scope, Option<Kind>)> =
            gaps.iter().filter_map(|gap| Some((gap.scope.clone()?, gap.kind))).collect();
        for ((scope, kind), extent) in &mut extents {
            let some = Some(*kind);
            let touched = anywhere.contains(&None)
                || anywhere.contains(&some)
                || whole.contains(&(scope.clone(), None))
                || whole.contains(&(scope.clone(), some));
            if *extent == Extent::Whole && touched {
                *extent = Extent::Partial;
            }
        }
        gaps.sort();
        gaps.dedup();
        self.estate.coverage.extents = extents;
        self.estate.coverage.gaps = gaps;
    }

    fn cover_account(
        &self,
        id: AccountId,
        extents: &mut BTreeMap<(Scope, Kind), Extent>,
        gaps: &mut Vec<Gap>,
    ) {
        let Some(account) = self.estate.accounts.get(&id) else { return };
        let scope = Scope::Account(id);
        for kind in Kind::ALL.into_iter().filter(|kind| kind.reach() != Reach::Organisation) {
            let tally = match kind {
                Kind::KeyDescriptions
                | Kind::KeyPolicies
                | Kind::Grants
                | Kind::KeyTags
                | Kind::KeyRotation => {
                    let base = self.cover_list(id, account, Kind::Keys).extent();
                    self.cover_keys(Tally::new(scope.clone(), kind, base), account)
                }
                Kind::BucketPolicies | Kind::ObjectLocks | Kind::BucketVersioning => {
                    let base = self.cover_list(id, account, Kind::Buckets).extent();
                    cover_buckets(Tally::new(scope.clone(), kind, base), account)
                }
                Kind::VaultPolicies | Kind::RecoveryPoints => {
                    let base = self.cover_list(id, account, Kind::Vaults).extent();
                    self.cover_vaults(Tally::new(scope.clone(), kind, base), account)
                }
                Kind::Selectors | Kind::TrailStatus => {
                    let base = self.cover_list(id, account, Kind::Trails).extent();
                    cover_trails(Tally::new(scope.clone(), kind, base), account)
                }
                _ => self.cover_list(id, account, kind),
            };
            let extent = tally.extent();
            // Where all that is known was asked, what is missing is the list of what there is: a gap of its own.
            if extent == Extent::Absent && tally.missing.is_empty() && tally.found == 0 {
                let why = format!("`{}` was not collected", kind.call()).into();
                gaps.push(Gap {
                    scope: Some(scope.clone()),
                    kind: Some(kind),
                    region: None,
                    resource: None,
                    why,
                });
            }
            gaps.extend(tally.missing);
            extents.insert((scope.clone(), kind), extent);
        }
    }

    /// How much of a list is known.
    fn cover_list(&self, id: AccountId, account: &Account, kind: Kind) -> Tally {
        let scope = Scope::Account(id);
        // Roles are listed with their instance profiles.
        let lists = self.lists.get(&(id, kind)).or_else(|| {
            (kind == Kind::InstanceProfiles).then(|| self.lists.get(&(id, Kind::Roles))).flatten()
        });
        let Some(lists) = lists else { return Tally::new(scope, kind, Extent::Absent) };
        let mut tally = Tally::new(scope, kind, Extent::Whole);
        for (region, whole) in lists {
            if *whole {
                tally.found += 1;
            } else {
                let region = (!region.is_empty()).then_some(region);
                tally.found += 1;
                tally.miss(None, region, format!("the last page of `{}` is missing", kind.call()));
            }
        }
        if kind.reach() == Reach::Region {
            match &account.regions {
                Some(regions) => {
                    for region in regions.iter().filter(|region| !lists.contains_key(*region)) {
                        tally.miss(
                            None,
                            Some(region),
                            format!("`{}` was not collected in this region", kind.call()),
                        );
                    }
                }
                None => tally.miss(
                    None,
                    None,
                    "which regions are open to the account is not known (`ec2 describe-regions`)",
                ),
            }
        }
        if kind == Kind::OidcProviders {
            let unknown = account.providers.values().filter(|provider| {
                provider.kind == crate::estate::ProviderKind::Oidc && provider.audiences.is_none()
            });
            for provider in unknown {
                tally.miss(
                    Some(&provider.arn),
                    None,
                    "its audiences are not known (`iam get-open-id-connect-provider`)",
                );
            }
        }
        tally
    }

    fn cover_keys(&self, mut tally: Tally, account: &Account) -> Tally {
        for key in account.keys.values() {
            // Keys that AWS manages are changed by their service alone.
            if tally.kind != Kind::KeyDescriptions && key.manager == Some(KeyManager::Aws) {
                continue;
            }
            match tally.kind {
                Kind::KeyDescriptions => {
                    tally.count(key.state.is_some(), &key.arn, "the key was not described")
                }
                Kind::KeyPolicies => cover_key_policies(&mut tally, key),
                Kind::Grants => {
                    let whole = key.grants.is_some() && self.details.grants_whole.contains(&key.arn);
                    tally.count(whole, &key.arn, "its grants, or the last page of them, were not collected");
                }
                Kind::KeyTags => tally.count(key.tags.is_some(), &key.arn, "its tags were not collected"),
                _ => tally.count(key.rotation.is_some(), &key.arn, "its rotation was not collected"),
            }
        }
        tally
    }

    fn cover_vaults(&self, mut tally: Tally, account: &Account) -> Tally {
        for vault in account.vaults.values() {
            if tally.kind == Kind::VaultPolicies {
                tally.count(vault.policy.is_some(), &vault.arn, "its access policy was not collected");
            } else {
                let whole = self.details.points_whole.contains(&vault.arn);
                tally.count(
                    whole,
                    &vault.arn,
                    "its recovery points, or the last page of them, were not collected",
                );
            }
        }
        tally
    }

    fn cover_organisation(
        &self,
        organisation: &Organisation,
        extents: &mut BTreeMap<(Scope, Kind), Extent>,
        gaps: &mut Vec<Gap>,
    ) {
        let scope = Scope::Organisation(Arc::clone(&organisation.id));
        let listed = self.members_listed.contains(&organisation.id);
        let members = if listed { Extent::Whole } else { Extent::Partial };
        for kind in Kind::ALL.into_iter().filter(|kind| kind.reach() == Reach::Organisation) {
            let mut tally = Tally::new(scope.clone(), kind, Extent::Whole);
            match kind {
                Kind::Organisation => {
                    tally.count(
                        organisation.management.is_some(),
                        &organisation.id,
                        "its management account is not known",
                    );
                    tally.count(organisation.feature_set.is_some(), &organisation.id, "it was not described");
                }
                Kind::Members => {
                    tally.found = organisation.members.len();
                    if !listed {
                        tally.miss(None, None, "`organizations list-accounts` was not collected");
                    }
                }
                Kind::Tree => {
                    tally.base = members;
                    for id in organisation.members.keys() {
                        let known = organisation.place_is_known(*id);
                        tally.count(
                            known,
                            &id.to_string().into(),
                            "where the account is in the tree is not known",
                        );
                    }
                }
                Kind::Scps => cover_org_policies(&mut tally, organisation, &OrgPolicyKind::Scp, members),
                Kind::Rcps => cover_org_policies(&mut tally, organisation, &OrgPolicyKind::Rcp, members),
                Kind::Delegations => match &organisation.delegations {
                    None => tally.base = Extent::Absent,
                    Some(delegations) => {
                        for delegation in delegations {
                            let account = delegation.account.to_string().into();
                            tally.count(
                                delegation.services.is_some(),
                                &account,
                                "its delegated services were not collected",
                            );
                        }
                    }
                },
                Kind::OrganisationPolicy if organisation.resource_policy.is_none() => {
                    tally.base = Extent::Absent
                }
                Kind::OrganisationPolicy => {}
                _ => self.cover_sso(&mut tally, organisation),
            }
            let extent = tally.extent();
            if extent == Extent::Absent && tally.missing.is_empty() {
                tally.miss(None, None, format!("`{}` was not collected", kind.call()));
            }
            gaps.extend(tally.missing);
            extents.insert((scope.clone(), kind), extent);
        }
    }

    fn cover_sso(&self, tally: &mut Tally, organisation: &Organisation) {
        let accounts: Vec<AccountId> =
            organisation.members.keys().copied().chain(organisation.management).collect();
        let listed = |kind| {
            accounts.iter().any(|account| {
                self.lists.get(&(*account, kind)).is_some_and(|lists| lists.values().any(|whole| *whole))
            })
        };
        // Without a list of instances nobody knows whether there is one.
        if !listed(Kind::SsoInstances) {
            tally.base = Extent::Absent;
            return;
        }
        let instances = accounts
            .iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter_map(|account| self.estate.accounts.get(account));
        for instance in instances.flat_map(|account| account.sso.values()) {
            match tally.kind {
                Kind::PermissionSets => {
                    if !listed(Kind::PermissionSets) {
                        tally.miss(
                            Some(&instance.arn),
                            None,
                            "`sso-admin list-permission-sets` was not collected",
                        );
                    }
                    for set in instance.permission_sets.values() {
                        let whole = set.name.is_some()
                            && set.managed.is_some()
                            && set.customer_managed.is_some()
                            && set.inline.is_some()
                            && set.boundary.is_some();
                        tally.count(
                            whole,
                            &set.arn,
                            "its name, its policies or its boundary were not collected",
                        );
                    }
                }
                Kind::Assignments => {
                    for set in instance.permission_sets.values() {
                        let Some(provisioned) = &set.provisioned else {
                            tally.miss(
                                Some(&set.arn),
                                None,
                                "in which accounts it is provisioned was not collected",
                            );
                            continue;
                        };
                        let id: Arc<str> = set_id(&set.arn).into();
                        let missing = provisioned
                            .iter()
                            .filter(|account| !self.details.assigned.contains(&(**account, Arc::clone(&id))))
                            .count();
                        tally.count(
                            missing == 0,
                            &set.arn,
                            "its assignments in some accounts were not collected",
                        );
                    }
                    if !listed(Kind::PermissionSets) {
                        tally.miss(
                            Some(&instance.arn),
                            None,
                            "`sso-admin list-permission-sets` was not collected",
                        );
                    }
                }
                Kind::Directory => {
                    if !listed(Kind::Directory) {
                        tally.miss(Some(&instance.arn), None, "groups and users were not collected");
                    }
                    for (id, group) in &instance.groups {
                        tally.count(group.members.is_some(), id, "its members were not collected");
                    }
                }
                _ => {}
            }
        }
    }
}

fn cover_key_policies(tally: &mut Tally, key: &Key) {
    if !key.policies.contains_key("default") {
        return tally.miss(Some(&key.arn), None, "its policy was not collected");
    }
    tally.found += 1;
    match &key.policy_names {
        None => tally.miss(
            Some(&key.arn),
            None,
            "whether it has a policy beside `default` is not known (`kms list-key-policies`)",
        ),
        Some(names) => {
            for name in names.iter().filter(|name| !key.policies.contains_key(*name)) {
                tally.miss(
                    Some(&key.arn),
                    None,
                    format!("its policy `{}` was not collected", crate::load::read::shown(name)),
                );
            }
        }
    }
}

fn cover_buckets(mut tally: Tally, account: &Account) -> Tally {
    for bucket in account.buckets.values() {
        match tally.kind {
            Kind::BucketPolicies => {
                tally.count(bucket.policy.is_some(), &bucket.name, "its policy was not collected")
            }
            Kind::ObjectLocks => {
                tally.count(bucket.lock.is_some(), &bucket.name, "its Object Lock was not collected")
            }
            _ => tally.count(bucket.versioning.is_some(), &bucket.name, "its versioning was not collected"),
        }
    }
    tally
}

fn cover_trails(mut tally: Tally, account: &Account) -> Tally {
    for trail in account.trails.values() {
        if tally.kind == Kind::Selectors {
            tally.count(trail.selectors.is_some(), &trail.arn, "its event selectors were not collected");
        } else {
            tally.count(trail.status.is_some(), &trail.arn, "its status was not collected");
        }
    }
    tally
}

/// Policies of a kind, on every level above every member, with their documents.
fn cover_org_policies(tally: &mut Tally, organisation: &Organisation, kind: &OrgPolicyKind, members: Extent) {
    if organisation.feature_set.as_deref() == Some("CONSOLIDATED_BILLING") {
        return;
    }
    let roots: Vec<_> =
        organisation.nodes.values().filter(|node| node.kind == crate::estate::NodeKind::Root).collect();
    if roots.is_empty() {
        tally.miss(None, None, "`organizations list-roots` was not collected");
        return;
    }
    let on = roots.iter().any(|root| root.policy_types.iter().any(|state| state.kind == *kind));
    if !on {
        return;
    }
    tally.base = members;
    let of = |scps: &Option<Vec<Arc<str>>>, rcps: &Option<Vec<Arc<str>>>| match kind {
        OrgPolicyKind::Scp => scps.clone(),
        _ => rcps.clone(),
    };
    let mut used = BTreeSet::new();
    let mut target = |tally: &mut Tally, id: &Arc<str>, policies: Option<Vec<Arc<str>>>| {
        tally.count(policies.is_some(), id, "the policies on it were not collected");
        used.extend(policies.unwrap_or_default());
    };
    for node in organisation.nodes.values() {
        target(tally, &node.id, of(&node.scps, &node.rcps));
    }
    for member in organisation.members.values() {
        target(tally, &member.id.to_string().into(), of(&member.scps, &member.rcps));
    }
    for id in used {
        let read = organisation.policies.get(&id).is_some_and(|policy| policy.document.is_some());
        tally.count(read, &id, "its document was not collected (`organizations describe-policy`)");
    }
}
