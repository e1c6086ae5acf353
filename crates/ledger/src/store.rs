//! Where a ledger lies: names to bytes, with one operation that decides between writers.
//!
//! What every store promises:
//! - [`LedgerStore::put_new`] creates an object whole or not at all, and has made it durable when it returns, also
//!   where it found one.
//! - [`LedgerStore::swap`] replaces an object only where it still has the version that the caller saw.
//! - A write is visible to every reader as soon as it has returned.
//! - After an error nobody knows whether a write took effect.

mod local;
pub mod memory;
#[cfg(feature = "object-store")]
mod object;

use async_trait::async_trait;
use bytes::Bytes;
use std::{fmt::Debug, sync::Arc};
use thiserror::Error;

pub use local::LocalLedger;
#[cfg(feature = "object-store")]
pub use object::BucketLedger;

/// The version of an object; means something to its store only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

/// An object.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its version.
    pub version: Version,
}

/// How a creation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// The object holds the bytes given.
    New,
    /// There was one already, and it was left alone.
    Exists,
}

/// How a replacement ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Swapped {
    /// The object holds the bytes given, and has this version.
    Done(Version),
    /// It had another version, and was left alone.
    Lost,
}

/// Why a store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It said no.
    Denied,
    /// Something else.
    Failed,
    /// The object is larger than it may be.
    TooLarge,
    /// It does not answer.
    Unreachable,
}

/// A failure of a store.
#[derive(Debug, Error)]
#[error("{} `{name}` in {store}", self.words())]
pub struct StoreError {
    /// Why.
    pub cause: Cause,
    /// What was done, such as `read`.
    pub operation: &'static str,
    /// The object.
    pub name: String,
    /// The store.
    pub store: String,
    /// What lies beneath.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    fn words(&self) -> String {
        let operation = self.operation;
        match self.cause {
            Cause::Denied => format!("the store does not let us {operation}"),
            Cause::Failed => format!("cannot {operation}"),
            Cause::TooLarge => format!("it is too large: cannot {operation}"),
            Cause::Unreachable => format!("the store does not answer: cannot {operation}"),
        }
    }
}

/// A ledger's objects.
#[async_trait]
pub trait LedgerStore: Send + Sync + Debug {
    /// Reads an object of at most `max_len` bytes; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn get(&self, name: &str, max_len: usize) -> Result<Option<Stored>, StoreError>;

    /// Creates an object.
    ///
    /// # Errors
    /// [`StoreError`]; it may or may not have been created.
    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError>;

    /// Replaces an object that has the version `expected`, or creates one where none is expected.
    ///
    /// # Errors
    /// [`StoreError`]; it may or may not have been replaced, or may be later.
    async fn swap(&self, name: &str, expected: Option<&Version>, bytes: Bytes)
    -> Result<Swapped, StoreError>;

    /// The names that begin with `prefix`, which ends in a slash.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;

    /// Removes an object, if there is one.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn delete(&self, name: &str) -> Result<(), StoreError>;

    /// The store in messages.
    fn describe(&self) -> String;
}

#[async_trait]
impl<S: LedgerStore + ?Sized> LedgerStore for Arc<S> {
    async fn get(&self, name: &str, max_len: usize) -> Result<Option<Stored>, StoreError> {
        (**self).get(name, max_len).await
    }

    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        (**self).put_new(name, bytes).await
    }

    async fn swap(
        &self,
        name: &str,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Swapped, StoreError> {
        (**self).swap(name, expected, bytes).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        (**self).list(prefix).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        (**self).delete(name).await
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}
