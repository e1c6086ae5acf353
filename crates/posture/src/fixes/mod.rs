//! Fixes: the fewest edits that close every path from outside to the keys, proven by evaluating everything again.
//!
//! ```text
//! paths ─▶ edits that would stop a hop of each ─▶ the cheapest choice that hits every path
//!   ▲                                                          │
//!   └────────── what is still open once they are made ◀────────┘
//! ```
//!
//! An edit is one statement that denies: in the trust policy of a role, in an inline policy, in the policy of a key, or in
//! a new service control policy. It is never tried where it would deny a use that is needed.
//!
//! In scope: paths that are proven or conditional, of whoever is not in the account of what is harmed. Out of scope: those
//! inside that account, whoever reads because policies name it, and applying anything.
//!
//! Invariant: what is told to be closed was looked for again in the edited estate, with everything that opens behind it.

mod cut;
mod edit;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use edit::{Change, Edit, Place, Whom};

use crate::analysis::{Subject, Survey, harm_word};
use crate::estate::{AccountId, Arn, Estate, OrgPolicyKind, Organisation};
use crate::evaluate::{Decision, Evaluator, Principal, Request};
use crate::facts::Harm;
use crate::graph::{Actor, Asked, Certainty, Path};
use edit::{account_of, arn_of, changes, role_of, user_of};

/// Rounds of choosing and looking again, after which whatever is still open counts as not to be closed by edits.
const ROUNDS_MAX: usize = 40;

/// A use that has to stay possible.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Who, by the ARN of a user or role.
    pub principal: Arc<str>,
    /// The action, as `kms:Decrypt`.
    pub action: Arc<str>,
    /// The resource, by ARN.
    pub resource: Arc<str>,
}

impl Need {
    fn principal(&self) -> Principal {
        if let Some(account) =
            self.principal.strip_suffix(":root").and_then(|_| Arn::parse(&self.principal)?.account())
        {
            return Principal::Root(account);
        }
        match self.principal.contains(":user/") {
            true => Principal::User(Arc::clone(&self.principal)),
            false => Principal::Role { role: Arc::clone(&self.principal), session: None },
        }
    }

    fn request(&self) -> Request {
        Request::new(self.principal(), &self.action, &self.resource)
    }

