//! Every state that a crash can leave behind.

use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use strongroom_vault::store::{Memory, ObjectInfo, Put, Store, StoreError};

/// A change that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// An object was removed.
    Delete(String),
    /// An object was created, or replaced.
    Write(String, Bytes),
}

/// A store in memory that records its changes in order, and can rebuild the state after any number of
/// them. Stores write whole objects, so those states are all that a crash of the writer can leave.
#[derive(Debug, Default)]
pub struct CrashStore {
    inner: Memory,
    start: BTreeMap<String, Bytes>,
    /// Also held during each change, so that the record has the order of the effects.
    record: tokio::sync::Mutex<()>,
    mutations: Mutex<Vec<Mutation>>,
}

impl CrashStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that begins with the objects of another, which are not recorded.
    #[must_use]
    pub fn starting_from(store: &Memory) -> Self {
        Self { inner: store.copy(), start: store.contents(), ..Self::default() }
    }

    /// How many changes there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recorded().len()
    }

    /// Whether there was no change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.recorded().is_empty()
    }

    /// The changes, in order.
    #[must_use]
    pub fn mutations(&self) -> Vec<Mutation> {
        self.recorded().clone()
    }

    /// The state after the first `count` changes, as an independent store.
    ///
    /// # Panics
    /// Where there were fewer changes.
    pub async fn after(&self, count: usize) -> Arc<Memory> {
        let mut objects = self.start.clone();
        for mutation in &self.recorded()[..count] {
            match mutation {
                Mutation::Delete(name) => drop(objects.remove(name)),
                Mutation::Write(name, bytes) => drop(objects.insert(name.clone(), bytes.clone())),
            }
        }
        let store = Memory::new();
        for (name, bytes) in objects {
            store.put(&name, bytes).await.expect("a store in memory takes what it gave");
        }
        Arc::new(store)
    }

    fn recorded(&self) -> MutexGuard<'_, Vec<Mutation>> {
        self.mutations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for CrashStore {
    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put, StoreError> {
        let _ordered = self.record.lock().await;
        let put = self.inner.put_new(name, bytes.clone()).await?;
        if put == Put::Created {
            self.recorded().push(Mutation::Write(name.to_owned(), bytes));
        }
        Ok(put)
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        let _ordered = self.record.lock().await;
        self.inner.put(name, bytes.clone()).await?;
        self.recorded().push(Mutation::Write(name.to_owned(), bytes));
        Ok(())
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
        let _ordered = self.record.lock().await;
        let existed = self.inner.stat(name).await?.is_some();
        self.inner.delete(name).await?;
        if existed {
            self.recorded().push(Mutation::Delete(name.to_owned()));
        }
        Ok(())
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
