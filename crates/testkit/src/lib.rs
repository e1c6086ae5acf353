//! Strongroom: testkit.
