//! Packs: files of sealed groups with a sealed directory at the tail `[V-5]`.

use crate::{
    entropy::Entropy,
    error::{Damage, FormatError, Result},
    group::{Encoding, GroupChunk, GroupSpan, Owner, group_key, seal_at_end},
    ids::{ChunkId, DatasetId, ObjectHash, VaultId},
    keys::{ChunkKind, SEALED_SECRET_LEN, SealedSecret, WriteKeys},
    limits::{
        CHUNK_MAX, GROUP_CHUNKS_MAX, GROUP_RAW_MAX, GROUP_STORED_MAX, PACK_DIRECTORY_MAX, PACK_GROUPS_MAX,
        PACK_KEYS_MAX, PACK_MAX,
    },
    seal::{SALT_LEN, SealKey, TAG_LEN, padded_len},
    secret::Secret32,
    wire::{Reader, Writer},
};

const MAGIC: &[u8; 4] = b"SRPK";
const END_MAGIC: &[u8; 4] = b"KPRS";
const VERSION: u8 = 1;
/// Length of a pack's header.
pub const HEADER_LEN: usize = 40;
/// Length of a pack's trailer.
pub const TRAILER_LEN: usize = 8;
const DIRECTORY_INFO: &str = "strongroom v1 pack directory";
/// A pack is full when its directory comes near this length. Many tiny chunks fill a directory long before they
/// fill a pack, and a directory above [`PACK_DIRECTORY_MAX`] could not be read.
const DIRECTORY_FULL: usize = PACK_DIRECTORY_MAX / 4;
/// Most bytes of one group in a directory: its own fields, and an id and a length for each chunk.
const GROUP_RECORD_MAX: usize = 18 + GROUP_CHUNKS_MAX * (ChunkId::LEN + 4);

/// A key that groups of a pack are sealed with. A moved group brings its record along `[V-5.3]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyRecord {
    /// A session key, sealed to an epoch's public key.
    Session {
        /// The salt of the pack that the groups were first sealed in.
        salt: [u8; SALT_LEN],
        /// The epoch.
        epoch: u32,
        /// The sealed session key.
        sealed: Box<SealedSecret>,
    },
    /// The dataset's secret for refs nodes.
    Write {
        /// The salt of the pack that the groups were first sealed in.
        salt: [u8; SALT_LEN],
    },
}

impl KeyRecord {
    /// The salt of the pack that the groups were first sealed in.
    #[must_use]
    pub fn salt(&self) -> &[u8; SALT_LEN] {
        match self {
            Self::Session { salt, .. } | Self::Write { salt } => salt,
        }
    }

    /// Appends the record.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Session { salt, epoch, sealed } => {
                out.push(1);
                out.extend_from_slice(salt);
                out.put_u32(*epoch);
                out.extend_from_slice(sealed.as_slice());
            }
            Self::Write { salt } => {
                out.push(2);
                out.extend_from_slice(salt);
            }
        }
    }

    /// Decodes one record.
    ///
    /// # Errors
    /// Any damage to the encoding.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self> {
        match r.u8()? {
            1 => Ok(Self::Session {
                salt: r.array()?,
                epoch: r.u32()?,
                sealed: Box::new(r.array::<SEALED_SECRET_LEN>()?),
            }),
            2 => Ok(Self::Write { salt: r.array()? }),
            _ => Err(r.error(Damage::Field("key kind"))),
        }
    }
}

/// One group in a pack directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRecord {
    /// Where it lies and how it opens.
    pub span: GroupSpan,
    /// Its chunks, in order.
    pub chunks: Vec<GroupChunk>,
}

/// What a pack holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackDirectory {
    /// What its chunks are.
    pub kind: ChunkKind,
    /// The keys of its groups.
    pub keys: Vec<KeyRecord>,
    /// Its groups, by ascending offset.
    pub groups: Vec<GroupRecord>,
}

impl PackDirectory {
    /// How many chunks the pack holds.
    #[must_use]
    pub fn chunk_count(&self) -> usize {
        self.groups.iter().map(|group| group.chunks.len()).sum()
    }

