//! The change cache: what the last backup of the same paths found, so that unchanged directories cost
//! their stat calls and nothing else.
//!
//! It holds keyed fingerprints and references, no names and no attributes, and lives on the backup host
//! only. Losing it costs time, never correctness: a fingerprint is believed only while the snapshot that it
//! was taken with is still in the vault.

use crate::fs::{FileKind, Listed};
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};
use strongroom_format::{
    ChunkId, ObjectHash, RefsId,
    limits::CHUNK_MAX,
    tree::Content,
    wire::{Reader, Writer as _},
};

const MAGIC: &[u8; 8] = b"SRCHNG\x00\x02";
const FOOTER_LEN: u64 = 56;
/// Place, offset, length and checksum of a directory's record.
const INDEX_ENTRY_LEN: usize = 36;

/// A keyed hash of 128 bits.
pub(super) type Fingerprint = [u8; 16];

/// The content of one file: its references and its holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileContent {
    /// Length of the file in bytes.
    pub(super) size: u64,
    /// Chunks, or lists of chunks.
    pub(super) content: Content,
    /// The references, as many as `content` says.
    pub(super) ids: Vec<ChunkId>,
    /// The ranges that hold data, where there are holes.
    pub(super) data_ranges: Option<Vec<(u64, u64)>>,
}

/// Makes fingerprints.
pub(super) struct Fingerprinter(blake3::Hasher);

impl Fingerprinter {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(blake3::Hasher::new_keyed(key))
    }

    fn of(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut hasher = self.0.clone();
        for part in parts {
            hasher.update(part);
        }
        let mut out = [0; 16];
        out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        out
    }

    /// Of a directory's place: chained from the root, so that paths of any length cost the same.
    pub(super) fn place(&self, parent: &Fingerprint, name: &[u8]) -> Fingerprint {
        self.of(&[b"place", parent, name])
    }

    /// Of an entry's name and every attribute that changes when the file does.
    pub(super) fn entry(&self, listed: &Listed) -> Fingerprint {
        let stat = &listed.stat;
        let mut bytes = Vec::with_capacity(96 + listed.name.len());
        bytes.push(stat.kind as u8);
        bytes.put_u16(stat.mode);
        bytes.put_u32(stat.uid);
        bytes.put_u32(stat.gid);
        bytes.put_u64(if stat.kind == FileKind::Directory { 0 } else { stat.size });
        for time in [stat.mtime, stat.ctime] {
            bytes.put_u64(time.secs as u64);
            bytes.put_u32(time.nanos);
        }
        bytes.put_u64(stat.ino);
        bytes.put_u64(if stat.kind == FileKind::Directory { 0 } else { stat.nlink });
        bytes.put_u64(stat.rdev);
        bytes.extend_from_slice(&listed.name);
        self.of(&[b"entry", &bytes])
    }

    /// Of a name alone, to tell a changed file from a new one.
    pub(super) fn name(&self, name: &[u8]) -> [u8; 8] {
        let mut out = [0; 8];
        out.copy_from_slice(&self.of(&[b"name", name])[..8]);
        out
    }

    /// Of a whole directory, from the fingerprints of its entries and the refs of its child directories.
    pub(super) fn directory(&self) -> DirectoryDigest {
        DirectoryDigest(self.0.clone())
    }
}

/// The digest of one directory in the making.
pub(super) struct DirectoryDigest(blake3::Hasher);

impl DirectoryDigest {
    pub(super) fn add(&mut self, entry: &Fingerprint, child: Option<&RefsId>) {
        self.0.update(entry);
        if let Some(child) = child {
            self.0.update(child.as_bytes());
        }
    }

    pub(super) fn finish(self) -> Fingerprint {
        let mut out = [0; 16];
        out.copy_from_slice(&self.0.finalize().as_bytes()[..16]);
        out
    }
}

/// What the cache knows of one file.
#[derive(Debug, Clone)]
pub(super) struct FileRecord {
    pub(super) fingerprint: Fingerprint,
    pub(super) name: [u8; 8],
    start: usize,
    end: usize,
}

