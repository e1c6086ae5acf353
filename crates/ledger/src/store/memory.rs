//! A store in memory, for tests.

use super::{Cause, Created, LedgerStore, StoreError, Stored, Swapped, Version};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Objects in memory.
#[derive(Debug, Default)]
pub struct Memory {
    objects: Mutex<BTreeMap<String, (Bytes, u64)>>,
}

impl Memory {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, (Bytes, u64)>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything, by names.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, Bytes> {
        self.objects().iter().map(|(name, (bytes, _))| (name.clone(), bytes.clone())).collect()
    }

    /// Replaces everything, as somebody would who has the rights of the bucket's owner.
    pub fn restore(&self, objects: BTreeMap<String, Bytes>) {
        let mut held = self.objects();
        let next = held.values().map(|(_, version)| *version).max().unwrap_or(0) + 1;
        *held = objects.into_iter().map(|(name, bytes)| (name, (bytes, next))).collect();
    }
}

#[async_trait]
impl LedgerStore for Memory {
    async fn get(&self, name: &str, max_len: usize) -> Result<Option<Stored>, StoreError> {
        let found = self.objects().get(name).cloned();
        match found {
            Some((bytes, _)) if bytes.len() > max_len => Err(StoreError {
                cause: Cause::TooLarge,
                operation: "read",
                name: name.to_owned(),
                store: self.describe(),
                source: None,
            }),
            Some((bytes, version)) => Ok(Some(Stored { bytes, version: Version(version.to_string()) })),
            None => Ok(None),
        }
    }

    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        let mut objects = self.objects();
        if objects.contains_key(name) {
            return Ok(Created::Exists);
        }
        objects.insert(name.to_owned(), (bytes, 1));
        Ok(Created::New)
    }

    async fn swap(
        &self,
        name: &str,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Swapped, StoreError> {
        let mut objects = self.objects();
        let found = objects.get(name).map(|(_, version)| *version);
        if found.map(|version| version.to_string()) != expected.map(|version| version.0.clone()) {
            return Ok(Swapped::Lost);
        }
        let version = found.unwrap_or(0) + 1;
        objects.insert(name.to_owned(), (bytes, version));
        Ok(Swapped::Done(Version(version.to_string())))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.objects().keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.objects().remove(name);
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".into()
    }
}
