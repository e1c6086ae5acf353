//! The `strongroom` command: arguments in, library calls, output and an exit code out.
//!
//! In scope: everything that touches a terminal, the environment, the home directory or the process.
//! Out of scope: whatever a program other than a terminal user could want, which is in the libraries.

pub mod approvals;
pub mod archive;
pub mod args;
pub mod browse;
pub mod bug;
pub mod catalog;
pub mod commands;
pub mod config;
pub mod demo;
pub mod env;
pub mod error;
pub mod escape;
pub mod exchange;
pub mod keyholders;
pub mod keys;
pub mod ledger;
mod local_files;
pub mod memory;
pub mod messages;
pub mod mounted;
pub mod operation;
pub mod output;
pub mod pins;

pub mod policies;
pub mod progress;
pub mod provider_keys;
pub mod reading;
pub mod retention;
pub mod retention_span;
pub mod secrets;
pub mod session;
pub mod settings;
pub mod settings_table;
pub mod signals;
pub mod snapshot_spec;
pub mod stream;
pub mod suggest;
pub mod trails;
pub mod units;
pub mod whoami;

mod run;

pub use run::main;
