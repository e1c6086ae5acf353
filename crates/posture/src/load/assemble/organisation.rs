//! Organisations: nodes, members, policies and what hangs where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::merge::{fill, tidy};
use super::{Assembly, At};
use crate::estate::{
    AccountId, Delegation, Kind, Member, MemberState, Node, NodeKind, OrgPolicy, OrgPolicyKind, Organisation,
    PolicyText, ProblemKind, Scope,
};
use crate::load::record::Record;

type Name = Arc<str>;

/// What was read of organisations before it is known of which.
#[derive(Default)]
pub(super) struct Loose {
    /// Nodes whose ARN did not tell their organisation.
    nodes: Vec<(At, Node)>,
    /// Policies whose ARN did not: those of AWS.
    policies: Vec<(At, OrgPolicy)>,
    /// Policies on each target.
    targets: Vec<(At, Name, Vec<Name>, bool)>,
    /// Targets of each policy.
    policy_targets: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Whether the policies of an organisation were listed without a target.
    policies_listed: bool,
    /// Lists of accounts that were read to the end.
    members: Vec<(At, Option<Name>)>,
    delegations: Vec<(At, Option<Name>, Vec<Delegation>, bool)>,
    services: BTreeMap<AccountId, Vec<Arc<str>>>,
    resource_policies: Vec<(At, Option<PolicyText>)>,
    trusted: Vec<(At, Vec<Arc<str>>)>,
    features: Vec<(At, Arc<str>, Vec<Arc<str>>)>,
}

impl Assembly {
    /// Takes what is about organisations, and gives back the rest.
    pub(super) fn organisation_record(&mut self, at: At, record: Record) -> Option<Record> {
        match record {
            Record::Organisation { id, management, feature_set } => {
                let organisation = self.organisation(&id);
                let differs = fill(&mut organisation.management, management)
                    | fill(&mut organisation.feature_set, feature_set);
                if differs {
                    self.contradiction(
                        at,
                        &id,
                        None,
                        (Scope::Organisation(Arc::clone(&id)), Kind::Organisation),
                    );
                }
            }
            Record::Node { organisation: Some(id), node } => self.node(at, &id, node),
            Record::Node { organisation: None, node } => self.org.nodes.push((at, node)),
            Record::Member { organisation, member } => self.member(at, &organisation, member),
            Record::MembersListed { organisation, whole: true } => self.org.members.push((at, organisation)),
            Record::MembersListed { whole: false, .. } => {}
            Record::Children { parent, children, .. } => self.tree.push((at, parent, children)),
            Record::OrgPolicy { organisation: Some(id), policy } => self.org_policy(at, &id, policy),
            Record::OrgPolicy { organisation: None, policy } => self.org.policies.push((at, policy)),
            Record::OrgTarget { target: Some(target), policies, whole } => {
                self.org.targets.push((at, target, policies, whole));
            }
            Record::OrgTarget { target: None, whole, .. } => self.org.policies_listed |= whole,
            Record::OrgTargets { policy: Some(policy), targets } => {
                self.org.policy_targets.entry(policy).or_default().extend(targets);
            }
            Record::OrgTargets { policy: None, .. } => {
                let detail = "targets of a policy that is not named";
                self.problem(at, ProblemKind::Unattributed, detail, (None, Some(Kind::Scps)));
            }
            Record::Delegations { organisation, delegations, whole } => {
                self.org.delegations.push((at, organisation, delegations, whole));
            }
            Record::DelegatedServices { account: Some(account), mut services } => {
                tidy(&mut services);
                self.org.services.entry(account).or_default().extend(services);
            }
            Record::DelegatedServices { account: None, .. } => {
                let detail = "delegated services of an account that is not named";
                self.problem(at, ProblemKind::Unattributed, detail, (None, Some(Kind::Delegations)));
            }
            Record::OrgResourcePolicy(policy) => self.org.resource_policies.push((at, policy)),
            Record::TrustedServices(services) => self.org.trusted.push((at, services)),
            Record::RootFeatures { organisation, features } => {
                self.org.features.push((at, organisation, features))
            }
            other => return Some(other),
        }
        None
    }

