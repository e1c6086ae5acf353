//! How far a long operation has come, and whether it has been asked to stop.
//!
//! In scope: counters that many threads bump at the price of one relaxed atomic, and a flag that
//! they poll. Out of scope: terminals, clocks and rates, which belong to whoever displays them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// A snapshot of [`Counters`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files finished.
    pub files_done: u64,
    /// Files found so far.
    pub files_total: u64,
    /// Bytes of content finished.
    pub bytes_done: u64,
    /// Bytes of content found so far.
    pub bytes_total: u64,
    /// Files or objects that could not be handled and were reported.
    pub problems: u64,
    /// Whether the totals will not grow any more, so that percent and time left mean something.
    pub totals_final: bool,
}

/// Counters of one running operation.
#[derive(Debug, Default)]
pub struct Counters {
    files_done: AtomicU64,
    files_total: AtomicU64,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    files_expected: AtomicU64,
    bytes_expected: AtomicU64,
    problems: AtomicU64,
    totals_final: AtomicBool,
    current: Mutex<Vec<u8>>,
}

impl Counters {
    /// Counters that stand at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A finished file; its bytes are counted as they are handled, by [`Self::bytes_done`].
    pub fn file_done(&self) {
        self.files_done.fetch_add(1, Relaxed);
    }

    /// Content that has been handled.
    pub fn bytes_done(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Relaxed);
    }

    /// Work that has been found: `files` files with `bytes` bytes of content.
    pub fn found(&self, files: u64, bytes: u64) {
        self.files_total.fetch_add(files, Relaxed);
        self.bytes_total.fetch_add(bytes, Relaxed);
    }

    /// Nothing more will be found.
    pub fn totals_final(&self) {
        self.totals_final.store(true, Relaxed);
    }

    /// All that there is, counted ahead: the totals, unless more is found.
    pub fn expect(&self, files: u64, bytes: u64) {
        self.files_expected.store(files, Relaxed);
        self.bytes_expected.store(bytes, Relaxed);
        self.totals_final();
    }

    /// Something that could not be handled, and was reported.
    pub fn problem(&self) {
        self.problems.fetch_add(1, Relaxed);
    }

    /// Names what is being handled now: a path or an object name, as its raw bytes.
    ///
    /// Never waits: where another thread is naming its own, this name is dropped.
    pub fn set_current(&self, name: impl AsRef<[u8]>) {
        if let Ok(mut current) = self.current.try_lock() {
            current.clear();
            current.extend_from_slice(name.as_ref());
        }
    }

    /// What was named last, raw: not safe to print to a terminal.
    #[must_use]
    pub fn current(&self) -> Vec<u8> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All counts. They are read one by one, so that they may be a few units apart.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            files_done: self.files_done.load(Relaxed),
            files_total: self.files_total.load(Relaxed).max(self.files_expected.load(Relaxed)),
            bytes_done: self.bytes_done.load(Relaxed),
            bytes_total: self.bytes_total.load(Relaxed).max(self.bytes_expected.load(Relaxed)),
            problems: self.problems.load(Relaxed),
            totals_final: self.totals_final.load(Relaxed),
        }
    }
}

/// A request to stop, which long operations poll between units of work.
///
/// Stopping is a normal end: what is durable stays valid, and what is not was never referenced.
#[derive(Debug, Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    /// Nobody has asked to stop.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Asks to stop. Returns whether this was the first request.
    pub fn request(&self) -> bool {
        !self.0.swap(true, Relaxed)
    }

    /// Whether somebody has asked to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_many_threads_add_up() {
        let counters = Counters::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counters.found(1, 10);
                        counters.set_current(b"name\xff");
                        counters.bytes_done(10);
                        counters.file_done();
                    }
                });
            }
        });
        counters.problem();
        counters.totals_final();
        let expected = Counts {
            files_done: 4000,
            files_total: 4000,
            bytes_done: 40_000,
            bytes_total: 40_000,
            problems: 1,
            totals_final: true,
        };
        assert_eq!(counters.counts(), expected);
        assert_eq!(counters.current(), b"name\xff");
        counters.expect(5000, 30_000);
        let counts = counters.counts();
        assert_eq!((counts.files_total, counts.bytes_total), (5000, 40_000));
    }

    #[test]
    fn only_the_first_request_is_the_first() {
        let cancel = Cancel::new();
        assert!(!cancel.is_requested());
        assert!(cancel.request());
        assert!(!cancel.request());
        assert!(cancel.is_requested());
    }
}
