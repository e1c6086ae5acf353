//! A bounded part of a restore: files whose content is written pack by pack, so that each group is
//! fetched and opened once.

use super::Restore;
use crate::{
    error::{Result, VaultError},
    fs::{Problem, TargetDir, TargetFile},
    groups::GroupBuffer,
    index::{Index, Location},
};
use std::{
    io,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU32, AtomicUsize,
            Ordering::{AcqRel, Relaxed},
        },
    },
};
use strongroom_format::{ChunkId, keys::ChunkKind, tree::Entry};

/// A directory that is being written to.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) dir: TargetDir,
    /// Its path in the target, for messages.
    pub(super) path: Vec<u8>,
    /// Its attributes; none for the target itself.
    pub(super) entry: Option<Entry>,
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct File {
    folder: Arc<Folder>,
    entry: Entry,
    pieces: Range<usize>,
    open: Mutex<Option<TargetFile>>,
    remaining: AtomicU32,
    /// Given up, or kept as it was: its pieces are passed over.
    skip: AtomicBool,
}

/// A stretch of a chunk and where it goes.
#[derive(Debug, Clone, Copy)]
struct Piece {
    id: ChunkId,
    location: Location,
    file: u32,
    /// First byte in the file.
    file_offset: u64,
    /// First byte in the chunk.
    skip: u32,
    /// Length in bytes.
    len: u32,
}

/// Another name of a file.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) folder: Arc<Folder>,
    pub(super) entry: Entry,
    /// The path of the first name, from the target.
    pub(super) first: Vec<u8>,
}

/// Files, directories and links of one batch.
#[derive(Debug, Default)]
pub(super) struct Batch {
    files: Vec<File>,
    pieces: Vec<Piece>,
    pub(super) links: Vec<Link>,
    /// Directories that are complete once this batch is written, children before parents.
    pub(super) finished: Vec<Arc<Folder>>,
}

/// Limits of a batch: pieces bound its memory, files and directories its open descriptors, of which either may
/// have a quarter of what the process may have.
const PIECES_MAX: usize = 128 << 10;
const FILES_MAX: usize = 16 << 10;
const FOLDERS_MAX: usize = 2 << 10;
const DESCRIPTORS_PART: usize = 4;

impl Batch {
    /// Whether it should be written now.
    pub(super) fn is_full(&self, descriptors: usize) -> bool {
        let part = descriptors / DESCRIPTORS_PART;
        self.pieces.len() >= PIECES_MAX
            || self.files.len() >= FILES_MAX.min(part)
            || self.finished.len() + self.links.len() >= FOLDERS_MAX.min(part)
    }

    /// Adds a file whose chunks lie at these locations.
    pub(super) fn add_file(
        &mut self,
        folder: &Arc<Folder>,
        entry: Entry,
        chunks: &[(ChunkId, Location)],
        ranges: &[(u64, u64)],
    ) {
        let file = self.files.len() as u32;
        let start = self.pieces.len();
        let mut ranges = ranges.iter().copied();
        let mut range = ranges.next().unwrap_or((0, 0));
        for (id, location) in chunks {
            let mut skip = 0;
            while skip < location.len {
                while range.1 == 0 {
                    // The caller has checked that the ranges are as long as the chunks.
                    let Some(next) = ranges.next() else { return };
                    range = next;
                }
                let len = u64::from(location.len - skip).min(range.1) as u32;
                self.pieces.push(Piece {
                    id: *id,
                    location: *location,
                    file,
                    file_offset: range.0,
                    skip,
                    len,
                });
                skip += len;
                range = (range.0 + u64::from(len), range.1 - u64::from(len));
            }
        }
        let pieces = start..self.pieces.len();
        self.files.push(File {
            folder: Arc::clone(folder),
            entry,
            remaining: AtomicU32::new(pieces.len() as u32),
            pieces,
            open: Mutex::new(None),
            skip: AtomicBool::new(false),
        });
    }

    /// Writes everything.
    pub(super) fn execute(self, restore: &Restore<'_>, index: &Index) -> Result<()> {
        for file in self.files.iter().filter(|file| file.pieces.is_empty()) {
            if file.open(restore) {
                file.finish(restore, &self.pieces);
            }
        }
        let mut order: Vec<u32> = (0..self.pieces.len() as u32).collect();
        order.sort_unstable_by_key(|nth| {
            let Location { run, pack, group, offset, .. } = self.pieces[*nth as usize].location;
            (run, pack, group, offset)
        });
        let groups: Vec<&[u32]> = order
            .chunk_by(|a, b| {
                let group = |nth: &u32| {
                    let location = self.pieces[*nth as usize].location;
                    (location.run, location.group)
                };
                group(a) == group(b)
            })
            .collect();
        let next = AtomicUsize::new(0);
        let failure: Mutex<Option<VaultError>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..restore.options.threads.clamp(1, groups.len().max(1)) {
                scope.spawn(|| {
                    let mut buffer = GroupBuffer::default();
                    while let Some(group) = groups.get(next.fetch_add(1, Relaxed)) {
                        let result = match restore.monitor.cancel.is_requested() {
                            true => Err(VaultError::Cancelled),
                            false => self.write_group(restore, index, group, &mut buffer),
                        };
                        if let Err(error) = result {
                            lock(&failure).get_or_insert(error);
                            next.store(groups.len(), Relaxed);
                        }
                    }
                });
            }
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        for link in &self.links {
            restore.make_link(link);
        }
        for folder in &self.finished {
            restore.finish_folder(folder);
        }
        Ok(())
    }