    fn asked(&self) -> Asked {
        Asked {
            principal: self.principal(),
            any_policy: false,
            action: Arc::clone(&self.action),
            resource: Arc::clone(&self.resource),
            alias_keys: Vec::new(),
            unguarded: false,
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Fixes {
    /// The edits, in the order of their numbers, from 1.
    pub edits: Vec<Edit>,
    /// The same by policy.
    pub changes: Vec<Change>,
    /// Whether no smaller choice of such edits closes what they close.
    pub fewest: bool,
    /// What was open before, from outside: who, which harm, to what.
    pub before: BTreeSet<String>,
    /// What no such edit closes, with the path that is left.
    pub left: BTreeMap<String, Path>,
    /// Needs that were allowed before and are not proven to be as they were. Always empty, unless there is a bug.
    pub broken: Vec<Need>,
    /// Needs that were not allowed before either.
    pub denied_before: Vec<Need>,
    /// What was not collected and might hold another path.
    pub gaps: Vec<String>,
}

/// Users and roles, by action and resource.
type Rights = BTreeMap<(Arc<str>, Arc<str>), BTreeSet<Arc<str>>>;

/// One path that has to be closed.
struct Open {
    name: String,
    asked: Vec<Asked>,
}

fn name(path: &Path) -> String {
    format!("{} | {} | {}", path.from, harm_word(path.deed.harm), path.deed.target.name())
}

/// What is open from outside, by name: the path of each.
fn open(estate: &Estate, subject: &Subject) -> (BTreeMap<String, Path>, Vec<String>) {
    let survey = Survey::of(estate, subject);
    let outside = |path: &Path| {
        let own = survey.graph.account_of(&path.deed.target);
        let inside = own.is_some() && path.from.account() == own;
        path.certainty != Certainty::Unproven && !inside && !is_right(path, own)
    };
    let paths = survey.paths().into_iter().filter(outside).map(|path| (name(&path), path)).collect();
    (paths, survey.reach.gaps)
}

fn asked_on(path: &Path) -> Vec<Asked> {
    let steps = path.edges.iter().map(|edge| &edge.step).chain([&path.deed.step]);
    steps.flat_map(|step| step.asked.iter().cloned()).collect()
}

/// Finds the fixes of an estate.
pub fn find(estate: &Estate, subject: &Subject, needs: &[Need]) -> Fixes {
    let (first, gaps) = open(estate, subject);
    let evaluator = Evaluator::new(estate);
    let (kept, denied_before): (Vec<Need>, Vec<Need>) =
        needs.iter().cloned().partition(|need| evaluator.decide(&need.request()).may_allow());
    let finder = Finder { estate, needs: &kept, rights: rights(estate, subject), evaluator: &evaluator };
    let mut pool: Vec<Edit> = Vec::new();
    let mut futile: BTreeSet<Edit> = BTreeSet::new();
    let mut constraints: Vec<Open> = Vec::new();
    let mut given_up: BTreeSet<String> = BTreeSet::new();
    let (mut still, mut chosen, mut fewest) = (first.clone(), Vec::new(), true);
    for round in 1_usize.. {
        let before = (constraints.len(), given_up.len());
        for (name, path) in still.iter().filter(|(name, _)| !given_up.contains(*name)).collect::<Vec<_>>() {
            let asked = asked_on(path);
            // It was to stop this, and did not.
            futile.extend(
                chosen.iter().filter(|edit: &&Edit| asked.iter().any(|asked| edit.stops(asked))).cloned(),
            );
            for edit in asked.iter().flat_map(|asked| finder.edits(asked)) {
                if !pool.contains(&edit) {
                    pool.push(edit);
                }
            }
            constraints.push(Open { name: name.clone(), asked });
        }
        if round >= ROUNDS_MAX {
            given_up.extend(still.keys().cloned());
        }
        let usable: Vec<&Edit> = pool.iter().filter(|edit| !futile.contains(*edit)).collect();
        let stopping = |open: &Open| -> BTreeSet<usize> {
            let stops = |edit: &Edit| finder.stops(edit, &open.asked);
            (0..).zip(&usable).filter(|(_, edit)| stops(edit)).map(|(number, _)| number).collect()
        };
        let hopeless = constraints.iter().filter(|open| stopping(open).is_empty());
        given_up.extend(hopeless.map(|open| open.name.clone()).collect::<Vec<_>>());
        constraints.retain(|open| !given_up.contains(&open.name));
        let sets: Vec<BTreeSet<usize>> = constraints.iter().map(stopping).collect();
        let choice = cut::cheapest(&sets, &|number| usable[number].cost());
        let mut new: Vec<Edit> = choice.elements.iter().map(|number| usable[*number].clone()).collect();
        new.sort();
        if new == chosen && (constraints.len(), given_up.len()) == before {
            break;
        }
        (chosen, fewest) = (new, choice.proven);
        still = match chosen.is_empty() {
            true => first.clone(),
            false => open(&edit::apply(estate, &changes(estate, &chosen)), subject).0,
        };
    }
    // Whoever can take an inline policy away is looked for again without it.
    let mut undone: BTreeMap<Vec<Edit>, Vec<&String>> = BTreeMap::new();
    for (name, path) in first.iter().filter(|(name, _)| !still.contains_key(*name)) {
        let asked = asked_on(path);
        let firm: Vec<Edit> = chosen.iter().filter(|edit| !finder.removes(edit, &asked)).cloned().collect();
        if firm.len() < chosen.len() {
            undone.entry(firm).or_default().push(name);
        }
    }
    for (firm, names) in undone {
        let without = open(&edit::apply(estate, &changes(estate, &firm)), subject).0;
        still.extend(without.into_iter().filter(|(name, _)| names.contains(&name)));
    }
    let changes = changes(estate, &chosen);
    let after = edit::apply(estate, &changes);
    let evaluator_after = Evaluator::new(&after);
    let same = |need: &&Need| {
        let (was, is) = (evaluator.decide(&need.request()), evaluator_after.decide(&need.request()));
        !is.may_allow() || (matches!(was, Decision::Allowed) && !matches!(is, Decision::Allowed))
    };
    let broken = kept.iter().filter(same).cloned().collect();
    Fixes {
        edits: chosen,
        changes,
        fewest,
        before: first.into_keys().collect(),
        left: still,
        broken,
        denied_before,
        gaps,
    }
}

/// Who does something directly, by action and resource, and is meant to: whoever is in the account of what is harmed, and
/// whoever reads. The fixes leave them alone.
fn rights(estate: &Estate, subject: &Subject) -> Rights {
    let survey = Survey::of(estate, subject);
    let mut rights = Rights::new();
    for path in
        survey.paths().iter().filter(|path| is_right(path, survey.graph.account_of(&path.deed.target)))
    {
        for asked in &path.deed.step.asked {
            if let Some(arn) = arn_of(&asked.principal) {
                let of = (Arc::clone(&asked.action), Arc::clone(&asked.resource));
                rights.entry(of).or_default().insert(arn);
            }
        }
    }
    rights
}

fn is_right(path: &Path, own: Option<AccountId>) -> bool {
    let known =
        path.certainty != Certainty::Unproven && !matches!(path.from, Actor::Foreign(_) | Actor::Anybody);
    let inside = own.is_some() && path.from.account() == own;
    path.edges.is_empty() && known && (inside || path.deed.harm == Harm::Read)
}

struct Finder<'f> {
    estate: &'f Estate,
    needs: &'f [Need],
    rights: Rights,
    evaluator: &'f Evaluator<'f>,
}

impl Finder<'_> {
    /// Every edit that would stop this and denies no need.
    fn edits(&self, asked: &Asked) -> Vec<Edit> {
        let mut edits = Vec::new();
        let (action, resource) = (&asked.action, &asked.resource);
        let mut add = |place: Place, whom: Whom| {
            edits.push(Edit { place, whom, action: Arc::clone(action), resource: Arc::clone(resource) });
        };
        let whom = self.whom(&asked.principal, resource);
        let arn = arn_of(&asked.principal);
        if let Some(role) = role_of(self.estate, resource).filter(|role| !role.is_of_sso())
            && action.starts_with("sts:AssumeRole")
        {
            whom.iter().for_each(|whom| add(Place::Trust(Arc::clone(&role.arn)), whom.clone()));
        }
        if let Some(arn) = arn.filter(|arn| !asked.any_policy && self.takes_inline(arn)) {
            add(Place::Identity(arn), Whom::Bearer);
        }
        let has_policy = |key: &&crate::estate::Key| key.policies.contains_key("default");
        if let Some(key) = self.estate.key(resource).filter(has_policy) {
            if let Some(whom @ (Whom::Arn(_) | Whom::Account(_))) = &whom {
                add(Place::KeyPolicy(Arc::clone(&key.arn)), whom.clone());
            }
            // A key whose policy nobody can change any more is lost.
            let but = self.exempt(asked, None);
            if !but.is_empty() {
                add(Place::KeyPolicy(Arc::clone(&key.arn)), Whom::AllBut(but));
            }
        }
        if let Some(account) = account_of(&asked.principal).filter(|account| self.takes_scp(*account))
            && !asked.unguarded
        {
            add(Place::Scp(account), Whom::AllBut(self.exempt(asked, Some(account))));
        }
        let rights = self.rights.iter().flat_map(|((action, resource), arns)| {
            arns.iter().map(|arn| Need {
                principal: Arc::clone(arn),
                action: Arc::clone(action),
                resource: Arc::clone(resource),
            })
        });
        let kept: Vec<Asked> = rights.chain(self.needs.iter().cloned()).map(|need| need.asked()).collect();
        let breaks = |edit: &Edit| kept.iter().any(|asked| edit.stops(asked));
        edits.retain(|edit| edit.stops(asked) && !breaks(edit));
        edits
    }

    /// Whether an edit stops somebody on their way through all of this, and they cannot take it away first.
    fn stops(&self, edit: &Edit, way: &[Asked]) -> bool {
        way.iter().any(|asked| edit.stops(asked)) && !self.removes(edit, way)
    }

    /// Whether anybody on this way takes the inline policy of an edit away, or writes another in its place. Other kinds of
    /// edits need no such question: changing trust and key policies and detaching control policies are steps of paths.
    fn removes(&self, edit: &Edit, way: &[Asked]) -> bool {
        let Place::Identity(arn) = &edit.place else { return false };
        let actions = match arn.contains(":user/") {
            true => ["iam:PutUserPolicy", "iam:DeleteUserPolicy"],
            false => ["iam:PutRolePolicy", "iam:DeleteRolePolicy"],
        };
        way.iter().any(|asked| {
            actions.iter().any(|action| {
                let mut request = Request::new(asked.principal.clone(), action, arn);
                (request.any_policy, request.unguarded) = (asked.any_policy, asked.unguarded);
                self.evaluator.decide(&request).may_allow()
            })
        })
    }

    fn whom(&self, principal: &Principal, resource: &str) -> Option<Whom> {
        let own = Arn::parse(resource).and_then(|arn| arn.account());
        match principal {
            Principal::Federated(arn) => Some(Whom::Provider(Arc::clone(arn))),
            Principal::Root(_) => arn_of(principal).map(Whom::Arn),
            Principal::User(arn) | Principal::Role { role: arn, .. } => {
                let known = role_of(self.estate, arn).is_some() || user_of(self.estate, arn).is_some();
                match known {
                    true => Some(Whom::Arn(Arc::clone(arn))),
                    // Somebody in an account of which nothing is known.
                    false => account_of(principal).filter(|of| Some(*of) != own).map(Whom::Account),
                }
            }
            _ => None,
        }
    }

    /// Whom a broad denial leaves alone: who needs it, and who does it inside the account.
    fn exempt(&self, asked: &Asked, account: Option<AccountId>) -> BTreeSet<Arc<str>> {
        let of = |arn: &Arc<str>| Arn::parse(arn).and_then(|arn| arn.account());
        let needs = self.needs.iter().filter(|need| {
            need.action.eq_ignore_ascii_case(&asked.action)
                && (need.resource == asked.resource || *asked.resource == *"*")
        });
        let mut exempt: BTreeSet<Arc<str>> = needs.map(|need| Arc::clone(&need.principal)).collect();
        let known = self.rights.get(&(Arc::clone(&asked.action), Arc::clone(&asked.resource)));
        exempt.extend(known.into_iter().flatten().cloned());
        exempt.retain(|arn| account.is_none() || of(arn) == account);
        exempt
    }

    fn takes_inline(&self, arn: &str) -> bool {
        let role = role_of(self.estate, arn).filter(|role| !role.is_of_sso() && !role.is_service_linked());
        role.is_some() || user_of(self.estate, arn).is_some()
    }

    /// Whether service control policies bind an account, and those on it are known.
    fn takes_scp(&self, account: AccountId) -> bool {
        let on = |organisation: &Organisation| {
            let off = |node: &&crate::estate::Node| {
                node.policy_types
                    .iter()
                    .any(|kind| kind.kind == OrgPolicyKind::Scp && *kind.status != *"ENABLED")
            };
            organisation.feature_set.as_deref() == Some("ALL")
                && organisation.management.is_some_and(|management| management != account)
                && organisation.members.get(&account).is_some_and(|member| member.scps.is_some())
                && !organisation.ancestors(account).iter().any(off)
        };
        self.estate.organisation_of(account).is_some_and(on)
    }
}
