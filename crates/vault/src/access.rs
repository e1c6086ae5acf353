//! Making and opening vaults, datasets and epochs: where the engine meets custody.
//!
//! Every wrap and unwrap goes through [`Custody`]; this module decides which key is asked for, and how
//! often: once for a backup, once for each epoch that a restore touches.

use crate::{
    backup::format_time,
    epochs::{make_epoch, newest_epoch, newest_generations, put_epoch, read_epoch, unwrap_epoch},
    error::{Result, VaultError},
    handle::{DatasetHandle, Layout},
    read_keys::ReadKeys,
    sink::SessionKey,
    store::{Blocking, Put, Store},
};
use bytes::Bytes;
use jiff::{Timestamp, ToSpan};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use strongroom_custody::{Custody, Reason};
use strongroom_format::{
    Damage, DatasetId, Entropy, ObjectHash, Secret32, SystemEntropy,
    context::{Context, Purpose, WHOLE_VAULT, valid_label},
    epoch::Epoch,
    group::Owner,
    keyring::{DatasetRecord, KeyholderSpec, Keyring, PolicyTree, SigningPublicKey, VaultDocument},
    keys::WriteKeys,
    limits::DOCUMENT_MAX,
    names::{self, DatasetNames},
};
use tokio::runtime::Handle;

/// An open vault: its storage and its newest keyring, verified.
#[derive(Debug, Clone)]
pub struct Vault {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keyring: Keyring,
    pub(crate) keyring_hash: ObjectHash,
}

/// What a new dataset is made of.
#[derive(Debug, Clone)]
pub struct NewDataset {
    /// Its name.
    pub name: String,
    /// Who opens read keys; the vault's policy where it is not given.
    pub read_policy: Option<PolicyTree>,
    /// Who opens the write key; the vault's policy where it is not given.
    pub write_policy: Option<PolicyTree>,
    /// Length of an epoch in days.
    pub epoch_days: u32,
    /// How content is cut and packed.
    pub layout: Layout,
}

impl NewDataset {
    /// A dataset with the usual layout.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            read_policy: None,
            write_policy: None,
            epoch_days: 30,
            layout: Layout { chunk_min: 64 << 10, chunk_max: 448 << 10, pack_size: 32 << 20 },
        }
    }
}

/// What a new vault is made of.
#[derive(Debug, Clone)]
pub struct NewVault {
    /// The keyholders by their labels.
    pub keyholders: BTreeMap<String, KeyholderSpec>,
    /// Who opens read keys.
    pub read_policy: PolicyTree,
    /// Who opens write keys.
    pub write_policy: PolicyTree,
    /// Its first dataset.
    pub dataset: NewDataset,
    /// How long dangerous changes wait, in hours; the format's own default where it is not given.
    pub time_lock: Option<u32>,
}

pub(crate) fn rfc3339_now() -> String {
    format_time(Timestamp::now())
}

impl Vault {
    /// Makes a vault with one dataset.
    ///
    /// # Errors
    /// Where there is one already, a key cannot be wrapped, or the store fails.
    pub async fn create(
        store: Arc<dyn Store>,
        new: NewVault,
        custody: &Custody,
        reason: &Reason,
    ) -> Result<Self> {
        if store.stat(names::VAULT).await?.is_some() {
            let location = store.describe();
            return Err(match is_unfinished(store.as_ref()).await? {
                true => VaultError::Unfinished { location },
                false => VaultError::VaultExists { location },
            });
        }
        let seed = Secret32::random(&mut SystemEntropy);
        let signing_key = SigningPublicKey::of_seed(&seed);
        let document = VaultDocument { signing_key };
        let vault = document.vault();
        let context = Context { vault, dataset: WHOLE_VAULT.into(), purpose: Purpose::Read, epoch: 0 };
        let signing = custody.wrap_key(&new.read_policy, &context, &seed, reason).await?;
        let mut keyring = Keyring {
            version: 1,
            previous: None,
            vault,
            signing_key,
            created: rfc3339_now(),
            keyholders: new.keyholders,
            read_policy: new.read_policy,
            write_policy: new.write_policy,
            signing,
            datasets: Vec::new(),
            time_lock: new.time_lock,
            change: None,
        };
        let (record, epoch) = make_dataset(&keyring, &new.dataset, custody, reason).await?;
        keyring.datasets.push(record);
        let bytes = keyring.sign_and_encode(&seed).map_err(|e| VaultError::format(names::keyring(1), e))?;
        // The first object decides between two that make a vault at the same time.
        if store.put_new(names::VAULT, Bytes::from(document.encode())).await? == Put::Exists {
            return Err(VaultError::VaultExists { location: store.describe() });
        }
        put_epoch(store.as_ref(), &epoch).await?;
        let keyring_hash = ObjectHash::of(&bytes);
        put_own(store.as_ref(), &names::keyring(1), bytes).await?;
        Ok(Self { store, keyring, keyring_hash })
    }

