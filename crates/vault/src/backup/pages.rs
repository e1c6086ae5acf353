//! From a finished directory to refs nodes and meta pages.

use super::changes::FileContent;
use crate::{error::Result, packer::Packer};
use strongroom_format::{
    ChunkId, RefsId,
    keys::ChunkKind,
    tree::{self, Content, Entry, EntryKind, RefsNode},
};

/// A directory of at most so many entries is one page.
const SINGLE_PAGE: usize = 256;
/// Smallest and largest page of a larger directory, in entries.
const PAGE_MIN: usize = 32;
const PAGE_MAX: usize = 1024;
/// A page's encoding is not let grow much beyond this, in bytes.
const PAGE_BYTES: usize = 1 << 20;
/// A file of at most so many chunks has them in its page.
const INLINE_CHUNKS: usize = 64;
/// Smallest and largest list, in chunks.
const LIST_MIN: usize = 64;
const LIST_MAX: usize = 1024;

/// One entry with what it points to.
pub(super) struct Item {
    pub(super) entry: Entry,
    /// The refs node of a directory.
    pub(super) child: Option<RefsId>,
    /// The references of a file.
    pub(super) ids: Vec<ChunkId>,
}

/// Whether a page ends behind this name: decided by the name alone, so that an added or removed entry
/// changes one page.
fn ends_page(name: &[u8]) -> bool {
    blake3::hash(name).as_bytes()[0] & 0x7f == 0
}

/// Stores the chunks of a file: as they are, or behind lists where there are many.
pub(super) fn store_file_refs(
    packer: &mut Packer<'_>,
    chunks: Vec<ChunkId>,
    size: u64,
    data_ranges: Option<Vec<(u64, u64)>>,
) -> Result<FileContent> {
    if chunks.len() <= INLINE_CHUNKS {
        let content = Content::Chunks(chunks.len() as u32);
        return Ok(FileContent { size, content, ids: chunks, data_ranges });
    }
    let mut lists = Vec::new();
    let mut list = Vec::new();
    for id in chunks {
        list.push(id);
        if list.len() >= LIST_MAX || list.len() >= LIST_MIN && id.as_bytes()[0] & 0x7f == 0 {
            lists.push(store_refs(packer, &RefsNode::List { chunks: std::mem::take(&mut list) })?);
        }
    }
    if !list.is_empty() {
        lists.push(store_refs(packer, &RefsNode::List { chunks: list })?);
    }
    Ok(FileContent { size, content: Content::Lists(lists.len() as u32), ids: lists, data_ranges })
}

fn store_refs(packer: &mut Packer<'_>, node: &RefsNode) -> Result<RefsId> {
    Ok(packer.add(ChunkKind::Refs, &node.encode())?.0)
}

/// Stores a directory whose entries are given in ascending order of their names.
pub(crate) struct DirectoryWriter {
    many: bool,
    pages: Vec<RefsId>,
    meta: Vec<u8>,
    count: usize,
    directories: Vec<RefsId>,
    lists: Vec<RefsId>,
    chunks: Vec<ChunkId>,
}

impl DirectoryWriter {
    /// A writer for a directory of about `entries` entries.
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            many: entries > SINGLE_PAGE,
            pages: Vec::new(),
            meta: tree::meta_page(),
            count: 0,
            directories: Vec::new(),
            lists: Vec::new(),
            chunks: Vec::new(),
        }
    }

    /// Appends an entry.
    pub(super) fn push(&mut self, packer: &mut Packer<'_>, item: &Item) -> Result<()> {
        self.push_entry(packer, &item.entry, item.child, &item.ids)
    }

    /// Appends an entry: `child` is the refs node of a directory, `ids` the references of a file.
    pub(crate) fn push_entry(
        &mut self,
        packer: &mut Packer<'_>,
        entry: &Entry,
        child: Option<RefsId>,
        ids: &[ChunkId],
    ) -> Result<()> {
        entry.encode_into(&mut self.meta);
        self.count += 1;
        self.directories.extend(child);
        match entry.kind {
            EntryKind::File { content: Content::Lists(_), .. } => self.lists.extend_from_slice(ids),
            _ => self.chunks.extend_from_slice(ids),
        }
        let ends = self.many && self.count >= PAGE_MIN && (ends_page(&entry.name) || self.count >= PAGE_MAX);
        if ends || self.meta.len() + self.chunks.len() * 32 > PAGE_BYTES {
            self.close_page(packer)?;
        }
        Ok(())
    }

    fn close_page(&mut self, packer: &mut Packer<'_>) -> Result<()> {
        let (meta, _) = packer.add(ChunkKind::Meta, &self.meta)?;
        let node = RefsNode::Page {
            meta,
            directories: std::mem::take(&mut self.directories),
            lists: std::mem::take(&mut self.lists),
            chunks: std::mem::take(&mut self.chunks),
        };
        self.pages.push(store_refs(packer, &node)?);
        self.meta = tree::meta_page();
        self.count = 0;
        Ok(())
    }

    /// Stores what is left and returns the directory's refs node.
    pub(crate) fn finish(mut self, packer: &mut Packer<'_>) -> Result<RefsId> {
        if self.count > 0 || self.pages.is_empty() {
            self.close_page(packer)?;
        }
        match self.pages.as_slice() {
            [page] => Ok(*page),
            _ => store_refs(packer, &RefsNode::Fan { pages: std::mem::take(&mut self.pages) }),
        }
    }
}
