//! Groups: the unit of compression and of sealing `[V-5.4]`.

use crate::{
    error::{Damage, FormatError, Result},
    ids::{ChunkId, DatasetId, VaultId},
    keys::ChunkKind,
    limits::{GROUP_RAW_MAX, GROUP_STORED_MAX},
    seal::{self, SALT_LEN, SealKey, TAG_LEN},
    secret::Secret32,
};

/// The vault and dataset that an object belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The vault.
    pub vault: VaultId,
    /// The dataset.
    pub dataset: DatasetId,
}

/// How a group's content is encoded before it is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// The chunks as they are.
    Raw = 0,
    /// One Zstandard frame.
    Zstd = 1,
}

/// A chunk in a group: its id and length. Chunks follow one another without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupChunk {
    /// The chunk's id.
    pub id: ChunkId,
    /// Its length in bytes.
    pub len: u32,
}

/// Where a group lies and how it opens, without its chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSpan {
    /// Which of the pack's keys it is sealed with.
    pub key: u16,
    /// Its number when it was sealed, which is its nonce.
    pub number: u32,
    /// First byte in the pack.
    pub offset: u32,
    /// Length in the pack, tag included.
    pub stored_len: u32,
    /// Length of the chunks together.
    pub raw_len: u32,
    /// How the content is encoded.
    pub encoding: Encoding,
}

/// The key of the groups that were sealed in one pack: from the session key (or, for refs nodes, the
/// secret of [`crate::keys::WriteKeys::refs_secret`]) and the pack's random salt `[V-2.3]`.
#[must_use]
pub fn group_key(secret: &Secret32, salt: &[u8; SALT_LEN]) -> SealKey {
    SealKey::new(&seal::derive(secret, salt, "strongroom v1 group"))
}

/// Associated data of a group `[V-5.5]`.
fn associated_data(owner: &Owner, kind: ChunkKind, span: &GroupSpan) -> [u8; 46] {
    let mut aad = [0; 46];
    aad[..16].copy_from_slice(owner.vault.as_bytes());
    aad[16..32].copy_from_slice(owner.dataset.as_bytes());
    aad[32] = kind as u8;
    aad[33] = span.encoding as u8;
    aad[34..38].copy_from_slice(&span.number.to_le_bytes());
    aad[38..42].copy_from_slice(&span.stored_len.to_le_bytes());
    aad[42..46].copy_from_slice(&span.raw_len.to_le_bytes());
    aad
}

/// Seals the encoded content that lies at the end of `pack` from `span.offset` on, appends the tag, and
/// enters the stored length into `span`.
pub(crate) fn seal_at_end(
    key: &SealKey,
    owner: &Owner,
    kind: ChunkKind,
    span: &mut GroupSpan,
    pack: &mut Vec<u8>,
) {
    let start = span.offset as usize;
    span.stored_len = (pack.len() - start + TAG_LEN) as u32;
    let aad = associated_data(owner, kind, span);
    let tag = key.seal_detached(u64::from(span.number), &aad, &mut pack[start..]);
    pack.extend_from_slice(&tag);
}

/// Opens groups; keeps its decompressor from one to the next.
pub struct GroupOpener {
    decompressor: zstd::bulk::Decompressor<'static>,
}

impl GroupOpener {
    /// A new opener.
    ///
    /// # Panics
    /// Where there is no memory for a decompressor.
    #[must_use]
    pub fn new() -> Self {
        Self { decompressor: zstd::bulk::Decompressor::new().expect("memory for a decompressor") }
    }

    /// Opens a group: `stored` are its bytes in the pack; they are decrypted in place, and the raw
    /// chunks are written over `raw`.
    ///
    /// # Errors
    /// Any damage; nothing of a group that does not open is given out.
    pub fn open(
        &mut self,
        key: &SealKey,
        owner: &Owner,
        kind: ChunkKind,
        span: &GroupSpan,
        stored: &mut [u8],
        raw: &mut Vec<u8>,
    ) -> Result<()> {
        let error = |damage| FormatError::new("group", damage);
        raw.clear();
        let raw_len = span.raw_len as usize;
        if raw_len > GROUP_RAW_MAX || span.stored_len as usize > GROUP_STORED_MAX {
            return Err(error(Damage::Limit("group length")));
        }
        if stored.len() != span.stored_len as usize {
            return Err(error(Damage::Truncated));
        }
        let aad = associated_data(owner, kind, span);
        let encoded = key.open(u64::from(span.number), &aad, stored).map_err(error)?;
        match span.encoding {
            Encoding::Raw => raw.extend_from_slice(encoded),
            Encoding::Zstd => {
                raw.reserve(raw_len);
                self.decompressor
                    .decompress_to_buffer(encoded, raw)
                    .map_err(|_| error(Damage::Compression))?;
            }
        }
        if raw.len() != raw_len {
            raw.clear();
            return Err(error(Damage::Compression));
        }
        Ok(())
    }
}

impl Default for GroupOpener {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for GroupOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GroupOpener(..)")
    }
}
