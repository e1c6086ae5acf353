//! An append-only, signed log of key uses that anyone can verify: C2SP tiles, checkpoints, witnesses, proofs.
//!
//! In scope: entries and their canonical form, the Merkle tree, checkpoints and cosignatures, proofs, the
//! protocol by which many processes append at once, spools of hosts that are offline, verification. `docs/spec/ledger.md`
//! has every byte.
//!
//! Out of scope: calling keyholders, and what their providers recorded. This crate knows nothing of vaults.

mod base64;
pub mod checkpoint;
pub mod cosignature;
pub mod entry;
mod error;
pub mod hash;
pub mod limits;
mod lock;
pub mod note;
pub mod personal;
pub mod proof;
mod publish;
pub mod reader;
pub mod spool;
pub mod store;
pub mod tile;
pub mod tree;
pub mod verify;
mod walk;
pub mod witness;
mod writer;

pub use error::LedgerError;
pub use writer::{Ledger, Options, Receipt};

/// The SHA-256 of some bytes in hexadecimal: what entries hold of a key's context.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}
