//! Saving what can be read of damaged packs, so that no later backup builds on what cannot.

use crate::{
    check::Survey,
    error::{Result, VaultError},
    handle::DatasetHandle,
    index::Index,
    segments::{self, SegmentWriter},
    snapshots::is_spoilt,
};
use bytes::Bytes;
use std::collections::HashSet;
use strongroom_format::{
    ObjectHash, SystemEntropy, names,
    pack::{FinishedPack, KeyRecord, PackBuilder},
    segment::IndexedPack,
};

/// Moves the good groups of `spoilt` packs into new ones, and indexes everything without the spoilt packs,
/// which prune then removes as orphans. A group of which any chunk is lost is given up whole.
pub(super) fn salvage(survey: &Survey, spoilt: &HashSet<ObjectHash>) -> Result<()> {
    if spoilt.is_empty() {
        return Ok(());
    }
    let handle = &survey.handle;
    let index = &survey.health.index;
    let mut new = Vec::new();
    let mut done = HashSet::new();
    let mut objects = Vec::new();
    for object in handle.store.list(&handle.names.index())? {
        // A damaged segment is for `repair_index` to mend.
        let Some(hash) = names::hash_of(&object.name) else { continue };
        let packs = match crate::index::read_segment(handle, &object.name, &hash) {
            Ok(packs) => packs,
            Err(error) if error.is_integrity() || is_spoilt(&error) => continue,
            Err(error) => return Err(error),
        };
        if !packs.iter().any(|pack| spoilt.contains(&pack.hash)) {
            continue;
        }
        objects.push(object.name);
        for pack in packs {
            if spoilt.contains(&pack.hash) && done.insert(pack.hash) {
                new.extend(save_groups(survey, index, &pack)?);
            }
        }
    }
    let mut writer = SegmentWriter::new(handle, false);
    new.into_iter().try_for_each(|pack| writer.add(pack))?;
    for batch in objects.chunks(segments::BATCH) {
        for pack in segments::read_all(handle, batch)?.into_iter().flatten() {
            if done.insert(pack.hash) {
                writer.add(pack)?;
            }
        }
    }
    writer.finish()?;
    objects.iter().try_for_each(|object| Ok(handle.store.delete(object)?))
}

fn save_groups(survey: &Survey, index: &Index, pack: &IndexedPack) -> Result<Option<IndexedPack>> {
    let handle: &DatasetHandle = &survey.handle;
    let name = handle.names.pack(&pack.hash);
    let mut builder = PackBuilder::for_moved(handle.owner, pack.directory.kind, Vec::new());
    for (nth, record) in pack.directory.groups.iter().enumerate() {
        if !survey.health.is_group_good(&pack.hash, nth as u32) {
            continue;
        }
        let mut whole = true;
        for chunk in &record.chunks {
            let places = index.find_all(&chunk.id)?;
            let here = places.iter().filter(|p| index.pack(p).is_ok_and(|found| found.hash == pack.hash));
            whole &= here.into_iter().all(|place| survey.health.is_readable(place));
        }
        let key: Option<&KeyRecord> = pack.directory.keys.get(usize::from(record.span.key));
        let (true, Some(key)) = (whole, key) else { continue };
        let range = handle.store.get_range(&name, record.span.offset.into(), record.span.stored_len.into());
        match range.map_err(VaultError::from) {
            Ok(stored) => builder.move_group(key, record, &stored),
            Err(VaultError::Store(error)) if error.is_not_found() => {}
            Err(error) if is_spoilt(&error) => {}
            Err(error) => return Err(error),
        }
    }
    if builder.is_empty() {
        return Ok(None);
    }
    let FinishedPack { hash, bytes, directory } = builder.finish(&handle.keys, &mut SystemEntropy);
    let len = bytes.len() as u64;
    handle.put(&handle.names.pack(&hash), Bytes::from(bytes))?;
    Ok(Some(IndexedPack { hash, len, directory }))
}