    /// The bytes of the directory before sealing; they also stand in index segments.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.kind as u8];
        out.put_varint(self.keys.len() as u64);
        for key in &self.keys {
            key.encode_into(&mut out);
        }
        out.put_varint(self.groups.len() as u64);
        for GroupRecord { span, chunks } in &self.groups {
            out.put_u16(span.key);
            out.put_u32(span.number);
            out.put_u32(span.offset);
            out.put_u32(span.stored_len);
            out.push(span.encoding as u8);
            out.put_varint(chunks.len() as u64);
            for chunk in chunks {
                out.extend_from_slice(chunk.id.as_bytes());
                out.put_varint(u64::from(chunk.len));
            }
        }
        out
    }

    /// Decodes a directory and checks it against itself: keys exist, groups are apart and in order,
    /// lengths are within limits.
    ///
    /// # Errors
    /// Any damage.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new("pack directory", bytes);
        let kind = ChunkKind::from_u8(r.u8()?).ok_or(r.error(Damage::Field("chunk kind")))?;
        let mut keys = Vec::new();
        for _ in 0..r.count("key count", PACK_KEYS_MAX)? {
            let key = KeyRecord::decode(&mut r)?;
            if matches!(key, KeyRecord::Write { .. }) != (kind == ChunkKind::Refs) {
                return Err(r.error(Damage::Field("key kind")));
            }
            keys.push(key);
        }
        let mut groups: Vec<GroupRecord> = Vec::new();
        let mut end = HEADER_LEN as u32;
        for _ in 0..r.count("group count", PACK_GROUPS_MAX)? {
            let group = decode_group(&mut r)?;
            if usize::from(group.span.key) >= keys.len() || group.span.offset < end {
                return Err(r.error(Damage::Field("group")));
            }
            end = group
                .span
                .offset
                .checked_add(group.span.stored_len)
                .ok_or(r.error(Damage::Field("group")))?;
            groups.push(group);
        }
        r.finish()?;
        Ok(Self { kind, keys, groups })
    }

    /// The first byte behind the last group.
    #[must_use]
    pub fn groups_end(&self) -> usize {
        self.groups
            .last()
            .map_or(HEADER_LEN, |group| group.span.offset as usize + group.span.stored_len as usize)
    }
}

fn decode_group(r: &mut Reader<'_>) -> Result<GroupRecord> {
    let (key, number, offset, stored_len) = (r.u16()?, r.u32()?, r.u32()?, r.u32()?);
    if (stored_len as usize) < TAG_LEN || stored_len as usize > GROUP_STORED_MAX {
        return Err(r.error(Damage::Limit("group length")));
    }
    let encoding = match r.u8()? {
        0 => Encoding::Raw,
        1 => Encoding::Zstd,
        _ => return Err(r.error(Damage::Field("group encoding"))),
    };
    let count = r.count("chunk count", GROUP_CHUNKS_MAX)?;
    let mut chunks = Vec::with_capacity(count.min(r.remaining() / 33));
    let mut raw_len = 0;
    for _ in 0..count {
        let id = ChunkId(r.array()?);
        let len = r.count("chunk length", CHUNK_MAX)?;
        raw_len += len;
        if raw_len > GROUP_RAW_MAX {
            return Err(r.error(Damage::Limit("group length")));
        }
        chunks.push(GroupChunk { id, len: len as u32 });
    }
    let raw_len = raw_len as u32;
    Ok(GroupRecord { span: GroupSpan { key, number, offset, stored_len, raw_len, encoding }, chunks })
}

fn header(kind: ChunkKind, owner: &Owner) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(MAGIC);
    header[4] = VERSION;
    header[5] = kind as u8;
    header[8..24].copy_from_slice(owner.vault.as_bytes());
    header[24..40].copy_from_slice(owner.dataset.as_bytes());
    header
}

/// A pack in the making.
pub struct PackBuilder {
    owner: Owner,
    bytes: Vec<u8>,
    directory: PackDirectory,
    /// At least the length of the encoded directory, in bytes.
    directory_len: usize,
    /// The key of new groups; `None` in a pack of moved groups.
    key: Option<SealKey>,
}

/// A finished pack.
#[derive(Debug)]
pub struct FinishedPack {
    /// Its name.
    pub hash: ObjectHash,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it holds.
    pub directory: PackDirectory,
}