/// What the cache knows of one directory.
#[derive(Debug)]
pub(super) struct DirectoryRecord {
    /// The digest; zero where the directory held something that may have changed unseen.
    pub(super) digest: Fingerprint,
    /// Its refs node.
    pub(super) refs: RefsId,
    /// Its files, in the order of their names.
    pub(super) files: Vec<FileRecord>,
    bytes: Vec<u8>,
    places: OnceLock<HashMap<Fingerprint, usize>>,
    names: OnceLock<HashSet<[u8; 8]>>,
}

impl DirectoryRecord {
    /// Starts a record; add files with [`DirectoryRecord::push_file`].
    pub(super) fn begin(digest: &Fingerprint, refs: &RefsId) -> Vec<u8> {
        let mut out = digest.to_vec();
        out.extend_from_slice(refs.as_bytes());
        out
    }

    pub(super) fn push_file(out: &mut Vec<u8>, fingerprint: &Fingerprint, name: [u8; 8], file: &FileContent) {
        out.extend_from_slice(fingerprint);
        out.extend_from_slice(&name);
        out.put_varint(file.size);
        let (kind, Content::Chunks(count) | Content::Lists(count)) = match file.content {
            content @ Content::Chunks(_) => (0, content),
            content @ Content::Lists(_) => (1, content),
        };
        out.push(kind | if file.data_ranges.is_some() { 2 } else { 0 });
        out.put_varint(u64::from(count));
        for id in &file.ids {
            out.extend_from_slice(id.as_bytes());
        }
        if let Some(ranges) = &file.data_ranges {
            out.put_varint(ranges.len() as u64);
            for (offset, len) in ranges {
                out.put_varint(*offset);
                out.put_varint(*len);
            }
        }
    }

    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let mut r = Reader::new("change cache", &bytes);
        let (digest, refs) = (r.array().ok()?, ChunkId(r.array().ok()?));
        let mut files = Vec::new();
        while r.remaining() > 0 {
            let (fingerprint, name) = (r.array().ok()?, r.array().ok()?);
            let start = bytes.len() - r.remaining();
            read_content(&mut r, true)?;
            files.push(FileRecord { fingerprint, name, start, end: bytes.len() - r.remaining() });
        }
        Some(Self { digest, refs, files, bytes, places: OnceLock::new(), names: OnceLock::new() })
    }

    /// The place of the file with this fingerprint. `next` is where it stands if nothing has changed before it.
    pub(super) fn place(&self, fingerprint: &Fingerprint, next: usize) -> Option<usize> {
        if self.files.get(next).is_some_and(|file| file.fingerprint == *fingerprint) {
            return Some(next);
        }
        let places = self.places.get_or_init(|| {
            self.files.iter().enumerate().map(|(place, file)| (file.fingerprint, place)).collect()
        });
        places.get(fingerprint).copied()
    }

    /// Whether there was a file with this name, whatever it held.
    pub(super) fn has_name(&self, name: &[u8; 8]) -> bool {
        self.names.get_or_init(|| self.files.iter().map(|file| file.name).collect()).contains(name)
    }

    /// The content of one of the files.
    pub(super) fn content(&self, file: &FileRecord) -> Option<FileContent> {
        read_content(&mut Reader::new("change cache", self.bytes.get(file.start..file.end)?), false)
    }

    /// The record as it was written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut out = [0; 8];
    out.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    out
}

fn read_content(r: &mut Reader<'_>, skip: bool) -> Option<FileContent> {
    let size = r.varint().ok()?;
    let kind = r.u8().ok()?;
    let count = r.count("references", CHUNK_MAX / 32).ok()?;
    let raw = r.bytes(count * 32).ok()?;
    let ids = if skip {
        Vec::new()
    } else {
        raw.chunks_exact(32).filter_map(|id| id.try_into().ok().map(ChunkId)).collect()
    };
    let mut data_ranges = None;
    if kind & 2 != 0 {
        let count = r.count("ranges", CHUNK_MAX / 2).ok()?;
        let mut ranges = Vec::new();
        for _ in 0..count {
            ranges.push((r.varint().ok()?, r.varint().ok()?));
        }
        data_ranges = Some(ranges);
    }
    let content = if kind & 1 == 0 { Content::Chunks(count as u32) } else { Content::Lists(count as u32) };
    Some(FileContent { size, content, ids, data_ranges })
}

