//! The controls: the practices for keys that companies hold themselves, each proven, broken by a path, or unproven.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Function, Functions, harm_word};
use crate::estate::{AccountId, Extent, Kind, NodeKind, Scope};
use crate::graph::{Actor, Certainty, Graph, Path, Reach, Target};

/// What a control is worth having for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For everybody.
    Minimum,
    /// For high security.
    High,
}

/// What became of a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It is broken, and the evidence says by what.
    Fail,
    /// Nothing breaks it in what was collected, which is not all.
    Unproven,
    /// It is kept, whatever was not collected.
    Pass,
}

impl Verdict {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "FAIL",
            Self::Unproven => "UNPROVEN",
            Self::Pass => "PASS",
        }
    }
}

/// A control.
#[derive(Clone, Debug)]
pub struct Control {
    /// Stable id.
    pub id: &'static str,
    /// What has to be so.
    pub title: &'static str,
    /// For whom.
    pub level: Level,
    /// What became of it.
    pub verdict: Verdict,
    /// What breaks it, or what is missing: the first few.
    pub evidence: Vec<String>,
    /// Paths that break it, or perhaps do: the first few.
    pub paths: Vec<Path>,
}

const EVIDENCE_MAX: usize = 10;

type Head = (&'static str, &'static str, Level);

struct Scorer<'a, 'e> {
    graph: &'a Graph<'e>,
    reach: &'a Reach,
    functions: &'a Functions,
    keys: &'a [Arc<str>],
    key_accounts: BTreeSet<AccountId>,
}

/// Scores an estate.
pub fn score(graph: &Graph<'_>, reach: &Reach, functions: &Functions, keys: &[Arc<str>]) -> Vec<Control> {
    let account = |key: &Arc<str>| graph.account_of(&Target::Key(Arc::clone(key)));
    let key_accounts: BTreeSet<AccountId> = keys.iter().filter_map(account).collect();
    let scorer = Scorer { graph, reach, functions, keys, key_accounts };
    vec![
        scorer.own_unit(),
        scorer.account_per_function(),
        scorer.least_privilege(),
        scorer.zero_trust(),
        scorer.compromised(
            "MIN-5",
            "No captured business-services admin reaches a backup key",
            Function::Business,
        ),
        scorer.compromised("MIN-6", "No captured devops admin reaches a backup key", Function::DevOps),
        scorer.compromised(
            "MIN-7",
            "No captured infrastructure admin reaches a backup key",
            Function::Infrastructure,
        ),
        scorer.own_organisation(),
        scorer.no_crossover(),
        scorer.apart_from_production(),
    ]
}

/// A control from what breaks it and what is missing.
fn control((id, title, level): Head, broken: Vec<String>, missing: Vec<String>, paths: Vec<Path>) -> Control {
    let (verdict, all) = match (broken.is_empty(), missing.is_empty()) {
        (false, _) => (Verdict::Fail, broken),
        (true, false) => (Verdict::Unproven, missing),
        (true, true) => (Verdict::Pass, Vec::new()),
    };
    let rest = all.len().saturating_sub(EVIDENCE_MAX);
    let mut evidence: Vec<String> = all.into_iter().take(EVIDENCE_MAX).collect();
    if rest > 0 {
        evidence.push(format!("and {rest} more"));
    }
    Control { id, title, level, verdict, evidence, paths: paths.into_iter().take(EVIDENCE_MAX).collect() }
}

impl Scorer<'_, '_> {
    fn no_keys(&self) -> Vec<String> {
        if self.keys.is_empty() { vec!["no backup key was found: name them".into()] } else { Vec::new() }
    }

    fn extent(&self, scope: &Scope, kind: Kind) -> Extent {
        self.graph.estate().coverage.extent(scope, kind)
    }

    fn own_unit(&self) -> Control {
        let (mut broken, mut missing) = (Vec::new(), self.no_keys());
        for account in &self.key_accounts {
            let Some(organisation) = self.graph.estate().organisation_of(*account) else {
                missing.push(format!("the organisation of {account} was not collected"));
                continue;
            };
            let parent = organisation.members.get(account).and_then(|member| member.parent.clone());
            let Some(parent) = parent else {
                missing.push(format!("where {account} is in its organisation was not collected"));
                continue;
            };
            if organisation.nodes.get(&parent).is_some_and(|node| node.kind == NodeKind::Root) {
                broken.push(format!("{account} holds backup keys directly below the root, in no unit"));
            }
            for (other, member) in &organisation.members {
                if member.parent.as_ref() != Some(&parent) || other == account {
                    continue;
                }
                match self.functions.get(*other) {
                    Function::Unknown => {
                        missing.push(format!("what {other}, in the same unit as {account}, is for"));
                    }
                    function if !function.is_security() => {
                        broken.push(format!("{other}, for {function}, is in the same unit as {account}"));
                    }
                    _ => {}
                }
            }
            let scope = Scope::Organisation(Arc::clone(&organisation.id));
            if self.extent(&scope, Kind::Tree) != Extent::Whole {
                missing.push(format!("the whole tree of {}", organisation.id));
            }
        }
        let head = ("MIN-1", "Security services have a unit of their own", Level::Minimum);
        control(head, broken, missing, Vec::new())
    }

