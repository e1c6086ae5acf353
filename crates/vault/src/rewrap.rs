//! Wrapping the keys of a vault again after its policies changed. No pack is touched.
//!
//! - Every epoch whose newest document is wrapped under another policy than the one in force gets a next generation.
//! - An epoch that is done is recognised by its policy, so an interrupted rewrap goes on where it was.
//! - Old generations and old keyrings, which the keyholders of before could still open, are removed last, where the
//!   store lets them be.

use crate::{
    access::Vault,
    changes::{Authority, Dangers},
    epochs::{newest_generations, read_generation, unwrap_epoch},
    error::{Result, VaultError},
    store::Put,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use strongroom_custody::{Custody, Reason, compare};
use strongroom_format::{
    Damage, ObjectHash, Secret32,
    context::{Context, Purpose},
    epoch::Epoch,
    group::Owner,
    keyring::{DatasetRecord, Keyring},
    keys::WriteKeys,
    limits::DOCUMENT_MAX,
    names::{self, DatasetNames},
};

/// A key that is not wrapped under the policy in force.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stale {
    /// The signing key of the vault.
    Signing,
    /// The write key of a dataset.
    WriteKey(String),
    /// The read key of an epoch of a dataset.
    Epoch(String, u32),
}

/// What a rewrap did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Epochs that were wrapped again.
    pub epochs: u32,
    /// Signing and write keys that were wrapped again.
    pub others: u32,
    /// Keyholders that nothing names any more, and that were removed from the keyring.
    pub removed: Vec<String>,
    /// Documents of before that were deleted, and the hashes of their bytes.
    pub deleted: BTreeMap<String, ObjectHash>,
    /// Documents of before that keyholders can open who could not open anything otherwise: they go by a change
    /// whose time has come `[V-14]`.
    pub locked: Vec<String>,
    /// Documents of before that the store would not delete: whom they name can still open what they hold.
    pub kept: Vec<String>,
}

impl Vault {
    /// Every key that is not wrapped under the policy in force. Needs no key.
    ///
    /// # Errors
    /// Where an epoch's document is damaged, or the store fails.
    pub async fn stale_keys(&self) -> Result<Vec<Stale>> {
        let mut stale = Vec::new();
        if self.keyring.signing.policy != self.keyring.read_policy {
            stale.push(Stale::Signing);
        }
        for dataset in &self.keyring.datasets {
            if dataset.write_key.policy != dataset.write_policy {
                stale.push(Stale::WriteKey(dataset.name.clone()));
            }
            for (number, epoch) in self.epochs(dataset).await? {
                if epoch.read_key.policy != dataset.read_policy {
                    stale.push(Stale::Epoch(dataset.name.clone(), number));
                }
            }
        }
        Ok(stale)
    }

    /// The newest document of every epoch of a dataset, in order.
    ///
    /// # Errors
    /// Where one is damaged, or the store fails.
    pub async fn epochs(&self, dataset: &DatasetRecord) -> Result<Vec<(u32, Epoch)>> {
        let owner = Owner { vault: self.keyring.vault, dataset: dataset.id };
        let newest = newest_generations(self.store.as_ref(), DatasetNames(dataset.id)).await?;
        let mut epochs = Vec::new();
        for (number, generation) in newest {
            let (epoch, _) = read_generation(self.store.as_ref(), owner, number, generation).await?;
            if (epoch.number, epoch.generation) != (number, generation) {
                let name = DatasetNames(dataset.id).epoch(number, generation);
                return Err(VaultError::damaged(name, "epoch", Damage::Field("number")));
            }
            epochs.push((number, epoch));
        }
        Ok(epochs)
    }

    /// Wraps everything that is stale under the policy in force; `progress` is told each epoch that is done. With
    /// `forget`, what stays of before is deleted, as far as that authority goes. Who has the seed of the signing key need not open it again.
    ///
    /// # Errors
    /// Where a keyholder refuses or the store fails. What is done stays done, and the next rewrap goes on.
    pub async fn rewrap(
        &mut self,
        custody: &Custody,
        reason: &Reason,
        seed: Option<Secret32>,
        forget: Option<Authority>,
        progress: &(dyn Fn(&str, u32) + Send + Sync),
    ) -> Result<Rewrapped> {
        let mut done = Rewrapped::default();
        for dataset in self.keyring.datasets.clone() {
            for (number, epoch) in self.epochs(&dataset).await? {
                if epoch.read_key.policy != dataset.read_policy {
                    self.rewrap_epoch(&dataset, &epoch, custody, reason).await?;
                    done.epochs += 1;
                    progress(&dataset.name, number);
                }
            }
        }
        let unused = self.unused_keyholders().await?;
        let is_stale = |dataset: &DatasetRecord| dataset.write_key.policy != dataset.write_policy;
        let keyring = &self.keyring;
        if keyring.signing.policy != keyring.read_policy
            || keyring.datasets.iter().any(is_stale)
            || !unused.is_empty()
        {
            let seed = match seed {
                Some(seed) => seed,
                None => self.signing_seed(custody, reason).await?,
            };
            let mut keyring = self.next_keyring();
            done.others = self.rewrap_keyring(&mut keyring, &seed, custody, reason).await?;
            keyring.keyholders.retain(|label, _| !unused.contains(label));
            self.publish(keyring, &seed).await?;
            done.removed = unused.into_iter().collect();
        }
        if let Some(authority) = forget {
            self.forget_old_documents(authority, &mut done).await?;
        }
        Ok(done)
    }

