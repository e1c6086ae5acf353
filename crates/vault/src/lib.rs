//! The engine: chunking, storage, backup, restore, check, prune, and the local file system.
//!
//! In scope: everything between a source of files and the objects of a vault. Out of scope: keys and
//! policies, which are `custody`'s, and everything a person sees, which is the command line's.

pub mod access;
pub mod backup;
pub mod browse;
pub mod changes;
pub mod check;
pub mod chunker;
pub mod copy;
mod epochs;
pub mod error;
pub mod fs;
pub mod groups;
pub mod handle;
mod health;
pub mod index;
pub mod keyring;
mod lease;
pub mod ledger;
mod marks;
pub mod monitor;
pub mod packer;
pub mod pins;
mod pool;
pub mod progress;
pub mod prove;
pub mod prune;
pub mod read_keys;
pub mod repair;
pub mod restore;
pub mod rewrap;
mod segments;
pub mod session;
pub mod shred;
pub mod sink;
pub mod snapshots;
pub mod stats;
pub mod store;
pub mod tree;
mod walk;

pub use error::{Result, VaultError};