impl PackBuilder {
    /// A pack for new groups, written over `buffer`. `secret` is the session key, or the refs secret for a
    /// pack of refs nodes.
    #[must_use]
    pub fn new(owner: Owner, kind: ChunkKind, key: KeyRecord, secret: &Secret32, buffer: Vec<u8>) -> Self {
        let mut builder = Self::for_moved(owner, kind, buffer);
        builder.key = Some(group_key(secret, key.salt()));
        builder.push_key(key);
        builder
    }

    /// A pack for groups that move as ciphertext, written over `buffer`.
    #[must_use]
    pub fn for_moved(owner: Owner, kind: ChunkKind, buffer: Vec<u8>) -> Self {
        let mut bytes = buffer;
        bytes.clear();
        bytes.extend_from_slice(&header(kind, &owner));
        let directory = PackDirectory { kind, keys: Vec::new(), groups: Vec::new() };
        // The kind, two counts, the salt and the tag.
        let directory_len = 1 + 2 * 3 + SALT_LEN + TAG_LEN;
        Self { owner, bytes, directory, directory_len, key: None }
    }

    fn push_key(&mut self, key: KeyRecord) {
        self.directory_len += 1 + SALT_LEN;
        if let KeyRecord::Session { .. } = key {
            self.directory_len += 4 + SEALED_SECRET_LEN;
        }
        self.directory.keys.push(key);
    }

    fn push_group(&mut self, record: GroupRecord) {
        self.directory_len += 18 + record.chunks.len() * (ChunkId::LEN + 4);
        self.directory.groups.push(record);
    }

    /// Length so far, without padding and directory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds no group yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.directory.groups.is_empty()
    }

    /// Whether the format allows one more group.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.directory.groups.len() < PACK_GROUPS_MAX
            && self.directory.keys.len() < PACK_KEYS_MAX
            && self.directory_len + GROUP_RECORD_MAX <= DIRECTORY_FULL
            && self.bytes.len() + GROUP_STORED_MAX + PACK_DIRECTORY_MAX < PACK_MAX
    }

    /// Seals a new group: `encoded` is the content of `chunks` in `encoding`. Returns its stored length.
    ///
    /// # Panics
    /// In a pack for moved groups, which has no key.
    pub fn seal_group(&mut self, encoding: Encoding, encoded: &[u8], chunks: Vec<GroupChunk>) -> u32 {
        let mut span = GroupSpan {
            key: 0,
            number: self.directory.groups.len() as u32,
            offset: self.bytes.len() as u32,
            stored_len: 0,
            raw_len: chunks.iter().map(|chunk| chunk.len).sum(),
            encoding,
        };
        self.bytes.extend_from_slice(encoded);
        let key = self.key.as_ref().expect("a pack for new groups has a key");
        seal_at_end(key, &self.owner, self.directory.kind, &mut span, &mut self.bytes);
        let stored_len = span.stored_len;
        self.push_group(GroupRecord { span, chunks });
        stored_len
    }

    /// Appends a group as ciphertext; it keeps its key and number.
    pub fn move_group(&mut self, key: &KeyRecord, record: &GroupRecord, stored: &[u8]) {
        let known = self.directory.keys.iter().position(|known| known == key);
        let key = known.unwrap_or_else(|| {
            self.push_key(key.clone());
            self.directory.keys.len() - 1
        });
        let span = GroupSpan { key: key as u16, offset: self.bytes.len() as u32, ..record.span };
        self.bytes.extend_from_slice(stored);
        self.push_group(GroupRecord { span, chunks: record.chunks.clone() });
    }

    /// Pads the groups, appends the sealed directory and names the pack.
    #[must_use]
    pub fn finish(mut self, keys: &WriteKeys, entropy: &mut dyn Entropy) -> FinishedPack {
        let padding = padded_len(self.bytes.len()) - self.bytes.len();
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let start = self.bytes.len();
        self.bytes.resize(start + padding, 0);
        blake3::Hasher::new_keyed(&seed).finalize_xof().fill(&mut self.bytes[start..]);

        let mut sealed = self.directory.encode();
        let mut salt = [0; SALT_LEN];
        entropy.fill(&mut salt);
        keys.document_key(&salt, DIRECTORY_INFO).seal(0, &self.bytes[..HEADER_LEN], &mut sealed);
        self.bytes.extend_from_slice(&salt);
        self.bytes.extend_from_slice(&sealed);
        self.bytes.put_u32((SALT_LEN + sealed.len()) as u32);
        self.bytes.extend_from_slice(END_MAGIC);
        FinishedPack { hash: ObjectHash::of(&self.bytes), bytes: self.bytes, directory: self.directory }
    }
}

