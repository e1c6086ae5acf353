//! Where a vault's objects lie: a directory, or a bucket.
//!
//! In scope: names to bytes, atomically and durably, over four kinds of store behind one small
//! trait. Out of scope: what the bytes mean, whether they are whole (names and seals say that),
//! and any cache.
//!
//! What every store promises:
//! - [`Store::put_new`] creates an object whole or not at all, never replaces one, and has made it
//!   durable when it returns [`Put::Created`] *or* [`Put::Exists`].
//! - An error after a mutation means that its effect is unknown, so callers must be able to repeat it.
//! - A write is visible to every reader, and in every listing, as soon as it has returned.
//! - Nothing needs the permission to delete, except [`Store::delete`].

mod blocking;
mod classify;
mod connect;
mod credentials;
mod error;
mod local;
mod location;
pub mod memory;
mod name;
mod remote;
mod retry;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use std::fmt::Debug;
use std::sync::Arc;

pub use blocking::Blocking;
pub use connect::{S3Access, open, open_ledger, open_s3};
pub use error::{At, Operation, Source, StoreError};
pub use local::LocalStore;
pub use location::{Location, LocationError};
pub use memory::Memory;
pub use name::{MAX_NAME_LEN, MAX_SEGMENT_LEN, check_name, check_prefix};
pub use remote::RemoteStore;
pub use retry::RetryPolicy;

/// The largest object that a store must hold: 512 MiB, far below what one PUT may carry on S3
/// (5 GiB), Azure (5,000 MiB) and GCS, so that no object needs a multipart upload.
pub const MAX_OBJECT_LEN: u64 = 512 << 20;

/// How a conditional creation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Put {
    /// The object did not exist, and now holds the bytes given.
    Created,
    /// An object of that name was there already, and was left alone.
    Exists,
}

/// What a store knows about an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectInfo {
    /// The object's name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written, by the store's own clock (a local store: the file's modification time).
    pub modified: Timestamp,
}

/// A flat map from names to immutable bytes. Names follow [`check_name`].
#[async_trait]
pub trait Store: Send + Sync + Debug {
    /// Creates an object, whole and durable on return, unless one of that name exists.
    ///
    /// # Errors
    /// Any [`StoreError`]; the object may or may not have been created.
    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put, StoreError>;

    /// Writes an object, whole and durable on return, replacing one of that name.
    ///
    /// # Errors
    /// Any [`StoreError`]; the object may or may not have been replaced.
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError>;

    /// Reads an object of at most `max_len` bytes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::TooLarge`], which is found before memory is taken.
    async fn get(&self, name: &str, max_len: u64) -> Result<Bytes, StoreError>;

    /// Reads exactly `len` bytes from `offset`. A `len` of 0 asks nothing of the store.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::OutOfRange`] where the object ends earlier.
    async fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Bytes, StoreError>;

    /// Looks up an object; `None` where there is none.
    ///
    /// # Errors
    /// Any [`StoreError`] except [`StoreError::NotFound`].
    async fn stat(&self, name: &str) -> Result<Option<ObjectInfo>, StoreError>;

    /// All objects whose names begin with `prefix`, sorted by name. The prefix is a string: `"a/"`
    /// lists a folder, `"a/0"` those in it that begin with `0`.
    ///
    /// # Errors
    /// Any [`StoreError`]; an empty result is not an error.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError>;

    /// Removes an object; it is no error if there is none. Where the bucket keeps versions, the
    /// bytes stay behind a delete marker for as long as the bucket's rules say.
    ///
    /// # Errors
    /// Any [`StoreError`] except [`StoreError::NotFound`].
    async fn delete(&self, name: &str) -> Result<(), StoreError>;

    /// The store in messages, as its location; without secrets.
    fn describe(&self) -> String;
}

#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put, StoreError> {
        (**self).put_new(name, bytes).await
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        (**self).put(name, bytes).await
    }

    async fn get(&self, name: &str, max_len: u64) -> Result<Bytes, StoreError> {
        (**self).get(name, max_len).await
    }

    async fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        (**self).get_range(name, offset, len).await
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectInfo>, StoreError> {
        (**self).stat(name).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        (**self).list(prefix).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        (**self).delete(name).await
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}
