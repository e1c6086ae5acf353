//! The index, from the directories that packs carry at their tails.

use crate::{
    error::{Result, VaultError},
    handle::DatasetHandle,
    health::list_packs,
    index::read_segment,
    monitor::Monitor,
    pool,
    segments::SegmentWriter,
    session::{self, Session},
    snapshots::is_spoilt,
};
use std::collections::HashSet;
use strongroom_format::{
    Damage, FormatError, ObjectHash, names,
    pack::{HEADER_LEN, PackDirectory, TRAILER_LEN, open_directory, read_trailer},
    segment::IndexedPack,
};

/// So many bytes of a pack's tail are read at once: nearly every directory fits.
const TAIL: u64 = 256 << 10;

/// A pack whose directory does not open.
#[derive(Debug)]
pub struct LostPack {
    /// The object's name.
    pub object: String,
    /// What is wrong with it.
    pub error: VaultError,
}

/// What a repair of the index has done, or in a dry run would do.
#[derive(Debug, Default)]
pub struct IndexRepair {
    /// Packs that are in the index again.
    pub packs_added: u64,
    /// Packs that were in the index and are not, or not whole, in the vault: their entries are gone.
    pub packs_removed: Vec<ObjectHash>,
    /// Segments that were damaged or named such packs, and have been replaced.
    pub segments_replaced: Vec<String>,
    /// Segments that were written.
    pub segments_written: u64,
    /// Packs that no segment names and whose directory does not open: they stay as they are.
    pub lost: Vec<LostPack>,
}

impl IndexRepair {
    /// Whether the index was whole.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.packs_added == 0 && self.segments_replaced.is_empty()
    }
}

/// Rebuilds what is missing of the index. `host` is the name that the repair shows itself by.
///
/// # Errors
/// Where the vault cannot be read or written.
pub fn repair_index(
    handle: &DatasetHandle,
    host: &str,
    dry_run: bool,
    monitor: &Monitor<'_>,
) -> Result<IndexRepair> {
    // Prune waits for whoever may be about to index a pack [V-8.2].
    let session = Session::start(handle, host, dry_run)?;
    let condemned = session.condemned()?;
    let segments: Vec<String> =
        handle.store.list(&handle.names.index())?.into_iter().map(|object| object.name).collect();
    let (running, _) = session::read_sessions(handle, jiff::Timestamp::now())?;
    let (listed, _) = list_packs(handle)?;

    let mut repair = IndexRepair::default();
    let mut writer = SegmentWriter::new(handle, dry_run);
    let mut named = HashSet::new();
    let mut any_damaged = false;
    let mut kept_of_replaced = Vec::new();
    for object in segments {
        match read_named(handle, &object) {
            Ok(packs) => {
                let is_whole =
                    |pack: &IndexedPack| listed.get(&pack.hash).is_some_and(|listed| listed.len == pack.len);
                if packs.iter().all(is_whole) {
                    named.extend(packs.into_iter().map(|pack| pack.hash));
                    continue;
                }
                for pack in packs {
                    if is_whole(&pack) {
                        kept_of_replaced.push(pack);
                    } else {
                        repair.packs_removed.push(pack.hash);
                    }
                }
                repair.segments_replaced.push(object);
            }
            Err(VaultError::Store(error)) if error.is_not_found() => {}
            Err(error) if error.is_integrity() || is_spoilt(&error) => {
                any_damaged = true;
                repair.segments_replaced.push(object);
            }
            Err(error) => return Err(error),
        }
    }
    for pack in kept_of_replaced {
        if named.insert(pack.hash) {
            writer.add(pack)?;
        }
    }
    // What prune has condemned is dead, unless a damaged segment may have named it.
    let mut unnamed: Vec<(ObjectHash, u64)> = listed
        .iter()
        .filter(|(hash, _)| !named.contains(hash) && (any_damaged || !condemned.contains(hash)))
        // Whoever is making it will index it.
        .filter(|(_, pack)| {
            any_damaged
                || !running.iter().any(|other| other.id != session.id() && other.started <= pack.modified)
        })
        .map(|(hash, pack)| (*hash, pack.len))
        .collect();
    unnamed.sort_unstable();
    monitor.counters.found(unnamed.len() as u64, 0);
    monitor.counters.totals_final();
    for batch in unnamed.chunks(pool::WAITING_THREADS) {
        let read = pool::map(pool::WAITING_THREADS, batch, monitor.cancel, |(hash, len)| {
            monitor.counters.file_done();
            match read_directory(handle, hash, *len) {
                Ok(directory) => Ok(Ok(IndexedPack { hash: *hash, len: *len, directory })),
                Err(error) if error.is_integrity() || is_spoilt(&error) => {
                    Ok(Err(LostPack { object: handle.names.pack(hash), error }))
                }
                Err(error) => Err(error),
            }
        })?;
        for result in read {
            match result {
                Ok(pack) => {
                    repair.packs_added += 1;
                    writer.add(pack)?;
                }
                Err(lost) => repair.lost.push(lost),
            }
        }
    }
    repair.segments_written = writer.finish()?;
    session.still_alive()?;
    if !dry_run {
        for object in &repair.segments_replaced {
            handle.store.delete(object)?;
        }
    }
    session.end();
    Ok(repair)
}

fn read_named(handle: &DatasetHandle, object: &str) -> Result<Vec<IndexedPack>> {
    let hash = names::hash_of(object)
        .filter(|hash| handle.names.segment(hash) == object)
        .ok_or_else(|| VaultError::damaged(object, "index segment", Damage::Field("name")))?;
    read_segment(handle, object, &hash)
}

/// Reads a pack's directory from its tail.
fn read_directory(handle: &DatasetHandle, hash: &ObjectHash, len: u64) -> Result<PackDirectory> {
    let name = handle.names.pack(hash);
    let damaged = |error: FormatError| VaultError::format(&name, error);
    let truncated = || damaged(FormatError::new("pack", Damage::Truncated));
    if len < (HEADER_LEN + TRAILER_LEN) as u64 {
        return Err(truncated());
    }
    let header = handle.store.get_range(&name, 0, HEADER_LEN as u64)?;
    let tail_len = TAIL.min(len - HEADER_LEN as u64);
    let tail = handle.store.get_range(&name, len - tail_len, tail_len)?;
    let (rest, trailer) = tail.split_last_chunk::<TRAILER_LEN>().ok_or_else(truncated)?;
    let sealed_len = read_trailer(trailer, len).map_err(damaged)?;
    let start = len - (TRAILER_LEN + sealed_len) as u64;
    let directory = match rest.len().checked_sub(sealed_len) {
        Some(at) => open_directory(&handle.keys, &header, &handle.owner, &rest[at..]),
        None => {
            let sealed = handle.store.get_range(&name, start, sealed_len as u64)?;
            open_directory(&handle.keys, &header, &handle.owner, &sealed)
        }
    }
    .map_err(damaged)?;
    if directory.groups_end() as u64 > start {
        return Err(damaged(FormatError::new("pack", Damage::Field("group"))));
    }
    Ok(directory)
}
