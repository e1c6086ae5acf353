//! Reading a ledger: checkpoints, tiles, entries, proofs.

use crate::{
    checkpoint::{Checkpoint, Identity, SignedCheckpoint},
    error::LedgerError,
    hash::{Edge, Hash},
    limits::{BUNDLE_MAX, CHECKPOINT_MAX, OPENING_MAX, SIZE_MAX},
    personal::{Commitment, Opening},
    proof::EntryProof,
    store::LedgerStore,
    tile::{CHECKPOINT, TileId, TileKind, decode_bundle, decode_hashes, edge_tiles},
    tree::{Made, ProofError, Tiles, check_consistency, check_inclusion},
};
use std::sync::Arc;

/// The newest checkpoint with signatures of witnesses.
pub const WITNESSED: &str = "witnessed";

/// Reads a ledger, and believes nothing that its checkpoints do not cover.
#[derive(Debug, Clone)]
pub struct Reader {
    store: Arc<dyn LedgerStore>,
    identity: Identity,
}

impl Reader {
    /// The ledger of that identity in this store.
    #[must_use]
    pub fn new(store: Arc<dyn LedgerStore>, identity: Identity) -> Self {
        Self { store, identity }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn LedgerStore> {
        &self.store
    }

    /// Whose ledger is expected.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The newest published checkpoint.
    ///
    /// # Errors
    /// [`LedgerError::Missing`], [`LedgerError::Checkpoint`], [`LedgerError::Store`].
    pub async fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError> {
        match self.signed(CHECKPOINT).await? {
            Some(signed) => Ok(signed),
            None => Err(LedgerError::Missing(self.store.describe())),
        }
    }

    /// The newest checkpoint with signatures of witnesses, if there is one.
    ///
    /// # Errors
    /// As [`Reader::checkpoint`].
    pub async fn witnessed(&self) -> Result<Option<SignedCheckpoint>, LedgerError> {
        self.signed(WITNESSED).await
    }

    async fn signed(&self, name: &str) -> Result<Option<SignedCheckpoint>, LedgerError> {
        let Some(stored) = self.store.get(name, CHECKPOINT_MAX).await.map_err(LedgerError::store)? else {
            return Ok(None);
        };
        let opened = self.identity.open(&stored.bytes);
        opened.map(Some).map_err(|source| LedgerError::Checkpoint { name: name.into(), source })
    }

    /// The bytes of a tile or bundle; where the narrow one is gone, the full one takes its place.
    async fn tile_bytes(&self, id: TileId) -> Result<(TileId, bytes::Bytes), LedgerError> {
        let mut ids = vec![id];
        if !id.is_full() {
            ids.push(id.full());
        }
        for id in ids {
            if let Some(stored) = self.store.get(&id.path(), BUNDLE_MAX).await.map_err(LedgerError::store)? {
                return Ok((id, stored.bytes));
            }
        }
        Err(LedgerError::damaged(id.path(), "it is missing"))
    }

    /// The hashes of a tile, as wide as `id` says; not verified.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Store`].
    pub async fn hashes(&self, id: TileId) -> Result<Vec<Hash>, LedgerError> {
        let (found, bytes) = self.tile_bytes(id).await?;
        let mut hashes = decode_hashes(&bytes, found.width)
            .ok_or_else(|| LedgerError::damaged(found.path(), "it has another length"))?;
        hashes.truncate(usize::from(id.width));
        Ok(hashes)
    }

    /// The entries of a bundle, as many as `id` says; not verified.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Store`].
    pub async fn bundle(&self, id: TileId) -> Result<Vec<Vec<u8>>, LedgerError> {
        let (found, bytes) = self.tile_bytes(id).await?;
        let entries = decode_bundle(&bytes, found.width)
            .map_err(|error| LedgerError::damaged(found.path(), error.to_string()))?;
        Ok(entries.into_iter().take(usize::from(id.width)).map(<[u8]>::to_vec).collect())
    }

    /// The edge of the tree of a checkpoint, read from the tiles of one that has `size` entries, and verified against
    /// the checkpoint's root.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] where the tiles do not lead to the root.
    pub async fn edge(&self, checkpoint: &Checkpoint, size: u64) -> Result<Edge, LedgerError> {
        let mut levels = vec![Vec::new(); Edge::level_count(checkpoint.size)];
        for id in edge_tiles(checkpoint.size) {
            if let TileKind::Hashes(level) = id.kind {
                let wide = TileId::within(id.kind, id.index, size).unwrap_or(id);
                let mut hashes = self.hashes(wide).await?;
                hashes.truncate(usize::from(id.width));
                levels[usize::from(level)] = hashes;
            }
        }
        Edge::from_levels(checkpoint.size, levels).filter(|edge| edge.root() == checkpoint.root).ok_or_else(
            || LedgerError::damaged("tile/", "the tiles at the edge do not lead to the checkpoint"),
        )
    }

    /// Runs a proof, fetching what it needs.
    async fn prove(
        &self,
        size: u64,
        make: impl Fn(&Tiles) -> Result<Made<Vec<Hash>>, ProofError>,
    ) -> Result<Vec<Hash>, LedgerError> {
        let mut tiles = Tiles::new(size.min(SIZE_MAX));
        loop {
            match make(&tiles)? {
                Made::Done(proof) => return Ok(proof),
                Made::Missing(missing) => {
                    for id in missing {
                        tiles.insert(id, &self.hashes(id).await?);
                    }
                }
            }
        }
    }

    /// An entry, verified against `head`, with its proof.
    ///
    /// # Errors
    /// [`LedgerError::Proof`] where there is no such entry; [`LedgerError::Damaged`] where it is not what the
    /// checkpoint covers.
    pub async fn entry(
        &self,
        head: &SignedCheckpoint,
        index: u64,
    ) -> Result<(Vec<u8>, EntryProof), LedgerError> {
        let Checkpoint { size, root, .. } = head.checkpoint;
        let path = self.prove(size, |tiles| tiles.prove_inclusion(index)).await?;
        let outside = ProofError::Outside { what: format!("entry {index}"), size };
        let id = TileId::within(TileKind::Entries, index / 256, size).ok_or(outside)?;
        let entry = self.bundle(id).await?.swap_remove((index % 256) as usize);
        check_inclusion(&path, size, root, index, Hash::of_leaf(&entry)).map_err(|_| {
            LedgerError::damaged(id.path(), format!("entry {index} is not what the checkpoint covers"))
        })?;
        let proof = EntryProof { extra: Some(entry.clone()), index, path, checkpoint: head.note.clone() };
        Ok((entry, proof))
    }

    /// The proof that `new` continues the tree of the first `old` entries; empty for 0.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn consistency(&self, new: &Checkpoint, old: u64) -> Result<Vec<Hash>, LedgerError> {
        self.prove(new.size, |tiles| tiles.prove_consistency(old)).await
    }

