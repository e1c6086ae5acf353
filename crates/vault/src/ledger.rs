//! The ledger of a vault: where it lies, and the observer that writes key uses into it.
//!
//! In scope: from a vault's location to its ledger's store; intents and outcomes of key uses. Out of scope: the
//! ledger's own rules (`strongroom-ledger`), and which key signs it (the program's).

mod identity;
mod recorder;

pub use identity::{IDENTITY, IdentityError, new_origin, read_identity, write_identity};
pub use recorder::{Actor, Recorder, Run, Sink};

/// The ledger's folder in the store of its vault.
pub const FOLDER: &str = "ledger";
