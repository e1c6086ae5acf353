//! A proof that an entry is in the ledger, which needs nothing else to be checked: C2SP `tlog-proof`.

use crate::{
    checkpoint::{CheckpointError, Identity, SignedCheckpoint},
    hash::Hash,
    limits::{CHECKPOINT_MAX, ENTRY_MAX, PROOF_MAX},
    note::{Note, NoteError},
    tree::{ProofError, check_inclusion},
};
use data_encoding::BASE64;
use thiserror::Error;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryProofError {
    /// Its text form is broken.
    #[error("it is no proof: {0}")]
    Malformed(&'static str),
    /// Its checkpoint is not to be believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The entry is not what was proved.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// An entry's proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryProof {
    /// Opaque bytes beside it, not authenticated; Strongroom puts the entry there.
    pub extra: Option<Vec<u8>>,
    /// The entry's place.
    pub index: u64,
    /// The path from the leaf's sibling to the root's child.
    pub path: Vec<Hash>,
    /// The ledger's checkpoint with its signatures.
    pub checkpoint: Note,
}

impl EntryProof {
    /// The text form.
    #[must_use]
    pub fn encode(&self) -> String {
        let extra =
            self.extra.as_ref().map(|extra| format!("extra {}\n", BASE64.encode(extra))).unwrap_or_default();
        let path: String = self.path.iter().map(|hash| format!("{hash}\n")).collect();
        format!("{HEADER}\n{extra}index {}\n{path}\n{}", self.index, self.checkpoint.encode())
    }

    /// Reads the text form; verifies nothing.
    ///
    /// # Errors
    /// [`EntryProofError::Malformed`], or a note's error.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryProofError> {
        let malformed = EntryProofError::Malformed;
        if bytes.len() > CHECKPOINT_MAX + ENTRY_MAX * 2 {
            return Err(malformed("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(malformed("it has no checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(malformed("its first line is another"));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            Some(extra) => {
                lines.next();
                Some(crate::base64::decode(extra).ok_or(malformed("its extra data is not Base64"))?)
            }
            None => None,
        };
        let index =
            lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(malformed("it has no index"))?;
        let number: u64 = index.parse().map_err(|_| malformed("its index is no number"))?;
        if number.to_string() != index {
            return Err(malformed("its index is not in canonical form"));
        }
        let path: Vec<_> = lines
            .take(PROOF_MAX + 1)
            .map(|line| Hash::from_base64(line).ok_or(malformed("one of its hashes is none")))
            .collect::<Result<_, _>>()?;
        if path.len() > PROOF_MAX {
            return Err(malformed("it has too many hashes"));
        }
        let note = |error: NoteError| EntryProofError::Checkpoint(error.into());
        Ok(Self { extra, index: number, path, checkpoint: Note::parse(checkpoint.as_bytes()).map_err(note)? })
    }

    /// Checks that the ledger `identity` holds `entry` at this proof's index.
    ///
    /// # Errors
    /// [`EntryProofError`].
    pub fn verify(&self, identity: &Identity, entry: &[u8]) -> Result<SignedCheckpoint, EntryProofError> {
        let signed = identity.open(self.checkpoint.encode().as_bytes())?;
        let head = &signed.checkpoint;
        check_inclusion(&self.path, head.size, head.root, self.index, Hash::of_leaf(entry))?;
        Ok(signed)
    }
}
