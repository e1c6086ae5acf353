//! Restore: from a snapshot to a directory.
//!
//! The tree is walked in order; directories, links and special files are made on the way, files are collected
//! into batches that are written pack by pack. Nothing is ever written outside the target: see [`crate::fs`].

mod batch;

use crate::{
    error::{Result, VaultError},
    fs::{Decision, Filter, MadeDir, Outcome, Overwrite, Problem, TargetDir, descriptor_limit},
    groups::GroupReader,
    index::{Index, Location},
    monitor::Monitor,
    tree::{EntryRefs, TreeEntry, file_chunks, on_deep_stack, read_directory},
};
use batch::{Batch, Folder, Link};
use std::{
    collections::{HashMap, HashSet},
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};
use strongroom_format::{
    ChunkId, RefsId,
    limits::TREE_DEPTH_MAX,
    tree::{EntryKind, LinkId},
};

/// How to restore.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory to restore to. It is made where it is missing.
    pub target: PathBuf,
    /// What happens to files that exist.
    pub overwrite: Overwrite,
    /// Remove what the snapshot does not have from the directories that it has.
    pub delete: bool,
    /// Write nothing.
    pub dry_run: bool,
    /// Read every file back and compare it.
    pub verify: bool,
    /// Worker threads.
    pub threads: usize,
}

/// What a restore did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Regular files written.
    pub files: u64,
    /// Directories made or found.
    pub directories: u64,
    /// Links, pipes, devices and sockets made, hard links among them.
    pub others: u64,
    /// Length of the files together, in bytes.
    pub bytes: u64,
    /// Entries that existed and were kept.
    pub kept: u64,
    /// Entries that were removed.
    pub removed: u64,
    /// Problems reported.
    pub problems: u64,
    /// Whether something could not be restored because the vault is damaged.
    pub lost: bool,
}

#[derive(Debug, Default)]
struct Stats {
    files: AtomicU64,
    directories: AtomicU64,
    others: AtomicU64,
    bytes: AtomicU64,
    kept: AtomicU64,
    removed: AtomicU64,
    problems: AtomicU64,
}

struct Restore<'a> {
    reader: &'a GroupReader,
    options: &'a Options,
    filter: &'a Filter,
    monitor: &'a Monitor<'a>,
    root: Option<TargetDir>,
    stats: Stats,
    lost: AtomicBool,
}

/// What is restored: a whole tree, or one entry of it.
#[derive(Debug, Clone)]
pub enum Selected {
    /// The content of a directory.
    Directory(RefsId),
    /// One entry, under its own name.
    Entry(Box<TreeEntry>),
}

/// Restores what was selected of a snapshot.
///
/// # Errors
/// Where the target cannot be made, the vault cannot be read at all, or a key is refused. What is damaged or
/// cannot be written is reported to the monitor, and everything else is restored.
pub fn run(
    reader: &GroupReader,
    selected: &Selected,
    filter: &Filter,
    options: &Options,
    monitor: &Monitor<'_>,
) -> Result<Summary> {
    let root = match options.dry_run {
        true => None,
        false => Some(
            TargetDir::create_root(&options.target)
                .map_err(|e| VaultError::local("open", &options.target, e))?,
        ),
    };
    let restore = Restore {
        reader,
        options,
        filter,
        monitor,
        root,
        stats: Stats::default(),
        lost: AtomicBool::new(false),
    };
    let mut walk = Walk {
        restore: &restore,
        index: reader.index(),
        batch: Batch::default(),
        descriptors: descriptor_limit(),
        links: HashMap::new(),
    };
    let top =
        restore.root.as_ref().map(|dir| Arc::new(Folder { dir: dir.clone(), path: Vec::new(), entry: None }));
    on_deep_stack(|| {
        match selected {
            Selected::Directory(refs) => walk.directory(refs, b"/", top.as_ref(), 0)?,
            Selected::Entry(entry) => walk.entries(vec![(**entry).clone()], b"/", top.as_ref(), 0)?,
        }
        walk.flush()
    })??;
    let Restore { stats, lost, .. } = restore;
    Ok(Summary {
        files: stats.files.into_inner(),
        directories: stats.directories.into_inner(),
        others: stats.others.into_inner(),
        bytes: stats.bytes.into_inner(),
        kept: stats.kept.into_inner(),
        removed: stats.removed.into_inner(),
        problems: stats.problems.into_inner(),
        lost: lost.into_inner(),
    })
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let mut joined = path.to_vec();
    if !joined.is_empty() && !joined.ends_with(b"/") {
        joined.push(b'/');
    }
    joined.extend_from_slice(name);
    joined
}

