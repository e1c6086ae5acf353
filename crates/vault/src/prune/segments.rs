//! Writing the index anew without the packs that go.

use crate::{
    error::Result,
    handle::DatasetHandle,
    segments::{BATCH, SegmentWriter, read_all},
    store::ObjectInfo,
};
use std::collections::HashSet;
use strongroom_format::{ObjectHash, segment::IndexedPack};

/// Segments below this length are merged, in bytes, once there are so many of them.
const SMALL: u64 = 2 << 20;
const SMALL_MANY: usize = 16;

/// A segment that new ones stand in for.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) object: String,
    /// The packs that it names and that go: it must stay as long as one of them does.
    pub(super) dropped: Vec<ObjectHash>,
}

/// Whether there are so many small segments that they are worth merging.
pub(super) fn worth_merging(segments: &[ObjectInfo]) -> bool {
    segments.iter().filter(|object| object.size < SMALL).count() >= SMALL_MANY
}

/// Indexes `new` packs, and replaces every segment that names a pack in `gone`, or nothing that others do not
/// name, or that is small among many. Returns how many were written, and which can go.
pub(super) fn rewrite(
    handle: &DatasetHandle,
    mut segments: Vec<ObjectInfo>,
    gone: &HashSet<ObjectHash>,
    new: Vec<IndexedPack>,
) -> Result<(u64, Vec<Replaced>)> {
    let mut writer = SegmentWriter::new(handle, false);
    let mut covered = HashSet::new();
    for pack in new {
        covered.insert(pack.hash);
        writer.add(pack)?;
    }
    let merging = worth_merging(&segments);
    // The newest first: they replaced the older ones where a prune did not come to its end.
    segments.sort_by(|a, b| (b.modified, &b.name).cmp(&(a.modified, &a.name)));
    let mut replaced = Vec::new();
    for batch in segments.chunks(BATCH) {
        let objects: Vec<String> = batch.iter().map(|object| object.name.clone()).collect();
        for (object, packs) in batch.iter().zip(read_all(handle, &objects)?) {
            let dropped: Vec<ObjectHash> =
                packs.iter().map(|pack| pack.hash).filter(|hash| gone.contains(hash)).collect();
            let mut rest: Vec<IndexedPack> = packs
                .into_iter()
                .filter(|pack| !gone.contains(&pack.hash) && covered.insert(pack.hash))
                .collect();
            if dropped.is_empty() && !rest.is_empty() && !(merging && object.size < SMALL) {
                continue;
            }
            rest.drain(..).try_for_each(|pack| writer.add(pack))?;
            replaced.push(Replaced { object: object.name.clone(), dropped });
        }
    }
    Ok((writer.finish()?, replaced))
}

/// Indexes `packs` again, as the segments in `objects` describe them.
pub(super) fn restore(handle: &DatasetHandle, objects: &[String], packs: &HashSet<ObjectHash>) -> Result<()> {
    let mut writer = SegmentWriter::new(handle, false);
    let mut covered = HashSet::new();
    for batch in objects.chunks(BATCH) {
        for pack in read_all(handle, batch)?.into_iter().flatten() {
            if packs.contains(&pack.hash) && covered.insert(pack.hash) {
                writer.add(pack)?;
            }
        }
    }
    writer.finish()?;
    Ok(())
}

/// The packs that these segments name.
pub(super) fn packs_named(handle: &DatasetHandle, objects: &[String]) -> Result<HashSet<ObjectHash>> {
    let mut named = HashSet::new();
    for batch in objects.chunks(BATCH) {
        named.extend(read_all(handle, batch)?.into_iter().flatten().map(|pack| pack.hash));
    }
    Ok(named)
}
