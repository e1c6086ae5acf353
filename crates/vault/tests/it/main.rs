//! The vault's integration tests, in one binary.

mod store;
