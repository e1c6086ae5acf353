//! The attack graph: who can come to hurt a key or a backup, and step by step how.
//!
//! ```text
//! who may start ──step──▶ … ──step──▶ who does the harm ──harm──▶ key, vault, bucket, trail
//! ```
//!
//! In scope: actors and the steps between them ([`actor`], `steps`), who does harm directly (`harms`), paths backwards from
//! what is harmed ([`reach`]), and which credentials together close every way of a policy over keys ([`cover`]).
//!
//! Out of scope: printing, and whether a control is kept.
//!
//! A step is a [`Move`](crate::facts::Move) whose every need the evaluator was asked about, a trust policy, or something that
//! carries a role. Whoever has given itself new policies is another actor than before: it has any identity policy, and is
//! still bound by its boundary, the policies of the organisation and those of keys; a denial in its own policies makes
//! what follows unproven, because it may be able to take that away. Nobody is ever simply an administrator.
//!
//! Invariant: what is not known makes a step unproven, and never makes it vanish.

pub mod actor;
pub mod cover;
mod guards;
mod harms;
pub mod reach;
mod steps;
mod trust;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

pub use actor::Actor;
pub use reach::{Path, Reach, Reached};

use crate::estate::{AccountId, Estate, Scope};
use crate::evaluate::{Decision, Evaluator, Principal, Request, Step as Statement};
use crate::facts::{Delay, Harm};

/// How sure it is that a step can be made. The surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// Policies allow it, whatever is not known.
    Proven,
    /// Policies allow it under conditions that can hold.
    Conditional,
    /// It hangs on what was not collected, or is not documented.
    Unproven,
}

impl Certainty {
    fn of(decision: &Decision) -> Option<Self> {
        match decision {
            Decision::Allowed => Some(Self::Proven),
            Decision::AllowedIf(_) => Some(Self::Conditional),
            Decision::Unknown(_) => Some(Self::Unproven),
            Decision::Denied(_) => None,
        }
    }

    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Conditional => "conditional",
            Self::Unproven => "unproven",
        }
    }
}

/// One permission that a step takes: who asks whom for what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asked {
    /// Who asks.
    pub principal: Principal,
    /// Whether it has any identity policy by then.
    pub any_policy: bool,
    /// The action.
    pub action: Arc<str>,
    /// The resource.
    pub resource: Arc<str>,
    /// For actions on aliases: the keys behind it.
    pub alias_keys: Vec<Arc<str>>,
    /// Whether the policies of organisations were taken away before.
    pub unguarded: bool,
}

impl Asked {
    fn request(&self) -> Request {
        let mut request = Request::new(self.principal.clone(), &self.action, &self.resource);
        request.any_policy = self.any_policy;
        request.unguarded = self.unguarded;
        request.alias_keys.clone_from(&self.alias_keys);
        request
    }
}

/// How one actor becomes another, or does harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Stable id: of the move, or `trust`, `carries`, `assigned`, `member`, `root`.
    pub id: &'static str,
    /// What is done, as a sentence without its subject.
    pub what: Arc<str>,
    /// Who says that this is a way.
    pub citation: Arc<str>,
    /// Every permission that it takes.
    pub asked: Vec<Asked>,
    /// How sure it is.
    pub certainty: Certainty,
}

/// A step from one actor to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who makes it.
    pub from: Actor,
    /// Who the actor is afterwards.
    pub to: Actor,
    /// How.
    pub step: Rc<Step>,
}

/// What can be harmed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A KMS key, by ARN.
    Key(Arc<str>),
    /// A vault of AWS Backup, by ARN.
    Vault(Arc<str>),
    /// A bucket, by name.
    Bucket(Arc<str>),
    /// A trail, by ARN.
    Trail(Arc<str>),
    /// The policies of its organisation over an account, by its number.
    Guard(Arc<str>),
}

impl Target {
    /// Its ARN, or name.
    pub fn name(&self) -> &str {
        match self {
            Self::Key(name)
            | Self::Vault(name)
            | Self::Bucket(name)
            | Self::Trail(name)
            | Self::Guard(name) => name,
        }
    }
}

/// Harm that an actor does directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// Who.
    pub from: Actor,
    /// To what.
    pub target: Target,
    /// Which harm.
    pub harm: Harm,
    /// How long until nobody can undo it.
    pub delay: Option<Delay>,
    /// How.
    pub step: Rc<Step>,
}

/// Steps by whom they lead to.
type StepsInto = BTreeMap<Actor, Vec<Edge>>;

/// Which services may take which roles.
type Services = HashMap<(Arc<str>, &'static str), Option<Certainty>>;

/// Users and roles of an account whose own policies are about an action.
type Attempts = HashMap<(AccountId, &'static str), Rc<BTreeSet<Actor>>>;

/// Steps and deeds of an estate, found as they are asked for.
pub struct Graph<'e> {
    estate: &'e Estate,
    evaluator: Evaluator<'e>,
    trusts: trust::Trusts,
    /// By account: steps whose actors are in it, by whom they lead to.
    by_account: RefCell<HashMap<AccountId, Rc<StepsInto>>>,
    services: RefCell<Services>,
    attempts: RefCell<Attempts>,
    /// Whether the policies of organisations are taken away: what is there once somebody has done so.
    unguarded: bool,
    /// Accounts that policies on the way name, or let in.
    named: RefCell<BTreeSet<AccountId>>,
}

impl std::fmt::Debug for Graph<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").field("accounts", &self.estate.accounts.len()).finish_non_exhaustive()
    }
}

