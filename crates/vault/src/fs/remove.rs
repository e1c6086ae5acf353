//! Removing what a restore does not know.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, StatxAttributes, StatxFlags},
    io::Errno,
};

use super::{
    problem::Problem,
    read::{DIRECTORY, for_each_name, stat_at},
    stat::FileKind,
    target::{TargetDir, checked},
};

/// Directories that are open at once on the way down. Deeper ones are moved up first.
const DEPTH_OPEN: usize = 64;

impl TargetDir {
    /// The entries that `expected` does not know, sorted by name, for [`TargetDir::remove_tree`].
    ///
    /// # Errors
    /// As `getdents64(2)`.
    pub fn extraneous(&self, expected: impl Fn(&[u8]) -> bool) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        let mut dents = Vec::with_capacity(32 << 10);
        for_each_name(self.as_fd(), &mut dents, |name, _, _| {
            if !expected(name) {
                names.push(name.to_vec());
            }
        })?;
        names.sort_unstable();
        Ok(names)
    }

    /// Removes the entry `name` and, where it is a directory, everything in it. Links are removed, never
    /// followed; where another file system is mounted, that is left alone.
    ///
    /// Returns the number of entries removed. What could not be removed is added to `problems`; `path` is
    /// that of `name`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a forbidden name.
    pub fn remove_tree(&self, name: &[u8], path: &[u8], problems: &mut Vec<Problem>) -> io::Result<u64> {
        let name = checked(name)?;
        let mut removal = Removal { dents: Vec::with_capacity(32 << 10), removed: 0, problems };
        match stat_at(self.as_fd(), name) {
            Ok(stat) if stat.kind == FileKind::Directory => {
                removal.remove_directory(self.as_fd(), name, path);
            }
            Ok(_) => removal.unlink(self.as_fd(), name, AtFlags::empty(), path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => removal.report(path, error),
        }
        Ok(removal.removed)
    }
}

struct Removal<'a> {
    dents: Vec<u8>,
    removed: u64,
    problems: &'a mut Vec<Problem>,
}

/// A directory that is being emptied.
struct Level {
    fd: OwnedFd,
    name: Vec<u8>,
    path: Vec<u8>,
    /// Directories in it that are still to be removed.
    directories: VecDeque<Vec<u8>>,
}

impl Removal<'_> {
    fn report(&mut self, path: &[u8], error: impl Into<io::Error>) {
        self.problems.push(Problem::new(path, "remove", error));
    }

    fn unlink(&mut self, dir: BorrowedFd<'_>, name: &[u8], flags: AtFlags, path: &[u8]) {
        match rustix::fs::unlinkat(dir, name, flags) {
            Ok(()) => self.removed += 1,
            Err(Errno::NOENT) => {}
            Err(error) => self.report(path, error),
        }
    }

    fn remove_directory(&mut self, parent: BorrowedFd<'_>, name: &[u8], path: &[u8]) {
        let Some(top) = self.enter(parent, name, path) else { return };
        let mut levels = vec![top];
        let mut moved = 0u64;
        while let Some(level) = levels.last_mut() {
            if let Some(child) = level.directories.pop_front() {
                let child_path = join(&level.path, &child);
                if levels.len() >= DEPTH_OPEN {
                    self.move_up(&mut levels, &child, &child_path, &mut moved);
                } else if let Some(level) = levels.last().map(|level| level.fd.as_fd())
                    && let Some(entered) = self.enter(level, &child, &child_path)
                {
                    levels.push(entered);
                }
                continue;
            }
            let Some(done) = levels.pop() else { return };
            let above = levels.last().map_or(parent, |level| level.fd.as_fd());
            // Where something could not be removed, its directory cannot either: said once is enough.
            match rustix::fs::unlinkat(above, &*done.name, AtFlags::REMOVEDIR) {
                Ok(()) => self.removed += 1,
                Err(Errno::NOENT) => {}
                Err(Errno::NOTEMPTY) if !self.problems.is_empty() => {}
                Err(error) => self.report(&done.path, error),
            }
        }
    }

    /// Moves a directory that lies too deep into the topmost one, to be removed from there.
    fn move_up(&mut self, levels: &mut [Level], child: &[u8], child_path: &[u8], moved: &mut u64) {
        let Some((top, rest)) = levels.split_first_mut() else { return };
        let from = rest.last().map_or_else(|| top.fd.as_fd(), |level| level.fd.as_fd());
        loop {
            *moved += 1;
            let name = format!(".strongroom-{}-{moved}.removed", std::process::id()).into_bytes();
            // An empty directory of that name would be replaced, which does no harm here.
            match rustix::fs::renameat(from, child, &top.fd, &*name) {
                Ok(()) => top.directories.push_back(name),
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => continue,
                Err(Errno::NOENT) => {}
                Err(error) => self.report(child_path, error),
            }
            return;
        }
    }

    /// Opens a directory, removes everything in it but directories, and lists those.
    fn enter(&mut self, parent: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Option<Level> {
        let listed = open_unmounted(parent, name).and_then(|fd| {
            let mut names = Vec::new();
            for_each_name(fd.as_fd(), &mut self.dents, |name, _, file_type| {
                names.push((name.to_vec(), file_type));
            })?;
            Ok((fd, names))
        });
        let (fd, names) = match listed {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.report(path, error);
                return None;
            }
        };
        let mut directories = VecDeque::new();
        for (name, file_type) in names {
            let is_directory = match file_type {
                FileType::Directory => true,
                FileType::Unknown => {
                    stat_at(fd.as_fd(), &name).is_ok_and(|stat| stat.kind == FileKind::Directory)
                }
                _ => false,
            };
            if is_directory {
                directories.push_back(name);
            } else {
                self.unlink(fd.as_fd(), &name, AtFlags::empty(), &join(path, &name));
            }
        }
        Some(Level { fd, name: name.to_vec(), path: path.to_vec(), directories })
    }
}

fn open_unmounted(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let fd = rustix::fs::openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    let mounted = match rustix::fs::statx(&fd, "", AtFlags::EMPTY_PATH, StatxFlags::TYPE) {
        Ok(statx) if statx.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => {
            statx.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
        }
        // Before Linux 5.8 only the device tells.
        _ => rustix::fs::fstat(&fd)?.st_dev != rustix::fs::fstat(parent)?.st_dev,
    };
    if mounted {
        return Err(io::Error::new(io::ErrorKind::CrossesDevices, "another file system is mounted there"));
    }
    Ok(fd)
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    [path, b"/", name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounted_file_systems_are_not_entered() {
        let root = rustix::fs::open("/", DIRECTORY, Mode::empty()).unwrap();
        let error = open_unmounted(root.as_fd(), b"proc").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::CrossesDevices);
        assert!(open_unmounted(root.as_fd(), b"etc").is_ok());
    }
}
