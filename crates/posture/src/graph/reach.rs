//! Backwards from what is harmed: who gets there, by which shortest path, and what that hangs on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::{Actor, Certainty, Deed, Edge, Graph, Target, scope};
use crate::estate::{AccountId, Estate, Extent, Kind, Scope};
use crate::facts::Harm;

/// Most steps of a path: longer ones are there, and nobody takes them.
const STEPS_MAX: u16 = 12;

/// A way from somebody who can be captured to a harm.
#[derive(Clone, Debug)]
pub struct Path {
    /// Where it begins.
    pub from: Actor,
    /// The steps.
    pub edges: Vec<Edge>,
    /// The harm at its end.
    pub deed: Deed,
    /// How sure the least sure of it is.
    pub certainty: Certainty,
}

impl Path {
    /// Who is on the way, without the first.
    pub fn through(&self) -> impl Iterator<Item = &Actor> {
        self.edges.iter().map(|edge| &edge.to)
    }
}

/// Everybody who is on some way, numbered, with the steps that lead to each.
#[derive(Debug, Default)]
struct Ways {
    actors: Vec<Actor>,
    numbers: HashMap<Actor, u32>,
    /// By number of who they lead to: the number of who makes the step, and the step.
    into: Vec<Vec<(u32, Edge)>>,
}

impl Ways {
    fn number(&mut self, actor: &Actor) -> u32 {
        if let Some(number) = self.numbers.get(actor) {
            return *number;
        }
        let number = u32::try_from(self.actors.len()).unwrap_or(u32::MAX);
        self.actors.push(actor.clone());
        self.numbers.insert(actor.clone(), number);
        self.into.push(Vec::new());
        number
    }
}

/// Somebody who gets there: how surely, in how many steps, by which next step, to which deed.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    certainty: Certainty,
    steps: u16,
    /// Who leads on, and the place of the step among those that lead to them; `None` where the actor does it itself.
    next: Option<(u32, u32)>,
    deed: u32,
}

/// Who does one kind of harm to one target.
#[derive(Clone, Debug)]
pub struct Reached {
    /// To what.
    pub target: Target,
    /// Which harm.
    pub harm: Harm,
    ways: Rc<Ways>,
    deeds: Vec<Deed>,
    arrivals: HashMap<u32, Arrival>,
}

impl Reached {
    /// Everybody who gets there and can be captured, with how sure it is and in how many steps, in order.
    pub fn actors(&self) -> impl Iterator<Item = (&Actor, Certainty, usize)> {
        let mut all: Vec<_> = self
            .arrivals
            .iter()
            .map(|(number, arrival)| (&self.ways.actors[*number as usize], arrival))
            .filter(|(actor, _)| actor.can_be_captured())
            .map(|(actor, arrival)| (actor, arrival.certainty, usize::from(arrival.steps) + 1))
            .collect();
        all.sort();
        all.into_iter()
    }

    fn arrival(&self, actor: &Actor) -> Option<&Arrival> {
        self.arrivals.get(self.ways.numbers.get(actor)?)
    }

    /// How sure it is that an actor gets there; `None` where it does not.
    pub fn certainty(&self, actor: &Actor) -> Option<Certainty> {
        self.arrival(actor).map(|arrival| arrival.certainty)
    }

    /// The shortest path of an actor, among the surest.
    pub fn path(&self, from: &Actor) -> Option<Path> {
        let first = self.arrival(from)?;
        let (mut edges, mut at) = (Vec::new(), first);
        while let Some((to, place)) = at.next {
            edges.push(self.ways.into[to as usize][place as usize].1.clone());
            at = self.arrivals.get(&to)?;
        }
        let deed = self.deeds[at.deed as usize].clone();
        Some(Path { from: from.clone(), edges, deed, certainty: first.certainty })
    }
}

/// Everything that was found: targets, harms, who does them, and what is missing.
#[derive(Debug)]
pub struct Reach {
    /// For each target and harm, in order.
    pub reached: Vec<Reached>,
    /// What was not collected and might add somebody; empty where "nobody" means nobody.
    pub gaps: Vec<String>,
    /// Accounts from which something leads to a target.
    pub accounts: BTreeSet<AccountId>,
    /// Steps that were found.
    pub steps: usize,
    /// Harm that nobody does while the policies of the organisation stand, by somebody who takes them away first.
    pub unguarded: Vec<Path>,
    /// Harm that takes two: one who takes the policies of the organisation away, and one who does the rest. By target and
    /// harm: how many pairs there are, and the first.
    pub together: Vec<Together>,
}

