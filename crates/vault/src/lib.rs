//! Strongroom: vault.

pub mod store;
