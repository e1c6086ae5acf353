//! Reads the files of a directory on several threads.
//!
//! Each file is read by one thread. Events come to the caller in batches over a channel of fixed length, so that
//! memory is bounded by the number of threads, whatever the size of the trail.

use crate::{
    cloudtrail,
    event::Event,
    files::{self, Found},
    limits,
    names::Names,
    problem::{Place, Problem, ProblemKind},
};
use jiff::Timestamp;
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

const BATCH: usize = 512;

/// How to read.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads; at least one is used.
    pub threads: usize,
    /// The clock: events that are more than five minutes later are reported.
    pub now: Timestamp,
    /// What aliases stand for.
    pub names: Names,
    /// Whether events of services other than KMS and CloudTrail are wanted where they can hurt keys or trails.
    pub watch: bool,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files with records.
    pub files: u64,
    /// Bytes of them, inflated.
    pub bytes: u64,
    /// Records in them.
    pub records: u64,
    /// Records that became events; the others are of services that nobody asked for.
    pub events: u64,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Files in which a reader could not see all records: absence of an event proves nothing there.
    pub incomplete: BTreeSet<String>,
    /// Digest files, which [`crate::digest`] reads.
    pub digests: u64,
}

impl Summary {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.records += other.records;
        self.events += other.events;
        self.digests += other.digests;
        self.problems.extend(other.problems);
        self.incomplete.extend(other.incomplete);
    }
}

/// What one file gives.
pub(crate) struct Sink<'a> {
    pub(crate) file: Arc<str>,
    pub(crate) summary: Summary,
    batch: Vec<Event>,
    send: &'a mut dyn FnMut(Vec<Event>),
}

impl<'a> Sink<'a> {
    pub(crate) fn new(file: Arc<str>, send: &'a mut dyn FnMut(Vec<Event>)) -> Self {
        Self { file, summary: Summary::default(), batch: Vec::new(), send }
    }

    pub(crate) fn place(&self, offset: u64) -> Place {
        Place { file: Arc::clone(&self.file), offset }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.summary.events += 1;
        self.batch.push(event);
        if self.batch.len() >= BATCH {
            (self.send)(std::mem::take(&mut self.batch));
        }
    }

    pub(crate) fn problem(&mut self, kind: ProblemKind, what: String, offset: u64) {
        if kind.hides_records() {
            self.summary.incomplete.insert(self.file.to_string());
        }
        let place = self.place(offset);
        match self.summary.problems.len().cmp(&limits::PROBLEMS_MAX) {
            std::cmp::Ordering::Less => self.summary.problems.push(Problem { place, kind, what }),
            std::cmp::Ordering::Equal => {
                let what = "more problems than are shown".to_owned();
                self.summary.problems.push(Problem { place, kind: ProblemKind::More, what });
            }
            std::cmp::Ordering::Greater => {}
        }
    }

    pub(crate) fn finish(mut self) -> Summary {
        if !self.batch.is_empty() {
            (self.send)(std::mem::take(&mut self.batch));
        }
        self.summary
    }
}

/// Reads every file of CloudTrail below `root`, or `root` itself, and hands events to `take` in no particular order.
///
/// Digest files and files of other kinds are passed over; the latter are reported.
#[must_use]
pub fn read(root: &Path, options: &Options, mut take: impl FnMut(Event)) -> Summary {
    let (found, problems) = files::walk(root);
    let incomplete = problems.iter().map(|problem| problem.place.file.to_string()).collect();
    let mut summary = Summary { problems, incomplete, ..Summary::default() };
    let next = AtomicUsize::new(0);
    let threads = options.threads.clamp(1, found.len().max(1));
    let (events, receive) = mpsc::sync_channel::<Vec<Event>>(2 * threads);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (events, next, found) = (events.clone(), &next, &found);
                scope.spawn(move || {
                    let mut all = Summary::default();
                    let mut buffer = Vec::new();
                    let mut send = |batch| drop(events.send(batch));
                    while let Some(file) = found.get(next.fetch_add(1, Ordering::Relaxed)) {
                        all.add(read_file(file, options, &mut buffer, &mut send));
                    }
                    all
                })
            })
            .collect();
        drop(events);
        for batch in receive {
            batch.into_iter().for_each(&mut take);
        }
        for worker in workers {
            match worker.join() {
                Ok(part) => summary.add(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    summary.problems.sort_by(|a, b| a.place.cmp(&b.place));
    summary
}

/// Reads records from anywhere, such as lines that were added to a file, and hands events to `take`. `name` is where
/// they are said to be from.
#[must_use]
pub fn read_records(
    name: &str,
    source: impl std::io::Read,
    options: &Options,
    mut take: impl FnMut(Event),
) -> Summary {
    let mut send = |batch: Vec<Event>| batch.into_iter().for_each(&mut take);
    let mut sink = Sink::new(crate::problem::quoted(name).into(), &mut send);
    cloudtrail::read_stream(source, options, &mut Vec::new(), &mut sink);
    sink.finish()
}

fn read_file(
    file: &Found,
    options: &Options,
    buffer: &mut Vec<u8>,
    send: &mut dyn FnMut(Vec<Event>),
) -> Summary {
    let mut sink = Sink::new(Arc::clone(&file.name), send);
    let name = file.name.rsplit('/').next().unwrap_or(&file.name).to_ascii_lowercase();
    if name.contains("_cloudtrail-digest_") {
        sink.summary.digests = 1;
        return sink.finish();
    }
    if name.ends_with(".metadata.json") || name == "public-keys.json" {
        return sink.finish();
    }
    let known = [".json", ".json.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".log", ".log.gz"];
    if !known.iter().any(|ending| name.ends_with(ending)) {
        sink.problem(ProblemKind::NotATrail, "left out: its name is none of a trail's files".into(), 0);
        return sink.finish();
    }
    match files::open(&file.path) {
        Ok(source) => cloudtrail::read_stream(source, options, buffer, &mut sink),
        Err(error) => {
            let (kind, what) = files::problem_of(&error);
            sink.problem(kind, what, 0);
        }
    }
    sink.finish()
}
