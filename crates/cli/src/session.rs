//! From settings to an open vault: runtime, storage, keyholders, secrets, cache, and why keys are used.

use crate::approvals;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::exchange::Exchange;
use crate::keys;
use crate::ledger::{self, Subject};
use crate::pins;
use crate::signals;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use strongroom_custody::{Custody, Reason, ReasonCode, Secrets, holders};
use strongroom_format::ObjectHash;
use strongroom_format::keyring::KeyholderSpec;
use strongroom_format::names::{self, DatasetNames};
use strongroom_vault::VaultError;
use strongroom_vault::access::Vault;
use strongroom_vault::handle::DatasetHandle;
use strongroom_vault::read_keys::ReadKeys;
use strongroom_vault::sink::SessionKey;
use strongroom_vault::store::{self, Location, RetryPolicy, Store};
use tokio::runtime::Runtime;

/// Threads of the runtime: it waits for the network, all else runs on plain threads.
const RUNTIME_THREADS: usize = 2;

/// An open vault and everything that it takes to use one of its datasets.
pub struct Session {
    /// The vault.
    pub vault: Vault,
    /// Its keyholders.
    pub custody: Arc<Custody>,
    /// Why keys are used.
    pub reason: Reason,
    /// The dataset to work on.
    pub dataset: String,
    cache: Option<PathBuf>,
    // Last, so that it outlives everything that still uses it.
    runtime: Arc<Runtime>,
}

/// The runtime that does input and output.
///
/// # Errors
/// [`ErrorKind::LocalFile`] where the system gives no threads.
pub fn runtime() -> Result<Arc<Runtime>, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("io")
        .enable_all()
        .build()
        .map(Arc::new)
        .map_err(|error| CliError::new(ErrorKind::LocalFile, "no threads can be started").caused_by(&error))
}

/// Opens the storage at a location. Asks nothing of it yet.
///
/// # Errors
/// Where the location makes no sense, or there are no credentials for it.
pub fn open_store(runtime: &Runtime, location: &str) -> Result<Arc<dyn Store>, CliError> {
    let location: Location = location.parse()?;
    Ok(runtime.block_on(store::open(&location, RetryPolicy::default()))?)
}

/// A store that cannot be opened.
#[must_use]
pub fn open_store_error(error: store::StoreError) -> CliError {
    error.into()
}

/// Why keys are used, by the command and the user's own words.
#[must_use]
pub fn reason(context: &Context, code: ReasonCode) -> Reason {
    match &context.settings.reason {
        Some(text) => Reason::new(code).with_text(text.value.clone()),
        None => code.into(),
    }
}

impl Session {
    /// Opens the vault of the settings.
    ///
    /// # Errors
    /// Where there is none, or it cannot be reached.
    pub fn open(context: &Context, code: ReasonCode) -> Result<Self, CliError> {
        let session = Self::open_quietly(context, code)?;
        crate::commands::key::warn_of_waiting(context, &session);
        Ok(session)
    }

    /// The same, without a warning of changes that wait.
    ///
    /// # Errors
    /// Where there is none, or it cannot be reached.
    pub fn open_quietly(context: &Context, code: ReasonCode) -> Result<Self, CliError> {
        let location = context.settings.require_location()?;
        Self::open_at(context, location, &context.settings.dataset.value, code, runtime()?)
    }

    /// The same vault, to work on another dataset.
    #[must_use]
    pub fn of_dataset(&self, dataset: &str) -> Self {
        Self {
            vault: self.vault.clone(),
            custody: Arc::clone(&self.custody),
            reason: self.reason.clone(),
            dataset: dataset.to_owned(),
            cache: self.cache.clone(),
            runtime: Arc::clone(&self.runtime),
        }
    }

    /// Opens the vault of the settings, whether or not it is the one that this machine remembers. No key is used.
    ///
    /// # Errors
    /// Where there is none, or it cannot be reached.
    pub fn open_unpinned(context: &Context) -> Result<Vault, CliError> {
        let runtime = runtime()?;
        let store = open_store(&runtime, context.settings.require_location()?)?;
        Ok(runtime.block_on(Vault::open(store))?)
    }

