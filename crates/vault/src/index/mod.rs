//! The index: which chunk lies where.
//!
//! In scope: local sorted runs made from the vault's index segments, look-ups with at most 4.3 resident
//! bytes for each chunk, the local cache of runs. Out of scope: writing segments (see [`crate::sink`]).

mod run;

pub use run::{Entry, Pack, Run};

use crate::{error::VaultError, handle::DatasetHandle};
use std::{
    collections::HashSet,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use strongroom_format::{
    ChunkId, FormatError, ObjectHash, group::GroupSpan, keys::ChunkKind, limits::SEGMENT_MAX, names,
    pack::KeyRecord, segment, segment::IndexedPack,
};
use thiserror::Error;

/// What can go wrong with the local files of the index.
#[derive(Debug, Error)]
pub enum IndexError {
    /// A local run is damaged; deleting the cache folder mends it.
    #[error("a local index file is damaged")]
    Run,
    /// A local run is damaged inside a record.
    #[error("a local index file is damaged")]
    Record(#[from] FormatError),
    /// A local file cannot be read or written.
    #[error("a local index file cannot be read or written")]
    Io(#[from] std::io::Error),
}

/// How often an index that prune rewrites meanwhile is read anew.
const LOAD_ATTEMPTS: usize = 5;
/// More runs than this are merged into one.
const RUNS_MAX: usize = 8;

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Ordinal of the run.
    pub run: u32,
    /// Position of the entry in the run.
    pub position: u32,
    /// Ordinal of the pack in the run.
    pub pack: u32,
    /// Ordinal of the group in the run.
    pub group: u32,
    /// First byte in the group's raw content.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

/// The index of one dataset as this process sees it. Runs are only ever appended, so that a
/// [`Location`] stays valid.
#[derive(Debug)]
pub struct Index {
    runs: RwLock<Vec<Arc<Run>>>,
    condemned: HashSet<ObjectHash>,
    folder: PathBuf,
    /// Removes `folder` in the end where there is no cache to keep.
    _temporary: Option<tempfile::TempDir>,
}

/// A segment that could not be read: its packs are missing from the index.
#[derive(Debug)]
pub struct DamagedSegment {
    /// The object's name.
    pub name: String,
    /// What is wrong with it.
    pub error: VaultError,
}

impl Index {
    /// Brings the local runs up to date with the vault and opens them. Packs in `condemned` are
    /// treated as absent.
    ///
    /// # Errors
    /// Where the vault cannot be listed or local files cannot be written. Damaged segments are
    /// returned beside the index: what they cover is found missing, all else works.
    pub fn load(
        handle: &DatasetHandle,
        condemned: HashSet<ObjectHash>,
    ) -> Result<(Self, Vec<DamagedSegment>), VaultError> {
        for _ in 1..LOAD_ATTEMPTS {
            match Self::load_once(handle, condemned.clone()) {
                // Prune has replaced a segment between the listing and the reading.
                Err(VaultError::Store(error)) if error.is_not_found() => {}
                other => return other,
            }
        }
        Self::load_once(handle, condemned)
    }

    fn load_once(
        handle: &DatasetHandle,
        condemned: HashSet<ObjectHash>,
    ) -> Result<(Self, Vec<DamagedSegment>), VaultError> {
        let (folder, temporary) = run_folder(handle)?;
        let listed = handle.store.list(&handle.names.index())?;
        let mut missing: HashSet<ObjectHash> =
            listed.iter().filter_map(|object| names::hash_of(&object.name)).collect();
        let mut runs = Vec::new();
        for (path, run) in cached_runs(&folder) {
            if run.segments().iter().all(|segment| missing.contains(segment)) {
                run.segments().iter().for_each(|segment| {
                    missing.remove(segment);
                });
                runs.push(Arc::new(run));
            } else {
                // Prune has replaced what it was made of. Losing the race to another process is fine.
                let _ = std::fs::remove_file(path);
            }
        }
        let index = Self { runs: RwLock::new(runs), condemned, folder, _temporary: temporary };
        let mut damaged = Vec::new();
        for hash in missing {
            let name = handle.names.segment(&hash);
            match read_segment(handle, &name, &hash) {
                Ok(packs) => index.add_segment(hash, &packs)?,
                Err(error) if error.is_integrity() => damaged.push(DamagedSegment { name, error }),
                Err(error) => return Err(error),
            }
        }
        index.merge_many()?;
        Ok((index, damaged))
    }

    /// Adds a segment that is in the vault.
    ///
    /// # Errors
    /// Where local files cannot be written.
    pub fn add_segment(&self, hash: ObjectHash, packs: &[IndexedPack]) -> Result<(), VaultError> {
        let (run, _) = self.write_run(&hash.to_hex(), |file| Run::build(file, &[hash], packs))?;
        self.runs.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(run));
        Ok(())
    }

    /// Builds a run in the folder, or where that cannot be, in a temporary file that nobody else uses. True
    /// where it is in the folder.
    fn write_run(
        &self,
        name: &str,
        build: impl Fn(File) -> Result<Run, IndexError>,
    ) -> Result<(Run, bool), VaultError> {
        let cached = || -> Result<Run, IndexError> {
            // Two threads or processes may write the same run at the same time: each its own file.
            let partial =
                tempfile::Builder::new().prefix(".").suffix(".partial").tempfile_in(&self.folder)?;
            let run = build(partial.reopen()?)?;
            partial.persist(self.folder.join(format!("{name}.run"))).map_err(|error| error.error)?;
            Ok(run)
        };
        match cached() {
            Ok(run) => Ok((run, true)),
            // A full disk under the caches must not stop a backup.
            Err(error) => {
                let temporary = tempfile::tempfile().map_err(IndexError::Io).and_then(build);
                temporary.map(|run| (run, false)).map_err(|_| error.into())
            }
        }
    }

    fn merge_many(&self) -> Result<(), VaultError> {
        let sources = self.runs();
        if sources.len() <= RUNS_MAX {
            return Ok(());
        }
        let borrowed: Vec<&Run> = sources.iter().map(AsRef::as_ref).collect();
        let mut name = blake3::Hasher::new();
        for segment in sources.iter().flat_map(|run| run.segments()) {
            name.update(segment.as_bytes());
        }
        let (merged, cached) =
            self.write_run(&name.finalize().to_hex(), |file| Run::merge(file, &borrowed))?;
        let single = sources.iter().filter(|run| cached && run.segments().len() == 1);
        for segment in single.flat_map(|run| run.segments()) {
            let _ = std::fs::remove_file(self.folder.join(format!("{segment}.run")));
        }
        *self.runs.write().unwrap_or_else(PoisonError::into_inner) = vec![Arc::new(merged)];
        Ok(())
    }

    /// The runs, by ordinal.
    #[must_use]
    pub fn runs(&self) -> Vec<Arc<Run>> {
        self.runs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where a chunk lies, condemned packs left out.
    ///
    /// # Errors
    /// Where local files cannot be read.
    pub fn find(&self, id: &ChunkId) -> Result<Option<Location>, VaultError> {
        Ok(self.find_all(id)?.into_iter().next())
    }

    /// Every place where a chunk lies: more than one where two hosts stored it at the same time.
    ///
    /// # Errors
    /// Where local files cannot be read.
    pub fn find_all(&self, id: &ChunkId) -> Result<Vec<Location>, VaultError> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (ordinal, run) in runs.iter().enumerate() {
            for (position, entry) in run.find(id)? {
                let condemned = !self.condemned.is_empty()
                    && run.packs().get(entry.pack as usize).is_some_and(|p| self.condemned.contains(&p.hash));
                if !condemned {
                    found.push(Location {
                        run: ordinal as u32,
                        position: position as u32,
                        pack: entry.pack,
                        group: entry.group,
                        offset: entry.offset,
                        len: entry.len,
                    });
                }
            }
        }
        Ok(found)
    }

    /// The run with this ordinal.
    ///
    /// # Errors
    /// Where there is none.
    pub fn run(&self, ordinal: u32) -> Result<Arc<Run>, VaultError> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        runs.get(ordinal as usize).cloned().ok_or(VaultError::Index(IndexError::Run))
    }

    /// The pack of a location.
    ///
    /// # Errors
    /// Where local files are damaged.
    pub fn pack(&self, location: &Location) -> Result<Pack, VaultError> {
        let run = self.run(location.run)?;
        run.packs().get(location.pack as usize).copied().ok_or(VaultError::Index(IndexError::Run))
    }

    /// The group of a location, and the key record that it opens with.
    ///
    /// # Errors
    /// Where local files are damaged.
    pub fn group(&self, location: &Location) -> Result<(GroupSpan, KeyRecord), VaultError> {
        let run = self.run(location.run)?;
        let span = run.group(location.group)?;
        let key = run.keys(location.pack)?.into_iter().nth(usize::from(span.key));
        Ok((span, key.ok_or(IndexError::Run)?))
    }

    /// How many chunks of each kind there are, and resident bytes of the filters.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.runs().iter().map(|run| run.entry_count()).sum()
    }

    /// What a chunk is, by the pack that it lies in.
    ///
    /// # Errors
    /// Where local files are damaged.
    pub fn kind(&self, location: &Location) -> Result<ChunkKind, VaultError> {
        Ok(self.pack(location)?.kind)
    }
}

