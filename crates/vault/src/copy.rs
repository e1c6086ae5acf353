//! Copying snapshots into another dataset, of this vault or another: everything gets an id and a seal there.
//!
//! Chunks keep their cuts. Content goes through memory a chunk at a time; what was copied before in the same
//! run is known by its old id, so that it is neither read nor sent again.

use crate::{
    backup::{DirectoryWriter, write_snapshot},
    error::{Result, VaultError},
    groups::GroupReader,
    handle::DatasetHandle,
    monitor::Monitor,
    packer::{Compression, Packer},
    session::Session,
    sink::{SessionKey, Sink, SinkStats},
    tree::{EntryRefs, TreeEntry, on_deep_stack, read_directory, read_refs},
};
use std::collections::HashMap;
use strongroom_format::{
    ChunkId, Damage, ObjectHash, RefsId,
    keys::ChunkKind,
    limits::TREE_DEPTH_MAX,
    snapshot::Snapshot,
    tree::{EntryKind, RefsNode},
};

/// Old and new ids that are remembered, 64 bytes each; when there are more, all are forgotten.
const REMEMBERED: usize = 1 << 20;

/// How to copy.
#[derive(Debug, Clone)]
pub struct Options {
    /// How hard to compress.
    pub compression: Compression,
    /// Upload threads.
    pub uploads: usize,
    /// This host, for the sign that it is working.
    pub host: String,
}

/// A snapshot that was copied.
#[derive(Debug, Clone)]
pub struct Copied {
    /// The snapshot in the source.
    pub source: ObjectHash,
    /// The new one.
    pub id: ObjectHash,
    /// What was new in the destination.
    pub stored: SinkStats,
}

/// Copies snapshots, one after the other; `done` is told of each once it is whole in the destination.
///
/// # Errors
/// Where something of the source is missing or damaged, the destination fails, or the monitor says stop. The
/// snapshots told of before are whole.
pub fn run(
    reader: &GroupReader,
    to: &DatasetHandle,
    key: &SessionKey,
    snapshots: &[(ObjectHash, Snapshot)],
    options: &Options,
    monitor: &Monitor<'_>,
    done: &mut (dyn FnMut(Copied) + Send),
) -> Result<()> {
    // The order matters: this run shows itself before it looks at what it may build on [V-8.2].
    let session = Session::start(to, &options.host, false)?;
    let condemned = session.condemned()?;
    let mut known = HashMap::new();
    for (source, snapshot) in snapshots {
        let sink = Sink::new(to.clone(), key.clone(), condemned.clone(), options.uploads, false);
        let root = on_deep_stack(|| {
            let packer = Packer::new(&sink, options.compression)?;
            let mut copy = Copy { reader, packer, known: &mut known, monitor };
            let root = copy.directory(&snapshot.root, 0)?;
            copy.packer.flush()?;
            Ok::<_, VaultError>(root)
        })??;
        let stored = sink.finish()?;
        session.still_alive()?;
        let copied = Snapshot {
            root,
            parent: None,
            original: Some(snapshot.original.unwrap_or(*source)),
            ..snapshot.clone()
        };
        let id = write_snapshot(to, key.epoch, &copied)?;
        done(Copied { source: *source, id, stored });
    }
    session.end();
    Ok(())
}

struct Copy<'a> {
    reader: &'a GroupReader,
    packer: Packer<'a>,
    /// New ids by old ones: of directories, lists and chunks.
    known: &'a mut HashMap<ChunkId, ChunkId>,
    monitor: &'a Monitor<'a>,
}

impl Copy<'_> {
    fn remember(&mut self, old: ChunkId, new: ChunkId) -> ChunkId {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(old, new);
        new
    }

    fn directory(&mut self, id: &RefsId, depth: usize) -> Result<RefsId> {
        if let Some(new) = self.known.get(id) {
            return Ok(*new);
        }
        if depth > TREE_DEPTH_MAX {
            return Err(VaultError::damaged(format!("chunk {id}"), "tree", Damage::Limit("depth")));
        }
        let entries = read_directory(self.reader, id)?;
        let mut writer = DirectoryWriter::new(entries.len());
        for entry in &entries {
            if self.monitor.cancel.is_requested() {
                return Err(VaultError::Cancelled);
            }
            let (child, ids) = match &entry.refs {
                EntryRefs::Directory(child) => (Some(self.directory(child, depth + 1)?), Vec::new()),
                _ => (None, self.file(entry)?),
            };
            writer.push_entry(&mut self.packer, &entry.entry, child, &ids)?;
        }
        let new = writer.finish(&mut self.packer)?;
        Ok(self.remember(*id, new))
    }

    fn file(&mut self, entry: &TreeEntry) -> Result<Vec<ChunkId>> {
        let EntryKind::File { size, .. } = entry.entry.kind else { return Ok(Vec::new()) };
        self.packer.sink().check()?;
        self.monitor.counters.set_current(&entry.entry.name);
        let ids = match &entry.refs {
            EntryRefs::Chunks(chunks) => self.chunks(chunks)?,
            EntryRefs::Lists(lists) => lists.iter().map(|list| self.list(list)).collect::<Result<_>>()?,
            EntryRefs::None | EntryRefs::Directory(_) => Vec::new(),
        };
        self.monitor.counters.bytes_done(size);
        self.monitor.counters.file_done();
        Ok(ids)
    }

    fn list(&mut self, id: &RefsId) -> Result<RefsId> {
        if let Some(new) = self.known.get(id) {
            return Ok(*new);
        }
        let RefsNode::List { chunks } = read_refs(self.reader, id)? else {
            return Err(VaultError::damaged(format!("chunk {id}"), "refs node", Damage::Field("node kind")));
        };
        let chunks = self.chunks(&chunks)?;
        let (new, _) = self.packer.add(ChunkKind::Refs, &RefsNode::List { chunks }.encode())?;
        Ok(self.remember(*id, new))
    }

    fn chunks(&mut self, ids: &[ChunkId]) -> Result<Vec<ChunkId>> {
        let mut new_ids = Vec::with_capacity(ids.len());
        for id in ids {
            if self.monitor.cancel.is_requested() {
                return Err(VaultError::Cancelled);
            }
            let new = match self.known.get(id) {
                Some(new) => *new,
                None => {
                    let content = self.reader.read_chunk(ChunkKind::Data, id)?;
                    let (new, _) = self.packer.add(ChunkKind::Data, &content)?;
                    self.remember(*id, new)
                }
            };
            new_ids.push(new);
        }
        Ok(new_ids)
    }
}
