//! What can go wrong with a store.
//!
//! *Denied is not unreachable*: a store that answers "no" is never retried, a store that cannot be
//! reached is; the two never share a variant.

use std::fmt;
use thiserror::Error;

/// The cause beneath a [`StoreError`].
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What was asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Removing an object.
    Delete,
    /// Reading a whole object.
    Get,
    /// Reading a part of an object.
    GetRange,
    /// Listing objects.
    List,
    /// Opening the store itself.
    Open,
    /// Writing an object, whether or not it existed.
    Put,
    /// Creating an object that must not exist yet.
    PutNew,
    /// Looking up an object's size and age.
    Stat,
}

impl Operation {
    /// Whether the operation changes the store.
    #[must_use]
    pub const fn is_mutation(self) -> bool {
        matches!(self, Self::Delete | Self::Put | Self::PutNew)
    }

    const fn doing(self) -> &'static str {
        match self {
            Self::Delete => "deleting",
            Self::Get | Self::GetRange => "reading",
            Self::List => "listing",
            Self::Open => "opening",
            Self::Put | Self::PutNew => "writing",
            Self::Stat => "looking up",
        }
    }
}

/// Where an error happened: doing what, to which object, in which store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// What was asked.
    pub operation: Operation,
    /// The object's name, or the prefix of a listing; empty for the store itself.
    pub name: String,
    /// [`Store::describe`](super::Store::describe) of the store: never holds a secret.
    pub store: String,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = self.operation.doing();
        if self.name.is_empty() {
            write!(f, "{doing} {}", self.store)
        } else {
            write!(f, "{doing} `{}` in {}", self.name, self.store)
        }
    }
}

/// A store did not do what was asked of it.
///
/// After an error from a mutation its effect is unknown, except for [`Denied`](Self::Denied) and
/// [`InvalidName`](Self::InvalidName), which had none.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store holds, or received, other bytes than it should.
    #[error("{at}: the bytes are damaged: {reason}")]
    Corrupt {
        /// Where.
        at: Box<At>,
        /// What does not fit.
        reason: String,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
    /// The store answered "no": not retried.
    #[error("{at}: permission denied: {reason}")]
    Denied {
        /// Where.
        at: Box<At>,
        /// The store's own words.
        reason: String,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
    /// No space, or a quota, is left.
    #[error("{at}: the store is full: {reason}")]
    Full {
        /// Where.
        at: Box<At>,
        /// The store's own words.
        reason: String,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
    /// The name breaks the rules of [`check_name`](super::check_name).
    #[error("{at}: the name is not allowed: {reason}")]
    InvalidName {
        /// Where.
        at: Box<At>,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// There is no such object.
    #[error("{at}: there is no such object")]
    NotFound {
        /// Where.
        at: Box<At>,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
    /// Anything else.
    #[error("{at}: {reason}")]
    Other {
        /// Where.
        at: Box<At>,
        /// What happened.
        reason: String,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
    /// The object ends before the range that was asked for does.
    #[error("{at}: the object ends before byte {end}")]
    OutOfRange {
        /// Where.
        at: Box<At>,
        /// The end of the range, in bytes from the start of the object.
        end: u64,
    },
    /// The store asked for fewer requests for as long as the retries lasted.
    #[error("{at}: the store is too busy, after {attempts} attempts: {reason}")]
    Throttled {
        /// Where.
        at: Box<At>,
        /// How often it was tried.
        attempts: u32,
        /// The store's own words.
        reason: String,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
    /// The object is larger than the caller allows.
    #[error("{at}: the object has {size} bytes, more than the {limit} that are allowed here")]
    TooLarge {
        /// Where.
        at: Box<At>,
        /// The object's size in bytes.
        size: u64,
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// The store could not be reached, or failed, for as long as the retries lasted.
    #[error("{at}: the store could not be reached, after {attempts} attempts: {reason}")]
    Unreachable {
        /// Where.
        at: Box<At>,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt met.
        reason: String,
        /// The cause.
        #[source]
        source: Option<Source>,
    },
}

impl StoreError {
    /// Where the error happened.
    #[must_use]
    pub fn at(&self) -> &At {
        match self {
            Self::Corrupt { at, .. }
            | Self::Denied { at, .. }
            | Self::Full { at, .. }
            | Self::InvalidName { at, .. }
            | Self::NotFound { at, .. }
            | Self::Other { at, .. }
            | Self::OutOfRange { at, .. }
            | Self::Throttled { at, .. }
            | Self::TooLarge { at, .. }
            | Self::Unreachable { at, .. } => at,
        }
    }

    /// Whether the object does not exist.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the store refused.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }

    /// Whether trying again later may succeed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unreachable { .. })
    }

    /// The same error with the number of attempts that were made.
    pub(super) fn after(mut self, made: u32) -> Self {
        if let Self::Throttled { attempts, .. } | Self::Unreachable { attempts, .. } = &mut self {
            *attempts = made;
        }
        self
    }
}
