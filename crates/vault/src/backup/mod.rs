//! Backup: from a source to a finished snapshot.
//!
//! Workers run to completion over directories and batches of files, from one stack of tasks; nothing is
//! handed from thread to thread but extents of large files and full packs. See `worker` for what one does.

mod ahead;
mod changes;
mod node;
mod pages;
mod queue;
mod source;
mod stream;
mod worker;

pub use ahead::count_ahead;
pub(crate) use pages::DirectoryWriter;
pub use source::Source;

use crate::{
    chunker::Chunker,
    error::{Result, VaultError},
    fs::{Filter, Listed, Problem, Stat},
    handle::DatasetHandle,
    monitor::Monitor,
    packer::Compression,
    session::Session,
    sink::{SessionKey, Sink},
};
use bytes::Bytes;
use changes::{Fingerprint, Fingerprinter, NewChanges, OldChanges};
use jiff::{SignedDuration, Timestamp};
use node::Node;
use queue::Queue;
use source::{Selection, absolute, path_bytes, select};
use std::{
    io::Read,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};
use stream::{Pipe, StreamEnd, Streamed};
use strongroom_format::{
    ObjectHash, RefsId, SystemEntropy, names,
    snapshot::{Snapshot, Summary, escape_path},
    tree,
};
use worker::{Task, Worker};

/// A change within this time before the backup may have happened in the same tick of the file system's
/// clock as the reading of the file, so that its times would not show it.
const RACY: SignedDuration = SignedDuration::from_secs(2);

/// How to back up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The host's name.
    pub host: String,
    /// The user's name.
    pub user: String,
    /// Tags of the snapshot.
    pub tags: Vec<String>,
    /// The time of the snapshot; now where it is not given.
    pub time: Option<Timestamp>,
    /// How hard to compress.
    pub compression: Compression,
    /// Worker threads.
    pub threads: usize,
    /// Upload threads.
    pub uploads: usize,
    /// Read every file, whatever the change cache says.
    pub force: bool,
    /// Store nothing.
    pub dry_run: bool,
    /// The program and version, for the snapshot.
    pub program: String,
}

/// A backup that is done.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The snapshot's name; `None` after a dry run.
    pub id: Option<ObjectHash>,
    /// The snapshot.
    pub snapshot: Snapshot,
}

#[derive(Debug, Default)]
struct Stats {
    files_new: AtomicU64,
    files_changed: AtomicU64,
    files_unchanged: AtomicU64,
    directories: AtomicU64,
    others: AtomicU64,
    bytes: AtomicU64,
    problems: AtomicU64,
}

impl Stats {
    fn unchanged(&self, size: u64) {
        self.files_unchanged.fetch_add(1, Relaxed);
        self.bytes.fetch_add(size, Relaxed);
    }

    fn read(&self, size: u64, known: bool) {
        if known { &self.files_changed } else { &self.files_new }.fetch_add(1, Relaxed);
        self.bytes.fetch_add(size, Relaxed);
    }
}

/// One running backup, as its workers see it.
struct Run<'a> {
    sink: &'a Sink,
    options: &'a Options,
    filter: &'a Filter,
    monitor: &'a Monitor<'a>,
    chunker: Chunker,
    queue: Queue<Task>,
    fingerprinter: Fingerprinter,
    old_changes: Option<OldChanges>,
    new_changes: Option<NewChanges>,
    /// Files whose times are later than this may change unseen.
    certain_before: tree::Timestamp,
    waiting_extents: AtomicUsize,
    extent_buffers: Mutex<Vec<Vec<u8>>>,
    stats: Stats,
    root: Mutex<Option<RefsId>>,
}