    fn organisation(&mut self, id: &Arc<str>) -> &mut Organisation {
        let organisation = self.estate.organisations.entry(Arc::clone(id)).or_default();
        organisation.id = Arc::clone(id);
        organisation
    }

    fn node(&mut self, at: At, organisation: &Arc<str>, new: Node) {
        let id = Arc::clone(&new.id);
        let node = self.organisation(organisation).nodes.entry(Arc::clone(&id)).or_insert_with(|| Node {
            name: None,
            arn: None,
            parent: None,
            policy_types: Vec::new(),
            ..new.clone()
        });
        let mut differs = fill(&mut node.name, new.name)
            | fill(&mut node.arn, new.arn)
            | fill(&mut node.parent, new.parent);
        if node.policy_types.is_empty() {
            node.policy_types = new.policy_types;
        } else if !new.policy_types.is_empty() {
            differs |= node.policy_types != new.policy_types;
        }
        if differs {
            self.contradiction(at, &id, None, (Scope::Organisation(Arc::clone(organisation)), Kind::Tree));
        }
    }

    fn member(&mut self, at: At, organisation: &Arc<str>, new: Member) {
        let id = new.id;
        self.account(id);
        let members = &mut self.organisation(organisation).members;
        let member = members.entry(id).or_insert_with(|| Member {
            name: None,
            email: None,
            parent: None,
            ..new.clone()
        });
        if member.state == MemberState::Unknown {
            member.state = new.state;
        }
        let differs = fill(&mut member.name, new.name)
            | fill(&mut member.email, new.email)
            | fill(&mut member.joined, new.joined)
            | fill(&mut member.parent, new.parent)
            | (new.state != MemberState::Unknown && member.state != new.state);
        if differs {
            let what = format!("account {id}");
            self.contradiction(
                at,
                &what,
                None,
                (Scope::Organisation(Arc::clone(organisation)), Kind::Members),
            );
        }
    }

    fn org_policy(&mut self, at: At, organisation: &Arc<str>, new: OrgPolicy) {
        let id = Arc::clone(&new.id);
        let policies = &mut self.organisation(organisation).policies;
        let policy = policies.entry(Arc::clone(&id)).or_insert_with(|| OrgPolicy {
            document: None,
            name: None,
            ..new.clone()
        });
        let earlier = policy.document.as_ref().map(|document| document.origin.clone());
        let differs = fill(&mut policy.name, new.name)
            | fill(&mut policy.document, new.document)
            | (policy.kind != new.kind);
        if differs {
            let missing = (Scope::Organisation(Arc::clone(organisation)), Kind::Scps);
            self.contradiction(at, &id, earlier.as_ref(), missing);
        }
    }

    /// The organisation that a file about none in particular is about: that of its account, or the only one.
    pub(super) fn organisation_at(&self, file: usize) -> Option<Arc<str>> {
        let by_account = self.places.account(file).and_then(|account| self.estate.organisation_of(account));
        by_account.map(|organisation| Arc::clone(&organisation.id)).or_else(|| self.only_organisation())
    }

    pub(super) fn only_organisation(&self) -> Option<Arc<str>> {
        let mut ids = self.estate.organisations.keys();
        ids.next().filter(|_| ids.next().is_none()).cloned()
    }

    /// The organisation that has this node or account.
    fn organisation_with(&self, target: &str) -> Option<Arc<str>> {
        let account: Option<AccountId> = target.parse().ok();
        let has = |organisation: &&Organisation| match account {
            Some(account) => organisation.members.contains_key(&account),
            None => organisation.nodes.contains_key(target),
        };
        self.estate.organisations.values().find(has).map(|organisation| Arc::clone(&organisation.id))
    }

