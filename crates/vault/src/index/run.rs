//! A run: a sorted, immutable local file of index entries with a small resident filter.
//!
//! Layout, little-endian, private to this machine (a run is rebuilt from the vault at any time):
//! header | segment names (32 each) | entries (48 each, ascending by id) | fingerprints (4 each) |
//! bucket starts (4 each) | groups (24 each) | packs (64 each) | key records.

use super::IndexError;
use std::{
    fs::File,
    io::{BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
};
use strongroom_format::{
    ChunkId, ObjectHash,
    group::{Encoding, GroupSpan},
    keys::ChunkKind,
    pack::KeyRecord,
    segment::IndexedPack,
    wire::{Reader, Writer as _},
};

const MAGIC: &[u8; 8] = b"SRRUN\x00\x00\x01";
const HEADER_LEN: usize = 64;
const ENTRY_LEN: usize = 48;
const GROUP_LEN: usize = 24;
const PACK_LEN: usize = 64;

/// One chunk of an index: where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The chunk.
    pub id: ChunkId,
    /// Ordinal of the pack in its run.
    pub pack: u32,
    /// Ordinal of the group in its run.
    pub group: u32,
    /// First byte in the group's raw content.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Entry {
    fn encode_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.id.as_bytes());
        out.put_u32(self.pack);
        out.put_u32(self.group);
        out.put_u32(self.offset);
        out.put_u32(self.len);
    }

    fn decode(bytes: &[u8]) -> Result<Self, IndexError> {
        let mut r = Reader::new("index run", bytes);
        Ok(Self { id: ChunkId(r.array()?), pack: r.u32()?, group: r.u32()?, offset: r.u32()?, len: r.u32()? })
    }
}

/// A pack of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pack {
    /// Its name.
    pub hash: ObjectHash,
    /// Its length in bytes.
    pub len: u64,
    /// What its chunks are.
    pub kind: ChunkKind,
    /// Ordinal of its first group in the run.
    pub first_group: u32,
    /// How many groups it has.
    pub groups: u32,
    keys_offset: u64,
}

/// An open run.
#[derive(Debug)]
pub struct Run {
    file: File,
    segments: Vec<ObjectHash>,
    packs: Vec<Pack>,
    entry_count: usize,
    group_count: usize,
    fingerprints: Vec<u32>,
    starts: Vec<u32>,
    bucket_bits: u32,
    layout: Layout,
}

#[derive(Debug, Clone, Copy)]
struct Layout {
    entries: u64,
    fingerprints: u64,
    starts: u64,
    groups: u64,
    packs: u64,
    keys: u64,
}

impl Layout {
    fn new(segments: usize, entries: usize, buckets: usize, groups: usize, packs: usize) -> Self {
        let entries_at = (HEADER_LEN + segments * 32) as u64;
        let fingerprints = entries_at + (entries * ENTRY_LEN) as u64;
        let starts = fingerprints + (entries * 4) as u64;
        let groups_at = starts + ((buckets + 1) * 4) as u64;
        let packs_at = groups_at + (groups * GROUP_LEN) as u64;
        Self {
            entries: entries_at,
            fingerprints,
            starts,
            groups: groups_at,
            packs: packs_at,
            keys: packs_at + (packs * PACK_LEN) as u64,
        }
    }
}

/// Bits of the id that choose a bucket: about 16 entries in each.
fn bucket_bits(entries: usize) -> u32 {
    (entries / 16).checked_ilog2().unwrap_or(0).min(28)
}

fn split(id: &ChunkId, bits: u32) -> (usize, u32) {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    let prefix = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let bucket = if bits == 0 { 0 } else { prefix >> (64 - bits) };
    (bucket as usize, ((prefix << bits) >> 32) as u32)
}

/// Writes a run of `entries` in ascending order, which come from `sources`: packs and groups of
/// each source are appended one after the other.
struct RunWriter<'a> {
    out: BufWriter<&'a mut File>,
    bits: u32,
    fingerprints: Vec<u32>,
    starts: Vec<u32>,
}

