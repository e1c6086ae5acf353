//! IAM Identity Center, and what is put together at the end: aliases, shares, instance profiles.

use std::sync::Arc;

use super::merge::{fill, tidy};
use super::places::Subject;
use super::{Assembly, At};
use crate::estate::{AccountId, ComputeKind, Kind, PermissionSet, ProblemKind, Scope, SsoInstance};
use crate::load::record::Record;

impl Assembly {
    pub(super) fn sso_instance(
        &mut self,
        at: At,
        arn: &Arc<str>,
        store: Option<Arc<str>>,
        owner: Option<AccountId>,
    ) {
        // Every account of an organisation sees its instance: it is kept with the account that owns it.
        let Some(account) = owner.or_else(|| self.places.account(at.file)) else {
            let detail = "an instance of IAM Identity Center of an unknown account";
            return self.problem(at, ProblemKind::Unattributed, detail, (None, Some(Kind::SsoInstances)));
        };
        let instance = self.account(account).sso.entry(Arc::clone(arn)).or_default();
        instance.arn = Arc::clone(arn);
        if fill(&mut instance.identity_store, store) | fill(&mut instance.owner, owner) {
            self.contradiction(at, arn, None, (Scope::Account(account), Kind::SsoInstances));
        }
    }

    /// Takes what is about permission sets and the directory.
    pub(super) fn sso_record(&mut self, at: At, record: Record) {
        match record {
            Record::PermissionSetListed(arn) => {
                self.permission_set(at, Some(arn), |_| false);
            }
            Record::PermissionSet { arn, name } => {
                self.permission_set(at, Some(arn), |set| fill(&mut set.name, name))
            }
            Record::SetManaged { set, policies, whole } => {
                self.permission_set(at, set, |set| whole && fill(&mut set.managed, Some(policies)));
            }
            Record::SetCustomer { set, policies, whole } => {
                self.permission_set(at, set, |set| whole && fill(&mut set.customer_managed, Some(policies)));
            }
            Record::SetInline { set, policy } => {
                self.permission_set(at, set, |set| fill(&mut set.inline, Some(policy)));
            }
            Record::SetBoundary { set, boundary } => {
                self.permission_set(at, set, |set| fill(&mut set.boundary, Some(boundary)));
            }
            Record::SetAccounts { set, accounts, whole } => {
                self.permission_set(at, set, |set| whole && fill(&mut set.provisioned, Some(accounts)));
            }
            Record::Assignments { assignments, whole } => {
                let hints = self.places.hints(at.file);
                let named = assignments
                    .first()
                    .map(|assignment| (assignment.account, Arc::clone(&assignment.permission_set)))
                    .or_else(|| Some((hints.account()?, Arc::clone(hints.permission_set()?))));
                if whole && let Some((account, set)) = named {
                    self.details.assigned.insert((account, set_id(&set).into()));
                }
                self.details.assignments.extend(assignments);
            }
            Record::DirectoryGroup { store, id, name } => self.details.groups.push((store, id, name)),
            Record::DirectoryUser { store, id, name } => self.details.users.push((store, id, name)),
            Record::Membership { store, group, user } => self.details.memberships.push((store, group, user)),
            Record::MembershipsListed => {
                self.details.memberships_listed.extend(self.places.hints(at.file).key().cloned());
            }
            _ => {}
        }
    }

    /// Changes the permission set that is named, by the record, the path, or a description beside it.
    fn permission_set(
        &mut self,
        at: At,
        named: Option<Arc<str>>,
        change: impl FnOnce(&mut PermissionSet) -> bool,
    ) {
        let Some(named) = named.or_else(|| self.places.beside(at.file, Subject::PermissionSet).cloned())
        else {
            let detail = "an answer about a permission set that is not named";
            return self.problem(at, ProblemKind::Unattributed, detail, (None, Some(Kind::PermissionSets)));
        };
        let id = set_id(&named).to_owned();
        let instance_of = named.split('/').find(|part| part.starts_with("ssoins-")).map(str::to_owned);
        // The instance that the ARN names; for a mere id, the one that has it, or the only one.
        let instances = || {
            self.estate
                .accounts
                .iter()
                .flat_map(|(account, held)| held.sso.keys().map(move |arn| (*account, Arc::clone(arn))))
        };
        let has = |account: &AccountId, arn: &Arc<str>| {
            let held = self.estate.accounts.get(account).and_then(|held| held.sso.get(arn));
            held.is_some_and(|instance| instance.permission_sets.keys().any(|set| set_id(set) == id))
        };
        let found = instances()
            .find(|(account, arn)| match &instance_of {
                Some(instance) => arn.ends_with(instance.as_str()),
                None => has(account, arn),
            })
            .or_else(|| {
                Some(instances().next())
                    .flatten()
                    .filter(|_| instances().count() == 1 && instance_of.is_none())
            });
        let (account, instance) = match (found, &instance_of, self.places.account(at.file)) {
            (Some(found), ..) => found,
            // No list of instances was read, but the ARN names one.
            (None, Some(instance), Some(account)) => {
                (account, format!("arn:aws:sso:::instance/{instance}").into())
            }
            _ => {
                let detail =
                    format!("permission set {} of an unknown instance", crate::load::read::shown(&named));
                return self.problem(
                    at,
                    ProblemKind::Unattributed,
                    detail,
                    (None, Some(Kind::PermissionSets)),
                );
            }
        };
        let entry = self.account(account).sso.entry(Arc::clone(&instance));
        let sso =
            entry.or_insert_with(|| SsoInstance { arn: Arc::clone(&instance), ..SsoInstance::default() });
        let arn: Arc<str> = if named.starts_with("arn:") {
            named
        } else {
            let instance = instance.rsplit('/').next().unwrap_or_default();
            format!("arn:aws:sso:::permissionSet/{instance}/{id}").into()
        };
        let set = sso.permission_sets.entry(Arc::clone(&arn)).or_default();
        set.arn = Arc::clone(&arn);
        if change(set) {
            let missing = (Scope::Account(account), Kind::PermissionSets);
            self.contradiction(at, &arn, None, missing);
        }
    }

