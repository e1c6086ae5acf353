//! What is unsafe or senseless about a policy, as far as the keyring and the keyholders tell.
//!
//! In scope: the same custodian in two seats, and whose loss takes away every way to open. Out of scope: who could
//! hurt a key at its provider, which the posture analysis tells.

use crate::{holder::Keyholder, policy::PolicyError};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use strongroom_format::keyring::{KeyholderSpec, Parameter, PolicyTree};

/// A danger that a policy has, and with which it still works.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Danger {
    /// One keyholder, without which nothing opens.
    Keyholder(String),
    /// One provider account, device or person, without which nothing opens, and the labels that hang on it.
    Custodian {
        /// What it is, such as `aws account 123456789012`.
        custodian: String,
        /// The keyholders that are lost with it.
        labels: Vec<String>,
    },
}

impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyholder(label) => {
                write!(f, "without `{label}` nothing can be opened: if it is lost, everything is lost")
            }
            Self::Custodian { custodian, labels } => write!(
                f,
                "the loss of {custodian} takes away every way to open: {} hang on it",
                labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

/// Refuses a policy in which one custodian sits in two seats.
///
/// # Errors
/// [`PolicyError::TwoSeats`].
pub fn check_seats(
    policy: &PolicyTree,
    keyholders: &BTreeMap<String, KeyholderSpec>,
) -> Result<(), PolicyError> {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for label in policy.leaves() {
        let Some(spec) = keyholders.get(label) else { continue };
        for identity in identities(spec) {
            match seen.insert((&spec.kind, identity), label) {
                Some(other) if other != label => {
                    let (first, second) = (other.to_owned(), label.to_owned());
                    return Err(PolicyError::TwoSeats { first, second });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The parameters by which two keyholders of a kind are one: public keys, recipients, key names.
fn identities(spec: &KeyholderSpec) -> Vec<&str> {
    const NAMES: [&str; 5] = ["public_key", "recipients", "rsa_public_key", "key", "replicas"];
    let told = spec.parameters.iter().filter(|(name, _)| NAMES.contains(&name.as_str()));
    // The name of a Transit key or of a key in an HSM says nothing without its server or token.
    let is_relative = ["transit", "pkcs11"].contains(&spec.kind.as_str());
    told.filter(|(name, _)| !(is_relative && name.as_str() == "key"))
        .flat_map(|(_, value)| match value {
            Parameter::Text(text) => std::slice::from_ref(text),
            Parameter::List(list) => list.as_slice(),
            Parameter::Number(_) => &[],
        })
        .map(String::as_str)
        .collect()
}

/// Whether a policy can be opened by the keyholders that `has` says yes to.
pub fn is_satisfied(policy: &PolicyTree, has: &dyn Fn(&str) -> bool) -> bool {
    match policy {
        PolicyTree::Keyholder(label) => has(label),
        node => node.children().iter().filter(|child| is_satisfied(child, has)).count() >= node.needed(),
    }
}

/// Everything whose loss alone takes away every way to open.
pub fn dangers<'h>(
    policy: &PolicyTree,
    holder: &dyn Fn(&str) -> Option<&'h dyn Keyholder>,
) -> BTreeSet<Danger> {
    let mut dangers = BTreeSet::new();
    let mut hanging: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for label in policy.leaves() {
        if !is_satisfied(policy, &|other| other != label) {
            dangers.insert(Danger::Keyholder(label.to_owned()));
        }
        if let Some(custodian) = holder(label).and_then(Keyholder::custodian) {
            hanging.entry(custodian).or_default().push(label.to_owned());
        }
    }
    for (custodian, labels) in hanging {
        let told = matches!(labels.as_slice(), [only] if dangers.contains(&Danger::Keyholder(only.clone())));
        if !told && !is_satisfied(policy, &|other| !labels.iter().any(|label| label == other)) {
            dangers.insert(Danger::Custodian { custodian, labels });
        }
    }
    dangers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::parse;

    fn spec(kind: &str, parameters: &[(&str, &str)]) -> KeyholderSpec {
        let parameters = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Parameter::Text((*value).to_owned())))
            .collect();
        KeyholderSpec { kind: kind.into(), parameters }
    }

    #[test]
    fn one_custodian_sits_in_one_seat() {
        let mut keyholders = BTreeMap::from([
            ("a".to_owned(), spec("file", &[("public_key", "AAAA")])),
            ("b".to_owned(), spec("file", &[("public_key", "BBBB")])),
            ("c".to_owned(), spec("file", &[("public_key", "AAAA")])),
        ]);
        let policy = parse("2 of (a, b, c)").unwrap();
        let two = |first: &str, second: &str| {
            Err(PolicyError::TwoSeats { first: first.into(), second: second.into() })
        };
        assert_eq!(check_seats(&policy, &keyholders), two("a", "c"));
        assert_eq!(check_seats(&parse("any(a, b)").unwrap(), &keyholders), Ok(()));
        let list = |items: &[&str]| KeyholderSpec {
            kind: "age".into(),
            parameters: BTreeMap::from([(
                "recipients".to_owned(),
                Parameter::List(items.iter().map(|item| (*item).to_owned()).collect()),
            )]),
        };
        keyholders.insert("a".into(), list(&["age1x", "age1y"]));
        keyholders.insert("c".into(), list(&["age1z", "age1y"]));
        assert_eq!(check_seats(&policy, &keyholders), two("a", "c"));
        let server = |address| spec("transit", &[("address", address), ("key", "backup")]);
        keyholders.insert("a".into(), server("https://one.example"));
        keyholders.insert("c".into(), server("https://two.example"));
        assert_eq!(check_seats(&policy, &keyholders), Ok(()));
    }

    #[test]
    fn what_alone_takes_everything_away() {
        let dangers = |text: &str| dangers(&parse(text).unwrap(), &|_| None);
        let only = |label: &str| BTreeSet::from([Danger::Keyholder(label.into())]);
        assert_eq!(dangers("a"), only("a"));
        assert_eq!(dangers("any(a, b)"), BTreeSet::new());
        assert_eq!(dangers("all(a, 2 of (b, c, d))"), only("a"));
        assert_eq!(dangers("2 of (b, c, d)"), BTreeSet::new());
    }
}