    /// Opens a vault: reads its newest keyring and verifies the signature against the vault's id.
    ///
    /// # Errors
    /// Where there is no vault, it is damaged, or the store fails.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self> {
        let bytes = match store.get(names::VAULT, DOCUMENT_MAX as u64).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => {
                return Err(VaultError::NoVault { location: store.describe() });
            }
            Err(error) => return Err(error.into()),
        };
        let document = VaultDocument::decode(&bytes).map_err(|e| VaultError::format(names::VAULT, e))?;
        let listed = store.list(names::KEYRING).await?;
        let newest = listed.iter().filter_map(|object| names::parse_keyring(&object.name)).max();
        let Some(newest) = newest.map(names::keyring) else {
            if let Some(certificate) = store.list(names::CERTIFICATES).await?.pop() {
                return Err(VaultError::Shredded {
                    location: store.describe(),
                    certificate: certificate.name,
                });
            }
            return Err(match is_unfinished(store.as_ref()).await? {
                true => VaultError::Unfinished { location: store.describe() },
                false => VaultError::MissingObject { name: names::keyring(1) },
            });
        };
        let bytes = store.get(&newest, DOCUMENT_MAX as u64).await?;
        let keyring =
            Keyring::decode(&bytes, &document.vault()).map_err(|e| VaultError::format(&newest, e))?;
        if newest != names::keyring(keyring.version) {
            return Err(VaultError::damaged(&newest, "keyring", Damage::Field("version")));
        }
        Ok(Self { store, keyring, keyring_hash: ObjectHash::of(&bytes) })
    }

    /// The newest keyring.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The storage.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Adds a dataset: a new version of the keyring, for which the signing key is unwrapped.
    ///
    /// # Errors
    /// Where the name is taken, a key cannot be wrapped or unwrapped, or somebody else changes the keyring at
    /// the same time.
    pub async fn add_dataset(&mut self, new: &NewDataset, custody: &Custody, reason: &Reason) -> Result<()> {
        if self.keyring.dataset(&new.name).is_some() {
            return Err(VaultError::DatasetExists { name: new.name.clone() });
        }
        let seed = self.signing_seed(custody, reason).await?;
        let (record, epoch) = make_dataset(&self.keyring, new, custody, reason).await?;
        put_epoch(self.store.as_ref(), &epoch).await?;
        let mut keyring = self.next_keyring();
        keyring.datasets.push(record);
        self.publish(keyring, &seed).await
    }

    pub(crate) fn record(&self, name: &str) -> Result<&DatasetRecord> {
        self.keyring.dataset(name).ok_or_else(|| VaultError::NoDataset {
            name: name.to_owned(),
            known: self.keyring.datasets.iter().map(|dataset| dataset.name.clone()).collect(),
        })
    }

    fn handle(&self, record: &DatasetRecord, key: &Secret32, cache: Option<PathBuf>) -> DatasetHandle {
        let owner = Owner { vault: self.keyring.vault, dataset: record.id };
        DatasetHandle {
            store: Blocking::new(Arc::clone(&self.store), Handle::current()),
            owner,
            name: record.name.clone(),
            names: DatasetNames(record.id),
            keys: Arc::new(WriteKeys::new(key)),
            cache: cache.map(|cache| cache.join(owner.vault.to_hex()).join(owner.dataset.to_hex())),
            layout: Layout {
                chunk_min: record.chunk_min as usize,
                chunk_max: record.chunk_max as usize,
                pack_size: record.pack_size as usize,
            },
        }
    }

    /// Opens a dataset with its write key: enough to back up, list snapshots, forget, prune and check the
    /// structure. One provider call.
    ///
    /// # Errors
    /// Where there is no such dataset or the key is refused.
    pub async fn open_for_writing(
        &self,
        dataset: &str,
        custody: &Custody,
        reason: &Reason,
        cache: Option<PathBuf>,
    ) -> Result<DatasetHandle> {
        let record = self.record(dataset)?;
        let context = Context {
            vault: self.keyring.vault,
            dataset: record.name.clone(),
            purpose: Purpose::Write,
            epoch: 0,
        };
        let key = custody.unwrap_key(&record.write_key, &context, reason).await?;
        Ok(self.handle(record, &key, cache))
    }

    /// Opens a dataset with the read key of `epoch`, or of the newest epoch with a snapshot. The write key lies
    /// sealed in the epoch, so that this is one provider call, too.
    ///
    /// # Errors
    /// Where there is no such dataset or epoch, or the key is refused.
    pub async fn open_for_reading(
        &self,
        dataset: &str,
        epoch: Option<u32>,
        custody: Arc<Custody>,
        reason: &Reason,
        cache: Option<PathBuf>,
    ) -> Result<(DatasetHandle, ReadKeys)> {
        let record = self.record(dataset)?;
        let names = DatasetNames(record.id);
        let owner = Owner { vault: self.keyring.vault, dataset: record.id };
        let epoch = self.epoch_to_open(names, epoch).await?;
        let (document, bytes, generation) = read_epoch(self.store.as_ref(), owner, epoch).await?;
        let private = unwrap_epoch(&document, &record.name, &custody, reason).await?;
        let name = names.epoch(epoch, generation);
        let key = private
            .open_write_key(&document.write_key, &document.sealed_for())
            .map_err(|error| VaultError::format(&name, error))?;
        let handle = self.handle(record, &key, cache);
        document.verify(&bytes, &handle.keys, epoch, generation).map_err(|e| VaultError::format(&name, e))?;
        if key.commitment() != record.write_key.commitment {
            return Err(VaultError::damaged(&name, "epoch", Damage::Field("write key")));
        }
        let keys = ReadKeys::new(handle.clone(), custody, reason.clone(), (epoch, private));
        Ok((handle, keys))
    }

    /// The epoch whose read key opens a dataset: the one asked for, or the newest with a snapshot. Where that one was
    /// shredded after what it sealed was rewritten, the newest there is.
    async fn epoch_to_open(&self, names: DatasetNames, wanted: Option<u32>) -> Result<u32> {
        let known = newest_generations(self.store.as_ref(), names).await?;
        let newest =
            *known.keys().next_back().ok_or(VaultError::MissingObject { name: names.epoch(1, 0) })?;
        if let Some(epoch) = wanted {
            return Ok(if known.contains_key(&epoch) { epoch } else { newest });
        }
        let snapshots = self.store.list(&names.snapshots()).await?;
        let used = snapshots.iter().filter_map(|s| names::parse_snapshot(&s.name)).map(|(epoch, _)| epoch);
        Ok(used.filter(|epoch| known.contains_key(epoch)).max().unwrap_or(newest))
    }

    /// Draws the session key of a backup and seals it to the newest epoch. Where that epoch's time is over, a
    /// new one is opened, for which keyholders only need to wrap. Returns, beside the key, why a due epoch
    /// could not be opened, if so: the backup goes on with the old one.
    ///
    /// # Errors
    /// Where the newest epoch is damaged or forged, or the store fails.
    pub async fn session_key(
        &self,
        handle: &DatasetHandle,
        custody: &Custody,
        reason: &Reason,
    ) -> Result<(SessionKey, Option<VaultError>)> {
        let record = self.record(&handle.name)?;
        let (number, _) = newest_epoch(self.store.as_ref(), handle.names).await?;
        let mut epoch = self.verified_epoch(handle, number).await?;
        let mut kept = None;
        let opened: Timestamp = epoch.opened.parse().map_err(|_| {
            VaultError::damaged(handle.names.epoch(number, 0), "epoch", Damage::Field("opened"))
        })?;
        let due = opened.checked_add((i64::from(record.epoch_days) * 24).hours()).unwrap_or(Timestamp::MAX);
        if Timestamp::now() >= due {
            match self.open_next_epoch(record, handle, number + 1, custody, reason).await {
                Ok(next) => epoch = next,
                Err(error) => kept = Some(error),
            }
        }
        let secret = Secret32::random(&mut SystemEntropy);
        let sealed =
            Box::new(epoch.public_key.seal_session_key(&secret, &epoch.sealed_for(), &mut SystemEntropy));
        Ok((SessionKey { secret, epoch: epoch.number, sealed }, kept))
    }

    /// Opens the next epoch now.
    ///
    /// # Errors
    /// Where a keyholder does not wrap, or the store fails.
    pub async fn rotate(&self, handle: &DatasetHandle, custody: &Custody, reason: &Reason) -> Result<u32> {
        let record = self.record(&handle.name)?;
        let (number, _) = newest_epoch(self.store.as_ref(), handle.names).await?;
        Ok(self.open_next_epoch(record, handle, number + 1, custody, reason).await?.number)
    }

    /// The newest epoch of a dataset, to which backups seal.
    ///
    /// # Errors
    /// Where there is none, or the store fails.
    pub async fn newest_epoch(&self, handle: &DatasetHandle) -> Result<u32> {
        Ok(newest_epoch(self.store.as_ref(), handle.names).await?.0)
    }

    async fn open_next_epoch(
        &self,
        record: &DatasetRecord,
        handle: &DatasetHandle,
        number: u32,
        custody: &Custody,
        reason: &Reason,
    ) -> Result<Epoch> {
        let epoch = make_epoch(handle.owner, record, number, handle.keys.secret(), custody, reason).await?;
        let bytes = Bytes::from(epoch.encode(&handle.keys));
        match self.store.put_new(&handle.names.epoch(number, 0), bytes).await? {
            Put::Created => Ok(epoch),
            // Another host was faster: its epoch is as good.
            Put::Exists => self.verified_epoch(handle, number).await,
        }
    }

    async fn verified_epoch(&self, handle: &DatasetHandle, number: u32) -> Result<Epoch> {
        let (epoch, bytes, generation) = read_epoch(self.store.as_ref(), handle.owner, number).await?;
        epoch
            .verify(&bytes, &handle.keys, number, generation)
            .map_err(|error| VaultError::format(handle.names.epoch(number, generation), error))?;
        Ok(epoch)
    }
}