    /// Puts together what needs everything else in its place.
    pub(super) fn finish_resources(&mut self) {
        self.finish_aliases();
        self.finish_sso();
        for account in self.estate.accounts.values_mut() {
            for share in account.shares.values_mut() {
                share.associations.sort();
                share.associations.dedup();
            }
            for role in account.roles.values_mut() {
                role.attached.dedup();
            }
            let profiles = &account.instance_profiles;
            for compute in
                account.compute.values_mut().filter(|compute| compute.kind == ComputeKind::Ec2Instance)
            {
                if let Some(profile) = compute.instance_profile.as_ref().and_then(|arn| profiles.get(arn)) {
                    compute.roles = profile.roles.clone();
                }
            }
        }
    }

    fn finish_aliases(&mut self) {
        // A list of aliases that was read says of every key of its region which it has.
        let listed: Vec<(AccountId, Vec<Arc<str>>)> = self
            .lists
            .iter()
            .filter(|((_, kind), _)| *kind == Kind::Aliases)
            .map(|((account, _), regions)| {
                let whole = regions.iter().filter(|(_, whole)| **whole).map(|(region, _)| Arc::clone(region));
                (*account, whole.collect())
            })
            .collect();
        for (account, regions) in listed {
            for key in self.account(account).keys.values_mut().filter(|key| regions.contains(&key.region)) {
                key.aliases.get_or_insert_default();
            }
        }
        for (alias, target) in std::mem::take(&mut self.details.aliases) {
            let (Some(target), Some(at)) = (target, crate::estate::Arn::parse(&alias.arn)) else { continue };
            let Some(account) = at.account() else { continue };
            let arn: Arc<str> = if target.starts_with("arn:") {
                target
            } else {
                format!("arn:{}:kms:{}:{account}:key/{target}", at.partition, at.region).into()
            };
            if let Some(key) = self.account(account).keys.get_mut(&arn) {
                let aliases = key.aliases.get_or_insert_default();
                aliases.push(alias);
                aliases.sort();
                aliases.dedup();
            }
        }
    }

    fn finish_sso(&mut self) {
        let details = &mut self.details;
        let assignments = std::mem::take(&mut details.assignments);
        let (groups, users) = (std::mem::take(&mut details.groups), std::mem::take(&mut details.users));
        let memberships = std::mem::take(&mut details.memberships);
        let listed = std::mem::take(&mut details.memberships_listed);
        for instance in self.estate.accounts.values_mut().flat_map(|account| account.sso.values_mut()) {
            let own = instance.arn.rsplit('/').next().unwrap_or_default();
            instance.assignments = assignments
                .iter()
                .filter(|assignment| assignment.permission_set.contains(own))
                .cloned()
                .collect();
            instance.assignments.sort();
            instance.assignments.dedup();
            let store = instance.identity_store.clone();
            let here = |of: &Option<Arc<str>>| store.is_none() || of.is_none() || *of == store;
            for (_, id, name) in groups.iter().filter(|(of, ..)| here(of)) {
                let group = instance.groups.entry(Arc::clone(id)).or_default();
                fill(&mut group.name, name.clone());
                if listed.iter().any(|end| id.ends_with(&**end)) {
                    group.members.get_or_insert_default();
                }
            }
            for (_, id, name) in users.iter().filter(|(of, ..)| here(of)) {
                fill(&mut instance.users.entry(Arc::clone(id)).or_default().name, name.clone());
            }
            for (_, group, user) in memberships.iter().filter(|(of, ..)| here(of)) {
                let members =
                    instance.groups.entry(Arc::clone(group)).or_default().members.get_or_insert_default();
                members.push(Arc::clone(user));
            }
            for members in instance.groups.values_mut().filter_map(|group| group.members.as_mut()) {
                tidy(members);
            }
        }
    }
}

/// `ps-…` at the end of the ARN of a permission set.
pub(super) fn set_id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
