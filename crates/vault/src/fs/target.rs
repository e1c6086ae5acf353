//! Directories and files to write to: nothing here can reach outside the target.
//!
//! The target is opened once by its path. Everything below is reached by a directory descriptor and one
//! name that [`valid_name`] accepts, and no call follows a symbolic link: neither a hostile name nor a
//! link that is swapped in between two steps leads anywhere else.

use std::{
    fs::read_to_string,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, RawMode},
    io::{Errno, retry_on_intr},
};
use strongroom_format::tree::{Entry, EntryKind, valid_name};

use super::{
    attributes::{self, Current, Node, Ownership},
    problem::Problem,
    read::{DIRECTORY, open_long, open_step, stat_at},
    stat::{FileKind, Stat},
    xattr::ACL_DEFAULT,
};

/// What happens to an entry that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// It is replaced.
    #[default]
    Always,
    /// It is replaced, unless it is a regular file of the same size and modification time.
    IfChanged,
    /// It is replaced if the snapshot's entry was modified later.
    IfNewer,
    /// It stays.
    Never,
}

impl Overwrite {
    /// Whether `entry` takes the place of what is there.
    #[must_use]
    pub fn replaces(self, entry: &Entry, existing: &Stat) -> bool {
        match self {
            Self::Always => true,
            Self::IfChanged => {
                let same_size = matches!(entry.kind, EntryKind::File { size, .. } if size == existing.size);
                existing.kind != FileKind::File || !same_size || entry.mtime != existing.mtime
            }
            Self::IfNewer => entry.mtime > existing.mtime,
            Self::Never => false,
        }
    }
}

/// A directory to write to. Clones share one descriptor.
#[derive(Debug, Clone)]
pub struct TargetDir {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    fd: OwnedFd,
    process: Arc<Process>,
    /// Made by this run, and by nobody else before.
    created: bool,
    /// New entries get ACLs from a default ACL.
    inherits_acl: bool,
    /// The group that the file system gives to new entries: the process's, or the directory's.
    new_gid: OnceLock<u32>,
}

/// What is the same for the whole target.
#[derive(Debug)]
struct Process {
    euid: u32,
    /// With any other mask, modes at creation are not what was asked for.
    umask_is_zero: bool,
    ownership: Ownership,
    next_temporary: AtomicU64,
}

/// What [`TargetDir::make_dir`] did.
#[derive(Debug)]
pub enum MadeDir {
    /// It is new, mode `0700` until its attributes are applied.
    Created(TargetDir),
    /// It was there already.
    Existing(TargetDir),
    /// Something else has its name and stays, by the overwrite mode: leave out what is below.
    Kept,
}

impl TargetDir {
    /// Opens the root of a target, making it and the directories above it (mode `0700`) where they are
    /// missing. `path` may be of any length; links in it are followed: it is the user's own choice.
    ///
    /// Whoever calls should have set the process's umask to 0, which saves a call for each file.
    ///
    /// # Errors
    /// As `openat(2)` and `mkdirat(2)`.
    pub fn create_root(path: &Path) -> io::Result<Self> {
        let (fd, created) = create_long(path.as_os_str().as_bytes())?;
        let process = Process {
            euid: rustix::process::geteuid().as_raw(),
            umask_is_zero: umask_is_zero(),
            ownership: Ownership::default(),
            next_temporary: AtomicU64::new(0),
        };
        let inherits_acl = has_default_acl(fd.as_fd())?;
        Ok(Self::new(fd, Arc::new(process), created, inherits_acl))
    }