    /// Opens the vault at a location.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(
        context: &Context,
        location: &str,
        dataset: &str,
        code: ReasonCode,
        runtime: Arc<Runtime>,
    ) -> Result<Self, CliError> {
        let store = open_store(&runtime, location)?;
        let vault = runtime.block_on(Vault::open(store))?;
        runtime.block_on(pins::check(context, &vault))?;
        let keyring = vault.keyring();
        let secrets = keys::secrets(context, &keyring.vault, &keyring.keyholders);
        let reason = reason(context, code);
        let subject =
            Subject { keyring: Some(keyring), keyholders: &keyring.keyholders, dataset, reason: &reason };
        let observer = ledger::observe(context, &runtime, location, keys::observer(context), &subject)?;
        let custody =
            Custody::new(&keyring.keyholders, secrets, observer).with_lease(context.settings.lease.value);
        let exchange = Exchange::of(Arc::clone(vault.store()), Arc::clone(&runtime));
        let custody = approvals::apply(context, keyring, custody, &exchange)?;
        let settings = &context.settings;
        let cache = settings.cache_dir.as_ref().filter(|_| settings.cache.value);
        Ok(Self {
            custody: Arc::new(custody),
            reason,
            dataset: dataset.to_owned(),
            cache: cache.map(|dir| dir.value.clone()),
            vault,
            runtime,
        })
    }

    /// Makes a keyholder usable that is about to be added to the keyring.
    ///
    /// # Errors
    /// [`ErrorKind::Bug`] where it is not among `keyholders`, or the session's keyholders are in use.
    pub fn add_holder(
        &mut self,
        label: &str,
        keyholders: &BTreeMap<String, KeyholderSpec>,
        secrets: &Secrets,
    ) -> Result<(), CliError> {
        let bug = || CliError::new(ErrorKind::Bug, "a new keyholder cannot be used");
        let spec = keyholders.get(label).ok_or_else(bug)?;
        let holder = holders::build(label, spec, secrets).map_err(|error| bug().caused_by(&error))?;
        Arc::get_mut(&mut self.custody).ok_or_else(bug)?.add_holder(holder);
        Ok(())
    }

    /// The runtime, for another vault.
    #[must_use]
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// Opens the dataset with its write key.
    ///
    /// # Errors
    /// Where there is no such dataset, or custody refuses.
    pub fn write(&self) -> Result<DatasetHandle, CliError> {
        Ok(self.open_write()?)
    }

    fn open_write(&self) -> Result<DatasetHandle, VaultError> {
        self.runtime.block_on(self.vault.open_for_writing(
            &self.dataset,
            &self.custody,
            &self.reason,
            self.cache.clone(),
        ))
    }

    /// Opens the dataset for what the write key shows: snapshots and structure. Where the write key is
    /// refused, a read key opens it too.
    ///
    /// # Errors
    /// Where there is no such dataset, or custody refuses both: the answer for the write key is told.
    pub fn metadata(&self) -> Result<DatasetHandle, CliError> {
        match self.open_write() {
            Err(refused @ VaultError::Custody(_)) => match self.read(None) {
                Ok((handle, _)) => Ok(handle),
                Err(_) => Err(refused.into()),
            },
            other => Ok(other?),
        }
    }

    /// Opens the dataset with the read key of an epoch, or of the newest with a snapshot.
    ///
    /// # Errors
    /// Where there is no such dataset or epoch, or custody refuses.
    pub fn read(&self, epoch: Option<u32>) -> Result<(DatasetHandle, Arc<ReadKeys>), CliError> {
        let (handle, keys) = self.runtime.block_on(self.vault.open_for_reading(
            &self.dataset,
            epoch,
            Arc::clone(&self.custody),
            &self.reason,
            self.cache.clone(),
        ))?;
        Ok((handle, Arc::new(keys)))
    }

    /// The names of the dataset's snapshots, which need no key: so that the epoch of a snapshot that is
    /// named by its id is known before its read key is asked for.
    ///
    /// # Errors
    /// Where there is no such dataset, or the storage fails.
    pub fn snapshot_names(&self) -> Result<Vec<(u32, ObjectHash)>, CliError> {
        let keyring = self.vault.keyring();
        let record = keyring.dataset(&self.dataset).ok_or_else(|| VaultError::NoDataset {
            name: self.dataset.clone(),
            known: keyring.datasets.iter().map(|dataset| dataset.name.clone()).collect(),
        })?;
        let folder = DatasetNames(record.id).snapshots();
        let listed = self.runtime.block_on(self.vault.store().list(&folder))?;
        Ok(listed.iter().filter_map(|object| names::parse_snapshot(&object.name)).collect())
    }

    /// The key of a backup run; a due epoch that could not be opened is told as a warning.
    ///
    /// # Errors
    /// Where the newest epoch is damaged, or the storage fails.
    pub fn session_key(&self, handle: &DatasetHandle, context: &Context) -> Result<SessionKey, CliError> {
        let opened = self.vault.session_key(handle, &self.custody, &self.reason);
        let (key, kept) = self.runtime.block_on(opened)?;
        if let Some(error) = kept {
            let error = CliError::from(error);
            context.messages.warn(&format!(
                "the next epoch is due and could not be opened; this backup still seals to the old read key: {error}"
            ));
        }
        Ok(key)
    }

    /// Waits for asynchronous work.
    pub fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("vault", &self.vault).finish_non_exhaustive()
    }
}

impl Context {
    /// From now on, Ctrl-C asks the command to stop instead of ending the process. Called after
    /// passphrases have been asked for.
    pub fn watch_signals(&self) {
        signals::watch(Arc::clone(&self.cancel), Arc::clone(&self.messages));
    }
}
