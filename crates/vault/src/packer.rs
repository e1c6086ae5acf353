//! What each worker does with chunks: identify, drop what the vault has, collect the new ones into
//! groups, compress.

use crate::{
    error::{Result, VaultError},
    sink::Sink,
};
use strongroom_format::{
    ChunkId,
    group::{Encoding, GroupChunk},
    keys::ChunkKind,
    limits::{CHUNK_MAX, GROUP_CHUNKS_MAX, GROUP_RAW_MAX},
};
use zstd::zstd_safe::compress_bound;

/// A group of file content is closed at this length, in bytes.
const DATA_GROUP: usize = 1 << 20;
/// A group of meta pages or refs nodes is closed at this length: they are read one at a time more often.
const TREE_GROUP: usize = 512 << 10;

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Store everything as it is.
    Off,
    /// A Zstandard level.
    Level(i32),
}

impl Default for Compression {
    fn default() -> Self {
        Self::Level(3)
    }
}

#[derive(Debug, Default)]
struct OpenGroup {
    raw: Vec<u8>,
    chunks: Vec<GroupChunk>,
}

/// One worker's open groups.
pub struct Packer<'a> {
    sink: &'a Sink,
    compressor: Option<zstd::bulk::Compressor<'static>>,
    encoded: Vec<u8>,
    open: [OpenGroup; 3],
}

impl std::fmt::Debug for Packer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Packer(..)")
    }
}

impl<'a> Packer<'a> {
    /// A packer that feeds `sink`.
    ///
    /// # Errors
    /// Where the compressor does not know the level.
    pub fn new(sink: &'a Sink, compression: Compression) -> Result<Self> {
        let compressor = match compression {
            Compression::Off => None,
            Compression::Level(level) => Some(
                zstd::bulk::Compressor::new(level)
                    .map_err(|error| VaultError::Invalid(format!("compression level {level}: {error}")))?,
            ),
        };
        Ok(Self { sink, compressor, encoded: Vec::new(), open: Default::default() })
    }

    /// The sink that this packer feeds.
    #[must_use]
    pub fn sink(&self) -> &'a Sink {
        self.sink
    }

    /// Stores a chunk unless the vault has it; returns its id and whether it was new.
    ///
    /// # Errors
    /// Where the index or an upload fails, or the chunk is longer than the format allows.
    pub fn add(&mut self, kind: ChunkKind, content: &[u8]) -> Result<(ChunkId, bool)> {
        if content.len() > CHUNK_MAX {
            return Err(VaultError::Invalid(
                "a directory or file has more entries than the format holds".into(),
            ));
        }
        let id = self.sink.handle().keys.chunk_id(kind, content);
        if !self.sink.claim(&id)? {
            return Ok((id, false));
        }
        let group = &mut self.open[kind as usize - 1];
        if group.raw.len() + content.len() > GROUP_RAW_MAX || group.chunks.len() >= GROUP_CHUNKS_MAX {
            self.close(kind)?;
        }
        let group = &mut self.open[kind as usize - 1];
        group.raw.extend_from_slice(content);
        group.chunks.push(GroupChunk { id, len: content.len() as u32 });
        let limit = if kind == ChunkKind::Data { DATA_GROUP } else { TREE_GROUP };
        if group.raw.len() >= limit {
            self.close(kind)?;
        }
        Ok((id, true))
    }

    /// Hands over every open group.
    ///
    /// # Errors
    /// Where an upload fails.
    pub fn flush(&mut self) -> Result<()> {
        ChunkKind::ALL.into_iter().try_for_each(|kind| self.close(kind))
    }

    fn close(&mut self, kind: ChunkKind) -> Result<()> {
        let group = &mut self.open[kind as usize - 1];
        if group.chunks.is_empty() {
            return Ok(());
        }
        let mut encoding = Encoding::Raw;
        if let Some(compressor) = &mut self.compressor {
            self.encoded.clear();
            self.encoded.reserve(compress_bound(group.raw.len()));
            compressor
                .compress_to_buffer(&group.raw, &mut self.encoded)
                .map_err(|_| VaultError::Bug("the compressor failed"))?;
            // Below 3 % gain, reading it back faster is worth more.
            if self.encoded.len() < group.raw.len() - group.raw.len() / 32 {
                encoding = Encoding::Zstd;
            }
        }
        let encoded = if encoding == Encoding::Zstd { &self.encoded } else { &group.raw };
        self.sink.add_group(kind, encoding, encoded, std::mem::take(&mut group.chunks))?;
        group.raw.clear();
        Ok(())
    }
}
