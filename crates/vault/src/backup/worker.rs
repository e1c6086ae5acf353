//! What each worker thread does: lists directories, reads files, stores what has changed.

use super::{
    Run,
    changes::{DirectoryRecord, FileContent},
    node::{Attributes, Item, Node, Slot},
    pages::{self, DirectoryWriter},
    source::{Selection, join},
    stream::{Content, Cutter, EXTENT, Extent, FileData, StreamEnd, Streamed},
};
use crate::{
    error::{Result, VaultError},
    fs::{
        Crossing, Decision, Dir, FileKind, ListBuffer, Listed, Listing, OpenFile, Problem, Stat, Xattrs,
        entry_from,
    },
    packer::Packer,
};
use std::{
    io,
    ops::Range,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
};
use strongroom_format::{
    ChunkId, RefsId,
    keys::ChunkKind,
    limits::TREE_DEPTH_MAX,
    tree::{self, EntryKind},
};

/// Files up to this length are read at once, in bytes; longer ones in extents that all workers share.
const READ_AT_ONCE: u64 = 8 << 20;
/// A batch of files is closed at this many files or bytes.
const BATCH_FILES: usize = 32;
const BATCH_BYTES: u64 = 2 << 20;

/// A piece of work.
#[derive(Debug)]
pub(super) enum Task {
    /// List a directory.
    Directory(Arc<Node>),
    /// Read some of a directory's files.
    Files(Arc<Node>, Range<usize>),
    /// Store a piece of a large file.
    Extent(Extent),
}

/// A file that has been read.
struct ReadFile {
    content: FileContent,
    attributes: Attributes,
    stat: Stat,
    /// False where it changed meanwhile.
    settled: bool,
}