/// Fetches and opens a segment.
///
/// # Errors
/// Where it cannot be fetched, or is damaged.
pub fn read_segment(
    handle: &DatasetHandle,
    name: &str,
    hash: &ObjectHash,
) -> Result<Vec<IndexedPack>, VaultError> {
    let bytes = handle.store.get(name, SEGMENT_MAX as u64)?;
    if ObjectHash::of(&bytes) != *hash {
        let error = FormatError::new("index segment", strongroom_format::Damage::Hash);
        return Err(VaultError::format(name, error));
    }
    segment::open(&bytes, &handle.owner, &handle.keys).map_err(|error| VaultError::format(name, error))
}

fn run_folder(handle: &DatasetHandle) -> Result<(PathBuf, Option<tempfile::TempDir>), VaultError> {
    if let Some(cache) = &handle.cache {
        let folder = cache.join("index");
        if std::fs::create_dir_all(&folder).is_ok()
            && !folder.metadata().map_or(true, |m| m.permissions().readonly())
        {
            return Ok((folder, None));
        }
    }
    let temporary = tempfile::Builder::new().prefix("strongroom-index-").tempdir().map_err(IndexError::Io)?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

/// The runs that can be opened, those of most segments first; what cannot be is removed.
fn cached_runs(folder: &Path) -> Vec<(PathBuf, Run)> {
    let mut runs = Vec::new();
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = file.path();
        if path.extension().is_none_or(|extension| extension != "run") {
            continue;
        }
        match File::open(&path).map_err(IndexError::Io).and_then(Run::open) {
            Ok(run) => runs.push((path, run)),
            Err(_) => {
                let _ = std::fs::remove_file(&path);
            }
        }
    }
    runs.sort_by_key(|(_, run)| std::cmp::Reverse(run.segments().len()));
    runs
}
