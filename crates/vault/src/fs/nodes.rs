//! Writing what has no content: links, pipes, sockets and devices.

use std::{io, os::fd::AsFd};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};
use strongroom_format::tree::{Entry, EntryKind};

use super::{
    attributes::{self, node_at},
    problem::Problem,
    stat::{FileKind, Stat},
    target::{Overwrite, TargetDir, Way, checked, raw_mode},
};

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Created,
    /// What has its name stays.
    Kept,
}

impl TargetDir {
    /// Makes a symbolic link, pipe, socket or device with its attributes. What takes another's place does so
    /// at once, complete.
    ///
    /// What could not be applied is added to `problems`, under `path`.
    ///
    /// # Errors
    /// As `symlinkat(2)` and `mknodat(2)`: `EPERM` for devices without privileges, which is a problem with
    /// this entry and no reason to stop. [`io::ErrorKind::InvalidInput`] for a forbidden name, a file or a
    /// directory.
    pub fn create_node(
        &self,
        entry: &Entry,
        overwrite: Overwrite,
        path: &[u8],
        problems: &mut Vec<Problem>,
    ) -> io::Result<Outcome> {
        let name = checked(&entry.name)?;
        if matches!(entry.kind, EntryKind::File { .. } | EntryKind::Directory) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the entry has content"));
        }
        let mode = self.creation_mode(entry);
        let apply = |name: &[u8], problems: &mut Vec<Problem>| {
            self.apply_to_new(entry, name, self.known_mode(mode), path, problems)
        };
        let temporary = self.place(entry, overwrite, |name| self.make_node(entry, name, mode))?;
        match temporary {
            Placed::Kept => return Ok(Outcome::Kept),
            Placed::Direct => apply(name, problems)?,
            Placed::Temporary(temporary) => {
                let done = apply(&temporary, problems)
                    .and_then(|()| Ok(rustix::fs::renameat(self, &*temporary, self, name)?));
                if let Err(error) = done {
                    let _ = rustix::fs::unlinkat(self, &*temporary, AtFlags::empty());
                    return Err(error);
                }
            }
        }
        Ok(Outcome::Created)
    }

    /// Makes `entry.name` another name of the file `from_name` in `from`. Attributes are the file's own.
    ///
    /// # Errors
    /// As `linkat(2)`; [`io::ErrorKind::InvalidInput`] for a forbidden name.
    pub fn hard_link(
        &self,
        entry: &Entry,
        from: &Self,
        from_name: &[u8],
        overwrite: Overwrite,
    ) -> io::Result<Outcome> {
        let (name, from_name) = (checked(&entry.name)?, checked(from_name)?);
        let link = |name: &[u8]| rustix::fs::linkat(from, from_name, self, name, AtFlags::empty());
        match self.place(entry, overwrite, link)? {
            Placed::Kept => return Ok(Outcome::Kept),
            Placed::Direct => {}
            Placed::Temporary(temporary) => {
                let renamed = rustix::fs::renameat(self, &*temporary, self, name);
                // Renaming one name of a file over another does nothing and leaves both.
                let _ = rustix::fs::unlinkat(self, &*temporary, AtFlags::empty());
                renamed?;
            }
        }
        Ok(Outcome::Created)
    }

    /// Makes something under the entry's name, or beside it where it has to take another's place.
    fn place(
        &self,
        entry: &Entry,
        overwrite: Overwrite,
        make: impl Fn(&[u8]) -> rustix::io::Result<()>,
    ) -> io::Result<Placed> {
        loop {
            match make(&entry.name) {
                Ok(()) => return Ok(Placed::Direct),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            match self.make_way(entry, overwrite)? {
                Way::Kept => return Ok(Placed::Kept),
                Way::Free => {}
                Way::Replace => return Ok(Placed::Temporary(self.with_temporary(&make)?.1)),
            }
        }
    }

    fn make_node(&self, entry: &Entry, name: &[u8], mode: u16) -> rustix::io::Result<()> {
        let (file_type, major, minor) = match &entry.kind {
            EntryKind::Symlink { target } => return rustix::fs::symlinkat(&**target, self, name),
            EntryKind::Fifo => (FileType::Fifo, 0, 0),
            EntryKind::Socket => (FileType::Socket, 0, 0),
            EntryKind::CharDevice { major, minor } => (FileType::CharacterDevice, *major, *minor),
            EntryKind::BlockDevice { major, minor } => (FileType::BlockDevice, *major, *minor),
            EntryKind::File { .. } | EntryKind::Directory => return Err(Errno::INVAL),
        };
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(self, name, file_type, raw_mode(mode), device)
    }

    fn apply_to_new(
        &self,
        entry: &Entry,
        name: &[u8],
        mode: Option<u16>,
        path: &[u8],
        problems: &mut Vec<Problem>,
    ) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self, name, flags, Mode::empty())?;
        let stat = Stat::from_raw(&rustix::fs::fstat(&fd)?)?;
        let kind = FileKind::of(&entry.kind);
        // One name and the right kind: then it is no link to a file elsewhere that was swapped in.
        if stat.kind != kind || stat.nlink != 1 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "something else took its place while it was restored",
            ));
        }
        let mut current = self.current_of_new(fd.as_fd(), mode)?;
        (current.uid, current.gid) = (stat.uid, stat.gid);
        let node = node_at(fd.as_fd(), self.as_fd(), name, kind);
        attributes::apply(&node, entry, &current, self.ownership(), path, problems);
        Ok(())
    }
}

/// Where something was made.
enum Placed {
    /// Nowhere: what is there stays.
    Kept,
    /// Under its own name.
    Direct,
    /// Under this name.
    Temporary(Vec<u8>),
}
