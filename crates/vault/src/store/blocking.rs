//! A store for threads that compute.

use super::{ObjectInfo, Put, Store, StoreError};
use bytes::Bytes;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Lets a plain thread call a store and wait for it.
///
/// Only for threads that no runtime owns (`std::thread`, or `spawn_blocking`): a runtime's worker
/// that blocks would stall the tasks behind it, and tokio panics instead. Reads of a local store
/// run on the calling thread, without a switch.
#[derive(Debug, Clone)]
pub struct Blocking {
    store: Arc<dyn Store>,
    runtime: Handle,
}

impl Blocking {
    /// Wraps a store; `runtime` does the store's input and output and must outlive all calls.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, runtime: Handle) -> Self {
        Self { store, runtime }
    }

    /// The store itself.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Waits for several calls in a row.
    pub fn block_on<F: Future>(&self, calls: F) -> F::Output {
        self.runtime.block_on(calls)
    }

    /// As [`Store::put_new`].
    ///
    /// # Errors
    /// As there.
    pub fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put, StoreError> {
        self.runtime.block_on(self.store.put_new(name, bytes))
    }

    /// As [`Store::put`].
    ///
    /// # Errors
    /// As there.
    pub fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.runtime.block_on(self.store.put(name, bytes))
    }

    /// As [`Store::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, name: &str, max_len: u64) -> Result<Bytes, StoreError> {
        self.runtime.block_on(self.store.get(name, max_len))
    }

    /// As [`Store::get_range`].
    ///
    /// # Errors
    /// As there.
    pub fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        self.runtime.block_on(self.store.get_range(name, offset, len))
    }

    /// As [`Store::stat`].
    ///
    /// # Errors
    /// As there.
    pub fn stat(&self, name: &str) -> Result<Option<ObjectInfo>, StoreError> {
        self.runtime.block_on(self.store.stat(name))
    }

    /// As [`Store::list`].
    ///
    /// # Errors
    /// As there.
    pub fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        self.runtime.block_on(self.store.list(prefix))
    }

    /// As [`Store::delete`].
    ///
    /// # Errors
    /// As there.
    pub fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.runtime.block_on(self.store.delete(name))
    }

    /// As [`Store::describe`].
    #[must_use]
    pub fn describe(&self) -> String {
        self.store.describe()
    }
}
