//! Trails: what key providers recorded of the uses of keys, and whether it is what our ledger says.
//!
//! In scope: one [`event`] model; readers of CloudTrail ([`cloudtrail`]), of OpenBao's audit devices ([`audit`]), of
//! Google's and Azure's logs ([`others`]); the verification of CloudTrail's digests ([`digest`]); what a trail covers
//! ([`coverage`]); the join with the ledger ([`reconcile`]); detections ([`detect`]); reports ([`report`]).
//!
//! Out of scope: fetching anything, printing, and every key: this crate reads what lies in local files, and of ours it
//! knows the ledger's entries only.
//!
//! - Invariant: nothing is passed over in silence. What could not be read is a [`problem::Problem`] with its place.
//! - Invariant: absence proves something only where the trail is whole.

pub mod audit;
pub mod cloudtrail;
pub mod coverage;
pub mod detect;
pub mod digest;
pub mod event;
pub mod files;
pub mod limits;
pub mod names;
pub mod others;
pub mod problem;
mod reading;
pub mod reconcile;
pub mod records;
pub mod report;

pub use reading::{Options, Summary, read, read_records};
