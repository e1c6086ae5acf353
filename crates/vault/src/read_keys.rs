//! The read keys of a dataset, opened when they are needed.

use crate::{
    epochs::{read_epoch, unwrap_epoch},
    error::{Result, VaultError},
    handle::DatasetHandle,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use strongroom_custody::{Custody, Reason};
use strongroom_format::{
    group::{Owner, group_key},
    keys::{EpochPrivateKey, SealedFor},
    pack::KeyRecord,
    seal::SealKey,
};

/// The read keys of a dataset: unwrapped when a group first needs them, once for each epoch.
pub struct ReadKeys {
    handle: DatasetHandle,
    custody: Arc<Custody>,
    reason: Reason,
    opened: Mutex<Opened>,
}

struct Opened {
    epochs: HashMap<u32, EpochPrivateKey>,
    groups: HashMap<[u8; 32], Arc<SealKey>>,
}

impl ReadKeys {
    /// The read keys of a dataset, of which one is open already.
    pub(crate) fn new(
        handle: DatasetHandle,
        custody: Arc<Custody>,
        reason: Reason,
        (epoch, private): (u32, EpochPrivateKey),
    ) -> Self {
        let opened = Opened { epochs: HashMap::from([(epoch, private)]), groups: HashMap::new() };
        Self { handle, custody, reason, opened: Mutex::new(opened) }
    }

    /// The key of the groups under a record. Blocks while a keyholder is asked: not for runtime threads.
    ///
    /// # Errors
    /// Where the keyholders refuse, or the record is damaged.
    pub fn group_key(&self, record: &KeyRecord) -> Result<Arc<SealKey>> {
        // One thread at a time, so that an epoch is unwrapped once.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = opened.groups.get(record.salt()) {
            return Ok(Arc::clone(key));
        }
        let secret = match record {
            KeyRecord::Write { .. } => self.handle.keys.refs_secret(),
            KeyRecord::Session { epoch, sealed, .. } => {
                if !opened.epochs.contains_key(epoch) {
                    opened.epochs.insert(*epoch, self.unwrap(*epoch)?);
                }
                let private = opened.epochs.get(epoch).ok_or(VaultError::Bug("an epoch was not kept"))?;
                let Owner { vault, dataset } = self.handle.owner;
                private
                    .open_session_key(sealed, &SealedFor { vault, dataset, epoch: *epoch })
                    .map_err(|error| VaultError::format("session key of a pack", error))?
            }
        };
        let key = Arc::new(group_key(&secret, record.salt()));
        opened.groups.insert(*record.salt(), Arc::clone(&key));
        Ok(key)
    }

    fn unwrap(&self, epoch: u32) -> Result<EpochPrivateKey> {
        self.handle.store.block_on(async {
            let store = self.handle.store.store();
            let (document, bytes, generation) = read_epoch(store.as_ref(), self.handle.owner, epoch).await?;
            document
                .verify(&bytes, &self.handle.keys, epoch, generation)
                .map_err(|error| VaultError::format(self.handle.names.epoch(epoch, generation), error))?;
            unwrap_epoch(&document, &self.handle.name, &self.custody, &self.reason).await
        })
    }
}

impl std::fmt::Debug for ReadKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadKeys(..)")
    }
}
