//! Shredding: destroying every wrap of an epoch, a dataset or the vault `[V-14.4]`.
//!
//! In scope: which snapshots die, what is destroyed in which order, and the certificate. Out of scope: copies that
//! somebody made before, and older versions that a store keeps: what they wrap can still be opened.

use crate::{
    access::Vault,
    changes::{ChangeError, Standing},
    check::affected::Taint,
    error::{Result, VaultError},
    handle::DatasetHandle,
    health::{Health, list_packs},
    index::Index,
    monitor::Monitor,
    prune::{self, Limit, PruneOptions},
    session, snapshots,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use strongroom_custody::{Custody, Reason};
use strongroom_format::{
    ObjectHash, Secret32,
    change::{Certificate, Shred, What},
    names::{self, DatasetNames},
    pack::KeyRecord,
};

/// What shredding epochs would cost.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// Snapshots that were made in these epochs, but for those that were rewritten since.
    pub of_these: Vec<snapshots::StoredSnapshot>,
    /// Snapshots of other epochs that die with them, because they share chunks.
    pub sharing: Vec<snapshots::StoredSnapshot>,
    /// Bytes in packs that nobody can open afterwards.
    pub bytes: u64,
}

/// Takes every group that is sealed to one of the epochs for lost; returns their length in bytes.
pub(crate) fn lose_epochs(index: &Index, health: &Health, epochs: &BTreeSet<u32>) -> Result<u64> {
    let mut bytes = 0;
    for run in index.runs() {
        for (ordinal, pack) in run.packs().iter().enumerate() {
            let lost =
                |key: &KeyRecord| matches!(key, KeyRecord::Session { epoch, .. } if epochs.contains(epoch));
            let keys: Vec<bool> = run.keys(ordinal as u32)?.iter().map(lost).collect();
            if !keys.contains(&true) {
                continue;
            }
            for nth in 0..pack.groups {
                let span = run.group(pack.first_group + nth)?;
                if keys.get(usize::from(span.key)) == Some(&true) {
                    health.lose_group(&pack.hash, nth);
                    bytes += u64::from(span.stored_len);
                }
            }
        }
    }
    Ok(bytes)
}

/// What dies with epochs of a dataset. Needs the write key; blocks.
///
/// # Errors
/// Where the dataset cannot be read.
pub fn preview(handle: &DatasetHandle, epochs: &BTreeSet<u32>) -> Result<Preview> {
    let reader = prune::whole_index(handle)?;
    let (listed, _) = list_packs(handle)?;
    let health = Health::new(reader.index(), &listed);
    let bytes = lose_epochs(&health.index, &health, epochs)?;
    let taint = Taint::new(handle, &reader, &health);
    let mut found = Preview { bytes, ..Preview::default() };
    for stored in snapshots::load(handle)?.good {
        // What was rewritten into another epoch needs nothing of its own any more.
        if !taint.leads_to_damage(&stored.snapshot.root)? {
            continue;
        }
        match epochs.contains(&stored.epoch) {
            true => found.of_these.push(stored),
            false => found.sharing.push(stored),
        }
    }
    Ok(found)
}

/// What a read key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exposure {
    /// The epoch.
    pub number: u32,
    /// Bytes in packs that are sealed to it.
    pub bytes: u64,
    /// Snapshots that cannot be read in full without it.
    pub snapshots: u64,
}

/// What the read key of each epoch opens, where it opens anything. Needs the write key; blocks.
///
/// # Errors
/// Where the dataset cannot be read.
pub fn exposure(handle: &DatasetHandle) -> Result<Vec<Exposure>> {
    let reader = prune::whole_index(handle)?;
    let (listed, _) = list_packs(handle)?;
    let snapshots = snapshots::load(handle)?.good;
    let index = reader.index();
    let mut epochs = BTreeSet::new();
    for run in index.runs() {
        for ordinal in 0..run.packs().len() {
            epochs.extend(run.keys(ordinal as u32)?.iter().filter_map(|key| match key {
                KeyRecord::Session { epoch, .. } => Some(*epoch),
                KeyRecord::Write { .. } => None,
            }));
        }
    }
    let mut exposed = Vec::new();
    for number in epochs {
        let health = Health::new(reader.index(), &listed);
        let bytes = lose_epochs(&health.index, &health, &BTreeSet::from([number]))?;
        let taint = Taint::new(handle, &reader, &health);
        let mut needed = 0;
        for stored in &snapshots {
            needed += u64::from(taint.leads_to_damage(&stored.snapshot.root)?);
        }
        exposed.push(Exposure { number, bytes, snapshots: needed });
    }
    Ok(exposed)
}

/// Removes the snapshots that died with shredded epochs, and all that nobody can open any more. Blocks.
fn sweep(
    handle: &DatasetHandle,
    dead: &Preview,
    epochs: &BTreeSet<u32>,
    monitor: &Monitor<'_>,
) -> Result<()> {
    let ids: Vec<ObjectHash> = dead.of_these.iter().chain(&dead.sharing).map(|stored| stored.id).collect();
    snapshots::remove(handle, &ids)?;
    let options = PruneOptions { max_unused: Limit::Bytes(0), ..PruneOptions::default() };
    prune::plan_without(handle, &options, epochs, monitor)?.execute(None, monitor).map(drop)
}

