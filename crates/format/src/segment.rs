//! Index segments: the directories of some packs in one sealed object `[V-7.1]`.

use crate::{
    control::{self, DocumentKind},
    entropy::Entropy,
    error::{Damage, Result},
    group::Owner,
    ids::ObjectHash,
    keys::WriteKeys,
    limits::{PACK_DIRECTORY_MAX, PACK_MAX, SEGMENT_MAX},
    pack::PackDirectory,
    wire::{Reader, Writer},
};

/// A pack as an index segment describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedPack {
    /// The pack's name.
    pub hash: ObjectHash,
    /// The pack's length in bytes.
    pub len: u64,
    /// What it holds.
    pub directory: PackDirectory,
}

/// Seals a segment; its name is the hash of the bytes.
pub fn seal(packs: &[IndexedPack], owner: &Owner, keys: &WriteKeys, entropy: &mut dyn Entropy) -> Vec<u8> {
    let mut plain = Vec::new();
    for pack in packs {
        plain.extend_from_slice(pack.hash.as_bytes());
        plain.put_u64(pack.len);
        plain.put_blob(&pack.directory.encode());
    }
    control::seal_bytes(DocumentKind::Segment, 0, owner, keys, plain, entropy)
}

/// Opens a segment.
///
/// # Errors
/// Any damage.
pub fn open(bytes: &[u8], owner: &Owner, keys: &WriteKeys) -> Result<Vec<IndexedPack>> {
    let (_, plain) = control::open_bytes(DocumentKind::Segment, SEGMENT_MAX, owner, keys, bytes)?;
    let mut r = Reader::new("index segment", &plain);
    let mut packs = Vec::new();
    while r.remaining() > 0 {
        let hash = ObjectHash(r.array()?);
        let len = r.u64()?;
        if len > PACK_MAX as u64 {
            return Err(r.error(Damage::Limit("pack length")));
        }
        let directory = PackDirectory::decode(r.blob("directory length", PACK_DIRECTORY_MAX)?)?;
        if directory.groups_end() as u64 > len {
            return Err(r.error(Damage::Field("group")));
        }
        packs.push(IndexedPack { hash, len, directory });
    }
    Ok(packs)
}
