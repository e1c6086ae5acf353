//! Carrying a plan out. The order of the steps is what makes it safe `[V-8.3]`.

use super::{
    Compaction, Fate, Packs, PrunePlan,
    moving::{self, Moved},
    remark,
    segments::{self, Replaced},
    survey::{PackUse, Survey},
};
use crate::{
    backup::format_time,
    error::{Result, VaultError},
    handle::DatasetHandle,
    monitor::Monitor,
    pool,
    progress::Cancel,
    session::{self, RunningSession},
    store::ObjectInfo,
};
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::HashSet;
use strongroom_format::{
    Entropy, FormatError, ObjectHash, SessionId, SystemEntropy, control::Condemnation, names,
    segment::IndexedPack,
};

/// What a prune has done.
#[derive(Debug, Default)]
pub struct PruneOutcome {
    /// Packs that were deleted.
    pub deleted: Packs,
    /// Packs that were written for what was moved, and their length in bytes.
    pub written: Packs,
    /// Index segments that were written.
    pub segments_written: u64,
    /// Index segments that were deleted.
    pub segments_deleted: u64,
    /// Condemned packs that stay because a snapshot needs them after all.
    pub rescued: u64,
    /// Packs that could not be moved because they are damaged: they stay as they are.
    pub damaged: Vec<(String, FormatError)>,
    /// What is condemned and not deleted yet, and for whom it waits.
    pub waiting: Option<Waiting>,
}

/// Packs that wait for backups to end.
#[derive(Debug)]
pub struct Waiting {
    /// The packs.
    pub packs: Packs,
    /// The backups that may build on them.
    pub sessions: Vec<RunningSession>,
}

/// What an earlier condemnation comes to now.
struct Earlier<'a> {
    object: &'a ObjectInfo,
    /// Its packs that are there and that nothing needs.
    dead: Vec<ObjectHash>,
    /// No backup that is older is running.
    ripe: bool,
}

/// Learns the store's time and whether this principal may delete, by the sign that an unknown session ended.
fn probe(handle: &DatasetHandle) -> Result<Timestamp> {
    let name = handle.names.session_end(&SessionId(SystemEntropy.array()));
    handle.put(&name, Bytes::new())?;
    let object = handle.store.stat(&name)?;
    match handle.store.delete(&name) {
        Ok(()) => {}
        Err(error) if error.is_denied() => return Err(VaultError::MayNotDelete { source: error }),
        Err(error) => return Err(error.into()),
    }
    object.map(|object| object.modified).ok_or(VaultError::Disturbed)
}

fn earlier<'a>(plan: &'a PrunePlan, running: &[RunningSession]) -> Vec<Earlier<'a>> {
    let needed: HashSet<&ObjectHash> = plan
        .with_fate(Fate::Condemned)
        .filter(|pack| pack.live_stored > 0)
        .map(|pack| &pack.pack.hash)
        .collect();
    let survey = &plan.survey;
    survey
        .condemnations
        .iter()
        .map(|(object, condemnation)| {
            let dead = condemnation
                .packs
                .iter()
                .filter(|hash| {
                    !needed.contains(hash)
                        && (survey.listed.contains_key(hash) || survey.health.names_pack(hash))
                })
                .copied()
                .collect();
            let ripe = running.iter().all(|session| session.started > object.modified);
            Earlier { object, dead, ripe }
        })
        .collect()
}

pub(super) fn run(
    plan: PrunePlan,
    compaction: Option<&Compaction>,
    monitor: &Monitor<'_>,
) -> Result<PruneOutcome> {
    let handle = plan.survey.handle.clone();
    let segments: Vec<ObjectInfo> = {
        let known = plan.survey.segments();
        let listed = handle.store.list(&handle.names.index())?;
        listed
            .into_iter()
            .filter(|o| names::hash_of(&o.name).is_some_and(|hash| known.contains(&hash)))
            .collect()
    };
    let moving: Vec<&PackUse> = plan.with_fate(Fate::Repack).collect();
    let dropped: HashSet<ObjectHash> = plan.with_fate(Fate::Drop).map(|pack| pack.pack.hash).collect();
    let nothing_to_do = moving.is_empty()
        && dropped.is_empty()
        && plan.orphans.is_empty()
        && plan.survey.condemnations.is_empty()
        && !segments::worth_merging(&segments);
    let now = if nothing_to_do { Timestamp::now() } else { probe(&handle)? };
    let (running, over) = session::read_sessions(&handle, now)?;
    if nothing_to_do {
        delete_markers(&handle, &over);
        return Ok(PruneOutcome::default());
    }
    let earlier = earlier(&plan, &running);
    let ripe: HashSet<ObjectHash> =
        earlier.iter().filter(|e| e.ripe).flat_map(|e| e.dead.iter().copied()).collect();
    // Where two condemnations name a pack, the later one may still protect it.
    let unripe: HashSet<ObjectHash> =
        earlier.iter().filter(|e| !e.ripe).flat_map(|e| e.dead.iter().copied()).collect();
    let ripe: HashSet<ObjectHash> = ripe.difference(&unripe).copied().collect();

    monitor.counters.found(moving.len() as u64, moving.iter().map(|pack| pack.live_stored).sum());
    monitor.counters.totals_final();
    let doomed: HashSet<ObjectHash> =
        moving.iter().map(|pack| pack.pack.hash).chain(dropped.iter().copied()).collect();
    let Moved { packs: new_packs, damaged, written_packs, written_bytes } = moving::move_groups(
        &plan.survey,
        &moving,
        &doomed,
        compaction,
        plan.options.rewrite_before,
        monitor,
    )?;
    let mut outcome = PruneOutcome {
        written: Packs { count: written_packs, bytes: written_bytes },
        damaged: damaged.iter().map(|(hash, error)| (handle.names.pack(hash), error.clone())).collect(),
        ..Default::default()
    };
    let mut condemned = doomed;
    damaged.iter().for_each(|(hash, _)| {
        condemned.remove(hash);
    });

    let gone: HashSet<ObjectHash> = condemned.union(&ripe).copied().collect();
    let new_names: Vec<String> = new_packs.iter().map(|pack| handle.names.pack(&pack.hash)).collect();
    let replaced = replace_segments(&handle, segments, &gone, new_packs, &mut outcome)?;

    condemned.extend(plan.orphans.iter().map(|(hash, _)| *hash));
    let mine = condemn(&handle, condemned.union(&ripe).copied().collect())?;
    let step = Deletion { plan: &plan, earlier: &earlier, replaced: &replaced, condemned, ripe, mine };
    step.run(&new_names, now, &mut outcome, monitor)?;
    let (_, over) = session::read_sessions(&handle, now)?;
    delete_markers(&handle, &over);
    Ok(outcome)
}