impl<'e> Graph<'e> {
    /// The graph of an estate.
    pub fn new(estate: &'e Estate) -> Self {
        Self {
            estate,
            evaluator: Evaluator::new(estate),
            trusts: trust::Trusts::new(estate),
            by_account: RefCell::default(),
            services: RefCell::default(),
            attempts: RefCell::default(),
            unguarded: false,
            named: RefCell::default(),
        }
    }

    /// The same, as if somebody had taken the policies of all organisations away.
    fn unguarded(estate: &'e Estate) -> Self {
        Self { unguarded: true, ..Self::new(estate) }
    }

    /// The estate.
    pub fn estate(&self) -> &'e Estate {
        self.estate
    }

    /// The evaluator.
    pub fn evaluator(&self) -> &Evaluator<'e> {
        &self.evaluator
    }

    /// Everything that can be harmed: keys that customers manage, backup vaults, buckets with a lock, trails.
    pub fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for account in self.estate.accounts.values() {
            let own = |key: &&crate::estate::Key| key.manager != Some(crate::estate::KeyManager::Aws);
            targets.extend(account.keys.values().filter(own).map(|key| Target::Key(Arc::clone(&key.arn))));
            targets.extend(account.vaults.keys().map(|arn| Target::Vault(Arc::clone(arn))));
            let locked = |bucket: &&crate::estate::Bucket| !matches!(bucket.lock, Some(None));
            targets.extend(
                account
                    .buckets
                    .values()
                    .filter(locked)
                    .map(|bucket| Target::Bucket(Arc::clone(&bucket.name))),
            );
            targets.extend(account.trails.keys().map(|arn| Target::Trail(Arc::clone(arn))));
        }
        targets.sort();
        targets.dedup();
        targets
    }

    /// The account that a target is in, where it is known.
    pub fn account_of(&self, target: &Target) -> Option<AccountId> {
        match target {
            Target::Bucket(name) => self
                .estate
                .accounts
                .iter()
                .find(|(_, account)| account.buckets.contains_key(name))
                .map(|(id, _)| *id),
            Target::Guard(account) => account.parse().ok(),
            other => crate::estate::Arn::parse(other.name())?.account(),
        }
    }

    /// The statements that allow a step, or that an answer hangs on, with file and line.
    pub fn evidence(&self, step: &Step) -> Vec<Statement> {
        let mut evidence = Vec::new();
        let mut seen = BTreeSet::new();
        for asked in &step.asked {
            let explanation = self.evaluator.explain(&asked.request());
            for statement in explanation.steps {
                let bears = matches!(
                    statement.matched,
                    crate::evaluate::Match::Applies | crate::evaluate::Match::AppliesIf(_)
                );
                let key = (statement.layer, Arc::clone(&statement.file), statement.line);
                if bears && seen.insert(key) {
                    evidence.push(statement);
                }
            }
        }
        evidence
    }

    /// Asks for one permission; `None` where it is denied.
    fn ask(&self, actor: &Actor, action: &str, resource: &str) -> Option<(Asked, Certainty)> {
        self.ask_alias(actor, action, resource, &[])
    }

    fn ask_alias(
        &self,
        actor: &Actor,
        action: &str,
        resource: &str,
        alias_keys: &[Arc<str>],
    ) -> Option<(Asked, Certainty)> {
        let asked = Asked {
            principal: actor.principal()?,
            any_policy: actor.has_any_policy(),
            action: action.into(),
            resource: resource.into(),
            alias_keys: alias_keys.to_vec(),
            unguarded: self.unguarded,
        };
        let certainty = Certainty::of(&self.evaluator.decide(&asked.request()))?;
        Some((asked, certainty))
    }

    /// Whether anything of the policies of an actor is about an action.
    fn may_attempt(&self, actor: &Actor, action: &str) -> bool {
        actor.has_any_policy()
            || actor.principal().is_some_and(|principal| self.evaluator.may_attempt(&principal, action))
    }

    /// Users and roles of an account whose own policies are about an action.
    fn attempters(&self, account: AccountId, action: &'static str) -> Rc<BTreeSet<Actor>> {
        if let Some(known) = self.attempts.borrow().get(&(account, action)) {
            return Rc::clone(known);
        }
        let all = self.principals(account).into_iter().filter(|actor| self.may_attempt(actor, action));
        let all: Rc<BTreeSet<Actor>> = Rc::new(all.collect());
        self.attempts.borrow_mut().insert((account, action), Rc::clone(&all));
        all
    }

    /// Whether an actor may attempt an action, from what is known of its account.
    fn attempts(&self, actor: &Actor, action: &'static str) -> bool {
        match (actor, actor.account()) {
            (Actor::User(_) | Actor::Role(_), Some(account)) => {
                self.attempters(account, action).contains(actor)
            }
            _ => true,
        }
    }

    /// How many are known who have given themselves any policy.
    fn empowered_count(&self) -> usize {
        let known = self.by_account.borrow();
        known
            .values()
            .flat_map(|steps| steps.keys())
            .filter(|actor| matches!(actor, Actor::Empowered(_)))
            .count()
    }

    /// Users and roles of an account, but for roles that only AWS's services can take.
    fn principals(&self, account: AccountId) -> Vec<Actor> {
        let Some(account) = self.estate.accounts.get(&account) else { return Vec::new() };
        let users = account.users.values().map(|user| Actor::User(Arc::clone(&user.arn)));
        let roles = account.roles.values().filter(|role| !role.is_service_linked());
        users.chain(roles.map(|role| Actor::Role(Arc::clone(&role.arn)))).collect()
    }

    /// What is missing of an account or organisation that paths hang on.
    pub fn gaps(&self, accounts: &BTreeSet<AccountId>) -> Vec<String> {
        reach::gaps(self.estate, accounts)
    }
}

/// The scope of an account.
fn scope(account: AccountId) -> Scope {
    Scope::Account(account)
}
