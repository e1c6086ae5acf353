//! From committed entries to tiles, bundles and the public checkpoint.

use crate::{
    checkpoint::{Identity, SignedCheckpoint},
    error::LedgerError,
    hash::{FullTile, Hash},
    limits::{BUNDLE_MAX, CHECKPOINT_MAX},
    lock::Head,
    reader::Reader,
    store::{Created, LedgerStore, Swapped},
    tile::{CHECKPOINT, TileId, TileKind, edge_tiles, encode_bundle, encode_hashes},
};
use bytes::Bytes;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Objects that are written at once.
const AT_ONCE: usize = 16;

/// Writes everything that `head` has and tiles do not, then the checkpoint. Repeating it changes nothing.
pub(crate) async fn publish(
    store: &Arc<dyn LedgerStore>,
    identity: &Identity,
    head: &Head,
) -> Result<(), LedgerError> {
    let reader = Reader::new(Arc::clone(store), identity.clone());
    let (objects, superseded) = objects(&reader, head).await?;
    let mut objects = objects.into_iter();
    let mut writing = JoinSet::new();
    loop {
        while writing.len() < AT_ONCE
            && let Some((name, bytes)) = objects.next()
        {
            writing.spawn(put_same(Arc::clone(store), name, bytes));
        }
        match writing.join_next().await {
            Some(Ok(written)) => written?,
            Some(Err(_)) => return Err(LedgerError::Stopped),
            None => break,
        }
    }
    advance(store.as_ref(), identity, &head.signed).await?;
    for prefix in superseded {
        sweep(store.as_ref(), &prefix).await;
    }
    Ok(())
}

type Objects = Vec<(String, Bytes)>;

/// What is to be written, and the folders of narrow tiles that have become full.
async fn objects(reader: &Reader, head: &Head) -> Result<(Objects, Vec<String>), LedgerError> {
    let start = head.published.size();
    let mut bundle: Vec<Arc<[u8]>> = Vec::new();
    let open = TileId::within(TileKind::Entries, start / 256, start);
    if let Some(id) = open.filter(|id| !id.is_full()) {
        bundle = reader.bundle(id).await?.into_iter().map(Into::into).collect();
        let leaves: Vec<_> = bundle.iter().map(|entry| Hash::of_leaf(entry)).collect();
        if head.published.levels().first() != Some(&leaves) {
            return Err(LedgerError::damaged(
                id.path(),
                "its entries are not those that the ledger committed to",
            ));
        }
    }
    let mut objects = Vec::new();
    let mut superseded = Vec::new();
    let mut edge = head.published.clone();
    let encode = |entries: &[Arc<[u8]>], id: TileId| {
        let bytes =
            encode_bundle(entries).map_err(|error| LedgerError::damaged(id.path(), error.to_string()))?;
        Ok::<_, LedgerError>((id.path(), Bytes::from(bytes)))
    };
    for entry in &head.pending {
        bundle.push(Arc::clone(entry));
        let mut full = Vec::new();
        edge.push(Hash::of_leaf(entry), &mut |tile| full.push(tile));
        for FullTile { level, index, hashes } in full {
            let id = TileId { kind: TileKind::Hashes(level), index, width: 256 };
            let had_narrow = index == start >> (8 * u32::from(level)) >> 8;
            if level == 0 {
                let entries = TileId { kind: TileKind::Entries, ..id };
                objects.push(encode(&bundle, entries)?);
                bundle.clear();
                superseded.extend(had_narrow.then(|| entries.partial_prefix()));
            }
            superseded.extend(had_narrow.then(|| id.partial_prefix()));
            objects.push((id.path(), encode_hashes(&hashes).into()));
        }
    }
    for id in edge_tiles(edge.size()) {
        let TileKind::Hashes(level) = id.kind else { continue };
        objects.push((id.path(), encode_hashes(&edge.levels()[usize::from(level)]).into()));
        if level == 0 {
            objects.push(encode(&bundle, TileId { kind: TileKind::Entries, ..id })?);
        }
    }
    Ok((objects, superseded))
}

/// Creates an object, or finds the very same.
async fn put_same(store: Arc<dyn LedgerStore>, name: String, bytes: Bytes) -> Result<(), LedgerError> {
    let created = store.put_new(&name, bytes.clone()).await.map_err(LedgerError::store)?;
    if created == Created::New {
        return Ok(());
    }
    match store.get(&name, BUNDLE_MAX).await.map_err(LedgerError::store)? {
        Some(stored) if stored.bytes != bytes => {
            Err(LedgerError::damaged(name, "it holds something else than what the ledger committed to"))
        }
        // Gone again: the full tile came, and the narrow one was swept.
        _ => Ok(()),
    }
}

/// Moves the public checkpoint forward; never back.
async fn advance(
    store: &dyn LedgerStore,
    identity: &Identity,
    signed: &SignedCheckpoint,
) -> Result<(), LedgerError> {
    loop {
        let found = store.get(CHECKPOINT, CHECKPOINT_MAX).await.map_err(LedgerError::store)?;
        if let Some(found) = &found {
            let old = identity
                .open(&found.bytes)
                .map_err(|source| LedgerError::Checkpoint { name: CHECKPOINT.into(), source })?
                .checkpoint;
            let new = &signed.checkpoint;
            if old.size == new.size && old.root != new.root {
                return Err(LedgerError::Fork { found: Box::new(old), remembered: Box::new(new.clone()) });
            }
            if old.size >= new.size {
                return Ok(());
            }
        }
        let version = found.map(|found| found.version);
        let bytes = signed.note.encode().into();
        if let Swapped::Done(_) =
            store.swap(CHECKPOINT, version.as_ref(), bytes).await.map_err(LedgerError::store)?
        {
            return Ok(());
        }
    }
}

/// Removes narrow versions of a tile that has become full. What cannot be removed only takes space.
async fn sweep(store: &dyn LedgerStore, prefix: &str) {
    if let Ok(names) = store.list(prefix).await {
        for name in names {
            let _ = store.delete(&name).await;
        }
    }
}
