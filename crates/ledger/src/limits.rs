//! The numbers that are checked before anything is allocated.

/// Longest entry in bytes: what the length prefix of a bundle can say.
pub const ENTRY_MAX: usize = 65_535;
/// Entries of a bundle, hashes of a tile.
pub const TILE_WIDTH: u64 = 256;
/// Longest bundle in bytes.
pub const BUNDLE_MAX: usize = 256 * (2 + ENTRY_MAX);
/// Most entries of one ledger.
pub const SIZE_MAX: u64 = 1 << 48;
/// Longest checkpoint with its signatures.
pub const CHECKPOINT_MAX: usize = 64 << 10;
/// Most signatures of one note.
pub const SIGNATURES_MAX: usize = 100;
/// Most hashes of a proof.
pub const PROOF_MAX: usize = 63;
/// Longest lock object.
pub const LOCK_MAX: usize = 64 << 20;
/// Bytes of entries that one commit takes.
pub const BATCH_MAX: usize = 8 << 20;
/// Bytes of committed entries that the lock may carry before they are published.
pub const UNPUBLISHED_MAX: usize = 1 << 20;
/// Longest object with what a commitment hides.
pub const OPENING_MAX: usize = 4 << 10;
