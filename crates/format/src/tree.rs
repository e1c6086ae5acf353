//! Directory trees: refs nodes, which hold references and no names, and meta pages, which hold names
//! and attributes and no references `[V-6]`.

use crate::{
    error::{Damage, Result},
    ids::{ChunkId, RefsId},
    limits::{CHUNK_MAX, LINK_TARGET_MAX, NAME_MAX, XATTR_VALUE_MAX, XATTRS_MAX},
    wire::{Reader, Writer},
};

/// Version of refs nodes and meta pages.
const VERSION: u8 = 1;

/// A refs node: everything that one piece of a tree points to `[V-6.2]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefsNode {
    /// Some entries of a directory, in the order of their meta page.
    Page {
        /// The meta page with the names and attributes.
        meta: ChunkId,
        /// The refs nodes of child directories: one for each directory entry, in order.
        directories: Vec<RefsId>,
        /// [`RefsNode::List`]s of files that have many chunks, in order.
        lists: Vec<RefsId>,
        /// Chunks of files that have few, in order.
        chunks: Vec<ChunkId>,
    },
    /// Chunks of a part of one file, in order.
    List {
        /// The chunks.
        chunks: Vec<ChunkId>,
    },
    /// A directory of more than one page, in order.
    Fan {
        /// The refs nodes of the pages.
        pages: Vec<RefsId>,
    },
}

const PAGE: u8 = 1;
const LIST: u8 = 2;
const FAN: u8 = 3;

impl RefsNode {
    /// The canonical bytes, which the refs id is computed from.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Self::Page { meta, directories, lists, chunks } => {
                out.push(PAGE);
                out.extend_from_slice(meta.as_bytes());
                put_ids(&mut out, directories);
                put_ids(&mut out, lists);
                put_ids(&mut out, chunks);
            }
            Self::List { chunks } => {
                out.push(LIST);
                put_ids(&mut out, chunks);
            }
            Self::Fan { pages } => {
                out.push(FAN);
                put_ids(&mut out, pages);
            }
        }
        out
    }

    /// Decodes a refs node.
    ///
    /// # Errors
    /// Any damage to the encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new("refs node", bytes);
        let version = r.u8()?;
        if version != VERSION {
            return Err(r.error(Damage::Version(version)));
        }
        let node = match r.u8()? {
            PAGE => Self::Page {
                meta: ChunkId(r.array()?),
                directories: read_ids(&mut r)?,
                lists: read_ids(&mut r)?,
                chunks: read_ids(&mut r)?,
            },
            LIST => Self::List { chunks: read_ids(&mut r)? },
            FAN => Self::Fan { pages: read_ids(&mut r)? },
            _ => return Err(r.error(Damage::Field("node kind"))),
        };
        r.finish()?;
        Ok(node)
    }
}

fn put_ids(out: &mut Vec<u8>, ids: &[ChunkId]) {
    out.put_varint(ids.len() as u64);
    for id in ids {
        out.extend_from_slice(id.as_bytes());
    }
}

fn read_ids(r: &mut Reader<'_>) -> Result<Vec<ChunkId>> {
    let count = r.count("reference count", CHUNK_MAX / ChunkId::LEN)?;
    if r.remaining() < count * ChunkId::LEN {
        return Err(r.error(Damage::Truncated));
    }
    (0..count).map(|_| Ok(ChunkId(r.array()?))).collect()
}

/// A point in time, as the file system gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub secs: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanos: u32,
}

/// What a file-system entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Length in bytes.
        size: u64,
        /// Where its references stand in the page's refs node.
        content: Content,
        /// The ranges that hold data, where the file has holes: `(offset, length)`, ascending and apart.
        /// `None` where the chunks cover the whole file.
        data_ranges: Option<Vec<(u64, u64)>>,
    },
    /// A directory. Its refs node is the next of the page's `directories`.
    Directory,
    /// A symbolic link.
    Symlink {
        /// The target, byte for byte.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A socket in the file system.
    Socket,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// How many references of the page's refs node a file takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The next so many of `chunks`.
    Chunks(u32),
    /// The next so many of `lists`.
    Lists(u32),
}

