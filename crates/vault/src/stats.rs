//! How much is stored, and what it is made of. Needs no read key.

use crate::{
    error::{Result, VaultError},
    groups::GroupReader,
    handle::DatasetHandle,
    health::{Health, list_packs},
    index::Location,
    marks::Marks,
    monitor::Monitor,
    snapshots::StoredSnapshot,
    store::ObjectInfo,
    walk::{Visitor, Walk},
};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use strongroom_format::{ChunkId, keys::ChunkKind};

/// What snapshots hold when they are restored, each by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestoreSize {
    /// Snapshots.
    pub snapshots: u64,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Everything else.
    pub others: u64,
    /// Length of all files together, in bytes.
    pub bytes: u64,
}

/// Adds up what these snapshots hold, from their headers.
pub fn restore_size<'a>(snapshots: impl IntoIterator<Item = &'a StoredSnapshot>) -> RestoreSize {
    let mut size = RestoreSize::default();
    for StoredSnapshot { snapshot, .. } in snapshots {
        size.snapshots += 1;
        size.files += snapshot.summary.files;
        size.directories += snapshot.summary.directories;
        size.others += snapshot.summary.others;
        size.bytes += snapshot.summary.bytes;
    }
    size
}

/// Chunks of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KindSize {
    /// How many.
    pub chunks: u64,
    /// Their length before compression, in bytes.
    pub bytes: u64,
    /// Their share of the groups that they lie in, in bytes as stored; about.
    pub stored: u64,
}

/// Distinct chunks, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DistinctSize {
    /// Pieces of files.
    pub data: KindSize,
    /// Names and attributes.
    pub meta: KindSize,
    /// References.
    pub refs: KindSize,
}

impl DistinctSize {
    /// All kinds together.
    #[must_use]
    pub fn total(&self) -> KindSize {
        [self.data, self.meta, self.refs].into_iter().fold(KindSize::default(), |sum, kind| KindSize {
            chunks: sum.chunks + kind.chunks,
            bytes: sum.bytes + kind.bytes,
            stored: sum.stored + kind.stored,
        })
    }
}

#[derive(Default)]
struct Counting {
    chunks: AtomicU64,
    bytes: AtomicU64,
    stored: AtomicU64,
}

struct Counter<'a> {
    health: &'a Health,
    kinds: [Counting; 3],
}

impl Visitor for Counter<'_> {
    fn reached(&self, kind: ChunkKind, chosen: &Location, _: &[Location]) -> Result<()> {
        let span = self.health.index.run(chosen.run)?.group(chosen.group)?;
        let share = u64::from(span.stored_len) * u64::from(chosen.len) / u64::from(span.raw_len.max(1));
        let counting = &self.kinds[kind as usize - 1];
        counting.chunks.fetch_add(1, Relaxed);
        counting.bytes.fetch_add(u64::from(chosen.len), Relaxed);
        counting.stored.fetch_add(share, Relaxed);
        Ok(())
    }

    fn missing(&self, _: ChunkKind, id: &ChunkId) -> Result<()> {
        Err(VaultError::MissingChunk { id: *id })
    }

    fn unreadable(&self, _: &ChunkId, _: &Location, _: VaultError) -> Result<()> {
        Ok(())
    }
}

/// Counts what these snapshots need, each chunk once.
///
/// # Errors
/// Where the vault cannot be read, or something that they need is missing.
pub fn distinct_size(
    handle: &DatasetHandle,
    snapshots: &[StoredSnapshot],
    threads: usize,
    monitor: &Monitor<'_>,
) -> Result<DistinctSize> {
    let (reader, _) = GroupReader::open(handle, None)?;
    let (listed, _) = list_packs(handle)?;
    let health = Health::new(reader.index(), &listed);
    let marks = Marks::new(&health.index);
    let visitor = Counter { health: &health, kinds: Default::default() };
    let roots: Vec<_> = snapshots.iter().map(|stored| stored.snapshot.root).collect();
    Walk {
        reader: &reader,
        health: &health,
        marks: &marks,
        visitor: &visitor,
        threads,
        cancel: monitor.cancel,
    }
    .run(&roots)?;
    let [data, meta, refs] = visitor.kinds.map(|kind| KindSize {
        chunks: kind.chunks.into_inner(),
        bytes: kind.bytes.into_inner(),
        stored: kind.stored.into_inner(),
    });
    Ok(DistinctSize { data, meta, refs })
}

