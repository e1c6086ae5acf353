//! The work that is left, shared by all workers: last in, first out, so that few directories are open.

use std::sync::{
    Condvar, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

/// A stack of tasks that idle workers wait at.
#[derive(Debug)]
pub(super) struct Queue<T> {
    tasks: Mutex<Vec<T>>,
    changed: Condvar,
    closed: AtomicBool,
    idle: AtomicUsize,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            tasks: Mutex::new(Vec::new()),
            changed: Condvar::new(),
            closed: AtomicBool::new(false),
            idle: AtomicUsize::new(0),
        }
    }

    /// Adds tasks; the last of them is taken first.
    pub(super) fn push_all(&self, tasks: impl IntoIterator<Item = T>) {
        let mut stack = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = stack.len();
        stack.extend(tasks);
        let added = stack.len() - before;
        drop(stack);
        if added > 0 && self.idle.load(Relaxed) > 0 {
            self.changed.notify_all();
        }
    }

    /// Takes a task, waiting for one; `None` once the queue is closed.
    pub(super) fn take(&self) -> Option<T> {
        let mut stack = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.closed.load(Relaxed) {
                return None;
            }
            if let Some(task) = stack.pop() {
                return Some(task);
            }
            self.idle.fetch_add(1, Relaxed);
            stack = self.changed.wait(stack).unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Relaxed);
        }
    }

    /// Ends the work: every worker's next [`Queue::take`] gives `None`.
    pub(super) fn close(&self) {
        let _stack = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(true, Relaxed);
        self.changed.notify_all();
    }

    /// Whether the work has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }
}
