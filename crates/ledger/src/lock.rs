//! The lock object: the one place where it is decided what comes next.
//!
//! It holds the newest checkpoint, and with it every entry that was committed and not published as tiles yet, so that
//! one conditional write commits, and whoever comes next can publish what a crashed writer left.

use crate::{
    checkpoint::{Checkpoint, Identity, SignedCheckpoint},
    error::LedgerError,
    hash::{Edge, Hash},
    note::SigningKey,
    store::Version,
    tile::{decode_hashes, encode_hashes},
};
use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Its name.
pub(crate) const LOCK: &str = "lock";
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// The newest checkpoint, signed.
    checkpoint: String,
    /// The right edge at `published`: each level's last tile in Base64, empty where it is full.
    edge: Vec<String>,
    /// The entries from `published` on, in Base64.
    entries: Vec<String>,
    format: u32,
    /// Up to where tiles and bundles are published.
    published: u64,
}

/// What a lock object says, checked.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) signed: SignedCheckpoint,
    /// The edge of the whole tree.
    pub(crate) edge: Edge,
    /// The edge of what is published.
    pub(crate) published: Edge,
    /// The entries between the two.
    pub(crate) pending: Vec<Arc<[u8]>>,
    pub(crate) version: Option<Version>,
}

impl Head {
    /// The head of an empty ledger.
    pub(crate) fn empty(identity: &Identity, key: &SigningKey) -> Self {
        let checkpoint = Checkpoint::new(identity.origin(), 0, Hash::EMPTY_ROOT);
        let note = checkpoint.sign(key);
        Self {
            signed: SignedCheckpoint { checkpoint, note },
            edge: Edge::default(),
            published: Edge::default(),
            pending: Vec::new(),
            version: None,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.iter().map(|entry| entry.len()).sum()
    }

    /// The head after these entries.
    pub(crate) fn append(&self, entries: &[Arc<[u8]>], key: &SigningKey) -> Self {
        let mut next = self.clone();
        for entry in entries {
            next.edge.push(Hash::of_leaf(entry), &mut |_| {});
            next.pending.push(Arc::clone(entry));
        }
        let checkpoint = Checkpoint::new(&self.signed.checkpoint.origin, next.size(), next.edge.root());
        let note = checkpoint.sign(key);
        next.signed = SignedCheckpoint { checkpoint, note };
        next
    }

    /// The head once everything in it was published.
    pub(crate) fn mark_published(&mut self) {
        self.published = self.edge.clone();
        self.pending.clear();
    }

    pub(crate) fn encode(&self) -> Bytes {
        let document = Document {
            checkpoint: self.signed.note.encode(),
            edge: self.published.levels().iter().map(|level| BASE64.encode(&encode_hashes(level))).collect(),
            entries: self.pending.iter().map(|entry| BASE64.encode(entry)).collect(),
            format: FORMAT,
            published: self.published.size(),
        };
        serde_json::to_vec(&document).unwrap_or_default().into()
    }

    pub(crate) fn decode(bytes: &[u8], version: Version, identity: &Identity) -> Result<Self, LedgerError> {
        let damaged = |what: &str| LedgerError::damaged(LOCK, what);
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| damaged(&error.to_string()))?;
        if document.format != FORMAT {
            return Err(damaged("it has a format that this program does not know"));
        }
        let signed = identity
            .open(document.checkpoint.as_bytes())
            .map_err(|source| LedgerError::Checkpoint { name: LOCK.into(), source })?;
        let level = |text: &String| {
            let bytes = crate::base64::decode(text)?;
            decode_hashes(&bytes, u16::try_from(bytes.len() / Hash::LEN).ok()?)
        };
        let levels: Option<Vec<_>> = document.edge.iter().map(level).collect();
        let published = levels
            .and_then(|levels| Edge::from_levels(document.published, levels))
            .ok_or_else(|| damaged("its edge does not fit its size"))?;
        let mut edge = published.clone();
        let mut pending = Vec::with_capacity(document.entries.len());
        for entry in &document.entries {
            let entry: Arc<[u8]> =
                crate::base64::decode(entry).ok_or_else(|| damaged("an entry is not Base64"))?.into();
            edge.push(Hash::of_leaf(&entry), &mut |_| {});
            pending.push(entry);
        }
        let head = &signed.checkpoint;
        if (edge.size(), edge.root()) != (head.size, head.root) {
            return Err(damaged("its entries do not lead to its checkpoint"));
        }
        Ok(Self { signed, edge, published, pending, version: Some(version) })
    }

    /// The root of the first `size` entries, where this head knows enough to tell.
    pub(crate) fn root_at(&self, size: u64) -> Option<Hash> {
        let mut edge = self.published.clone();
        let mut pending = self.pending.iter();
        while edge.size() < size {
            edge.push(Hash::of_leaf(pending.next()?), &mut |_| {});
        }
        (edge.size() == size).then(|| edge.root())
    }
}
