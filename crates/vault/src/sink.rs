//! The way into the vault: sealed groups fill packs, packs are uploaded, index segments follow them.
//!
//! In scope: which chunks are new, open packs, upload threads, segments. Out of scope: what the chunks
//! are and how they were cut; the snapshot, which the caller writes after [`Sink::finish`].

use crate::{
    error::{Result, VaultError},
    handle::DatasetHandle,
    index::Index,
};
use bytes::Bytes;
use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};
use strongroom_format::{
    ChunkId, Entropy, ObjectHash, Secret32, SystemEntropy,
    group::{Encoding, GroupChunk},
    keys::{ChunkKind, SealedSecret},
    pack::{FinishedPack, KeyRecord, PackBuilder},
    segment::{self, IndexedPack},
};

/// An index segment is written after so many chunks: what bounds the memory of a first backup.
const SEGMENT_CHUNKS: usize = 128 << 10;
/// Room in a pack buffer for the group that makes it full, padding and directory.
const PACK_SLACK: usize = 3 << 20;
const SHARDS: usize = 64;

/// The key that a backup run seals with.
#[derive(Debug, Clone)]
pub struct SessionKey {
    /// The session key.
    pub secret: Secret32,
    /// The epoch whose public key it is sealed to.
    pub epoch: u32,
    /// The session key, sealed.
    pub sealed: Box<SealedSecret>,
}

/// Ids are uniformly distributed already.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(head) = bytes.first_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*head);
        }
    }

    /// The length of an array, which hashing an array writes first.
    fn write_usize(&mut self, _: usize) {}
}

type IdSet = HashSet<ChunkId, BuildHasherDefault<IdHasher>>;

/// What went through a sink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// New chunks.
    pub chunks: u64,
    /// Their length before compression, in bytes.
    pub bytes: u64,
    /// Bytes written to the vault.
    pub stored: u64,
}

struct Shared {
    handle: DatasetHandle,
    session: SessionKey,
    dry_run: bool,
    index: OnceLock<Index>,
    loading: Mutex<()>,
    condemned: HashSet<ObjectHash>,
    pending: Vec<Mutex<IdSet>>,
    unindexed: Mutex<Vec<IndexedPack>>,
    spare_buffers: Mutex<Vec<Vec<u8>>>,
    failure: Mutex<Option<VaultError>>,
    failed: AtomicBool,
    chunks: AtomicU64,
    bytes: AtomicU64,
    stored: AtomicU64,
}

/// Takes sealed groups and makes them durable.
pub struct Sink {
    shared: Arc<Shared>,
    open: [Mutex<Option<PackBuilder>>; 3],
    uploads: Option<SyncSender<PackBuilder>>,
    uploaders: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sink({:?})", self.stats())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink {
    /// Opens a sink with `uploads` upload threads. Chunks in `condemned` packs count as absent.
    /// In a dry run, nothing is written.
    #[must_use]
    pub fn new(
        handle: DatasetHandle,
        session: SessionKey,
        condemned: HashSet<ObjectHash>,
        uploads: usize,
        dry_run: bool,
    ) -> Self {
        let shared = Arc::new(Shared {
            handle,
            session,
            dry_run,
            index: OnceLock::new(),
            loading: Mutex::new(()),
            condemned,
            pending: (0..SHARDS).map(|_| Mutex::default()).collect(),
            unindexed: Mutex::default(),
            spare_buffers: Mutex::default(),
            failure: Mutex::default(),
            failed: AtomicBool::new(false),
            chunks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            stored: AtomicU64::new(0),
        });
        // A rendezvous: a full pack waits in the hands of its worker, so that memory stays bounded.
        let (sender, receiver) = sync_channel(0);
        let receiver = Arc::new(Mutex::new(receiver));
        let uploaders = (0..uploads.max(1))
            .map(|_| {
                let (shared, receiver) = (Arc::clone(&shared), Arc::clone(&receiver));
                std::thread::spawn(move || upload_packs(&shared, &receiver))
            })
            .collect();
        Self { shared, open: Default::default(), uploads: Some(sender), uploaders }
    }

