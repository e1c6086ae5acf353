//! The vault's integration tests, in one binary.

mod check;
mod damage;
mod prune;
mod prune_model;
mod repair;
mod round_trip;
mod snapshots;
mod store;
