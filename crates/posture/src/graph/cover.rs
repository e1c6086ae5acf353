//! The blast radius of a policy over keys: the fewest credentials that together close every way to open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Actor, Certainty, Reach, Target};
use crate::facts::Harm;

/// A policy over keys, as a vault has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPolicy {
    /// A keyholder: the ARN of its key, or `None` where no provider holds it.
    Leaf {
        /// Its name in the vault.
        name: Arc<str>,
        /// The ARN of its key.
        key: Option<Arc<str>>,
    },
    /// So many of them have to open.
    Threshold {
        /// How many.
        needed: usize,
        /// Of whom.
        of: Vec<KeyPolicy>,
    },
}

impl KeyPolicy {
    /// Whether it still opens where these keys are gone.
    pub fn opens_without(&self, gone: &BTreeSet<Arc<str>>) -> bool {
        match self {
            Self::Leaf { key, .. } => key.as_ref().is_none_or(|key| !gone.contains(key)),
            Self::Threshold { needed, of } => {
                of.iter().filter(|part| part.opens_without(gone)).count() >= *needed
            }
        }
    }

    /// Its keys.
    pub fn keys(&self) -> BTreeSet<Arc<str>> {
        match self {
            Self::Leaf { key, .. } => key.iter().cloned().collect(),
            Self::Threshold { of, .. } => of.iter().flat_map(Self::keys).collect(),
        }
    }
}

/// What it takes to close every way of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cover {
    /// The fewest credentials: all smallest sets, at most a hundred, and the least sure step on their paths.
    Sets(Vec<(BTreeSet<Actor>, Certainty)>),
    /// No set of at most this many does.
    MoreThan(usize),
    /// No set does: there are keyholders that no provider holds.
    Never,
}

/// Most credentials of a set that are looked for.
pub const CREDENTIALS_MAX: usize = 4;
const SETS_MAX: usize = 100;

/// The smallest sets of actors, of those that count, who together do this harm to so many keys of a policy that nobody opens by it.
pub fn smallest(policy: &KeyPolicy, harm: Harm, reach: &Reach, counts: &dyn Fn(&Actor) -> bool) -> Cover {
    let keys = policy.keys();
    if policy.opens_without(&keys) {
        return Cover::Never;
    }
    let mut kills: BTreeMap<Actor, (BTreeSet<Arc<str>>, Certainty)> = BTreeMap::new();
    for key in &keys {
        let Some(reached) = reach.find(&Target::Key(Arc::clone(key)), harm) else { continue };
        for (actor, certainty, _) in reached.actors().filter(|(actor, ..)| counts(actor)) {
            let entry = kills.entry(actor.clone()).or_insert_with(|| (BTreeSet::new(), Certainty::Proven));
            entry.0.insert(Arc::clone(key));
            entry.1 = entry.1.max(certainty);
        }
    }
    // Those who kill the same keys stand for each other until sets are told.
    let mut classes: BTreeMap<BTreeSet<Arc<str>>, Vec<(Actor, Certainty)>> = BTreeMap::new();
    for (actor, (killed, certainty)) in kills {
        classes.entry(killed).or_default().push((actor, certainty));
    }
    let classes: Vec<_> = classes.into_iter().collect();
    for size in 1..=CREDENTIALS_MAX {
        let mut sets = Vec::new();
        choose(&classes, size, 0, &mut Vec::new(), &mut |chosen| {
            let gone: BTreeSet<Arc<str>> =
                chosen.iter().flat_map(|class| classes[*class].0.iter().cloned()).collect();
            if !policy.opens_without(&gone) {
                spell(&classes, chosen, &mut Vec::new(), &mut sets);
            }
        });
        if !sets.is_empty() {
            sets.sort();
            sets.dedup();
            sets.truncate(SETS_MAX);
            return Cover::Sets(sets);
        }
    }
    Cover::MoreThan(CREDENTIALS_MAX)
}

type Classes = [(BTreeSet<Arc<str>>, Vec<(Actor, Certainty)>)];

fn choose(
    classes: &Classes,
    size: usize,
    from: usize,
    chosen: &mut Vec<usize>,
    look: &mut dyn FnMut(&[usize]),
) {
    if chosen.len() == size {
        look(chosen);
        return;
    }
    for class in from..classes.len() {
        chosen.push(class);
        choose(classes, size, class + 1, chosen, look);
        chosen.pop();
    }
}

/// Every choice of one actor of each class.
fn spell(
    classes: &Classes,
    chosen: &[usize],
    actors: &mut Vec<(Actor, Certainty)>,
    sets: &mut Vec<(BTreeSet<Actor>, Certainty)>,
) {
    if sets.len() >= SETS_MAX {
        return;
    }
    let Some((class, rest)) = chosen.split_first() else {
        let certainty = actors.iter().map(|(_, certainty)| *certainty).max().unwrap_or(Certainty::Proven);
        sets.push((actors.iter().map(|(actor, _)| actor.clone()).collect(), certainty));
        return;
    };
    for actor in &classes[*class].1 {
        actors.push(actor.clone());
        spell(classes, rest, actors, sets);
        actors.pop();
    }
}
