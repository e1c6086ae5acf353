//! What can go wrong with a ledger as a whole.

use crate::{
    checkpoint::{Checkpoint, CheckpointError},
    entry::EntryError,
    store::StoreError,
    tree::ProofError,
};
use std::sync::Arc;
use thiserror::Error;

/// A ledger could not be used, or is not to be trusted.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// There is none.
    #[error("there is no ledger in {0}")]
    Missing(String),
    /// It may not be written from here, for this reason.
    #[error("{0}")]
    Closed(String),
    /// There is one already.
    #[error("there is a ledger in {0} already")]
    Exists(String),
    /// The store failed before anything was written.
    #[error("the ledger cannot be reached")]
    Store(#[source] Arc<StoreError>),
    /// A write got no answer that says whether it took effect, and neither did looking for it.
    #[error("nobody knows whether the entries were written")]
    Unknown(#[source] Arc<StoreError>),
    /// Too many other writers came first, again and again.
    #[error("other writers came first {0} times in a row")]
    Crowded(u32),
    /// A checkpoint is not to be believed.
    #[error("`{name}` is not to be believed")]
    Checkpoint {
        /// The object.
        name: String,
        /// Why.
        #[source]
        source: CheckpointError,
    },
    /// An entry may not be written.
    #[error("the entry cannot be written")]
    Entry(#[from] EntryError),
    /// An object does not hold what the ledger committed to.
    #[error("`{name}` is damaged: {what}")]
    Damaged {
        /// The object.
        name: String,
        /// In which way.
        what: String,
    },
    /// The ledger is older than one that was seen before.
    #[error("the ledger was rolled back: it has {found}, and had {remembered}")]
    Rollback {
        /// What was found.
        found: Box<Checkpoint>,
        /// What was seen before.
        remembered: Box<Checkpoint>,
    },
    /// The ledger does not continue one that was seen before.
    #[error("the ledger was forked or rewritten: {found} does not continue {remembered}")]
    Fork {
        /// What was found.
        found: Box<Checkpoint>,
        /// What was seen before.
        remembered: Box<Checkpoint>,
    },
    /// A proof cannot be made.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A writer was stopped while it wrote for this one.
    #[error("writing was stopped half-way")]
    Stopped,
    /// A file of this host failed.
    #[error("{path} failed")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A spool is not what it was.
    #[error("the spool {path} is damaged at record {record}: {what}")]
    Spool {
        /// The file.
        path: String,
        /// The record, from 0.
        record: u64,
        /// In which way.
        what: String,
    },
}

impl LedgerError {
    pub(crate) fn store(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }

    pub(crate) fn damaged(name: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged { name: name.into(), what: what.into() }
    }

    /// Whether the ledger itself is not what it should be, as opposed to out of reach.
    #[must_use]
    pub fn is_integrity(&self) -> bool {
        matches!(
            self,
            Self::Checkpoint { .. }
                | Self::Damaged { .. }
                | Self::Rollback { .. }
                | Self::Fork { .. }
                | Self::Spool { .. }
        )
    }
}
