//! How long after a provider's *no* a process can still read: measured, and signed `[V-14.6]`.
//!
//! In scope: this process, reading with one keyholder alone. Out of scope: other processes, which hold a read key for at
//! most their own lease.

use crate::{
    access::Vault,
    backup::format_time,
    error::{Result, VaultError},
    handle::DatasetHandle,
    progress::Cancel,
    prune::whole_index,
    read_keys::ReadKeys,
};
use jiff::{SignedDuration, Timestamp};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use strongroom_custody::{Custody, CustodyError, Reason};
use strongroom_format::{change::RevocationProof, pack::KeyRecord};

/// How often the process reads.
const EVERY: Duration = Duration::from_millis(50);
/// How long a provider may take until it refuses what it was told to refuse.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// When the provider first refused.
    pub refused: Timestamp,
    /// From then to the last successful read; zero where there was none after it.
    pub after: Duration,
    /// How often something was read.
    pub reads: u64,
}

/// A key record under which something is sealed that a snapshot may need.
fn probe(handle: &DatasetHandle) -> Result<KeyRecord> {
    let index = whole_index(handle)?.index();
    for run in index.runs() {
        for ordinal in 0..run.packs().len() {
            let keys = run.keys(ordinal as u32)?;
            if let Some(key) = keys.into_iter().find(|key| matches!(key, KeyRecord::Session { .. })) {
                return Ok(key);
            }
        }
    }
    Err(VaultError::Invalid("the dataset has no backup yet, so that there is nothing to read".into()))
}

fn epoch_of(record: &KeyRecord) -> u32 {
    match record {
        KeyRecord::Session { epoch, .. } => *epoch,
        KeyRecord::Write { .. } => 0,
    }
}

/// Reads on and on with `holder` alone, lets `switch_off` make its provider refuse, and measures when reading ends.
/// Blocks for as long as a lease: not for runtime threads.
///
/// # Errors
/// Where the holder cannot open the dataset to begin with, `switch_off` fails, or the provider goes on opening.
pub fn measure<E: From<VaultError>>(
    handle: &DatasetHandle,
    vault: &Vault,
    holder: &str,
    custody: &Custody,
    reason: &Reason,
    switch_off: impl FnOnce() -> std::result::Result<(), E>,
) -> std::result::Result<Measured, E> {
    let record = probe(handle)?;
    let alone = Arc::new(custody.only(holder));
    let opened = vault.open_for_reading(
        &handle.name,
        Some(epoch_of(&record)),
        Arc::clone(&alone),
        reason,
        handle.cache_root(),
    );
    let (_, keys) = handle.store.block_on(opened)?;
    let stop = Cancel::new();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_until_refused(&keys, &record, &stop));
        let refused =
            switch_off().and_then(|()| Ok(wait_for_refusal(handle, vault, &record, &alone, reason)?));
        // Where nobody refuses, the reader would renew its lease for ever.
        let refused = refused.inspect_err(|_| {
            stop.request();
        })?;
        let at = Timestamp::now();
        let (last, reads) = reader.join().map_err(|_| VaultError::Bug("the reading thread panicked"))?;
        Ok(Measured { refused: at, after: last.saturating_duration_since(refused), reads })
    })
}

fn read_until_refused(keys: &ReadKeys, record: &KeyRecord, stop: &Cancel) -> (Instant, u64) {
    let (mut last, mut reads) = (Instant::now(), 0);
    while !stop.is_requested() && keys.group_key(record).is_ok() {
        last = Instant::now();
        reads += 1;
        std::thread::sleep(EVERY);
    }
    (last, reads)
}

fn wait_for_refusal(
    handle: &DatasetHandle,
    vault: &Vault,
    record: &KeyRecord,
    alone: &Arc<Custody>,
    reason: &Reason,
) -> Result<Instant> {
    let started = Instant::now();
    loop {
        let cache = handle.cache_root();
        let opened =
            vault.open_for_reading(&handle.name, Some(epoch_of(record)), Arc::clone(alone), reason, cache);
        match handle.store.block_on(opened) {
            Err(VaultError::Custody(CustodyError::Refused { .. })) => return Ok(Instant::now()),
            Err(error) => return Err(error),
            Ok(_) if started.elapsed() > PATIENCE => {
                return Err(VaultError::Invalid(
                    "the provider still opens the key five minutes after it was told not to".into(),
                ));
            }
            Ok(_) => std::thread::sleep(EVERY),
        }
    }
}

impl Vault {
    /// Signs what was measured.
    ///
    /// # Errors
    /// Where the keyholders that are left refuse to open the signing key.
    pub async fn sign_proof(
        &self,
        measured: &Measured,
        (holder, dataset): (&str, &str),
        custody: &Custody,
        reason: &Reason,
    ) -> Result<(RevocationProof, Vec<u8>)> {
        let after = SignedDuration::try_from(measured.after).unwrap_or(SignedDuration::ZERO);
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let proof = RevocationProof {
            vault: self.keyring.vault,
            signing_key: self.keyring.signing_key,
            holder: holder.to_owned(),
            kind: self.keyring.keyholders.get(holder).map_or_else(String::new, |spec| spec.kind.clone()),
            dataset: dataset.to_owned(),
            refused: format_time(measured.refused),
            last_read: format_time(measured.refused.checked_add(after).unwrap_or(measured.refused)),
            milliseconds: millis(measured.after),
            lease_milliseconds: millis(custody.lease()),
            reads: measured.reads,
        };
        let seed = self.signing_seed(custody, reason).await?;
        let bytes = proof.sign_and_encode(&seed).map_err(|error| VaultError::format("proof", error))?;
        Ok((proof, bytes))
    }
}
