//! Backwards from what is harmed: who gets there, by which shortest path, and what that hangs on.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use super::{Actor, Certainty, Deed, Edge, Graph, Target, scope};
use crate::estate::{AccountId, Estate, Extent, Kind, Scope};
use crate::facts::Harm;

/// Most steps of a path: longer ones are there, and nobody takes them.
const STEPS_MAX: usize = 12;

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

/// Somebody who gets there.
#[derive(Clone, Debug)]
struct Arrival {
    certainty: Certainty,
    steps: usize,
    /// The next step; `None` where the actor does the harm itself.
    next: Option<Edge>,
    deed: Rc<Deed>,
}

/// Who does one kind of harm to one target.
#[derive(Clone, Debug)]
pub struct Reached {
    /// To what.
    pub target: Target,
    /// Which harm.
    pub harm: Harm,
    arrivals: BTreeMap<Actor, Arrival>,
}

impl Reached {
    /// Everybody who gets there and can be captured, with how sure it is and in how many steps.
    pub fn actors(&self) -> impl Iterator<Item = (&Actor, Certainty, usize)> {
        let all = self.arrivals.iter().filter(|(actor, _)| actor.can_be_captured());
        all.map(|(actor, arrival)| (actor, arrival.certainty, arrival.steps + 1))
    }

    /// How sure it is that an actor gets there; `None` where it does not.
    pub fn certainty(&self, actor: &Actor) -> Option<Certainty> {
        self.arrivals.get(actor).map(|arrival| arrival.certainty)
    }

    /// The shortest path of an actor, among the surest.
    pub fn path(&self, from: &Actor) -> Option<Path> {
        let first = self.arrivals.get(from)?;
        let (mut edges, mut at) = (Vec::new(), first);
        while let Some(edge) = &at.next {
            edges.push(edge.clone());
            at = self.arrivals.get(&edge.to)?;
            if edges.len() > STEPS_MAX {
                return None;
            }
        }
        Some(Path { from: from.clone(), edges, deed: (*at.deed).clone(), certainty: first.certainty })
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
    /// Finds everybody who comes to harm one of these targets.
    pub fn reach(&self, targets: &[Target]) -> Reach {
        let mut deeds: Vec<Deed> = targets.iter().flat_map(|target| self.deeds(target)).collect();
        let mut into: HashMap<Actor, Vec<Edge>> = HashMap::new();
        // Steps of one account may show actors who do more in another, so until nothing is new.
        loop {
            let before = into.len();
            self.expand(&deeds, &mut into);
            let again: Vec<Deed> = targets.iter().flat_map(|target| self.deeds(target)).collect();
            if into.len() == before && again.len() == deeds.len() {
                break;
            }
            deeds = again;
            into.clear();
            self.expand(&deeds, &mut into);
            if into.len() == before {
                break;
            }
        }
        let mut by_harm: BTreeMap<(Target, Harm), Vec<Rc<Deed>>> = BTreeMap::new();
        let mut accounts: BTreeSet<AccountId> =
            targets.iter().filter_map(|target| self.account_of(target)).collect();
        for deed in deeds {
            by_harm.entry((deed.target.clone(), deed.harm)).or_default().push(Rc::new(deed));
        }
        accounts.extend(into.keys().filter_map(Actor::account));
        let steps = into.values().map(Vec::len).sum();
        let reached = by_harm
            .into_iter()
            .map(|((target, harm), deeds)| Reached { target, harm, arrivals: arrivals(&deeds, &into) })
            .collect();
        let above: BTreeSet<AccountId> = accounts.iter().flat_map(|account| self.above(*account)).collect();
        accounts.extend(above);
        Reach { reached, gaps: gaps(self.estate, &accounts), accounts, steps }
    }

    /// Finds all steps that lead, over any number of others, to somebody who does one of these deeds.
    fn expand(&self, deeds: &[Deed], into: &mut HashMap<Actor, Vec<Edge>>) {
        let mut waiting: VecDeque<Actor> = deeds.iter().map(|deed| deed.from.clone()).collect();
        while let Some(actor) = waiting.pop_front() {
            if into.contains_key(&actor) {
                continue;
            }
            let edges = self.into(&actor);
            waiting.extend(edges.iter().map(|edge| edge.from.clone()));
            into.insert(actor, edges);
        }
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
fn arrivals(deeds: &[Rc<Deed>], into: &HashMap<Actor, Vec<Edge>>) -> BTreeMap<Actor, Arrival> {
    let mut all: BTreeMap<Actor, Arrival> = BTreeMap::new();
    for limit in [Certainty::Proven, Certainty::Conditional, Certainty::Unproven] {
        // Everybody who is there by now may be gone through; who came by a surer way keeps it.
        let mut waiting: BTreeMap<usize, VecDeque<Actor>> = BTreeMap::new();
        for (actor, arrival) in &all {
            waiting.entry(arrival.steps).or_default().push_back(actor.clone());
        }
        for deed in deeds.iter().filter(|deed| deed.step.certainty <= limit) {
            if !all.contains_key(&deed.from) {
                let arrival = Arrival { certainty: limit, steps: 0, next: None, deed: Rc::clone(deed) };
                all.insert(deed.from.clone(), arrival);
                waiting.entry(0).or_default().push_back(deed.from.clone());
            }
        }
        while let Some((steps, mut actors)) = waiting.pop_first() {
            while let Some(actor) = actors.pop_front() {
                let Some(deed) = all.get(&actor).map(|arrival| Rc::clone(&arrival.deed)) else { continue };
                if steps + 1 >= STEPS_MAX {
                    continue;
                }
                for edge in into.get(&actor).into_iter().flatten().filter(|edge| edge.step.certainty <= limit)
                {
                    if all.contains_key(&edge.from) {
                        continue;
                    }
                    let arrival = Arrival {
                        certainty: limit,
                        steps: steps + 1,
                        next: Some(edge.clone()),
                        deed: Rc::clone(&deed),
                    };
                    all.insert(edge.from.clone(), arrival);
                    waiting.entry(steps + 1).or_default().push_back(edge.from.clone());
                }
            }
        }
    }
    all
}

/// What is missing of these accounts and of their organisations, and might add a path.
pub(super) fn gaps(estate: &Estate, accounts: &BTreeSet<AccountId>) -> Vec<String> {
    const OF_ACCOUNTS: [Kind; 19] = [
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
    ];
    const OF_ORGANISATIONS: [Kind; 9] = [
        Kind::Organisation,
        Kind::Tree,
        Kind::Members,
        Kind::Scps,
        Kind::Rcps,
        Kind::Delegations,
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
