//! How an operation tells what it does and learns that it should stop.

use crate::{
    fs::Problem,
    progress::{Cancel, Counters},
};

/// What the engine reports to while it works.
pub struct Monitor<'a> {
    /// Counters for a progress display.
    pub counters: &'a Counters,
    /// The wish to stop.
    pub cancel: &'a Cancel,
    /// Told of every problem that does not stop the operation.
    pub on_problem: &'a (dyn Fn(Problem) + Sync),
}

impl Monitor<'_> {
    /// Reports a problem.
    pub fn problem(&self, problem: Problem) {
        self.counters.problem();
        (self.on_problem)(problem);
    }
}

impl std::fmt::Debug for Monitor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Monitor({:?})", self.counters.counts())
    }
}
