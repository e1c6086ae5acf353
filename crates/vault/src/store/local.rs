//! A vault in a directory.
//!
//! - An object is written to `tmp/`, synced, and renamed to its place with `RENAME_NOREPLACE`, so
//!   it appears whole or not at all and never replaces another. File systems that lack that flag
//!   (NFS, some FUSE) get a hard link instead, which is as strict.
//! - The folder is synced after the rename, and so is every folder above it the first time this
//!   process publishes there: another process may have made it and crashed before it was durable.
//!   For the same reason [`Put::Exists`] is returned only after a sync of the folder.
//! - A crash leaves files in `tmp/` only. The first write of a process removes those older than a day.
//! - Reads never write: a vault on a read-only mount can be read.
//! - Files get mode 0600, folders 0700.
//! - Small reads run on the calling thread, since a switch to another costs more than a read from the page
//!   cache; writes, listings and large reads run on tokio's blocking threads.
//! - A name cannot be both an object and a folder here, unlike in a bucket; no vault has such names.

use super::error::{At, Operation, StoreError};
use super::name::{TEMPORARY, check_name, check_prefix, checked};
use super::{ObjectInfo, Put, Store};
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::HashSet;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, SystemTime};
use strongroom_format::entropy::{Entropy, SystemEntropy};

/// Reads up to this many bytes stay on the calling thread.
const INLINE_READ_LEN: u64 = 2 << 20;

/// Unfinished files older than this belong to no running process.
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A store in a directory, which the first write creates.
#[derive(Debug, Clone)]
pub struct LocalStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    description: String,
    durable_folders: Mutex<HashSet<PathBuf>>,
    swept: Once,
}

impl LocalStore {
    /// The store in a directory. Does nothing to the directory yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let root = std::path::absolute(&root).unwrap_or(root);
        let description = root.display().to_string();
        let shared = Shared { root, description, durable_folders: Mutex::default(), swept: Once::new() };
        Self { shared: Arc::new(shared) }
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    fn checked(&self, operation: Operation, name: &str) -> Result<(), StoreError> {
        checked(&self.shared.description, operation, name, check_name)
    }

    async fn elsewhere<T: Send + 'static>(
        &self,
        operation: Operation,
        name: &str,
        work: impl FnOnce(&Shared, &str) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let owned = name.to_owned();
        let done = tokio::task::spawn_blocking(move || work(&shared, &owned)).await;
        done.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
            .map_err(|error| self.shared.failed(operation, name, error))
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put, StoreError> {
        self.checked(Operation::PutNew, name)?;
        self.elsewhere(Operation::PutNew, name, move |shared, name| shared.create(name, &bytes)).await
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.checked(Operation::Put, name)?;
        self.elsewhere(Operation::Put, name, move |shared, name| shared.replace(name, &bytes)).await
    }

    async fn get(&self, name: &str, max_len: u64) -> Result<Bytes, StoreError> {
        self.checked(Operation::Get, name)?;
        let failed = |error| self.shared.failed(Operation::Get, name, error);
        let (mut file, metadata) = self.shared.open(name).map_err(failed)?;
        let size = metadata.len();
        if size > max_len {
            let at = self.shared.at(Operation::Get, name);
            return Err(StoreError::TooLarge { at, size, limit: max_len });
        }
        let bytes = if size <= INLINE_READ_LEN {
            read_up_to(&mut file, size).map_err(failed)?
        } else {
            self.elsewhere(Operation::Get, name, move |_, _| read_up_to(&mut file, size)).await?
        };
        if bytes.len() as u64 != size {
            return Err(StoreError::Corrupt {
                at: self.shared.at(Operation::Get, name),
                reason: format!("the file ends after {} of {size} bytes", bytes.len()),
                source: None,
            });
        }
        Ok(bytes)
    }

    async fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        self.checked(Operation::GetRange, name)?;
        if len == 0 {
            return Ok(Bytes::new());
        }
        let failed = |error| self.shared.failed(Operation::GetRange, name, error);
        let (mut file, metadata) = self.shared.open(name).map_err(failed)?;
        let end = offset.saturating_add(len);
        let out_of_range = || StoreError::OutOfRange { at: self.shared.at(Operation::GetRange, name), end };
        if end > metadata.len() {
            return Err(out_of_range());
        }
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let bytes = if len <= INLINE_READ_LEN {
            read_up_to(&mut file, len).map_err(failed)?
        } else {
            self.elsewhere(Operation::GetRange, name, move |_, _| read_up_to(&mut file, len)).await?
        };
        if bytes.len() as u64 == len { Ok(bytes) } else { Err(out_of_range()) }
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectInfo>, StoreError> {
        self.checked(Operation::Stat, name)?;
        match std::fs::symlink_metadata(self.shared.path(name)) {
            Ok(metadata) => Ok(metadata.is_file().then(|| info(name.to_owned(), &metadata))),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(self.shared.failed(Operation::Stat, name, error)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        checked(&self.shared.description, Operation::List, prefix, check_prefix)?;
        self.elsewhere(Operation::List, prefix, Shared::list).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.checked(Operation::Delete, name)?;
        self.elsewhere(Operation::Delete, name, Shared::delete).await
    }

    fn describe(&self) -> String {
        self.shared.description.clone()
    }
}

impl Shared {
    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn at(&self, operation: Operation, name: &str) -> Box<At> {
        Box::new(At { operation, name: name.to_owned(), store: self.description.clone() })
    }

    fn open(&self, name: &str) -> io::Result<(File, Metadata)> {
        let file = File::open(self.path(name))?;
        let metadata = file.metadata()?;
        if metadata.is_file() { Ok((file, metadata)) } else { Err(ErrorKind::NotFound.into()) }
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Put> {
        let path = self.path(name);
        if std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            return self.settle_existing(&path);
        }
        let temporary = self.write_temporary(bytes)?;
        match self.publish(&path, || rename_new(&temporary.path, &path)) {
            Ok(()) => Ok(Put::Created),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.settle_existing(&path),
            Err(error) => Err(error),
        }
    }

    fn settle_existing(&self, path: &Path) -> io::Result<Put> {
        self.publish(path, || Ok(()))?;
        Ok(Put::Exists)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let temporary = self.write_temporary(bytes)?;
        self.publish(&path, || std::fs::rename(&temporary.path, &path))
    }

    /// Runs `place`, which puts a file at `path`, and makes the path durable.
    fn publish(&self, path: &Path, place: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        self.make_folder_durable(folder)?;
        match place() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Someone removed the folder since this process made it.
                self.durable_folders().clear();
                self.make_folder_durable(folder)?;
                place()?;
            }
            done => done?,
        }
        sync_folder(folder)
    }