/// Carries out a shred of epochs: their documents are destroyed first, then what they leave behind is cleared away.
/// `handle` is the dataset's. Blocks: not for runtime threads.
///
/// # Errors
/// [`ChangeError`] where it may not be carried out; where keyholders refuse or the store fails.
pub fn shred_epochs(
    vault: &Vault,
    standing: &Standing,
    handle: &DatasetHandle,
    custody: &Custody,
    reason: &Reason,
    monitor: &Monitor<'_>,
) -> Result<Certificate> {
    let What::Shred(Shred::Epochs { id, epochs, .. }) = &standing.may_proceed()?.what else {
        return Err(VaultError::Bug("this change shreds no epochs"));
    };
    if *id != handle.owner.dataset {
        return Err(VaultError::Bug("this change is for another dataset"));
    }
    let (running, _) = session::read_sessions(handle, Timestamp::now())?;
    if !running.is_empty() {
        return Err(ChangeError::Running(running.len()).into());
    }
    let seed = handle.store.block_on(vault.signing_seed(custody, reason))?;
    let dead = preview(handle, epochs)?;
    let snapshots = dead.of_these.iter().chain(&dead.sharing).map(|stored| stored.object.clone()).collect();
    let listed = handle.store.list(&handle.names.epochs())?;
    let epoch_of = |name: &str| names::parse_epoch(name).map(|(number, _)| number);
    let newest = listed.iter().filter_map(|object| epoch_of(&object.name)).max();
    if newest.is_some_and(|newest| epochs.contains(&newest)) {
        // Backups go on in an epoch that stays.
        handle.store.block_on(vault.rotate(handle, custody, reason))?;
    }
    let doomed: Vec<String> = listed
        .into_iter()
        .map(|object| object.name)
        .filter(|name| epoch_of(name).is_some_and(|number| epochs.contains(&number)))
        .collect();
    let (destroyed, kept) = handle.store.block_on(vault.destroy(doomed))?;
    sweep(handle, &dead, epochs, monitor)?;
    handle.store.block_on(vault.certify(standing, destroyed, kept, snapshots, &seed))
}

impl Vault {
    /// Carries out a shred of a dataset or of the vault. Everything that holds a wrap is destroyed first, the keyring in
    /// force last; then the data, as far as the store deletes it.
    ///
    /// # Errors
    /// [`ChangeError`] where it may not be carried out; where keyholders refuse or the store fails.
    pub async fn shred(
        &mut self,
        standing: &Standing,
        custody: &Custody,
        reason: &Reason,
    ) -> Result<Certificate> {
        let seed = self.signing_seed(custody, reason).await?;
        match &standing.may_proceed()?.what {
            What::Shred(Shred::Vault) => self.shred_vault(standing, &seed).await,
            What::Shred(Shred::Dataset { id, .. }) => {
                let names = DatasetNames(*id);
                let mut next = self.next_keyring();
                next.datasets.retain(|dataset| dataset.id != *id);
                next.change = Some(standing.id);
                let snapshots = self.listed(&names.snapshots()).await?;
                if next.datasets.len() < self.keyring.datasets.len() {
                    self.publish(next, &seed).await?;
                }
                let in_force = names::keyring(self.keyring.version);
                let mut doomed = self.listed(&names.epochs()).await?;
                doomed.extend(self.listed(names::KEYRING).await?.into_iter().filter(|name| *name < in_force));
                let (destroyed, kept) = self.destroy(doomed).await?;
                self.clear(&names.everything()).await?;
                self.certify(standing, destroyed, kept, snapshots, &seed).await
            }
            _ => Err(VaultError::Bug("this change shreds neither a dataset nor the vault")),
        }
    }

    async fn shred_vault(&self, standing: &Standing, seed: &Secret32) -> Result<Certificate> {
        let in_force = names::keyring(self.keyring.version);
        let all = self.listed(names::DATASETS).await?;
        let is_in = |name: &str, folder: &str| name.split('/').nth(2) == Some(folder);
        let snapshots = all.iter().filter(|name| is_in(name, "snapshots")).cloned().collect();
        let mut doomed: BTreeSet<String> = all.into_iter().filter(|name| is_in(name, "epochs")).collect();
        doomed.extend(self.listed(names::KEYRING).await?.into_iter().filter(|name| *name != in_force));
        let (mut destroyed, mut kept) = self.destroy(doomed).await?;
        self.clear(names::DATASETS).await?;
        let (last, last_kept): (BTreeMap<_, _>, _) = self.destroy([in_force]).await?;
        destroyed.extend(last);
        kept.extend(last_kept);
        self.certify(standing, destroyed, kept, snapshots, seed).await
    }

    async fn listed(&self, folder: &str) -> Result<BTreeSet<String>> {
        Ok(self.store.list(folder).await?.into_iter().map(|object| object.name).collect())
    }

    /// Deletes data that nobody can open any more. What the store will not delete stays, and says nothing.
    async fn clear(&self, folder: &str) -> Result<()> {
        for object in self.store.list(folder).await? {
            let _ = self.store.delete(&object.name).await;
        }
        Ok(())
    }
}
