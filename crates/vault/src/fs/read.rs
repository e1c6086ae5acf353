//! Directories to read from.

use std::{
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, RawDir, SeekFrom},
    io::{Errno, retry_on_intr},
};

use super::{
    file::OpenFile,
    stat::{FileKind, Stat},
    xattr::{self, Xattrs},
};

/// Flags with which every directory is opened.
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The longest path that the kernel takes in one call, without its final NUL.
const PATH_MAX: usize = 4095;

/// An open directory. Clones share one descriptor.
#[derive(Debug, Clone)]
pub struct Dir {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    fd: OwnedFd,
    euid: u32,
    /// Cleared when the kernel first refuses `O_NOATIME` here, so that each further file costs one open.
    noatime: AtomicBool,
    /// Listing moves the offset that all clones share.
    listing: Mutex<()>,
}

/// Space for [`Dir::list`]; keep one for each thread.
#[derive(Debug)]
pub struct ListBuffer {
    dents: Vec<u8>,
    names: Vec<(u64, Vec<u8>)>,
}

impl Default for ListBuffer {
    fn default() -> Self {
        Self { dents: Vec::with_capacity(64 << 10), names: Vec::new() }
    }
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name, byte for byte.
    pub name: Vec<u8>,
    /// Its attributes.
    pub stat: Stat,
}

/// The content of a directory.
#[derive(Debug, Default)]
pub struct Listing {
    /// The entries, in ascending order of their names' bytes.
    pub entries: Vec<Listed>,
    /// Names that were there and whose attributes could not be read: most often files that vanished.
    pub failed: Vec<(Vec<u8>, io::Error)>,
}

impl Listing {
    /// The entry called `name`.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Listed> {
        let at = self.entries.binary_search_by(|entry| entry.name.as_slice().cmp(name)).ok()?;
        self.entries.get(at)
    }
}

impl Dir {
    /// Opens the root of a source. Symbolic links in `path` are followed; it may be of any length.
    ///
    /// # Errors
    /// As `open(2)` with `O_DIRECTORY`.
    pub fn open_path(path: &Path) -> io::Result<Self> {
        let fd = open_long(path.as_os_str().as_bytes())?;
        Ok(Self::new(fd, rustix::process::geteuid().as_raw()))
    }

    fn new(fd: OwnedFd, euid: u32) -> Self {
        let shared = Shared { fd, euid, noatime: AtomicBool::new(true), listing: Mutex::new(()) };
        Self { shared: Arc::new(shared) }
    }

