//! Strongroom: custody.
