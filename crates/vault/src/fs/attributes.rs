//! Giving a restored entry its owner, mode, extended attributes and times.
//!
//! The order matters: a change of owner clears set-user-id and file capabilities, an ACL rewrites the
//! group's bits of the mode, and everything changes times. `user.*` attributes need write permission, so they
//! come before the mode may take it away.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags},
    io::Errno,
};
use strongroom_format::tree::{Entry, Timestamp};

use super::{
    problem::Problem,
    read::proc_path,
    stat::{FileKind, Stat},
    target::{TargetDir, checked, raw_mode},
    xattr::{self, ACL_ACCESS, ACL_DEFAULT},
};

/// What the process was not permitted to restore. Without privileges that is the same for every entry, so
/// only the first of a kind becomes a [`Problem`]; the numbers are here.
#[derive(Debug, Default)]
pub struct Ownership {
    owners: AtomicU64,
    attributes: Mutex<BTreeMap<Vec<u8>, u64>>,
}

impl Ownership {
    /// Entries whose owner or group could not be restored.
    #[must_use]
    pub fn owners_refused(&self) -> u64 {
        self.owners.load(Ordering::Relaxed)
    }

    /// Names of extended attributes that could not be restored, with the number of entries.
    #[must_use]
    pub fn attributes_refused(&self) -> BTreeMap<Vec<u8>, u64> {
        self.attributes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn first_owner(&self) -> bool {
        self.owners.fetch_add(1, Ordering::Relaxed) == 0
    }

    fn first_attribute(&self, name: &[u8]) -> bool {
        let mut attributes = self.attributes.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attributes.entry(name.to_vec()).or_default();
        *count += 1;
        *count == 1
    }
}

/// How an entry is reached.
pub(super) enum Node<'a> {
    /// A file or directory that is open.
    Open(BorrowedFd<'a>),
    /// Anything but a link: its `O_PATH` descriptor, its directory and its name there.
    Path(BorrowedFd<'a>, BorrowedFd<'a>, &'a [u8]),
    /// A symbolic link: the same.
    Link(BorrowedFd<'a>, BorrowedFd<'a>, &'a [u8]),
}

/// The attributes that an entry has.
pub(super) struct Current {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// `None` where it is not known.
    pub(super) mode: Option<u16>,
    /// This run made it: it has no attributes but inherited ones.
    pub(super) fresh: bool,
    /// It may have got ACLs from its directory.
    pub(super) inherits_acl: bool,
}

pub(super) fn has_acl(entry: &Entry) -> bool {
    entry.xattrs.iter().any(|(name, _)| is_acl(name))
}

pub(super) fn has_user_xattrs(entry: &Entry) -> bool {
    entry.xattrs.iter().any(|(name, _)| is_user(name))
}

fn is_acl(name: &[u8]) -> bool {
    name == ACL_ACCESS || name == ACL_DEFAULT
}

fn is_user(name: &[u8]) -> bool {
    name.starts_with(b"user.")
}

/// Applies all attributes of `entry`. Each that fails becomes a problem, and the others are still applied.
pub(super) fn apply(
    node: &Node<'_>,
    entry: &Entry,
    current: &Current,
    ownership: &Ownership,
    path: &[u8],
    problems: &mut Vec<Problem>,
) {
    let mut applier = Applier { node, entry, current, ownership, path, problems };
    let existing = applier.existing_xattrs();
    applier.remove_xattrs(&existing);
    applier.set_xattrs(&existing, is_user);
    let owner = applier.set_owner();
    applier.set_mode(&owner);
    applier.set_xattrs(&existing, |name| !is_user(name));
    if let Err(error) = node.set_mtime(entry.mtime) {
        applier.report("set the times of", error.into());
    }
}

/// How setting the owner went.
struct Owner {
    changed: bool,
    right_user: bool,
    right_group: bool,
}

struct Applier<'a> {
    node: &'a Node<'a>,
    entry: &'a Entry,
    current: &'a Current,
    ownership: &'a Ownership,
    path: &'a [u8],
    problems: &'a mut Vec<Problem>,
}

impl Applier<'_> {
    fn report(&mut self, operation: &'static str, error: io::Error) {
        self.problems.push(Problem::new(self.path, operation, error));
    }

    fn set_owner(&mut self) -> Owner {
        let user = (self.entry.uid != self.current.uid).then_some(self.entry.uid);
        let group = (self.entry.gid != self.current.gid).then_some(self.entry.gid);
        let mut owner = Owner { changed: false, right_user: user.is_none(), right_group: group.is_none() };
        if user.is_none() && group.is_none() {
            return owner;
        }
        let error = match self.node.chown(user, group) {
            Ok(()) => return Owner { changed: true, right_user: true, right_group: true },
            Err(error) => error,
        };
        // Anyone may give a file to another of their own groups.
        if user.is_some() && group.is_some() && self.node.chown(None, group).is_ok() {
            owner.changed = true;
            owner.right_group = true;
        }
        if error != Errno::PERM || self.ownership.first_owner() {
            self.report("set the owner of", error.into());
        }
        owner
    }

    fn set_mode(&mut self, owner: &Owner) {
        if matches!(self.node, Node::Link(..)) {
            return;
        }
        let mut mode = self.entry.mode & 0o7777;
        // Those bits lend the rights of an owner that the entry does not have now.
        let mut withheld = 0;
        if FileKind::of(&self.entry.kind) != FileKind::Directory {
            withheld |= if owner.right_user { 0 } else { mode & 0o4000 };
            withheld |= if owner.right_group { 0 } else { mode & 0o2000 };
            mode &= !withheld;
        }
        let cleared_by_chown = owner.changed && mode & 0o6000 != 0;
        if (self.current.mode != Some(mode) || cleared_by_chown)
            && let Err(error) = self.node.chmod(raw_mode(mode))
        {
            self.report("set the mode of", error.into());
        }
        if withheld != 0 {
            let why = "its owner or group could not be restored, so these bits were left off";
            self.report("set the set-user-id or set-group-id bit of", io::Error::other(why));
        }
    }

    /// The attributes that are there before any is set.
    fn existing_xattrs(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        if self.current.fresh {
            return Vec::new();
        }
        match self.node.xattrs() {
            Ok(xattrs) => xattrs.attributes,
            Err(error) => {
                self.report("read the extended attributes of", error);
                Vec::new()
            }
        }
    }

    /// Removes what the entry must not have. Labels in `security.*` stay: they are the system's policy.
    fn remove_xattrs(&mut self, existing: &[(Vec<u8>, Vec<u8>)]) {
        let inherited: &[&[u8]] = match (self.current.fresh && self.current.inherits_acl, self.node) {
            (false, _) | (true, Node::Link(..)) => &[],
            (true, _) if FileKind::of(&self.entry.kind) == FileKind::Directory => &[ACL_ACCESS, ACL_DEFAULT],
            (true, _) => &[ACL_ACCESS],
        };
        let found = existing.iter().map(|(name, _)| name.as_slice());
        let doomed = found.filter(|name| is_user(name) || is_acl(name) || name.starts_with(b"trusted."));
        let names: Vec<&[u8]> = doomed.chain(inherited.iter().copied()).collect();
        for name in names {
            if self.entry.xattrs.iter().any(|(wanted, _)| wanted == name) {
                continue;
            }
            match self.node.remove_xattr(name) {
                Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
                Err(error) => self.report("remove an extended attribute of", error.into()),
            }
        }
    }

    fn set_xattrs(&mut self, existing: &[(Vec<u8>, Vec<u8>)], which: impl Fn(&[u8]) -> bool) {
        let entry = self.entry;
        for attribute in entry.xattrs.iter().filter(|(name, _)| which(name)) {
            // An ACL is set always: a new mode has changed what is there.
            let (name, value) = attribute;
            if !is_acl(name) && existing.contains(attribute) {
                continue;
            }
            if let Err(error) = self.node.set_xattr(name, value) {
                let refused = matches!(error, Errno::PERM | Errno::OPNOTSUPP);
                if !refused || self.ownership.first_attribute(name) {
                    self.report("set an extended attribute of", xattr_error(name, error));
                }
            }
        }
    }
}

fn xattr_error(name: &[u8], error: Errno) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(error.kind(), format!("attribute {}: {error}", name.escape_ascii()))
}

