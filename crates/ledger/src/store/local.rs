//! A ledger in a directory.
//!
//! A replacement holds an advisory lock (`flock`) on a file of its own while it compares and renames, so that of
//! several processes on one host, or on hosts that share a file system with working locks, one wins. Every write goes
//! to a temporary file, which is synced, renamed, and made durable by syncing its folder.

use super::{Cause, Created, LedgerStore, StoreError, Stored, Swapped, Version};
use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A directory.
#[derive(Debug, Clone)]
pub struct LocalLedger {
    root: Arc<PathBuf>,
}

const TEMPORARY: &str = ".tmp";
const SWAP_LOCK: &str = ".swap-lock";

impl LocalLedger {
    /// The ledger in this directory, which is made when something is written.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: Arc::new(root.into()) }
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        name: &str,
        work: impl FnOnce(&Path, &str) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let root = Arc::clone(&self.root);
        let owned = name.to_owned();
        let work = move || {
            check_name(&owned)?;
            work(&root, &owned)
        };
        let done =
            tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        done.map_err(|error| {
            let cause = match error.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Cause::Denied,
                ErrorKind::FileTooLarge => Cause::TooLarge,
                ErrorKind::TimedOut | ErrorKind::StaleNetworkFileHandle => Cause::Unreachable,
                _ => Cause::Failed,
            };
            let source = Some(error.into());
            StoreError { cause, operation, name: name.to_owned(), store: self.describe(), source }
        })
    }
}

fn check_name(name: &str) -> io::Result<()> {
    let ok = !name.is_empty()
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
        && !name.contains(['\\', '\0']);
    if ok { Ok(()) } else { Err(ErrorKind::InvalidInput.into()) }
}

fn version(bytes: &[u8]) -> Version {
    Version(HEXLOWER.encode(digest(&SHA256, bytes).as_ref()))
}

fn read(path: &Path, max_len: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let len = file.metadata()?.len();
    if len > max_len as u64 {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    file.take(max_len as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max_len { Err(ErrorKind::FileTooLarge.into()) } else { Ok(Some(bytes)) }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some file systems have no such operation.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_folders(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// A temporary file, removed unless it was renamed away.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone after a rename; otherwise what stays is small and harmless.
        let _ = fs::remove_file(&self.0);
    }
}

fn write_temporary(root: &Path, bytes: &[u8]) -> io::Result<Temporary> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let folder = root.join(TEMPORARY);
    make_folders(&folder)?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let time =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let temporary = Temporary(folder.join(format!("{}-{number}-{time}", std::process::id())));
    let mut file = File::options().write(true).create_new(true).open(&temporary.0)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(temporary)
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| ErrorKind::InvalidInput.into())
}

fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            fs::hard_link(from, to)
        }
        renamed => renamed,
    }
}

fn create(root: &Path, name: &str, bytes: &[u8]) -> io::Result<Created> {
    let path = root.join(name);
    let folder = folder_of(&path)?;
    let created = if path.exists() {
        Created::Exists
    } else {
        make_folders(folder)?;
        let temporary = write_temporary(root, bytes)?;
        match rename_new(&temporary.0, &path) {
            Ok(()) => Created::New,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Created::Exists,
            Err(error) => return Err(error),
        }
    };
    sync_folder(folder)?;
    Ok(created)
}

fn replace(root: &Path, name: &str, expected: Option<&Version>, bytes: &[u8]) -> io::Result<Swapped> {
    make_folders(root)?;
    let lock = File::options().create(true).truncate(false).write(true).open(root.join(SWAP_LOCK))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let path = root.join(name);
    let found = read(&path, usize::MAX >> 1)?.map(|bytes| version(&bytes));
    if found.as_ref() != expected {
        return Ok(Swapped::Lost);
    }
    let folder = folder_of(&path)?;
    make_folders(folder)?;
    let temporary = write_temporary(root, bytes)?;
    fs::rename(&temporary.0, &path)?;
    sync_folder(folder)?;
    Ok(Swapped::Done(version(bytes)))
}

fn list(root: &Path, prefix: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut folders = vec![prefix.trim_end_matches('/').to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(|name| format!("{folder}/{name}")) else {
                continue;
            };
            if entry.file_type()?.is_dir() { folders.push(name) } else { names.push(name) }
        }
    }
    names.sort();
    Ok(names)
}

#[async_trait]
impl LedgerStore for LocalLedger {
    async fn get(&self, name: &str, max_len: usize) -> Result<Option<Stored>, StoreError> {
        self.run("read", name, move |root, name| {
            let bytes = read(&root.join(name), max_len)?;
            Ok(bytes.map(|bytes| Stored { version: version(&bytes), bytes: bytes.into() }))
        })
        .await
    }

    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        self.run("create", name, move |root, name| create(root, name, &bytes)).await
    }

    async fn swap(
        &self,
        name: &str,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Swapped, StoreError> {
        let expected = expected.cloned();
        self.run("replace", name, move |root, name| replace(root, name, expected.as_ref(), &bytes)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let folder = prefix.trim_end_matches('/').to_owned();
        self.run("list", &folder, list).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.run("delete", name, |root, name| match fs::remove_file(root.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    fn describe(&self) -> String {
        self.root.display().to_string()
    }
}
