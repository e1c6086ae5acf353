//! A few threads over a list of items.

use crate::{
    error::{Result, VaultError},
    progress::Cancel,
};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Threads for work that waits for the store most of the time.
pub(crate) const WAITING_THREADS: usize = 16;

/// Runs `work` over all items on up to `threads` threads, each with a state of its own. The first
/// failure stops all.
pub(crate) fn for_each_with<T: Sync, S>(
    threads: usize,
    items: &[T],
    cancel: &Cancel,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut state = start();
        while let Some(item) = items.get(next.fetch_add(1, Relaxed)) {
            let result =
                if cancel.is_requested() { Err(VaultError::Cancelled) } else { work(&mut state, item) };
            if let Err(error) = result {
                next.store(items.len(), Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    let threads = threads.clamp(1, items.len().max(1));
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(&run)).collect();
        let mut result = run();
        for other in others {
            let other = other.join().unwrap_or(Err(VaultError::Bug("a worker panicked")));
            if result.is_ok() {
                result = other;
            }
        }
        result
    })
}

/// Maps all items, in order.
pub(crate) fn map<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    cancel: &Cancel,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let numbers: Vec<usize> = (0..items.len()).collect();
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    for_each_with(
        threads,
        &numbers,
        cancel,
        || (),
        |(), number| {
            let result = work(&items[*number])?;
            results.lock().unwrap_or_else(PoisonError::into_inner)[*number] = Some(result);
            Ok(())
        },
    )?;
    Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect())
}
