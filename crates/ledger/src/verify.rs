//! Verification of a whole ledger, or of what was added since a checkpoint.
//!
//! In scope: every entry, bundle and tile against the checkpoint; the checkpoint against all that were seen before;
//! entries' form; intents and outcomes. What is found has a name: what somebody must have done to bring it about.

mod findings;
mod scan;

pub use findings::{Attack, Finding};

use crate::{
    checkpoint::{Checkpoint, SignedCheckpoint},
    error::LedgerError,
    hash::{Edge, FullTile, Hash},
    limits::LOCK_MAX,
    lock::{Head, LOCK},
    reader::Reader,
    tile::{TileId, TileKind, edge_tiles},
};
use scan::{Run, Scanned, scan};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// What is verified.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Checkpoints that were seen before, which the ledger must continue.
    pub remembered: Vec<Checkpoint>,
    /// Verify only what was added since this one, which is believed.
    pub from: Option<Checkpoint>,
    /// Whether the entries' fields are checked, beside their hashes.
    pub fields: bool,
    /// How many bundles are in work at once.
    pub at_once: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { remembered: Vec::new(), from: None, fields: true, at_once: 8 }
    }
}

/// What a verification saw.
#[derive(Debug, Clone)]
pub struct Report {
    /// The checkpoint against which everything was verified.
    pub head: SignedCheckpoint,
    /// The first entry that was verified.
    pub from: u64,
    /// Bytes of the entries that were verified.
    pub bytes: u64,
    /// Intents without an outcome: their programs stopped in the middle, or are at work now. At most 100.
    pub open_intents: Vec<u64>,
    /// What is wrong; at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
}

/// Most findings of a report.
pub const FINDINGS_MAX: usize = 100;

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Verifies a ledger.
///
/// # Errors
/// [`LedgerError::Checkpoint`], [`LedgerError::Rollback`], [`LedgerError::Fork`] where the ledger as a whole is not
/// to be believed; [`LedgerError::Store`]. All else is in the report.
pub async fn verify(reader: &Reader, options: &VerifyOptions) -> Result<Report, LedgerError> {
    let head = reader.checkpoint().await?;
    let mut remembered = options.remembered.clone();
    remembered.extend(options.from.clone());
    // A crash may have left a witnessed checkpoint that is newer than the public one.
    remembered.extend(reader.witnessed().await?.map(|witnessed| witnessed.checkpoint));
    remembered.sort_by_key(|checkpoint| checkpoint.size);
    if let Some(newest) = remembered.last().filter(|newest| newest.size > head.checkpoint.size) {
        let (found, remembered) = (Box::new(head.checkpoint.clone()), Box::new(newest.clone()));
        return Err(LedgerError::Rollback { found, remembered });
    }
    check_lock(reader, &head.checkpoint).await?;

    let edge = match &options.from {
        Some(from) => reader.edge(from, head.checkpoint.size).await?,
        None => Edge::default(),
    };
    let from = edge.size();
    remembered.retain(|checkpoint| checkpoint.size >= from);
    let mut walk = Walk {
        reader,
        head: &head.checkpoint,
        tree: Tree { edge, findings: Vec::new() },
        tiles: None,
        remembered: remembered.into(),
        bytes: 0,
        findings: Vec::new(),
        seen: Vec::new(),
        open: HashMap::new(),
        whole: from == 0,
    };
    walk.run(options).await?;
    walk.finish().await?;
    let mut open_intents: Vec<u64> = walk.open.into_values().collect();
    open_intents.sort_unstable();
    open_intents.truncate(100);
    let (bytes, findings) = (walk.bytes, walk.findings);
    Ok(Report { head, from, bytes, open_intents, findings })
}

/// The lock is newer than the public checkpoint, or the same; never another tree.
async fn check_lock(reader: &Reader, head: &Checkpoint) -> Result<(), LedgerError> {
    let Some(stored) = reader.store().get(LOCK, LOCK_MAX).await.map_err(LedgerError::store)? else {
        return Ok(());
    };
    let lock = Head::decode(&stored.bytes, stored.version, reader.identity())?;
    let found = &lock.signed.checkpoint;
    let other = match lock.root_at(head.size) {
        Some(root) => root != head.root,
        // The public checkpoint is behind what is published as tiles, or ahead of everything.
        None => found.size < head.size,
    };
    if other {
        return Err(LedgerError::Fork { found: Box::new(found.clone()), remembered: Box::new(head.clone()) });
    }
    Ok(())
}

struct Walk<'a> {
    reader: &'a Reader,
    head: &'a Checkpoint,
    /// The tree that the entries lead to.
    tree: Tree,
    /// The tree that the tiles' leaves lead to, once they differ from the entries.
    tiles: Option<Tree>,
    remembered: VecDeque<Checkpoint>,
    bytes: u64,
    findings: Vec<Finding>,
    /// The first eight bytes of each leaf, to find what is there twice.
    seen: Vec<u64>,
    open: HashMap<scan::UseId, u64>,
    whole: bool,
}

/// A tree that grows, and what of the stored tiles above its leaves differs from it.
#[derive(Debug, Clone)]
struct Tree {
    edge: Edge,
    findings: Vec<Finding>,
}

impl Tree {
    fn leads_to(&self, head: &Checkpoint) -> bool {
        (self.edge.size(), self.edge.root()) == (head.size, head.root)
    }

