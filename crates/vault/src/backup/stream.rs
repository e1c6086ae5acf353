//! Large content: one reader finds the cuts, all workers hash, compress and seal.

use super::node::{Attributes, Node};
use crate::{
    chunker::Chunker,
    fs::{OpenFile, Stat},
};
use std::{
    io::{self, Read},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::AcqRel},
    },
};
use strongroom_format::ChunkId;

/// Content is handed out in pieces of about this length, in bytes.
pub(super) const EXTENT: usize = 4 << 20;

/// A file that is being read in extents.
#[derive(Debug)]
pub(super) struct Streamed {
    pub(super) node: Arc<Node>,
    pub(super) nth: usize,
    chunks: Mutex<Vec<Vec<ChunkId>>>,
    pending: AtomicUsize,
    pub(super) end: Mutex<Option<StreamEnd>>,
}

/// What is known once a file has been read to its end.
#[derive(Debug)]
pub(super) struct StreamEnd {
    pub(super) size: u64,
    pub(super) data_ranges: Option<Vec<(u64, u64)>>,
    pub(super) stat: Stat,
    pub(super) attributes: Attributes,
    pub(super) settled: bool,
    /// Whether it could be read.
    pub(super) readable: bool,
}

/// A piece of content with the ends of its chunks.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) file: Arc<Streamed>,
    pub(super) nth: usize,
    pub(super) content: Vec<u8>,
    pub(super) ends: Vec<usize>,
}

impl Streamed {
    pub(super) fn new(node: Arc<Node>, nth: usize) -> Self {
        Self { node, nth, chunks: Mutex::default(), pending: AtomicUsize::new(1), end: Mutex::default() }
    }

    /// Announces an extent and returns its number.
    pub(super) fn expect(&self) -> usize {
        self.pending.fetch_add(1, AcqRel);
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        chunks.push(Vec::new());
        chunks.len() - 1
    }

    /// The chunks of an extent.
    pub(super) fn set(&self, extent: usize, ids: Vec<ChunkId>) {
        if let Some(place) = self.chunks.lock().unwrap_or_else(PoisonError::into_inner).get_mut(extent) {
            *place = ids;
        }
    }

    /// One piece of work is done; true where it was the last.
    pub(super) fn done(&self) -> bool {
        self.pending.fetch_sub(1, AcqRel) == 1
    }

    /// All chunks, in order.
    pub(super) fn take_chunks(&self) -> Vec<ChunkId> {
        std::mem::take(&mut *self.chunks.lock().unwrap_or_else(PoisonError::into_inner)).concat()
    }
}

/// Content that is read from front to end.
pub(super) trait Content {
    /// Fills `buffer` as far as content is left; returns the bytes read.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// The data of a file, holes left out.
pub(super) struct FileData<'a> {
    file: &'a OpenFile,
    ranges: Vec<(u64, u64)>,
    at: usize,
    offset: u64,
}

impl<'a> FileData<'a> {
    /// Reads `ranges`, or everything up to the end where there are none.
    pub(super) fn new(file: &'a OpenFile, ranges: Option<&[(u64, u64)]>) -> Self {
        let ranges = ranges.map_or_else(|| vec![(0, u64::MAX)], <[_]>::to_vec);
        Self { file, ranges, at: 0, offset: 0 }
    }
}

impl Content for FileData<'_> {
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            let Some((start, len)) = self.ranges.get(self.at) else { break };
            let want = usize::try_from(len - self.offset).unwrap_or(usize::MAX).min(buffer.len() - done);
            let read = self.file.read_full_at(&mut buffer[done..done + want], start + self.offset)?;
            done += read;
            self.offset += read as u64;
            if read < want && *len != u64::MAX {
                // The file shrank: what the hole map promised reads as zeros, as it would after truncation.
                let missing = want - read;
                buffer[done..done + missing].fill(0);
                done += missing;
                self.offset += missing as u64;
            } else if read < want {
                self.at += 1;
                break;
            }
            if self.offset == *len {
                self.at += 1;
                self.offset = 0;
            }
        }
        Ok(done)
    }
}

/// A pipe.
pub(super) struct Pipe<'a>(pub(super) &'a mut dyn Read);

impl Content for Pipe<'_> {
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read(&mut buffer[done..]) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

/// Cuts content into chunks, an extent at a time.
pub(super) struct Cutter<'a> {
    content: &'a mut dyn Content,
    chunker: &'a Chunker,
    /// Bytes that were read and are not in an extent yet.
    carry: Vec<u8>,
    ended: bool,
    /// Bytes read in all.
    pub(super) total: u64,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(content: &'a mut dyn Content, chunker: &'a Chunker) -> Self {
        Self { content, chunker, carry: Vec::new(), ended: false, total: 0 }
    }

    /// The next extent, in `buffer`, and the ends of its chunks; false at the end of the content.
    pub(super) fn next(&mut self, buffer: &mut Vec<u8>, ends: &mut Vec<usize>) -> io::Result<bool> {
        ends.clear();
        buffer.clear();
        buffer.append(&mut self.carry);
        if !self.ended {
            let have = buffer.len();
            buffer.resize(EXTENT + self.chunker.lookahead(), 0);
            let read = self.content.fill(&mut buffer[have..])?;
            self.total += read as u64;
            self.ended = have + read < buffer.len();
            buffer.truncate(have + read);
        }
        let mut start = 0;
        while start < buffer.len() && (self.ended || buffer.len() - start >= self.chunker.lookahead()) {
            start += self.chunker.first_len(&buffer[start..]);
            ends.push(start);
        }
        self.carry.extend_from_slice(&buffer[start..]);
        buffer.truncate(start);
        Ok(!ends.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Layout;
    use proptest::prelude::*;
    use strongroom_format::{Secret32, keys::WriteKeys};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn extents_cut_like_the_whole(len in 0usize..(12 << 20), seed in any::<u64>()) {
            let layout = Layout { chunk_min: 64 << 10, chunk_max: 448 << 10, pack_size: 1 << 20 };
            let chunker = Chunker::new(&WriteKeys::new(&Secret32::new([3; 32])), &layout);
            let mut content = vec![0; len];
            blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut content);
            let mut whole = Vec::new();
            while whole.last().copied().unwrap_or(0) < len {
                let at = whole.last().copied().unwrap_or(0);
                whole.push(at + chunker.first_len(&content[at..]));
            }
            let mut reader = content.as_slice();
            let mut pipe = Pipe(&mut reader);
            let mut cutter = Cutter::new(&mut pipe, &chunker);
            let (mut buffer, mut ends, mut at, mut found) = (Vec::new(), Vec::new(), 0, Vec::new());
            while cutter.next(&mut buffer, &mut ends).unwrap() {
                prop_assert_eq!(&content[at..at + buffer.len()], buffer.as_slice());
                found.extend(ends.iter().map(|end| at + end));
                at += buffer.len();
            }
            prop_assert_eq!(cutter.total, len as u64);
            prop_assert_eq!(found, whole);
        }
    }
}
