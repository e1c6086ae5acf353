//! Who may take a role: whom trust policies name, what carries roles, who is assigned them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::{Actor, Certainty, Edge, Graph, Step};
use crate::estate::{AccountId, Arn, Estate, Holder, ProviderKind, Role};

const TRUST_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_terms-and-concepts.html";
const CARRIES_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html";
const SSO_PAGE: &str = "https://docs.aws.amazon.com/singlesignon/latest/userguide/permissionsetsconcept.html";

/// Which roles carry what, and who is assigned what.
#[derive(Debug, Default)]
pub(super) struct Trusts {
    /// Compute by role.
    carried: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// Holders by account and name of permission set.
    assigned: BTreeMap<(AccountId, Arc<str>), Vec<Holder>>,
    /// Groups' members.
    members: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

impl Trusts {
    pub(super) fn new(estate: &Estate) -> Self {
        let mut trusts = Self::default();
        for account in estate.accounts.values() {
            for compute in account.compute.values() {
                for role in &compute.roles {
                    trusts.carried.entry(Arc::clone(role)).or_default().push(Arc::clone(&compute.arn));
                }
            }
            for instance in account.sso.values() {
                for assignment in &instance.assignments {
                    let set = instance.permission_sets.get(&assignment.permission_set);
                    let Some(name) = set.and_then(|set| set.name.clone()) else { continue };
                    let holders = trusts.assigned.entry((assignment.account, name)).or_default();
                    holders.push(assignment.holder.clone());
                }
                for (id, group) in &instance.groups {
                    trusts
                        .members
                        .entry(Arc::clone(id))
                        .or_default()
                        .extend(group.members.iter().flatten().cloned());
                }
            }
        }
        trusts
    }
}

/// `AWSReservedSSO_Admin_0123456789abcdef` is of the permission set `Admin`.
pub(super) fn permission_set_of(role: &Role) -> Option<&str> {
    if !role.is_of_sso() {
        return None;
    }
    role.name.strip_prefix("AWSReservedSSO_")?.rsplit_once('_').map(|(name, _)| name)
}

/// The account numbers in a text.
fn accounts_in(text: &str) -> BTreeSet<AccountId> {
    let digits = |c: char| !c.is_ascii_digit();
    text.split(digits).filter(|number| number.len() == 12).filter_map(|number| number.parse().ok()).collect()
}

/// Users and roles of an account that a text names.
fn identities_in(text: &str, account: AccountId) -> Vec<Actor> {
    let (user, role) = (format!(":iam::{account}:user/"), format!(":iam::{account}:role/"));
    text.split('"')
        .filter_map(|part| match part {
            part if part.contains(&user) => Some(Actor::User(part.into())),
            part if part.contains(&role) => Some(Actor::Role(part.into())),
            _ => None,
        })
        .collect()
}

impl Graph<'_> {
    /// Whom a policy of a resource of `own` may let in: whoever is in accounts that it names.
    pub(super) fn candidates(&self, own: AccountId, text: &str, action: &'static str) -> Vec<Actor> {
        let mut accounts = accounts_in(text);
        accounts.insert(own);
        let everybody =
            text.contains("\"*\"") || text.contains("PrincipalOrgID") || text.contains("PrincipalOrgPaths");
        if everybody {
            accounts.extend(self.estate.accounts.keys());
        }
        let mut actors = Vec::new();
        self.named.borrow_mut().extend(&accounts);
        for account in accounts {
            if !self.is_known(account) {
                // Those that the policy names are there, whatever else is.
                actors.extend(identities_in(text, account));
                actors.push(Actor::Foreign(account));
                continue;
            }
            let named = |actor: &Actor| actor.name().is_some_and(|name| text.contains(name));
            actors.extend(
                self.principals(account)
                    .into_iter()
                    .filter(|actor| everybody || named(actor) || self.attempts(actor, action)),
            );
            actors.push(Actor::AnyRole(account));
            actors.push(Actor::Root(account));
        }
        if text.contains("\"*\"") {
            actors.push(Actor::Anybody);
        }
        actors
    }