impl Run<'_> {
    fn problem(&self, problem: Problem) {
        self.stats.problems.fetch_add(1, Relaxed);
        self.monitor.problem(problem);
    }

    fn is_old(&self, time: tree::Timestamp) -> bool {
        time < self.certain_before
    }

    fn is_certain(&self, stat: &Stat) -> bool {
        self.is_old(stat.mtime) && self.is_old(stat.ctime)
    }

    /// The place of an unchanged file in its directory's record. `next` is where the search starts: files
    /// stand in the same order.
    fn unchanged(
        &self,
        node: &Node,
        listed: &Listed,
        fingerprint: &Fingerprint,
        next: &mut usize,
    ) -> Option<usize> {
        if !self.is_certain(&listed.stat) {
            return None;
        }
        let place = node.record.get()?.place(fingerprint, *next)?;
        *next = place + 1;
        Some(place)
    }

    fn remember(&self, place: &Fingerprint, record: &[u8]) -> Result<()> {
        match &self.new_changes {
            Some(changes) => changes
                .add(*place, record)
                .map_err(|e| VaultError::local("write the change cache in", "cache", e)),
            None => Ok(()),
        }
    }

    fn extent_buffer(&self) -> Vec<u8> {
        let buffer = self.extent_buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        buffer.unwrap_or_else(|| Vec::with_capacity(worker::EXTENT_BUFFER + self.chunker.lookahead()))
    }

    fn keep_extent_buffer(&self, buffer: Vec<u8>) {
        self.extent_buffers.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// Backs up `source` into the dataset and makes the snapshot.
///
/// # Errors
/// Where the vault fails, or no source can be read at all. Single files that cannot be read are reported
/// to the monitor, and the snapshot is finished without them.
pub fn run(
    handle: &DatasetHandle,
    session_key: SessionKey,
    source: Source,
    filter: &Filter,
    options: &Options,
    monitor: &Monitor<'_>,
) -> Result<Outcome> {
    let started = Instant::now();
    let time = options.time.unwrap_or_else(Timestamp::now);
    let scan_start = Timestamp::now();
    let epoch = session_key.epoch;
    // The order matters: this run shows itself before it looks at what it may build on [V-8.2].
    let session = Session::start(handle, &options.host, options.dry_run)?;
    let condemned = session.condemned()?;

    let (paths, stream) = match source {
        Source::Paths(paths) => (paths.iter().map(|path| absolute(path)).collect::<Result<Vec<_>>>()?, None),
        Source::Stream { name, reader } => (vec![PathBuf::from("/")], Some((name, reader))),
    };
    let shown_paths = match &stream {
        Some((name, _)) => vec![escape_path(&[b"/", name.as_slice()].concat())],
        None => paths.iter().map(|path| escape_path(path_bytes(path))).collect(),
    };
    let fingerprinter = Fingerprinter::new(&handle.keys.local_key());
    let cache_file = stream.is_none().then(|| change_cache(handle, &options.host, &paths)).flatten();
    let old_changes =
        cache_file.as_deref().and_then(OldChanges::open).filter(|old| !old_is_stale(handle, old));
    let parent = old_changes.as_ref().map(|old| old.snapshot);
    // While packs are condemned, nothing is taken over without asking the index [V-8.4].
    let old_changes = old_changes.filter(|_| condemned.is_empty() && !options.force);

    let sink = Sink::new(handle.clone(), session_key, condemned, options.uploads, options.dry_run);
    let run = Run {
        sink: &sink,
        options,
        filter,
        monitor,
        chunker: Chunker::new(&handle.keys, &handle.layout),
        queue: Queue::new(),
        fingerprinter,
        old_changes,
        new_changes: cache_file.filter(|_| !options.dry_run).and_then(|path| NewChanges::create(&path).ok()),
        certain_before: to_tree_time(scan_start.checked_sub(RACY).unwrap_or(Timestamp::MIN)),
        waiting_extents: AtomicUsize::new(0),
        extent_buffers: Mutex::default(),
        stats: Stats::default(),
        root: Mutex::new(None),
    };
    match stream {
        Some((name, mut reader)) => run_stream(&run, name, reader.as_mut(), time)?,
        None => run_paths(&run, &paths)?,
    }
    let root = run.root.lock().unwrap_or_else(PoisonError::into_inner).take();
    let root = root.ok_or(VaultError::Invalid("none of the paths to back up can be read".into()))?;
    let Run { stats, new_changes, .. } = run;
    let files: u64 = [&stats.files_new, &stats.files_changed, &stats.files_unchanged]
        .map(|n| n.load(Relaxed))
        .iter()
        .sum();
    let others = stats.others.load(Relaxed);
    if files + others + stats.directories.load(Relaxed) == 0 && stats.problems.load(Relaxed) > 0 {
        return Err(VaultError::Invalid("none of the paths to back up can be read".into()));
    }
    let stored = sink.finish()?;
    session.still_alive()?;
    let snapshot = Snapshot {
        time: format_time(time),
        host: options.host.clone(),
        user: options.user.clone(),
        paths: shown_paths,
        tags: sorted(&options.tags),
        root,
        parent,
        original: None,
        program: options.program.clone(),
        summary: Summary {
            files,
            directories: stats.directories.load(Relaxed),
            others,
            bytes: stats.bytes.load(Relaxed),
            files_new: stats.files_new.load(Relaxed),
            files_changed: stats.files_changed.load(Relaxed),
            files_unchanged: stats.files_unchanged.load(Relaxed),
            chunks_added: stored.chunks,
            bytes_added: stored.bytes,
            bytes_stored: stored.stored,
            problems: stats.problems.load(Relaxed),
            milliseconds: started.elapsed().as_millis() as u64,
        },
    };
    if options.dry_run {
        return Ok(Outcome { id: None, snapshot });
    }
    let id = write_snapshot(handle, epoch, &snapshot)?;
    session.end();
    if let Some(changes) = new_changes {
        // The snapshot stands; the next backup reads everything again where this fails.
        let _ = changes.finish(&id);
    }
    Ok(Outcome { id: Some(id), snapshot })
}

/// Seals a snapshot header and puts it into the vault.
///
/// # Errors
/// Where the vault cannot be written.
pub fn write_snapshot(handle: &DatasetHandle, epoch: u32, snapshot: &Snapshot) -> Result<ObjectHash> {
    let bytes = snapshot.seal(epoch, &handle.owner, &handle.keys, &mut SystemEntropy);
    let id = ObjectHash::of(&bytes);
    handle.put(&handle.names.snapshot(epoch, &id), Bytes::from(bytes))?;
    Ok(id)
}

/// A time as snapshots hold it: RFC 3339 in UTC with nine decimals.
#[must_use]
pub fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

fn sorted(tags: &[String]) -> Vec<String> {
    let mut tags = tags.to_vec();
    tags.sort();
    tags.dedup();
    tags
}

fn to_tree_time(time: Timestamp) -> tree::Timestamp {
    let nanos = time.as_nanosecond();
    tree::Timestamp {
        secs: nanos.div_euclid(1_000_000_000) as i64,
        nanos: nanos.rem_euclid(1_000_000_000) as u32,
    }
}

/// The change cache belongs to the host and the paths: whatever else differs, it stays useful.
fn change_cache(handle: &DatasetHandle, host: &str, paths: &[PathBuf]) -> Option<PathBuf> {
    let mut paths: Vec<_> = paths.iter().map(|path| path_bytes(path)).collect();
    paths.sort_unstable();
    let mut name = blake3::Hasher::new_keyed(&handle.keys.local_key());
    name.update(host.as_bytes());
    for path in paths {
        name.update(b"\0").update(path);
    }
    Some(handle.cache.as_ref()?.join("changes").join(name.finalize().to_hex().as_str()))
}

/// A cache is believed only while its snapshot is in the vault: then everything it points to is, too.
fn old_is_stale(handle: &DatasetHandle, old: &OldChanges) -> bool {
    let Ok(listed) = handle.store.list(&handle.names.snapshots()) else { return true };
    !listed.iter().any(|object| names::parse_snapshot(&object.name).is_some_and(|(_, id)| id == old.snapshot))
}

fn run_paths(run: &Run<'_>, paths: &[PathBuf]) -> Result<()> {
    let selection = select(paths);
    let device = match selection {
        Selection::All => {
            crate::fs::Dir::open_path("/".as_ref()).and_then(|dir| dir.stat()).ok().map(|s| s.dev)
        }
        Selection::Only(_) => None,
    };
    let root = Node::new(None, b"/".to_vec(), [0; 16], selection, device);
    run.queue.push_all([Task::Directory(Arc::new(root))]);
    work(run, Worker::work)
}

/// Runs `first` on one worker and the ordinary work on the others.
fn work<'r>(run: &'r Run<'r>, first: impl FnOnce(&mut Worker<'r>) -> Result<()> + Send) -> Result<()> {
    let attempt = |work: &mut dyn FnMut(&mut Worker<'r>) -> Result<()>| {
        let result = Worker::new(run).and_then(|mut worker| work(&mut worker));
        if result.is_err() {
            run.queue.close();
        }
        result
    };
    std::thread::scope(|scope| {
        let others: Vec<_> =
            (1..run.options.threads.max(1)).map(|_| scope.spawn(|| attempt(&mut Worker::work))).collect();
        let mut first = Some(first);
        let mut result = attempt(&mut |worker| first.take().map_or(Ok(()), |first| first(worker)));
        for other in others {
            let other = other.join().unwrap_or(Err(VaultError::Bug("a worker panicked")));
            // What made the others stop says more than that they were stopped.
            if result.is_ok() || matches!(result, Err(VaultError::Cancelled)) && other.is_err() {
                result = other;
            }
        }
        result
    })
}

fn run_stream(run: &Run<'_>, name: Vec<u8>, reader: &mut (dyn Read + Send), time: Timestamp) -> Result<()> {
    if !tree::valid_name(&name) {
        return Err(VaultError::Invalid("the name of the stream cannot be a file name".into()));
    }
    let node = Arc::new(Node::new(None, b"/".to_vec(), [0; 16], Selection::All, None));
    let time = to_tree_time(time);
    let stat = Stat::stream(time);
    let listed = Listed { name, stat };
    let fingerprint = run.fingerprinter.entry(&listed);
    node.items().push(node::Item { listed, fingerprint, slot: node::Slot::Waiting });
    run.monitor.counters.found(1, 0);
    work(run, move |worker| {
        let streamed = Arc::new(Streamed::new(Arc::clone(&node), 0));
        node.expect(1);
        let size = worker
            .stream(&streamed, &mut Pipe(reader))?
            .map_err(|error| VaultError::local("read", "standard input", error))?;
        let end = StreamEnd {
            size,
            data_ranges: None,
            stat,
            attributes: Vec::new(),
            settled: true,
            readable: true,
        };
        worker.end_stream(&streamed, end)?;
        worker.done(&node)?;
        worker.work()
    })
}
