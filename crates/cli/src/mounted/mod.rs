//! Snapshots as a read-only file system (FUSE).
//!
//! In scope: inodes, directories, content, attributes. Out of scope: mounting itself and when it ends, which
//! is [`crate::commands::mount`]'s.
//!
//! Numbers of inodes are computed from names, so that nothing needs to be remembered for them: only what the
//! kernel holds on to is kept, until it lets go.

mod content;
mod top;

pub use top::Top;

use crate::messages::Messages;
use content::OpenFile;
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyXattr, Request,
};
use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use strongroom_format::RefsId;
use strongroom_format::tree::{Entry, EntryKind, Timestamp};
use strongroom_vault::VaultError;
use strongroom_vault::groups::GroupReader;
use strongroom_vault::tree::{EntryRefs, TreeEntry, read_directory};

/// Nothing that was backed up ever changes.
const FOREVER: Duration = Duration::from_secs(24 * 3600);
/// Entries of directories that are kept for the next look.
const KEPT_ENTRIES: usize = 100_000;
/// Inodes of files in snapshots have this bit; those of the directories above them do not.
const DEEP: u64 = 1 << 63;
/// After so many messages about damage, the next ones are silent.
const MESSAGES_MAX: u64 = 100;

/// The file system.
pub struct Mounted {
    top: Top,
    reader: GroupReader,
    messages: Arc<Messages>,
    told: AtomicU64,
    inodes: Mutex<HashMap<u64, Inode>>,
    directories: Mutex<Directories>,
    files: Mutex<HashMap<u64, Arc<OpenFile>>>,
    next_handle: AtomicU64,
}

/// What the kernel holds on to.
struct Inode {
    entry: Arc<TreeEntry>,
    /// Which snapshot it belongs to.
    snapshot: usize,
    lookups: u64,
}

#[derive(Default)]
struct Directories {
    lists: HashMap<RefsId, Arc<Vec<TreeEntry>>>,
    order: VecDeque<RefsId>,
    entries: usize,
}

/// Something that an inode number stands for.
enum Thing {
    Top(usize),
    Entry(Arc<TreeEntry>, usize),
}

/// The entries of a directory, and the snapshot that they belong to.
type List = (Arc<Vec<TreeEntry>>, usize);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The inode of an entry: all names of a hard-linked file have the same.
fn number(parent: u64, snapshot: usize, entry: &Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    match entry.hard_link.filter(|_| entry.kind != EntryKind::Directory) {
        Some(link) => (snapshot, link).hash(&mut hasher),
        None => (parent, &entry.name).hash(&mut hasher),
    }
    hasher.finish() | DEEP
}

fn file_type(kind: &EntryKind) -> FileType {
    match kind {
        EntryKind::File { .. } => FileType::RegularFile,
        EntryKind::Directory => FileType::Directory,
        EntryKind::Symlink { .. } => FileType::Symlink,
        EntryKind::Fifo => FileType::NamedPipe,
        EntryKind::Socket => FileType::Socket,
        EntryKind::CharDevice { .. } => FileType::CharDevice,
        EntryKind::BlockDevice { .. } => FileType::BlockDevice,
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    let whole = Duration::from_secs(time.secs.unsigned_abs());
    let whole = match time.secs < 0 {
        true => UNIX_EPOCH.checked_sub(whole),
        false => UNIX_EPOCH.checked_add(whole),
    };
    whole.and_then(|at| at.checked_add(Duration::from_nanos(time.nanos.into()))).unwrap_or(UNIX_EPOCH)
}

fn attributes(ino: u64, entry: &Entry) -> FileAttr {
    let (size, rdev) = match &entry.kind {
        EntryKind::File { size, .. } => (*size, 0),
        EntryKind::Symlink { target } => (target.len() as u64, 0),
        EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            (0, rustix::fs::makedev(*major, *minor) as u32)
        }
        _ => (0, 0),
    };
    let data = match &entry.kind {
        EntryKind::File { data_ranges: Some(ranges), .. } => ranges.iter().map(|(_, len)| len).sum(),
        _ => size,
    };
    let time = system_time(entry.mtime);
    FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: data.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: file_type(&entry.kind),
        perm: entry.mode,
        nlink: if entry.kind == EntryKind::Directory { 2 } else { 1 },
        uid: entry.uid,
        gid: entry.gid,
        rdev,
        flags: 0,
        blksize: 128 << 10,
    }
}

impl Mounted {
    /// The file system of these snapshots.
    #[must_use]
    pub fn new(top: Top, reader: GroupReader, messages: Arc<Messages>) -> Self {
        Self {
            top,
            reader,
            messages,
            told: AtomicU64::new(0),
            inodes: Mutex::default(),
            directories: Mutex::default(),
            files: Mutex::default(),
            next_handle: AtomicU64::new(1),
        }
    }

