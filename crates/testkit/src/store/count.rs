//! Requests as a cost: how many of which kind something takes.

use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use strongroom_vault::store::{ObjectInfo, Operation, Put, Store, StoreError};

/// A store that counts what is asked of it.
#[derive(Debug)]
pub struct CountingStore {
    inner: Arc<dyn Store>,
    counts: Mutex<BTreeMap<Operation, u64>>,
}

impl CountingStore {
    /// Wraps a store.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, counts: Mutex::default() }
    }

    /// How often an operation was asked for, successful or not.
    #[must_use]
    pub fn count(&self, operation: Operation) -> u64 {
        self.counts().get(&operation).copied().unwrap_or(0)
    }

    /// All counts since the start or the last call, which sets them back to zero.
    pub fn take(&self) -> BTreeMap<Operation, u64> {
        std::mem::take(&mut *self.counts())
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<Operation, u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self, operation: Operation) -> &dyn Store {
        *self.counts().entry(operation).or_default() += 1;
        &*self.inner
    }
}

#[async_trait]
impl Store for CountingStore {
    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put, StoreError> {
        self.asked(Operation::PutNew).put_new(name, bytes).await
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.asked(Operation::Put).put(name, bytes).await
    }

    async fn get(&self, name: &str, max_len: u64) -> Result<Bytes, StoreError> {
        self.asked(Operation::Get).get(name, max_len).await
    }

    async fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        self.asked(Operation::GetRange).get_range(name, offset, len).await
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectInfo>, StoreError> {
        self.asked(Operation::Stat).stat(name).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        self.asked(Operation::List).list(prefix).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.asked(Operation::Delete).delete(name).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
