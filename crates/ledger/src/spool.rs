//! Spools: entries of a host that cannot reach its ledger, kept in order and signed until they can be merged.
//!
//! A spool is weaker than a ledger: until it is merged, whoever takes over the host can throw it away. That it was used
//! stays visible: merged entries carry a mark with their place in the spool and the signature made there, and a gap
//! in the places shows.
//!
//! One record is one line: canonical JSON with the entry, its place, the hash of the record before it, the key and
//! the signature, see `docs/spec/ledger.md`.

use crate::{
    entry::{Entry, SpoolMark},
    error::LedgerError,
    hash::Hash,
    note::{SigningKey, VerifierKey},
    reader::Reader,
    tile::{TileId, TileKind},
    writer::Ledger,
};
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE64, HEXLOWER};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Longest spool in bytes.
const SPOOL_MAX: u64 = 1 << 30;

/// A spool in a file.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    key: SigningKey,
}

/// What a merge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// Entries that were appended.
    pub appended: u64,
    /// Entries that an interrupted merge had appended before.
    pub present: u64,
}

fn message(entry: &[u8], spool: &str, sequence: u64, previous: &str) -> Vec<u8> {
    let mut message = format!("strongroom ledger spool v1\n{spool}\n{sequence}\n{previous}\n").into_bytes();
    message.extend_from_slice(entry);
    message
}

/// Whether a merged entry was signed in a spool by one of `keys`, as its mark says. `None` where it has no mark.
#[must_use]
pub fn verify_mark(entry: &Entry, keys: &[VerifierKey]) -> Option<bool> {
    let mark = entry.spooled.as_ref()?;
    let plain = Entry { spooled: None, ..entry.clone() }.encode().ok()?;
    let key = keys.iter().find(|key| key.to_string() == mark.key);
    let signature = crate::base64::decode(&mark.signature).unwrap_or_default();
    Some(key.is_some_and(|key| {
        key.verifies(&message(&plain, &mark.spool, mark.sequence, &mark.previous), &signature)
    }))
}

