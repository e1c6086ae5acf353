//! Which snapshots, and which of their paths, damage spoils.

use super::Survey;
use crate::{
    error::{Result, VaultError},
    groups::GroupReader,
    handle::DatasetHandle,
    health::Health,
    marks::Marks,
    read_keys::ReadKeys,
    snapshots::StoredSnapshot,
    tree::{self, EntryRefs},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use strongroom_format::{ChunkId, RefsId, keys::ChunkKind, tree::RefsNode};

/// Paths of one snapshot beyond these are only counted.
const PATHS_MAX: usize = 1000;

/// A snapshot that misses something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedSnapshot {
    /// The snapshot.
    pub snapshot: StoredSnapshot,
    /// The damaged or missing objects that it needs, as findings name them.
    pub objects: BTreeSet<String>,
    /// What cannot be restored from it, in order; empty without a read key.
    pub paths: Vec<AffectedPath>,
    /// Paths beyond those that are kept.
    pub paths_left_off: u64,
}

/// A path that cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedPath {
    /// The path, byte for byte; a directory's stands for everything below it.
    pub path: Vec<u8>,
    /// The object to blame.
    pub object: String,
}

/// Tells which refs nodes lead to damage. What is found out stays known for the next snapshot.
pub(crate) struct Taint<'a> {
    handle: &'a DatasetHandle,
    reader: &'a GroupReader,
    health: &'a Health,
    known: Marks,
    tainted: Marks,
}

/// A node on the way down.
struct Frame {
    place: crate::index::Location,
    children: Vec<RefsId>,
    tainted: bool,
}

impl<'a> Taint<'a> {
    pub(crate) fn new(handle: &'a DatasetHandle, reader: &'a GroupReader, health: &'a Health) -> Self {
        let (known, tainted) = (Marks::new(&health.index), Marks::new(&health.index));
        Self { handle, reader, health, known, tainted }
    }

    /// Whether a chunk has no good place.
    pub(crate) fn is_lost(&self, kind: ChunkKind, id: &ChunkId) -> Result<bool> {
        Ok(self.health.good_places(kind, id)?.is_empty())
    }

    /// Whether something below a refs node, or the node itself, is lost.
    pub(crate) fn leads_to_damage(&self, id: &RefsId) -> Result<bool> {
        let mut stack: Vec<Frame> = Vec::new();
        let mut answer = self.enter(id, &mut stack)?;
        loop {
            if let Some(tainted) = answer.take() {
                match stack.last_mut() {
                    None => return Ok(tainted),
                    Some(parent) => parent.tainted |= tainted,
                }
            }
            let Some(frame) = stack.last_mut() else {
                return Err(VaultError::Bug("a walk ended without an answer"));
            };
            if let Some(child) = frame.children.pop() {
                answer = self.enter(&child, &mut stack)?;
            } else if let Some(done) = stack.pop() {
                self.known.set(&done.place);
                if done.tainted {
                    self.tainted.set(&done.place);
                }
                answer = Some(done.tainted);
            }
        }
    }

    /// The answer where it is known; otherwise pushes the node.
    fn enter(&self, id: &RefsId, stack: &mut Vec<Frame>) -> Result<Option<bool>> {
        let Some(place) = self.health.good_places(ChunkKind::Refs, id)?.first().copied() else {
            return Ok(Some(true));
        };
        if self.known.get(&place) {
            return Ok(Some(self.tainted.get(&place)));
        }
        let node = match tree::read_refs(self.reader, id) {
            Ok(node) => node,
            Err(error) if error.is_integrity() => return Ok(Some(true)),
            Err(error) => return Err(error),
        };
        let (children, data, meta) = match node {
            RefsNode::Page { meta, mut directories, lists, chunks } => {
                directories.extend(lists);
                (directories, chunks, Some(meta))
            }
            RefsNode::List { chunks } => (Vec::new(), chunks, None),
            RefsNode::Fan { pages } => (pages, Vec::new(), None),
        };
        let mut tainted = meta.map_or(Ok(false), |meta| self.is_lost(ChunkKind::Meta, &meta))?;
        for id in &data {
            tainted = tainted || self.is_lost(ChunkKind::Data, id)?;
        }
        stack.push(Frame { place, children, tainted });
        Ok(None)
    }