/// The cache that the last backup left.
#[derive(Debug)]
pub(super) struct OldChanges {
    file: File,
    /// The snapshot that it was taken with.
    pub(super) snapshot: ObjectHash,
    index: Vec<u8>,
}

impl OldChanges {
    /// Opens a cache; `None` where there is none, or it is damaged.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let len = file.metadata().ok()?.len();
        let mut footer = [0; FOOTER_LEN as usize];
        file.read_exact_at(&mut footer, len.checked_sub(FOOTER_LEN)?).ok()?;
        let mut r = Reader::new("change cache", &footer);
        let (snapshot, index_at, expected) =
            (ObjectHash(r.array().ok()?), r.u64().ok()?, r.array::<8>().ok()?);
        if r.array::<8>().ok()? != *MAGIC {
            return None;
        }
        let index_len = usize::try_from(len.checked_sub(FOOTER_LEN)?.checked_sub(index_at)?).ok()?;
        let mut index = vec![0; index_len];
        file.read_exact_at(&mut index, index_at).ok()?;
        (checksum(&index) == expected && index_len % INDEX_ENTRY_LEN == 0).then_some(Self {
            file,
            snapshot,
            index,
        })
    }

    /// What is known of the directory at `place`.
    pub(super) fn directory(&self, place: &Fingerprint) -> Option<DirectoryRecord> {
        let entries = self.index.as_chunks::<INDEX_ENTRY_LEN>().0;
        let at = entries.binary_search_by(|entry| entry[..16].cmp(place)).ok()?;
        let mut r = Reader::new("change cache", &entries.get(at)?[16..]);
        let (offset, len, expected) = (r.u64().ok()?, r.u32().ok()?, r.array::<8>().ok()?);
        let mut bytes = vec![0; len as usize];
        self.file.read_exact_at(&mut bytes, offset).ok()?;
        // The references go into the next snapshot unseen: a disk that lies must not get them there.
        (checksum(&bytes) == expected).then(|| DirectoryRecord::parse(bytes)).flatten()
    }
}

/// The cache that this backup will leave.
#[derive(Debug)]
pub(super) struct NewChanges {
    path: PathBuf,
    writing: Mutex<Writing>,
}

#[derive(Debug)]
struct Writing {
    out: BufWriter<tempfile::NamedTempFile>,
    offset: u64,
    index: Vec<(Fingerprint, u64, u32, [u8; 8])>,
}

impl NewChanges {
    /// Starts a cache that will replace the one at `path`.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let file = tempfile::Builder::new().prefix(".changes-").tempfile_in(folder)?;
        let writing = Writing { out: BufWriter::with_capacity(1 << 18, file), offset: 0, index: Vec::new() };
        Ok(Self { path: path.to_owned(), writing: Mutex::new(writing) })
    }

    /// Adds a directory.
    pub(super) fn add(&self, place: Fingerprint, record: &[u8]) -> io::Result<()> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.out.write_all(record)?;
        let offset = writing.offset;
        writing.offset += record.len() as u64;
        writing.index.push((place, offset, record.len() as u32, checksum(record)));
        Ok(())
    }

    /// Puts the cache in its place, once `snapshot` is in the vault.
    pub(super) fn finish(self, snapshot: &ObjectHash) -> io::Result<()> {
        let Writing { mut out, offset, mut index } =
            self.writing.into_inner().unwrap_or_else(PoisonError::into_inner);
        index.sort_unstable();
        let mut bytes = Vec::with_capacity(index.len() * INDEX_ENTRY_LEN);
        for (place, offset, len, checksum) in index {
            bytes.extend_from_slice(&place);
            bytes.put_u64(offset);
            bytes.put_u32(len);
            bytes.extend_from_slice(&checksum);
        }
        out.write_all(&bytes)?;
        let mut footer = snapshot.as_bytes().to_vec();
        footer.put_u64(offset);
        footer.extend_from_slice(&checksum(&bytes));
        footer.extend_from_slice(MAGIC);
        out.write_all(&footer)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.persist(&self.path)?;
        Ok(())
    }
}
