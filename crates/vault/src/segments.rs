//! Reading and writing many index segments: what prune and repair have in common.

use crate::{
    error::{Result, VaultError},
    handle::DatasetHandle,
    index::read_segment,
    pool,
    progress::Cancel,
};
use bytes::Bytes;
use strongroom_format::{
    ObjectHash, SystemEntropy, names,
    segment::{self, IndexedPack},
};

/// New segments are about this long, in bytes.
const TARGET: usize = 8 << 20;
/// So many segments are read at the same time.
pub(crate) const BATCH: usize = 8;

/// Writes segments one after the other, each of about 8 MiB.
pub(crate) struct SegmentWriter<'a> {
    handle: &'a DatasetHandle,
    dry_run: bool,
    pending: Vec<IndexedPack>,
    pending_len: usize,
    written: u64,
}

impl<'a> SegmentWriter<'a> {
    /// A writer; in a dry run, it only counts.
    pub(crate) fn new(handle: &'a DatasetHandle, dry_run: bool) -> Self {
        Self { handle, dry_run, pending: Vec::new(), pending_len: 0, written: 0 }
    }

    pub(crate) fn add(&mut self, pack: IndexedPack) -> Result<()> {
        let directory = &pack.directory;
        let len =
            64 + directory.chunk_count() * 36 + directory.groups.len() * 20 + directory.keys.len() * 1220;
        if self.pending_len + len > TARGET {
            self.flush()?;
        }
        self.pending_len += len;
        self.pending.push(pack);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if !self.dry_run {
            let bytes =
                segment::seal(&self.pending, &self.handle.owner, &self.handle.keys, &mut SystemEntropy);
            let hash = ObjectHash::of(&bytes);
            self.handle.put(&self.handle.names.segment(&hash), Bytes::from(bytes))?;
        }
        self.pending.clear();
        self.pending_len = 0;
        self.written += 1;
        Ok(())
    }

    /// Writes what is left; how many segments there were.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.flush()?;
        Ok(self.written)
    }
}

/// Reads segments; fails where one of them is gone.
pub(crate) fn read_all(handle: &DatasetHandle, objects: &[String]) -> Result<Vec<Vec<IndexedPack>>> {
    pool::map(BATCH, objects, &Cancel::new(), |object| {
        let hash = names::hash_of(object).ok_or(VaultError::Bug("a segment without a hash was listed"))?;
        match read_segment(handle, object, &hash) {
            Err(VaultError::Store(error)) if error.is_not_found() => Err(VaultError::Disturbed),
            other => other,
        }
    })
}
