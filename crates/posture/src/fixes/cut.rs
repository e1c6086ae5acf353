//! The cheapest choice that hits every set.

use std::collections::BTreeSet;

/// Branches that are looked at before the best choice found so far is taken.
const BRANCHES_MAX: usize = 200_000;

/// A choice of elements, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The elements.
    pub elements: BTreeSet<usize>,
    /// Whether no other choice is cheaper.
    pub proven: bool,
}

/// The cheapest elements of which every set has one. Sets must not be empty.
pub(super) fn cheapest(sets: &[BTreeSet<usize>], cost: &dyn Fn(usize) -> u64) -> Choice {
    // Whoever hits a set hits all that contain it.
    let mut least: Vec<&BTreeSet<usize>> = Vec::new();
    let mut ordered: Vec<&BTreeSet<usize>> = sets.iter().collect();
    ordered.sort_by_key(|set| set.len());
    for set in ordered {
        if !least.iter().any(|known| known.is_subset(set)) {
            least.push(set);
        }
    }
    let mut search = Search { sets: least, cost, best: None, branches: 0 };
    search.descend(&mut Vec::new(), 0);
    let proven = search.branches < BRANCHES_MAX;
    let elements = search.best.map(|(_, elements)| elements).unwrap_or_default();
    Choice { elements: elements.into_iter().collect(), proven }
}

struct Search<'s> {
    sets: Vec<&'s BTreeSet<usize>>,
    cost: &'s dyn Fn(usize) -> u64,
    best: Option<(u64, Vec<usize>)>,
    branches: usize,
}

impl Search<'_> {
    fn descend(&mut self, chosen: &mut Vec<usize>, spent: u64) {
        self.branches += 1;
        if self.best.is_some() && self.branches >= BRANCHES_MAX {
            return;
        }
        let open: Vec<&BTreeSet<usize>> = self
            .sets
            .iter()
            .copied()
            .filter(|set| !chosen.iter().any(|element| set.contains(element)))
            .collect();
        let best = self.best.as_ref().map_or(u64::MAX, |(cost, _)| *cost);
        if spent.saturating_add(self.at_least(&open)) >= best {
            return;
        }
        let Some(next) = open.iter().min_by_key(|set| set.len()) else {
            self.best = Some((spent, chosen.clone()));
            return;
        };
        // First what hits most for its cost, so that a good choice is found early.
        let mut elements: Vec<usize> = next.iter().copied().collect();
        let hits = |element: usize| open.iter().filter(|set| set.contains(&element)).count();
        elements.sort_by_key(|element| (usize::MAX - hits(*element), (self.cost)(*element), *element));
        for element in elements {
            chosen.push(element);
            self.descend(chosen, spent + (self.cost)(element));
            chosen.pop();
        }
    }

    /// Sets that have nothing in common each cost one element of their own.
    fn at_least(&self, open: &[&BTreeSet<usize>]) -> u64 {
        let (mut used, mut sum) = (BTreeSet::new(), 0);
        for set in open {
            if set.iter().all(|element| !used.contains(element)) {
                used.extend(set.iter().copied());
                sum += set.iter().map(|element| (self.cost)(*element)).min().unwrap_or(0);
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cost(element: usize) -> u64 {
        1000 + element as u64 % 3
    }

    fn by_trying(sets: &[BTreeSet<usize>], elements: usize) -> u64 {
        let all = 0_u32..1 << elements;
        let chosen = |mask: u32, element: usize| mask & (1 << element) != 0;
        let hits =
            all.filter(|mask| sets.iter().all(|set| set.iter().any(|element| chosen(*mask, *element))));
        let costs = hits.map(|mask| (0..elements).filter(|element| chosen(mask, *element)).map(cost).sum());
        costs.min().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_other_choice_is_cheaper(
            sets in prop::collection::vec(prop::collection::btree_set(0_usize..10, 1..5), 0..12),
        ) {
            let choice = cheapest(&sets, &cost);
            prop_assert!(choice.proven);
            prop_assert!(sets.iter().all(|set| !set.is_disjoint(&choice.elements)));
            prop_assert_eq!(choice.elements.iter().copied().map(cost).sum::<u64>(), by_trying(&sets, 10));
        }
    }
}
