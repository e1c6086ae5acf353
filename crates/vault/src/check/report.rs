//! What a check has found.

use super::AffectedSnapshot;
use crate::{error::VaultError, store::StoreError};
use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};
use strongroom_format::{Damage, FormatError, keys::ChunkKind};
use thiserror::Error;

/// More findings than this are only counted.
const FINDINGS_MAX: usize = 10_000;

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Defect {
    /// Its bytes are not what its name, its seal or its format demands.
    #[error("{0}")]
    Damaged(FormatError),
    /// The index names it, and it is not in the vault.
    #[error("the index names it, and it is not in the vault")]
    Missing,
    /// Its length is not what the index says.
    #[error("it has {found} bytes, and the index says {expected}")]
    Length {
        /// Length in the index, in bytes.
        expected: u64,
        /// Length in the vault, in bytes.
        found: u64,
    },
    /// A snapshot needs this chunk, and no pack of the index has it.
    #[error("a snapshot needs it, and no pack has it")]
    MissingChunk {
        /// What it holds.
        kind: ChunkKind,
    },
    /// A pack's own directory and the index differ.
    #[error("the index describes it differently than it does itself")]
    IndexDiffers,
    /// The store says that the bytes are not what was written.
    #[error("the store cannot give it back: {0}")]
    Unreadable(String),
    /// It does not belong in a vault.
    #[error("it is no object of the vault")]
    Foreign,
}

/// An object of the vault that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The object's name, or `chunk` and the id of a chunk that is in no pack.
    pub object: String,
    /// What is wrong with it.
    pub defect: Defect,
}

impl Finding {
    pub(crate) fn of_error(object: impl Into<String>, error: VaultError) -> Self {
        let object = object.into();
        Self::of_error_ref(&object, &error)
    }

    pub(crate) fn of_error_ref(object: &str, error: &VaultError) -> Self {
        let object = object.to_owned();
        let defect = match error {
            VaultError::Damaged { source, .. } => Defect::Damaged(source.clone()),
            VaultError::MissingObject { .. } => Defect::Missing,
            VaultError::Store(StoreError::Corrupt { reason, .. }) => Defect::Unreadable(reason.clone()),
            VaultError::Store(StoreError::OutOfRange { .. }) => Self::damage("object", Damage::Truncated),
            other => Defect::Unreadable(other.to_string()),
        };
        Self { object, defect }
    }

    pub(crate) fn damage(object: &'static str, damage: Damage) -> Defect {
        Defect::Damaged(FormatError::new(object, damage))
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Snapshots whose headers open.
    pub snapshots: u64,
    /// Index segments that open.
    pub segments: u64,
    /// Packs that the index names.
    pub packs: u64,
    /// Their length, in bytes.
    pub stored_bytes: u64,
    /// Chunks that snapshots need.
    pub chunks_needed: u64,
    /// Objects whose bytes were compared with their names.
    pub objects_hashed: u64,
    /// Their length, in bytes.
    pub bytes_hashed: u64,
    /// Chunks that were opened and verified.
    pub chunks_verified: u64,
    /// Their length, in bytes.
    pub bytes_verified: u64,
}

/// Packs that no index segment names: left behind by a backup or prune that did not end, or not indexed yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Orphans {
    /// How many.
    pub packs: u64,
    /// Their length, in bytes.
    pub bytes: u64,
}

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is not as it must be, by object.
    pub findings: Vec<Finding>,
    /// Findings beyond those that are kept.
    pub findings_left_off: u64,
    /// The snapshots that they spoil, as far as the keys in hand tell. A scrub has no key and tells of none.
    pub affected: Vec<AffectedSnapshot>,
    /// Packs that nothing names; no damage.
    pub orphans: Orphans,
    /// How much was looked at.
    pub counts: Counts,
}

impl Report {
    /// Whether the vault is damaged or was tampered with.
    #[must_use]
    pub fn is_violation(&self) -> bool {
        !self.findings.is_empty()
    }

    /// The snapshots that an object's damage spoils.
    pub fn affected_by<'a>(&'a self, finding: &'a Finding) -> impl Iterator<Item = &'a AffectedSnapshot> {
        self.affected.iter().filter(|affected| affected.objects.contains(&finding.object))
    }
}

/// Findings from many threads, each once.
#[derive(Debug, Default)]
pub(crate) struct Findings(Mutex<(Vec<Finding>, HashSet<String>, u64)>);

impl Findings {
    fn lock(&self) -> MutexGuard<'_, (Vec<Finding>, HashSet<String>, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, finding: Finding) {
        let (list, known, left_off) = &mut *self.lock();
        if list.len() >= FINDINGS_MAX {
            *left_off += 1;
        } else if known.insert(format!("{} {}", finding.object, finding.defect)) {
            list.push(finding);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().0.is_empty()
    }

    pub(crate) fn into_list(self) -> (Vec<Finding>, u64) {
        let (mut list, _, left_off) = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        list.sort_by(|a, b| a.object.cmp(&b.object));
        (list, left_off)
    }
}
