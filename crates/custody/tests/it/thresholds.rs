//! Keys under policies of which several keyholders are needed.

use crate::{
    context,
    custody::{Fake, custody, denied, reason},
    key,
};
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::Arc};
use strongroom_custody::{
    CountingObserver, CustodyError, Effort, HolderError, Operation,
    policy::{self, parse},
    review::is_satisfied,
};
use strongroom_format::keyring::{PolicyTree, WrappedKey};

const LABELS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn all() -> Vec<Fake> {
    LABELS.iter().map(|label| Fake::new(label, Effort::Local)).collect()
}

async fn wrapped(text: &str) -> WrappedKey {
    let custody = custody(all(), Arc::new(CountingObserver::default()));
    custody.wrap_key(&parse(text).unwrap(), &context(), &key(), &reason()).await.unwrap()
}

#[tokio::test]
async fn a_keyholder_below_a_threshold_never_sees_the_key() {
    let wrapped = wrapped("any(a, 2 of (b, c, any(d, all(e, f))))").await;
    for wrap in &wrapped.wraps {
        // These fakes do not encrypt.
        let has_key = wrap.blob == key().expose();
        assert_eq!(has_key, wrap.holder == "a", "{}", wrap.holder);
        assert_eq!(wrap.commitment.is_some(), wrap.holder != "a", "{}", wrap.holder);
    }
    let blob = |label: &str| wrapped.wrap_of(label).unwrap().blob.clone();
    assert_eq!(wrapped.wraps.len(), 6);
    assert_ne!(blob("e"), blob("f"));
    assert_ne!(blob("d"), blob("e"), "a share is split again below");
}

#[tokio::test]
async fn as_few_as_are_needed_are_asked_and_the_cheapest_first() {
    let wrapped = wrapped("2 of (a, b, c)").await;
    let seen = Arc::new(CountingObserver::default());
    let fakes =
        vec![Fake::new("a", Effort::Person), Fake::new("b", Effort::Local), Fake::new("c", Effort::Service)];
    let custody = custody(fakes, seen.clone());
    let opened = custody.unwrap_key(&wrapped, &context(), &reason()).await.unwrap();
    assert_eq!(opened.expose(), key().expose());
    let asked: Vec<String> = seen.intents().into_iter().map(|intent| intent.holder).collect();
    assert_eq!(asked, ["b", "c"]);
}

#[tokio::test]
async fn a_keyholder_that_refuses_is_replaced_by_another() {
    let wrapped = wrapped("2 of (a, b, c)").await;
    let fakes = vec![
        Fake::failing("a", Effort::Local, 9, denied),
        Fake::new("b", Effort::Device),
        Fake::new("c", Effort::Person),
    ];
    let opened = custody(fakes, Arc::new(CountingObserver::default()));
    let opened = opened.unwrap_key(&wrapped, &context(), &reason()).await.unwrap();
    assert_eq!(opened.expose(), key().expose());
}

#[tokio::test]
async fn nobody_is_asked_where_they_cannot_suffice() {
    let wrapped = wrapped("any(all(a, b), 2 of (c, d, e))").await;
    let seen = Arc::new(CountingObserver::default());
    let custody = custody(vec![Fake::new("a", Effort::Local), Fake::new("d", Effort::Local)], seen.clone());
    let error = custody.unwrap_key(&wrapped, &context(), &reason()).await.unwrap_err();
    assert_eq!(seen.calls(Operation::Unwrap), 0);
    let not_asked: BTreeSet<&str> = error
        .failures()
        .iter()
        .filter(|failure| matches!(failure.error, HolderError::NotAsked))
        .map(|failure| failure.holder.as_str())
        .collect();
    assert_eq!(not_asked, BTreeSet::from(["a", "d"]));
    assert_eq!(error.failures().len(), 5, "{error}");
}

#[tokio::test]
async fn a_wrong_share_is_told_with_its_keyholder() {
    let mut wrapped = wrapped("2 of (a, b, c)").await;
    let other = wrapped.wraps[2].blob.clone();
    wrapped.wraps[1].blob = other;
    let custody = custody(all(), Arc::new(CountingObserver::default()));
    let error = custody.unwrap_key(&wrapped, &context(), &reason()).await.unwrap_err();
    assert!(matches!(&error, CustodyError::Integrity { holder, .. } if holder == "b"), "{error}");
}

#[tokio::test]
async fn shares_of_another_key_are_refused() {
    let mut wrapped = wrapped("2 of (a, b, c)").await;
    let others = self::wrapped("2 of (a, b, c)").await;
    // Consistent among themselves, and not of the key that the document commits to.
    wrapped.commitment[0] ^= 1;
    wrapped.wraps = others.wraps;
    let custody = custody(all(), Arc::new(CountingObserver::default()));
    let error = custody.unwrap_key(&wrapped, &context(), &reason()).await.unwrap_err();
    assert!(
        matches!(&error, CustodyError::Integrity { holder, .. } if holder == "2 of (a, b, c)"),
        "{error}"
    );
}

fn trees() -> impl Strategy<Value = PolicyTree> {
    let leaf = Just(PolicyTree::Keyholder(String::new()));
    let tree = leaf.prop_recursive(3, 8, 3, |inner| {
        (prop::collection::vec(inner, 1..4), 0..6_u8).prop_map(|(children, kind)| match kind {
            0 | 1 => PolicyTree::Any(children),
            2 => PolicyTree::All(children),
            _ => PolicyTree::Threshold { needed: kind % children.len() as u8 + 1, of: children },
        })
    });
    tree.prop_filter_map("more leaves than labels", |mut tree| {
        name(&mut tree, &mut LABELS.iter()).then_some(tree)
    })
}

/// Gives every keyholder a label of its own.
fn name<'l>(tree: &mut PolicyTree, labels: &mut impl Iterator<Item = &'l &'l str>) -> bool {
    match tree {
        PolicyTree::Keyholder(label) => labels.next().map(|name| *label = (*name).to_owned()).is_some(),
        PolicyTree::Any(children)
        | PolicyTree::All(children)
        | PolicyTree::Threshold { of: children, .. } => {
            let mut named = true;
            for child in children {
                named = named && name(child, labels);
            }
            named
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn exactly_the_sets_that_satisfy_a_policy_open_it(tree in trees(), here in any::<u8>()) {
        policy::validate(&tree, LABELS).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let observer = Arc::new(CountingObserver::default());
            let everybody = custody(all(), observer.clone());
            let wrapped = everybody.wrap_key(&tree, &context(), &key(), &reason()).await.unwrap();
            let present: Vec<&'static str> =
                LABELS.iter().enumerate().filter(|(nth, _)| here >> nth & 1 == 1).map(|(_, label)| *label).collect();
            let some = present.iter().map(|label| Fake::new(label, Effort::Local)).collect();
            let opened = custody(some, observer).unwrap_key(&wrapped, &context(), &reason()).await;
            let may_open = is_satisfied(&tree, &|label| present.contains(&label));
            prop_assert_eq!(opened.is_ok(), may_open, "{} by {:?}", tree, present);
            if let Ok(opened) = opened {
                prop_assert_eq!(*opened.expose(), *key().expose());
            }
            Ok(())
        })?;
    }
}