/// Harm that takes two captured credentials.
#[derive(Clone, Debug)]
pub struct Together {
    /// Who takes the guard away, and how.
    pub lifts: Path,
    /// Who does the rest, once it is gone.
    pub does: Path,
    /// How many others could be in the second one's place.
    pub others: usize,
}

impl Reach {
    /// What an actor can do: every harm, with its path.
    pub fn of(&self, actor: &Actor) -> Vec<Path> {
        self.reached.iter().filter_map(|reached| reached.path(actor)).collect()
    }

    /// The entry for a target and a harm.
    pub fn find(&self, target: &Target, harm: Harm) -> Option<&Reached> {
        self.reached.iter().find(|reached| reached.target == *target && reached.harm == harm)
    }
}

impl Graph<'_> {
    /// Finds everybody who comes to harm one of these targets, with the policies of organisations in force, by taking
    /// them away first, and together with somebody who does.
    pub fn reach(&self, targets: &[Target]) -> Reach {
        let mut reach = self.guarded(targets);
        self.look_behind_guards(targets, &mut reach);
        reach
    }

    /// Finds everybody who comes to harm one of these targets as things stand.
    pub(super) fn guarded(&self, targets: &[Target]) -> Reach {
        // Whose steps are known shows who gives itself new policies, who may then do harm in other accounts: so until
        // nobody new is found.
        for account in targets.iter().filter_map(|target| self.account_of(target)).collect::<BTreeSet<_>>() {
            for account in self.above(account).into_iter().chain([account]) {
                self.steps_of(account);
            }
        }
        let (deeds, ways) = loop {
            let before = self.empowered_count();
            let deeds: Vec<Deed> = targets.iter().flat_map(|target| self.deeds(target)).collect();
            let ways = self.expand(&deeds);
            if self.empowered_count() == before {
                break (deeds, ways);
            }
        };
        let mut by_harm: BTreeMap<(Target, Harm), Vec<Deed>> = BTreeMap::new();
        let mut accounts: BTreeSet<AccountId> =
            targets.iter().filter_map(|target| self.account_of(target)).collect();
        for deed in deeds {
            by_harm.entry((deed.target.clone(), deed.harm)).or_default().push(deed);
        }
        accounts.extend(ways.actors.iter().filter_map(Actor::account));
        accounts.extend(self.named.borrow().iter());
        let steps = ways.into.iter().map(Vec::len).sum();
        let ways = Rc::new(ways);
        let reached = by_harm
            .into_iter()
            .map(|((target, harm), deeds)| {
                let arrivals = arrivals(&deeds, &ways);
                Reached { target, harm, ways: Rc::clone(&ways), deeds, arrivals }
            })
            .collect();
        let above: BTreeSet<AccountId> = accounts.iter().flat_map(|account| self.above(*account)).collect();
        accounts.extend(above);
        Reach {
            reached,
            gaps: gaps(self.estate, &accounts),
            accounts,
            steps,
            unguarded: Vec::new(),
            together: Vec::new(),
        }
    }

    /// Finds all steps that lead, over any number of others, to somebody who does one of these deeds.
    fn expand(&self, deeds: &[Deed]) -> Ways {
        let mut ways = Ways::default();
        for deed in deeds {
            ways.number(&deed.from);
        }
        let mut next = 0;
        while let Some(actor) = ways.actors.get(next).cloned() {
            let edges = self.into(&actor);
            ways.into[next] = edges.into_iter().map(|edge| (ways.number(&edge.from), edge)).collect();
            next += 1;
        }
        ways
    }

    /// All steps that lead to an actor.
    fn into(&self, actor: &Actor) -> Vec<Edge> {
        let mut edges = Vec::new();
        let own = actor.account();
        let mut accounts: BTreeSet<AccountId> = own.into_iter().flat_map(|own| self.above(own)).collect();
        accounts.extend(own);
        if matches!(actor, Actor::DirectoryGroup(_)) {
            // The directory is managed from where its instance is, and from the management account.
            let with_instance = self.estate.accounts.iter().filter(|(_, account)| !account.sso.is_empty());
            accounts.extend(with_instance.map(|(id, _)| *id));
        }
        for account in accounts {
            edges.extend(self.steps_of(account).get(actor).into_iter().flatten().cloned());
        }
        match actor {
            Actor::Role(arn) => edges.extend(self.takers(arn)),
            Actor::DirectoryGroup(id) => edges.extend(self.members(id)),
            _ => {}
        }
        edges
    }
}