    /// Checks that `found` continues `remembered`.
    ///
    /// # Errors
    /// [`LedgerError::Rollback`], [`LedgerError::Fork`], or what keeps from telling.
    pub async fn check_continues(
        &self,
        found: &Checkpoint,
        remembered: &Checkpoint,
    ) -> Result<(), LedgerError> {
        let (found_box, remembered_box) = (Box::new(found.clone()), Box::new(remembered.clone()));
        if found.size < remembered.size {
            return Err(LedgerError::Rollback { found: found_box, remembered: remembered_box });
        }
        let fork = LedgerError::Fork { found: found_box, remembered: remembered_box };
        if found.size == remembered.size {
            return if found.root == remembered.root { Ok(()) } else { Err(fork) };
        }
        let proof = self.consistency(found, remembered.size).await?;
        check_consistency(&proof, found.size, found.root, remembered.size, remembered.root).map_err(|_| fork)
    }

    /// What a commitment hides; `None` where it was erased, or never kept.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn opening(&self, commitment: &Commitment) -> Result<Option<Opening>, LedgerError> {
        let stored =
            self.store.get(&commitment.opening_name(), OPENING_MAX).await.map_err(LedgerError::store)?;
        Ok(stored.and_then(|stored| Opening::decode(&stored.bytes, commitment)))
    }
}
