//! The engine: chunking, storage, backup, restore, check, prune, and the local file system.
//!
//! In scope: everything between a source of files and the objects of a vault. Out of scope: keys and
//! policies, which are `custody`'s, and everything a person sees, which is the command line's.

pub mod access;
pub mod backup;
pub mod browse;
pub mod chunker;
pub mod error;
pub mod fs;
pub mod groups;
pub mod handle;
pub mod index;
pub mod monitor;
pub mod packer;
pub mod progress;
pub mod restore;
pub mod session;
pub mod sink;
pub mod store;
pub mod tree;

pub use error::{Result, VaultError};