impl<'a> RunWriter<'a> {
    fn begin(
        file: &'a mut File,
        segments: &[ObjectHash],
        entries: usize,
        groups: usize,
        packs: usize,
    ) -> std::io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 18, file);
        let mut header = Vec::with_capacity(HEADER_LEN);
        header.extend_from_slice(MAGIC);
        header.put_u64(segments.len() as u64);
        header.put_u64(entries as u64);
        header.put_u64(groups as u64);
        header.put_u64(packs as u64);
        header.resize(HEADER_LEN, 0);
        out.write_all(&header)?;
        for segment in segments {
            out.write_all(segment.as_bytes())?;
        }
        let bits = bucket_bits(entries);
        Ok(Self {
            out,
            bits,
            fingerprints: Vec::with_capacity(entries),
            starts: Vec::with_capacity((1 << bits) + 1),
        })
    }

    fn entry(&mut self, entry: &Entry) -> std::io::Result<()> {
        let (bucket, fingerprint) = split(&entry.id, self.bits);
        while self.starts.len() <= bucket {
            self.starts.push(self.fingerprints.len() as u32);
        }
        self.fingerprints.push(fingerprint);
        let mut bytes = Vec::with_capacity(ENTRY_LEN);
        entry.encode_into(&mut bytes);
        self.out.write_all(&bytes)
    }

    fn finish_entries(&mut self) -> std::io::Result<()> {
        self.starts.resize((1 << self.bits) + 1, self.fingerprints.len() as u32);
        for list in [&self.fingerprints, &self.starts] {
            for value in list {
                self.out.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    }

    fn group(&mut self, span: &GroupSpan) -> std::io::Result<()> {
        let mut bytes = Vec::with_capacity(GROUP_LEN);
        bytes.put_u16(span.key);
        bytes.put_u16(span.encoding as u16);
        bytes.put_u32(span.number);
        bytes.put_u32(span.offset);
        bytes.put_u32(span.stored_len);
        bytes.put_u32(span.raw_len);
        bytes.put_u32(0);
        self.out.write_all(&bytes)
    }

    fn pack(&mut self, pack: &Pack) -> std::io::Result<()> {
        let mut bytes = Vec::with_capacity(PACK_LEN);
        bytes.extend_from_slice(pack.hash.as_bytes());
        bytes.put_u64(pack.len);
        bytes.put_u64(pack.keys_offset);
        bytes.put_u32(pack.first_group);
        bytes.put_u32(pack.groups);
        bytes.push(pack.kind as u8);
        bytes.resize(PACK_LEN, 0);
        self.out.write_all(&bytes)
    }
}

impl Run {
    /// Builds the run of `segments`, whose packs are `packs`, in `file`, and opens it.
    ///
    /// # Errors
    /// Where the file cannot be written or read.
    pub fn build(mut file: File, segments: &[ObjectHash], packs: &[IndexedPack]) -> Result<Self, IndexError> {
        let mut entries = Vec::with_capacity(packs.iter().map(|pack| pack.directory.chunk_count()).sum());
        let mut group_ordinal = 0u32;
        for (pack_ordinal, pack) in packs.iter().enumerate() {
            for group in &pack.directory.groups {
                let mut offset = 0;
                for chunk in &group.chunks {
                    entries.push(Entry {
                        id: chunk.id,
                        pack: pack_ordinal as u32,
                        group: group_ordinal,
                        offset,
                        len: chunk.len,
                    });
                    offset += chunk.len;
                }
                group_ordinal += 1;
            }
        }
        entries.sort_unstable_by_key(|entry| entry.id);
        let mut writer =
            RunWriter::begin(&mut file, segments, entries.len(), group_ordinal as usize, packs.len())?;
        for entry in &entries {
            writer.entry(entry)?;
        }
        writer.finish_entries()?;
        for group in packs.iter().flat_map(|pack| &pack.directory.groups) {
            writer.group(&group.span)?;
        }
        let mut keys = Vec::new();
        let mut first_group = 0;
        for pack in packs {
            let groups = pack.directory.groups.len() as u32;
            let kind = pack.directory.kind;
            let keys_offset = keys.len() as u64;
            writer.pack(&Pack { hash: pack.hash, len: pack.len, kind, first_group, groups, keys_offset })?;
            first_group += groups;
            keys.put_varint(pack.directory.keys.len() as u64);
            for key in &pack.directory.keys {
                key.encode_into(&mut keys);
            }
        }
        writer.out.write_all(&keys)?;
        writer.out.flush()?;
        drop(writer);
        Self::open(file)
    }

    /// Merges runs into one; the sources stay usable.
    ///
    /// # Errors
    /// Where a file cannot be written or read.
    pub fn merge(mut file: File, sources: &[&Self]) -> Result<Self, IndexError> {
        let segments: Vec<_> = sources.iter().flat_map(|run| run.segments.iter().copied()).collect();
        let entries = sources.iter().map(|run| run.entry_count).sum();
        let groups = sources.iter().map(|run| run.group_count).sum();
        let packs = sources.iter().map(|run| run.packs.len()).sum();
        let mut writer = RunWriter::begin(&mut file, &segments, entries, groups, packs)?;

        let mut cursors = Vec::new();
        let (mut pack_base, mut group_base) = (0u32, 0u32);
        for run in sources {
            cursors.push(MergeCursor::new(run, pack_base, group_base)?);
            pack_base += run.packs.len() as u32;
            group_base += run.group_count as u32;
        }
        loop {
            let next = cursors
                .iter_mut()
                .filter(|cursor| cursor.head.is_some())
                .min_by_key(|cursor| cursor.head.map(|e| e.id));
            let Some(cursor) = next else { break };
            if let Some(entry) = cursor.take()? {
                writer.entry(&entry)?;
            }
        }
        writer.finish_entries()?;
        for run in sources {
            for ordinal in 0..run.group_count {
                writer.group(&run.group(ordinal as u32)?)?;
            }
        }
        let (mut group_base, mut keys) = (0u32, Vec::new());
        for run in sources {
            for (ordinal, pack) in run.packs.iter().enumerate() {
                let keys_offset = keys.len() as u64;
                let records = run.keys(ordinal as u32)?;
                keys.put_varint(records.len() as u64);
                for key in &records {
                    key.encode_into(&mut keys);
                }
                writer.pack(&Pack { first_group: pack.first_group + group_base, keys_offset, ..*pack })?;
            }
            group_base += run.group_count as u32;
        }
        writer.out.write_all(&keys)?;
        writer.out.flush()?;
        drop(writer);
        Self::open(file)
    }

    /// Opens a run and loads its filter.
    ///
    /// # Errors
    /// Where the file is no whole run: the caller then rebuilds it.
    pub fn open(mut file: File) -> Result<Self, IndexError> {
        let file_len = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut header = [0; HEADER_LEN];
        file.read_exact(&mut header)?;
        let mut r = Reader::new("index run", &header);
        if r.array::<8>()? != *MAGIC {
            return Err(IndexError::Run);
        }
        let mut count = || -> Result<usize, IndexError> {
            let count = r.u64()?;
            if count > file_len { Err(IndexError::Run) } else { Ok(count as usize) }
        };
        let (segment_count, entry_count, group_count, pack_count) = (count()?, count()?, count()?, count()?);
        let bits = bucket_bits(entry_count);
        let layout = Layout::new(segment_count, entry_count, 1 << bits, group_count, pack_count);
        if layout.keys > file_len {
            return Err(IndexError::Run);
        }
        let mut segments = Vec::with_capacity(segment_count);
        for _ in 0..segment_count {
            let mut name = [0; 32];
            file.read_exact(&mut name)?;
            segments.push(ObjectHash(name));
        }
        let fingerprints = read_numbers(&file, layout.fingerprints, entry_count)?;
        let starts = read_numbers(&file, layout.starts, (1 << bits) + 1)?;
        if !starts.is_sorted() || starts.last().is_none_or(|end| *end as usize != entry_count) {
            return Err(IndexError::Run);
        }
        let mut pack_bytes = vec![0; pack_count * PACK_LEN];
        file.read_exact_at(&mut pack_bytes, layout.packs)?;
        let packs = pack_bytes
            .chunks_exact(PACK_LEN)
            .map(|bytes| {
                let mut r = Reader::new("index run", bytes);
                let (hash, len, keys_offset) = (ObjectHash(r.array()?), r.u64()?, r.u64()?);
                let (first_group, groups) = (r.u32()?, r.u32()?);
                let kind = ChunkKind::from_u8(r.u8()?).ok_or(IndexError::Run)?;
                Ok(Pack { hash, len, kind, first_group, groups, keys_offset })
            })
            .collect::<Result<Vec<Pack>, IndexError>>()?;
        if !packs.is_sorted_by_key(|pack| pack.keys_offset) || packs.last().is_some_and(|last| last.keys_offset > file_len - layout.keys) {
            return Err(IndexError::Run);
        }
        Ok(Self {
            file,
            segments,
            packs,
            entry_count,
            group_count,
            fingerprints,
            starts,
            bucket_bits: bits,
            layout,
        })
    }

    /// The index segments that this run was made of.
    #[must_use]
    pub fn segments(&self) -> &[ObjectHash] {
        &self.segments
    }

    /// The packs, by ordinal.
    #[must_use]
    pub fn packs(&self) -> &[Pack] {
        &self.packs
    }

    /// How many entries there are.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.entry_count
    }

    /// How many groups there are.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.group_count
    }

    /// The positions of entries with this id; nearly always none or one.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn find(&self, id: &ChunkId) -> Result<Vec<(usize, Entry)>, IndexError> {
        let (bucket, fingerprint) = split(id, self.bucket_bits);
        let (Some(start), Some(end)) = (self.starts.get(bucket), self.starts.get(bucket + 1)) else {
            return Err(IndexError::Run);
        };
        let mut found = Vec::new();
        for position in *start as usize..*end as usize {
            if self.fingerprints.get(position) == Some(&fingerprint) {
                let entry = self.entry(position)?;
                if entry.id == *id {
                    found.push((position, entry));
                }
            }
        }
        Ok(found)
    }

    /// The entry at a position in ascending order of ids.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn entry(&self, position: usize) -> Result<Entry, IndexError> {
        let mut bytes = [0; ENTRY_LEN];
        self.file.read_exact_at(&mut bytes, self.layout.entries + (position * ENTRY_LEN) as u64)?;
        Entry::decode(&bytes)
    }

    /// Calls `visit` with every entry in ascending order of ids.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn for_each_entry(&self, mut visit: impl FnMut(usize, Entry)) -> Result<(), IndexError> {
        let mut bytes = vec![0; ENTRY_LEN * 4096];
        let mut position = 0;
        while position < self.entry_count {
            let count = (self.entry_count - position).min(4096);
            let block = &mut bytes[..count * ENTRY_LEN];
            self.file.read_exact_at(block, self.layout.entries + (position * ENTRY_LEN) as u64)?;
            for entry in block.chunks_exact(ENTRY_LEN) {
                visit(position, Entry::decode(entry)?);
                position += 1;
            }
        }
        Ok(())
    }

    /// Where a group lies and how it opens.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn group(&self, ordinal: u32) -> Result<GroupSpan, IndexError> {
        if ordinal as usize >= self.group_count {
            return Err(IndexError::Run);
        }
        let mut bytes = [0; GROUP_LEN];
        self.file.read_exact_at(&mut bytes, self.layout.groups + u64::from(ordinal) * GROUP_LEN as u64)?;
        let mut r = Reader::new("index run", &bytes);
        let key = r.u16()?;
        let encoding = match r.u16()? {
            0 => Encoding::Raw,
            1 => Encoding::Zstd,
            _ => return Err(IndexError::Run),
        };
        let (number, offset, stored_len, raw_len) = (r.u32()?, r.u32()?, r.u32()?, r.u32()?);
        Ok(GroupSpan { key, number, offset, stored_len, raw_len, encoding })
    }

    /// The keys of a pack's groups.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn keys(&self, pack: u32) -> Result<Vec<KeyRecord>, IndexError> {
        let start = self.packs.get(pack as usize).ok_or(IndexError::Run)?.keys_offset;
        let end = self.packs.get(pack as usize + 1).map(|next| next.keys_offset);
        let end = match end {
            Some(end) => end,
            None => self.file.metadata()?.len().saturating_sub(self.layout.keys),
        };
        let len = end.checked_sub(start).ok_or(IndexError::Run)?;
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| IndexError::Run)?];
        self.file.read_exact_at(&mut bytes, self.layout.keys + start)?;
        let mut r = Reader::new("index run", &bytes);
        let count = r.count("key count", strongroom_format::limits::PACK_KEYS_MAX)?;
        (0..count).map(|_| Ok(KeyRecord::decode(&mut r)?)).collect()
    }
}

