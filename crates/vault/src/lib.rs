//! Strongroom: vault.

pub mod fs;