    async fn compare(&mut self, reader: &Reader, id: TileId, hashes: &[Hash]) -> Result<(), LedgerError> {
        match reader.hashes(id).await {
            Ok(stored) if stored == hashes => {}
            Ok(_) => self.findings.push(Finding::Tile { name: id.path() }),
            Err(LedgerError::Damaged { name, .. }) => self.findings.push(Finding::Missing { name }),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Adds leaves, and compares the tiles above that they fill.
    async fn grow(&mut self, reader: &Reader, leaves: &[Hash]) -> Result<(), LedgerError> {
        let mut full = Vec::new();
        for leaf in leaves {
            self.edge.push(*leaf, &mut |tile: FullTile| {
                if tile.level > 0 {
                    full.push(tile);
                }
            });
        }
        for tile in full {
            let id = TileId { kind: TileKind::Hashes(tile.level), index: tile.index, width: 256 };
            self.compare(reader, id, &tile.hashes).await?;
        }
        Ok(())
    }

    async fn finish(&mut self, reader: &Reader) -> Result<(), LedgerError> {
        for id in edge_tiles(self.edge.size()) {
            if let TileKind::Hashes(level @ 1..) = id.kind {
                let hashes = self.edge.levels()[usize::from(level)].clone();
                self.compare(reader, id, &hashes).await?;
            }
        }
        Ok(())
    }
}

impl Walk<'_> {
    async fn run(&mut self, options: &VerifyOptions) -> Result<(), LedgerError> {
        let mut runs = Run::all(self.tree.edge.size(), self.head.size, options.fields);
        let mut working = VecDeque::new();
        self.remember()?;
        loop {
            while working.len() < options.at_once.max(1)
                && let Some(run) = runs.next()
            {
                working.push_back(tokio::spawn(scan(self.reader.clone(), run)));
            }
            let Some(next) = working.pop_front() else { return Ok(()) };
            let scanned = next.await.map_err(|_| LedgerError::Stopped)??;
            self.take(scanned).await?;
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    async fn take(&mut self, scanned: Scanned) -> Result<(), LedgerError> {
        self.bytes += scanned.bytes;
        if scanned.tile_leaves.is_some() && self.tiles.is_none() {
            self.tiles = Some(self.tree.clone());
        }
        scanned.findings.into_iter().for_each(|finding| self.find(finding));
        if let Some(tiles) = &mut self.tiles {
            tiles.grow(self.reader, scanned.tile_leaves.as_ref().unwrap_or(&scanned.leaves)).await?;
        }
        self.seen.extend(scanned.leaves.iter().map(|leaf| prefix(*leaf)));
        let mut rest = scanned.leaves.as_slice();
        while !rest.is_empty() {
            let size = self.tree.edge.size();
            let next = self.remembered.front().map_or(rest.len(), |next| {
                usize::try_from(next.size - size).unwrap_or(usize::MAX).min(rest.len())
            });
            let (now, later) = rest.split_at(next);
            self.tree.grow(self.reader, now).await?;
            self.remember()?;
            rest = later;
        }
        for (id, is_intent, index) in scanned.uses {
            if is_intent {
                self.open.insert(id, index);
            } else if self.open.remove(&id).is_none() && self.whole {
                self.find(Finding::Unannounced { index });
            }
        }
        Ok(())
    }

    /// Compares with the checkpoints that were seen at this size.
    fn remember(&mut self) -> Result<(), LedgerError> {
        let edge = &self.tree.edge;
        while let Some(next) = self.remembered.front().filter(|next| next.size == edge.size()) {
            let root = edge.root();
            // Where entries are damaged, the comparison would say "forked" of what is merely damaged.
            if root != next.root && self.findings.is_empty() {
                let found = Box::new(Checkpoint::new(&next.origin, next.size, root));
                return Err(LedgerError::Fork { found, remembered: Box::new(next.clone()) });
            }
            self.remembered.pop_front();
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), LedgerError> {
        self.tree.finish(self.reader).await?;
        if let Some(tiles) = &mut self.tiles {
            tiles.finish(self.reader).await?;
        }
        let right = match &self.tiles {
            _ if self.tree.leads_to(self.head) => {
                // The entries are right, so what differs from them is the tiles.
                for finding in &mut self.findings {
                    if let Finding::Altered { index } | Finding::Reordered { first: index, .. } = *finding {
                        let id = TileId::within(TileKind::Hashes(0), index / 256, self.head.size);
                        *finding = Finding::Tile { name: id.map(TileId::path).unwrap_or_default() };
                    }
                }
                self.findings.dedup();
                &self.tree
            }
            Some(tiles) if tiles.leads_to(self.head) => tiles,
            _ => {
                if !self.findings.iter().any(|finding| matches!(finding, Finding::Missing { .. })) {
                    self.find(Finding::Rewritten);
                }
                return self.find_repeated().await;
            }
        };
        for finding in right.findings.clone() {
            self.find(finding);
        }
        self.find_repeated().await
    }

    async fn find_repeated(&mut self) -> Result<(), LedgerError> {
        self.seen.sort_unstable();
        let twice: Vec<u64> = self
            .seen
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
            .take(FINDINGS_MAX)
            .collect();
        if twice.is_empty() || !self.findings.is_empty() {
            return Ok(());
        }
        let mut firsts: BTreeMap<Hash, u64> = BTreeMap::new();
        for bundle in 0..self.head.size.div_ceil(256) {
            let Some(id) = TileId::within(TileKind::Hashes(0), bundle, self.head.size) else { break };
            for (leaf, index) in self.reader.hashes(id).await?.into_iter().zip(bundle * 256..) {
                if twice.contains(&prefix(leaf))
                    && let Some(first) = firsts.insert(leaf, index)
                {
                    firsts.insert(leaf, first);
                    self.find(Finding::Replayed { index, first });
                }
            }
        }
        Ok(())
    }
}

fn prefix(leaf: Hash) -> u64 {
    leaf.0.first_chunk().map_or(0, |prefix| u64::from_be_bytes(*prefix))
}
