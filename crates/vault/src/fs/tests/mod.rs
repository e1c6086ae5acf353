//! The file-system layer against a real file system.

mod attacks;
mod markers;
mod overwriting;
mod reading;
mod removing;
mod round_trip;
mod unprivileged;

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Once,
};

use rustix::fs::Mode;
use strongroom_format::tree::{Content, Entry, EntryKind, Timestamp};
use tempfile::TempDir;

use super::*;

/// A directory with a source and a target in it, and a file outside both that nothing may touch.
struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        static UMASK: Once = Once::new();
        UMASK.call_once(|| {
            rustix::process::umask(Mode::empty());
        });
        let root = tempfile::tempdir().unwrap();
        for name in ["source", "target", "outside"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        std::fs::write(root.path().join("outside/precious"), b"precious").unwrap();
        Self { root }
    }

    fn source(&self) -> PathBuf {
        self.root.path().join("source")
    }

    fn target(&self) -> PathBuf {
        self.root.path().join("target")
    }

    fn outside(&self) -> PathBuf {
        self.root.path().join("outside")
    }

    fn open_target(&self) -> TargetDir {
        TargetDir::create_root(&self.target()).unwrap()
    }

    fn assert_outside_untouched(&self) {
        let names: Vec<_> =
            std::fs::read_dir(self.outside()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["precious"]);
        assert_eq!(std::fs::read(self.outside().join("precious")).unwrap(), b"precious");
    }
}

/// The entry of a file that belongs to whoever runs the tests.
fn file_entry(name: &[u8], size: u64) -> Entry {
    Entry {
        name: name.to_vec(),
        kind: EntryKind::File { size, content: Content::Chunks(0), data_ranges: None },
        mode: 0o644,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        mtime: Timestamp { secs: 1_000_000_000, nanos: 123_456_789 },
        hard_link: None,
        xattrs: Vec::new(),
    }
}

fn entry_of(name: &[u8], kind: EntryKind) -> Entry {
    Entry { kind, ..file_entry(name, 0) }
}

fn directory(name: &[u8]) -> Entry {
    Entry { mode: 0o755, ..entry_of(name, EntryKind::Directory) }
}

fn symlink(name: &[u8], target: &Path) -> Entry {
    let target = target.as_os_str().as_bytes().to_vec();
    Entry { mode: 0o777, ..entry_of(name, EntryKind::Symlink { target }) }
}

/// Writes a whole file; `false` where the existing one stays.
fn write_file(dir: &TargetDir, entry: &Entry, content: &[u8], overwrite: Overwrite) -> bool {
    let mut problems = Vec::new();
    let Some(file) = dir.create_file(entry, overwrite).unwrap() else { return false };
    file.write_all_at(content, 0).unwrap();
    file.finish(entry, b"/x", &mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    true
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn list(path: &Path) -> Listing {
    Dir::open_path(path).unwrap().list(&mut ListBuffer::default()).unwrap()
}

fn names(path: &Path) -> Vec<Vec<u8>> {
    list(path).entries.into_iter().map(|entry| entry.name).collect()
}
