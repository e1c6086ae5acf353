//! Prune: freeing the space of what no snapshot needs. Needs the write key alone, but for compaction.
//!
//! In three steps. [`plan`] looks at everything and decides; nothing is written. [`PrunePlan::execute`] moves
//! live groups out of the packs that are to go and indexes them anew, condemns those packs, and deletes them
//! once no backup that may still build on them is running `[V-8]`. Whatever is left undone, by a crash or
//! because a backup is running, the next prune takes up from the condemnations that stand.
//!
//! What keeps it safe:
//! - Nothing is deleted on incomplete knowledge: damage to a snapshot, a refs node or the index stops it.
//! - A pack is deleted only while no segment that stays names it, and only where its condemnation is older
//!   than every backup that has not ended.
//! - A snapshot that appears meanwhile is walked before anything is deleted, and what it needs is kept.
//! - Two prunes at the same time see each other's condemnations or their effects, and one gives way.

mod execute;
mod moving;
mod remark;
mod segments;
mod survey;

pub use execute::{PruneOutcome, Waiting};
pub(crate) use survey::whole_index;

use crate::{
    error::Result, handle::DatasetHandle, monitor::Monitor, packer::Compression, read_keys::ReadKeys,
    session::RunningSession, sink::SessionKey,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};
use strongroom_format::{ObjectHash, keys::ChunkKind};
use survey::{PackUse, Survey};

/// How much dead space may stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// This share of all bytes in packs, between 0 and 1.
    Share(f64),
    /// So many bytes.
    Bytes(u64),
    /// Any: only packs without any live group are removed.
    Unlimited,
}

/// How to prune.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PruneOptions {
    /// Dead space to leave.
    pub max_unused: Limit,
    /// Join packs smaller than this, in bytes.
    pub repack_small: Option<u64>,
    /// Move at most so many bytes.
    pub max_repack: Option<u64>,
    /// Count dead chunks in live groups as dead space, too; freeing it needs a [`Compaction`].
    pub compact: bool,
    /// Rewrite every group that is sealed to an epoch before this one; needs a [`Compaction`].
    pub rewrite_before: Option<u32>,
    /// Threads for the walk over all snapshots.
    pub threads: usize,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            max_unused: Limit::Share(0.05),
            repack_small: None,
            max_repack: None,
            compact: false,
            rewrite_before: None,
            threads: 2,
        }
    }
}

/// What it takes to rewrite groups that are partly dead.
#[derive(Debug, Clone)]
pub struct Compaction {
    /// Opens the groups.
    pub keys: Arc<ReadKeys>,
    /// Seals the new ones.
    pub session: SessionKey,
    /// How hard to compress.
    pub compression: Compression,
}

/// A number of packs and their length together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packs {
    /// How many.
    pub count: u64,
    /// Their length, in bytes.
    pub bytes: u64,
}

impl Packs {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What a plan comes to.
#[derive(Debug, Clone, Default)]
pub struct PruneSummary {
    /// Snapshots whose content is kept.
    pub snapshots: u64,
    /// Packs that stay as they are.
    pub kept: Packs,
    /// Packs without anything alive, which go.
    pub dropped: Packs,
    /// Packs whose live groups move, so that they can go.
    pub repacked: Packs,
    /// Live bytes that move.
    pub moved_bytes: u64,
    /// Packs that nothing names, which go.
    pub orphans: Packs,
    /// Packs that an earlier prune condemned and that go now or when nobody builds on them any more.
    pub condemned: Packs,
    /// Packs that an earlier prune condemned and that a snapshot needs after all.
    pub rescued: Packs,
    /// Bytes that are freed when all is done.
    pub freed_bytes: u64,
    /// Dead bytes that stay, without those of the next line.
    pub unused_bytes: u64,
    /// Dead bytes in groups that are partly alive, about: only compaction frees them.
    pub half_dead_bytes: u64,
    /// Backups that run now; what they may build on is not deleted before they end.
    pub running: Vec<RunningSession>,
}

/// What happens to a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    Drop,
    Repack,
    /// An earlier prune has condemned it.
    Condemned,
}

