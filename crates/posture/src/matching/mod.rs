//! Matching: wildcards, ARNs and policy variables.
//!
//! Out of scope: which part of a statement is matched against what; see [`evaluate`](crate::evaluate).
//!
//! Invariant: matching takes time of at most the product of both lengths, whatever the pattern.

mod glob;
mod template;

pub use glob::Glob;
pub use template::{Substitute, Template, Wildcards};
