//! Walking the trees of snapshots.

use crate::{
    error::{Result, VaultError},
    groups::GroupReader,
};
use strongroom_format::{
    ChunkId, Damage, RefsId,
    keys::ChunkKind,
    snapshot::escape_path,
    tree::{self, Content, Entry, EntryKind, RefsNode},
};

/// A directory entry together with what it points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Name and attributes.
    pub entry: Entry,
    /// What it points to.
    pub refs: EntryRefs,
}

impl TreeEntry {
    /// Length of the file's data in bytes, holes left out; 0 for everything else.
    #[must_use]
    pub fn data_len(&self) -> u64 {
        match &self.entry.kind {
            EntryKind::File { size, data_ranges: None, .. } => *size,
            EntryKind::File { data_ranges: Some(ranges), .. } => ranges.iter().map(|(_, len)| len).sum(),
            _ => 0,
        }
    }
}

/// What an entry points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryRefs {
    /// Nothing: it has no content.
    None,
    /// A directory's refs node.
    Directory(RefsId),
    /// A file's chunks, in order.
    Chunks(Vec<ChunkId>),
    /// Lists of a file's chunks, in order.
    Lists(Vec<RefsId>),
}

fn damaged(id: &ChunkId, object: &'static str, field: &'static str) -> VaultError {
    VaultError::damaged(format!("chunk {id}"), object, Damage::Field(field))
}

/// Reads a refs node.
///
/// # Errors
/// Where it is missing or damaged.
pub fn read_refs(reader: &GroupReader, id: &RefsId) -> Result<RefsNode> {
    let bytes = reader.read_chunk(ChunkKind::Refs, id)?;
    RefsNode::decode(&bytes).map_err(|error| VaultError::format(format!("chunk {id}"), error))
}

/// The entries of a directory, in ascending order of their names.
///
/// # Errors
/// Where a part of it is missing or damaged.
pub fn read_directory(reader: &GroupReader, id: &RefsId) -> Result<Vec<TreeEntry>> {
    match read_refs(reader, id)? {
        RefsNode::Fan { pages } => {
            let mut entries: Vec<TreeEntry> = Vec::new();
            for page in &pages {
                let RefsNode::Page { meta, directories, lists, chunks } = read_refs(reader, page)? else {
                    return Err(damaged(page, "refs node", "node kind"));
                };
                let more = join_page(reader, page, &meta, directories, lists, chunks)?;
                let last = entries.last().map(|entry| &entry.entry.name);
                if last.zip(more.first()).is_some_and(|(last, first)| *last >= first.entry.name) {
                    return Err(damaged(page, "meta page", "name order"));
                }
                entries.extend(more);
            }
            Ok(entries)
        }
        RefsNode::Page { meta, directories, lists, chunks } => {
            join_page(reader, id, &meta, directories, lists, chunks)
        }
        RefsNode::List { .. } => Err(damaged(id, "refs node", "node kind")),
    }
}

/// The pages of a directory, each by itself: those that cannot be read beside those that can. A directory
/// of one page has one.
///
/// # Errors
/// Where the node that lists the pages is missing or damaged.
pub(crate) fn read_pages(reader: &GroupReader, id: &RefsId) -> Result<Vec<Result<Vec<TreeEntry>>>> {
    match read_refs(reader, id)? {
        RefsNode::Fan { pages } => {
            let read = |page: &RefsId| match read_refs(reader, page)? {
                RefsNode::Page { meta, directories, lists, chunks } => {
                    join_page(reader, page, &meta, directories, lists, chunks)
                }
                _ => Err(damaged(page, "refs node", "node kind")),
            };
            Ok(pages.iter().map(read).collect())
        }
        RefsNode::Page { meta, directories, lists, chunks } => {
            Ok(vec![join_page(reader, id, &meta, directories, lists, chunks)])
        }
        RefsNode::List { .. } => Err(damaged(id, "refs node", "node kind")),
    }
}