    fn account_per_function(&self) -> Control {
        let (mut broken, mut missing) = (Vec::new(), self.no_keys());
        for id in &self.key_accounts {
            let Some(account) = self.graph.estate().accounts.get(id) else { continue };
            match self.functions.get(*id) {
                Function::Keys => {}
                Function::Unknown => missing.push(format!("what {id}, which holds backup keys, is for")),
                function => broken.push(format!("{id} holds backup keys and is for {function}")),
            }
            if let Some(compute) = account.compute.values().next() {
                broken.push(format!("{id} holds backup keys and runs code: {}", compute.arn));
            }
            if let Some(vault) = account.vaults.values().next() {
                broken.push(format!("{id} holds backup keys and backups: {}", vault.arn));
            }
            for kind in [Kind::Functions, Kind::Instances, Kind::Vaults] {
                if self.extent(&Scope::Account(*id), kind) != Extent::Whole {
                    missing.push(format!("account {id}: not all collected: aws {}", kind.call()));
                }
            }
        }
        control(
            ("MIN-2", "Each function has an account of its own", Level::Minimum),
            broken,
            missing,
            Vec::new(),
        )
    }

    /// Paths to backup keys that are meant, the surest first; then those that are unproven.
    fn paths(&self, meant: &dyn Fn(&Actor, &Path) -> bool) -> (Vec<Path>, Vec<Path>) {
        let (mut sure, mut unproven) = (Vec::new(), Vec::new());
        for reached in &self.reach.reached {
            if !matches!(&reached.target, Target::Key(key) if self.keys.contains(key)) {
                continue;
            }
            for (actor, certainty, _) in reached.actors() {
                let Some(path) = reached.path(actor).filter(|path| meant(actor, path)) else { continue };
                if certainty == Certainty::Unproven { unproven.push(path) } else { sure.push(path) }
            }
        }
        for path in &self.reach.unguarded {
            let of_keys = matches!(&path.deed.target, Target::Key(key) if self.keys.contains(key));
            if of_keys && meant(&path.from, path) {
                let into = if path.certainty == Certainty::Unproven { &mut unproven } else { &mut sure };
                into.push(path.clone());
            }
        }
        let order = |path: &Path| (path.certainty, path.edges.len(), path.deed.harm, path.from.clone());
        sure.sort_by_cached_key(order);
        unproven.sort_by_cached_key(order);
        (sure, unproven)
    }

    /// A control that paths break.
    fn by_paths(
        &self,
        head: Head,
        mut missing: Vec<String>,
        meant: &dyn Fn(&Actor, &Path) -> bool,
    ) -> Control {
        let (sure, unproven) = self.paths(meant);
        missing.extend(unproven.iter().map(|path| format!("perhaps {}", tell(path))));
        missing.extend(self.reach.gaps.iter().cloned());
        let broken = sure.iter().map(tell).collect();
        control(head, broken, missing, if sure.is_empty() { unproven } else { sure })
    }

    fn least_privilege(&self) -> Control {
        use crate::facts::Harm::{DenyRestore, Destroy, Disable, Hijack};
        let title = "Nobody outside their account can destroy, disable or take over backup keys";
        self.by_paths(("MIN-3", title, Level::Minimum), self.no_keys(), &|actor, path| {
            let outside = actor.account().is_none_or(|account| !self.key_accounts.contains(&account));
            outside && matches!(path.deed.harm, Destroy | Disable | Hijack | DenyRestore)
        })
    }

    fn zero_trust(&self) -> Control {
        let (mut broken, mut missing) = (Vec::new(), self.no_keys());
        for id in &self.key_accounts {
            let Some(account) = self.graph.estate().accounts.get(id) else { continue };
            match account.root.access_keys {
                Some(true) => broken.push(format!("the root user of {id} has access keys")),
                None => missing.push(format!("whether the root user of {id} has access keys")),
                Some(false) => {}
            }
            match account.root.mfa {
                Some(false) => broken.push(format!("the root user of {id} has no second factor")),
                None => missing.push(format!("whether the root user of {id} has a second factor")),
                Some(true) => {}
            }
        }
        // A role over keys, taken from another account without any condition: no factor, no place, no tag.
        let inside =
            |account: Option<AccountId>| account.is_some_and(|account| self.key_accounts.contains(&account));
        let is_bare = |edge: &crate::graph::Edge| {
            edge.step.id == "trust"
                && edge.step.certainty == Certainty::Proven
                && inside(edge.to.account())
                && edge.from.account() != edge.to.account()
        };
        let (sure, _) = self.paths(&|_, path| path.edges.iter().any(is_bare));
        let bare: BTreeSet<String> = sure
            .iter()
            .flat_map(|path| &path.edges)
            .filter(|edge| is_bare(edge))
            .map(|edge| format!("{} takes {} under no condition", edge.from, edge.to))
            .collect();
        broken.extend(bare);
        missing.extend(self.reach.gaps.iter().cloned());
        let title = "Zero trust: nobody from elsewhere takes a role over keys without conditions";
        control(("MIN-4", title, Level::Minimum), broken, missing, sure)
    }