fn read_numbers(file: &File, offset: u64, count: usize) -> Result<Vec<u32>, IndexError> {
    let mut numbers = Vec::with_capacity(count);
    let mut bytes = vec![0; 4 << 16];
    let mut at = offset;
    while numbers.len() < count {
        let len = ((count - numbers.len()) * 4).min(bytes.len());
        file.read_exact_at(&mut bytes[..len], at)?;
        numbers.extend(bytes[..len].chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        at += len as u64;
    }
    Ok(numbers)
}

/// Reads one source of a merge in blocks.
struct MergeCursor<'a> {
    run: &'a Run,
    pack_base: u32,
    group_base: u32,
    next: usize,
    block: Vec<Entry>,
    head: Option<Entry>,
}

impl<'a> MergeCursor<'a> {
    fn new(run: &'a Run, pack_base: u32, group_base: u32) -> Result<Self, IndexError> {
        let mut cursor = Self { run, pack_base, group_base, next: 0, block: Vec::new(), head: None };
        cursor.advance()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> Result<(), IndexError> {
        if self.block.is_empty() {
            let count = (self.run.entry_count - self.next).min(1024);
            let mut bytes = vec![0; count * ENTRY_LEN];
            self.run
                .file
                .read_exact_at(&mut bytes, self.run.layout.entries + (self.next * ENTRY_LEN) as u64)?;
            for entry in bytes.chunks_exact(ENTRY_LEN).rev() {
                self.block.push(Entry::decode(entry)?);
            }
            self.next += count;
        }
        self.head = self.block.pop();
        Ok(())
    }

    fn take(&mut self) -> Result<Option<Entry>, IndexError> {
        let head = self.head;
        self.advance()?;
        Ok(head.map(|entry| Entry {
            pack: entry.pack + self.pack_base,
            group: entry.group + self.group_base,
            ..entry
        }))
    }
}
