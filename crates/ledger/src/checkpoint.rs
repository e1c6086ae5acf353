//! Checkpoints: what a ledger's key says its tree was. C2SP `tlog-checkpoint`.

use crate::{
    hash::Hash,
    limits::SIZE_MAX,
    note::{Note, NoteError, SigningKey, VerifierKey},
};
use std::fmt;
use thiserror::Error;

/// A checkpoint that cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// It is no note, or is not signed by the ledger's key.
    #[error("the checkpoint is not the ledger's: {0}")]
    Note(#[from] NoteError),
    /// Its text is no checkpoint.
    #[error("the checkpoint is malformed: {0}")]
    Malformed(&'static str),
    /// It is another ledger's.
    #[error("the checkpoint is of another ledger, `{found}` instead of `{expected}`")]
    Foreign {
        /// The origin that it names.
        found: String,
        /// The origin that was expected.
        expected: String,
    },
}

/// A tree head: origin, size and root.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// The ledger's name.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
    /// Further lines, each ended by a line feed; not interpreted.
    pub extension: String,
}

impl Checkpoint {
    /// A checkpoint without further lines.
    #[must_use]
    pub fn new(origin: &str, size: u64, root: Hash) -> Self {
        Self { origin: origin.to_owned(), size, root, extension: String::new() }
    }

    /// Reads a note's text.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let mut lines = text.splitn(4, '\n');
        let (Some(origin), Some(size), Some(root), Some(extension)) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("it has fewer than three lines"));
        };
        if origin.is_empty() {
            return Err(malformed("it names no origin"));
        }
        let number: u64 = size.parse().map_err(|_| malformed("its size is no number"))?;
        if number.to_string() != size || number > SIZE_MAX {
            return Err(malformed("its size is not in canonical form, or out of bounds"));
        }
        let root = Hash::from_base64(root).ok_or(malformed("its root is no hash"))?;
        if !extension.is_empty()
            && (!extension.ends_with('\n') || extension.starts_with('\n') || extension.contains("\n\n"))
        {
            return Err(malformed("one of its further lines is empty"));
        }
        if number == 0 && root != Hash::EMPTY_ROOT {
            return Err(malformed("its root is not that of an empty tree"));
        }
        Ok(Self { origin: origin.to_owned(), size: number, root, extension: extension.to_owned() })
    }

    /// Its text, which signatures cover.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n{}", self.origin, self.size, self.root, self.extension)
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> Note {
        Note::sign(self.text(), key)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries, root {}", self.size, self.root)
    }
}

/// A ledger's name and the keys that may sign its checkpoints: what a verifier must know beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    origin: String,
    keys: Vec<VerifierKey>,
}

impl Identity {
    /// A ledger whose checkpoints any one of `keys` signs. Keys of other names are of no use.
    #[must_use]
    pub fn new(origin: impl Into<String>, keys: Vec<VerifierKey>) -> Self {
        Self { origin: origin.into(), keys }
    }

    /// Its name, the first line of each checkpoint.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The keys of its appenders.
    #[must_use]
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Reads and verifies a signed checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(&self, bytes: &[u8]) -> Result<SignedCheckpoint, CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        if checkpoint.origin != self.origin {
            return Err(CheckpointError::Foreign { found: checkpoint.origin, expected: self.origin.clone() });
        }
        note.verify(&self.keys)?;
        Ok(SignedCheckpoint { checkpoint, note })
    }
}

/// A checkpoint whose ledger's signature was verified, with all signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note around it.
    pub note: Note,
}
