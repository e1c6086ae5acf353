//! What a loader accepts.

/// Limits of loading. What goes beyond one is named as a problem, and the rest is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file. Not more than 2 GiB is ever read of one.
    pub file_bytes: u64,
    /// Files.
    pub files: usize,
    /// Levels of directories below the one given.
    pub directories: usize,
    /// Levels of nesting in a document.
    pub depth: usize,
    /// Values in one document. One takes 20 bytes while its file is read.
    pub values: usize,
    /// Bytes of files that are read at the same time. A file that is larger is read alone.
    pub bytes_at_once: u64,
    /// Threads; 0 for as many as the machine runs at once.
    pub threads: usize,
}

/// No file is larger than this, whatever the limits say: offsets are 32 bits wide.
pub(crate) const LARGEST_FILE: u64 = 2 << 30;

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 512 << 20,
            files: 2_000_000,
            directories: 32,
            depth: 64,
            values: 32 << 20,
            bytes_at_once: 512 << 20,
            threads: 0,
        }
    }
}
