//! What a new policy takes away, and what it makes easier, compared with the old one.
//!
//! In scope: sets of the old keyholders. Out of scope: keyholders that are new, which somebody who could open
//! everything has chosen to let in.

use crate::review::is_satisfied;
use std::collections::BTreeSet;
use strongroom_format::keyring::PolicyTree;

/// Most sets of keyholders that are compared; a policy with more is taken for a dangerous change.
const SETS_MAX: usize = 4096;

type Set<'a> = BTreeSet<&'a str>;

/// How a new policy differs from the old one, for the old keyholders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Keyholders who together could open, and no longer can.
    pub lost: Option<Vec<String>>,
    /// Keyholders who together could not open, and now can.
    pub lowered: Option<Vec<String>>,
    /// There are too many ways to open for a comparison.
    pub is_unknown: bool,
}

impl Difference {
    /// Whether nothing is taken away, and nothing made easier.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        *self == Self::default()
    }
}

/// The smallest sets that satisfy a policy; none where there are too many.
fn smallest_sets(policy: &PolicyTree) -> Option<Vec<Set<'_>>> {
    if let PolicyTree::Keyholder(label) = policy {
        return Some(vec![Set::from([label.as_str()])]);
    }
    // Of every prefix of the children: the sets that satisfy 0, 1, 2… of them.
    let needed = policy.needed();
    let mut by_count: Vec<Vec<Set<'_>>> = vec![Vec::new(); needed + 1];
    by_count[0].push(Set::new());
    for child in policy.children() {
        let sets = smallest_sets(child)?;
        for count in (0..needed).rev() {
            let joined: Vec<Set<'_>> = by_count[count]
                .iter()
                .flat_map(|known| sets.iter().map(move |set| known.union(set).copied().collect()))
                .take(SETS_MAX + 1)
                .collect();
            by_count[count + 1].extend(joined);
            if by_count[count + 1].len() > SETS_MAX {
                return None;
            }
        }
    }
    by_count.pop()
}

/// Compares two policies.
#[must_use]
pub fn compare(old: &PolicyTree, new: &PolicyTree) -> Difference {
    if old == new {
        return Difference::default();
    }
    let (Some(before), Some(after)) = (smallest_sets(old), smallest_sets(new)) else {
        return Difference { is_unknown: true, ..Difference::default() };
    };
    let known: Set<'_> = old.leaves().collect();
    let first = |sets: Vec<Set<'_>>, policy: &PolicyTree| {
        let opens = |set: &Set<'_>| is_satisfied(policy, &|label| set.contains(label));
        sets.into_iter()
            .filter(|set| set.is_subset(&known) && !opens(set))
            .min_by_key(|set| set.len())
            .map(|set| set.into_iter().map(str::to_owned).collect())
    };
    Difference { lost: first(before, new), lowered: first(after, old), is_unknown: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::parse;

    fn difference(old: &str, new: &str) -> (String, String) {
        let found = compare(&parse(old).unwrap(), &parse(new).unwrap());
        assert!(!found.is_unknown);
        let told = |set: Option<Vec<String>>| set.map_or(String::new(), |set| set.join("+"));
        (told(found.lost), told(found.lowered))
    }

    #[test]
    fn removing_lowering_and_raising_are_told_apart() {
        let pair = |lost: &str, lowered: &str| (lost.to_owned(), lowered.to_owned());
        assert_eq!(difference("any(a, b)", "any(b, a)"), pair("", ""));
        assert_eq!(difference("any(a, b)", "any(a, b, c)"), pair("", ""));
        assert_eq!(difference("any(a, b)", "a"), pair("b", ""));
        assert_eq!(difference("any(a, b)", "all(a, b)"), pair("a", ""));
        assert_eq!(difference("2 of (a, b, c)", "any(a, b, c)"), pair("", "a"));
        assert_eq!(difference("3 of (a, b, c)", "2 of (a, b, c)"), pair("", "a+b"));
        assert_eq!(difference("2 of (a, b, c)", "2 of (a, b, d)"), pair("a+c", ""));
        assert_eq!(difference("2 of (a, b, c)", "2 of (a, b, c, d)"), pair("", ""));
        assert_eq!(difference("any(k, 2 of (a, b, c))", "any(2 of (c, b, a), k)"), pair("", ""));
    }

    #[test]
    fn too_many_ways_are_never_harmless() {
        let of = |needed: usize| {
            let names: Vec<String> = (0..40).map(|nth| format!("k{nth}")).collect();
            format!("{needed} of ({})", names.join(", "))
        };
        assert!(!compare(&parse(&of(20)).unwrap(), &parse(&of(19)).unwrap()).is_harmless());
    }

    proptest::proptest! {
        /// The first set that differs is a real one, and where none is found, no set differs.
        #[test]
        fn agrees_with_trying_every_set(old in policies(), new in policies()) {
            let found = compare(&old, &new);
            let labels: Vec<&str> = old.leaves().collect::<Set<'_>>().into_iter().collect();
            let (mut lost, mut lowered) = (false, false);
            for bits in 0..1u32 << labels.len() {
                let has = |label: &str| {
                    labels.iter().position(|known| *known == label).is_some_and(|nth| bits >> nth & 1 == 1)
                };
                let (before, after) = (is_satisfied(&old, &has), is_satisfied(&new, &has));
                lost |= before && !after;
                lowered |= after && !before;
            }
            proptest::prop_assert_eq!((found.lost.is_some(), found.lowered.is_some()), (lost, lowered));
        }
    }

    fn policies() -> impl proptest::strategy::Strategy<Value = PolicyTree> {
        use proptest::{collection::vec, prelude::*};
        let leaf = "[a-e]".prop_map(PolicyTree::Keyholder);
        leaf.prop_recursive(3, 10, 4, |inner| {
            (vec(inner, 1..4), any::<u8>()).prop_map(|(of, pick)| {
                let needed = pick % of.len() as u8 + 1;
                PolicyTree::Threshold { needed, of }
            })
        })
    }
}
