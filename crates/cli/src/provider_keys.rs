//! What providers call the keys of keyholders: the names that trails and the ledger have in common.

use std::collections::BTreeMap;
use strongroom_custody::holders::{aws_kms, transit};
use strongroom_format::keyring::{KeyholderSpec, Parameter};

fn text<'a>(spec: &'a KeyholderSpec, name: &str) -> Option<&'a str> {
    match spec.parameters.get(name) {
        Some(Parameter::Text(text)) => Some(text),
        _ => None,
    }
}

/// The provider's name of a keyholder's key: an ARN; mount and name of a Transit key, without its server.
#[must_use]
pub fn of(spec: &KeyholderSpec) -> Option<String> {
    let key = text(spec, "key")?;
    Some(match spec.kind.as_str() {
        transit::KIND => format!("{}/{key}", text(spec, "mount").unwrap_or("transit").trim_matches('/')),
        _ => key.to_owned(),
    })
}

/// The same of all keyholders that have one, by label.
#[must_use]
pub fn by_label(keyholders: &BTreeMap<String, KeyholderSpec>) -> BTreeMap<String, String> {
    keyholders.iter().filter_map(|(label, spec)| Some((label.clone(), of(spec)?))).collect()
}

/// The places of Transit engines.
#[must_use]
pub fn mounts(keyholders: &BTreeMap<String, KeyholderSpec>) -> Vec<String> {
    let transit = keyholders.values().filter(|spec| spec.kind == transit::KIND);
    let mut mounts: Vec<String> =
        transit.map(|spec| text(spec, "mount").unwrap_or("transit").trim_matches('/').to_owned()).collect();
    mounts.sort_unstable();
    mounts.dedup();
    mounts
}

/// The keys that a trail can tell of, replicas included.
#[must_use]
pub fn with_trails(keyholders: &BTreeMap<String, KeyholderSpec>) -> Vec<String> {
    let mut keys = Vec::new();
    for spec in keyholders.values() {
        if [aws_kms::KIND, transit::KIND].contains(&spec.kind.as_str()) {
            keys.extend(of(spec));
        }
        if let Some(Parameter::List(replicas)) = spec.parameters.get("replicas") {
            keys.extend(replicas.iter().cloned());
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: &str, parameters: &[(&str, &str)]) -> KeyholderSpec {
        let parameters =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), Parameter::Text((*value).to_owned())));
        KeyholderSpec { kind: kind.into(), parameters: parameters.collect() }
    }

    #[test]
    fn names_are_those_of_trails() {
        let arn = "arn:aws:kms:eu-west-1:123456789012:key/1";
        let holders = BTreeMap::from([
            ("cloud".to_owned(), spec("aws-kms", &[("key", arn)])),
            ("bao".to_owned(), spec("transit", &[("key", "k"), ("address", "https://bao.example")])),
            ("other".to_owned(), spec("transit", &[("key", "k"), ("mount", "/team/transit/")])),
            ("words".to_owned(), spec("passphrase", &[])),
        ]);
        let names = by_label(&holders);
        assert_eq!(names.len(), 3);
        assert_eq!([&names["cloud"], &names["bao"], &names["other"]], [arn, "transit/k", "team/transit/k"]);
        assert_eq!(mounts(&holders), ["team/transit", "transit"]);
        assert_eq!(with_trails(&holders), [arn, "team/transit/k", "transit/k"]);
    }
}