impl std::fmt::Debug for PackBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackBuilder({} groups, {} bytes)", self.directory.groups.len(), self.bytes.len())
    }
}

/// Checks a pack's header and tells what it holds and whose it is.
///
/// # Errors
/// Where the bytes are no pack, or of an unknown version.
pub fn read_header(bytes: &[u8]) -> Result<(ChunkKind, Owner)> {
    let mut r = Reader::new("pack", bytes);
    if r.array::<4>()? != *MAGIC {
        return Err(r.error(Damage::Magic));
    }
    let version = r.u8()?;
    if version != VERSION {
        return Err(r.error(Damage::Version(version)));
    }
    let kind = ChunkKind::from_u8(r.u8()?).ok_or(r.error(Damage::Field("chunk kind")))?;
    if r.u16()? != 0 {
        return Err(r.error(Damage::Field("reserved")));
    }
    Ok((kind, Owner { vault: VaultId(r.array()?), dataset: DatasetId(r.array()?) }))
}

/// Reads the trailer: how many bytes before it are the sealed directory.
///
/// # Errors
/// Where the bytes are not the end of a pack of `pack_len` bytes.
pub fn read_trailer(trailer: &[u8; TRAILER_LEN], pack_len: u64) -> Result<usize> {
    let mut r = Reader::new("pack", trailer);
    let len = r.u32()? as usize;
    if r.array::<4>()? != *END_MAGIC {
        return Err(r.error(Damage::Magic));
    }
    if len > PACK_DIRECTORY_MAX || pack_len > PACK_MAX as u64 {
        return Err(r.error(Damage::Limit("directory length")));
    }
    if len < SALT_LEN + TAG_LEN || (len + HEADER_LEN + TRAILER_LEN) as u64 > pack_len {
        return Err(r.error(Damage::Field("directory length")));
    }
    Ok(len)
}

/// Opens a sealed directory (salt, ciphertext, tag) of a pack whose header is `header`.
///
/// # Errors
/// Any damage.
pub fn open_directory(
    keys: &WriteKeys,
    header: &[u8],
    owner: &Owner,
    sealed: &[u8],
) -> Result<PackDirectory> {
    let error = |damage| FormatError::new("pack directory", damage);
    let (kind, found) = read_header(header)?;
    if found != *owner {
        return Err(error(Damage::Foreign));
    }
    let aad = header.get(..HEADER_LEN).ok_or(error(Damage::Truncated))?;
    let (salt, ciphertext) = sealed.split_first_chunk::<SALT_LEN>().ok_or(error(Damage::Truncated))?;
    let mut ciphertext = ciphertext.to_vec();
    let plain = keys.document_key(salt, DIRECTORY_INFO).open(0, aad, &mut ciphertext).map_err(error)?;
    let directory = PackDirectory::decode(plain)?;
    if directory.kind != kind {
        return Err(error(Damage::Field("chunk kind")));
    }
    Ok(directory)
}

/// Opens the directory of a whole pack in memory.
///
/// # Errors
/// Any damage.
pub fn open_pack_directory(keys: &WriteKeys, owner: &Owner, pack: &[u8]) -> Result<PackDirectory> {
    let error = |damage| FormatError::new("pack", damage);
    let (rest, trailer) = pack.split_last_chunk::<TRAILER_LEN>().ok_or(error(Damage::Truncated))?;
    let len = read_trailer(trailer, pack.len() as u64)?;
    let start = rest.len().checked_sub(len).ok_or(error(Damage::Truncated))?;
    let directory = open_directory(keys, rest, owner, &rest[start..])?;
    if directory.groups_end() > start {
        return Err(error(Damage::Field("group")));
    }
    Ok(directory)
}
