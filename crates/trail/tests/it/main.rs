//! The crate as its callers see it.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

mod common;
mod detect;
mod join;
mod read;
mod report;
mod services;
