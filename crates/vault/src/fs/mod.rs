//! The local file system: what backup reads from and restore writes to.
//!
//! In scope: synchronous primitives on one directory or one file at a time, and the rules that say
//! which paths belong to a backup. Out of scope: threads, chunking, the order of a walk.
//!
//! Two rules hold everywhere:
//!
//! - **Everything goes by directory descriptor and one name.** Only the root of a source or of a target
//!   is ever opened by a path. Below it no call follows a symbolic link, so a tree that changes while it
//!   is read, or an attacker who swaps a link in while it is written, cannot lead outside.
//! - **Names are bytes.** Nothing here needs UTF-8.
//!
//! Linux only for now: directories are read with `getdents64`, and attributes of nodes that must not be
//! opened (devices, pipes) are reached through `/proc/self/fd`.

mod attributes;
mod descriptors;
mod file;
mod filter;
mod glob;
mod marker;
mod nodes;
mod pattern;
mod problem;
mod read;
mod remove;
mod stat;
mod target;
mod xattr;

#[cfg(test)]
mod tests;

pub use self::{
    attributes::Ownership,
    descriptors::{descriptor_limit, raise_descriptor_limit},
    file::OpenFile,
    filter::{Crossing, Decision, Filter, FilterBuilder, FilterError, parse_size},
    marker::{Marker, MarkerError},
    nodes::Outcome,
    pattern::PatternError,
    problem::Problem,
    read::{Dir, ListBuffer, Listed, Listing},
    stat::{FileKind, Stat, entry_from},
    target::{MadeDir, Overwrite, TargetDir, TargetFile},
    xattr::Xattrs,
};
