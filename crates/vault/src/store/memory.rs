//! A store in memory, for tests and for the states that crash tests rebuild.

use super::error::{At, Operation, StoreError};
use super::name::{check_name, check_prefix, checked};
use super::{ObjectInfo, Put, Store};
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

const DESCRIPTION: &str = "memory:";

type Objects = BTreeMap<String, (Bytes, Timestamp)>;

/// A store in memory. [`Memory::copy`] makes an independent one.
#[derive(Debug, Default)]
pub struct Memory {
    objects: Mutex<Objects>,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An independent store with the same objects.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { objects: Mutex::new(self.objects().clone()) }
    }

    /// Every object, for comparing states.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<String, Bytes> {
        self.objects().iter().map(|(name, (bytes, _))| (name.clone(), bytes.clone())).collect()
    }

    /// Changes when an object was written; `false` where there is none.
    pub fn set_modified(&self, name: &str, modified: Timestamp) -> bool {
        match self.objects().get_mut(name) {
            Some(object) => {
                object.1 = modified;
                true
            }
            None => false,
        }
    }

    /// Replaces an object's bytes and keeps its age, as damage would; `false` where there is none.
    pub fn damage(&self, name: &str, bytes: Bytes) -> bool {
        match self.objects().get_mut(name) {
            Some(object) => {
                object.0 = bytes;
                true
            }
            None => false,
        }
    }

    // No code panics while it holds the lock, so a poisoned map is still whole.
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn at(operation: Operation, name: &str) -> Box<At> {
    Box::new(At { operation, name: name.to_owned(), store: DESCRIPTION.to_owned() })
}

#[async_trait]
impl Store for Memory {
    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put, StoreError> {
        checked(DESCRIPTION, Operation::PutNew, name, check_name)?;
        let mut objects = self.objects();
        if objects.contains_key(name) {
            return Ok(Put::Exists);
        }
        objects.insert(name.to_owned(), (bytes, Timestamp::now()));
        Ok(Put::Created)
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        checked(DESCRIPTION, Operation::Put, name, check_name)?;
        self.objects().insert(name.to_owned(), (bytes, Timestamp::now()));
        Ok(())
    }

    async fn get(&self, name: &str, max_len: u64) -> Result<Bytes, StoreError> {
        checked(DESCRIPTION, Operation::Get, name, check_name)?;
        let objects = self.objects();
        let Some((bytes, _)) = objects.get(name) else {
            return Err(StoreError::NotFound { at: at(Operation::Get, name), source: None });
        };
        let size = bytes.len() as u64;
        if size > max_len {
            return Err(StoreError::TooLarge { at: at(Operation::Get, name), size, limit: max_len });
        }
        Ok(bytes.clone())
    }

    async fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        checked(DESCRIPTION, Operation::GetRange, name, check_name)?;
        if len == 0 {
            return Ok(Bytes::new());
        }
        let objects = self.objects();
        let Some((bytes, _)) = objects.get(name) else {
            return Err(StoreError::NotFound { at: at(Operation::GetRange, name), source: None });
        };
        let end = offset.saturating_add(len);
        if end > bytes.len() as u64 {
            return Err(StoreError::OutOfRange { at: at(Operation::GetRange, name), end });
        }
        // Both ends are at most the length of bytes in memory.
        Ok(bytes.slice(offset as usize..end as usize))
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectInfo>, StoreError> {
        checked(DESCRIPTION, Operation::Stat, name, check_name)?;
        Ok(self.objects().get(name).map(|(bytes, modified)| info(name, bytes, *modified)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        checked(DESCRIPTION, Operation::List, prefix, check_prefix)?;
        let objects = self.objects();
        let from_prefix = objects.range(prefix.to_owned()..);
        Ok(from_prefix
            .take_while(|(name, _)| name.starts_with(prefix))
            .map(|(name, (bytes, modified))| info(name, bytes, *modified))
            .collect())
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        checked(DESCRIPTION, Operation::Delete, name, check_name)?;
        self.objects().remove(name);
        Ok(())
    }

    fn describe(&self) -> String {
        DESCRIPTION.to_owned()
    }
}

fn info(name: &str, bytes: &Bytes, modified: Timestamp) -> ObjectInfo {
    ObjectInfo { name: name.to_owned(), size: bytes.len() as u64, modified }
}