fn replace_segments(
    handle: &DatasetHandle,
    segments: Vec<ObjectInfo>,
    gone: &HashSet<ObjectHash>,
    new_packs: Vec<IndexedPack>,
    outcome: &mut PruneOutcome,
) -> Result<Vec<Replaced>> {
    if gone.is_empty() && new_packs.is_empty() && !segments::worth_merging(&segments) {
        return Ok(Vec::new());
    }
    let (written, replaced) = segments::rewrite(handle, segments, gone, new_packs)?;
    outcome.segments_written += written;
    Ok(replaced)
}

/// Writes a condemnation; where it stands, by the store's clock.
fn condemn(handle: &DatasetHandle, mut packs: Vec<ObjectHash>) -> Result<Option<ObjectInfo>> {
    if packs.is_empty() {
        return Ok(None);
    }
    packs.sort_unstable();
    let condemnation = Condemnation { time: format_time(Timestamp::now()), packs };
    let bytes = condemnation.seal(&handle.owner, &handle.keys, &mut SystemEntropy);
    let name = handle.names.condemnation(&ObjectHash::of(&bytes));
    handle.put(&name, Bytes::from(bytes))?;
    Ok(Some(handle.store.stat(&name)?.ok_or(VaultError::Disturbed)?))
}

/// Markers of backups that are over. What cannot be deleted now is deleted by the next prune.
fn delete_markers(handle: &DatasetHandle, names: &[String]) {
    for name in names {
        let _ = handle.store.delete(name);
    }
}

fn delete_all(handle: &DatasetHandle, names: &[String]) -> Result<()> {
    // What has been started is finished: half of the deletions free half of the space, and no more.
    pool::for_each_with(
        pool::WAITING_THREADS,
        names,
        &Cancel::new(),
        || (),
        |(), name| Ok(handle.store.delete(name)?),
    )
}

/// The last part: everything is condemned, nothing is deleted yet.
struct Deletion<'a> {
    plan: &'a PrunePlan,
    earlier: &'a [Earlier<'a>],
    replaced: &'a [Replaced],
    /// Packs that this prune condemns.
    condemned: HashSet<ObjectHash>,
    /// Packs that earlier prunes have condemned and that nothing protects any more.
    ripe: HashSet<ObjectHash>,
    mine: Option<ObjectInfo>,
}