/// One worker.
pub(super) struct Worker<'a> {
    run: &'a Run<'a>,
    packer: Packer<'a>,
    listing: ListBuffer,
    content: Vec<u8>,
    ends: Vec<usize>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(run: &'a Run<'a>) -> Result<Self> {
        Ok(Self {
            run,
            packer: Packer::new(run.sink, run.options.compression)?,
            listing: ListBuffer::default(),
            content: Vec::new(),
            ends: Vec::new(),
        })
    }

    /// Works until nothing is left.
    pub(super) fn work(&mut self) -> Result<()> {
        while let Some(task) = self.run.queue.take() {
            if self.run.monitor.cancel.is_requested() {
                return Err(VaultError::Cancelled);
            }
            self.run.sink.check()?;
            self.perform(task)?;
        }
        self.packer.flush()
    }

    fn perform(&mut self, task: Task) -> Result<()> {
        match task {
            Task::Directory(node) => self.visit(&node),
            Task::Files(node, range) => self.read_files(&node, range),
            Task::Extent(extent) => self.store_extent(extent),
        }
    }

    /// Lists a directory and hands out the work in it.
    fn visit(&mut self, node: &Arc<Node>) -> Result<()> {
        let listing = match self.list(node) {
            Ok(listing) => listing,
            Err(error) => {
                self.run.problem(Problem::new(&node.path, "read directory", error));
                self.run.stats.directories.fetch_sub(1, Relaxed);
                return self.settle(node, Slot::Dropped);
            }
        };
        for (name, error) in listing.failed {
            self.run.problem(Problem::new(&join(&node.path, &name), "read", error));
        }
        if let Some(record) = self.run.old_changes.as_ref().and_then(|old| old.directory(&node.place)) {
            let _ = node.record.set(record);
        }
        let (directories, files) = self.sort_out(node, listing.entries);
        let mut tasks = Vec::new();
        // The stack gives the last task first: files before directories, both in the order of their names.
        tasks.extend(directories.into_iter().rev().map(Task::Directory));
        tasks.extend(batches(&files).into_iter().rev().map(|range| Task::Files(Arc::clone(node), range)));
        node.expect(tasks.len());
        self.run.queue.push_all(tasks);
        self.done(node)
    }

    fn list(&mut self, node: &Node) -> io::Result<Listing> {
        let dir = match &node.parent {
            None => Dir::open_path(Path::new("/"))?,
            Some((parent, nth)) => {
                let name = parent.items().get(*nth).map(|item| item.listed.name.clone()).unwrap_or_default();
                let dir = parent.dir.get().ok_or(io::ErrorKind::NotFound)?;
                // Above the targets, links lead to them; inside, a link is an entry of its own.
                if matches!(node.selection, Selection::Only(_)) {
                    Dir::open_path(Path::new(std::ffi::OsStr::from_bytes(&node.path)))?
                } else {
                    dir.open_child(&name)?
                }
            }
        };
        let mut listing = match &node.selection {
            Selection::All => dir.list(&mut self.listing)?,
            Selection::Only(wanted) => {
                let mut listing = Listing::default();
                for (name, below) in wanted {
                    let mut stat = dir.stat_child(name);
                    // A link on the way to a target stands for the directory that it leads to.
                    if matches!(&stat, Ok(stat) if stat.kind == FileKind::Symlink)
                        && matches!(below, Selection::Only(_))
                    {
                        let path = join(&node.path, name);
                        let led_to = Dir::open_path(Path::new(std::ffi::OsStr::from_bytes(&path)));
                        stat = led_to.and_then(|dir| dir.stat());
                    }
                    match stat {
                        Ok(stat) => listing.entries.push(Listed { name: name.clone(), stat }),
                        Err(error) => listing.failed.push((name.clone(), error)),
                    }
                }
                listing
            }
        };
        if node.selection == Selection::All {
            match self.run.filter.marker(&dir, &listing) {
                Ok(None) => {}
                Ok(Some(marker)) => {
                    let name = marker.name().to_vec();
                    listing.entries.retain(|entry| entry.name == name);
                    listing.failed.clear();
                }
                Err(error) => {
                    self.run.problem(Problem::new(&node.path, "look for exclusion markers in", error))
                }
            }
        }
        let _ = node.dir.set(dir);
        Ok(listing)
    }

    /// Decides on every entry: the child directories, and the files that must be read, are returned.
    fn sort_out(&self, node: &Arc<Node>, entries: Vec<Listed>) -> (Vec<Arc<Node>>, Vec<(usize, u64)>) {
        let (mut directories, mut files) = (Vec::new(), Vec::new());
        let mut items = Vec::with_capacity(entries.len());
        let mut next_record = 0;
        let (mut found_files, mut found_bytes) = (0, 0);
        for listed in entries {
            let path = join(&node.path, &listed.name);
            let inside = node.selection == Selection::All;
            if inside && !self.wanted(node, &path, &listed) {
                continue;
            }
            let nth = items.len();
            let fingerprint = self.run.fingerprinter.entry(&listed);
            let slot = match listed.stat.kind {
                FileKind::Directory if node.depth >= TREE_DEPTH_MAX => {
                    let why = io::Error::other("it is nested more deeply than a snapshot can hold");
                    self.run.problem(Problem::new(&path, "read directory", why));
                    Slot::Dropped
                }
                FileKind::Directory => {
                    self.run.stats.directories.fetch_add(1, Relaxed);
                    directories.push(self.child(node, nth, path, &listed));
                    Slot::Waiting
                }
                FileKind::File => {
                    found_files += 1;
                    found_bytes += listed.stat.size;
                    match self.run.unchanged(node, &listed, &fingerprint, &mut next_record) {
                        Some(record) => {
                            self.run.monitor.counters.bytes_done(listed.stat.size);
                            self.run.monitor.counters.file_done();
                            self.run.stats.unchanged(listed.stat.size);
                            Slot::Unchanged(record)
                        }
                        None => {
                            files.push((nth, listed.stat.size));
                            Slot::Waiting
                        }
                    }
                }
                _ => {
                    self.run.stats.others.fetch_add(1, Relaxed);
                    Slot::Other
                }
            };
            items.push(Item { listed, fingerprint, slot });
        }
        self.run.monitor.counters.found(found_files, found_bytes);
        *node.items() = items;
        (directories, files)
    }

    fn wanted(&self, node: &Node, path: &[u8], listed: &Listed) -> bool {
        let filter = self.run.filter;
        filter.decide(path) == Decision::Keep
            && filter.decide_size(&listed.stat) == Decision::Keep
            && node.device.is_none_or(|device| filter.crossing(device, &listed.stat) != Crossing::Outside)
    }

    fn child(&self, node: &Arc<Node>, nth: usize, path: Vec<u8>, listed: &Listed) -> Arc<Node> {
        let mut selection = match &node.selection {
            Selection::All => Selection::All,
            Selection::Only(wanted) => wanted.get(&listed.name).cloned().unwrap_or(Selection::All),
        };
        let device = match selection {
            Selection::All => node.device.or(Some(listed.stat.dev)),
            Selection::Only(_) => None,
        };
        if node
            .device
            .is_some_and(|device| self.run.filter.crossing(device, &listed.stat) == Crossing::MountPoint)
        {
            selection = Selection::Only(std::collections::BTreeMap::new());
        }
        let place = self.run.fingerprinter.place(&node.place, &listed.name);
        Arc::new(Node::new(Some((Arc::clone(node), nth)), path, place, selection, device))
    }

    fn read_files(&mut self, node: &Arc<Node>, range: Range<usize>) -> Result<()> {
        let wanted: Vec<(usize, Listed)> = {
            let items = node.items();
            let batch = items.get(range.clone()).unwrap_or_default().iter().zip(range);
            batch
                .filter(|(item, _)| {
                    matches!(item.slot, Slot::Waiting) && item.listed.stat.kind == FileKind::File
                })
                .map(|(item, nth)| (nth, item.listed.clone()))
                .collect()
        };
        for (nth, listed) in wanted {
            if self.run.queue.is_closed() {
                return Ok(());
            }
            let path = join(&node.path, &listed.name);
            self.run.monitor.counters.set_current(&path);
            let opened = node.dir.get().ok_or(io::ErrorKind::NotFound.into());
            let file = match opened.and_then(|dir| dir.open_file(&listed.name, &listed.stat)) {
                Ok(file) => file,
                Err(error) => {
                    self.drop_file(node, nth, Problem::new(&path, "open", error));
                    continue;
                }
            };
            if file.stat().size > READ_AT_ONCE {
                self.stream_file(node, nth, &path, &file)?;
                continue;
            }
            match self.read_small(&file) {
                Ok((content, settled)) => {
                    let content = content?;
                    let attributes = self.attributes(&path, file.xattrs());
                    let read = ReadFile { content, attributes, stat: *file.stat(), settled };
                    self.finish_file(node, nth, read, &path);
                }
                Err(error) => self.drop_file(node, nth, Problem::new(&path, "read", error)),
            }
        }
        self.done(node)
    }

    /// Reads a file at once: its content, and whether it stayed the same meanwhile. The outer result is the
    /// file's, the inner one the vault's.
    fn read_small(&mut self, file: &OpenFile) -> io::Result<(Result<FileContent>, bool)> {
        let data_ranges = file.data_ranges(file.stat().size)?;
        let mut content = std::mem::take(&mut self.content);
        // One byte more than the file had, to see it grow; a buffer that is long enough is not cleared again.
        let want = file.stat().size as usize + 1;
        if content.len() < want {
            content.resize(want, 0);
        }
        let mut data = FileData::new(file, data_ranges.as_deref());
        let read = data.fill(&mut content[..want]);
        let after = file.stat_now();
        let stored = read.map(|len| (len, self.store_content(&content[..len])));
        self.content = content;
        let (len, chunks) = stored?;
        let settled = same_content(file.stat(), &after?);
        let size = if data_ranges.is_some() { file.stat().size } else { len as u64 };
        let stored = chunks.and_then(|ids| pages::store_file_refs(&mut self.packer, ids, size, data_ranges));
        Ok((stored, settled))
    }

    fn store_content(&mut self, content: &[u8]) -> Result<Vec<ChunkId>> {
        let mut ids = Vec::new();
        let mut start = 0;
        while start < content.len() {
            let end = start + self.run.chunker.first_len(&content[start..]);
            ids.push(self.packer.add(ChunkKind::Data, &content[start..end])?.0);
            start = end;
        }
        self.run.monitor.counters.bytes_done(content.len() as u64);
        Ok(ids)
    }

    /// Reads a large file and hands its extents to all workers.
    fn stream_file(&mut self, node: &Arc<Node>, nth: usize, path: &[u8], file: &OpenFile) -> Result<()> {
        let streamed = Arc::new(Streamed::new(Arc::clone(node), nth));
        node.expect(1);
        let mut end = StreamEnd {
            size: 0,
            data_ranges: None,
            stat: *file.stat(),
            attributes: Vec::new(),
            settled: true,
            readable: true,
        };
        let read = file.data_ranges(file.stat().size).map(|ranges| {
            end.data_ranges = ranges;
            FileData::new(file, end.data_ranges.as_deref())
        });
        let read = match read {
            Ok(mut data) => self.stream(&streamed, &mut data)?,
            Err(error) => Err(error),
        };
        match read.and_then(|total| Ok((total, file.stat_now()?))) {
            Ok((total, after)) => {
                end.attributes = self.attributes(path, file.xattrs());
                end.size = if end.data_ranges.is_some() { file.stat().size } else { total };
                end.settled = same_content(file.stat(), &after);
            }
            Err(error) => {
                end.readable = false;
                self.run.problem(Problem::new(path, "read", error));
            }
        }
        self.end_stream(&streamed, end)
    }

    /// Hands out the extents of some content; returns its length, or the error in reading it.
    pub(super) fn stream(
        &mut self,
        streamed: &Arc<Streamed>,
        content: &mut dyn Content,
    ) -> Result<io::Result<u64>> {
        let chunker = self.run.chunker;
        let mut cutter = Cutter::new(content, &chunker);
        loop {
            if self.run.queue.is_closed() || self.run.monitor.cancel.is_requested() {
                return Err(VaultError::Cancelled);
            }
            self.run.sink.check()?;
            let mut buffer = self.run.extent_buffer();
            let mut ends = std::mem::take(&mut self.ends);
            match cutter.next(&mut buffer, &mut ends) {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(cutter.total)),
                Err(error) => return Ok(Err(error)),
            }
            let nth = streamed.expect();
            let extent = Extent { file: Arc::clone(streamed), nth, content: buffer, ends };
            // Whoever reads also stores where the others are busy: that bounds the memory.
            if self.run.waiting_extents.fetch_add(1, Relaxed) < self.run.options.threads {
                self.run.queue.push_all([Task::Extent(extent)]);
            } else {
                self.store_extent(extent)?;
            }
        }
    }

    pub(super) fn end_stream(&mut self, streamed: &Arc<Streamed>, end: StreamEnd) -> Result<()> {
        *streamed.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        self.streamed_done(streamed)
    }

    fn store_extent(&mut self, extent: Extent) -> Result<()> {
        self.run.waiting_extents.fetch_sub(1, Relaxed);
        let mut ids = Vec::with_capacity(extent.ends.len());
        let mut start = 0;
        for end in &extent.ends {
            ids.push(self.packer.add(ChunkKind::Data, &extent.content[start..*end])?.0);
            start = *end;
        }
        self.run.monitor.counters.bytes_done(extent.content.len() as u64);
        extent.file.set(extent.nth, ids);
        self.ends = extent.ends;
        self.run.keep_extent_buffer(extent.content);
        self.streamed_done(&extent.file)
    }

    fn streamed_done(&mut self, streamed: &Arc<Streamed>) -> Result<()> {
        if !streamed.done() {
            return Ok(());
        }
        let end = streamed.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        let end = end.ok_or(VaultError::Bug("a stream was finished twice"))?;
        let node = Arc::clone(&streamed.node);
        if end.readable {
            let chunks = streamed.take_chunks();
            let content = pages::store_file_refs(&mut self.packer, chunks, end.size, end.data_ranges)?;
            let name =
                node.items().get(streamed.nth).map(|item| item.listed.name.clone()).unwrap_or_default();
            let path = join(&node.path, &name);
            let StreamEnd { attributes, stat, settled, .. } = end;
            self.finish_file(&node, streamed.nth, ReadFile { content, attributes, stat, settled }, &path);
        } else if let Some(item) = node.items().get_mut(streamed.nth) {
            item.slot = Slot::Dropped;
        }
        self.done(&node)
    }

    fn finish_file(&self, node: &Node, nth: usize, read: ReadFile, path: &[u8]) {
        let ReadFile { content, attributes, stat, settled } = read;
        if !settled {
            self.run.problem(Problem::new(
                path,
                "get a consistent copy of",
                io::Error::other("it changed while it was read"),
            ));
        }
        self.run.monitor.counters.file_done();
        let mut items = node.items();
        let Some(item) = items.get_mut(nth) else { return };
        let name = self.run.fingerprinter.name(&item.listed.name);
        let known = node.record.get().is_some_and(|record| record.has_name(&name));
        self.run.stats.read(content.size, known);
        item.listed.stat = stat;
        item.fingerprint = self.run.fingerprinter.entry(&item.listed);
        item.slot = Slot::Read { content, attributes, settled };
    }

    fn drop_file(&self, node: &Node, nth: usize, problem: Problem) {
        self.run.problem(problem);
        if let Some(item) = node.items().get_mut(nth) {
            item.slot = Slot::Dropped;
        }
    }

    /// One piece of a directory's work is done; where it was the last, the directory is stored, and that is
    /// one piece of its parent's. Not recursive: trees may be deeper than stacks.
    pub(super) fn done(&mut self, node: &Arc<Node>) -> Result<()> {
        let mut node = Arc::clone(node);
        while node.done() {
            let refs = self.store_directory(&node)?;
            match self.tell_parent(&node, Slot::Directory(refs)) {
                Some(parent) => node = parent,
                None => break,
            }
        }
        Ok(())
    }

    /// Tells a directory's parent what has become of it.
    fn settle(&mut self, node: &Arc<Node>, slot: Slot) -> Result<()> {
        self.tell_parent(node, slot).map_or(Ok(()), |parent| self.done(&parent))
    }

    /// Enters what has become of a directory, and returns the parent, which has one piece of work less.
    fn tell_parent(&mut self, node: &Node, slot: Slot) -> Option<Arc<Node>> {
        match &node.parent {
            None => {
                if let Slot::Directory(refs) = slot {
                    *self.run.root.lock().unwrap_or_else(PoisonError::into_inner) = Some(refs);
                }
                self.run.queue.close();
                None
            }
            Some((parent, nth)) => {
                if let Some(item) = parent.items().get_mut(*nth) {
                    item.slot = slot;
                }
                Some(Arc::clone(parent))
            }
        }
    }

    fn store_directory(&mut self, node: &Node) -> Result<RefsId> {
        let items = std::mem::take(&mut *node.items());
        let record = node.record.get();
        let mut digest = self.run.fingerprinter.directory();
        let mut certain = true;
        for item in &items {
            match &item.slot {
                Slot::Directory(refs) => digest.add(&item.fingerprint, Some(refs)),
                Slot::Dropped => continue,
                Slot::Read { settled: false, .. } => certain = false,
                _ => digest.add(&item.fingerprint, None),
            }
            certain &= item.listed.stat.kind == FileKind::Directory || self.run.is_certain(&item.listed.stat);
            // A directory's own change of attributes shows in its ctime only.
            certain &= self.run.is_old(item.listed.stat.ctime);
        }
        let digest = if certain { digest.finish() } else { [0; 16] };
        if let Some(record) = record.filter(|record| certain && record.digest == digest) {
            self.run.remember(&node.place, record.bytes())?;
            return Ok(record.refs);
        }
        let mut files = Vec::new();
        let mut writer = DirectoryWriter::new(items.len());
        for item in items {
            if let Some(stored) = self.store_item(node, &item, &mut files)? {
                writer.push(&mut self.packer, &stored)?;
            }
        }
        let refs = writer.finish(&mut self.packer)?;
        let mut bytes = DirectoryRecord::begin(&digest, &refs);
        bytes.extend_from_slice(&files);
        self.run.remember(&node.place, &bytes)?;
        Ok(refs)
    }

    /// The tree entry of an item; files that will be recognised the next time are added to `files`.
    fn store_item(&self, node: &Node, item: &Item, files: &mut Vec<u8>) -> Result<Option<pages::Item>> {
        let Listed { name, stat } = &item.listed;
        let path = || join(&node.path, name);
        let attributes = || {
            let xattrs =
                node.dir.get().ok_or(io::ErrorKind::NotFound.into()).and_then(|dir| dir.xattrs_of(name));
            self.attributes(&path(), xattrs)
        };
        let stored = match &item.slot {
            Slot::Dropped | Slot::Waiting => return Ok(None),
            Slot::Directory(refs) => {
                let entry = entry_from(name.clone(), stat, EntryKind::Directory, attributes());
                pages::Item { entry, child: Some(*refs), ids: Vec::new() }
            }
            Slot::Other => {
                let kind = match stat.entry_kind() {
                    Some(kind) => kind,
                    None => {
                        let dir = node.dir.get().ok_or(io::ErrorKind::NotFound.into());
                        match dir.and_then(|dir| dir.read_link(name)) {
                            Ok(target) => EntryKind::Symlink { target },
                            Err(error) => {
                                self.run.problem(Problem::new(&path(), "read the link", error));
                                return Ok(None);
                            }
                        }
                    }
                };
                pages::Item {
                    entry: entry_from(name.clone(), stat, kind, attributes()),
                    child: None,
                    ids: Vec::new(),
                }
            }
            Slot::Unchanged(nth) => {
                let content = node.record.get().and_then(|record| record.content(record.files.get(*nth)?));
                let content = content.ok_or(VaultError::Bug("the change cache lost a file"))?;
                self.file_item(item, &content, attributes(), true, files)
            }
            Slot::Read { content, attributes, settled } => {
                self.file_item(item, content, attributes.clone(), *settled, files)
            }
        };
        Ok(Some(stored))
    }

    /// The attributes that could be read; the others are reported.
    fn attributes(&self, path: &[u8], xattrs: io::Result<Xattrs>) -> Attributes {
        match xattrs {
            Ok(xattrs) => {
                for (_, error) in xattrs.failed {
                    self.run.problem(Problem::new(path, "read an extended attribute of", error));
                }
                xattrs.attributes
            }
            Err(error) => {
                self.run.problem(Problem::new(path, "read the extended attributes of", error));
                Vec::new()
            }
        }
    }

    fn file_item(
        &self,
        item: &Item,
        content: &FileContent,
        attributes: Attributes,
        settled: bool,
        files: &mut Vec<u8>,
    ) -> pages::Item {
        let Listed { name, stat } = &item.listed;
        let tag = self.run.fingerprinter.name(name);
        if settled && self.run.is_certain(stat) {
            DirectoryRecord::push_file(files, &item.fingerprint, tag, content);
        } else {
            // It is read again next time, and only its name tells then that it is not new.
            let nothing = FileContent {
                size: 0,
                content: tree::Content::Chunks(0),
                ids: Vec::new(),
                data_ranges: None,
            };
            DirectoryRecord::push_file(files, &[0; 16], tag, &nothing);
        }
        let kind = EntryKind::File {
            size: content.size,
            content: content.content,
            data_ranges: content.data_ranges.clone(),
        };
        pages::Item {
            entry: entry_from(name.clone(), stat, kind, attributes),
            child: None,
            ids: content.ids.clone(),
        }
    }
}

fn same_content(before: &Stat, after: &Stat) -> bool {
    (before.size, before.mtime, before.ctime) == (after.size, after.mtime, after.ctime)
}

/// Cuts the files that must be read into batches: ranges of items, in ascending order.
fn batches(files: &[(usize, u64)]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    for (nth, size) in files {
        match batches.last_mut() {
            Some(batch) if count < BATCH_FILES && bytes < BATCH_BYTES => batch.end = nth + 1,
            _ => {
                batches.push(*nth..nth + 1);
                (count, bytes) = (0, 0);
            }
        }
        count += 1;
        bytes += size;
    }
    batches
}

/// The length of buffers that extents are read into.
pub(super) const EXTENT_BUFFER: usize = EXTENT;
