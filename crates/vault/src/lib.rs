//! Strongroom: vault.
