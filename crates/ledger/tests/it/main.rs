//! The ledger, from hashes to stores.

mod entries;
mod notes;
mod trees;
mod witnesses;
