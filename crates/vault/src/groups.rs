//! Reading groups out of packs: fetch, open, verify.

use crate::{
    error::{Result, VaultError},
    handle::DatasetHandle,
    index::{DamagedSegment, Index, Location},
    read_keys::ReadKeys,
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError, RwLock},
};
use strongroom_format::{
    ChunkId, Damage, FormatError,
    group::{GroupOpener, group_key},
    keys::ChunkKind,
    pack::KeyRecord,
};

/// Opened groups that are kept for the next reader, in bytes.
const CACHE_BYTES: usize = 24 << 20;

/// Reads chunks of one dataset. With [`ReadKeys`] of every kind, without them refs nodes only.
#[derive(Debug)]
pub struct GroupReader {
    handle: DatasetHandle,
    keys: Option<Arc<ReadKeys>>,
    index: RwLock<Arc<Index>>,
    cache: Mutex<Cache>,
}

/// Opens groups on one thread, with its own decompressor.
#[derive(Debug, Default)]
pub struct GroupBuffer {
    pub(crate) opener: GroupOpener,
    /// The group's chunks, one after the other.
    pub raw: Vec<u8>,
}

#[derive(Debug, Default)]
struct Cache {
    groups: HashMap<(String, u32), Arc<Vec<u8>>>,
    order: VecDeque<(String, u32)>,
    bytes: usize,
}

impl GroupReader {
    /// A reader over a freshly loaded index. Damaged index segments are returned beside it: what they cover
    /// is found missing.
    ///
    /// # Errors
    /// Where the index cannot be loaded.
    pub fn open(handle: &DatasetHandle, keys: Option<Arc<ReadKeys>>) -> Result<(Self, Vec<DamagedSegment>)> {
        let (index, damaged) = Index::load(handle, HashSet::new())?;
        let reader = Self {
            handle: handle.clone(),
            keys,
            index: RwLock::new(Arc::new(index)),
            cache: Mutex::default(),
        };
        Ok((reader, damaged))
    }

    /// The dataset.
    #[must_use]
    pub fn handle(&self) -> &DatasetHandle {
        &self.handle
    }

    /// The index as it was loaded last.
    #[must_use]
    pub fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where a chunk lies.
    ///
    /// # Errors
    /// [`VaultError::MissingChunk`] where no pack has it.
    pub fn locate(&self, id: &ChunkId) -> Result<Location> {
        self.index().find(id)?.ok_or(VaultError::MissingChunk { id: *id })
    }

    /// Loads the index again: prune may have moved groups since.
    ///
    /// # Errors
    /// Where it cannot be loaded.
    pub fn reload(&self) -> Result<()> {
        let (index, _) = Index::load(&self.handle, HashSet::new())?;
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(index);
        Ok(())
    }

    /// Fetches and opens the group of a location.
    ///
    /// # Errors
    /// Where the pack is missing or the group is damaged.
    pub fn read_group(&self, index: &Index, location: &Location, buffer: &mut GroupBuffer) -> Result<()> {
        let pack = index.pack(location)?;
        let (span, record) = index.group(location)?;
        let name = self.handle.names.pack(&pack.hash);
        let bytes = self.handle.store.get_range(&name, u64::from(span.offset), u64::from(span.stored_len));
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Err(VaultError::MissingObject { name }),
            Err(error) => return Err(error.into()),
        };
        if bytes.len() != span.stored_len as usize {
            return Err(VaultError::damaged(name, "group", Damage::Truncated));
        }
        let key = match (&self.keys, &record) {
            (Some(keys), _) => keys.group_key(&record)?,
            (None, KeyRecord::Write { salt }) => Arc::new(group_key(&self.handle.keys.refs_secret(), salt)),
            (None, KeyRecord::Session { .. }) => {
                return Err(VaultError::Bug("content was asked for without a read key"));
            }
        };
        let mut stored: Vec<u8> = bytes.into();
        buffer
            .opener
            .open(&key, &self.handle.owner, pack.kind, &span, &mut stored, &mut buffer.raw)
            .map_err(|error| VaultError::format(format!("{name} (group at byte {})", span.offset), error))
    }

    /// One chunk, its id verified. Opened groups are kept for a while.
    ///
    /// # Errors
    /// Where it is missing or damaged everywhere it should be.
    pub fn read_chunk(&self, kind: ChunkKind, id: &ChunkId) -> Result<Vec<u8>> {
        match self.read_chunk_once(kind, id) {
            Err(VaultError::MissingChunk { .. } | VaultError::MissingObject { .. }) => {
                self.reload()?;
                self.read_chunk_once(kind, id)
            }
            other => other,
        }
    }

    fn read_chunk_once(&self, kind: ChunkKind, id: &ChunkId) -> Result<Vec<u8>> {
        let index = self.index();
        let mut last_error = VaultError::MissingChunk { id: *id };
        // A chunk that two hosts stored at the same time is there twice: one good copy is enough.
        for location in index.find_all(id)? {
            match self.read_at(&index, &location, kind, id) {
                Ok(chunk) => return Ok(chunk),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    fn read_at(&self, index: &Index, location: &Location, kind: ChunkKind, id: &ChunkId) -> Result<Vec<u8>> {
        let pack = index.pack(location)?;
        let name = self.handle.names.pack(&pack.hash);
        let group_key = (name, location.group);
        let cached = lock(&self.cache).groups.get(&group_key).cloned();
        if let (Some(_), Some(keys)) = (&cached, &self.keys) {
            // What is kept opened is handed out only under a lease that still runs.
            keys.group_key(&index.group(location)?.1)?;
        }
        let raw = match cached {
            Some(raw) => raw,
            None => {
                let mut buffer = GroupBuffer::default();
                self.read_group(index, location, &mut buffer)?;
                let raw = Arc::new(buffer.raw);
                lock(&self.cache).insert(group_key, Arc::clone(&raw));
                raw
            }
        };
        Ok(self.chunk_in(&raw, location, kind, id, index)?.to_vec())
    }

    /// The bytes of a chunk in an opened group, its id verified.
    ///
    /// # Errors
    /// Where the content does not have the id.
    pub fn chunk_in<'r>(
        &self,
        raw: &'r [u8],
        location: &Location,
        kind: ChunkKind,
        id: &ChunkId,
        index: &Index,
    ) -> Result<&'r [u8]> {
        let start = location.offset as usize;
        let chunk = raw.get(start..start + location.len as usize);
        match chunk {
            Some(chunk) if self.handle.keys.chunk_id(kind, chunk) == *id => Ok(chunk),
            _ => {
                let name = self.handle.names.pack(&index.pack(location)?.hash);
                Err(VaultError::format(name, FormatError::new("chunk", Damage::Hash)))
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    fn insert(&mut self, key: (String, u32), raw: Arc<Vec<u8>>) {
        self.bytes += raw.len();
        if self.groups.insert(key.clone(), raw).is_none() {
            self.order.push_back(key);
        }
        while self.bytes > CACHE_BYTES && self.order.len() > 1 {
            if let Some(old) = self.order.pop_front().and_then(|key| self.groups.remove(&key)) {
                self.bytes -= old.len();
            }
        }
    }
}
