//! The ledger, from hashes to stores.

mod entries;
mod faults;
mod notes;
mod spooling;
mod trees;
mod verifying;
mod witnesses;
mod writing;
