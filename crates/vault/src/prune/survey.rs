//! What prune sees: the whole dataset at one moment, and what of it is alive.

use super::PruneOptions;
use crate::{
    error::{Result, VaultError},
    groups::GroupReader,
    handle::DatasetHandle,
    health::{Health, ListedPack, PackState, list_packs},
    index::{Location, Pack},
    marks::Marks,
    monitor::Monitor,
    pool,
    session::{self, RunningSession},
    shred::lose_epochs,
    snapshots,
    store::ObjectInfo,
    walk::{Visitor, Walk},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Mutex, PoisonError},
};
use strongroom_format::{ChunkId, ObjectHash, control::Condemnation, keys::ChunkKind, pack::KeyRecord};

/// What of a pack is alive.
#[derive(Debug, Clone)]
pub(super) struct PackUse {
    pub(super) run: u32,
    pub(super) pack: Pack,
    /// Length of groups with something alive in them, in bytes.
    pub(super) live_stored: u64,
    /// Everything else, in bytes; 0 for a pack that is `gone`.
    pub(super) dead_stored: u64,
    /// Dead bytes in live groups, about.
    pub(super) half_dead: u64,
    /// The part of it in groups of which less than half is alive.
    pub(super) compactable: u64,
    /// It is not in the vault, or not whole, and nothing needs it.
    pub(super) gone: bool,
    /// Some of its groups are sealed to an epoch that is to be left behind.
    pub(super) is_old: bool,
}

/// The dataset at one moment.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) handle: DatasetHandle,
    pub(super) running: Vec<RunningSession>,
    pub(super) condemnations: Vec<(ObjectInfo, Condemnation)>,
    /// The objects of all snapshots that were walked.
    pub(super) snapshots: BTreeSet<String>,
    pub(super) listed: HashMap<ObjectHash, ListedPack>,
    pub(super) health: Health,
    pub(super) marks: Marks,
    /// Of each run, live bytes before compression of each group.
    live: Vec<Vec<u32>>,
    packs: Vec<PackUse>,
    condemned: HashSet<ObjectHash>,
}

fn stopped(source: VaultError) -> VaultError {
    if source.is_integrity() || snapshots::is_spoilt(&source) {
        VaultError::PruneStopped { source: Box::new(source) }
    } else {
        source
    }
}

/// The index, where all of it can be read.
pub(crate) fn whole_index(handle: &DatasetHandle) -> Result<GroupReader> {
    let (reader, damaged) = GroupReader::open(handle, None)?;
    match damaged.into_iter().next() {
        Some(segment) => Err(VaultError::PruneStopped { source: Box::new(segment.error) }),
        None => Ok(reader),
    }
}

/// Those snapshots, where all of them can be read.
pub(super) fn whole_snapshots(handle: &DatasetHandle, objects: &[String]) -> Result<snapshots::Snapshots> {
    let mut snapshots = snapshots::load_objects(handle, objects)?;
    match snapshots.damaged.pop() {
        Some(damaged) => Err(VaultError::PruneStopped { source: Box::new(damaged.error) }),
        None => Ok(snapshots),
    }
}

impl Survey {
    pub(super) fn take(
        handle: &DatasetHandle,
        options: &PruneOptions,
        lost: &BTreeSet<u32>,
        monitor: &Monitor<'_>,
    ) -> Result<Self> {
        Self::take_whole(handle, options, lost, monitor).map_err(stopped)
    }

    fn take_whole(
        handle: &DatasetHandle,
        options: &PruneOptions,
        lost: &BTreeSet<u32>,
        monitor: &Monitor<'_>,
    ) -> Result<Self> {
        // The order matters: a snapshot's packs and segments were there before it, so that both are looked at
        // after the snapshots; a pack is there before its segment, so that what has none afterwards is an
        // orphan, unless a backup that was running before all this is about to write it.
        let (running, _) = session::read_sessions(handle, Timestamp::now())?;
        let condemnations = session::read_condemnations(handle)?;
        let objects: Vec<String> =
            handle.store.list(&handle.names.snapshots())?.into_iter().map(|object| object.name).collect();
        let snapshots = whole_snapshots(handle, &objects)?;
        let (mut listed, _) = list_packs(handle)?;
        let reader = whole_index(handle)?;
        add_newer_packs(handle, &reader, &mut listed)?;
        let health = Health::new(reader.index(), &listed);
        if !lost.is_empty() {
            lose_epochs(&health.index, &health, lost)?;
        }
        let marks = Marks::new(&health.index);
        let condemned: HashSet<ObjectHash> =
            condemnations.iter().flat_map(|(_, condemnation)| condemnation.packs.iter().copied()).collect();

        let visitor = Marker { health: &health, condemned: &condemned, copies: Mutex::default() };
        let roots: Vec<_> = snapshots.good.iter().map(|stored| stored.snapshot.root).collect();
        Walk {
            reader: &reader,
            health: &health,
            marks: &marks,
            visitor: &visitor,
            threads: options.threads,
            cancel: monitor.cancel,
        }
        .run(&roots)?;
        let copies = visitor.copies.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut survey = Self {
            handle: handle.clone(),
            running,
            condemnations,
            snapshots: snapshots.good.into_iter().map(|stored| stored.object).collect(),
            listed,
            health,
            marks,
            live: Vec::new(),
            packs: Vec::new(),
            condemned,
        };
        survey.settle_copies(copies)?;
        survey.live = survey.count_live()?;
        survey.packs = survey.count_packs(options.rewrite_before)?;
        Ok(survey)
    }