/// A hard link: entries with the same value are the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId {
    /// The device number at the source.
    pub device: u64,
    /// The inode number at the source.
    pub inode: u64,
}

/// One entry of a directory: its name and attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, byte for byte; never empty, `.` or `..`, and without `/` and NUL.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with set-user-id, set-group-id and sticky: `0o7777` at most.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of last modification.
    pub mtime: Timestamp,
    /// Set where the file has more than one name.
    pub hard_link: Option<LinkId>,
    /// Extended attributes, POSIX ACLs among them (`system.posix_acl_*`), sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

const KIND_FILE: u8 = 1;
const KIND_DIRECTORY: u8 = 2;
const KIND_SYMLINK: u8 = 3;
const KIND_FIFO: u8 = 4;
const KIND_SOCKET: u8 = 5;
const KIND_CHAR: u8 = 6;
const KIND_BLOCK: u8 = 7;

const HAS_XATTRS: u8 = 1;
const HAS_HARD_LINK: u8 = 2;
const HAS_RANGES: u8 = 4;
const HAS_LISTS: u8 = 8;

/// Whether `name` may stand in a tree: this is what keeps a hostile vault inside the restore target.
#[must_use]
pub fn valid_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= NAME_MAX
        && name != b"."
        && name != b".."
        && !name.iter().any(|b| matches!(b, b'/' | 0))
}

/// Starts a meta page; append entries with [`Entry::encode_into`].
#[must_use]
pub fn meta_page() -> Vec<u8> {
    vec![VERSION]
}

/// Decodes a meta page: the entries in ascending order of their names.
///
/// # Errors
/// Any damage to the encoding, names that are forbidden or out of order.
pub fn decode_meta_page(bytes: &[u8]) -> Result<Vec<Entry>> {
    let mut r = Reader::new("meta page", bytes);
    let version = r.u8()?;
    if version != VERSION {
        return Err(r.error(Damage::Version(version)));
    }
    let mut entries: Vec<Entry> = Vec::new();
    while r.remaining() > 0 {
        let entry = Entry::decode(&mut r)?;
        if entries.last().is_some_and(|last| last.name >= entry.name) {
            return Err(r.error(Damage::Field("name order")));
        }
        entries.push(entry);
    }
    Ok(entries)
}