struct Walk<'a> {
    restore: &'a Restore<'a>,
    index: Arc<Index>,
    batch: Batch,
    /// How many files the process may have open.
    descriptors: usize,
    /// First names of files that have several.
    links: HashMap<LinkId, Vec<u8>>,
}

impl Walk<'_> {
    fn flush(&mut self) -> Result<()> {
        std::mem::take(&mut self.batch).execute(self.restore, &self.index)
    }

    /// Restores the content of a directory. `path` is its path in the snapshot, `folder` where it goes;
    /// none in a dry run, or above the entries that are included.
    fn directory(
        &mut self,
        refs: &RefsId,
        path: &[u8],
        folder: Option<&Arc<Folder>>,
        depth: usize,
    ) -> Result<()> {
        if depth > TREE_DEPTH_MAX {
            return Err(VaultError::Invalid("the tree is nested more deeply than the format allows".into()));
        }
        match read_directory(self.restore.reader, refs) {
            Ok(entries) => self.entries(entries, path, folder, depth),
            Err(error) if error.is_integrity() => {
                self.restore.lose(path, &error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn entries(
        &mut self,
        entries: Vec<TreeEntry>,
        path: &[u8],
        folder: Option<&Arc<Folder>>,
        depth: usize,
    ) -> Result<()> {
        let restore = self.restore;
        if restore.options.delete
            && let Some(folder) = folder
        {
            let expected: HashSet<&[u8]> = entries.iter().map(|entry| entry.entry.name.as_slice()).collect();
            restore.remove_extraneous(folder, path, &expected);
        }
        for entry in entries {
            if restore.monitor.cancel.is_requested() {
                return Err(VaultError::Cancelled);
            }
            let entry_path = join(path, &entry.entry.name);
            let wanted = restore.filter.decide(&entry_path) == Decision::Keep;
            match &entry.refs {
                EntryRefs::Directory(refs) if wanted || restore.filter.child_may_match(&entry_path) => {
                    self.child_directory(&entry, refs, &entry_path, folder, depth)?;
                }
                _ if !wanted => {}
                EntryRefs::Directory(_) => {}
                EntryRefs::None => restore.make_node(&entry, folder, &entry_path),
                EntryRefs::Chunks(_) | EntryRefs::Lists(_) => self.file(entry, &entry_path, folder)?,
            }
            if self.batch.is_full(self.descriptors) {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn child_directory(
        &mut self,
        entry: &TreeEntry,
        refs: &RefsId,
        path: &[u8],
        folder: Option<&Arc<Folder>>,
        depth: usize,
    ) -> Result<()> {
        let restore = self.restore;
        restore.stats.directories.fetch_add(1, Relaxed);
        let Some(parent) = folder else { return self.directory(refs, path, None, depth + 1) };
        let made = parent.dir.make_dir(&entry.entry, restore.options.overwrite);
        let dir = match made {
            Ok(MadeDir::Created(dir) | MadeDir::Existing(dir)) => dir,
            Ok(MadeDir::Kept) => {
                restore.stats.kept.fetch_add(1, Relaxed);
                return Ok(());
            }
            Err(error) => {
                restore.problem(Problem::new(path, "create directory", error));
                return Ok(());
            }
        };
        let child = Arc::new(Folder {
            dir,
            path: join(&parent.path, &entry.entry.name),
            entry: Some(entry.entry.clone()),
        });
        self.directory(refs, path, Some(&child), depth + 1)?;
        self.batch.finished.push(child);
        Ok(())
    }

    fn file(&mut self, entry: TreeEntry, path: &[u8], folder: Option<&Arc<Folder>>) -> Result<()> {
        let restore = self.restore;
        let EntryKind::File { size, data_ranges, .. } = &entry.entry.kind else { return Ok(()) };
        let (size, data_ranges) = (*size, data_ranges.clone());
        restore.monitor.counters.found(1, size);
        let Some(folder) = folder else {
            restore.stats.files.fetch_add(1, Relaxed);
            restore.stats.bytes.fetch_add(size, Relaxed);
            return Ok(());
        };
        if let Some(link) = entry.entry.hard_link {
            let name = join(&folder.path, &entry.entry.name);
            if let Some(first) = self.links.get(&link) {
                let first = first.clone();
                self.batch.links.push(Link { folder: Arc::clone(folder), entry: entry.entry, first });
                return Ok(());
            }
            self.links.insert(link, name);
        }
        // What stays need not be fetched.
        if restore.options.overwrite != Overwrite::Always
            && let Ok(existing) = folder.dir.stat_child(&entry.entry.name)
            && !restore.options.overwrite.replaces(&entry.entry, &existing)
        {
            restore.stats.kept.fetch_add(1, Relaxed);
            return Ok(());
        }
        match self.locate(&entry) {
            Ok(chunks) => {
                restore.stats.bytes.fetch_add(size, Relaxed);
                let ranges = data_ranges.unwrap_or_else(|| vec![(0, size)]);
                self.batch.add_file(folder, entry.entry, &chunks, &ranges);
                Ok(())
            }
            Err(error) if error.is_integrity() => {
                restore.lose(path, &error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Where the chunks of a file lie; their length must be that of the file's data.
    fn locate(&self, entry: &TreeEntry) -> Result<Vec<(ChunkId, Location)>> {
        let expected = entry.data_len();
        let mut total = 0;
        let mut chunks = Vec::new();
        for id in file_chunks(self.restore.reader, entry)? {
            let location = self.index.find(&id)?.ok_or(VaultError::MissingChunk { id })?;
            total += u64::from(location.len);
            chunks.push((id, location));
        }
        if total != expected {
            return Err(VaultError::damaged(
                "a file's list of chunks",
                "refs node",
                strongroom_format::Damage::Field("content length"),
            ));
        }
        Ok(chunks)
    }
}

impl Restore<'_> {
    fn problem(&self, problem: Problem) {
        self.stats.problems.fetch_add(1, Relaxed);
        self.monitor.problem(problem);
    }

    fn lose(&self, path: &[u8], error: &VaultError) {
        self.lost.store(true, Relaxed);
        self.problem(Problem::new(path, "restore", io::Error::other(error.to_string())));
    }

    fn make_node(&self, entry: &TreeEntry, folder: Option<&Arc<Folder>>, path: &[u8]) {
        let Some(folder) = folder else {
            self.stats.others.fetch_add(1, Relaxed);
            return;
        };
        let mut problems = Vec::new();
        let made = folder.dir.create_node(&entry.entry, self.options.overwrite, path, &mut problems);
        problems.into_iter().for_each(|problem| self.problem(problem));
        self.count(made, path, "create");
    }

    fn count(&self, made: io::Result<Outcome>, path: &[u8], operation: &'static str) {
        match made {
            Ok(Outcome::Created) => {
                self.stats.others.fetch_add(1, Relaxed);
            }
            Ok(Outcome::Kept) => {
                self.stats.kept.fetch_add(1, Relaxed);
            }
            Err(error) => self.problem(Problem::new(path, operation, error)),
        }
    }

    fn make_link(&self, link: &Link) {
        let path = join(&link.folder.path, &link.entry.name);
        let made = self.first_name(&link.first).and_then(|(dir, name)| {
            link.folder.dir.hard_link(&link.entry, &dir, &name, self.options.overwrite)
        });
        self.count(made, &path, "link");
    }

    /// Opens the directory of a path below the target.
    fn first_name(&self, path: &[u8]) -> io::Result<(TargetDir, Vec<u8>)> {
        let mut dir = self.root.clone().ok_or(io::ErrorKind::NotFound)?;
        let mut names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let name = names.pop().ok_or(io::ErrorKind::NotFound)?;
        for name in names {
            dir = dir.open_dir(name)?;
        }
        Ok((dir, name.to_vec()))
    }

    fn finish_folder(&self, folder: &Folder) {
        let Some(entry) = &folder.entry else { return };
        let mut problems = Vec::new();
        if let Err(error) = folder.dir.apply_attributes(entry, &folder.path, &mut problems) {
            problems.push(Problem::new(&folder.path, "finish directory", error));
        }
        problems.into_iter().for_each(|problem| self.problem(problem));
    }

    /// Removes what the snapshot's directory does not have. What the filter leaves out is left alone.
    fn remove_extraneous(&self, folder: &Folder, path: &[u8], expected: &HashSet<&[u8]>) {
        let kept =
            |name: &[u8]| expected.contains(name) || self.filter.decide(&join(path, name)) == Decision::Skip;
        let extraneous = match folder.dir.extraneous(kept) {
            Ok(extraneous) => extraneous,
            Err(error) => return self.problem(Problem::new(&folder.path, "list", error)),
        };
        for name in extraneous {
            let path = join(&folder.path, &name);
            let mut problems = Vec::new();
            match folder.dir.remove_tree(&name, &path, &mut problems) {
                Ok(removed) => {
                    self.stats.removed.fetch_add(removed, Relaxed);
                }
                Err(error) => problems.push(Problem::new(&path, "remove", error)),
            }
            problems.into_iter().for_each(|problem| self.problem(problem));
        }
    }
}
