//! The numbers that are checked before anything is allocated.

/// Longest record of a trail in bytes. CloudTrail's are at most 256 KiB, of which parameters are at most 100 KiB;
/// audit devices write whole batches.
pub const RECORD_MAX: usize = 4 << 20;
/// Bytes that one file may have once it is inflated.
pub const FILE_MAX: u64 = 4 << 30;
/// How many times longer than what is stored a file may become. DEFLATE itself cannot do more than 1032; real trails
/// reach 30.
pub const RATIO_MAX: u64 = 400;
/// Bytes below which [`RATIO_MAX`] is not looked at.
pub const RATIO_FROM: u64 = 16 << 20;
/// Longest document that is read as a whole: digests, selectors, public keys.
pub const DOCUMENT_MAX: u64 = 64 << 20;
/// How many directories may lie in one another.
pub const DEPTH_MAX: usize = 64;
/// Problems that are kept of one file; the others are counted.
pub const PROBLEMS_MAX: usize = 32;
/// Longest text that is taken from a record into a message.
pub const QUOTE_MAX: usize = 160;