impl Entry {
    /// Appends this entry to a meta page.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let (kind, mut flags) = match &self.kind {
            EntryKind::File { content, data_ranges, .. } => {
                let lists = if matches!(content, Content::Lists(_)) { HAS_LISTS } else { 0 };
                (KIND_FILE, lists | if data_ranges.is_some() { HAS_RANGES } else { 0 })
            }
            EntryKind::Directory => (KIND_DIRECTORY, 0),
            EntryKind::Symlink { .. } => (KIND_SYMLINK, 0),
            EntryKind::Fifo => (KIND_FIFO, 0),
            EntryKind::Socket => (KIND_SOCKET, 0),
            EntryKind::CharDevice { .. } => (KIND_CHAR, 0),
            EntryKind::BlockDevice { .. } => (KIND_BLOCK, 0),
        };
        if !self.xattrs.is_empty() {
            flags |= HAS_XATTRS;
        }
        if self.hard_link.is_some() {
            flags |= HAS_HARD_LINK;
        }
        out.push(kind);
        out.push(flags);
        out.put_blob(&self.name);
        out.put_varint(u64::from(self.mode));
        out.put_varint(u64::from(self.uid));
        out.put_varint(u64::from(self.gid));
        out.put_varint_signed(self.mtime.secs);
        out.put_varint(u64::from(self.mtime.nanos));
        match &self.kind {
            EntryKind::File { size, content, data_ranges } => {
                out.put_varint(*size);
                let (Content::Chunks(count) | Content::Lists(count)) = *content;
                out.put_varint(u64::from(count));
                if let Some(ranges) = data_ranges {
                    out.put_varint(ranges.len() as u64);
                    let mut end = 0;
                    for (offset, len) in ranges {
                        out.put_varint(offset - end);
                        out.put_varint(*len);
                        end = offset + len;
                    }
                }
            }
            EntryKind::Symlink { target } => out.put_blob(target),
            EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
                out.put_varint(u64::from(*major));
                out.put_varint(u64::from(*minor));
            }
            EntryKind::Directory | EntryKind::Fifo | EntryKind::Socket => {}
        }
        if let Some(link) = self.hard_link {
            out.put_varint(link.device);
            out.put_varint(link.inode);
        }
        if !self.xattrs.is_empty() {
            out.put_varint(self.xattrs.len() as u64);
            for (name, value) in &self.xattrs {
                out.put_blob(name);
                out.put_blob(value);
            }
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let kind = r.u8()?;
        let flags = r.u8()?;
        let allowed = if kind == KIND_FILE { 0x0f } else { HAS_XATTRS | HAS_HARD_LINK };
        if flags & !allowed != 0 {
            return Err(r.error(Damage::Field("entry flags")));
        }
        let name = r.blob("name length", NAME_MAX)?.to_vec();
        if !valid_name(&name) {
            return Err(r.error(Damage::Field("name")));
        }
        let mode = r.count("mode", 0o7777)? as u16;
        let uid = read_u32(r, "owner")?;
        let gid = read_u32(r, "group")?;
        let secs = r.varint_signed()?;
        let nanos = r.count("nanoseconds", 999_999_999)? as u32;
        let kind = match kind {
            KIND_FILE => {
                let size = r.varint()?;
                let count = read_u32(r, "content count")?;
                let content =
                    if flags & HAS_LISTS != 0 { Content::Lists(count) } else { Content::Chunks(count) };
                let data_ranges = if flags & HAS_RANGES != 0 { Some(read_ranges(r, size)?) } else { None };
                EntryKind::File { size, content, data_ranges }
            }
            KIND_DIRECTORY => EntryKind::Directory,
            KIND_SYMLINK => EntryKind::Symlink { target: r.blob("link target", LINK_TARGET_MAX)?.to_vec() },
            KIND_FIFO => EntryKind::Fifo,
            KIND_SOCKET => EntryKind::Socket,
            KIND_CHAR => EntryKind::CharDevice { major: read_u32(r, "major")?, minor: read_u32(r, "minor")? },
            KIND_BLOCK => {
                EntryKind::BlockDevice { major: read_u32(r, "major")?, minor: read_u32(r, "minor")? }
            }
            _ => return Err(r.error(Damage::Field("entry kind"))),
        };
        let hard_link = if flags & HAS_HARD_LINK != 0 {
            Some(LinkId { device: r.varint()?, inode: r.varint()? })
        } else {
            None
        };
        let mut xattrs = Vec::new();
        if flags & HAS_XATTRS != 0 {
            for _ in 0..r.count("attribute count", XATTRS_MAX)? {
                let name = r.blob("attribute name", NAME_MAX)?.to_vec();
                let value = r.blob("attribute value", XATTR_VALUE_MAX)?.to_vec();
                xattrs.push((name, value));
            }
        }
        Ok(Self { name, kind, mode, uid, gid, mtime: Timestamp { secs, nanos }, hard_link, xattrs })
    }
}

fn read_u32(r: &mut Reader<'_>, field: &'static str) -> Result<u32> {
    Ok(r.count(field, u32::MAX as usize)? as u32)
}

fn read_ranges(r: &mut Reader<'_>, size: u64) -> Result<Vec<(u64, u64)>> {
    let count = r.count("range count", CHUNK_MAX / 2)?;
    // Each takes two bytes or more.
    let mut ranges = Vec::with_capacity(count.min(r.remaining() / 2));
    let mut end = 0u64;
    for _ in 0..count {
        let (gap, len) = (r.varint()?, r.varint()?);
        let range = end.checked_add(gap).and_then(|offset| Some((offset, offset.checked_add(len)?)));
        let Some((offset, range_end)) = range.filter(|(_, range_end)| *range_end <= size) else {
            return Err(r.error(Damage::Field("data range")));
        };
        ranges.push((offset, len));
        end = range_end;
    }
    Ok(ranges)
}