impl Spool {
    /// The spool in this file, which is made when something is written.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, key: SigningKey) -> Self {
        let path: PathBuf = path.into();
        // So that the file's folder has a name, which is synchronised with it.
        let path = match path.parent() {
            Some(folder) if folder.as_os_str().is_empty() => Path::new(".").join(path),
            _ => path,
        };
        Self { path, key }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, error: io::Error) -> LedgerError {
        LedgerError::File { path: self.path.display().to_string(), source: Arc::new(error) }
    }

    fn damaged(&self, record: u64, what: &str) -> LedgerError {
        LedgerError::Spool { path: self.path.display().to_string(), record, what: what.to_owned() }
    }

    /// Opens the file and waits until no other process is in it.
    fn open(&self) -> io::Result<File> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = File::options().read(true).append(true).create(true).open(&self.path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }

    fn read(&self, file: &mut File) -> Result<Vec<Entry>, LedgerError> {
        let failed = |error| self.failed(error);
        if file.metadata().map_err(failed)?.len() > SPOOL_MAX {
            return Err(self.damaged(0, "it is too large"));
        }
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        // What a crash cut off was never announced as kept.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(failed)?;
        }
        let mut entries: Vec<Entry> = Vec::new();
        let mut previous = first_previous();
        for (line, record) in bytes[..whole].split_inclusive(|byte| *byte == b'\n').zip(0..) {
            let line = &line[..line.len() - 1];
            let entry = Entry::decode(line).map_err(|error| self.damaged(record, &error.to_string()))?;
            let mark = entry.spooled.as_ref().ok_or_else(|| self.damaged(record, "it has no mark"))?;
            let first = entries.first().and_then(|first| first.spooled.as_ref());
            let same = first
                .is_none_or(|first| first.spool == mark.spool && first.sequence + record == mark.sequence);
            if !same || mark.previous != previous && record > 0 {
                return Err(self.damaged(record, "records were removed, added or changed places"));
            }
            if verify_mark(&entry, std::slice::from_ref(self.key.public())) != Some(true) {
                return Err(self.damaged(record, "its signature is wrong"));
            }
            previous = record_hash(line);
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Keeps an entry: signed, in order, and durable on return.
    ///
    /// # Errors
    /// [`LedgerError::File`], [`LedgerError::Spool`], [`LedgerError::Entry`].
    pub fn append(&self, entry: Entry) -> Result<(), LedgerError> {
        let mut file = self.open().map_err(|error| self.failed(error))?;
        let kept = self.read(&mut file)?;
        let (spool, sequence, previous) = match kept.last() {
            Some(last) => {
                let mark = last.spooled.as_ref().ok_or_else(|| self.damaged(0, "it has no mark"))?;
                (mark.spool.clone(), mark.sequence + 1, record_hash(&last.encode()?))
            }
            None => {
                let mut id = [0; 16];
                aws_lc_rs::rand::fill(&mut id)
                    .map_err(|_| self.failed(io::Error::other("no random bytes")))?;
                (HEXLOWER.encode(&id), 0, first_previous())
            }
        };
        let entry = Entry { spooled: None, ..entry };
        let signature = self.key.sign(&message(&entry.encode()?, &spool, sequence, &previous));
        let mark = SpoolMark {
            spool,
            sequence,
            previous,
            key: self.key.public().to_string(),
            signature: BASE64.encode(&signature),
        };
        let mut line = Entry { spooled: Some(mark), ..entry }.encode()?;
        line.push(b'\n');
        let written = file.write_all(&line).and_then(|()| file.sync_all()).and_then(|()| {
            match self.path.parent().filter(|_| kept.is_empty()) {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        });
        written.map_err(|error| self.failed(error))
    }

    /// How many entries wait.
    ///
    /// # Errors
    /// As [`Spool::append`].
    pub fn len(&self) -> Result<usize, LedgerError> {
        if !self.path.exists() {
            return Ok(0);
        }
        let mut file = self.open().map_err(|error| self.failed(error))?;
        Ok(self.read(&mut file)?.len())
    }

    /// Whether nothing waits.
    ///
    /// # Errors
    /// As [`Spool::append`].
    pub fn is_empty(&self) -> Result<bool, LedgerError> {
        Ok(self.len()? == 0)
    }

    /// Appends everything to the ledger, in order and with its marks, and empties the file. A merge that was
    /// interrupted is taken up again, and writes nothing twice.
    ///
    /// # Errors
    /// As [`Spool::append`], and what keeps the ledger from being written.
    pub async fn merge(&self, ledger: &Ledger) -> Result<Merged, LedgerError> {
        if !self.path.exists() {
            return Ok(Merged::default());
        }
        let mut file = self.open().map_err(|error| self.failed(error))?;
        let entries = self.read(&mut file)?;
        let mut merged = Merged::default();
        if entries.is_empty() {
            return Ok(merged);
        }
        let begun = self.begun(ledger.prepare().await?.size)?;
        let head = ledger.flush().await?;
        let present = leaves_since(&ledger.reader(), begun, head.checkpoint.size).await?;
        let mut last = None;
        for entry in entries {
            let bytes = entry.encode()?;
            if present.contains(&Hash::of_leaf(&bytes)) {
                merged.present += 1;
                continue;
            }
            merged.appended += 1;
            if let Some(waiting) = last.replace(bytes) {
                ledger.enqueue(waiting)?;
            }
        }
        if let Some(last) = last {
            ledger.append(last).await?;
        }
        ledger.flush().await?;
        file.set_len(0).and_then(|()| file.sync_all()).map_err(|error| self.failed(error))?;
        std::fs::remove_file(self.mark_path()).map_err(|error| self.failed(error))?;
        Ok(merged)
    }

    fn mark_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".merging");
        path.into()
    }

    /// The size that the ledger had when this merge, or the one that it takes up, began.
    fn begun(&self, size: u64) -> Result<u64, LedgerError> {
        let path = self.mark_path();
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                text.trim().parse().map_err(|_| self.damaged(0, "where its merge began cannot be read"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let write = || {
                    let temporary = path.with_extension("new");
                    let mut file = File::create(&temporary)?;
                    file.write_all(format!("{size}\n").as_bytes())?;
                    file.sync_all()?;
                    std::fs::rename(&temporary, &path)?;
                    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
                };
                write().map_err(|error| self.failed(error))?;
                Ok(size)
            }
            Err(error) => Err(self.failed(error)),
        }
    }
}

fn first_previous() -> String {
    "0".repeat(64)
}

fn record_hash(line: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, line).as_ref())
}

async fn leaves_since(
    reader: &Reader,
    from: u64,
    size: u64,
) -> Result<std::collections::HashSet<Hash>, LedgerError> {
    let mut leaves = std::collections::HashSet::new();
    for tile in from / 256..size.div_ceil(256) {
        if let Some(id) = TileId::within(TileKind::Hashes(0), tile, size) {
            leaves.extend(reader.hashes(id).await?);
        }
    }
    Ok(leaves)
}
