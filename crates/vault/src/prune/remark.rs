//! What appeared since the plan was made, and which condemned packs it needs.

use super::survey::{Survey, whole_index, whole_snapshots};
use crate::{
    error::{Result, VaultError},
    health::{Health, list_packs},
    index::Location,
    marks::Marks,
    monitor::Monitor,
    walk::{Visitor, Walk},
};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};
use strongroom_format::{ChunkId, ObjectHash, keys::ChunkKind};

/// Walks the snapshots that `survey` did not see, and returns which of the `doomed` packs they need.
pub(super) fn needed(
    survey: &Survey,
    doomed: &HashSet<ObjectHash>,
    threads: usize,
    monitor: &Monitor<'_>,
) -> Result<HashSet<ObjectHash>> {
    let handle = &survey.handle;
    let new: Vec<String> = handle
        .store
        .list(&handle.names.snapshots())?
        .into_iter()
        .map(|object| object.name)
        .filter(|name| !survey.snapshots.contains(name))
        .collect();
    if new.is_empty() {
        return Ok(HashSet::new());
    }
    let snapshots = whole_snapshots(handle, &new)?;
    let reader = whole_index(handle)?;
    let (listed, _) = list_packs(handle)?;
    let health = Health::new(reader.index(), &listed);
    let marks = Marks::new(&health.index);
    let visitor = Rescuer { health: &health, doomed, rescued: Mutex::default() };
    let roots: Vec<_> = snapshots.good.iter().map(|stored| stored.snapshot.root).collect();
    Walk {
        reader: &reader,
        health: &health,
        marks: &marks,
        visitor: &visitor,
        threads,
        cancel: monitor.cancel,
    }
    .run(&roots)
    .map_err(|error| {
        if error.is_integrity() { VaultError::PruneStopped { source: Box::new(error) } } else { error }
    })?;
    Ok(visitor.rescued.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Rescuer<'a> {
    health: &'a Health,
    doomed: &'a HashSet<ObjectHash>,
    rescued: Mutex<HashSet<ObjectHash>>,
}

impl Visitor for Rescuer<'_> {
    fn choose(&self, _: ChunkKind, places: &[Location]) -> Result<Location> {
        let mut packs = Vec::with_capacity(places.len());
        for place in places {
            let hash = self.health.index.pack(place)?.hash;
            if !self.doomed.contains(&hash) {
                return Ok(*place);
            }
            packs.push(hash);
        }
        let mut rescued = self.rescued.lock().unwrap_or_else(PoisonError::into_inner);
        let nth = packs.iter().position(|hash| rescued.contains(hash)).unwrap_or(0);
        let (Some(place), Some(hash)) = (places.get(nth), packs.get(nth)) else {
            return Err(VaultError::Bug("a chunk without a place was chosen"));
        };
        rescued.insert(*hash);
        Ok(*place)
    }

    fn missing(&self, _: ChunkKind, id: &ChunkId) -> Result<()> {
        Err(VaultError::MissingChunk { id: *id })
    }

    fn unreadable(&self, _: &ChunkId, _: &Location, _: VaultError) -> Result<()> {
        Ok(())
    }
}
