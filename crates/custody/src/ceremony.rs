//! The ceremony by which key material is split among custodians, and put together again.
//!
//! In scope: Shamir shares of 16 to 4096 bytes (the seed of a key file, an age identity, a long passphrase), their
//! byte form, their form on paper with a QR code, sealing a share to an age recipient, and reading all of that back.
//! Also the material itself ([`Material`]): made here, wrapped for a provider's import under the provider's
//! [`WrappingKey`], told apart by its [`Fingerprint`], and the [`Record`] of every step.
//!
//! Out of scope: who the custodians are, handing shares over, printing.
//!
//! Invariant: nothing here writes to a file. Shares leave as values that wipe themselves, or sealed.
//!
//! The sum of what the shares hide ends in a check value, so that what is recovered is told from what is not: a
//! wrong share gives an error, never a wrong key. Fewer shares than the threshold tell nothing but the length, not
//! even to somebody who can try every material.

mod cards;
mod challenge;
mod material;
mod record;
mod sealed;
mod shares;
mod transcript;
mod wrapping;

pub use cards::{CardError, CardTexts, QR_SHARE_MAX, card, ceremony_words, share_words};
pub use challenge::Challenge;
pub use material::{CeremonyError, Fingerprint, Material, MaterialKind};
pub use record::{Custodian, Entry, Record, Step, share_digest};
pub use sealed::{open_sealed_share, seal_share_to_age};
pub use shares::{MATERIAL_MAX, MATERIAL_MIN, SHARES_MAX, Share, ShareError, recover, split};
pub use transcript::{
    LineProblem, TranscriptError, TypedShare, qr_payload, read_qr_payload, read_transcript, transcript,
};
pub use wrapping::{Algorithm, WrappingKey};
