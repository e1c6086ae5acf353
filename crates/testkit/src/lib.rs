//! For tests only: stores that fail, crash, count and refuse; conformance suites; real services.
//!
//! A suite takes whatever it tests behind its trait and panics at the first promise that is broken, so
//! the same function runs on the fakes and on the real services.

pub mod fuzz;
pub mod holder;
pub mod services;
pub mod store;
pub mod vault;
