//! All entries of a ledger in order, held against its checkpoint.

use crate::{
    checkpoint::SignedCheckpoint,
    error::LedgerError,
    hash::{Edge, Hash},
    reader::Reader,
    tile::{TileId, TileKind},
};
use std::collections::VecDeque;

/// Bundles that are fetched at once.
const AT_ONCE: usize = 8;

impl Reader {
    /// Hands every entry that `head` covers to `visit`, with its place, in order. What was visited is only what the
    /// ledger committed to where this returns without an error, because the root is known last.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] where a bundle is missing, or the entries do not lead to the checkpoint's root;
    /// [`LedgerError::Store`].
    pub async fn walk(
        &self,
        head: &SignedCheckpoint,
        mut visit: impl FnMut(u64, &[u8]),
    ) -> Result<(), LedgerError> {
        let size = head.checkpoint.size;
        let mut bundles = (0..).map_while(|bundle| TileId::within(TileKind::Entries, bundle, size));
        let mut fetching = VecDeque::new();
        let mut edge = Edge::default();
        loop {
            while fetching.len() < AT_ONCE
                && let Some(id) = bundles.next()
            {
                let reader = self.clone();
                fetching.push_back(tokio::spawn(async move { reader.bundle(id).await }));
            }
            let Some(next) = fetching.pop_front() else { break };
            for entry in next.await.map_err(|_| LedgerError::Stopped)?? {
                visit(edge.size(), &entry);
                edge.push(Hash::of_leaf(&entry), &mut |_| {});
            }
        }
        if (edge.size(), edge.root()) == (size, head.checkpoint.root) {
            return Ok(());
        }
        Err(LedgerError::damaged("checkpoint", "the entries do not lead to its root"))
    }
}
