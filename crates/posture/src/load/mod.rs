//! Loading: from a directory of what the AWS CLI printed to an [`Estate`].
//!
//! Every answer of AWS is recognised by its shape. What it is about is taken from the answer itself where it says so;
//! otherwise, in this order, from
//!
//! 1. ids in the path of the file: account, region, key, root, unit, policy, permission set, or the name of a bucket
//!    or trail that another answer lists; the last one in the path is meant;
//! 2. for the account, a `sts get-caller-identity` in the same directory or the nearest one above it;
//! 3. other answers in the same directory: the one key that is described there under the same file name but for the
//!    words of commands (`prod.describe-key.json`, `prod.get-key-policy.json`), or the only one there; the account
//!    that all of them are about.
//!
//! A directory of iam-collect is recognised by its paths (`aws/aws/accounts/…`), and read together with what else lies
//! there: it has no grants, no states of keys and no aliases.
//!
//! What cannot be placed is named and counts as missing. Where two answers contradict each other, the first in the
//! order of file names is kept, and the contradiction is named.
//!
//! Invariant: the order in which files are given or read changes nothing.
//!
//! Invariant: no input makes it panic, and nothing is allocated by what a file says of its own size. Links are not
//! followed.

mod assemble;
mod hints;
mod intern;
pub(crate) mod json;
mod limits;
mod read;
mod record;
mod text;
mod walk;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

pub use limits::Limits;

use crate::estate::{Estate, Problem, ProblemKind};
use hints::Hints;
use intern::Interner;
use read::Reading;
use record::{Located, Trouble};

/// Why nothing could be loaded at all.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The directory could not be listed.
    #[error("cannot list the directory")]
    Directory(#[source] io::Error),
}

/// What one file says.
#[derive(Debug)]
struct FileRead {
    file: Arc<str>,
    hints: Hints,
    records: Vec<Located>,
    troubles: Vec<Trouble>,
}

impl FileRead {
    fn failed(problem: Problem) -> Self {
        let trouble = Trouble { problem: problem.clone(), kind: None, account: None };
        Self {
            hints: Hints::of(&problem.file),
            file: problem.file,
            records: Vec::new(),
            troubles: vec![trouble],
        }
    }
}

/// Loads every file below a directory.
///
/// # Errors
///
/// Fails only if the directory itself cannot be listed. Everything else is a [`Problem`] of the estate.
pub fn load_directory(root: &Path, limits: &Limits) -> Result<Estate, LoadError> {
    let mut problems = Vec::new();
    let found = walk::files(root, limits, &mut problems).map_err(LoadError::Directory)?;
    let interner = Interner::new();
    let budget = Budget::new(limits.bytes_at_once);
    let mut read = in_parallel(limits.threads, &found, |found| {
        let _share = budget.take(found.bytes);
        match walk::read(found, limits) {
            Ok(bytes) => read_file(&found.name, bytes, &interner, limits),
            Err(problem) => FileRead::failed(problem),
        }
    });
    read.extend(problems.into_iter().map(FileRead::failed));
    drop(interner);
    Ok(assemble::assemble(read))
}

/// Loads documents that are in memory: names, which count as paths, and bytes. Limits on files and directories do not
/// apply.
pub fn load_documents(documents: Vec<(String, Vec<u8>)>, limits: &Limits) -> Estate {
    let interner = Interner::new();
    let read = documents
        .into_iter()
        .map(|(name, bytes)| {
            let name: Arc<str> = name.into();
            let most = limits.file_bytes.min(limits::LARGEST_FILE);
            if bytes.len() as u64 > most {
                let detail = format!("more than {most} bytes").into();
                return FileRead::failed(Problem {
                    file: name,
                    place: None,
                    kind: ProblemKind::TooLarge,
                    detail,
                });
            }
            read_file(&name, bytes, &interner, limits)
        })
        .collect();
    assemble::assemble(read)
}

/// Reads one file: one document, or several one after another, as the AWS CLI prints pages.
fn read_file(file: &Arc<str>, bytes: Vec<u8>, interner: &Interner, limits: &Limits) -> FileRead {
    let layout = read::layout(file);
    let hints = match &layout {
        Some(layout) => read::iam_collect_hints(file, layout),
        None => Hints::of(file),
    };
    let (text, not_text) = text::decode(bytes);
    let start = if text.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
    let mut reading = Reading::new(file, &text, interner, &hints);
    let mut at = skip_blanks(&text, start);
    if at == text.len() && not_text.is_none() {
        reading.trouble(at, ProblemKind::Unrecognised, "an empty file");
    } else if !text[at..].starts_with(['{', '[']) && !file.ends_with(".json") {
        reading.trouble(at, ProblemKind::Unrecognised, "no JSON");
        at = text.len();
    }
    while at < text.len() {
        let (tape, end, fault) = json::scan(&text, at, limits);
        if let Some(root) = tape.root() {
            match &layout {
                Some(layout) => read::iam_collect_document(&mut reading, root, layout),
                None => read::document(&mut reading, root),
            }
        }
        if let Some(fault) = fault {
            // Where bytes end that are text, the text ends in the middle: the wrong byte is the cause.
            if not_text.is_none() {
                reading.trouble(fault.offset, fault.kind, fault.what);
            }
            break;
        }
        at = skip_blanks(&text, end);
    }
    if let Some(not_text) = not_text {
        reading.trouble(not_text.offset, ProblemKind::NotText, "from here on; what stands before was read");
    }
    let (records, troubles) = (reading.records, reading.troubles);
    FileRead { file: Arc::clone(file), hints, records, troubles }
}

fn skip_blanks(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start_matches([' ', '\n', '\r', '\t']).len()
}

/// Works on all items with several threads. The results stand in the order of the items.
fn in_parallel<T: Sync, R: Send>(threads: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if threads == 0 { available() } else { threads }.clamp(1, items.len().max(1));
    let next = AtomicUsize::new(0);
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut done = Vec::new();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        match items.get(index) {
                            Some(item) => done.push((index, work(item))),
                            None => return done,
                        }
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// How many bytes of files may be in memory.
struct Budget {
    most: u64,
    taken: Mutex<u64>,
    given_back: Condvar,
}

impl Budget {
    fn new(most: u64) -> Self {
        Self { most, taken: Mutex::new(0), given_back: Condvar::new() }
    }

    /// Waits until there is room. What is more than all room waits until it is alone.
    fn take(&self, bytes: u64) -> Share<'_> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken > 0 && taken.saturating_add(bytes) > self.most {
            taken = self.given_back.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = taken.saturating_add(bytes);
        Share { budget: self, bytes }
    }
}

/// A part of the budget, given back when dropped.
struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut taken = self.budget.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(self.bytes);
        self.budget.given_back.notify_all();
    }
}
