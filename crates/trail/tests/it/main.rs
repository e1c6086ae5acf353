//! The crate as its callers see it.

mod common;
mod detect;
mod join;
mod read;
mod report;
