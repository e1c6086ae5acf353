//! Names of tiles and bundles, and bundles of entries: C2SP `tlog-tiles`.
//!
//! In scope: paths below a ledger's prefix, the bundles' bytes. Out of scope: what entries mean.

use crate::{
    hash::{Edge, Hash},
    limits::{ENTRY_MAX, TILE_WIDTH},
};
use thiserror::Error;

/// The name of the newest published checkpoint.
pub const CHECKPOINT: &str = "checkpoint";

/// What a tile object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Entries.
    Entries,
    /// Hashes of this level; 0 holds leaves.
    Hashes(u8),
}

/// The place of a tile or bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// What it holds.
    pub kind: TileKind,
    /// Its place within its kind.
    pub index: u64,
    /// How many hashes or entries it holds: 1 to 256.
    pub width: u16,
}

impl TileId {
    /// The bundle or tile of `kind` at `index`, as wide as a tree of `size` leaves has it. `None` where that tree
    /// has none there.
    #[must_use]
    pub fn within(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let level = match kind {
            TileKind::Entries => 0,
            TileKind::Hashes(level) => u32::from(level),
        };
        let hashes = size.checked_shr(8 * level).unwrap_or(0);
        let width = hashes.saturating_sub(index.checked_mul(TILE_WIDTH)?).min(TILE_WIDTH);
        (width > 0).then_some(Self { kind, index, width: width as u16 })
    }

    /// The same, full.
    #[must_use]
    pub fn full(self) -> Self {
        Self { width: TILE_WIDTH as u16, ..self }
    }

    /// Whether it is full.
    #[must_use]
    pub fn is_full(self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }

    /// Its name below the ledger's prefix: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
    #[must_use]
    pub fn path(self) -> String {
        let full = self.full_path();
        if self.is_full() { full } else { format!("{full}.p/{}", self.width) }
    }

    /// The folder of all narrower versions of it.
    #[must_use]
    pub fn partial_prefix(self) -> String {
        format!("{}.p/", self.full_path())
    }

    fn full_path(self) -> String {
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        match self.kind {
            TileKind::Entries => format!("tile/entries/{number}"),
            TileKind::Hashes(level) => format!("tile/{level}/{number}"),
        }
    }

    /// The inverse of [`TileId::path`]; `None` for what is no canonical name of a tile.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (kind, rest) = rest.split_once('/')?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(level.parse().ok().filter(|level| *level < 64)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok().filter(|width| (1..256).contains(width))?),
            None => (rest, TILE_WIDTH as u16),
        };
        let mut index: u64 = 0;
        for element in number.split('/') {
            let digits = element.strip_prefix('x').unwrap_or(element);
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let tile = Self { kind, index, width };
        // Leading zeroes, missing x and the like make another name.
        (tile.path() == path).then_some(tile)
    }
}

/// The tiles that a tree of `size` leaves has at its right edge, full ones left out.
#[must_use]
pub fn edge_tiles(size: u64) -> Vec<TileId> {
    let partial = |level: usize| {
        let width = Edge::width(size, level);
        let index = size >> (8 * level) >> 8;
        (width > 0).then_some(TileId { kind: TileKind::Hashes(level as u8), index, width: width as u16 })
    };
    (0..Edge::level_count(size)).filter_map(partial).collect()
}

/// A tile's bytes.
#[must_use]
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes in a tile's bytes; `None` where they are not `width`.
#[must_use]
pub fn decode_hashes(bytes: &[u8], width: u16) -> Option<Vec<Hash>> {
    if bytes.len() != usize::from(width) * Hash::LEN {
        return None;
    }
    bytes.chunks_exact(Hash::LEN).map(|hash| hash.try_into().ok().map(Hash)).collect()
}

/// What is wrong with a bundle of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BundleError {
    /// An entry is longer than a bundle can say.
    #[error("an entry of {0} bytes is longer than {ENTRY_MAX}")]
    TooLong(usize),
    /// It ends in the middle of an entry.
    #[error("it ends within entry {0}")]
    Cut(usize),
    /// It has too few or too many entries.
    #[error("it holds {found} entries where {expected} belong")]
    Count {
        /// How many it holds.
        found: usize,
        /// How many it should.
        expected: usize,
    },
}

/// The bytes of a bundle: each entry after its length, two bytes, big-endian.
///
/// # Errors
/// [`BundleError::TooLong`].
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, BundleError> {
    let mut out = Vec::with_capacity(entries.iter().map(|entry| entry.as_ref().len() + 2).sum());
    for entry in entries.iter().map(AsRef::as_ref) {
        let len = u16::try_from(entry.len()).map_err(|_| BundleError::TooLong(entry.len()))?;
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(entry);
    }
    Ok(out)
}

/// The entries of a bundle of `width`.
///
/// # Errors
/// [`BundleError::Cut`], [`BundleError::Count`].
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let expected = usize::from(width);
    let mut entries = Vec::with_capacity(expected);
    let mut rest = bytes;
    while !rest.is_empty() {
        if entries.len() == expected {
            return Err(BundleError::Count { found: expected + 1, expected });
        }
        let cut = BundleError::Cut(entries.len());
        let (len, tail) = rest.split_first_chunk().ok_or(cut)?;
        let (entry, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or(cut)?;
        entries.push(entry);
        rest = tail;
    }
    if entries.len() == expected {
        Ok(entries)
    } else {
        Err(BundleError::Count { found: entries.len(), expected })
    }
}