    fn compromised(&self, id: &'static str, title: &'static str, function: Function) -> Control {
        let accounts: BTreeSet<AccountId> = self.functions.all(function).collect();
        let mut missing = self.no_keys();
        if accounts.is_empty() {
            missing.push(format!("no account is known to be for {function}: say so with its number"));
        }
        missing.extend(self.graph.gaps(&accounts));
        self.by_paths((id, title, Level::Minimum), missing, &|actor, _| {
            actor.account().is_some_and(|account| accounts.contains(&account))
        })
    }

    fn own_organisation(&self) -> Control {
        let (mut broken, mut missing) = (Vec::new(), self.no_keys());
        let others = [Function::Production, Function::Business, Function::DevOps, Function::Infrastructure];
        let others: Vec<AccountId> =
            others.into_iter().flat_map(|function| self.functions.all(function)).collect();
        for id in &self.key_accounts {
            let Some(organisation) = self.graph.estate().organisation_of(*id) else {
                missing.push(format!("the organisation of {id} was not collected"));
                continue;
            };
            for other in others.iter().filter(|other| organisation.members.contains_key(other)) {
                let function = self.functions.get(*other);
                broken.push(format!("{other}, for {function}, is in the organisation of {id}"));
            }
            let members = organisation.members.keys();
            let unknown = members.filter(|member| self.functions.get(**member) == Function::Unknown);
            missing
                .extend(unknown.map(|member| format!("what {member}, in the organisation of {id}, is for")));
        }
        let head = ("HIGH-1", "Backup keys are in an out-of-band organisation", Level::High);
        control(head, broken, missing, Vec::new())
    }

    fn no_crossover(&self) -> Control {
        let estate = self.graph.estate();
        let organisations: BTreeSet<&str> =
            self.key_accounts.iter().filter_map(|id| estate.organisation_of(*id)).map(|of| &*of.id).collect();
        let mut missing = self.no_keys();
        let mut others =
            self.functions.all(Function::Production).chain(self.functions.all(Function::Business));
        let is_other = |id| estate.organisation_of(id).is_some_and(|of| !organisations.contains(&*of.id));
        if !others.any(is_other) {
            missing.push("no other organisation was collected from which a path could cross".into());
        }
        let head = ("HIGH-2", "No path crosses from another organisation to backup keys", Level::High);
        self.by_paths(head, missing, &|actor, path| {
            let elsewhere = |actor: &Actor| match actor.account() {
                Some(account) => {
                    estate.organisation_of(account).is_none_or(|of| !organisations.contains(&*of.id))
                }
                // Directories are looked at where they lead.
                None => matches!(actor, Actor::Anybody),
            };
            elsewhere(actor) || path.through().any(elsewhere)
        })
    }

    fn apart_from_production(&self) -> Control {
        let (mut broken, mut missing) = (Vec::new(), self.no_keys());
        for id in &self.key_accounts {
            let Some(account) = self.graph.estate().accounts.get(id) else { continue };
            let others = account.keys.values().filter(|key| {
                key.manager != Some(crate::estate::KeyManager::Aws) && !self.keys.contains(&key.arn)
            });
            broken
                .extend(others.map(|key| format!("{} is in {id} beside backup keys, and is none", key.arn)));
            if self.extent(&Scope::Account(*id), Kind::Keys) != Extent::Whole {
                missing.push(format!("all keys of {id}"));
            }
        }
        let production: BTreeSet<AccountId> = self.functions.all(Function::Production).collect();
        let (sure, _) = self.paths(&|actor, path| {
            path.edges.is_empty() && actor.account().is_some_and(|account| production.contains(&account))
        });
        broken.extend(sure.iter().map(tell));
        missing.extend(self.reach.gaps.iter().cloned());
        let head = ("HIGH-3", "Backup keys are kept and managed apart from production keys", Level::High);
        control(head, broken, missing, sure)
    }
}

/// A path in a line.
pub(super) fn tell(path: &Path) -> String {
    let through: String = path.edges.iter().map(|edge| format!(" → {}", edge.to)).collect();
    let (target, certainty) = (&path.deed.target, path.certainty.as_str());
    let does = match target {
        Target::Guard(account) => format!("take the organisation's policies off {account}"),
        target => format!("{} {}", harm_word(path.deed.harm), target.name()),
    };
    format!("{}{through} → {does} ({certainty})", path.from)
}