/// Whether a vault has neither a keyring nor anything that a backup wrote: making it did not come to an end.
async fn is_unfinished(store: &dyn Store) -> Result<bool> {
    if !store.list(names::KEYRING).await?.is_empty() {
        return Ok(false);
    }
    let listed = store.list(names::DATASETS).await?;
    Ok(listed.iter().all(|object| names::parse_epoch(&object.name).is_some()))
}

async fn make_dataset(
    keyring: &Keyring,
    new: &NewDataset,
    custody: &Custody,
    reason: &Reason,
) -> Result<(DatasetRecord, (Epoch, Vec<u8>))> {
    if !valid_label(&new.name) {
        return Err(VaultError::Invalid(format!(
            "`{}` cannot name a dataset: use 1 to 64 of a-z 0-9 . _ -, starting with a letter or digit",
            new.name.escape_debug()
        )));
    }
    let secret = Secret32::random(&mut SystemEntropy);
    let id = DatasetId(SystemEntropy.array());
    let context =
        Context { vault: keyring.vault, dataset: new.name.clone(), purpose: Purpose::Write, epoch: 0 };
    let write_policy = new.write_policy.clone().unwrap_or_else(|| keyring.write_policy.clone());
    let write_key = custody.wrap_key(&write_policy, &context, &secret, reason).await?;
    let record = DatasetRecord {
        name: new.name.clone(),
        id,
        created: rfc3339_now(),
        read_policy: new.read_policy.clone().unwrap_or_else(|| keyring.read_policy.clone()),
        write_policy,
        epoch_days: new.epoch_days,
        chunk_min: new.layout.chunk_min as u32,
        chunk_max: new.layout.chunk_max as u32,
        pack_size: new.layout.pack_size as u32,
        write_key,
    };
    let owner = Owner { vault: keyring.vault, dataset: id };
    let epoch = make_epoch(owner, &record, 1, &secret, custody, reason).await?;
    let bytes = epoch.encode(&WriteKeys::new(&secret));
    Ok((record, (epoch, bytes)))
}

/// Puts an object that nobody else can have put: its vault or dataset is being made.
pub(crate) async fn put_own(store: &dyn Store, name: &str, bytes: Vec<u8>) -> Result<()> {
    match store.put_new(name, Bytes::from(bytes)).await? {
        Put::Created => Ok(()),
        Put::Exists => {
            Err(VaultError::Invalid(format!("object {name} is there already; nothing was overwritten")))
        }
    }
}