    fn new(fd: OwnedFd, process: Arc<Process>, created: bool, inherits_acl: bool) -> Self {
        let shared = Shared { fd, process, created, inherits_acl, new_gid: OnceLock::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Opens a directory that exists.
    ///
    /// # Errors
    /// As `openat(2)`: `ELOOP` or `ENOTDIR` where the name is a link or anything else;
    /// [`io::ErrorKind::InvalidInput`] for a forbidden name.
    pub fn open_dir(&self, name: &[u8]) -> io::Result<Self> {
        checked(name)?;
        let fd = self.open_directory(name)?;
        let inherits_acl = has_default_acl(fd.as_fd())?;
        Ok(Self::new(fd, Arc::clone(&self.shared.process), false, inherits_acl))
    }

    /// Makes a directory, or opens the one that is there. Its attributes come last, when everything below
    /// is written: [`TargetDir::apply_attributes`].
    ///
    /// Anything else in its place, a symbolic link above all, is removed or kept as `overwrite` says.
    ///
    /// # Errors
    /// As `mkdirat(2)`, `openat(2)` and `unlinkat(2)`.
    pub fn make_dir(&self, entry: &Entry, overwrite: Overwrite) -> io::Result<MadeDir> {
        let name = checked(&entry.name)?;
        loop {
            match rustix::fs::mkdirat(self, name, Mode::RWXU) {
                Ok(()) => {
                    let fd = self.open_directory(name)?;
                    let inherits = self.shared.inherits_acl;
                    return Ok(MadeDir::Created(Self::new(
                        fd,
                        Arc::clone(&self.shared.process),
                        true,
                        inherits,
                    )));
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            match self.open_dir(name) {
                Ok(dir) => return Ok(MadeDir::Existing(dir)),
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::NOTDIR | Errno::LOOP) => {}
                    Some(Errno::NOENT) => continue,
                    _ => return Err(error),
                },
            }
            if !overwrite.replaces(entry, &self.stat_child(name)?) {
                return Ok(MadeDir::Kept);
            }
            match rustix::fs::unlinkat(self, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes a file to write to, or `None` where one exists and stays.
    ///
    /// A new file is written in place. A file that takes another's place is written beside it under a
    /// temporary name and takes over, whole, in [`TargetFile::finish`]; an empty directory is removed first.
    ///
    /// # Errors
    /// As `openat(2)`; `ENOTEMPTY` where a directory with entries has the name;
    /// [`io::ErrorKind::InvalidInput`] for a forbidden name or an entry that is no file.
    pub fn create_file(&self, entry: &Entry, overwrite: Overwrite) -> io::Result<Option<TargetFile>> {
        let name = checked(&entry.name)?;
        let EntryKind::File { size, .. } = entry.kind else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the entry is no regular file"));
        };
        let mode = self.creation_mode(entry);
        let file = |fd, temporary| TargetFile {
            dir: self.clone(),
            fd,
            name: name.to_vec(),
            temporary,
            size,
            written_to: AtomicU64::new(0),
            created_mode: self.known_mode(mode),
            finished: false,
        };
        loop {
            match self.open_new(name, mode) {
                Ok(fd) => return Ok(Some(file(fd, None))),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            match self.make_way(entry, overwrite)? {
                Way::Kept => return Ok(None),
                Way::Free => {}
                Way::Replace => {
                    let (fd, temporary) = self.with_temporary(|name| self.open_new(name, mode))?;
                    return Ok(Some(file(fd, Some(temporary))));
                }
            }
        }
    }

    /// Applies the attributes of the directory itself. Call it when everything below is written, deepest
    /// directories first: a parent may lose its write permission, and writing changes times.
    ///
    /// What could not be applied is added to `problems`, under `path`.
    ///
    /// # Errors
    /// As `fstat(2)`.
    pub fn apply_attributes(
        &self,
        entry: &Entry,
        path: &[u8],
        problems: &mut Vec<Problem>,
    ) -> io::Result<()> {
        let stat = Stat::from_raw(&rustix::fs::fstat(self)?)?;
        let current = Current {
            uid: stat.uid,
            gid: stat.gid,
            mode: Some(stat.mode),
            fresh: self.shared.created,
            inherits_acl: self.shared.inherits_acl,
        };
        attributes::apply(&Node::Open(self.as_fd()), entry, &current, self.ownership(), path, problems);
        Ok(())
    }

    /// What the process was not permitted to restore so far.
    #[must_use]
    pub fn ownership(&self) -> &Ownership {
        &self.shared.process.ownership
    }

    /// The attributes of the entry `name`.
    ///
    /// # Errors
    /// As `fstatat(2)`.
    pub fn stat_child(&self, name: &[u8]) -> io::Result<Stat> {
        stat_at(self.as_fd(), checked(name)?)
    }

    /// Decides what happens to that which has the entry's name.
    pub(super) fn make_way(&self, entry: &Entry, overwrite: Overwrite) -> io::Result<Way> {
        let existing = match self.stat_child(&entry.name) {
            Ok(existing) => existing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Way::Free),
            Err(error) => return Err(error),
        };
        if !overwrite.replaces(entry, &existing) {
            return Ok(Way::Kept);
        }
        if existing.kind != FileKind::Directory {
            return Ok(Way::Replace);
        }
        match rustix::fs::unlinkat(self, &*entry.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(Way::Free),
            Err(error) => Err(error.into()),
        }
    }

    /// Calls `make` with temporary names until one is free.
    pub(super) fn with_temporary<T>(
        &self,
        mut make: impl FnMut(&[u8]) -> rustix::io::Result<T>,
    ) -> io::Result<(T, Vec<u8>)> {
        loop {
            let number = self.shared.process.next_temporary.fetch_add(1, Ordering::Relaxed);
            let name = format!(".strongroom-{}-{number}.tmp", std::process::id()).into_bytes();
            match make(&name) {
                Ok(made) => return Ok((made, name)),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The permissions to create an entry with: final ones where that shows its content to nobody who
    /// may not see it in the end, the owner's alone where owner, group or ACL come later.
    pub(super) fn creation_mode(&self, entry: &Entry) -> u16 {
        let process = &self.shared.process;
        let final_owner = entry.uid == process.euid && self.shared.new_gid.get() == Some(&entry.gid);
        let plain = !self.shared.inherits_acl && !attributes::has_acl(entry);
        let mode = if final_owner && plain { entry.mode & 0o777 } else { entry.mode & 0o700 };
        // Without write permission, only root could set the attributes.
        if attributes::has_user_xattrs(entry) { mode | 0o200 } else { mode }
    }

    /// The mode that an entry created with `mode` has, where that is known.
    pub(super) fn known_mode(&self, mode: u16) -> Option<u16> {
        (self.shared.process.umask_is_zero && !self.shared.inherits_acl).then_some(mode)
    }

    /// The attributes of an entry that was just created.
    pub(super) fn current_of_new(&self, fd: BorrowedFd<'_>, mode: Option<u16>) -> io::Result<Current> {
        let gid = match self.shared.new_gid.get() {
            Some(gid) => *gid,
            None => {
                let gid = rustix::fs::fstat(fd)?.st_gid;
                *self.shared.new_gid.get_or_init(|| gid)
            }
        };
        let inherits_acl = self.shared.inherits_acl;
        Ok(Current { uid: self.shared.process.euid, gid, mode, fresh: true, inherits_acl })
    }

    fn open_new(&self, name: &[u8], mode: u16) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        retry_on_intr(|| rustix::fs::openat(self, name, flags, raw_mode(mode)))
    }

    fn open_directory(&self, name: &[u8]) -> io::Result<OwnedFd> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        Ok(retry_on_intr(|| rustix::fs::openat(self, name, flags, Mode::empty()))?)
    }
}

impl AsFd for TargetDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }
}

/// What becomes of that which has the name of a new entry.
pub(super) enum Way {
    /// It stays.
    Kept,
    /// Nothing has the name any more.
    Free,
    /// It is there until something is renamed over it.
    Replace,
}

/// A file that is being written. Dropped without [`TargetFile::finish`], it is removed.
#[derive(Debug)]
pub struct TargetFile {
    dir: TargetDir,
    fd: OwnedFd,
    name: Vec<u8>,
    /// Its name for now, where it takes another's place in the end.
    temporary: Option<Vec<u8>>,
    size: u64,
    written_to: AtomicU64,
    created_mode: Option<u16>,
    finished: bool,
}

impl TargetFile {
    /// Writes all of `bytes` at `offset`. What is never written stays a hole. Several threads may write.
    ///
    /// # Errors
    /// As `pwrite(2)`; [`io::ErrorKind::InvalidInput`] for bytes behind the end of the file.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end =
            offset.checked_add(bytes.len() as u64).filter(|end| *end <= self.size).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, "the data would reach beyond the end of the file")
            })?;
        let mut done = 0;
        while done < bytes.len() {
            match retry_on_intr(|| rustix::io::pwrite(&self.fd, &bytes[done..], offset + done as u64))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => done += count,
            }
        }
        self.written_to.fetch_max(end, Ordering::Relaxed);
        Ok(())
    }

    /// Reads back what was written, until `buffer` is full or the file ends. Returns the bytes read.
    ///
    /// # Errors
    /// As `pread(2)`.
    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset.saturating_add(done as u64);
            match retry_on_intr(|| rustix::io::pread(&self.fd, &mut buffer[done..], at))? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }

    /// Gives the file its size and attributes, and its name.
    ///
    /// What could not be applied is added to `problems`, under `path`.
    ///
    /// # Errors
    /// As `ftruncate(2)` and `renameat(2)`; the file is removed then.
    pub fn finish(mut self, entry: &Entry, path: &[u8], problems: &mut Vec<Problem>) -> io::Result<()> {
        if *self.written_to.get_mut() < self.size {
            rustix::fs::ftruncate(&self.fd, self.size)?;
        }
        let current = self.dir.current_of_new(self.fd.as_fd(), self.created_mode)?;
        let node = Node::Open(self.fd.as_fd());
        attributes::apply(&node, entry, &current, self.dir.ownership(), path, problems);
        if let Some(temporary) = &self.temporary {
            rustix::fs::renameat(&self.dir, &**temporary, &self.dir, &*self.name)?;
        }
        self.finished = true;
        Ok(())
    }
}

