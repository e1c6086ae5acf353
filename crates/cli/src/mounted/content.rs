//! Files that are open: which chunk lies where.

use std::sync::{Arc, Mutex, PoisonError};
use strongroom_format::keys::ChunkKind;
use strongroom_format::tree::EntryKind;
use strongroom_format::{ChunkId, Damage};
use strongroom_vault::VaultError;
use strongroom_vault::groups::GroupReader;
use strongroom_vault::tree::{TreeEntry, file_chunks};

/// A file that is open.
pub(super) struct OpenFile {
    size: u64,
    /// Where data lies in the file, and where in the sequence of chunks: (offset, place, length).
    ranges: Vec<(u64, u64, u64)>,
    /// The end of each chunk in the sequence.
    ends: Vec<u64>,
    chunks: Vec<ChunkId>,
    /// The chunk that was read last: reads are smaller than chunks.
    last: Mutex<Option<(usize, Arc<Vec<u8>>)>>,
}

impl OpenFile {
    pub(super) fn new(reader: &GroupReader, entry: &TreeEntry) -> Result<Self, VaultError> {
        let EntryKind::File { size, data_ranges, .. } = &entry.entry.kind else {
            return Err(VaultError::Invalid("it is no regular file".into()));
        };
        let mut place = 0;
        let ranges = match data_ranges {
            None => vec![(0, 0, *size)],
            Some(ranges) => ranges
                .iter()
                .map(|(offset, len)| {
                    place += len;
                    (*offset, place - len, *len)
                })
                .collect(),
        };
        let chunks = file_chunks(reader, entry)?;
        let mut ends = Vec::with_capacity(chunks.len());
        let mut end = 0;
        for id in &chunks {
            let location = match reader.locate(id) {
                Err(VaultError::MissingChunk { .. }) => {
                    reader.reload()?;
                    reader.locate(id)?
                }
                other => other?,
            };
            end += u64::from(location.len);
            ends.push(end);
        }
        Ok(Self { size: *size, ranges, ends, chunks, last: Mutex::new(None) })
    }

    /// The bytes from `offset` on: as many as asked for, unless the file ends.
    pub(super) fn read(&self, reader: &GroupReader, offset: u64, len: usize) -> Result<Vec<u8>, VaultError> {
        let end = offset.saturating_add(len as u64).min(self.size);
        let len = usize::try_from(end.saturating_sub(offset)).unwrap_or(0);
        // What no range covers is a hole.
        let mut out = vec![0; len];
        let first = self.ranges.partition_point(|(start, _, len)| start + len <= offset);
        for (start, place, len) in self.ranges.iter().skip(first) {
            let (from, to) = ((*start).max(offset), (start + len).min(end));
            if from >= to {
                break;
            }
            let part = (from - offset) as usize..(to - offset) as usize;
            if let Some(part) = out.get_mut(part) {
                self.copy(reader, place + (from - start), part)?;
            }
        }
        Ok(out)
    }

    /// Fills `out` with the data from a place in the sequence of chunks on.
    fn copy(&self, reader: &GroupReader, mut place: u64, mut out: &mut [u8]) -> Result<(), VaultError> {
        while !out.is_empty() {
            let nth = self.ends.partition_point(|end| *end <= place);
            let chunk = self.chunk(reader, nth)?;
            let start = nth.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
            let piece = chunk.get((place - start) as usize..).unwrap_or_default();
            let len = piece.len().min(out.len());
            if len == 0 {
                return Err(VaultError::damaged("a file", "file", Damage::Truncated));
            }
            let (done, rest) = out.split_at_mut(len);
            done.copy_from_slice(&piece[..len]);
            out = rest;
            place += len as u64;
        }
        Ok(())
    }

    fn chunk(&self, reader: &GroupReader, nth: usize) -> Result<Arc<Vec<u8>>, VaultError> {
        let id = self.chunks.get(nth);
        let id = id.ok_or_else(|| VaultError::damaged("a file", "file", Damage::Truncated))?;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, chunk)) = last.filter(|(last, _)| *last == nth) {
            return Ok(chunk);
        }
        let chunk = Arc::new(reader.read_chunk(ChunkKind::Data, id)?);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((nth, Arc::clone(&chunk)));
        Ok(chunk)
    }
}