impl Node<'_> {
    fn chown(&self, user: Option<u32>, group: Option<u32>) -> rustix::io::Result<()> {
        // The kernel takes this number for "leave it as it is", so nothing can belong to it.
        if user == Some(u32::MAX) || group == Some(u32::MAX) {
            return Err(Errno::INVAL);
        }
        let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
        match self {
            Self::Open(fd) => rustix::fs::fchown(fd, user, group),
            Self::Path(fd, ..) | Self::Link(fd, ..) => {
                rustix::fs::chownat(fd, "", user, group, AtFlags::EMPTY_PATH)
            }
        }
    }

    fn chmod(&self, mode: Mode) -> rustix::io::Result<()> {
        match self {
            Self::Open(fd) => rustix::fs::fchmod(fd, mode),
            Self::Path(fd, ..) => rustix::fs::chmod(proc_fd(fd), mode),
            Self::Link(..) => Ok(()),
        }
    }

    fn set_mtime(&self, mtime: Timestamp) -> rustix::io::Result<()> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: mtime.secs, tv_nsec: mtime.nanos.into() },
        };
        match self {
            Self::Open(fd) => rustix::fs::futimens(fd, &times),
            Self::Path(fd, ..) => rustix::fs::utimensat(CWD, proc_fd(fd), &times, AtFlags::empty()),
            Self::Link(_, dir, name) => rustix::fs::utimensat(dir, *name, &times, AtFlags::SYMLINK_NOFOLLOW),
        }
    }

    fn xattrs(&self) -> io::Result<xattr::Xattrs> {
        match self {
            Self::Open(fd) => xattr::read_fd(*fd),
            Self::Path(_, dir, name) | Self::Link(_, dir, name) => xattr::read_path(&proc_path(*dir, name)),
        }
    }

    fn set_xattr(&self, name: &[u8], value: &[u8]) -> rustix::io::Result<()> {
        let flags = XattrFlags::empty();
        match self {
            Self::Open(fd) => rustix::fs::fsetxattr(fd, name, value, flags),
            Self::Path(fd, ..) => rustix::fs::setxattr(proc_fd(fd), name, value, flags),
            Self::Link(_, dir, link) => rustix::fs::lsetxattr(proc_path(*dir, link), name, value, flags),
        }
    }

    fn remove_xattr(&self, name: &[u8]) -> rustix::io::Result<()> {
        match self {
            Self::Open(fd) => rustix::fs::fremovexattr(fd, name),
            Self::Path(fd, ..) => rustix::fs::removexattr(proc_fd(fd), name),
            Self::Link(_, dir, link) => rustix::fs::lremovexattr(proc_path(*dir, link), name),
        }
    }
}

