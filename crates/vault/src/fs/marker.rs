//! Marker files: a directory that holds one is recorded with the marker alone.

use std::io;

use thiserror::Error;

use super::{
    read::{Dir, Listing},
    stat::FileKind,
};

/// The name and start of a cache directory's tag (the Cache Directory Tagging Specification).
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Longest header that a marker may ask for, in bytes.
const HEADER_MAX: usize = 4096;

/// A file whose presence says that the rest of its directory is not to be backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    name: Vec<u8>,
    header: Vec<u8>,
}

/// A marker that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MarkerError {
    /// The header is longer than 4096 bytes.
    #[error("the marker's header is longer than 4096 bytes")]
    Header,
    /// The name is no file name.
    #[error("the marker must be a file name without `/`")]
    Name,
}

impl Marker {
    /// The tag of cache directories.
    #[must_use]
    pub fn cache() -> Self {
        Self { name: CACHE_TAG.to_vec(), header: CACHE_SIGNATURE.to_vec() }
    }

    /// Reads `NAME` or `NAME:HEADER`; with a header, the file must start with it.
    ///
    /// # Errors
    /// The name is no file name, or the header is too long.
    pub fn parse(text: &[u8]) -> Result<Self, MarkerError> {
        let mut parts = text.splitn(2, |b| *b == b':');
        let name = parts.next().unwrap_or_default();
        let header = parts.next().unwrap_or_default();
        if !strongroom_format::tree::valid_name(name) {
            return Err(MarkerError::Name);
        }
        if header.len() > HEADER_MAX {
            return Err(MarkerError::Header);
        }
        Ok(Self { name: name.to_vec(), header: header.to_vec() })
    }

    /// The marker's file name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether the directory holds this marker. Costs no call where no entry has its name.
    pub(super) fn marks(&self, dir: &Dir, listing: &Listing) -> io::Result<bool> {
        let Some(found) = listing.get(&self.name) else { return Ok(false) };
        if self.header.is_empty() {
            return Ok(true);
        }
        if found.stat.kind != FileKind::File {
            return Ok(false);
        }
        let mut start = vec![0; self.header.len()];
        let len = dir.open_file(&self.name, &found.stat)?.read_full_at(&mut start, 0)?;
        Ok(start[..len] == self.header)
    }
}
