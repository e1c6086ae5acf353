//! Repair: making the best of a damaged vault.
//!
//! [`repair_index`] builds what is missing of the index from the packs themselves; the write key suffices.
//! [`repair_snapshots`] gives up what is lost: it saves what can be read of damaged packs, and replaces
//! snapshots that miss something by ones without it. Nothing that can still be read is ever removed.

mod index;
mod packs;
mod snapshots;

pub use index::{IndexRepair, LostPack, repair_index};
pub use snapshots::{LostPath, RepairOptions, RepairedSnapshot, SnapshotRepair, repair_snapshots};
