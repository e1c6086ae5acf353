//! How many files the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of files that this process may have open at once.
#[must_use]
pub fn descriptor_limit() -> usize {
    getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Allows this process as many open files as the system lets it have. Shells set the limit far lower, for
/// programs that use `select(2)`; a deep tree needs an open directory for each level. For programs, at their
/// start: the limit belongs to the whole process, and to those that it starts.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // With the old limit, everything still works that does not need more.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}