    /// The dataset that this sink writes to.
    #[must_use]
    pub fn handle(&self) -> &DatasetHandle {
        &self.shared.handle
    }

    /// The index of what the vault holds, loaded when it is first needed.
    ///
    /// # Errors
    /// Where it cannot be loaded.
    pub fn index(&self) -> Result<&Index> {
        self.shared.index()
    }

    /// Claims a chunk: true where the vault does not have it and the caller must now add it.
    ///
    /// # Errors
    /// Where the index cannot be read.
    pub fn claim(&self, id: &ChunkId) -> Result<bool> {
        let index = self.shared.index()?;
        let mut pending = lock(self.shared.shard(id));
        if pending.contains(id) || index.find(id)?.is_some() {
            return Ok(false);
        }
        pending.insert(*id);
        Ok(true)
    }

    /// Adds a group of claimed chunks. Waits while uploads are behind.
    ///
    /// # Errors
    /// The failure of an earlier upload.
    pub fn add_group(
        &self,
        kind: ChunkKind,
        encoding: Encoding,
        encoded: &[u8],
        chunks: Vec<GroupChunk>,
    ) -> Result<()> {
        self.check()?;
        let raw_len: u64 = chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
        self.shared.chunks.fetch_add(chunks.len() as u64, Relaxed);
        self.shared.bytes.fetch_add(raw_len, Relaxed);
        let full = {
            let mut open = lock(&self.open[kind as usize - 1]);
            let pack = open.get_or_insert_with(|| self.shared.new_pack(kind));
            pack.seal_group(encoding, encoded, chunks);
            let full = pack.len() >= self.shared.handle.layout.pack_size || !pack.has_room();
            full.then(|| open.take()).flatten()
        };
        full.map_or(Ok(()), |pack| self.upload(pack))
    }

    /// Adds a pack of moved groups.
    ///
    /// # Errors
    /// The failure of an earlier upload.
    pub fn upload(&self, pack: PackBuilder) -> Result<()> {
        let uploads = self.uploads.as_ref().ok_or(VaultError::Bug("a closed sink was written to"))?;
        if uploads.send(pack).is_err() {
            self.check()?;
            return Err(VaultError::Bug("the upload threads have ended"));
        }
        Ok(())
    }

    /// A buffer that a pack may be built in.
    #[must_use]
    pub fn pack_buffer(&self) -> Vec<u8> {
        self.shared.pack_buffer()
    }

    /// Fails where an upload has failed.
    ///
    /// # Errors
    /// The failure, once; later calls tell that the sink is closed.
    pub fn check(&self) -> Result<()> {
        if !self.shared.failed.load(Relaxed) {
            return Ok(());
        }
        Err(lock(&self.shared.failure).take().unwrap_or(VaultError::Cancelled))
    }

    /// What went through so far.
    #[must_use]
    pub fn stats(&self) -> SinkStats {
        SinkStats {
            chunks: self.shared.chunks.load(Relaxed),
            bytes: self.shared.bytes.load(Relaxed),
            stored: self.shared.stored.load(Relaxed),
        }
    }

    /// Makes everything durable: the open packs, then the index segment that names them.
    ///
    /// # Errors
    /// The first failure of any upload.
    pub fn finish(mut self) -> Result<SinkStats> {
        let open: Vec<_> = self.open.iter().filter_map(|open| lock(open).take()).collect();
        for pack in open {
            self.upload(pack)?;
        }
        self.stop();
        self.check()?;
        self.shared.write_segment(0)?;
        Ok(self.stats())
    }