/// What prune will do. Nothing has been written.
#[derive(Debug)]
pub struct PrunePlan {
    survey: Survey,
    options: PruneOptions,
    fates: Vec<(PackUse, Fate)>,
    orphans: Vec<(ObjectHash, u64)>,
    summary: PruneSummary,
}

/// Looks at the whole dataset and decides what is to go. Writes nothing.
///
/// # Errors
/// [`crate::VaultError::PruneStopped`] where damage hides what is still needed; where the vault cannot be read.
pub fn plan(handle: &DatasetHandle, options: &PruneOptions, monitor: &Monitor<'_>) -> Result<PrunePlan> {
    plan_without(handle, options, &BTreeSet::new(), monitor)
}

/// The same, where nobody can open what is sealed to these epochs any more.
pub(crate) fn plan_without(
    handle: &DatasetHandle,
    options: &PruneOptions,
    lost: &BTreeSet<u32>,
    monitor: &Monitor<'_>,
) -> Result<PrunePlan> {
    let survey = Survey::take(handle, options, lost, monitor)?;
    let fates = decide(&survey, options);
    let orphans = survey.orphans();
    let summary = summarise(&survey, &fates, &orphans);
    Ok(PrunePlan { survey, options: *options, fates, orphans, summary })
}

impl PrunePlan {
    /// What the plan comes to.
    #[must_use]
    pub fn summary(&self) -> &PruneSummary {
        &self.summary
    }

    /// Carries the plan out. Where it was made to compact, `compaction` does so; without it, groups move whole.
    ///
    /// # Errors
    /// [`crate::VaultError::MayNotDelete`] before anything is written; [`crate::VaultError::PruneStopped`] and
    /// [`crate::VaultError::Disturbed`] before anything is deleted; where the store fails. Whatever happens,
    /// every snapshot stays whole, and the next prune goes on from there.
    pub fn execute(self, compaction: Option<&Compaction>, monitor: &Monitor<'_>) -> Result<PruneOutcome> {
        execute::run(self, compaction, monitor)
    }

    /// The packs of the index with this fate.
    fn with_fate(&self, fate: Fate) -> impl Iterator<Item = &PackUse> {
        self.fates.iter().filter(move |(_, found)| *found == fate).map(|(pack, _)| pack)
    }
}

/// Decides what happens to each pack.
fn decide(survey: &Survey, options: &PruneOptions) -> Vec<(PackUse, Fate)> {
    let fate = |pack: &PackUse| {
        if survey.is_condemned(&pack.pack.hash) {
            Fate::Condemned
        } else if pack.gone || (pack.live_stored == 0 && !survey.is_fresh(&pack.pack.hash)) {
            Fate::Drop
        } else {
            Fate::Keep
        }
    };
    let mut fates: Vec<(PackUse, Fate)> = survey.packs().map(|pack| (pack.clone(), fate(pack))).collect();
    let mut budget = options.max_repack.unwrap_or(u64::MAX);

    for (pack, fate) in &mut fates {
        let movable = *fate == Fate::Keep && !survey.is_fresh(&pack.pack.hash);
        if pack.is_old && movable && pack.live_stored <= budget {
            budget -= pack.live_stored;
            *fate = Fate::Repack;
        }
    }

    // The deadest first, until what is left of dead space is little enough.
    let total: u64 =
        fates.iter().filter(|(_, fate)| *fate == Fate::Keep).map(|(pack, _)| pack.pack.len).sum();
    let dead = |pack: &PackUse| pack.dead_stored + if options.compact { pack.compactable } else { 0 };
    let mut unused: u64 =
        fates.iter().filter(|(_, fate)| *fate == Fate::Keep).map(|(pack, _)| dead(pack)).sum();
    let mut remaining = total;
    let mut order: Vec<usize> = (0..fates.len())
        .filter(|nth| {
            let (pack, fate) = &fates[*nth];
            *fate == Fate::Keep && dead(pack) > 0 && !survey.is_fresh(&pack.pack.hash)
        })
        .collect();
    order.sort_by_key(|nth| {
        let pack = &fates[*nth].0;
        (Reverse(dead(pack) * 1000 / pack.pack.len.max(1)), pack.pack.hash)
    });
    for nth in order {
        let enough = match options.max_unused {
            Limit::Share(share) => unused as f64 <= share * remaining as f64,
            Limit::Bytes(bytes) => unused <= bytes,
            Limit::Unlimited => true,
        };
        if enough {
            break;
        }
        let (pack, fate) = &mut fates[nth];
        if pack.live_stored > budget {
            continue;
        }
        budget -= pack.live_stored;
        unused -= dead(pack);
        remaining -= dead(pack);
        *fate = Fate::Repack;
    }
    join_small(survey, options, &mut fates, budget);
    fates
}