/// Leads to exactly the inode of the descriptor, whatever its name is now.
fn proc_fd(fd: &BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

impl TargetDir {
    /// Applies the attributes of an entry that exists and was kept: anything but a directory.
    ///
    /// What could not be applied is added to `problems`, under `path`.
    ///
    /// # Errors
    /// As `openat(2)`; [`io::ErrorKind::InvalidInput`] where it is of another kind than `entry`, or has
    /// names that the entry does not know of: those may lie outside the target.
    pub fn apply_to_existing(
        &self,
        entry: &Entry,
        path: &[u8],
        problems: &mut Vec<Problem>,
    ) -> io::Result<()> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
        let name = checked(&entry.name)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self, name, flags, Mode::empty())?;
        let stat = Stat::from_raw(&rustix::fs::fstat(&fd)?)?;
        if stat.kind != FileKind::of(&entry.kind) || stat.kind == FileKind::Directory {
            return Err(invalid("it is not of the kind that it was"));
        }
        if stat.nlink > 1 && entry.hard_link.is_none() {
            return Err(invalid("it has further names, which may lie outside the target"));
        }
        let current = Current {
            uid: stat.uid,
            gid: stat.gid,
            mode: Some(stat.mode),
            fresh: false,
            inherits_acl: false,
        };
        let node = node_at(fd.as_fd(), self.as_fd(), name, stat.kind);
        apply(&node, entry, &current, self.ownership(), path, problems);
        Ok(())
    }
}

/// The node for an `O_PATH` descriptor.
pub(super) fn node_at<'a>(
    fd: BorrowedFd<'a>,
    dir: BorrowedFd<'a>,
    name: &'a [u8],
    kind: FileKind,
) -> Node<'a> {
    if kind == FileKind::Symlink { Node::Link(fd, dir, name) } else { Node::Path(fd, dir, name) }
}
