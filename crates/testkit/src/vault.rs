//! A vault with `file` keyholders over any store, and the shortest ways to use it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use strongroom_custody::{CountingObserver, Custody, Reason, ReasonCode, Secrets, holders, policy};
use strongroom_format::{ObjectHash, snapshot::Snapshot};
use strongroom_vault::{
    Result, VaultError,
    access::{NewDataset, NewVault, Vault},
    backup::{self, Source},
    fs::{Filter, Overwrite},
    groups::GroupReader,
    handle::{DatasetHandle, Layout},
    monitor::Monitor,
    packer::Compression,
    progress::{Cancel, Counters},
    read_keys::ReadKeys,
    restore::{self, Selected},
    store::Store,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A vault for tests.
#[derive(Debug)]
pub struct TestVault {
    /// Does the store's input and output.
    pub runtime: Runtime,
    /// The vault.
    pub vault: Vault,
    /// Both keyholders with their key files.
    pub custody: Arc<Custody>,
    /// Counts key uses.
    pub observer: Arc<CountingObserver>,
    /// Local caches.
    pub cache: TempDir,
    keys: TempDir,
}

/// A small layout, so that little content makes several chunks and packs.
#[must_use]
pub fn small_layout() -> Layout {
    Layout { chunk_min: 4 << 10, chunk_max: 28 << 10, pack_size: 256 << 10 }
}

impl TestVault {
    /// Makes a vault with the dataset `default` in `store`.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[must_use]
    pub fn create(store: Arc<dyn Store>) -> Self {
        Self::create_with(store, small_layout())
    }

    /// Makes a vault with the dataset `default`, of this layout, in `store`.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[must_use]
    pub fn create_with(store: Arc<dyn Store>, layout: Layout) -> Self {
        Self::with_policies(store, layout, &["read", "write"], "read", "write")
    }

    /// Makes a vault with keyholders of the kind `file`, and these policies.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[must_use]
    pub fn with_policies(
        store: Arc<dyn Store>,
        layout: Layout,
        labels: &[&str],
        read_policy: &str,
        write_policy: &str,
    ) -> Self {
        Self::with_time_lock(store, layout, labels, read_policy, write_policy, 0)
    }

    /// The same, where dangerous changes wait so many hours.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[must_use]
    pub fn with_time_lock(
        store: Arc<dyn Store>,
        layout: Layout,
        labels: &[&str],
        read_policy: &str,
        write_policy: &str,
        hours: u32,
    ) -> Self {
        let keys = TempDir::new().expect("a temporary directory");
        let mut keyholders = std::collections::BTreeMap::new();
        let mut secrets = Secrets::none();
        for label in labels {
            let path = keys.path().join(format!("{label}.key"));
            keyholders.insert((*label).to_owned(), holders::file::create(&path, label).expect("a key file"));
            secrets = secrets.with_key_file(*label, path);
        }
        let observer = Arc::new(CountingObserver::default());
        let custody = Arc::new(Custody::new(&keyholders, secrets, Arc::clone(&observer) as _));
        let runtime = Runtime::new().expect("a runtime");
        let new = NewVault {
            keyholders,
            read_policy: policy::parse(read_policy).expect("a read policy"),
            write_policy: policy::parse(write_policy).expect("a write policy"),
            dataset: NewDataset { layout, ..NewDataset::new("default") },
            time_lock: Some(hours),
        };
        let reason = Reason::new(ReasonCode::Admin);
        let vault = runtime.block_on(Vault::create(store, new, &custody, &reason)).expect("a vault");
        Self { runtime, vault, custody, observer, cache: TempDir::new().expect("a cache"), keys }
    }

    /// The keyholders of the vault as somebody has them who has only these key files.
    #[must_use]
    pub fn custody_of(&self, labels: &[&str]) -> Arc<Custody> {
        let secrets = labels
            .iter()
            .fold(Secrets::none(), |secrets, label| secrets.with_key_file(*label, self.key_file(label)));
        Arc::new(Custody::new(&self.vault.keyring().keyholders, secrets, Arc::clone(&self.observer) as _))
    }

    /// The key file of a keyholder.
    #[must_use]
    pub fn key_file(&self, label: &str) -> PathBuf {
        self.keys.path().join(format!("{label}.key"))
    }

    /// The same vault seen through another store, as another process would.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn through(&self, store: Arc<dyn Store>) -> Result<Vault> {
        self.runtime.block_on(Vault::open(store))
    }

    /// Opens the dataset `default` of `vault` with its write key.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn writing(&self, vault: &Vault) -> Result<DatasetHandle> {
        let reason = Reason::new(ReasonCode::Backup);
        let cache = Some(self.cache.path().to_owned());
        self.runtime.block_on(vault.open_for_writing("default", &self.custody, &reason, cache))
    }

    /// Opens the dataset `default` of `vault` with its newest read key.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn reading(&self, vault: &Vault) -> Result<(DatasetHandle, Arc<ReadKeys>)> {
        let reason = Reason::new(ReasonCode::Restore);
        let cache = Some(self.cache.path().to_owned());
        let opened = vault.open_for_reading("default", None, Arc::clone(&self.custody), &reason, cache);
        let (handle, keys) = self.runtime.block_on(opened)?;
        Ok((handle, Arc::new(keys)))
    }

    /// Backs up a directory; problems are an error.
    ///
    /// # Errors
    /// Where the backup fails.
    pub fn backup(&self, path: &Path) -> Result<backup::Outcome> {
        self.backup_through(&self.vault, path)
    }

    /// Backs up a directory through another view of the vault.
    ///
    /// # Errors
    /// Where the backup fails.
    pub fn backup_through(&self, vault: &Vault, path: &Path) -> Result<backup::Outcome> {
        let handle = self.writing(vault)?;
        let reason = Reason::new(ReasonCode::Backup);
        let (key, _) = self.runtime.block_on(vault.session_key(&handle, &self.custody, &reason))?;
        let source = Source::Paths(vec![path.to_owned()]);
        watched(|monitor| {
            backup::run(
                &handle,
                key,
                source,
                &Filter::builder().build().map_err(invalid)?,
                &options(),
                monitor,
            )
        })
    }

    /// Restores the directory `path` of a snapshot into `target`.
    ///
    /// # Errors
    /// Where the restore fails, or reports a problem.
    pub fn restore(&self, snapshot: &Snapshot, path: &Path, target: &Path) -> Result<restore::Summary> {
        let (handle, keys) = self.reading(&self.vault)?;
        let (reader, _) = GroupReader::open(&handle, Some(keys))?;
        let path = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
        let selected = match strongroom_vault::tree::find_path(&reader, &snapshot.root, path)? {
            None => Selected::Directory(snapshot.root),
            Some(entry) => match entry.refs {
                strongroom_vault::tree::EntryRefs::Directory(refs) => Selected::Directory(refs),
                _ => Selected::Entry(Box::new(entry)),
            },
        };
        let options = restore::Options {
            target: target.to_owned(),
            overwrite: Overwrite::Always,
            delete: false,
            dry_run: false,
            verify: true,
            threads: 2,
        };
        watched(|monitor| {
            restore::run(&reader, &selected, &Filter::builder().build().map_err(invalid)?, &options, monitor)
        })
    }

    /// The snapshots, by name.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn snapshots(&self) -> Result<Vec<(ObjectHash, Snapshot)>> {
        let handle = self.writing(&self.vault)?;
        let mut snapshots = Vec::new();
        for object in handle.store.list(&handle.names.snapshots())? {
            let bytes = handle.store.get(&object.name, 1 << 20)?;
            let (_, snapshot) = Snapshot::open(&bytes, &handle.owner, &handle.keys)
                .map_err(|error| VaultError::format(&object.name, error))?;
            snapshots.push((ObjectHash::of(&bytes), snapshot));
        }
        snapshots.sort_by(|a, b| a.1.time.cmp(&b.1.time));
        Ok(snapshots)
    }
}

fn invalid(error: impl std::fmt::Display) -> VaultError {
    VaultError::Invalid(error.to_string())
}

fn options() -> backup::Options {
    backup::Options {
        host: "host-a".into(),
        user: "operator".into(),
        tags: Vec::new(),
        time: None,
        compression: Compression::default(),
        threads: 2,
        uploads: 1,
        force: false,
        dry_run: false,
        program: "test".into(),
    }
}

/// Runs an operation whose problems are errors.
///
/// # Errors
/// The operation's error, or its problems.
pub fn watched<T>(operation: impl FnOnce(&Monitor<'_>) -> Result<T>) -> Result<T> {
    let problems = Mutex::new(Vec::new());
    let (counters, cancel) = (Counters::new(), Cancel::new());
    let on_problem = |problem: strongroom_vault::fs::Problem| {
        let text = format!("{problem}: {}", problem.source);
        problems.lock().expect("no panic while a problem is reported").push(text);
    };
    let result = operation(&Monitor { counters: &counters, cancel: &cancel, on_problem: &on_problem })?;
    let problems = problems.into_inner().expect("no panic while a problem is reported");
    if problems.is_empty() { Ok(result) } else { Err(VaultError::Invalid(problems.join("; "))) }
}