/// Adds small packs to those that move, where at least two of a kind become one.
fn join_small(survey: &Survey, options: &PruneOptions, fates: &mut [(PackUse, Fate)], mut budget: u64) {
    let Some(limit) = options.repack_small else { return };
    let mut by_kind: BTreeMap<ChunkKind, Vec<usize>> = BTreeMap::new();
    for (nth, (pack, fate)) in fates.iter().enumerate() {
        if *fate == Fate::Keep && pack.pack.len < limit && !survey.is_fresh(&pack.pack.hash) {
            by_kind.entry(pack.pack.kind).or_default().push(nth);
        }
    }
    for small in by_kind.into_values() {
        let moves = fates.iter().any(|(pack, fate)| {
            *fate == Fate::Repack
                && small.first().is_some_and(|nth| fates[*nth].0.pack.kind == pack.pack.kind)
        });
        if small.len() < 2 && !moves {
            continue;
        }
        for nth in small {
            let (pack, fate) = &mut fates[nth];
            if pack.live_stored <= budget {
                budget -= pack.live_stored;
                *fate = Fate::Repack;
            }
        }
    }
}

fn summarise(survey: &Survey, fates: &[(PackUse, Fate)], orphans: &[(ObjectHash, u64)]) -> PruneSummary {
    let mut summary = PruneSummary {
        snapshots: survey.snapshots.len() as u64,
        running: survey.running.clone(),
        ..Default::default()
    };
    for (pack, fate) in fates {
        // A pack that is not there takes no room.
        let len = survey.listed.get(&pack.pack.hash).map_or(0, |listed| listed.len);
        match fate {
            Fate::Keep => {
                summary.kept.add(len);
                summary.unused_bytes += pack.dead_stored;
                summary.half_dead_bytes += pack.half_dead;
            }
            Fate::Drop => {
                summary.dropped.add(len);
                summary.freed_bytes += len;
            }
            Fate::Repack => {
                summary.repacked.add(len);
                summary.moved_bytes += pack.live_stored;
                summary.freed_bytes += len.saturating_sub(pack.live_stored);
                summary.half_dead_bytes += pack.half_dead;
            }
            Fate::Condemned if pack.live_stored > 0 => summary.rescued.add(len),
            Fate::Condemned => {
                summary.condemned.add(len);
                summary.freed_bytes += len;
            }
        }
    }
    let indexed: HashSet<&ObjectHash> = fates.iter().map(|(pack, _)| &pack.pack.hash).collect();
    for hash in survey.condemned_packs() {
        if let Some(listed) = survey.listed.get(hash).filter(|_| !indexed.contains(hash)) {
            summary.condemned.add(listed.len);
            summary.freed_bytes += listed.len;
        }
    }
    for (_, len) in orphans {
        summary.orphans.add(*len);
        summary.freed_bytes += len;
    }
    summary
}