impl Deletion<'_> {
    fn survey(&self) -> &Survey {
        &self.plan.survey
    }

    fn handle(&self) -> &DatasetHandle {
        &self.plan.survey.handle
    }

    fn run(
        self,
        new_packs: &[String],
        now: Timestamp,
        outcome: &mut PruneOutcome,
        monitor: &Monitor<'_>,
    ) -> Result<()> {
        let handle = self.handle();
        if !self.is_undisturbed(new_packs)? {
            if let Some(mine) = &self.mine {
                handle.store.delete(&mine.name)?;
            }
            return Err(VaultError::Disturbed);
        }
        // What is protected is decided after the condemnation stands: a backup that starts later sees it.
        let condemned_at = self.mine.as_ref().map_or(now, |mine| mine.modified);
        let (running, _) = session::read_sessions(handle, condemned_at)?;
        let holding: Vec<RunningSession> =
            running.iter().filter(|session| session.started <= condemned_at).cloned().collect();
        let waits = !holding.is_empty() && !self.condemned.is_empty();

        let mut deletable = self.ripe.clone();
        if !waits {
            deletable.extend(self.condemned.iter().copied());
        }
        let rescued = if deletable.is_empty() { HashSet::new() } else { self.rescue(&deletable, monitor)? };
        outcome.rescued = rescued.len() as u64 + self.plan.summary.rescued.count;
        deletable.retain(|hash| !rescued.contains(hash));

        self.delete_segments(&deletable, &rescued, outcome)?;
        let mut names = Vec::new();
        for hash in &deletable {
            if let Some(listed) = self.survey().listed.get(hash) {
                outcome.deleted.add(listed.len);
                names.push(handle.names.pack(hash));
            }
        }
        delete_all(handle, &names)?;
        self.lift(waits, &deletable, &rescued)?;
        self.report_waiting(waits, holding, &running, outcome);
        Ok(())
    }

    /// Whether no other prune has been at work since the plan was made `[V-8.5]`: no condemnation has come or
    /// gone, no segment of the plan is gone, and what was moved is there.
    fn is_undisturbed(&self, new_packs: &[String]) -> Result<bool> {
        let handle = self.handle();
        let found: HashSet<String> =
            handle.store.list(&handle.names.condemned())?.into_iter().map(|object| object.name).collect();
        let expected: HashSet<String> = self
            .survey()
            .condemnations
            .iter()
            .map(|(object, _)| object.name.clone())
            .chain(self.mine.iter().map(|mine| mine.name.clone()))
            .collect();
        if found != expected {
            return Ok(false);
        }
        let segments: HashSet<String> =
            handle.store.list(&handle.names.index())?.into_iter().map(|object| object.name).collect();
        if !self.survey().segments().iter().all(|hash| segments.contains(&handle.names.segment(hash))) {
            return Ok(false);
        }
        let there = pool::map(pool::WAITING_THREADS, new_packs, &Cancel::new(), |name| {
            Ok(handle.store.stat(name)?.is_some())
        })?;
        Ok(there.into_iter().all(|there| there))
    }

    /// Which of the packs that are about to be deleted somebody needs after all.
    fn rescue(&self, deletable: &HashSet<ObjectHash>, monitor: &Monitor<'_>) -> Result<HashSet<ObjectHash>> {
        let handle = self.handle();
        let mut rescued = remark::needed(self.survey(), deletable, self.plan.options.threads, monitor)?;
        // A backup that has ended may have indexed what looked like an orphan.
        let known = self.survey().segments();
        let unknown: Vec<String> = handle
            .store
            .list(&handle.names.index())?
            .into_iter()
            .map(|object| object.name)
            .filter(|name| names::hash_of(name).is_some_and(|hash| !known.contains(&hash)))
            .collect();
        let named = segments::packs_named(handle, &unknown)?;
        rescued.extend(deletable.intersection(&named).copied());
        Ok(rescued)
    }

    /// Deletes the replaced segments, except those that name a pack that stays condemned for now.
    fn delete_segments(
        &self,
        deletable: &HashSet<ObjectHash>,
        rescued: &HashSet<ObjectHash>,
        outcome: &mut PruneOutcome,
    ) -> Result<()> {
        let doomed: Vec<String> = self
            .replaced
            .iter()
            .filter(|segment| {
                segment.dropped.iter().all(|hash| deletable.contains(hash) || rescued.contains(hash))
            })
            .map(|segment| segment.object.clone())
            .collect();
        if !rescued.is_empty() {
            segments::restore(self.handle(), &doomed, rescued)?;
        }
        delete_all(self.handle(), &doomed)?;
        outcome.segments_deleted = doomed.len() as u64;
        Ok(())
    }

    /// Removes the condemnations that have served.
    fn lift(
        &self,
        waits: bool,
        deletable: &HashSet<ObjectHash>,
        rescued: &HashSet<ObjectHash>,
    ) -> Result<()> {
        let mut served: Vec<String> = self
            .earlier
            .iter()
            .filter(|earlier| {
                earlier.dead.iter().all(|hash| deletable.contains(hash) || rescued.contains(hash))
            })
            .map(|earlier| earlier.object.name.clone())
            .collect();
        if let Some(mine) = self.mine.as_ref().filter(|_| !waits) {
            served.push(mine.name.clone());
        }
        delete_all(self.handle(), &served)
    }

    fn report_waiting(
        &self,
        waits: bool,
        holding: Vec<RunningSession>,
        running: &[RunningSession],
        outcome: &mut PruneOutcome,
    ) {
        let mut packs = Packs::default();
        let mut sessions = if waits { holding } else { Vec::new() };
        let mut standing: HashSet<ObjectHash> = if waits { self.condemned.clone() } else { HashSet::new() };
        for earlier in self.earlier.iter().filter(|earlier| !earlier.ripe) {
            standing.extend(earlier.dead.iter().copied());
            for session in running.iter().filter(|session| session.started <= earlier.object.modified) {
                if sessions.iter().all(|known| known.id != session.id) {
                    sessions.push(session.clone());
                }
            }
        }
        for hash in standing {
            packs.add(self.survey().listed.get(&hash).map_or(0, |listed| listed.len));
        }
        if packs.count > 0 {
            outcome.waiting = Some(Waiting { packs, sessions });
        }
    }
}
