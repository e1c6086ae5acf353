//! A dataset whose write key is open: what every operation stands on.

use crate::{
    error::Result,
    store::{Blocking, Put},
};
use bytes::Bytes;
use std::{path::PathBuf, sync::Arc};
use strongroom_format::{group::Owner, keys::WriteKeys, names::DatasetNames};

/// An open dataset.
#[derive(Debug, Clone)]
pub struct DatasetHandle {
    /// Its storage.
    pub store: Blocking,
    /// Which vault and dataset it is.
    pub owner: Owner,
    /// Its name in the keyring.
    pub name: String,
    /// Where its objects lie.
    pub names: DatasetNames,
    /// Everything derived from its write key.
    pub keys: Arc<WriteKeys>,
    /// The local cache folder of this dataset, where there is one.
    pub cache: Option<PathBuf>,
    /// How its content is cut and packed.
    pub layout: Layout,
}

impl DatasetHandle {
    /// The folder of caches of all vaults, under which this dataset's lies.
    pub(crate) fn cache_root(&self) -> Option<std::path::PathBuf> {
        Some(self.cache.as_ref()?.parent()?.parent()?.to_owned())
    }

    /// Puts an object whose name no other content has: it holds the content's hash, or fresh random bytes.
    /// Where it is there already, it is the same.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        match self.store.put_new(name, bytes)? {
            Put::Created | Put::Exists => Ok(()),
        }
    }
}

/// How a dataset's content is cut and packed, from its keyring record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Smallest chunk in bytes; a file below it is one chunk.
    pub chunk_min: usize,
    /// Largest chunk in bytes.
    pub chunk_max: usize,
    /// Size at which a pack is full, in bytes.
    pub pack_size: usize,
}
