//! Strongroom: vault.

pub mod progress;