    async fn rewrap_epoch(
        &self,
        dataset: &DatasetRecord,
        epoch: &Epoch,
        custody: &Custody,
        reason: &Reason,
    ) -> Result<()> {
        let names = DatasetNames(dataset.id);
        let private = unwrap_epoch(epoch, &dataset.name, custody, reason).await?;
        let old = names.epoch(epoch.number, epoch.generation);
        let write_key = private
            .open_write_key(&epoch.write_key, &epoch.sealed_for())
            .map_err(|error| VaultError::format(&old, error))?;
        if write_key.commitment() != dataset.write_key.commitment {
            return Err(VaultError::damaged(old, "epoch", Damage::Field("write key")));
        }
        let context = Context {
            vault: self.keyring.vault,
            dataset: dataset.name.clone(),
            purpose: Purpose::Read,
            epoch: epoch.number,
        };
        let read_key = custody.wrap_key(&dataset.read_policy, &context, private.secret(), reason).await?;
        let next = Epoch { generation: epoch.generation + 1, read_key, ..epoch.clone() };
        let bytes = Bytes::from(next.encode(&WriteKeys::new(&write_key)));
        // Where another rewrap was faster, its document is as good.
        match self.store.put_new(&names.epoch(next.number, next.generation), bytes).await? {
            Put::Created | Put::Exists => Ok(()),
        }
    }

    /// Keyholders that no policy and no wrapped key names.
    async fn unused_keyholders(&self) -> Result<BTreeSet<String>> {
        let keyring = &self.keyring;
        let mut unused: BTreeSet<String> = keyring.keyholders.keys().cloned().collect();
        let mut policies = vec![keyring.read_policy.clone(), keyring.write_policy.clone()];
        for dataset in &keyring.datasets {
            policies.extend([dataset.read_policy.clone(), dataset.write_policy.clone()]);
            policies.extend(self.epochs(dataset).await?.into_iter().map(|(_, epoch)| epoch.read_key.policy));
        }
        for label in policies.iter().flat_map(|policy| policy.leaves()) {
            unused.remove(label);
        }
        Ok(unused)
    }

    /// Deletes the keyrings and epoch documents before those in force.
    async fn forget_old_documents(&self, authority: Authority, done: &mut Rewrapped) -> Result<()> {
        let in_force = names::keyring(self.keyring.version);
        let keyrings = self.store.list(names::KEYRING).await?;
        let mut old: Vec<String> =
            keyrings.into_iter().map(|object| object.name).filter(|name| *name < in_force).collect();
        for dataset in &self.keyring.datasets {
            let names = DatasetNames(dataset.id);
            let newest = newest_generations(self.store.as_ref(), names).await?;
            let listed = self.store.list(&names.epochs()).await?;
            let is_old = |name: &String| {
                names::parse_epoch(name).is_some_and(|(number, found)| newest.get(&number) != Some(&found))
            };
            old.extend(listed.into_iter().map(|object| object.name).filter(is_old));
        }
        if !matches!(authority, Authority::Ripe(_)) && self.keyring.time_lock() > 0 {
            let mut harmless = Vec::new();
            for name in old {
                match self.only_they_open(&name).await? {
                    true => done.locked.push(name),
                    false => harmless.push(name),
                }
            }
            old = harmless;
        }
        let (deleted, kept) = self.destroy(old).await?;
        done.deleted = deleted;
        done.kept = kept.into_iter().collect();
        Ok(())
    }

    /// Whether a document from before opens to keyholders who can open nothing of what is in force.
    async fn only_they_open(&self, name: &str) -> Result<bool> {
        let bytes = match self.store.get(name, DOCUMENT_MAX as u64).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let vault = self.keyring.vault;
        if name.starts_with(names::KEYRING) {
            // What is damaged opens nothing.
            let Ok(old) = Keyring::decode(&bytes, &vault) else { return Ok(false) };
            return Ok(!Dangers::between(&old, &self.keyring).lost.is_empty());
        }
        for dataset in &self.keyring.datasets {
            if !name.starts_with(&DatasetNames(dataset.id).epochs()) {
                continue;
            }
            let Ok(old) = Epoch::decode(&bytes, &Owner { vault, dataset: dataset.id }) else {
                return Ok(false);
            };
            let found = compare::compare(&old.read_key.policy, &dataset.read_policy);
            return Ok(found.lost.is_some() || found.is_unknown);
        }
        Ok(false)
    }
}