impl Drop for TargetFile {
    fn drop(&mut self) {
        if !self.finished {
            let name = self.temporary.as_ref().unwrap_or(&self.name);
            // Nothing better can be done about an error here; whatever failed before is reported.
            let _ = rustix::fs::unlinkat(&self.dir, &**name, AtFlags::empty());
        }
    }
}

/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a name that could lead elsewhere.
pub(super) fn checked(name: &[u8]) -> io::Result<&[u8]> {
    if valid_name(name) {
        return Ok(name);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "the name is forbidden: it could lead outside the target",
    ))
}

pub(super) fn raw_mode(mode: u16) -> Mode {
    Mode::from_raw_mode(RawMode::from(mode))
}

fn create_long(path: &[u8]) -> io::Result<(OwnedFd, bool)> {
    match open_long(path) {
        Ok(fd) => return Ok((fd, false)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_empty() => {}
        Err(error) => return Err(error),
    }
    let start: &[u8] = if path[0] == b'/' { b"/" } else { b"." };
    let mut at = open_step(None, start)?;
    let mut created = false;
    for name in path.split(|b| *b == b'/').filter(|name| !name.is_empty()) {
        created = match rustix::fs::mkdirat(&at, name, Mode::RWXU) {
            Ok(()) => true,
            // A file system that is mounted read-only says so even where the directory exists.
            Err(Errno::EXIST | Errno::ROFS | Errno::ACCESS | Errno::PERM) => false,
            Err(error) => return Err(error.into()),
        };
        at = open_step(Some(&at), name)?;
    }
    Ok((at, created))
}

fn has_default_acl(dir: BorrowedFd<'_>) -> io::Result<bool> {
    match rustix::fs::fgetxattr(dir, ACL_DEFAULT, &mut [0; 1]) {
        Ok(_) | Err(Errno::RANGE) => Ok(true),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn umask_is_zero() -> bool {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    mask.is_some_and(|mask| !mask.trim().is_empty() && mask.trim().bytes().all(|b| b == b'0'))
}
