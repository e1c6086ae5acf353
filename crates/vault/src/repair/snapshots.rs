//! Snapshots without what they have lost.

use super::packs;
use crate::{
    backup::{DirectoryWriter, write_snapshot},
    check::{Subset, Survey, Taint, read_packs},
    error::{Result, VaultError},
    groups::GroupReader,
    handle::DatasetHandle,
    monitor::Monitor,
    packer::{Compression, Packer},
    read_keys::ReadKeys,
    session::Session,
    sink::{SessionKey, Sink},
    snapshots::{DamagedSnapshot, StoredSnapshot},
    tree::{EntryRefs, TreeEntry, read_pages},
};
use std::{collections::BTreeSet, sync::Arc};
use strongroom_format::{
    ObjectHash, RefsId,
    snapshot::{Snapshot, Summary},
    tree::{Entry, EntryKind},
};

/// How to repair snapshots.
#[derive(Debug, Clone)]
pub struct RepairOptions {
    /// Only these snapshots; all where there are none.
    pub only: Vec<ObjectHash>,
    /// Read all content first: damage inside of packs is found by nothing else.
    pub read_data: bool,
    /// Remove the damaged snapshots afterwards.
    pub forget: bool,
    /// Change nothing.
    pub dry_run: bool,
    /// The name that the repair shows itself by.
    pub host: String,
    /// How hard to compress new tree nodes.
    pub compression: Compression,
    /// Threads.
    pub threads: usize,
}

/// Something that the new snapshot does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostPath {
    /// The path, byte for byte.
    pub path: Vec<u8>,
    /// Whether it is a directory of which only a part is lost: which of its entries, nobody can tell.
    pub partly: bool,
    /// The object to blame.
    pub object: String,
}

/// A snapshot that had lost something.
#[derive(Debug, Clone)]
pub struct RepairedSnapshot {
    /// The snapshot as it was.
    pub old: StoredSnapshot,
    /// Its replacement; `None` in a dry run, or where nothing of it can be read.
    pub new: Option<ObjectHash>,
    /// What is lost.
    pub lost: Vec<LostPath>,
    /// Whether the old one was removed.
    pub removed: bool,
}

/// What a repair of snapshots has done, or in a dry run would do.
#[derive(Debug, Default)]
pub struct SnapshotRepair {
    /// The snapshots that had lost something.
    pub repaired: Vec<RepairedSnapshot>,
    /// Snapshots whose headers cannot be read: nothing can be done for them.
    pub unreadable: Vec<DamagedSnapshot>,
}

/// Replaces each snapshot that misses something by one without it. New tree nodes are sealed with
/// `session_key`.
///
/// # Errors
/// Where the vault cannot be read or written, keyholders refuse, or one of `only` is not there.
pub fn repair_snapshots(
    handle: &DatasetHandle,
    keys: &Arc<ReadKeys>,
    session_key: SessionKey,
    options: &RepairOptions,
    monitor: &Monitor<'_>,
) -> Result<SnapshotRepair> {
    let session = Session::start(handle, &options.host, options.dry_run)?;
    let mut avoid = session.condemned()?;
    let mut survey = Survey::take(handle, options.threads, monitor)?;
    if let Some(id) = options.only.iter().find(|id| survey.snapshots.find(id).is_none()) {
        return Err(VaultError::NoSnapshot { wanted: id.to_hex() });
    }
    if options.read_data {
        read_packs(&mut survey, keys, Subset::All, options.threads, monitor)?;
    }
    let spoilt = survey.health.spoilt_packs()?;
    avoid.extend(spoilt.iter().copied());
    let epoch = session_key.epoch;
    let sink = Sink::new(handle.clone(), session_key, avoid, 1, options.dry_run);
    let (content, _) = GroupReader::open(handle, Some(Arc::clone(keys)))?;

    let mut salvaged = Vec::new();
    {
        let taint = Taint::new(handle, &survey.reader, &survey.health);
        let mut packer = Packer::new(&sink, options.compression)?;
        let mut salvage = Salvage { content: &content, taint: &taint, packer: &mut packer };
        for stored in &survey.snapshots.good {
            let wanted = options.only.is_empty() || options.only.contains(&stored.id);
            if wanted && taint.leads_to_damage(&stored.snapshot.root)? {
                monitor.counters.set_current(&stored.object);
                salvaged.push((stored.clone(), salvage.snapshot(stored)?));
            }
        }
        packer.flush()?;
    }
    sink.finish()?;
    if !options.dry_run {
        packs::salvage(&survey, &spoilt)?;
    }
    session.still_alive()?;
    let mut repair =
        SnapshotRepair { unreadable: std::mem::take(&mut survey.snapshots.damaged), ..Default::default() };
    for (old, (header, lost)) in salvaged {
        let mut repaired = RepairedSnapshot { old, new: None, lost, removed: false };
        if !options.dry_run {
            if let Some(header) = header {
                repaired.new = Some(write_snapshot(handle, epoch, &header)?);
            }
            if options.forget {
                handle.store.delete(&repaired.old.object)?;
                repaired.removed = true;
            }
        }
        repair.repaired.push(repaired);
    }
    session.end();
    Ok(repair)
}

