//! Which places of an index can still be read: what the index says, against what the vault holds.

use crate::{
    error::Result,
    handle::DatasetHandle,
    index::{Index, Location},
    marks::{Bits, Marks},
};
use jiff::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use strongroom_format::{ChunkId, ObjectHash, keys::ChunkKind, names};

/// A pack in the vault's listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListedPack {
    pub(crate) len: u64,
    pub(crate) modified: Timestamp,
}

/// What is wrong with a pack of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackState {
    Whole,
    Missing,
    /// Its length in the vault is another.
    Length(u64),
    /// An earlier run names it, too; that one counts.
    Twin,
}

/// Lists the packs of a dataset: those with the right names, and the names of all other objects there.
pub(crate) fn list_packs(handle: &DatasetHandle) -> Result<(HashMap<ObjectHash, ListedPack>, Vec<String>)> {
    let (mut packs, mut foreign) = (HashMap::new(), Vec::new());
    for object in handle.store.list(&handle.names.packs())? {
        match names::hash_of(&object.name).filter(|hash| handle.names.pack(hash) == object.name) {
            Some(hash) => {
                packs.insert(hash, ListedPack { len: object.size, modified: object.modified });
            }
            None => foreign.push(object.name),
        }
    }
    Ok((packs, foreign))
}

/// What is known to be lost.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) index: Arc<Index>,
    /// Of each run, the state of each pack.
    states: Vec<Vec<PackState>>,
    /// Every place of each pack: run and ordinal.
    places: HashMap<ObjectHash, Vec<(u32, u32)>>,
    lost_groups: Vec<Bits>,
    lost_entries: Marks,
}

impl Health {
    pub(crate) fn new(index: Arc<Index>, listed: &HashMap<ObjectHash, ListedPack>) -> Self {
        let mut places: HashMap<ObjectHash, Vec<(u32, u32)>> = HashMap::new();
        let runs = index.runs();
        let states = runs
            .iter()
            .enumerate()
            .map(|(run_ordinal, run)| {
                let state = |(ordinal, pack): (usize, &crate::index::Pack)| {
                    let known = places.entry(pack.hash).or_default();
                    known.push((run_ordinal as u32, ordinal as u32));
                    match listed.get(&pack.hash) {
                        _ if known.len() > 1 => PackState::Twin,
                        None => PackState::Missing,
                        Some(listed) if listed.len != pack.len => PackState::Length(listed.len),
                        Some(_) => PackState::Whole,
                    }
                };
                run.packs().iter().enumerate().map(state).collect()
            })
            .collect();
        let lost_groups = runs.iter().map(|run| Bits::new(run.group_count())).collect();
        let lost_entries = Marks::new(&index);
        Self { index, states, places, lost_groups, lost_entries }
    }

    /// The packs of the index of which something is lost.
    pub(crate) fn spoilt_packs(&self) -> Result<HashSet<ObjectHash>> {
        let mut spoilt = HashSet::new();
        for (ordinal, run) in self.index.runs().iter().enumerate() {
            let lost_groups = self.lost_groups.get(ordinal);
            for (nth, pack) in run.packs().iter().enumerate() {
                let mut groups = pack.first_group..pack.first_group + pack.groups;
                let lost = |group: u32| lost_groups.is_some_and(|bits| bits.get(group as usize));
                let state = self.state(ordinal as u32, nth as u32);
                if matches!(state, PackState::Missing | PackState::Length(_)) || groups.any(lost) {
                    spoilt.insert(pack.hash);
                }
            }
            run.for_each_entry(|position, entry| {
                if self.lost_entries.is_set(ordinal, position)
                    && let Some(pack) = run.packs().get(entry.pack as usize)
                {
                    spoilt.insert(pack.hash);
                }
            })?;
        }
        Ok(spoilt)
    }

    /// Whether the `nth` group of a pack can be read in full, as far as is known.
    pub(crate) fn is_group_good(&self, hash: &ObjectHash, nth: u32) -> bool {
        self.places.get(hash).into_iter().flatten().all(|(run, ordinal)| {
            let runs = self.index.runs();
            let pack = runs.get(*run as usize).and_then(|r| r.packs().get(*ordinal as usize));
            let bits = self.lost_groups.get(*run as usize);
            pack.zip(bits).is_some_and(|(pack, bits)| !bits.get((pack.first_group + nth) as usize))
        })
    }

    pub(crate) fn names_pack(&self, hash: &ObjectHash) -> bool {
        self.places.contains_key(hash)
    }

    pub(crate) fn state(&self, run: u32, pack: u32) -> PackState {
        let state = self.states.get(run as usize).and_then(|packs| packs.get(pack as usize));
        state.copied().unwrap_or(PackState::Missing)
    }

    /// Takes the `nth` group of a pack for lost.
    pub(crate) fn lose_group(&self, hash: &ObjectHash, nth: u32) {
        for (run, ordinal) in self.places.get(hash).into_iter().flatten() {
            let runs = self.index.runs();
            let pack = runs.get(*run as usize).and_then(|r| r.packs().get(*ordinal as usize));
            if let Some((pack, bits)) = pack.zip(self.lost_groups.get(*run as usize)) {
                bits.set((pack.first_group + nth) as usize);
            }
        }
    }

    /// Takes the group that a place lies in for lost.
    pub(crate) fn lose_group_of(&self, place: &Location) {
        if let Some(bits) = self.lost_groups.get(place.run as usize) {
            bits.set(place.group as usize);
        }
    }

    /// Takes one chunk of a pack for lost.
    pub(crate) fn lose_chunk(&self, id: &ChunkId, pack: &ObjectHash) -> Result<()> {
        for place in self.index.find_all(id)? {
            if self.index.pack(&place)?.hash == *pack {
                self.lost_entries.set(&place);
            }
        }
        Ok(())
    }

    /// Whether the chunk at a place can be read, as far as is known.
    pub(crate) fn is_good(&self, place: &Location) -> bool {
        self.state(place.run, place.pack) == PackState::Whole && self.is_readable(place)
    }

    /// Whether reading has found nothing wrong with the chunk at a place.
    pub(crate) fn is_readable(&self, place: &Location) -> bool {
        !self.lost_groups.get(place.run as usize).is_some_and(|bits| bits.get(place.group as usize))
            && !self.lost_entries.get(place)
    }

    /// The good places of a chunk of this kind.
    pub(crate) fn good_places(&self, kind: ChunkKind, id: &ChunkId) -> Result<Vec<Location>> {
        let mut good = Vec::new();
        for place in self.index.find_all(id)? {
            if self.is_good(&place) && self.index.kind(&place)? == kind {
                good.push(place);
            }
        }
        Ok(good)
    }

    /// What to blame where a chunk has no good place: the object it should be in, or the chunk itself.
    pub(crate) fn blame(&self, handle: &DatasetHandle, id: &ChunkId) -> Result<String> {
        match self.index.find_all(id)?.first() {
            Some(place) => Ok(handle.names.pack(&self.index.pack(place)?.hash)),
            None => Ok(format!("chunk {id}")),
        }
    }
}
