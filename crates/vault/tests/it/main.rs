//! The vault's integration tests, in one binary.

mod round_trip;
mod store;
