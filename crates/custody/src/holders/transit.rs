//! Keyholders of the kind `transit`: a key in the Transit engine of an OpenBao or HashiCorp Vault server.
//!
//! Public parameters: `address` (`https://host[:port]`; `http` on this machine only), `mount` (`transit` where
//! absent), `key`, `namespace` (none where absent), and `derived` (`yes` where the key is a derived one, which
//! gets the context as Transit's `context` too).
//!
//! The key must be an AEAD key of 256 bits: the canonical context is its `associated_data`, so that the server opens
//! a wrap for the same context only. A wrap is a version byte and the server's own text, `vault:v3:...`.
//!
//! In scope: wrapping, unwrapping, the state of the key, soft-delete, set-up. Out of scope: making, rotating and
//! deleting keys; [`crate::hardening::transit`] prints how to do that well.

mod access;
mod audit;
mod classify;
mod client;
mod describe;
mod holder;
pub mod import;
mod parameters;
mod session;

pub use access::{Access, Login, Server};
pub use audit::AuditHash;
pub use describe::{Described, TransitKey, describe};
pub use holder::TransitKeyholder;
pub(crate) use parameters::{valid_key, valid_path};

/// The kind's name in keyrings.
pub const KIND: &str = "transit";