    fn write_group(
        &self,
        restore: &Restore<'_>,
        index: &Index,
        group: &[u32],
        buffer: &mut GroupBuffer,
    ) -> Result<()> {
        let pieces = || group.iter().map(|nth| &self.pieces[*nth as usize]);
        let wanted = |piece: &Piece| !self.files[piece.file as usize].skip.load(Relaxed);
        let Some(first) = pieces().find(|piece| wanted(piece)) else { return Ok(()) };
        let opened = restore.reader.read_group(index, &first.location, buffer);
        if let Err(error) = &opened
            && !error.is_integrity()
        {
            return opened;
        }
        let mut verified: Option<(ChunkId, Result<Vec<u8>, String>)> = None;
        let mut last_good = None;
        for piece in pieces().filter(|piece| wanted(piece)) {
            let file = &self.files[piece.file as usize];
            if opened.is_ok() {
                if last_good == Some((piece.id, piece.location.offset)) {
                    let start = piece.location.offset as usize;
                    let chunk = &buffer.raw[start..start + piece.location.len as usize];
                    file.write(restore, piece, chunk, &self.pieces);
                    continue;
                }
                if let Ok(chunk) =
                    restore.reader.chunk_in(&buffer.raw, &piece.location, ChunkKind::Data, &piece.id, index)
                {
                    last_good = Some((piece.id, piece.location.offset));
                    file.write(restore, piece, chunk, &self.pieces);
                    continue;
                }
            }
            // Prune may have moved the group, or another host stored the chunk a second time.
            if verified.as_ref().is_none_or(|(id, _)| *id != piece.id) {
                let chunk = match restore.reader.read_chunk(ChunkKind::Data, &piece.id) {
                    Err(error) if !error.is_integrity() => return Err(error),
                    other => other.map_err(|error| error.to_string()),
                };
                verified = Some((piece.id, chunk));
            }
            match &verified {
                Some((_, Ok(chunk))) => file.write(restore, piece, chunk, &self.pieces),
                Some((_, Err(message))) => file.lose(restore, message),
                None => {}
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl File {
    fn path(&self) -> Vec<u8> {
        super::join(&self.folder.path, &self.entry.name)
    }

    fn give_up(&self, restore: &Restore<'_>, operation: &'static str, error: io::Error) {
        if !self.skip.swap(true, Relaxed) {
            restore.problem(Problem::new(&self.path(), operation, error));
        }
        // Dropping the open file removes what was written of it.
        lock(&self.open).take();
    }

    fn lose(&self, restore: &Restore<'_>, message: &str) {
        restore.lost.store(true, Relaxed);
        self.give_up(restore, "restore", io::Error::other(message.to_owned()));
    }

    /// Creates the file; false where it is kept or cannot be created.
    fn open(&self, restore: &Restore<'_>) -> bool {
        let mut open = lock(&self.open);
        if open.is_some() {
            return true;
        }
        if self.skip.load(Relaxed) {
            return false;
        }
        match self.folder.dir.create_file(&self.entry, restore.options.overwrite) {
            Ok(Some(file)) => {
                *open = Some(file);
                true
            }
            Ok(None) => {
                self.skip.store(true, Relaxed);
                restore.stats.kept.fetch_add(1, Relaxed);
                false
            }
            Err(error) => {
                drop(open);
                self.give_up(restore, "create", error);
                false
            }
        }
    }

    fn write(&self, restore: &Restore<'_>, piece: &Piece, chunk: &[u8], pieces: &[Piece]) {
        let bytes = &chunk[piece.skip as usize..(piece.skip + piece.len) as usize];
        if self.open(restore) {
            let open = lock(&self.open);
            let written = open.as_ref().map_or(Ok(()), |file| file.write_all_at(bytes, piece.file_offset));
            drop(open);
            restore.monitor.counters.bytes_done(bytes.len() as u64);
            if let Err(error) = written {
                self.give_up(restore, "write", error);
            }
        }
        if self.remaining.fetch_sub(1, AcqRel) == 1 && !self.skip.load(Relaxed) {
            self.finish(restore, pieces);
        }
    }

    fn finish(&self, restore: &Restore<'_>, pieces: &[Piece]) {
        let Some(file) = lock(&self.open).take() else { return };
        if restore.options.verify
            && let Err(error) = self.verify(restore, &file, &pieces[self.pieces.clone()])
        {
            restore.lost.store(true, Relaxed);
            self.skip.store(true, Relaxed);
            restore.problem(Problem::new(&self.path(), "verify", error));
            return;
        }
        let path = self.path();
        let mut problems = Vec::new();
        let finished = file.finish(&self.entry, &path, &mut problems);
        problems.into_iter().for_each(|problem| restore.problem(problem));
        match finished {
            Ok(()) => {
                restore.stats.files.fetch_add(1, Relaxed);
                restore.monitor.counters.file_done();
                restore.monitor.counters.set_current(&path);
            }
            Err(error) => self.give_up(restore, "finish", error),
        }
    }

    /// Reads the file back and compares it with the ids of its chunks.
    fn verify(&self, restore: &Restore<'_>, file: &TargetFile, pieces: &[Piece]) -> io::Result<()> {
        let mut chunk = Vec::new();
        for piece in pieces {
            let start = chunk.len();
            chunk.resize(start + piece.len as usize, 0);
            file.read_full_at(&mut chunk[start..], piece.file_offset)?;
            if piece.skip + piece.len == piece.location.len {
                if restore.reader.handle().keys.chunk_id(ChunkKind::Data, &chunk) != piece.id {
                    return Err(io::Error::other("what was written reads back differently"));
                }
                chunk.clear();
            }
        }
        Ok(())
    }
}
