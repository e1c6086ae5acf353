//! What workers do: bundles against tiles, entry by entry.

use super::findings::Finding;
use crate::{
    entry::{Entry, OperationId, Phase},
    error::LedgerError,
    hash::Hash,
    reader::Reader,
    tile::{TileId, TileKind},
};

/// Bundles of one piece of work.
const RUN: u64 = 32;

/// A key use: its operation, step and attempt.
pub(super) type UseId = (OperationId, u32, u32);

/// A piece of work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    from: u64,
    to: u64,
    size: u64,
    fields: bool,
}

impl Run {
    pub(super) fn all(from: u64, size: u64, fields: bool) -> impl Iterator<Item = Self> {
        let first = from / (RUN * 256);
        (first..size.div_ceil(RUN * 256)).map(move |run| Self {
            from: from.max(run * RUN * 256),
            to: size.min((run + 1) * RUN * 256),
            size,
            fields,
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) leaves: Vec<Hash>,
    /// The leaves that the tiles have, where they differ.
    pub(super) tile_leaves: Option<Vec<Hash>>,
    pub(super) bytes: u64,
    pub(super) findings: Vec<Finding>,
    /// Key uses, whether announced, and where.
    pub(super) uses: Vec<(UseId, bool, u64)>,
}

pub(super) async fn scan(reader: Reader, run: Run) -> Result<Scanned, LedgerError> {
    let mut scanned = Scanned::default();
    let mut index = run.from;
    while index < run.to {
        let bundle = index / 256;
        let end = run.to.min((bundle + 1) * 256);
        let Some(id) = TileId::within(TileKind::Entries, bundle, run.size) else { break };
        let tile = match reader.hashes(TileId { kind: TileKind::Hashes(0), ..id }).await {
            Ok(tile) => Some(tile),
            Err(LedgerError::Damaged { name, .. }) => {
                scanned.findings.push(Finding::Missing { name });
                None
            }
            Err(error) => return Err(error),
        };
        let skip = (index % 256) as usize;
        match reader.bundle(id).await {
            Ok(entries) => {
                scanned.check(&entries[skip..], tile.as_deref().map(|tile| &tile[skip..]), index, run.fields)
            }
            Err(LedgerError::Damaged { name, .. }) => {
                scanned.findings.push(Finding::Missing { name });
                // The tile stands in, so that whatever else is wrong can still be found.
                let stand_in = tile.map_or_else(
                    || vec![Hash::EMPTY_ROOT; (end - index) as usize],
                    |tile| tile[skip..].to_vec(),
                );
                if let Some(tile_leaves) = &mut scanned.tile_leaves {
                    tile_leaves.extend_from_slice(&stand_in);
                }
                scanned.leaves.extend(stand_in);
            }
            Err(error) => return Err(error),
        }
        index = end;
    }
    Ok(scanned)
}

impl Scanned {
    fn check(&mut self, entries: &[Vec<u8>], tile: Option<&[Hash]>, from: u64, fields: bool) {
        let start = self.leaves.len();
        for (entry, index) in entries.iter().zip(from..) {
            self.leaves.push(Hash::of_leaf(entry));
            self.bytes += entry.len() as u64;
            if fields {
                self.check_fields(entry, index);
            }
        }
        if let Some(tile_leaves) = &mut self.tile_leaves {
            tile_leaves.extend_from_slice(tile.unwrap_or(&self.leaves[start..]));
        }
        let leaves = &self.leaves[start..];
        let Some(tile) = tile.filter(|tile| *tile != leaves) else { return };
        if self.tile_leaves.is_none() {
            self.tile_leaves = Some([&self.leaves[..start], tile].concat());
        }
        let differ =
            |(place, pair): (usize, (&Hash, &Hash))| (pair.0 != pair.1).then_some(from + place as u64);
        let wrong: Vec<u64> = leaves.iter().zip(tile).enumerate().filter_map(differ).collect();
        let (mut mine, mut theirs) = (leaves.to_vec(), tile.to_vec());
        mine.sort_unstable();
        theirs.sort_unstable();
        match (wrong.first(), wrong.last()) {
            (Some(first), Some(last)) if mine == theirs => {
                self.findings.push(Finding::Reordered { first: *first, last: *last });
            }
            _ => self.findings.extend(wrong.into_iter().map(|index| Finding::Altered { index })),
        }
    }

    fn check_fields(&mut self, entry: &[u8], index: u64) {
        match Entry::decode(entry) {
            Ok(entry) if entry.phase == Phase::Event => {}
            Ok(entry) => {
                let id = (entry.operation, entry.step, entry.attempt);
                self.uses.push((id, entry.phase == Phase::Intent, index));
            }
            Err(error) => self.findings.push(Finding::Malformed { index, error }),
        }
    }
}