    /// Puts together what hung loose.
    pub(super) fn finish_organisations(&mut self) {
        for (at, node) in std::mem::take(&mut self.org.nodes) {
            match self.organisation_at(at.file) {
                Some(id) => self.node(at, &id, node),
                None => self.problem(
                    at,
                    ProblemKind::Unattributed,
                    "a root or unit of an unknown organisation",
                    (None, Some(Kind::Tree)),
                ),
            }
        }
        for (at, named) in std::mem::take(&mut self.org.members) {
            let organisation = named.or_else(|| self.organisation_at(at.file));
            self.members_listed.extend(organisation);
        }
        self.finish_tree();
        self.finish_org_policies();
        self.finish_targets();
        self.finish_delegations();
        for (at, policy) in std::mem::take(&mut self.org.resource_policies) {
            if let Some(id) = self.organisation_at(at.file) {
                let organisation = self.organisation(&id);
                if fill(&mut organisation.resource_policy, Some(policy)) {
                    let missing = (Scope::Organisation(Arc::clone(&id)), Kind::OrganisationPolicy);
                    self.contradiction(at, "the resource policy of the organisation", None, missing);
                }
            }
        }
        for (at, services) in std::mem::take(&mut self.org.trusted) {
            if let Some(id) = self.organisation_at(at.file) {
                let known = self.organisation(&id).trusted_services.get_or_insert_default();
                known.extend(services);
                tidy(known);
            }
        }
        for (at, organisation, features) in std::mem::take(&mut self.org.features) {
            let management = self.estate.organisations.get(&organisation).and_then(|found| found.management);
            if let Some(account) = management.or_else(|| self.places.account(at.file)) {
                let known = self.account(account).root_features.get_or_insert_default();
                known.extend(features);
                tidy(known);
            }
        }
    }

    fn finish_tree(&mut self) {
        for (at, parent, children) in std::mem::take(&mut self.tree) {
            for child in children {
                let Some(id) = self.organisation_with(&child).or_else(|| self.organisation_with(&parent))
                else {
                    continue;
                };
                let account: Option<AccountId> = child.parse().ok();
                let organisation = self.organisation(&id);
                let differs = if let Some(account) = account {
                    let member = organisation.members.entry(account).or_insert_with(|| bare_member(account));
                    fill(&mut member.parent, Some(Arc::clone(&parent)))
                } else {
                    let kind = if child.starts_with("r-") { NodeKind::Root } else { NodeKind::Unit };
                    let node = organisation
                        .nodes
                        .entry(Arc::clone(&child))
                        .or_insert_with(|| bare_node(&child, kind));
                    fill(&mut node.parent, Some(Arc::clone(&parent)))
                };
                if let Some(account) = account {
                    self.account(account);
                }
                if differs {
                    let what = format!("the parent of {child}");
                    self.contradiction(at, &what, None, (Scope::Organisation(id), Kind::Tree));
                }
            }
        }
    }

    fn finish_org_policies(&mut self) {
        let loose = std::mem::take(&mut self.org.policies);
        let ids: Vec<Arc<str>> = self.estate.organisations.keys().cloned().collect();
        for (at, policy) in loose {
            // A policy of AWS is the same in every organisation.
            let of = if policy.aws_managed {
                ids.clone()
            } else {
                self.organisation_at(at.file).into_iter().collect()
            };
            if of.is_empty() {
                let detail =
                    format!("policy {} of an unknown organisation", crate::load::read::shown(&policy.id));
                self.problem(at, ProblemKind::Unattributed, detail, (None, Some(Kind::Scps)));
            }
            for id in of {
                self.org_policy(at, &id, policy.clone());
            }
        }
    }

    fn finish_targets(&mut self) {
        for (at, target, mut policies, whole) in std::mem::take(&mut self.org.targets) {
            tidy(&mut policies);
            let Some(id) = self.organisation_with(&target) else {
                let detail = format!("policies on {target}, which no organisation that was read has");
                self.problem(at, ProblemKind::Dangling, detail, (None, Some(Kind::Scps)));
                continue;
            };
            if !whole {
                let missing = (Some(Scope::Organisation(id)), Some(Kind::Scps));
                self.problem(at, ProblemKind::MorePages, format!("policies on {target}"), missing);
                continue;
            }
            for kind in [OrgPolicyKind::Scp, OrgPolicyKind::Rcp] {
                let organisation = self.organisation(&id);
                let of_kind: Vec<Arc<str>> = policies
                    .iter()
                    .filter(|policy| {
                        organisation.policies.get(*policy).is_some_and(|policy| policy.kind == kind)
                    })
                    .cloned()
                    .collect();
                // Every target has at least one policy of each type that is switched on: a list without one was asked
                // for another type.
                if !of_kind.is_empty()
                    && let Some(slot) = slot(organisation, &target, &kind)
                    && fill(slot, Some(of_kind))
                {
                    let missing = (Scope::Organisation(Arc::clone(&id)), Kind::Scps);
                    self.contradiction(at, &format!("the list of policies on {target}"), None, missing);
                }
            }
        }
        self.finish_policy_targets();
    }