    fn make_folder_durable(&self, folder: &Path) -> io::Result<()> {
        if self.durable_folders().contains(folder) {
            return Ok(());
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        let mut above = folder;
        while above != self.root {
            let Some(parent) = above.parent() else { break };
            sync_folder(parent)?;
            above = parent;
        }
        // What lies above the vault may not be ours to open.
        if let Some(parent) = self.root.parent() {
            match sync_folder(parent) {
                Err(error) if error.kind() != ErrorKind::PermissionDenied => return Err(error),
                _ => {}
            }
        }
        self.durable_folders().insert(folder.to_owned());
        Ok(())
    }

    // No code panics while it holds the lock, so a poisoned set is still whole.
    fn durable_folders(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.durable_folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_temporary(&self, bytes: &[u8]) -> io::Result<Temporary> {
        let folder = self.root.join(TEMPORARY);
        self.swept.call_once(|| remove_abandoned(&folder));
        let unique = u128::from_le_bytes(SystemEntropy.array());
        let path = folder.join(format!("{unique:032x}"));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = match options.open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
                options.open(&path)?
            }
            opened => opened?,
        };
        let temporary = Temporary { path };
        file.write_all(bytes)?;
        file.sync_data()?;
        Ok(temporary)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Ok(()) => sync_folder(path.parent().unwrap_or(&self.root)),
            Err(error) if absent(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<ObjectInfo>> {
        let (base, _) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        let mut found = Vec::new();
        let mut folders = vec![base.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(self.path(&folder)) {
                Err(error) if absent(&error) => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let Ok(file_name) = entry.file_name().into_string() else { continue };
                let name = if folder.is_empty() { file_name } else { format!("{folder}/{file_name}") };
                // Left out: `tmp/`, and what no vault writes, such as `lost+found` of a file system's root.
                if check_name(&name).is_err() || name == "lost+found" {
                    continue;
                }
                let kind = entry.file_type()?;
                if kind.is_dir() && format!("{name}/").starts_with(prefix) {
                    folders.push(name);
                } else if kind.is_file() && name.starts_with(prefix) {
                    match entry.metadata() {
                        Ok(metadata) => found.push(info(name, &metadata)),
                        Err(error) if absent(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn failed(&self, operation: Operation, name: &str, error: io::Error) -> StoreError {
        let at = self.at(operation, name);
        match error.kind() {
            _ if absent(&error) && !operation.is_mutation() => {
                StoreError::NotFound { at, source: Some(error.into()) }
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                let reason = match error.kind() {
                    ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only",
                    _ => "this user may not do that",
                };
                StoreError::Denied { at, reason: reason.to_owned(), source: Some(error.into()) }
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                let reason = "no space is left for this user".to_owned();
                StoreError::Full { at, reason, source: Some(error.into()) }
            }
            ErrorKind::StaleNetworkFileHandle
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::NotConnected
            | ErrorKind::ConnectionReset => {
                let reason = "the file system does not answer".to_owned();
                StoreError::Unreachable { at, attempts: 1, reason, source: Some(error.into()) }
            }
            _ => {
                let reason = "the file system failed".to_owned();
                StoreError::Other { at, reason, source: Some(error.into()) }
            }
        }
    }
}

/// An unfinished file; removed unless it was renamed away.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone already after a rename; otherwise a later process sweeps it.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn info(name: String, metadata: &Metadata) -> ObjectInfo {
    // A time that cannot be told counts as young, so that nothing is removed for its age.
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    ObjectInfo { name, size: metadata.len(), modified: modified.unwrap_or(Timestamp::MAX) }
}

/// Reads `len` bytes, fewer where the file ends. The caller has compared `len` with the file's size.
fn read_up_to(file: &mut File, len: u64) -> io::Result<Bytes> {
    let capacity = usize::try_from(len).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(capacity).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        Err(error) if unsupported(&error) => std::fs::hard_link(from, to),
        renamed => renamed,
    }
}

fn unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // The file system has no such operation, so there is nothing stronger to ask for.
        Err(error) if unsupported(&error) => Ok(()),
        synced => synced,
    }
}

/// Best effort: what cannot be removed now is tried again by the next process.
fn remove_abandoned(folder: &Path) {
    let Some(limit) = SystemTime::now().checked_sub(ABANDONED_AFTER) else { return };
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.metadata().is_ok_and(|m| m.is_file() && m.modified().is_ok_and(|time| time < limit)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
