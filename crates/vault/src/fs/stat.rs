//! What the file system says about an entry, and how that becomes a tree entry.

use std::io;

use rustix::fs::FileType;
use strongroom_format::tree::{Content, Entry, EntryKind, LinkId, Timestamp};

/// What an entry is, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A regular file.
    File,
    /// A socket.
    Socket,
    /// A symbolic link.
    Symlink,
}

impl FileKind {
    /// `None` for a type that the kernel has and trees have not.
    pub(super) fn from_type(file_type: FileType) -> Option<Self> {
        Some(match file_type {
            FileType::BlockDevice => Self::BlockDevice,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::Directory => Self::Directory,
            FileType::Fifo => Self::Fifo,
            FileType::RegularFile => Self::File,
            FileType::Socket => Self::Socket,
            FileType::Symlink => Self::Symlink,
            _ => return None,
        })
    }

    /// The kind of a tree entry.
    #[must_use]
    pub fn of(kind: &EntryKind) -> Self {
        match kind {
            EntryKind::BlockDevice { .. } => Self::BlockDevice,
            EntryKind::CharDevice { .. } => Self::CharDevice,
            EntryKind::Directory => Self::Directory,
            EntryKind::Fifo => Self::Fifo,
            EntryKind::File { .. } => Self::File,
            EntryKind::Socket => Self::Socket,
            EntryKind::Symlink { .. } => Self::Symlink,
        }
    }
}

/// The attributes of one entry, never those of a link's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits with set-user-id, set-group-id and sticky: `0o7777` at most.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Last change of content or attributes.
    pub ctime: Timestamp,
    /// Inode number.
    pub ino: u64,
    /// Number of the device that holds it.
    pub dev: u64,
    /// Number of names.
    pub nlink: u64,
    /// The device that it stands for, where it is one.
    pub rdev: u64,
    /// Space taken up, in units of 512 bytes.
    pub blocks: u64,
}

impl Stat {
    /// # Errors
    /// The entry is of a type that trees do not have.
    #[expect(clippy::allow_attributes, reason = "the fields' types differ between architectures")]
    #[allow(clippy::unnecessary_cast)]
    pub(super) fn from_raw(raw: &rustix::fs::Stat) -> io::Result<Self> {
        let kind = FileKind::from_type(FileType::from_raw_mode(raw.st_mode)).ok_or_else(|| {
            io::Error::new(io::ErrorKind::Unsupported, "it is of a file type that is not known")
        })?;
        Ok(Self {
            kind,
            mode: (raw.st_mode & 0o7777) as u16,
            uid: raw.st_uid,
            gid: raw.st_gid,
            size: raw.st_size as u64,
            mtime: Timestamp { secs: raw.st_mtime as i64, nanos: raw.st_mtime_nsec as u32 },
            ctime: Timestamp { secs: raw.st_ctime as i64, nanos: raw.st_ctime_nsec as u32 },
            ino: raw.st_ino as u64,
            dev: raw.st_dev as u64,
            nlink: raw.st_nlink as u64,
            rdev: raw.st_rdev as u64,
            blocks: raw.st_blocks as u64,
        })
    }

    /// The attributes of a stream that is stored as a file: readable by its owner, who runs this process.
    #[must_use]
    pub fn stream(time: Timestamp) -> Self {
        Self {
            kind: FileKind::File,
            mode: 0o600,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            size: 0,
            mtime: time,
            ctime: time,
            ino: 0,
            dev: 0,
            nlink: 1,
            rdev: 0,
            blocks: 0,
        }
    }

    /// Whether less space is taken up than the length needs, so that holes are likely.
    #[must_use]
    pub fn maybe_sparse(&self) -> bool {
        self.blocks.saturating_mul(512) < self.size
    }

    /// Whether both are the same inode.
    #[must_use]
    pub fn same_inode(&self, other: &Self) -> bool {
        self.ino == other.ino && self.dev == other.dev
    }

    /// The kind of tree entry for this; a file is empty until its content is known.
    /// `None` for a symbolic link, whose target [`super::Dir::read_link`] gives.
    #[must_use]
    pub fn entry_kind(&self) -> Option<EntryKind> {
        let (major, minor) = (rustix::fs::major(self.rdev), rustix::fs::minor(self.rdev));
        Some(match self.kind {
            FileKind::BlockDevice => EntryKind::BlockDevice { major, minor },
            FileKind::CharDevice => EntryKind::CharDevice { major, minor },
            FileKind::Directory => EntryKind::Directory,
            FileKind::Fifo => EntryKind::Fifo,
            FileKind::File => {
                EntryKind::File { size: self.size, content: Content::Chunks(0), data_ranges: None }
            }
            FileKind::Socket => EntryKind::Socket,
            FileKind::Symlink => return None,
        })
    }
}

/// The tree entry for what was found under `name`: `kind` with the attributes of `stat`.
#[must_use]
pub fn entry_from(name: Vec<u8>, stat: &Stat, kind: EntryKind, xattrs: Vec<(Vec<u8>, Vec<u8>)>) -> Entry {
    // A directory's link count counts its children; directories have one name each.
    let linked = stat.nlink > 1 && stat.kind != FileKind::Directory;
    Entry {
        name,
        kind,
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        mtime: stat.mtime,
        hard_link: linked.then_some(LinkId { device: stat.dev, inode: stat.ino }),
        xattrs,
    }
}
