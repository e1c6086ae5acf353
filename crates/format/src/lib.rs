//! The Strongroom wire format.
//!
//! In scope: every object of a vault, byte by byte, as `docs/spec/vault.md` defines it; encoding,
//! decoding, limits, sealing and opening. Clause numbers such as `[V-4.2]` refer to that document.
//!
//! Out of scope: files, networks, clocks, key providers. Randomness comes in through [`Entropy`].

pub mod change;
pub mod context;
pub mod control;
pub mod entropy;
pub mod epoch;
pub mod error;
pub mod group;
pub mod ids;
pub mod keyring;
pub mod keys;
pub mod limits;
pub mod names;
pub mod pack;
pub mod seal;
pub mod secret;
pub mod segment;
mod signed;
pub mod snapshot;
pub mod tree;
pub mod wire;
pub mod xwing;

pub use entropy::{Entropy, EntropyRng, SystemEntropy};
pub use error::{Damage, FormatError};
pub use ids::{ChunkId, DatasetId, ObjectHash, RefsId, SessionId, VaultId};
pub use secret::Secret32;