/// Deals a page's references out to the entries of its meta page.
fn join_page(
    reader: &GroupReader,
    id: &RefsId,
    meta: &ChunkId,
    directories: Vec<RefsId>,
    lists: Vec<RefsId>,
    chunks: Vec<ChunkId>,
) -> Result<Vec<TreeEntry>> {
    let bytes = reader.read_chunk(ChunkKind::Meta, meta)?;
    let entries =
        tree::decode_meta_page(&bytes).map_err(|error| VaultError::format(format!("chunk {meta}"), error))?;
    let (mut directories, mut lists, mut chunks) =
        (directories.into_iter(), lists.into_iter(), chunks.into_iter());
    let too_few = || damaged(id, "refs node", "reference count");
    let mut joined = Vec::with_capacity(entries.len());
    for entry in entries {
        let refs = match &entry.kind {
            EntryKind::Directory => EntryRefs::Directory(directories.next().ok_or_else(too_few)?),
            EntryKind::File { content: Content::Chunks(count), .. } => {
                EntryRefs::Chunks(take(&mut chunks, *count).ok_or_else(too_few)?)
            }
            EntryKind::File { content: Content::Lists(count), .. } => {
                EntryRefs::Lists(take(&mut lists, *count).ok_or_else(too_few)?)
            }
            _ => EntryRefs::None,
        };
        joined.push(TreeEntry { entry, refs });
    }
    if directories.next().or(lists.next()).or(chunks.next()).is_some() {
        return Err(too_few());
    }
    Ok(joined)
}

fn take(ids: &mut std::vec::IntoIter<ChunkId>, count: u32) -> Option<Vec<ChunkId>> {
    let count = count as usize;
    (ids.len() >= count).then(|| ids.by_ref().take(count).collect())
}

/// All chunks of a file, in order.
///
/// # Errors
/// Where a list is missing or damaged.
pub fn file_chunks(reader: &GroupReader, entry: &TreeEntry) -> Result<Vec<ChunkId>> {
    match &entry.refs {
        EntryRefs::Chunks(chunks) => Ok(chunks.clone()),
        EntryRefs::Lists(lists) => {
            let most = usize::try_from(entry.data_len()).unwrap_or(usize::MAX);
            let mut chunks = Vec::new();
            for list in lists {
                let RefsNode::List { chunks: more } = read_refs(reader, list)? else {
                    return Err(damaged(list, "refs node", "node kind"));
                };
                // No chunk is empty. Lists can repeat each other, and would take up any memory.
                if more.len() > most.saturating_sub(chunks.len()) {
                    return Err(damaged(list, "refs node", "content length"));
                }
                chunks.extend(more);
            }
            Ok(chunks)
        }
        EntryRefs::None | EntryRefs::Directory(_) => Ok(Vec::new()),
    }
}

/// Finds a path in a tree: the entry, or `None` for the root itself.
///
/// # Errors
/// [`VaultError::NoPath`] where it is not there.
pub fn find_path(reader: &GroupReader, root: &RefsId, path: &[u8]) -> Result<Option<TreeEntry>> {
    let mut at: Option<TreeEntry> = None;
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".") {
        let no_path = || VaultError::NoPath { path: escape_path(path) };
        let directory = match &at {
            None => *root,
            Some(TreeEntry { refs: EntryRefs::Directory(id), .. }) => *id,
            Some(_) => return Err(no_path()),
        };
        let mut entries = read_directory(reader, &directory)?;
        let place = entries.binary_search_by(|entry| entry.entry.name.as_slice().cmp(name));
        at = Some(entries.swap_remove(place.map_err(|_| no_path())?));
    }
    Ok(at)
}

/// Runs a recursive walk of a tree on a stack that is deep enough for [`TREE_DEPTH_MAX`] levels; only what is
/// used of it takes up memory.
///
/// # Errors
/// Where no thread can be made.
///
/// [`TREE_DEPTH_MAX`]: strongroom_format::limits::TREE_DEPTH_MAX
pub fn on_deep_stack<T: Send>(walk: impl FnOnce() -> T + Send) -> Result<T> {
    const STACK: usize = 512 << 20;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, walk);
        let thread = thread.map_err(|error| VaultError::local("start a thread for", "the walk", error))?;
        thread.join().map_err(|_| VaultError::Bug("the walk of a tree panicked"))
    })
}