    /// Decides which copy of a chunk that lies in several packs stays: the one in the pack that is the most
    /// alive anyway, so that a prune that was interrupted converges.
    fn settle_copies(&mut self, copies: Vec<Vec<Location>>) -> Result<()> {
        if copies.is_empty() {
            return Ok(());
        }
        let runs = self.health.index.runs();
        let mut alive: Vec<Vec<u64>> = runs.iter().map(|run| vec![0; run.packs().len()]).collect();
        for (ordinal, run) in runs.iter().enumerate() {
            run.for_each_entry(|position, entry| {
                if self.marks.is_set(ordinal, position)
                    && let Some(bytes) = alive[ordinal].get_mut(entry.pack as usize)
                {
                    *bytes += u64::from(entry.len);
                }
            })?;
        }
        for places in &copies {
            for place in places.iter().filter(|place| !self.marks.get(place)) {
                if let Some(bytes) = alive[place.run as usize].get_mut(place.pack as usize) {
                    *bytes += u64::from(place.len);
                }
            }
        }
        for places in copies {
            let rank = |place: &Location| -> Result<_> {
                let pack = self.health.index.pack(place)?;
                let alive = alive[place.run as usize].get(place.pack as usize).copied().unwrap_or(0);
                Ok((
                    self.condemned.contains(&pack.hash),
                    std::cmp::Reverse(alive * 1000 / pack.len.max(1)),
                    pack.hash,
                ))
            };
            let mut best: Option<(_, Location)> = None;
            for place in &places {
                self.marks.clear(place);
                // The walk may have found the group damaged after it chose.
                if self.health.is_good(place) {
                    let rank = rank(place)?;
                    if best.as_ref().is_none_or(|(known, _)| rank < *known) {
                        best = Some((rank, *place));
                    }
                }
            }
            if let Some((_, place)) = best {
                self.marks.set(&place);
            }
        }
        Ok(())
    }

    fn count_live(&self) -> Result<Vec<Vec<u32>>> {
        let runs = self.health.index.runs();
        let mut live: Vec<Vec<u32>> = Vec::with_capacity(runs.len());
        for (ordinal, run) in runs.iter().enumerate() {
            let mut groups = vec![0u32; run.group_count()];
            run.for_each_entry(|position, entry| {
                if self.marks.is_set(ordinal, position)
                    && let Some(bytes) = groups.get_mut(entry.group as usize)
                {
                    // An empty chunk keeps its group alive, too.
                    *bytes += entry.len.max(1);
                }
            })?;
            live.push(groups);
        }
        Ok(live)
    }

    /// Live bytes before compression in a group.
    pub(super) fn live_in(&self, run: u32, group: u32) -> u32 {
        self.live.get(run as usize).and_then(|groups| groups.get(group as usize)).copied().unwrap_or(0)
    }

    fn count_packs(&self, rewrite_before: Option<u32>) -> Result<Vec<PackUse>> {
        let mut packs = Vec::new();
        for (run_ordinal, run) in self.health.index.runs().iter().enumerate() {
            for (ordinal, pack) in run.packs().iter().enumerate() {
                let run_ordinal = run_ordinal as u32;
                let state = self.health.state(run_ordinal, ordinal as u32);
                if state == PackState::Twin {
                    continue;
                }
                let gone = state != PackState::Whole;
                let is_old = match rewrite_before {
                    None => false,
                    Some(limit) => run.keys(ordinal as u32)?.iter().any(|key| is_before(key, limit)),
                };
                let (mut live_stored, mut half_dead, mut compactable) = (0, 0, 0);
                for group in pack.first_group..pack.first_group + pack.groups {
                    let live = u64::from(self.live_in(run_ordinal, group));
                    if live > 0 {
                        let span = run.group(group)?;
                        let (stored, raw) = (u64::from(span.stored_len), u64::from(span.raw_len).max(1));
                        let dead = stored * raw.saturating_sub(live) / raw;
                        live_stored += stored;
                        half_dead += dead;
                        compactable += if is_half_dead(live, raw) { dead } else { 0 };
                    }
                }
                let dead_stored = if gone { 0 } else { self.dead_in(run, pack, run_ordinal)? };
                packs.push(PackUse {
                    run: run_ordinal,
                    pack: *pack,
                    live_stored,
                    dead_stored,
                    half_dead,
                    compactable,
                    gone,
                    is_old,
                });
            }
        }
        Ok(packs)
    }