    fn fail(&self, error: &VaultError) -> Errno {
        if self.told.fetch_add(1, Relaxed) < MESSAGES_MAX {
            self.messages.warn(&error.to_string());
        }
        match error {
            VaultError::Custody(_) => Errno::EACCES,
            _ => Errno::EIO,
        }
    }

    fn thing(&self, ino: INodeNo) -> Result<Thing, Errno> {
        let ino = ino.0;
        if ino & DEEP == 0 {
            let nth = usize::try_from(ino).unwrap_or(0).wrapping_sub(1);
            return if self.top.get(nth).is_some() { Ok(Thing::Top(nth)) } else { Err(Errno::ENOENT) };
        }
        let inodes = lock(&self.inodes);
        let inode = inodes.get(&ino).ok_or(Errno::ESTALE)?;
        Ok(Thing::Entry(Arc::clone(&inode.entry), inode.snapshot))
    }

    fn entry(&self, ino: INodeNo) -> Result<Arc<TreeEntry>, Errno> {
        match self.thing(ino)? {
            Thing::Entry(entry, _) => Ok(entry),
            Thing::Top(_) => Err(Errno::EINVAL),
        }
    }

    /// The list of a directory in a snapshot, and the snapshot.
    fn list(&self, thing: &Thing) -> Result<Option<List>, Errno> {
        let (id, snapshot) = match thing {
            Thing::Top(nth) => match self.top.get(*nth).and_then(top::Node::snapshot) {
                Some(snapshot) => (self.top.root(snapshot).ok_or(Errno::ENOENT)?, snapshot),
                None => return Ok(None),
            },
            Thing::Entry(entry, snapshot) => match entry.refs {
                EntryRefs::Directory(id) => (id, *snapshot),
                _ => return Err(Errno::ENOTDIR),
            },
        };
        if let Some(list) = lock(&self.directories).lists.get(&id) {
            return Ok(Some((Arc::clone(list), snapshot)));
        }
        let list = Arc::new(read_directory(&self.reader, &id).map_err(|error| self.fail(&error))?);
        lock(&self.directories).keep(id, Arc::clone(&list));
        Ok(Some((list, snapshot)))
    }

    fn find(&self, parent: INodeNo, name: &[u8]) -> Result<FileAttr, Errno> {
        let thing = self.thing(parent)?;
        let Some((list, snapshot)) = self.list(&thing)? else {
            let Thing::Top(nth) = thing else { return Err(Errno::ENOENT) };
            let child = self.top.child(nth, name).ok_or(Errno::ENOENT)?;
            return self.top.attributes(child).ok_or(Errno::ENOENT);
        };
        let at = list
            .binary_search_by(|entry| entry.entry.name.as_slice().cmp(name))
            .map_err(|_| Errno::ENOENT)?;
        let entry = list.get(at).ok_or(Errno::ENOENT)?;
        let ino = number(parent.0, snapshot, &entry.entry);
        let mut inodes = lock(&self.inodes);
        let inode = inodes.entry(ino).or_insert_with(|| Inode {
            entry: Arc::new(entry.clone()),
            snapshot,
            lookups: 0,
        });
        inode.lookups += 1;
        Ok(attributes(ino, &inode.entry.entry))
    }

    fn attr(&self, ino: INodeNo) -> Result<FileAttr, Errno> {
        match self.thing(ino)? {
            Thing::Top(nth) => self.top.attributes(nth).ok_or(Errno::ENOENT),
            Thing::Entry(entry, _) => Ok(attributes(ino.0, &entry.entry)),
        }
    }

    fn fill(&self, ino: INodeNo, offset: u64, reply: &mut ReplyDirectory) -> Result<(), Errno> {
        let thing = self.thing(ino)?;
        let list = self.list(&thing)?;
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let dots = [(ino, FileType::Directory, &b"."[..]), (ino, FileType::Directory, b"..")];
        let mut place = 0;
        let mut add = |ino: INodeNo, kind: FileType, name: &[u8]| {
            place += 1;
            place > skip && reply.add(ino, place as u64, kind, OsStr::from_bytes(name))
        };
        for (ino, kind, name) in dots {
            if add(ino, kind, name) {
                return Ok(());
            }
        }
        match (list, thing) {
            (Some((list, snapshot)), _) => {
                for entry in list.iter() {
                    let child = INodeNo(number(ino.0, snapshot, &entry.entry));
                    if add(child, file_type(&entry.entry.kind), &entry.entry.name) {
                        break;
                    }
                }
            }
            (None, Thing::Top(nth)) => {
                for (name, child) in self.top.children(nth) {
                    let kind = self.top.attributes(child).map_or(FileType::Directory, |attr| attr.kind);
                    if add(INodeNo(child as u64 + 1), kind, name) {
                        break;
                    }
                }
            }
            (None, Thing::Entry(..)) => {}
        }
        Ok(())
    }
}

