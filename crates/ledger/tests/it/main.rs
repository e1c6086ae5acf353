//! The ledger, from hashes to stores.
#![allow(clippy::unwrap_used, reason = "tests may")]

mod entries;
mod faults;
mod notes;
mod spooling;
mod trees;
mod verifying;
mod witnesses;
mod writing;
