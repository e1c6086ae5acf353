//! The vault's integration tests, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic, in its helpers too")]

mod changes;
mod check;
mod check_support;
mod concurrent;
mod crash;
mod damage;
mod faults;
mod file_system;
mod hostile_tree;
mod leases;
mod lifecycle;
mod pins;
mod prune;
mod prune_model;
mod recorder;
mod repair;
mod round_trip;
mod shred;
mod snapshots;
mod stolen_host;
mod store;
mod support;
mod wrong_key;
