//! Walking everything that snapshots reach, by their refs nodes alone.
//!
//! Level by level: the nodes of a level are sorted by the group that they lie in, so that a group is
//! opened once for all of them, and shared out to threads. What was seen is a bit for each index entry.

use crate::{
    error::{Result, VaultError},
    groups::{GroupBuffer, GroupReader},
    health::Health,
    index::{Index, Location},
    marks::Marks,
    pool,
    progress::Cancel,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use strongroom_format::{ChunkId, Damage, RefsId, keys::ChunkKind, tree::RefsNode};

/// Opened groups of refs nodes that are kept for later levels, in bytes. Levels pass over the same groups
/// in the same order, so that what is kept stays: throwing out the oldest would never hit.
const KEPT_BYTES: usize = 24 << 20;

/// What a refs node must be where it is pointed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Directory,
    Page,
    List,
}

/// A node still to be read. Its id and length are read again from the index when its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    run: u32,
    group: u32,
    position: u32,
    role: Role,
}

/// What is told of a walk.
pub(crate) trait Visitor: Sync {
    /// Which of a chunk's good places (at least one) is to stand for it.
    fn choose(&self, _kind: ChunkKind, places: &[Location]) -> Result<Location> {
        places.first().copied().ok_or(VaultError::Bug("a chunk without a place was chosen"))
    }

    /// A chunk is reached for the first time.
    fn reached(&self, _kind: ChunkKind, _chosen: &Location, _places: &[Location]) -> Result<()> {
        Ok(())
    }

    /// A chunk has no good place. May be told more than once.
    fn missing(&self, kind: ChunkKind, id: &ChunkId) -> Result<()>;

    /// A refs node cannot be read at a place, which the health then takes for lost.
    fn unreadable(&self, id: &ChunkId, place: &Location, error: VaultError) -> Result<()>;
}

/// A walk over the refs nodes of an index.
pub(crate) struct Walk<'a, V> {
    pub(crate) reader: &'a GroupReader,
    pub(crate) health: &'a Health,
    pub(crate) marks: &'a Marks,
    pub(crate) visitor: &'a V,
    pub(crate) threads: usize,
    pub(crate) cancel: &'a Cancel,
}

#[derive(Default)]
struct Kept {
    groups: HashMap<(u32, u32), Arc<Vec<u8>>>,
    bytes: usize,
}