impl Directories {
    fn keep(&mut self, id: RefsId, list: Arc<Vec<TreeEntry>>) {
        let size = list.len() + 1;
        if self.lists.insert(id, list).is_some() {
            return;
        }
        self.entries += size;
        self.order.push_back(id);
        while self.entries > KEPT_ENTRIES && self.order.len() > 1 {
            if let Some(old) = self.order.pop_front().and_then(|id| self.lists.remove(&id)) {
                self.entries -= old.len() + 1;
            }
        }
    }
}

/// Answers with bytes of an attribute, or with their number where that is asked for.
fn reply_bytes(bytes: &[u8], size: u32, reply: ReplyXattr) {
    if size == 0 {
        reply.size(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    } else if bytes.len() > size as usize {
        reply.error(Errno::ERANGE);
    } else {
        reply.data(bytes);
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.find(parent, name.as_bytes()) {
            Ok(attr) => reply.entry(&FOREVER, &attr, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        let mut inodes = lock(&self.inodes);
        if let Some(inode) = inodes.get_mut(&ino.0) {
            inode.lookups = inode.lookups.saturating_sub(count);
            if inode.lookups == 0 {
                inodes.remove(&ino.0);
            }
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(ino) {
            Ok(attr) => reply.attr(&FOREVER, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.thing(ino) {
            Ok(Thing::Top(nth)) => match self.top.get(nth).and_then(top::Node::target) {
                Some(target) => reply.data(target),
                None => reply.error(Errno::EINVAL),
            },
            Ok(Thing::Entry(entry, _)) => match &entry.entry.kind {
                EntryKind::Symlink { target } => reply.data(target),
                _ => reply.error(Errno::EINVAL),
            },
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let open = self
            .entry(ino)
            .and_then(|entry| OpenFile::new(&self.reader, &entry).map_err(|error| self.fail(&error)));
        match open {
            Ok(file) => {
                let handle = self.next_handle.fetch_add(1, Relaxed);
                lock(&self.files).insert(handle, Arc::new(file));
                reply.opened(FileHandle(handle), FopenFlags::FOPEN_KEEP_CACHE);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let file = lock(&self.files).get(&handle.0).cloned();
        let Some(file) = file else { return reply.error(Errno::EBADF) };
        match file.read(&self.reader, offset, size as usize) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(self.fail(&error)),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        lock(&self.files).remove(&handle.0);
        reply.ok();
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        match self.fill(ino, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let Ok(entry) = self.entry(ino) else { return reply.error(Errno::NO_XATTR) };
        match entry.entry.xattrs.iter().find(|(known, _)| known == name.as_bytes()) {
            Some((_, value)) => reply_bytes(value, size, reply),
            None => reply.error(Errno::NO_XATTR),
        }
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let mut names = Vec::new();
        if let Ok(entry) = self.entry(ino) {
            for (name, _) in &entry.entry.xattrs {
                names.extend_from_slice(name);
                names.push(0);
            }
        }
        reply_bytes(&names, size, reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_format::tree::{Content, LinkId};

    fn entry(name: &[u8], hard_link: Option<LinkId>) -> Entry {
        Entry {
            name: name.to_vec(),
            kind: EntryKind::File { size: 1, content: Content::Chunks(1), data_ranges: None },
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Timestamp { secs: -1, nanos: 500_000_000 },
            hard_link,
            xattrs: Vec::new(),
        }
    }

    #[test]
    fn hard_links_share_their_inode_and_others_do_not() {
        let link = Some(LinkId { device: 1, inode: 2 });
        assert_eq!(number(9, 0, &entry(b"a", link)), number(8, 0, &entry(b"b", link)));
        assert_ne!(number(9, 0, &entry(b"a", link)), number(9, 1, &entry(b"a", link)));
        assert_ne!(number(9, 0, &entry(b"a", None)), number(9, 0, &entry(b"b", None)));
        assert_eq!(number(9, 0, &entry(b"a", None)) & DEEP, DEEP);
    }

    #[test]
    fn times_before_1970() {
        let half = UNIX_EPOCH - Duration::from_millis(500);
        assert_eq!(attributes(1, &entry(b"a", None)).mtime, half);
    }
}
