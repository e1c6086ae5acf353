//! The vault's integration tests, in one binary.

#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod check;
mod damage;
mod prune;
mod prune_model;
mod repair;
mod round_trip;
mod snapshots;
mod store;
