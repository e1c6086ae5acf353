//! What can go wrong in the engine.

use crate::{index::IndexError, store::StoreError};
use std::path::PathBuf;
use strongroom_custody::CustodyError;
use strongroom_format::{ChunkId, Damage, FormatError};
use thiserror::Error;

/// An operation of the engine that failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not be wrapped or unwrapped.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The keyring is not what this client remembers.
    #[error(transparent)]
    Pinned(#[from] crate::pins::PinError),
    /// A change is not made, not cancelled or not carried out.
    #[error(transparent)]
    Change(#[from] crate::changes::ChangeError),
    /// An object of the vault is damaged.
    #[error("object {name} is damaged: {source}")]
    Damaged {
        /// The object's name in the vault.
        name: String,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A chunk that a snapshot needs is in no pack.
    #[error("chunk {id} is needed and is in no pack of the vault")]
    MissingChunk {
        /// The chunk.
        id: ChunkId,
    },
    /// An object that the index names is not there.
    #[error("object {name} is named by the index and is not in the vault")]
    MissingObject {
        /// The object's name in the vault.
        name: String,
    },
    /// The local index cache failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A local file or folder failed.
    #[error("cannot {operation} {path}: {source}")]
    Local {
        /// What was being done, such as `open`.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// There is no vault at the location.
    #[error("there is no vault at {location}")]
    NoVault {
        /// The location.
        location: String,
    },
    /// There is a vault already.
    #[error("there is a vault at {location} already")]
    VaultExists {
        /// The location.
        location: String,
    },
    /// A vault was begun and has no keyring yet.
    #[error(
        "the vault at {location} is not finished: either it is being made right now, or making it was interrupted"
    )]
    Unfinished {
        /// The location.
        location: String,
    },
    /// Every key of the vault was destroyed.
    #[error("the vault at {location} was shredded: {certificate} says when and by which change")]
    Shredded {
        /// The location.
        location: String,
        /// The name of the certificate.
        certificate: String,
    },
    /// The vault has no dataset of this name.
    #[error("the vault has no dataset `{name}`")]
    NoDataset {
        /// The name asked for.
        name: String,
        /// The datasets there are.
        known: Vec<String>,
    },
    /// The dataset is there already.
    #[error("the vault has a dataset `{name}` already")]
    DatasetExists {
        /// The name.
        name: String,
    },
    /// No snapshot matches.
    #[error("no snapshot matches {wanted}")]
    NoSnapshot {
        /// What was asked for, in words.
        wanted: String,
    },
    /// A path is not in the snapshot.
    #[error("the snapshot has no {path}")]
    NoPath {
        /// The path, escaped.
        path: String,
    },
    /// Something asked for does not make sense.
    #[error("{0}")]
    Invalid(String),
    /// A command whose output was to be backed up failed.
    #[error("the command `{command}` {outcome}; no snapshot was made")]
    Command {
        /// The program.
        command: String,
        /// How it ended.
        outcome: String,
    },
    /// The backup was out of touch with the vault for so long that a prune may have overtaken it.
    #[error(
        "this backup gave no sign of life for {hours} hours, and a prune may have removed what it builds on"
    )]
    SessionStale {
        /// Hours since the last sign.
        hours: u64,
    },
    /// Prune cannot tell what is still needed.
    #[error("prune has deleted nothing, because it cannot tell what is still needed: {source}")]
    PruneStopped {
        /// What stands in the way.
        source: Box<VaultError>,
    },
    /// Prune may not delete.
    #[error("prune has changed nothing, because it may not delete from the vault: {source}")]
    MayNotDelete {
        /// The store's answer.
        source: StoreError,
    },
    /// Another prune was at work at the same time.
    #[error("another prune changed the vault at the same time; this one has deleted nothing")]
    Disturbed,
    /// The operation was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// An invariant of the program does not hold.
    #[error("internal error: {0}")]
    Bug(&'static str),
}

impl VaultError {
    /// A damaged object.
    #[must_use]
    pub fn format(name: impl Into<String>, source: FormatError) -> Self {
        Self::Damaged { name: name.into(), source }
    }

    /// A damaged object, from the damage alone.
    #[must_use]
    pub fn damaged(name: impl Into<String>, object: &'static str, damage: Damage) -> Self {
        Self::format(name, FormatError::new(object, damage))
    }

    /// A local file or folder that failed.
    #[must_use]
    pub fn local(operation: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Local { operation, path: path.into(), source }
    }

    /// Whether the vault itself is damaged or was tampered with.
    #[must_use]
    pub fn is_integrity(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::MissingChunk { .. } | Self::MissingObject { .. } => true,
            Self::PruneStopped { source } => source.is_integrity(),
            // Objects never change, so one of another length than it must have was damaged.
            Self::Store(error) => matches!(
                error,
                StoreError::Corrupt { .. } | StoreError::OutOfRange { .. } | StoreError::TooLarge { .. }
            ),
            _ => false,
        }
    }
}

/// The result of an operation of the engine.
pub type Result<T, E = VaultError> = std::result::Result<T, E>;
