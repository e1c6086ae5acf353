//! Changing the keyring: the next version, signed and put where nobody else was faster.

use crate::{
    access::{Vault, rfc3339_now},
    changes::{Authority, ChangeError, Dangers},
    error::{Result, VaultError},
    store::Put,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use strongroom_custody::{Custody, Reason, policy, review};
use strongroom_format::{
    ObjectHash, Secret32,
    context::{Context, Purpose, WHOLE_VAULT},
    keyring::{KeyholderSpec, Keyring, PolicyTree},
    names,
};

/// A change of who holds the keys. What is wrapped stays as it is until [`Vault::rewrap`].
#[derive(Debug, Clone, Default)]
pub struct PolicyChange {
    /// Keyholders to add.
    pub add: BTreeMap<String, KeyholderSpec>,
    /// The new read policy of the vault and of the datasets named, if it changes.
    pub read_policy: Option<PolicyTree>,
    /// The new write policy of the vault and of the datasets named, if it changes.
    pub write_policy: Option<PolicyTree>,
    /// The datasets that change with the vault; all of them where it is none.
    pub datasets: Option<Vec<String>>,
    /// What allows it, where it takes something away or makes something easier.
    pub authority: Authority,
}

impl PolicyChange {
    /// The keyholders and policies of `keyring` as this change makes them. Nothing is wrapped.
    pub(crate) fn apply_to(&self, keyring: &mut Keyring) {
        keyring.keyholders.extend(self.add.clone());
        let set = |policy: &mut PolicyTree, new: &Option<PolicyTree>| {
            if let Some(new) = new {
                *policy = new.clone();
            }
        };
        if self.datasets.is_none() {
            set(&mut keyring.read_policy, &self.read_policy);
            set(&mut keyring.write_policy, &self.write_policy);
        }
        let changes = |name: &String| self.datasets.as_ref().is_none_or(|names| names.contains(name));
        for dataset in keyring.datasets.iter_mut().filter(|dataset| changes(&dataset.name)) {
            set(&mut dataset.read_policy, &self.read_policy);
            set(&mut dataset.write_policy, &self.write_policy);
        }
    }
}

impl Vault {
    /// The context of the seed of the signing key.
    #[must_use]
    pub fn signing_context(&self) -> Context {
        let vault = self.keyring.vault;
        Context { vault, dataset: WHOLE_VAULT.into(), purpose: Purpose::Read, epoch: 0 }
    }

    /// Opens the seed of the signing key.
    ///
    /// # Errors
    /// Where the keyholders refuse.
    pub(crate) async fn signing_seed(&self, custody: &Custody, reason: &Reason) -> Result<Secret32> {
        Ok(custody.unwrap_key(&self.keyring.signing, &self.signing_context(), reason).await?)
    }

    /// The next version of the keyring, as it stands now.
    pub(crate) fn next_keyring(&self) -> Keyring {
        let mut keyring = self.keyring.clone();
        keyring.version += 1;
        keyring.previous = Some(self.keyring_hash);
        keyring.created = rfc3339_now();
        keyring.change = None;
        keyring
    }

    /// Signs a version that [`Vault::next_keyring`] began, and makes it the one in force.
    ///
    /// # Errors
    /// Where it breaks a rule of the format, somebody else was faster, or the store fails.
    pub(crate) async fn publish(&mut self, keyring: Keyring, seed: &Secret32) -> Result<()> {
        let name = names::keyring(keyring.version);
        let bytes = keyring.sign_and_encode(seed).map_err(|error| VaultError::format(&name, error))?;
        let hash = ObjectHash::of(&bytes);
        if self.store.put_new(&name, Bytes::from(bytes)).await? == Put::Exists {
            return Err(VaultError::Invalid(
                "somebody else changed the vault's keyring at the same time; run the command again".into(),
            ));
        }
        self.keyring = keyring;
        self.keyring_hash = hash;
        Ok(())
    }

    /// Changes keyholders and policies, and wraps the signing key and the write keys under the new policies.
    /// `custody` must know the keyholders that are added, too. The signing key is unwrapped, and each write key
    /// whose policy changes. Returns the seed of the signing key, for the rewrap that follows.
    ///
    /// # Errors
    /// Where a label is taken, a policy makes no sense, or a keyholder refuses: nothing is changed then.
    pub async fn change_policy(
        &mut self,
        change: PolicyChange,
        custody: &Custody,
        reason: &Reason,
    ) -> Result<Secret32> {
        let mut keyring = self.next_keyring();
        if let Some(label) = change.add.keys().find(|label| keyring.keyholders.contains_key(*label)) {
            return Err(VaultError::Invalid(format!(
                "there is a keyholder `{label}` already; a new one needs another name"
            )));
        }
        for name in change.datasets.iter().flatten() {
            self.record(name)?;
        }
        change.apply_to(&mut keyring);
        check_policies(&keyring)?;
        self.check_authority(&mut keyring, change.authority)?;
        let seed = self.signing_seed(custody, reason).await?;
        self.rewrap_keyring(&mut keyring, &seed, custody, reason).await?;
        self.publish(keyring, &seed).await?;
        Ok(seed)
    }

    /// Refuses what nothing allows, and notes the change that allows it.
    fn check_authority(&self, keyring: &mut Keyring, authority: Authority) -> Result<()> {
        let hours = self.keyring.time_lock();
        let dangers = Dangers::between(&self.keyring, keyring);
        let why = match authority {
            Authority::Ripe(id) => {
                keyring.change = Some(id);
                return Ok(());
            }
            _ if hours == 0 => return Ok(()),
            Authority::Revocation => dangers.lowered,
            Authority::Harmless => dangers.into_words(),
        };
        if why.is_empty() { Ok(()) } else { Err(ChangeError::Locked { hours, why }.into()) }
    }

    /// Wraps the signing key and the write keys again where their policy in `keyring` is another than that under
    /// which they are wrapped.
    pub(crate) async fn rewrap_keyring(
        &self,
        keyring: &mut Keyring,
        seed: &Secret32,
        custody: &Custody,
        reason: &Reason,
    ) -> Result<u32> {
        let mut rewrapped = 0;
        if keyring.signing.policy != keyring.read_policy {
            let context = self.signing_context();
            keyring.signing = custody.wrap_key(&keyring.read_policy, &context, seed, reason).await?;
            rewrapped += 1;
        }
        for dataset in keyring.datasets.iter_mut() {
            if dataset.write_key.policy == dataset.write_policy {
                continue;
            }
            let context = Context {
                vault: keyring.vault,
                dataset: dataset.name.clone(),
                purpose: Purpose::Write,
                epoch: 0,
            };
            let key = custody.unwrap_key(&dataset.write_key, &context, reason).await?;
            dataset.write_key = custody.wrap_key(&dataset.write_policy, &context, &key, reason).await?;
            rewrapped += 1;
        }
        // Keyholders that nothing names any more, wrapped keys of epochs included, are removed by a rewrap.
        Ok(rewrapped)
    }
}

fn check_policies(keyring: &Keyring) -> Result<()> {
    let known = || keyring.keyholders.keys().map(String::as_str);
    let datasets = keyring.datasets.iter().flat_map(|dataset| [&dataset.read_policy, &dataset.write_policy]);
    for policy in [&keyring.read_policy, &keyring.write_policy].into_iter().chain(datasets) {
        policy::validate(policy, known())
            .and_then(|()| review::check_seats(policy, &keyring.keyholders))
            .map_err(|error| VaultError::Custody(strongroom_custody::CustodyError::Policy(error)))?;
    }
    Ok(())
}