    fn dead_in(&self, run: &crate::index::Run, pack: &Pack, run_ordinal: u32) -> Result<u64> {
        let mut dead = 0;
        for group in pack.first_group..pack.first_group + pack.groups {
            if self.live_in(run_ordinal, group) == 0 {
                dead += u64::from(run.group(group)?.stored_len);
            }
        }
        Ok(dead)
    }

    /// The packs of the index, each once.
    pub(super) fn packs(&self) -> impl Iterator<Item = &PackUse> {
        self.packs.iter()
    }

    /// Whether an earlier prune has condemned a pack.
    pub(super) fn is_condemned(&self, hash: &ObjectHash) -> bool {
        self.condemned.contains(hash)
    }

    /// All packs that earlier prunes have condemned.
    pub(super) fn condemned_packs(&self) -> impl Iterator<Item = &ObjectHash> {
        self.condemned.iter()
    }

    /// Whether a running backup may have made this pack: then its snapshot is still to come.
    pub(super) fn is_fresh(&self, hash: &ObjectHash) -> bool {
        let modified = self.listed.get(hash).map(|listed| listed.modified);
        modified.is_some_and(|modified| self.running.iter().any(|session| session.started <= modified))
    }

    /// The packs that no segment names and no running backup can be about to name.
    pub(super) fn orphans(&self) -> Vec<(ObjectHash, u64)> {
        let mut orphans: Vec<_> = self
            .listed
            .iter()
            .filter(|(hash, _)| {
                !self.health.names_pack(hash) && !self.is_condemned(hash) && !self.is_fresh(hash)
            })
            .map(|(hash, listed)| (*hash, listed.len))
            .collect();
        orphans.sort_unstable();
        orphans
    }

    /// The segments that the index was made of.
    pub(super) fn segments(&self) -> HashSet<ObjectHash> {
        self.health.index.runs().iter().flat_map(|run| run.segments().to_vec()).collect()
    }
}

/// Whether a key is that of an epoch before `limit`.
pub(super) fn is_before(key: &KeyRecord, limit: u32) -> bool {
    matches!(key, KeyRecord::Session { epoch, .. } if *epoch < limit)
}

/// Whether so little of a group is alive that compaction rewrites it.
pub(super) fn is_half_dead(live: u64, raw: u64) -> bool {
    live * 2 <= raw
}

/// A pack that the index names and the listing does not have may have come after the listing.
fn add_newer_packs(
    handle: &DatasetHandle,
    reader: &GroupReader,
    listed: &mut HashMap<ObjectHash, ListedPack>,
) -> Result<()> {
    let unlisted: Vec<ObjectHash> = reader
        .index()
        .runs()
        .iter()
        .flat_map(|run| run.packs().iter().map(|pack| pack.hash).collect::<Vec<_>>())
        .filter(|hash| !listed.contains_key(hash))
        .collect();
    let cancel = crate::progress::Cancel::new();
    let found = pool::map(pool::WAITING_THREADS, &unlisted, &cancel, |hash| {
        Ok(handle.store.stat(&handle.names.pack(hash))?.map(|object| (*hash, object)))
    })?;
    for (hash, object) in found.into_iter().flatten() {
        listed.insert(hash, ListedPack { len: object.size, modified: object.modified });
    }
    Ok(())
}

/// Marks what snapshots need.
struct Marker<'a> {
    health: &'a Health,
    condemned: &'a HashSet<ObjectHash>,
    /// The places of every chunk that lies in more than one.
    copies: Mutex<Vec<Vec<Location>>>,
}

impl Visitor for Marker<'_> {
    fn choose(&self, _: ChunkKind, places: &[Location]) -> Result<Location> {
        let mut last = None;
        for place in places {
            if !self.condemned.contains(&self.health.index.pack(place)?.hash) {
                return Ok(*place);
            }
            last = Some(*place);
        }
        last.ok_or(VaultError::Bug("a chunk without a place was chosen"))
    }

    fn reached(&self, _: ChunkKind, _: &Location, places: &[Location]) -> Result<()> {
        if places.len() > 1 {
            self.copies.lock().unwrap_or_else(PoisonError::into_inner).push(places.to_vec());
        }
        Ok(())
    }

    fn missing(&self, _: ChunkKind, id: &ChunkId) -> Result<()> {
        Err(VaultError::MissingChunk { id: *id })
    }

    fn unreadable(&self, _: &ChunkId, _: &Location, _: VaultError) -> Result<()> {
        // Where no other copy opens, the chunk is found missing.
        Ok(())
    }
}
