//! Witnesses: others who saw the ledger grow and never shrink or change. C2SP `tlog-witness` and `tlog-policy`.
//!
//! In scope: which witnesses are trusted and how many must have cosigned, requests and answers of
//! `add-checkpoint`, what a witness decides. Out of scope: HTTP.

mod policy;

pub use policy::{Member, PolicyError, Quorum, Standing, TrustedWitness, WitnessPolicy, WitnessStanding};

use crate::{
    checkpoint::{CheckpointError, Identity, SignedCheckpoint},
    cosignature,
    hash::Hash,
    limits::PROOF_MAX,
    note::{Note, NoteError, Signature, SigningKey},
    tree::check_consistency,
};
use thiserror::Error;

/// What a ledger asks of a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the tree that the witness cosigned last.
    pub old_size: u64,
    /// That the new tree begins with the old one.
    pub proof: Vec<Hash>,
    /// The new checkpoint.
    pub checkpoint: Note,
}

/// A request or an answer that is malformed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WitnessError {
    /// The text form is broken.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// The checkpoint in it is.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl AddCheckpoint {
    /// The body of the request.
    #[must_use]
    pub fn encode(&self) -> String {
        let proof: String = self.proof.iter().map(|hash| format!("{hash}\n")).collect();
        format!("old {}\n{proof}\n{}", self.old_size, self.checkpoint.encode())
    }

    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WitnessError> {
        let malformed = WitnessError::Malformed;
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(malformed("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        let old =
            lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(malformed("it has no old size"))?;
        let old_size: u64 = old.parse().map_err(|_| malformed("its old size is no number"))?;
        if old_size.to_string() != old {
            return Err(malformed("its old size is not in canonical form"));
        }
        let proof: Vec<_> = lines
            .take(PROOF_MAX + 1)
            .map(|line| Hash::from_base64(line).ok_or(malformed("one of its hashes is none")))
            .collect::<Result<_, _>>()?;
        if proof.len() > PROOF_MAX {
            return Err(malformed("its proof is too long"));
        }
        Ok(Self { old_size, proof, checkpoint: Note::parse(checkpoint.as_bytes())? })
    }
}

/// What a witness answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200: it remembers the new checkpoint, and cosigned it.
    Cosigned(Signature),
    /// 400: the old size is larger than the new one.
    Backwards,
    /// 403: none of the ledger's keys signed.
    Unsigned,
    /// 404: it knows no such ledger.
    Unknown,
    /// 409: it cosigned another size last, or another tree of this size.
    Conflict(u64),
    /// 422: the proof is wrong.
    Inconsistent,
}

impl Answer {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Cosigned(_) => 200,
            Self::Backwards => 400,
            Self::Unsigned => 403,
            Self::Unknown => 404,
            Self::Conflict(_) => 409,
            Self::Inconsistent => 422,
        }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> String {
        match self {
            Self::Cosigned(signature) => format!("{signature}\n"),
            Self::Conflict(size) => format!("{size}\n"),
            _ => String::new(),
        }
    }
}

/// What a witness decides, given the checkpoint that it cosigned last. Its caller must remember the checkpoint that
/// comes back durably before it sends the answer, and let nothing come between the two.
#[must_use]
pub fn decide(
    request: &AddCheckpoint,
    identity: &Identity,
    last: Option<&SignedCheckpoint>,
    key: &SigningKey,
    now: u64,
) -> (Answer, Option<SignedCheckpoint>) {
    let new = match identity.open(request.checkpoint.encode().as_bytes()) {
        Ok(new) => new,
        Err(CheckpointError::Foreign { .. }) => return (Answer::Unknown, None),
        Err(_) => return (Answer::Unsigned, None),
    };
    let head = &new.checkpoint;
    if request.old_size > head.size {
        return (Answer::Backwards, None);
    }
    let (old_size, old_root) =
        last.map_or((0, Hash::EMPTY_ROOT), |last| (last.checkpoint.size, last.checkpoint.root));
    if request.old_size != old_size || (old_size == head.size && old_root != head.root) {
        return (Answer::Conflict(old_size), None);
    }
    if check_consistency(&request.proof, head.size, head.root, old_size, old_root).is_err() {
        return (Answer::Inconsistent, None);
    }
    (Answer::Cosigned(cosignature::cosign(key, &new.note.text, now)), Some(new))
}

/// The signature lines of a witness's answer.
///
/// # Errors
/// [`WitnessError`].
pub fn parse_signatures(body: &[u8]) -> Result<Vec<Signature>, WitnessError> {
    let text = std::str::from_utf8(body).map_err(|_| WitnessError::Malformed("it is not UTF-8"))?;
    let lines = text.strip_suffix('\n').ok_or(WitnessError::Malformed("its last line does not end"))?;
    lines.split('\n').take(16).map(|line| Signature::parse(line).map_err(Into::into)).collect()
}