    fn stop(&mut self) {
        self.uploads = None;
        for uploader in self.uploaders.drain(..) {
            if uploader.join().is_err() {
                self.shared.fail(VaultError::Bug("an upload thread panicked"));
            }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn index(&self) -> Result<&Index> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let _one_loader = lock(&self.loading);
        if self.index.get().is_none() {
            // A damaged segment only costs dedup here; `check` reports it.
            let (index, _) = Index::load(&self.handle, self.condemned.clone())?;
            let _ = self.index.set(index);
        }
        self.index.get().ok_or(VaultError::Bug("the index was not set"))
    }

    fn shard(&self, id: &ChunkId) -> &Mutex<IdSet> {
        &self.pending[usize::from(id.as_bytes()[31]) % SHARDS]
    }

    fn pack_buffer(&self) -> Vec<u8> {
        lock(&self.spare_buffers).pop().unwrap_or_default()
    }

    fn new_pack(&self, kind: ChunkKind) -> PackBuilder {
        let salt = SystemEntropy.array();
        let mut buffer = if kind == ChunkKind::Data { self.pack_buffer() } else { Vec::new() };
        if kind == ChunkKind::Data {
            buffer.reserve_exact((self.handle.layout.pack_size + PACK_SLACK).saturating_sub(buffer.len()));
        }
        if kind == ChunkKind::Refs {
            let secret = self.handle.keys.refs_secret();
            return PackBuilder::new(self.handle.owner, kind, KeyRecord::Write { salt }, &secret, buffer);
        }
        let SessionKey { secret, epoch, sealed } = &self.session;
        let key = KeyRecord::Session { salt, epoch: *epoch, sealed: sealed.clone() };
        PackBuilder::new(self.handle.owner, kind, key, secret, buffer)
    }

    fn fail(&self, error: VaultError) {
        lock(&self.failure).get_or_insert(error);
        self.failed.store(true, Relaxed);
    }

    fn store_pack(&self, pack: PackBuilder) -> Result<()> {
        let FinishedPack { hash, bytes, directory } = pack.finish(&self.handle.keys, &mut SystemEntropy);
        let len = bytes.len() as u64;
        self.stored.fetch_add(len, Relaxed);
        let bytes = Bytes::from(bytes);
        if !self.dry_run {
            self.handle.put(&self.handle.names.pack(&hash), bytes.clone())?;
        }
        if let Ok(buffer) = bytes.try_into_mut() {
            let mut spare = lock(&self.spare_buffers);
            if buffer.capacity() >= self.handle.layout.pack_size && spare.is_empty() {
                spare.push(buffer.into());
            }
        }
        lock(&self.unindexed).push(IndexedPack { hash, len, directory });
        self.write_segment(SEGMENT_CHUNKS)
    }

    /// Writes the index segment of the packs that none names yet, where they hold `threshold` chunks or more.
    fn write_segment(&self, threshold: usize) -> Result<()> {
        let packs = {
            let mut unindexed = lock(&self.unindexed);
            let chunks: usize = unindexed.iter().map(|pack| pack.directory.chunk_count()).sum();
            if chunks < threshold {
                return Ok(());
            }
            std::mem::take(&mut *unindexed)
        };
        if packs.is_empty() {
            return Ok(());
        }
        let bytes = segment::seal(&packs, &self.handle.owner, &self.handle.keys, &mut SystemEntropy);
        let hash = ObjectHash::of(&bytes);
        self.stored.fetch_add(bytes.len() as u64, Relaxed);
        if self.dry_run {
            return Ok(());
        }
        self.handle.put(&self.handle.names.segment(&hash), Bytes::from(bytes))?;
        if let Some(index) = self.index.get() {
            index.add_segment(hash, &packs)?;
            for chunk in packs.iter().flat_map(|p| &p.directory.groups).flat_map(|group| &group.chunks) {
                lock(self.shard(&chunk.id)).remove(&chunk.id);
            }
        }
        Ok(())
    }
}

fn upload_packs(shared: &Shared, packs: &Mutex<Receiver<PackBuilder>>) {
    loop {
        let Ok(pack) = lock(packs).recv() else { return };
        if shared.failed.load(Relaxed) {
            continue;
        }
        if let Err(error) = shared.store_pack(pack) {
            shared.fail(error);
        }
    }
}
