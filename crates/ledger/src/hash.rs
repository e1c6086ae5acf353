//! Merkle tree hashing of RFC 6962, section 2.1, with SHA-256, and the right edge of a growing tree.
//!
//! In scope: leaves, nodes, roots of trees that grow at their end. Out of scope: where hashes are stored.

use data_encoding::{BASE64, HEXLOWER};
use std::fmt;

/// A SHA-256 hash: of a leaf, a node or a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; Self::LEN]);

impl Hash {
    /// Its length in bytes.
    pub const LEN: usize = 32;

    /// The root of the empty tree: the hash of nothing.
    pub const EMPTY_ROOT: Self = Self(tlog_tiles::tlog::EMPTY_HASH.0);

    /// The hash of an entry: SHA-256 of `0x00` and its bytes.
    #[must_use]
    pub fn of_leaf(entry: &[u8]) -> Self {
        Self(tlog_tiles::tlog::record_hash(entry).0)
    }

    /// The hash of an inner node: SHA-256 of `0x01` and its children.
    #[must_use]
    pub fn of_node(left: Self, right: Self) -> Self {
        Self(tlog_tiles::tlog::node_hash(left.into(), right.into()).0)
    }

    /// Reads it from the Base64 that notes and proofs hold; `None` for anything else.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        Some(Self(crate::base64::decode(text)?.try_into().ok()?))
    }

    /// As notes and proofs hold it.
    #[must_use]
    pub fn to_base64(self) -> String {
        BASE64.encode(&self.0)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl From<Hash> for tlog_tiles::tlog::Hash {
    fn from(hash: Hash) -> Self {
        Self(hash.0)
    }
}

impl From<tlog_tiles::tlog::Hash> for Hash {
    fn from(hash: tlog_tiles::tlog::Hash) -> Self {
        Self(hash.0)
    }
}

/// The root over `hashes`, whose number is a power of two.
fn perfect(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| Hash::of_node(pair[0], pair[1])).collect();
    }
    row.first().copied().unwrap_or(Hash::EMPTY_ROOT)
}

/// The right edge of a tree: for each level of tiles, the hashes of the tile that is not full yet.
/// It is all that a tree needs to grow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

/// A tile that an [`Edge`] has filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullTile {
    /// Its level; 0 holds leaves.
    pub level: u8,
    /// Its place within the level.
    pub index: u64,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
}

impl Edge {
    /// The edge of a tree of `size` leaves, given its tiles that are not full, level 0 first.
    /// `None` where the tiles do not have the widths that the size demands.
    #[must_use]
    pub fn from_levels(size: u64, levels: Vec<Vec<Hash>>) -> Option<Self> {
        let fits = levels.len() == Self::level_count(size)
            && levels
                .iter()
                .enumerate()
                .all(|(level, hashes)| hashes.len() as u64 == Self::width(size, level));
        fits.then_some(Self { size, levels })
    }

    /// How many levels of tiles a tree of `size` leaves has.
    #[must_use]
    pub fn level_count(size: u64) -> usize {
        (0..8).take_while(|level| size >> (8 * level) > 0).count()
    }

    /// How many hashes the last tile at `level` holds; 0 where it is full.
    #[must_use]
    pub fn width(size: u64, level: usize) -> u64 {
        if level < 8 { (size >> (8 * level)) & 0xff } else { 0 }
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The tiles that are not full, level 0 first.
    #[must_use]
    pub fn levels(&self) -> &[Vec<Hash>] {
        &self.levels
    }

    /// Adds a leaf, and hands each tile that it fills to `full`.
    pub fn push(&mut self, leaf: Hash, full: &mut impl FnMut(FullTile)) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let tile = &mut self.levels[level];
            tile.push(hash);
            if tile.len() < 256 {
                break;
            }
            hash = perfect(tile);
            let index = (self.size >> (8 * (level + 1))) - 1;
            full(FullTile { level: level as u8, index, hashes: std::mem::take(tile) });
        }
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut subtrees = Vec::new();
        for tile in self.levels.iter().rev() {
            let mut rest = tile.as_slice();
            while !rest.is_empty() {
                let (head, tail) = rest.split_at(1 << rest.len().ilog2());
                subtrees.push(perfect(head));
                rest = tail;
            }
        }
        let last = subtrees.pop().unwrap_or(Hash::EMPTY_ROOT);
        subtrees.into_iter().rev().fold(last, |right, left| Hash::of_node(left, right))
    }
}
