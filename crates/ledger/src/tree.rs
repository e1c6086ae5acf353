//! Proofs over a ledger's tiles: inclusion and consistency of RFC 6962, section 2.1.
//!
//! In scope: making proofs from tiles that the caller fetched, checking proofs. Out of scope: fetching.

use crate::{
    hash::Hash,
    limits::{PROOF_MAX, SIZE_MAX},
    tile::{TileId, TileKind, encode_hashes},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};
use thiserror::Error;
use tlog_tiles::{
    tile::Tile,
    tlog::{self, HashReader},
};

/// A proof that could not be made, or that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The entry or the older tree is not within the tree.
    #[error("{what} is not within a tree of {size} entries")]
    Outside {
        /// What lies outside.
        what: String,
        /// The tree's size.
        size: u64,
    },
    /// The proof does not lead to the root.
    #[error("the proof does not lead to the root of the tree")]
    Wrong,
    /// Tiles do not fit together.
    #[error("the tiles do not fit together")]
    Tiles,
}

/// Tiles of one tree, as far as they were fetched.
#[derive(Debug, Clone, Default)]
pub struct Tiles {
    size: u64,
    tiles: BTreeMap<TileId, Vec<u8>>,
}

/// A proof, or the tiles that are still missing to make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made<T> {
    /// It is made.
    Done(T),
    /// These tiles are needed first.
    Missing(BTreeSet<TileId>),
}

impl Tiles {
    /// No tiles yet of a tree of `size` leaves.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size, tiles: BTreeMap::new() }
    }

    /// Adds a tile, as wide as the tree has it.
    pub fn insert(&mut self, id: TileId, hashes: &[Hash]) {
        self.tiles.insert(id, encode_hashes(hashes));
    }

    /// The proof that entry `index` is in the tree, the leaf's sibling first.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn prove_inclusion(&self, index: u64) -> Result<Made<Vec<Hash>>, ProofError> {
        if index >= self.size || self.size > SIZE_MAX {
            return Err(ProofError::Outside { what: format!("entry {index}"), size: self.size });
        }
        self.run(|reader| tlog::prove_record(self.size, index, reader))
    }

    /// The proof that the tree begins with the tree of its first `old` leaves. Empty where `old` is 0.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn prove_consistency(&self, old: u64) -> Result<Made<Vec<Hash>>, ProofError> {
        if old > self.size || self.size > SIZE_MAX {
            return Err(ProofError::Outside { what: format!("a tree of {old} entries"), size: self.size });
        }
        if old == 0 {
            return Ok(Made::Done(Vec::new()));
        }
        self.run(|reader| tlog::prove_tree(self.size, old, reader))
    }

    fn run(
        &self,
        make: impl FnOnce(&Reader<'_>) -> Result<Vec<tlog::Hash>, tlog::Error>,
    ) -> Result<Made<Vec<Hash>>, ProofError> {
        let reader = Reader { tiles: self, missing: RefCell::default() };
        let made = make(&reader);
        let missing = reader.missing.into_inner();
        match made {
            _ if !missing.is_empty() => Ok(Made::Missing(missing)),
            Ok(proof) => Ok(Made::Done(proof.into_iter().map(Hash::from).collect())),
            Err(_) => Err(ProofError::Tiles),
        }
    }
}

struct Reader<'a> {
    tiles: &'a Tiles,
    missing: RefCell<BTreeSet<TileId>>,
}

impl HashReader for Reader<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        let mut hashes = Vec::with_capacity(indexes.len());
        for index in indexes {
            let narrow = Tile::from_index(8, *index);
            let kind = TileKind::Hashes(narrow.level());
            let id = TileId::within(kind, narrow.level_index(), self.tiles.size)
                .ok_or(tlog::Error::InvalidTile)?;
            let Some(bytes) = self.tiles.tiles.get(&id) else {
                self.missing.borrow_mut().insert(id);
                hashes.push(tlog::Hash::default());
                continue;
            };
            let tile = Tile::new(8, narrow.level(), id.index, u32::from(id.width), false);
            hashes.push(tile.hash_at_index(bytes, *index)?);
        }
        Ok(hashes)
    }
}

fn plain(proof: &[Hash]) -> Result<Vec<tlog::Hash>, ProofError> {
    if proof.len() > PROOF_MAX {
        return Err(ProofError::Wrong);
    }
    Ok(proof.iter().map(|hash| (*hash).into()).collect())
}

/// Checks that the tree of `size` leaves under `root` has `leaf` at `index`.
///
/// # Errors
/// [`ProofError`].
pub fn check_inclusion(
    proof: &[Hash],
    size: u64,
    root: Hash,
    index: u64,
    leaf: Hash,
) -> Result<(), ProofError> {
    if index >= size || size > SIZE_MAX {
        return Err(ProofError::Outside { what: format!("entry {index}"), size });
    }
    tlog::check_record(&plain(proof)?, size, root.into(), index, leaf.into()).map_err(|_| ProofError::Wrong)
}

/// Checks that the tree of `size` leaves under `root` begins with the tree of `old` leaves under `old_root`.
///
/// # Errors
/// [`ProofError`].
pub fn check_consistency(
    proof: &[Hash],
    size: u64,
    root: Hash,
    old: u64,
    old_root: Hash,
) -> Result<(), ProofError> {
    if old > size || size > SIZE_MAX {
        return Err(ProofError::Outside { what: format!("a tree of {old} entries"), size });
    }
    if old == 0 {
        return if proof.is_empty() && old_root == Hash::EMPTY_ROOT {
            Ok(())
        } else {
            Err(ProofError::Wrong)
        };
    }
    tlog::check_tree(&plain(proof)?, size, root.into(), old, old_root.into()).map_err(|_| ProofError::Wrong)
}
