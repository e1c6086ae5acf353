//! The ledger, from hashes to stores.
#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

mod entries;
mod faults;
mod notes;
mod spooling;
mod trees;
mod verifying;
mod witnesses;
mod writing;
