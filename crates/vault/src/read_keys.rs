//! The read keys of a dataset, opened when they are needed and forgotten when their lease is over.

use crate::{
    epochs::{read_epoch, unwrap_epoch},
    error::{Result, VaultError},
    handle::DatasetHandle,
    lease::{Leases, Locked},
};
use std::sync::{Arc, Mutex, PoisonError};
use strongroom_custody::{Custody, Reason};
use strongroom_format::{
    group::{Owner, group_key},
    keys::{EpochPrivateKey, SealedFor},
    pack::KeyRecord,
    seal::SealKey,
    xwing::SealedSecret,
};

/// The read keys of a dataset: unwrapped when a group first needs them, once for each epoch and lease.
pub struct ReadKeys {
    handle: DatasetHandle,
    custody: Arc<Custody>,
    reason: Reason,
    leases: Leases,
    /// Held while a keyholder is asked.
    asking: Mutex<()>,
}

impl ReadKeys {
    /// The read keys of a dataset, of which one is open already.
    pub(crate) fn new(
        handle: DatasetHandle,
        custody: Arc<Custody>,
        reason: Reason,
        (epoch, private): (u32, EpochPrivateKey),
    ) -> Self {
        let leases = Leases::new(custody.lease());
        leases.opened().keep(epoch, private);
        Self { handle, custody, reason, leases, asking: Mutex::new(()) }
    }

    /// The key of the groups under a record. Blocks while a keyholder is asked: not for runtime threads.
    ///
    /// # Errors
    /// Where the keyholders refuse, or the record is damaged.
    pub fn group_key(&self, record: &KeyRecord) -> Result<Arc<SealKey>> {
        let KeyRecord::Session { epoch, sealed, salt } = record else {
            return Ok(Arc::new(group_key(&self.handle.keys.refs_secret(), record.salt())));
        };
        let open = |opened: &mut Locked<'_>| self.open_group(opened, *epoch, salt, sealed).transpose();
        if let Some(key) = open(&mut self.leases.opened()) {
            return key;
        }
        // One thread at a time, so that an epoch is unwrapped once; the others wait here, and leases still end.
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = open(&mut self.leases.opened()) {
            return key;
        }
        let private = self.unwrap(*epoch)?;
        let mut opened = self.leases.opened();
        opened.keep(*epoch, private);
        open(&mut opened).ok_or(VaultError::Bug("an epoch was not kept"))?
    }

    /// The key of the groups under a salt, where the lease of their epoch runs.
    fn open_group(
        &self,
        opened: &mut Locked<'_>,
        epoch: u32,
        salt: &[u8; 32],
        sealed: &SealedSecret,
    ) -> Result<Option<Arc<SealKey>>> {
        if let Some(key) = opened.group(epoch, salt) {
            return Ok(Some(key));
        }
        let Some(private) = opened.private(epoch) else { return Ok(None) };
        let Owner { vault, dataset } = self.handle.owner;
        let secret = private
            .open_session_key(sealed, &SealedFor { vault, dataset, epoch })
            .map_err(|error| VaultError::format("session key of a pack", error))?;
        let key = Arc::new(group_key(&secret, salt));
        opened.keep_group(epoch, *salt, &key);
        Ok(Some(key))
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