    /// Opens a child directory.
    ///
    /// # Errors
    /// As `openat(2)`: `ELOOP` or `ENOTDIR` where it is a link or no directory any more.
    pub fn open_child(&self, name: &[u8]) -> io::Result<Self> {
        // The owner is not known here; only root may hope to leave the access time alone.
        let fd = self.open_at(name, DIRECTORY | OFlags::NOFOLLOW, self.shared.euid == 0)?;
        let child = Self::new(fd, self.shared.euid);
        child.shared.noatime.store(self.shared.noatime.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(child)
    }

    fn open_at(&self, name: &[u8], flags: OFlags, may_noatime: bool) -> io::Result<OwnedFd> {
        let open = |flags| retry_on_intr(|| rustix::fs::openat(self, name, flags, Mode::empty()));
        if may_noatime && self.shared.noatime.load(Ordering::Relaxed) {
            match open(flags | OFlags::NOATIME) {
                Err(Errno::PERM) => {
                    let fd = open(flags)?;
                    self.shared.noatime.store(false, Ordering::Relaxed);
                    return Ok(fd);
                }
                other => return Ok(other?),
            }
        }
        Ok(open(flags)?)
    }

    /// The directory's own attributes.
    ///
    /// # Errors
    /// As `fstat(2)`.
    pub fn stat(&self) -> io::Result<Stat> {
        Stat::from_raw(&rustix::fs::fstat(self)?)
    }

    /// The attributes of the entry `name`.
    ///
    /// # Errors
    /// As `fstatat(2)`.
    pub fn stat_child(&self, name: &[u8]) -> io::Result<Stat> {
        stat_at(self.as_fd(), name)
    }

    /// Reads all entries with their attributes.
    ///
    /// # Errors
    /// As `getdents64(2)`. Errors with single entries are in the listing.
    pub fn list(&self, buffer: &mut ListBuffer) -> io::Result<Listing> {
        let ListBuffer { dents, names } = buffer;
        names.clear();
        {
            let _one_at_a_time = self.shared.listing.lock().unwrap_or_else(PoisonError::into_inner);
            for_each_name(self.as_fd(), dents, |name, ino, _| names.push((ino, name.to_vec())))?;
        }
        // In the order of their inodes, attributes come off a cold disk in one sweep.
        names.sort_unstable_by_key(|(ino, _)| *ino);

        let mut listing = Listing { entries: Vec::with_capacity(names.len()), failed: Vec::new() };
        for (_, name) in names.drain(..) {
            match stat_at(self.as_fd(), &name) {
                Ok(stat) => listing.entries.push(Listed { name, stat }),
                Err(error) => listing.failed.push((name, error)),
            }
        }
        listing.entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        listing.failed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(listing)
    }

    /// Opens the regular file `name`, which was listed as `listed`.
    ///
    /// The file may have been replaced by another regular file since: [`OpenFile::stat`] has the
    /// attributes that belong to the bytes that will be read, [`Stat::same_inode`] tells.
    ///
    /// # Errors
    /// As `openat(2)`; [`io::ErrorKind::InvalidInput`] where it is no regular file any more.
    pub fn open_file(&self, name: &[u8], listed: &Stat) -> io::Result<OpenFile> {
        // Without O_NONBLOCK, a pipe that took the file's place would block the open for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let may_noatime = self.shared.euid == 0 || self.shared.euid == listed.uid;
        let fd = self.open_at(name, flags, may_noatime)?;
        let stat = Stat::from_raw(&rustix::fs::fstat(&fd)?)?;
        if stat.kind != FileKind::File {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it was replaced by something that is no regular file",
            ));
        }
        Ok(OpenFile::new(fd, stat))
    }

    /// The target of the symbolic link `name`.
    ///
    /// # Errors
    /// As `readlinkat(2)`.
    pub fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(self, name, Vec::new())?.into_bytes())
    }

    /// The directory's own extended attributes.
    ///
    /// # Errors
    /// As `flistxattr(2)`; none where the file system has no attributes.
    pub fn xattrs(&self) -> io::Result<Xattrs> {
        xattr::read_fd(self.as_fd())
    }

    /// The extended attributes of the entry `name`, without opening it and without following a link:
    /// for links, devices, pipes and sockets.
    ///
    /// # Errors
    /// As `llistxattr(2)`; needs `/proc`.
    pub fn xattrs_of(&self, name: &[u8]) -> io::Result<Xattrs> {
        xattr::read_path(&proc_path(self.as_fd(), name))
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }
}

pub(super) fn stat_at(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Stat> {
    Stat::from_raw(&rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Calls `found` with the name, inode and type (as far as the directory knows them) of each entry.
pub(super) fn for_each_name(
    dir: BorrowedFd<'_>,
    dents: &mut Vec<u8>,
    mut found: impl FnMut(&[u8], u64, rustix::fs::FileType),
) -> io::Result<()> {
    rustix::fs::seek(dir, SeekFrom::Start(0))?;
    dents.clear();
    let mut entries = RawDir::new(dir, dents.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            found(name, entry.ino(), entry.file_type());
        }
    }
    Ok(())
}

/// A path for calls that have no variant with a directory descriptor. Its last component is `name`.
pub(super) fn proc_path(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// Opens a directory by a path of any length, in steps that the kernel takes.
pub(super) fn open_long(path: &[u8]) -> io::Result<OwnedFd> {
    let mut at: Option<OwnedFd> = None;
    let mut rest = path;
    while rest.len() > PATH_MAX {
        let cut = rest[..PATH_MAX].iter().rposition(|b| *b == b'/').ok_or(Errno::NAMETOOLONG)?;
        // A leading slash alone is a step too, or the loop would stand still.
        let step = &rest[..cut.max(1)];
        at = Some(open_step(at.as_ref(), step)?);
        rest = &rest[step.len()..];
        let slashes = rest.iter().take_while(|b| **b == b'/').count();
        rest = &rest[slashes..];
    }
    match at {
        Some(fd) if rest.is_empty() => Ok(fd),
        at => open_step(at.as_ref(), rest),
    }
}

pub(super) fn open_step(at: Option<&OwnedFd>, step: &[u8]) -> io::Result<OwnedFd> {
    let dir = at.map_or(CWD, AsFd::as_fd);
    Ok(retry_on_intr(|| rustix::fs::openat(dir, step, DIRECTORY, Mode::empty()))?)
}
