//! Epoch documents: making, storing, finding and opening them.

use crate::{
    access::{put_own, rfc3339_now},
    error::{Result, VaultError},
    store::Store,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use strongroom_custody::{Custody, Reason};
use strongroom_format::{
    Damage, Secret32, SystemEntropy,
    context::{Context, Purpose},
    epoch::Epoch,
    group::Owner,
    keyring::DatasetRecord,
    keys::{EpochPrivateKey, SealedFor},
    limits::DOCUMENT_MAX,
    names::{self, DatasetNames},
};

pub(crate) async fn make_epoch(
    owner: Owner,
    record: &DatasetRecord,
    number: u32,
    write_key: &Secret32,
    custody: &Custody,
    reason: &Reason,
) -> Result<Epoch> {
    let private = EpochPrivateKey::generate(&mut SystemEntropy);
    let public_key = private.public();
    let context =
        Context { vault: owner.vault, dataset: record.name.clone(), purpose: Purpose::Read, epoch: number };
    let read_key = custody.wrap_key(&record.read_policy, &context, private.secret(), reason).await?;
    let to = SealedFor { vault: owner.vault, dataset: owner.dataset, epoch: number };
    let write_key = Box::new(public_key.seal_write_key(write_key, &to, &mut SystemEntropy));
    Ok(Epoch { owner, number, generation: 0, opened: rfc3339_now(), public_key, write_key, read_key })
}

pub(crate) async fn put_epoch(store: &dyn Store, (epoch, bytes): &(Epoch, Vec<u8>)) -> Result<()> {
    let name = DatasetNames(epoch.owner.dataset).epoch(epoch.number, epoch.generation);
    put_own(store, &name, bytes.clone()).await
}

pub(crate) async fn newest_epoch(store: &dyn Store, names: DatasetNames) -> Result<(u32, u32)> {
    let listed = store.list(&names.epochs()).await?;
    let newest = listed.iter().filter_map(|object| names::parse_epoch(&object.name)).max();
    newest.ok_or(VaultError::MissingObject { name: names.epoch(1, 0) })
}

/// The newest generation of each epoch that a store holds, by number.
pub(crate) async fn newest_generations(store: &dyn Store, names: DatasetNames) -> Result<BTreeMap<u32, u32>> {
    let listed = store.list(&names.epochs()).await?;
    let mut newest = BTreeMap::new();
    for (number, generation) in listed.iter().filter_map(|object| names::parse_epoch(&object.name)) {
        let known = newest.entry(number).or_insert(generation);
        *known = generation.max(*known);
    }
    Ok(newest)
}

/// The newest generation of an epoch's document, its bytes and its generation.
pub(crate) async fn read_epoch(store: &dyn Store, owner: Owner, number: u32) -> Result<(Epoch, Bytes, u32)> {
    let names = DatasetNames(owner.dataset);
    let generations = newest_generations(store, names).await?;
    let missing = || VaultError::MissingObject { name: names.epoch(number, 0) };
    let generation = *generations.get(&number).ok_or_else(missing)?;
    let (epoch, bytes) = read_generation(store, owner, number, generation).await?;
    Ok((epoch, bytes, generation))
}

/// One generation of an epoch's document, and its bytes.
pub(crate) async fn read_generation(
    store: &dyn Store,
    owner: Owner,
    number: u32,
    generation: u32,
) -> Result<(Epoch, Bytes)> {
    let name = DatasetNames(owner.dataset).epoch(number, generation);
    let bytes = store.get(&name, DOCUMENT_MAX as u64).await?;
    let epoch = Epoch::decode(&bytes, &owner).map_err(|error| VaultError::format(&name, error))?;
    Ok((epoch, bytes))
}

pub(crate) async fn unwrap_epoch(
    epoch: &Epoch,
    dataset: &str,
    custody: &Custody,
    reason: &Reason,
) -> Result<EpochPrivateKey> {
    let context = Context {
        vault: epoch.owner.vault,
        dataset: dataset.to_owned(),
        purpose: Purpose::Read,
        epoch: epoch.number,
    };
    let private = EpochPrivateKey::from_secret(custody.unwrap_key(&epoch.read_key, &context, reason).await?);
    if private.public() != epoch.public_key {
        let name = DatasetNames(epoch.owner.dataset).epoch(epoch.number, epoch.generation);
        return Err(VaultError::damaged(name, "epoch", Damage::Field("public key")));
    }
    Ok(private)
}