    /// Collects the objects to blame for the damage below a tainted node.
    pub(crate) fn blame(&self, root: &RefsId, objects: &mut BTreeSet<String>) -> Result<()> {
        let seen = Marks::new(&self.health.index);
        let mut stack = vec![*root];
        while let Some(id) = stack.pop() {
            let Some(place) = self.health.good_places(ChunkKind::Refs, &id)?.first().copied() else {
                objects.insert(self.health.blame(self.handle, &id)?);
                continue;
            };
            if !seen.set(&place) || !self.leads_to_damage(&id)? {
                continue;
            }
            let mut blame = |kind, id: &ChunkId| -> Result<()> {
                if self.is_lost(kind, id)? {
                    objects.insert(self.health.blame(self.handle, id)?);
                }
                Ok(())
            };
            match tree::read_refs(self.reader, &id) {
                Ok(RefsNode::Page { meta, directories, lists, chunks }) => {
                    blame(ChunkKind::Meta, &meta)?;
                    chunks.iter().try_for_each(|id| blame(ChunkKind::Data, id))?;
                    stack.extend(directories);
                    stack.extend(lists);
                }
                Ok(RefsNode::List { chunks }) => {
                    chunks.iter().try_for_each(|id| blame(ChunkKind::Data, id))?;
                }
                Ok(RefsNode::Fan { pages }) => stack.extend(pages),
                Err(error) if error.is_integrity() => {
                    objects.insert(self.health.blame(self.handle, &id)?);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The object to blame for a chunk that is lost.
    pub(crate) fn blame_for(&self, id: &ChunkId) -> Result<String> {
        self.health.blame(self.handle, id)
    }

    /// The chunk to blame where a file's content is lost.
    pub(crate) fn lost_content(&self, refs: &EntryRefs) -> Result<Option<ChunkId>> {
        let first_lost = |chunks: &[ChunkId]| -> Result<Option<ChunkId>> {
            for id in chunks {
                if self.is_lost(ChunkKind::Data, id)? {
                    return Ok(Some(*id));
                }
            }
            Ok(None)
        };
        match refs {
            EntryRefs::Chunks(chunks) => first_lost(chunks),
            EntryRefs::Lists(lists) => {
                for list in lists {
                    if self.is_lost(ChunkKind::Refs, list)? {
                        return Ok(Some(*list));
                    }
                    let found = match tree::read_refs(self.reader, list) {
                        Ok(RefsNode::List { chunks }) => first_lost(&chunks)?,
                        Ok(_) => Some(*list),
                        Err(error) if error.is_integrity() => Some(*list),
                        Err(error) => return Err(error),
                    };
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Ok(None)
            }
            EntryRefs::None | EntryRefs::Directory(_) => Ok(None),
        }
    }

    /// Calls `report` with each path below a root that cannot be restored and the object to blame.
    fn lost_paths(
        &self,
        reader: &GroupReader,
        root: &RefsId,
        report: &mut dyn FnMut(Vec<u8>, String),
    ) -> Result<()> {
        let mut stack = vec![(Vec::new(), *root)];
        while let Some((path, id)) = stack.pop() {
            if !self.leads_to_damage(&id)? {
                continue;
            }
            let entries = match tree::read_directory(reader, &id) {
                Ok(entries) => entries,
                Err(error) if error.is_integrity() => {
                    let mut objects = BTreeSet::new();
                    self.blame(&id, &mut objects)?;
                    let object = objects.into_iter().next().unwrap_or_else(|| format!("chunk {id}"));
                    report(if path.is_empty() { b"/".to_vec() } else { path }, object);
                    continue;
                }
                Err(error) => return Err(error),
            };
            for entry in entries.into_iter().rev() {
                let path = [path.as_slice(), b"/", &entry.entry.name].concat();
                match entry.refs {
                    EntryRefs::Directory(id) => stack.push((path, id)),
                    refs => {
                        if let Some(id) = self.lost_content(&refs)? {
                            report(path, self.health.blame(self.handle, &id)?);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Goes through all snapshots.
pub(super) fn find(survey: &Survey, keys: Option<Arc<ReadKeys>>) -> Result<Vec<AffectedSnapshot>> {
    let taint = Taint::new(&survey.handle, &survey.reader, &survey.health);
    let content = match keys {
        Some(keys) => Some(GroupReader::open(&survey.handle, Some(keys))?.0),
        None => None,
    };
    // Snapshots often have a root in common.
    let mut by_root: HashMap<RefsId, AffectedSnapshot> = HashMap::new();
    let mut affected = Vec::new();
    for stored in &survey.snapshots.good {
        let root = stored.snapshot.root;
        if let Some(known) = by_root.get(&root) {
            affected.push(AffectedSnapshot { snapshot: stored.clone(), ..known.clone() });
            continue;
        }
        if !taint.leads_to_damage(&root)? {
            continue;
        }
        let mut found = AffectedSnapshot {
            snapshot: stored.clone(),
            objects: BTreeSet::new(),
            paths: Vec::new(),
            paths_left_off: 0,
        };
        taint.blame(&root, &mut found.objects)?;
        if let Some(reader) = &content {
            let (paths, left_off) = (&mut found.paths, &mut found.paths_left_off);
            taint.lost_paths(reader, &root, &mut |path, object| {
                if paths.len() < PATHS_MAX {
                    paths.push(AffectedPath { path, object });
                } else {
                    *left_off += 1;
                }
            })?;
            found.paths.sort_by(|a, b| a.path.cmp(&b.path));
        }
        by_root.insert(root, found.clone());
        affected.push(found);
    }
    Ok(affected)
}