/// A directory that is being written without what is lost.
struct Open {
    path: Vec<u8>,
    /// Its entry in its parent; `None` for the root.
    entry: Option<Entry>,
    entries: std::vec::IntoIter<TreeEntry>,
    writer: DirectoryWriter,
}

struct Salvage<'a, 's> {
    content: &'a GroupReader,
    taint: &'a Taint<'a>,
    packer: &'a mut Packer<'s>,
}

impl Salvage<'_, '_> {
    /// The header of the new snapshot, `None` where not even the root can be read, and what is lost.
    fn snapshot(&mut self, stored: &StoredSnapshot) -> Result<(Option<Snapshot>, Vec<LostPath>)> {
        let mut lost = Vec::new();
        let mut summary = stored.snapshot.summary.clone();
        let root = self.tree(&stored.snapshot.root, &mut lost, &mut summary)?;
        let header = root.map(|root| Snapshot {
            root,
            original: stored.snapshot.original.or(Some(stored.id)),
            summary,
            ..stored.snapshot.clone()
        });
        Ok((header, lost))
    }

    fn tree(
        &mut self,
        root: &RefsId,
        lost: &mut Vec<LostPath>,
        summary: &mut Summary,
    ) -> Result<Option<RefsId>> {
        let Some(first) = self.open(root, Vec::new(), None, lost)? else { return Ok(None) };
        let mut stack = vec![first];
        while let Some(open) = stack.last_mut() {
            let Some(TreeEntry { entry, refs }) = open.entries.next() else {
                let Some(done) = stack.pop() else { break };
                let id = done.writer.finish(self.packer)?;
                match (stack.last_mut(), &done.entry) {
                    (Some(parent), Some(entry)) => {
                        parent.writer.push_entry(self.packer, entry, Some(id), &[])?
                    }
                    _ => return Ok(Some(id)),
                }
                continue;
            };
            let path = [open.path.as_slice(), b"/", &entry.name].concat();
            match refs {
                EntryRefs::Directory(id) if self.taint.leads_to_damage(&id)? => {
                    match self.open(&id, path, Some(entry), lost)? {
                        Some(child) => stack.push(child),
                        None => summary.directories = summary.directories.saturating_sub(1),
                    }
                }
                EntryRefs::Directory(id) => open.writer.push_entry(self.packer, &entry, Some(id), &[])?,
                refs => {
                    if let Some(id) = self.taint.lost_content(&refs)? {
                        if let EntryKind::File { size, .. } = entry.kind {
                            summary.files = summary.files.saturating_sub(1);
                            summary.bytes = summary.bytes.saturating_sub(size);
                        }
                        lost.push(LostPath { path, partly: false, object: self.taint.blame_for(&id)? });
                        continue;
                    }
                    let ids = match &refs {
                        EntryRefs::Chunks(ids) | EntryRefs::Lists(ids) => ids.as_slice(),
                        EntryRefs::None | EntryRefs::Directory(_) => &[],
                    };
                    open.writer.push_entry(self.packer, &entry, None, ids)?;
                }
            }
        }
        Err(VaultError::Bug("a tree ended without its root"))
    }

    /// Opens a directory that leads to damage; what of it cannot be read is entered as lost.
    fn open(
        &mut self,
        id: &RefsId,
        path: Vec<u8>,
        entry: Option<Entry>,
        lost: &mut Vec<LostPath>,
    ) -> Result<Option<Open>> {
        let mut lose = |partly| -> Result<()> {
            let mut objects = BTreeSet::new();
            self.taint.blame(id, &mut objects)?;
            let object = objects.into_iter().next().unwrap_or_else(|| format!("chunk {id}"));
            let path = if path.is_empty() { b"/".to_vec() } else { path.clone() };
            lost.push(LostPath { path, partly, object });
            Ok(())
        };
        let pages = match read_pages(self.content, id) {
            Ok(pages) => pages,
            Err(error) if error.is_integrity() => {
                lose(false)?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut entries: Vec<TreeEntry> = Vec::new();
        let (mut readable, mut whole) = (0, true);
        for page in pages {
            match page {
                Ok(more) => {
                    readable += 1;
                    entries.extend(more);
                }
                Err(error) if error.is_integrity() => whole = false,
                Err(error) => return Err(error),
            }
        }
        if !whole {
            lose(readable > 0)?;
            if readable == 0 {
                return Ok(None);
            }
        }
        if !entries.is_sorted_by(|a, b| a.entry.name < b.entry.name) {
            lose(false)?;
            return Ok(None);
        }
        let writer = DirectoryWriter::new(entries.len());
        Ok(Some(Open { path, entry, entries: entries.into_iter(), writer }))
    }
}