    /// Where every policy of a kind told its targets, what hangs on a target is known without its own list.
    fn finish_policy_targets(&mut self) {
        let targets_of = std::mem::take(&mut self.org.policy_targets);
        let listed = self.org.policies_listed;
        for organisation in self.estate.organisations.values_mut() {
            for kind in [OrgPolicyKind::Scp, OrgPolicyKind::Rcp] {
                let of_kind: Vec<Arc<str>> = organisation
                    .policies
                    .values()
                    .filter(|policy| policy.kind == kind)
                    .map(|policy| Arc::clone(&policy.id))
                    .collect();
                if !listed
                    || of_kind.is_empty()
                    || !of_kind.iter().all(|policy| targets_of.contains_key(policy))
                {
                    continue;
                }
                let accounts = organisation.members.keys().map(|account| account.to_string().into());
                let targets: Vec<Arc<str>> = organisation.nodes.keys().cloned().chain(accounts).collect();
                for target in targets {
                    let on: Vec<Arc<str>> = of_kind
                        .iter()
                        .filter(|policy| targets_of[*policy].contains(&target))
                        .cloned()
                        .collect();
                    if let Some(slot) = slot(organisation, &target, &kind)
                        && slot.is_none()
                    {
                        *slot = Some(on);
                    }
                }
            }
        }
    }

    fn finish_delegations(&mut self) {
        let services = std::mem::take(&mut self.org.services);
        for (at, organisation, delegations, whole) in std::mem::take(&mut self.org.delegations) {
            let Some(id) = organisation.or_else(|| self.organisation_at(at.file)) else {
                let detail = "delegated administrators of an unknown organisation";
                self.problem(at, ProblemKind::Unattributed, detail, (None, Some(Kind::Delegations)));
                continue;
            };
            if !whole {
                let missing = (Some(Scope::Organisation(Arc::clone(&id))), Some(Kind::Delegations));
                self.problem(at, ProblemKind::MorePages, "delegated administrators", missing);
            }
            let known = self.organisation(&id).delegations.get_or_insert_default();
            for delegation in delegations {
                if !known.iter().any(|other| other.account == delegation.account) {
                    let services = services.get(&delegation.account).cloned().map(|mut services| {
                        tidy(&mut services);
                        services
                    });
                    known.push(Delegation { services, ..delegation });
                }
            }
            known.sort_by_key(|delegation| delegation.account);
        }
    }
}

fn slot<'o>(
    organisation: &'o mut Organisation,
    target: &str,
    kind: &OrgPolicyKind,
) -> Option<&'o mut Option<Vec<Arc<str>>>> {
    let scps = *kind == OrgPolicyKind::Scp;
    if let Ok(account) = target.parse::<AccountId>() {
        let member = organisation.members.get_mut(&account)?;
        return Some(if scps { &mut member.scps } else { &mut member.rcps });
    }
    let node = organisation.nodes.get_mut(target)?;
    Some(if scps { &mut node.scps } else { &mut node.rcps })
}

fn bare_member(id: AccountId) -> Member {
    Member {
        id,
        name: None,
        email: None,
        state: MemberState::Unknown,
        joined: None,
        parent: None,
        scps: None,
        rcps: None,
    }
}

fn bare_node(id: &Arc<str>, kind: NodeKind) -> Node {
    Node {
        id: Arc::clone(id),
        kind,
        name: None,
        arn: None,
        parent: None,
        scps: None,
        rcps: None,
        policy_types: Vec::new(),
    }
}
