//! A principal that may not delete.

use super::at;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use strongroom_vault::store::{ObjectInfo, Operation, Put, Store, StoreError};

/// A store that refuses deletions and replacements, as a bucket does whose policy lacks `s3:DeleteObject`.
#[derive(Debug, Clone)]
pub struct NoDeleteStore {
    inner: Arc<dyn Store>,
}

impl NoDeleteStore {
    /// Wraps a store.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner }
    }

    fn denied(&self, operation: Operation, name: &str) -> StoreError {
        let at = at(&*self.inner, operation, name);
        StoreError::Denied {
            at,
            reason: "AccessDenied: this principal only creates".to_owned(),
            source: None,
        }
    }
}

#[async_trait]
impl Store for NoDeleteStore {
    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put, StoreError> {
        self.inner.put_new(name, bytes).await
    }

    async fn put(&self, name: &str, _: Bytes) -> Result<(), StoreError> {
        Err(self.denied(Operation::Put, name))
    }

    async fn get(&self, name: &str, max_len: u64) -> Result<Bytes, StoreError> {
        self.inner.get(name, max_len).await
    }

    async fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        self.inner.get_range(name, offset, len).await
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectInfo>, StoreError> {
        self.inner.stat(name).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        Err(self.denied(Operation::Delete, name))
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