/// Objects of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Objects {
    /// How many.
    pub count: u64,
    /// Their length, in bytes.
    pub bytes: u64,
}

impl Objects {
    fn of(listed: &[ObjectInfo]) -> Self {
        Self { count: listed.len() as u64, bytes: listed.iter().map(|object| object.size).sum() }
    }
}

/// Packs of one kind, as the index describes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PackSize {
    /// The packs.
    pub packs: Objects,
    /// Chunks in them.
    pub chunks: u64,
    /// Length of the chunks before compression, in bytes.
    pub raw_bytes: u64,
    /// Length of the groups as stored, in bytes: the rest of a pack is its directory and padding.
    pub group_bytes: u64,
}

/// What a dataset takes up in the vault, whether a snapshot needs it or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredSize {
    /// Packs of file content.
    pub data: PackSize,
    /// Packs of names and attributes.
    pub meta: PackSize,
    /// Packs of references.
    pub refs: PackSize,
    /// Packs that the index does not name.
    pub orphans: Objects,
    /// Index segments.
    pub segments: Objects,
    /// Snapshot headers.
    pub snapshots: Objects,
}

impl StoredSize {
    /// Everything together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let packs = self.data.packs.bytes + self.meta.packs.bytes + self.refs.packs.bytes;
        packs + self.orphans.bytes + self.segments.bytes + self.snapshots.bytes
    }

    /// How many bytes before compression one stored byte stands for; `None` where nothing is stored.
    #[must_use]
    pub fn compression_ratio(&self) -> Option<f64> {
        let kinds = [self.data, self.meta, self.refs];
        ratio(kinds.iter().map(|kind| kind.raw_bytes).sum(), kinds.iter().map(|kind| kind.group_bytes).sum())
    }

    /// How many bytes of files in `restorable` snapshots one distinct byte stands for.
    #[must_use]
    pub fn dedup_ratio(&self, restorable: &RestoreSize) -> Option<f64> {
        ratio(restorable.bytes, self.data.raw_bytes)
    }
}

fn ratio(of: u64, to: u64) -> Option<f64> {
    (to > 0).then(|| of as f64 / to as f64)
}

/// Adds up what is in the vault, from its listings and the index.
///
/// # Errors
/// Where the vault or its index cannot be read.
pub fn stored_size(handle: &DatasetHandle) -> Result<StoredSize> {
    let mut size = StoredSize {
        segments: Objects::of(&handle.store.list(&handle.names.index())?),
        snapshots: Objects::of(&handle.store.list(&handle.names.snapshots())?),
        ..StoredSize::default()
    };
    let (reader, _) = GroupReader::open(handle, None)?;
    let (listed, _) = list_packs(handle)?;
    let health = Health::new(reader.index(), &listed);
    for (ordinal, run) in health.index.runs().iter().enumerate() {
        let mut chunks = vec![0u64; run.packs().len()];
        run.for_each_entry(|_, entry| {
            if let Some(count) = chunks.get_mut(entry.pack as usize) {
                *count += 1;
            }
        })?;
        for (nth, pack) in run.packs().iter().enumerate() {
            if health.state(ordinal as u32, nth as u32) == crate::health::PackState::Twin {
                continue;
            }
            let kind = match pack.kind {
                ChunkKind::Data => &mut size.data,
                ChunkKind::Meta => &mut size.meta,
                ChunkKind::Refs => &mut size.refs,
            };
            kind.packs.count += 1;
            kind.packs.bytes += pack.len;
            kind.chunks += chunks.get(nth).copied().unwrap_or(0);
            for group in pack.first_group..pack.first_group + pack.groups {
                let span = run.group(group)?;
                kind.raw_bytes += u64::from(span.raw_len);
                kind.group_bytes += u64::from(span.stored_len);
            }
        }
    }
    for (hash, pack) in &listed {
        if !health.names_pack(hash) {
            size.orphans.count += 1;
            size.orphans.bytes += pack.len;
        }
    }
    Ok(size)
}
