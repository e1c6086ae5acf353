//! What of a vault hangs on a key: which snapshots nobody could read without it, and which datasets nobody could back up.

use crate::commands::Context;
use crate::error::CliError;
use crate::provider_keys;
use crate::session::open_store;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use strongroom_format::epoch::Epoch;
use strongroom_format::group::Owner;
use strongroom_format::keyring::{KeyholderSpec, Keyring, Parameter, PolicyTree};
use strongroom_format::limits::DOCUMENT_MAX;
use strongroom_format::names::{self, DatasetNames};
use strongroom_trail::event::Event;
use strongroom_trail::names::same_key;
use strongroom_vault::VaultError;
use strongroom_vault::access::Vault;
use strongroom_vault::store::Store;
use tokio::runtime::Runtime;

/// What hangs on a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Blast {
    /// The keyholders that are this key.
    pub(super) keyholders: Vec<String>,
    /// Datasets in which it has a part.
    pub(super) datasets: Vec<Dataset>,
}

/// One dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Dataset {
    /// Its name.
    pub(super) dataset: String,
    /// All its snapshots.
    pub(super) snapshots: u64,
    /// Those that nobody can open without the key.
    pub(super) snapshots_lost: u64,
    /// The epochs of those, lost for the same reason, whether or not they have snapshots.
    pub(super) epochs_lost: Vec<u32>,
    /// Whether nobody can back up without it.
    pub(super) backups_stop: bool,
}

/// Whether a policy can still be met without these keyholders.
fn opens_without(policy: &PolicyTree, lost: &BTreeSet<&str>) -> bool {
    match policy {
        PolicyTree::Keyholder(label) => !lost.contains(label.as_str()),
        node => node.children().iter().filter(|child| opens_without(child, lost)).count() >= node.needed(),
    }
}

/// The keyholders that are a key.
pub(super) fn holders_of<'k>(keyholders: &'k BTreeMap<String, KeyholderSpec>, key: &str) -> Vec<&'k str> {
    let is_it = |spec: &KeyholderSpec| {
        provider_keys::of(spec).is_some_and(|own| same_key(&own, key))
            || matches!(spec.parameters.get("replicas"), Some(Parameter::List(list)) if list.iter().any(|one| one == key))
    };
    keyholders.iter().filter(|(_, spec)| is_it(spec)).map(|(label, _)| label.as_str()).collect()
}

/// What hangs on the keys of an event; `None` where there is no vault, or they are none of its keys.
pub(super) fn of(context: &Context, runtime: &Runtime, event: &Event) -> Result<Option<Blast>, CliError> {
    let Some(location) = &context.settings.location else { return Ok(None) };
    let store = open_store(runtime, &location.value)?;
    let vault = runtime.block_on(Vault::open(store))?;
    let keyring = vault.keyring();
    let lost: BTreeSet<&str> =
        event.keys.iter().flat_map(|key| holders_of(&keyring.keyholders, key)).collect();
    if lost.is_empty() {
        return Ok(None);
    }
    Ok(Some(runtime.block_on(without(vault.store().as_ref(), keyring, &lost))?))
}

async fn without(store: &dyn Store, keyring: &Keyring, lost: &BTreeSet<&str>) -> Result<Blast, VaultError> {
    let mut datasets = Vec::new();
    for record in &keyring.datasets {
        let names = DatasetNames(record.id);
        let mut generations: BTreeMap<u32, u32> = BTreeMap::new();
        for object in store.list(&names.epochs()).await? {
            if let Some((number, generation)) = names::parse_epoch(&object.name) {
                let known = generations.entry(number).or_default();
                *known = generation.max(*known);
            }
        }
        let owner = Owner { vault: keyring.vault, dataset: record.id };
        let mut epochs_lost = Vec::new();
        for (number, generation) in generations {
            let name = names.epoch(number, generation);
            let bytes = store.get(&name, DOCUMENT_MAX as u64).await?;
            // What cannot be read is lost already, and not by this key; `check` tells of it.
            if let Ok(epoch) = Epoch::decode(&bytes, &owner)
                && !opens_without(&epoch.read_key.policy, lost)
            {
                epochs_lost.push(number);
            }
        }
        let snapshots = store.list(&names.snapshots()).await?;
        let epochs: Vec<u32> =
            snapshots.iter().filter_map(|object| Some(names::parse_snapshot(&object.name)?.0)).collect();
        let snapshots_lost = epochs.iter().filter(|epoch| epochs_lost.contains(epoch)).count() as u64;
        let backups_stop = !opens_without(&record.write_key.policy, lost);
        let has_part = [&record.read_policy, &record.write_policy, &record.write_key.policy]
            .iter()
            .any(|policy| policy.leaves().any(|label| lost.contains(label)));
        if has_part || !epochs_lost.is_empty() {
            datasets.push(Dataset {
                dataset: record.name.clone(),
                snapshots: epochs.len() as u64,
                snapshots_lost,
                epochs_lost,
                backups_stop,
            });
        }
    }
    Ok(Blast { keyholders: lost.iter().map(|label| (*label).to_owned()).collect(), datasets })
}

impl Blast {
    /// Lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("keyholder {}", self.keyholders.join(", "))];
        for one in &self.datasets {
            let snapshots = match (one.snapshots_lost, one.snapshots) {
                (0, all) => format!("other keyholders still open its {all} snapshots"),
                (lost, all) if lost == all => format!("nobody could read any of its {all} snapshots"),
                (lost, all) => format!("nobody could read {lost} of its {all} snapshots"),
            };
            let backups = if one.backups_stop { "; no more backups" } else { "" };
            lines.push(format!("dataset {}: {snapshots}{backups}", crate::escape::text(&one.dataset)));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_still_open() {
        let leaf = |label: &str| PolicyTree::Keyholder(label.into());
        let policy = PolicyTree::Any(vec![
            leaf("kms"),
            PolicyTree::Threshold { needed: 2, of: vec![leaf("a"), leaf("b"), leaf("c")] },
        ]);
        for (lost, opens) in [
            (&["kms"][..], true),
            (&["kms", "a"], true),
            (&["kms", "a", "b"], false),
            (&["a", "b", "c"], true),
        ] {
            assert_eq!(opens_without(&policy, &lost.iter().copied().collect()), opens, "{lost:?}");
        }
        let all = PolicyTree::All(vec![leaf("a"), leaf("b")]);
        assert!(!opens_without(&all, &["b"].into()));
    }
}