    /// Whether anything was collected of the identities of an account.
    pub(super) fn is_known(&self, account: AccountId) -> bool {
        let of = |kind| self.estate.coverage.extent(&super::scope(account), kind);
        self.estate
            .accounts
            .get(&account)
            .is_some_and(|account| !account.roles.is_empty() || !account.users.is_empty())
            || of(crate::estate::Kind::Roles) == crate::estate::Extent::Whole
    }

    fn role(&self, arn: &str) -> Option<&Role> {
        let account = self.estate.accounts.get(&Arn::parse(arn)?.account()?)?;
        account.roles.values().find(|role| *role.arn == *arn)
    }

    /// Who can take a role, but for those who pass it or change it.
    pub(super) fn takers(&self, arn: &Arc<str>) -> Vec<Edge> {
        let mut edges = Vec::new();
        let (Some(role), Some(own)) = (self.role(arn), Arn::parse(arn).and_then(|arn| arn.account())) else {
            return edges;
        };
        let to = Actor::Role(Arc::clone(arn));
        let text = &*role.trust.text;
        let mut add = |from: Actor, id, what: String, page: &str, asked: Vec<super::Asked>, certainty| {
            let step = Step { id, what: what.into(), citation: page.into(), asked, certainty };
            if from != to {
                edges.push(Edge { from, to: to.clone(), step: Rc::new(step) });
            }
        };
        let mut candidates = self.candidates(own, text, "sts:AssumeRole");
        candidates.extend(self.empowered_in(&candidates));
        for from in candidates {
            if let Some((asked, certainty)) = self.ask(&from, "sts:AssumeRole", arn) {
                add(
                    from,
                    "trust",
                    format!("Assumes {arn}, which trusts it"),
                    TRUST_PAGE,
                    vec![asked],
                    certainty,
                );
            }
        }
        for account in self.estate.accounts.values() {
            for provider in account.providers.values().filter(|provider| text.contains(&*provider.arn)) {
                let action = match provider.kind {
                    ProviderKind::Oidc => "sts:AssumeRoleWithWebIdentity",
                    ProviderKind::Saml => "sts:AssumeRoleWithSAML",
                };
                let from = Actor::Provider(Arc::clone(&provider.arn));
                if let Some((asked, certainty)) = self.ask(&from, action, arn) {
                    let what = format!("Signs in at the provider, which {arn} trusts");
                    add(from, "trust", what, TRUST_PAGE, vec![asked], certainty);
                }
            }
        }
        for compute in self.trusts.carried.get(arn).into_iter().flatten() {
            let what = format!("Takes the credentials of {arn}, which are at hand there");
            add(
                Actor::Code(Arc::clone(compute)),
                "carries",
                what,
                CARRIES_PAGE,
                Vec::new(),
                Certainty::Proven,
            );
        }
        if let Some(set) = permission_set_of(role) {
            let holders = self.trusts.assigned.get(&(own, set.into())).into_iter().flatten();
            for holder in holders {
                let from = match holder {
                    Holder::Group(id) => Actor::DirectoryGroup(Arc::clone(id)),
                    Holder::User(id) => Actor::DirectoryUser(Arc::clone(id)),
                };
                let what = format!("Signs in with the permission set {set} in {own}");
                add(from, "assigned", what, SSO_PAGE, Vec::new(), Certainty::Proven);
            }
        }
        edges
    }

    /// Who is in a group of the directory.
    pub(super) fn members(&self, group: &Arc<str>) -> Vec<Edge> {
        let step = Rc::new(Step {
            id: "member",
            what: "Is a member of the group".into(),
            citation: SSO_PAGE.into(),
            asked: Vec::new(),
            certainty: Certainty::Proven,
        });
        let members = self.trusts.members.get(group).into_iter().flatten();
        members
            .map(|user| Edge {
                from: Actor::DirectoryUser(Arc::clone(user)),
                to: Actor::DirectoryGroup(Arc::clone(group)),
                step: Rc::clone(&step),
            })
            .collect()
    }
}

impl Actor {
    /// The name by which policies name the actor.
    fn name(&self) -> Option<&str> {
        match self {
            Self::User(arn) | Self::Role(arn) | Self::Empowered(arn) => Some(arn),
            _ => None,
        }
    }
}