impl<V: Visitor> Walk<'_, V> {
    /// Walks from `roots`. Whatever is marked already is taken as walked.
    pub(crate) fn run(&self, roots: &[RefsId]) -> Result<()> {
        let mut level = Vec::new();
        for root in roots {
            self.reach(root, Role::Directory, &mut level)?;
        }
        let kept = Mutex::new(Kept::default());
        let index = Arc::clone(&self.health.index);
        while !level.is_empty() {
            level.sort_unstable();
            let groups: Vec<&[Waiting]> =
                level.chunk_by(|a, b| (a.run, a.group) == (b.run, b.group)).collect();
            let next = Mutex::new(Vec::new());
            pool::for_each_with(
                self.threads,
                &groups,
                self.cancel,
                GroupBuffer::default,
                |buffer, group| {
                    let found = self.visit_group(&index, group, buffer, &kept)?;
                    next.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
                    Ok(())
                },
            )?;
            level = next.into_inner().unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Marks a chunk as reached; a refs node that is new goes to `level`.
    fn reach(&self, id: &ChunkId, role: Role, level: &mut Vec<Waiting>) -> Result<()> {
        let Some(place) = self.mark(ChunkKind::Refs, id)? else { return Ok(()) };
        level.push(Waiting { run: place.run, group: place.group, position: place.position, role });
        Ok(())
    }

    /// Marks a chunk; where it is, if it was not marked before.
    fn mark(&self, kind: ChunkKind, id: &ChunkId) -> Result<Option<Location>> {
        let places = self.health.good_places(kind, id)?;
        if places.is_empty() {
            self.visitor.missing(kind, id)?;
            return Ok(None);
        }
        if places.iter().any(|place| self.marks.get(place)) {
            return Ok(None);
        }
        let chosen = self.visitor.choose(kind, &places)?;
        if !self.marks.set(&chosen) {
            return Ok(None);
        }
        self.visitor.reached(kind, &chosen, &places)?;
        Ok(Some(chosen))
    }

    fn visit_group(
        &self,
        index: &Index,
        group: &[Waiting],
        buffer: &mut GroupBuffer,
        kept: &Mutex<Kept>,
    ) -> Result<Vec<Waiting>> {
        let mut next = Vec::new();
        let mut raw: Option<Arc<Vec<u8>>> = None;
        for waiting in group {
            let entry = index.run(waiting.run)?.entry(waiting.position as usize)?;
            let place = Location {
                run: waiting.run,
                position: waiting.position,
                pack: entry.pack,
                group: entry.group,
                offset: entry.offset,
                len: entry.len,
            };
            let opened = match &raw {
                Some(raw) => Ok(Arc::clone(raw)),
                None => self.open(index, &place, buffer, kept),
            };
            let node = opened.and_then(|opened| {
                raw = Some(Arc::clone(&opened));
                self.decode(index, &opened, &place, &entry.id, waiting.role)
            });
            match node {
                Ok(node) => self.follow(&node, &mut next)?,
                Err(error) if error.is_integrity() || crate::snapshots::is_spoilt(&error) => {
                    // Another copy is as good; it is reached like any other chunk.
                    self.health.lose_group_of(&place);
                    self.marks.clear(&place);
                    self.visitor.unreadable(&entry.id, &place, error)?;
                    self.reach(&entry.id, waiting.role, &mut next)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(next)
    }

    fn open(
        &self,
        index: &Index,
        place: &Location,
        buffer: &mut GroupBuffer,
        kept: &Mutex<Kept>,
    ) -> Result<Arc<Vec<u8>>> {
        let key = (place.run, place.group);
        if let Some(raw) = kept.lock().unwrap_or_else(PoisonError::into_inner).groups.get(&key) {
            return Ok(Arc::clone(raw));
        }
        self.reader.read_group(index, place, buffer)?;
        let raw = Arc::new(std::mem::take(&mut buffer.raw));
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + raw.len() <= KEPT_BYTES {
            kept.bytes += raw.len();
            kept.groups.insert(key, Arc::clone(&raw));
        }
        Ok(raw)
    }

    fn decode(
        &self,
        index: &Index,
        raw: &[u8],
        place: &Location,
        id: &ChunkId,
        role: Role,
    ) -> Result<RefsNode> {
        let bytes = self.reader.chunk_in(raw, place, ChunkKind::Refs, id, index)?;
        let node =
            RefsNode::decode(bytes).map_err(|error| VaultError::format(format!("chunk {id}"), error))?;
        let fits = match &node {
            RefsNode::Page { .. } => role != Role::List,
            RefsNode::Fan { .. } => role == Role::Directory,
            RefsNode::List { .. } => role == Role::List,
        };
        if !fits {
            return Err(VaultError::damaged(format!("chunk {id}"), "refs node", Damage::Field("node kind")));
        }
        Ok(node)
    }

    fn follow(&self, node: &RefsNode, next: &mut Vec<Waiting>) -> Result<()> {
        match node {
            RefsNode::Page { meta, directories, lists, chunks } => {
                self.mark(ChunkKind::Meta, meta)?;
                for id in directories {
                    self.reach(id, Role::Directory, next)?;
                }
                for id in lists {
                    self.reach(id, Role::List, next)?;
                }
                self.mark_data(chunks)
            }
            RefsNode::List { chunks } => self.mark_data(chunks),
            RefsNode::Fan { pages } => pages.iter().try_for_each(|id| self.reach(id, Role::Page, next)),
        }
    }

    fn mark_data(&self, chunks: &[ChunkId]) -> Result<()> {
        chunks.iter().try_for_each(|id| self.mark(ChunkKind::Data, id).map(|_| ()))
    }
}
