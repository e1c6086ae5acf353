//! Check: is the vault whole?
//!
//! Three depths: [`scrub`] compares objects with their names and needs no key; [`structure`] needs the write
//! key and finds everything that a snapshot needs and the vault does not have; [`read_data`] opens and
//! verifies content as well. Nothing is changed; `repair` mends.

pub(crate) mod affected;
mod data;
mod report;
mod scrub;

pub use affected::{AffectedPath, AffectedSnapshot};
pub use data::{Subset, read_data};
pub use report::{Counts, Defect, Finding, Orphans, Report};
pub use scrub::scrub;

pub(crate) use affected::Taint;
pub(crate) use data::read_packs;
use report::Findings;

use crate::{
    error::{Result, VaultError},
    groups::GroupReader,
    handle::DatasetHandle,
    health::{Health, ListedPack, PackState, list_packs},
    index::Location,
    marks::Marks,
    monitor::Monitor,
    read_keys::ReadKeys,
    snapshots::{self, Snapshots},
    walk::{Visitor, Walk},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use strongroom_format::{ChunkId, Damage, ObjectHash, keys::ChunkKind};

/// A check that finds damage while prune changes the vault under it starts again, so many times at most.
const ATTEMPTS: usize = 3;

/// The vault as a check sees it, with what it has found so far.
pub(crate) struct Survey {
    pub(crate) handle: DatasetHandle,
    pub(crate) snapshots: Snapshots,
    pub(crate) reader: GroupReader,
    pub(crate) health: Health,
    pub(crate) packs: HashMap<ObjectHash, ListedPack>,
    pub(crate) findings: Findings,
    pub(crate) counts: Counts,
    pub(crate) orphans: Orphans,
    /// The names of all segments and snapshots at the start.
    listing: BTreeSet<String>,
}

fn listing(handle: &DatasetHandle) -> Result<BTreeSet<String>> {
    let mut names = handle.store.list(&handle.names.snapshots())?;
    names.extend(handle.store.list(&handle.names.index())?);
    Ok(names.into_iter().map(|object| object.name).collect())
}

impl Survey {
    /// Looks at the structure: what is there, and what everything that snapshots need refers to.
    pub(crate) fn take(handle: &DatasetHandle, threads: usize, monitor: &Monitor<'_>) -> Result<Self> {
        let mut survey = Self::take_once(handle, threads, monitor)?;
        for _ in 1..ATTEMPTS {
            if survey.findings.is_empty() || listing(handle)? == survey.listing {
                break;
            }
            survey = Self::take_once(handle, threads, monitor)?;
        }
        Ok(survey)
    }

    fn take_once(handle: &DatasetHandle, threads: usize, monitor: &Monitor<'_>) -> Result<Self> {
        // The order matters: what a snapshot needs was indexed before it, and stored before that.
        let listing = listing(handle)?;
        let snapshots = snapshots::load(handle)?;
        let (reader, damaged_segments) = GroupReader::open(handle, None)?;
        let (packs, foreign) = list_packs(handle)?;
        let health = Health::new(reader.index(), &packs);
        let findings = Findings::default();
        for name in foreign {
            findings.add(Finding { object: name, defect: Defect::Foreign });
        }
        for segment in damaged_segments {
            findings.add(Finding::of_error(segment.name, segment.error));
        }
        for snapshot in &snapshots.damaged {
            findings.add(Finding::of_error_ref(&snapshot.object, &snapshot.error));
        }
        let mut survey = Self {
            handle: handle.clone(),
            snapshots,
            reader,
            health,
            packs,
            findings,
            counts: Counts::default(),
            orphans: Orphans::default(),
            listing,
        };
        survey.compare_packs();
        survey.walk(threads, monitor)?;
        Ok(survey)
    }

    fn compare_packs(&mut self) {
        let runs = self.health.index.runs();
        self.counts.snapshots = self.snapshots.good.len() as u64;
        self.counts.segments = runs.iter().map(|run| run.segments().len() as u64).sum();
        for (run_ordinal, run) in runs.iter().enumerate() {
            for (ordinal, pack) in run.packs().iter().enumerate() {
                let object = self.handle.names.pack(&pack.hash);
                match self.health.state(run_ordinal as u32, ordinal as u32) {
                    PackState::Twin => continue,
                    PackState::Whole => {}
                    PackState::Missing => self.findings.add(Finding { object, defect: Defect::Missing }),
                    PackState::Length(found) => {
                        let defect = Defect::Length { expected: pack.len, found };
                        self.findings.add(Finding { object, defect });
                    }
                }
                self.counts.packs += 1;
                self.counts.stored_bytes += pack.len;
            }
        }
        for (hash, listed) in &self.packs {
            if !self.health.names_pack(hash) {
                self.orphans.packs += 1;
                self.orphans.bytes += listed.len;
            }
        }
    }

    fn walk(&mut self, threads: usize, monitor: &Monitor<'_>) -> Result<()> {
        let marks = Marks::new(&self.health.index);
        let roots: Vec<_> = self.snapshots.good.iter().map(|stored| stored.snapshot.root).collect();
        let visitor = Finder { survey: self };
        let (reader, health) = (&self.reader, &self.health);
        Walk { reader, health, marks: &marks, visitor: &visitor, threads, cancel: monitor.cancel }
            .run(&roots)?;
        self.counts.chunks_needed = marks.count();
        Ok(())
    }

    /// The report: findings with the snapshots, and with `keys` the paths, that they spoil.
    pub(crate) fn report(self, keys: Option<Arc<ReadKeys>>) -> Result<Report> {
        let affected = if self.findings.is_empty() { Vec::new() } else { affected::find(&self, keys)? };
        let (findings, left_off) = self.findings.into_list();
        Ok(Report {
            findings,
            findings_left_off: left_off,
            affected,
            orphans: self.orphans,
            counts: self.counts,
        })
    }
}

/// Turns what a walk meets into findings.
struct Finder<'a> {
    survey: &'a Survey,
}

impl Visitor for Finder<'_> {
    fn missing(&self, kind: ChunkKind, id: &ChunkId) -> Result<()> {
        let index = &self.survey.health.index;
        let places: Vec<Location> = index.find_all(id)?;
        // Where the pack is to blame, there is a finding about it already.
        let object = format!("chunk {id}");
        let defect = match places.first() {
            None => Defect::MissingChunk { kind },
            Some(place) if index.kind(place)? != kind => {
                Defect::Damaged(strongroom_format::FormatError::new("chunk", Damage::Field("chunk kind")))
            }
            Some(_) => return Ok(()),
        };
        self.survey.findings.add(Finding { object, defect });
        Ok(())
    }

    fn unreadable(&self, _: &ChunkId, place: &Location, error: VaultError) -> Result<()> {
        let object = self.survey.handle.names.pack(&self.survey.health.index.pack(place)?.hash);
        self.survey.findings.add(Finding::of_error(object, error));
        Ok(())
    }
}

/// Checks the structure of a dataset with its write key: every index segment and snapshot opens, every
/// indexed pack is there with its length, and everything that a snapshot needs is in the index.
///
/// # Errors
/// Where the vault cannot be read at all. Damage is no error but a finding.
pub fn structure(handle: &DatasetHandle, threads: usize, monitor: &Monitor<'_>) -> Result<Report> {
    Survey::take(handle, threads, monitor)?.report(None)
}