/// The surest and then the shortest way of everybody.
fn arrivals(deeds: &[Deed], ways: &Ways) -> HashMap<u32, Arrival> {
    let mut all: HashMap<u32, Arrival> = HashMap::new();
    let mut waiting: BTreeMap<(Certainty, u16), Vec<(u32, Arrival)>> = BTreeMap::new();
    for (place, deed) in (0..).zip(deeds) {
        let Some(number) = ways.numbers.get(&deed.from) else { continue };
        let arrival = Arrival { certainty: deed.step.certainty, steps: 0, next: None, deed: place };
        waiting.entry((arrival.certainty, 0)).or_default().push((*number, arrival));
    }
    // A longer way is never surer, so whoever is taken out first came by the best.
    while let Some(((certainty, steps), arrived)) = waiting.pop_first() {
        for (number, arrival) in arrived {
            if all.contains_key(&number) {
                continue;
            }
            all.insert(number, arrival);
            if steps + 1 >= STEPS_MAX {
                continue;
            }
            for (place, (from, edge)) in (0..).zip(&ways.into[number as usize]) {
                if !all.contains_key(from) {
                    let certainty = certainty.max(edge.step.certainty);
                    let next = Some((number, place));
                    let arrival = Arrival { certainty, steps: steps + 1, next, deed: arrival.deed };
                    waiting.entry((certainty, steps + 1)).or_default().push((*from, arrival));
                }
            }
        }
    }
    all
}

/// What is missing of these accounts and of their organisations, and might add a path.
pub(super) fn gaps(estate: &Estate, accounts: &BTreeSet<AccountId>) -> Vec<String> {
    const OF_ACCOUNTS: [Kind; 22] = [
        Kind::Users,
        Kind::Groups,
        Kind::Roles,
        Kind::ManagedPolicies,
        Kind::InstanceProfiles,
        Kind::OidcProviders,
        Kind::SamlProviders,
        Kind::Keys,
        Kind::KeyDescriptions,
        Kind::KeyPolicies,
        Kind::Grants,
        Kind::Aliases,
        Kind::Functions,
        Kind::Instances,
        Kind::TaskDefinitions,
        Kind::BuildProjects,
        Kind::GlueJobs,
        Kind::Notebooks,
        Kind::Stacks,
        Kind::StackSets,
        Kind::AppRunnerServices,
        Kind::GlueDevEndpoints,
    ];
    const OF_ORGANISATIONS: [Kind; 10] = [
        Kind::Organisation,
        Kind::Tree,
        Kind::Members,
        Kind::Scps,
        Kind::Rcps,
        Kind::Delegations,
        Kind::SsoInstances,
        Kind::PermissionSets,
        Kind::Assignments,
        Kind::Directory,
    ];
    let mut found = BTreeSet::new();
    let mut look = |scope: &Scope, kinds: &[Kind]| {
        for kind in kinds {
            let word = match estate.coverage.extent(scope, *kind) {
                Extent::Whole => continue,
                Extent::Partial => "partly collected",
                Extent::Absent => "not collected",
            };
            found.insert(format!("{scope}: {word}: aws {}", kind.call()));
        }
    };
    let mut organisations = BTreeSet::new();
    for account in accounts {
        look(&scope(*account), &OF_ACCOUNTS);
        match estate.organisation_of(*account) {
            Some(organisation) => {
                organisations.insert(organisation.id.clone());
            }
            None => look(&scope(*account), &[Kind::Organisation]),
        }
    }
    for organisation in organisations {
        look(&Scope::Organisation(organisation), &OF_ORGANISATIONS);
    }
    found.into_iter().collect()
}
