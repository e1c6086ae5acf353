//! A directory while it is being backed up.

use super::{
    changes::{DirectoryRecord, FileContent, Fingerprint},
    source::Selection,
};
use crate::fs::{Dir, Listed};
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicUsize, Ordering::AcqRel},
};
use strongroom_format::RefsId;

/// Extended attributes, sorted by name.
pub(super) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// What has become of one entry.
#[derive(Debug)]
pub(super) enum Slot {
    /// Not known yet.
    Waiting,
    /// Left out: it could not be read.
    Dropped,
    /// A file that the change cache knows; the number is its place in the record.
    Unchanged(usize),
    /// A file that was read.
    Read {
        content: FileContent,
        attributes: Attributes,
        /// False where it changed while it was read.
        settled: bool,
    },
    /// A directory, with its refs node.
    Directory(RefsId),
    /// Anything else.
    Other,
}

/// One entry of a directory.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) listed: Listed,
    pub(super) fingerprint: Fingerprint,
    pub(super) slot: Slot,
}

/// A directory whose entries are being worked on.
#[derive(Debug)]
pub(super) struct Node {
    /// The directory that it is an entry of, and at which place.
    pub(super) parent: Option<(Arc<Node>, usize)>,
    /// How many directories are above it.
    pub(super) depth: usize,
    pub(super) path: Vec<u8>,
    pub(super) place: Fingerprint,
    pub(super) selection: Selection,
    /// The device of the target that it belongs to.
    pub(super) device: Option<u64>,
    pub(super) dir: OnceLock<Dir>,
    pub(super) record: OnceLock<DirectoryRecord>,
    items: Mutex<Vec<Item>>,
    pending: AtomicUsize,
}

impl Node {
    pub(super) fn new(
        parent: Option<(Arc<Self>, usize)>,
        path: Vec<u8>,
        place: Fingerprint,
        selection: Selection,
        device: Option<u64>,
    ) -> Self {
        Self {
            depth: parent.as_ref().map_or(0, |(parent, _)| parent.depth + 1),
            parent,
            path,
            place,
            selection,
            device,
            dir: OnceLock::new(),
            record: OnceLock::new(),
            items: Mutex::new(Vec::new()),
            pending: AtomicUsize::new(1),
        }
    }

    pub(super) fn items(&self) -> MutexGuard<'_, Vec<Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces so many more pieces of work.
    pub(super) fn expect(&self, pieces: usize) {
        self.pending.fetch_add(pieces, AcqRel);
    }

    /// One piece of work is done; true where it was the last.
    pub(super) fn done(&self) -> bool {
        self.pending.fetch_sub(1, AcqRel) == 1
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // One after the other: as each other's fields, deep trees would be dropped on a deep stack.
        let mut parent = self.parent.take();
        while let Some(mut last) = parent.take().and_then(|(parent, _)| Arc::into_inner(parent)) {
            parent = last.parent.take();
        }
    }
}
