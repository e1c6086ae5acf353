//! What can be wrong with a ledger, and what somebody must have done for it.

use crate::{entry::EntryError, error::LedgerError};
use std::fmt;

/// What somebody must have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attack {
    /// An entry was changed.
    Alteration,
    /// A checkpoint was signed by another key, or by none.
    Forgery,
    /// Two histories were made out of one.
    Fork,
    /// Something was written that no writer of ledgers writes.
    Injection,
    /// Entries changed places.
    Reordering,
    /// An entry was written again.
    Replay,
    /// An older state was put in the place of a newer one.
    Rollback,
    /// Objects were removed.
    Truncation,
}

impl Attack {
    /// Its name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alteration => "alteration",
            Self::Forgery => "forgery",
            Self::Fork => "fork",
            Self::Injection => "injection",
            Self::Reordering => "reordering",
            Self::Replay => "replay",
            Self::Rollback => "rollback",
            Self::Truncation => "truncation",
        }
    }

    /// What a verification that stopped says about it; `None` where the ledger was out of reach.
    #[must_use]
    pub fn of(error: &LedgerError) -> Option<Self> {
        match error {
            LedgerError::Checkpoint { .. } => Some(Self::Forgery),
            LedgerError::Fork { .. } => Some(Self::Fork),
            LedgerError::Rollback { .. } => Some(Self::Rollback),
            LedgerError::Damaged { .. } | LedgerError::Spool { .. } => Some(Self::Alteration),
            LedgerError::Missing(_) => Some(Self::Truncation),
            _ => None,
        }
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// An entry is not what the ledger committed to.
    Altered {
        /// Its place.
        index: u64,
    },
    /// An entry is none, or not in canonical form.
    Malformed {
        /// Its place.
        index: u64,
        /// What is wrong.
        error: EntryError,
    },
    /// A bundle or a tile is gone, or cut.
    Missing {
        /// Its name.
        name: String,
    },
    /// Entries of one bundle changed places.
    Reordered {
        /// The first that is out of place.
        first: u64,
        /// The last.
        last: u64,
    },
    /// An entry is there twice.
    Replayed {
        /// The second place.
        index: u64,
        /// The first.
        first: u64,
    },
    /// Entries and tiles agree with each other, and not with the signed checkpoint.
    Rewritten,
    /// A tile is not what its entries lead to, which are right.
    Tile {
        /// Its name.
        name: String,
    },
    /// The outcome of a key use that no intent announced.
    Unannounced {
        /// Its place.
        index: u64,
    },
}

impl Finding {
    /// What somebody must have done.
    #[must_use]
    pub fn attack(&self) -> Attack {
        match self {
            Self::Altered { .. } | Self::Rewritten | Self::Tile { .. } => Attack::Alteration,
            Self::Malformed { .. } | Self::Unannounced { .. } => Attack::Injection,
            Self::Missing { .. } => Attack::Truncation,
            Self::Reordered { .. } => Attack::Reordering,
            Self::Replayed { .. } => Attack::Replay,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered { index } => write!(f, "entry {index} is not what the ledger committed to"),
            Self::Malformed { index, error } => write!(f, "entry {index}: {error}"),
            Self::Missing { name } => write!(f, "`{name}` is missing or cut"),
            Self::Reordered { first, last } => write!(f, "entries {first} to {last} changed places"),
            Self::Replayed { index, first } => write!(f, "entry {index} is entry {first} again"),
            Self::Rewritten => f.write_str("entries and tiles do not lead to the signed checkpoint"),
            Self::Tile { name } => write!(f, "`{name}` is not what its entries lead to"),
            Self::Unannounced { index } => {
                write!(f, "entry {index} is the outcome of a key use that no intent announced")
            }
        }
    }
}
