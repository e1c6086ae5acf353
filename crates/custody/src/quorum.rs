//! A quorum without meeting: a request for keys, the approvals of custodians, and what they open together.
//!
//! - A [`Request`] says who wants to read what, why, and until when. It holds the wrapped keys, public as they are,
//!   and the public half of a key pair that the requester made for it.
//! - A custodian reviews it, opens his own part with his own keyholder, on a machine that may be offline, and seals
//!   it to that public key: an [`Approval`].
//! - A [`Gathering`] takes approvals in any order, and once they satisfy the policy, opens them, once, in time.
//!
//! In scope: the documents and the state. Out of scope: files, clocks, and how documents travel.
//!
//! What an approval is worth: the part that it holds opens what its context says, and nothing else, because the wrap is
//! bound to vault, dataset, purpose and epoch. Who the requester is cannot be told from a request: a custodian
//! compares its id with the requester by another way than the one by which the request came.

mod approval;
mod approved;
mod gathering;
mod request;

pub use approval::Approval;
pub use approved::ApprovedKeyholder;
pub use gathering::{Gathering, Parts, Progress};
pub use request::{DRILL_KEY, Request, RequestId, RequestedKey, SIGNING_KEY};

use thiserror::Error;

/// Why a request or an approval is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// It does not have the form that it must have.
    #[error("{document} is malformed: {what}")]
    Malformed {
        /// `the request` or `the approval`.
        document: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The time of the request is over.
    #[error("the request expired at {0}")]
    Expired(jiff::Timestamp),
    /// An approval of another request.
    #[error("the approval of `{holder}` belongs to another request: {found}")]
    OtherRequest {
        /// Whose approval.
        holder: String,
        /// The request that it approves.
        found: RequestId,
    },
    /// The custodian has no part in the keys that are requested.
    #[error("`{0}` has no part in the keys that are requested")]
    WrongCustodian(String),
    /// An approval that does not open, or opens to something else.
    #[error("the approval of `{0}` does not open to its part: it was changed, or made with another key")]
    Tampered(String),
    /// Two approvals of one custodian that differ.
    #[error("`{0}` has approved already, with other bytes")]
    Conflict(String),
    /// The approvals do not satisfy the policy.
    #[error("the approvals so far do not satisfy `{0}`")]
    Unmet(String),
    /// The request was used.
    #[error("the request was used already: it opens once")]
    Used,
}
