//! The snapshots of a dataset: reading all headers, removing some, changing tags. Needs no read key.

use crate::{
    backup::write_snapshot,
    error::{Result, VaultError},
    handle::DatasetHandle,
    pool,
    progress::Cancel,
    session::Session,
};
use std::collections::{BTreeSet, HashMap};
use strongroom_format::{Damage, FormatError, ObjectHash, limits::DOCUMENT_MAX, names, snapshot::Snapshot};

/// A snapshot as it stands in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// Its id: the hash of the header's bytes.
    pub id: ObjectHash,
    /// The epoch of the backup that made it.
    pub epoch: u32,
    /// The object's name in the vault.
    pub object: String,
    /// The header.
    pub snapshot: Snapshot,
}

/// A snapshot whose header cannot be read.
#[derive(Debug)]
pub struct DamagedSnapshot {
    /// The object's name in the vault.
    pub object: String,
    /// What is wrong with it.
    pub error: VaultError,
}

/// Every snapshot of a dataset.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// Those that can be read, oldest first.
    pub good: Vec<StoredSnapshot>,
    /// Those that cannot.
    pub damaged: Vec<DamagedSnapshot>,
}

impl Snapshots {
    /// The snapshot with this id.
    #[must_use]
    pub fn find(&self, id: &ObjectHash) -> Option<&StoredSnapshot> {
        self.good.iter().find(|stored| stored.id == *id)
    }
}

/// Reads all headers.
///
/// # Errors
/// Where the vault cannot be listed or read. A damaged header is no error: it stands beside the others.
pub fn load(handle: &DatasetHandle) -> Result<Snapshots> {
    let objects: Vec<String> =
        handle.store.list(&handle.names.snapshots())?.into_iter().map(|object| object.name).collect();
    load_objects(handle, &objects)
}

/// Reads the headers in these objects; those that are gone meanwhile are left out.
pub(crate) fn load_objects(handle: &DatasetHandle, objects: &[String]) -> Result<Snapshots> {
    let read =
        pool::map(pool::WAITING_THREADS, objects, &Cancel::new(), |object| match read_one(handle, object) {
            Ok(stored) => Ok(Some(Ok(stored))),
            Err(VaultError::Store(error)) if error.is_not_found() => Ok(None),
            Err(error) if error.is_integrity() || is_spoilt(&error) => {
                Ok(Some(Err(DamagedSnapshot { object: object.clone(), error })))
            }
            Err(error) => Err(error),
        })?;
    let mut snapshots = Snapshots::default();
    for result in read.into_iter().flatten() {
        match result {
            Ok(stored) => snapshots.good.push(stored),
            Err(damaged) => snapshots.damaged.push(damaged),
        }
    }
    snapshots.good.sort_by(|a, b| (&a.snapshot.time, a.id).cmp(&(&b.snapshot.time, b.id)));
    snapshots.damaged.sort_by(|a, b| a.object.cmp(&b.object));
    Ok(snapshots)
}

/// Whether the store itself says that an object's bytes are not what they were.
pub(crate) fn is_spoilt(error: &VaultError) -> bool {
    use crate::store::StoreError;
    matches!(
        error,
        VaultError::Store(
            StoreError::Corrupt { .. } | StoreError::TooLarge { .. } | StoreError::OutOfRange { .. }
        )
    )
}

/// Reads one header.
///
/// # Errors
/// Where it is missing or damaged, or the store fails.
pub fn read(handle: &DatasetHandle, epoch: u32, id: &ObjectHash) -> Result<StoredSnapshot> {
    read_one(handle, &handle.names.snapshot(epoch, id))
}

fn read_one(handle: &DatasetHandle, object: &str) -> Result<StoredSnapshot> {
    let damaged = |damage| VaultError::format(object, FormatError::new("snapshot", damage));
    let (epoch, id) = names::parse_snapshot(object)
        .filter(|(epoch, id)| handle.names.snapshot(*epoch, id) == object)
        .ok_or_else(|| damaged(Damage::Field("name")))?;
    let bytes = handle.store.get(object, DOCUMENT_MAX as u64)?;
    if ObjectHash::of(&bytes) != id {
        return Err(damaged(Damage::Hash));
    }
    let (found, snapshot) = Snapshot::open(&bytes, &handle.owner, &handle.keys)
        .map_err(|error| VaultError::format(object, error))?;
    if found != epoch {
        return Err(damaged(Damage::Field("epoch")));
    }
    Ok(StoredSnapshot { id, epoch, object: object.to_owned(), snapshot })
}

/// Removes snapshots, whether their headers can be read or not. What they alone needed is freed by prune.
///
/// # Errors
/// [`VaultError::NoSnapshot`] before anything is removed where one is not there; where the store fails.
pub fn remove(handle: &DatasetHandle, ids: &[ObjectHash]) -> Result<()> {
    let listed = handle.store.list(&handle.names.snapshots())?;
    let objects: HashMap<ObjectHash, String> = listed
        .into_iter()
        .filter_map(|object| Some((names::parse_snapshot(&object.name)?.1, object.name)))
        .collect();
    let doomed: BTreeSet<&String> = ids
        .iter()
        .map(|id| objects.get(id).ok_or_else(|| VaultError::NoSnapshot { wanted: id.to_hex() }))
        .collect::<Result<_>>()?;
    let doomed: Vec<&String> = doomed.into_iter().collect();
    pool::for_each_with(
        pool::WAITING_THREADS,
        &doomed,
        &Cancel::new(),
        || (),
        |(), object| Ok(handle.store.delete(object)?),
    )
}

/// A snapshot that stands under a new id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Its id before.
    pub old: ObjectHash,
    /// Its id now.
    pub new: ObjectHash,
}

/// Changes the tags of snapshots: for each that `change` changes, a new header is put and then the old one
/// removed. Tags are kept sorted, each once.
///
/// # Errors
/// [`VaultError::NoSnapshot`] where one is not there; where one is damaged or the store fails.
pub fn retag(
    handle: &DatasetHandle,
    host: &str,
    ids: &[ObjectHash],
    change: &dyn Fn(&mut Vec<String>),
) -> Result<Vec<Replaced>> {
    // A new header builds on what the old one refers to, as a backup would: a prune that does not see the
    // old one any more has to wait for the new one [V-8.2].
    let session = Session::start(handle, host, false)?;
    let snapshots = load(handle)?;
    let mut replaced = Vec::new();
    for id in &ids.iter().copied().collect::<BTreeSet<_>>() {
        let stored = snapshots.find(id).ok_or_else(|| VaultError::NoSnapshot { wanted: id.to_hex() })?;
        let mut snapshot = stored.snapshot.clone();
        change(&mut snapshot.tags);
        snapshot.tags.sort();
        snapshot.tags.dedup();
        if snapshot.tags == stored.snapshot.tags {
            continue;
        }
        session.still_alive()?;
        snapshot.original.get_or_insert(*id);
        let new = write_snapshot(handle, stored.epoch, &snapshot)?;
        handle.store.delete(&stored.object)?;
        replaced.push(Replaced { old: *id, new });
    }
    session.end();
    Ok(replaced)
}
