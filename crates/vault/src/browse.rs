//! Looking through the files of a snapshot by name: a walk, and the content of a file in order.

use crate::{
    error::{Result, VaultError},
    groups::GroupReader,
    tree::{EntryRefs, TreeEntry, file_chunks, read_directory},
};
use std::io::{self, Read};
use strongroom_format::{ChunkId, Damage, RefsId, keys::ChunkKind, limits::TREE_DEPTH_MAX, tree::EntryKind};

/// Where a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Into the directory that was visited.
    Enter,
    /// Past it.
    Skip,
}

/// The path of `name` in the directory `path`.
#[must_use]
pub fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(path.len() + 1 + name.len());
    joined.extend_from_slice(path);
    if !path.ends_with(b"/") {
        joined.push(b'/');
    }
    joined.extend_from_slice(name);
    joined
}

/// Is given each entry with its path.
pub type Visit<'v, E> = dyn FnMut(&[u8], &TreeEntry) -> Result<Next, E> + 'v;

/// Visits everything below a directory whose path is `base`: each entry with its path, a directory before its
/// content, in the order of names. Holds the entries of one directory for each level.
///
/// # Errors
/// What `visit` fails with; where the tree is missing, damaged, or deeper than the format allows.
pub fn walk<E: From<VaultError>>(
    reader: &GroupReader,
    directory: &RefsId,
    base: &[u8],
    visit: &mut Visit<'_, E>,
) -> Result<(), E> {
    let mut levels = vec![(base.to_vec(), read_directory(reader, directory)?.into_iter())];
    while let Some((path, entries)) = levels.last_mut() {
        let Some(entry) = entries.next() else {
            levels.pop();
            continue;
        };
        let path = join(path, &entry.entry.name);
        if visit(&path, &entry)? == Next::Skip {
            continue;
        }
        if let EntryRefs::Directory(id) = &entry.refs {
            if levels.len() >= TREE_DEPTH_MAX {
                let name = format!("chunk {id}");
                return Err(VaultError::damaged(name, "tree", Damage::Limit("depth")).into());
            }
            levels.push((path, read_directory(reader, id)?.into_iter()));
        }
    }
    Ok(())
}

/// The content of a file, holes included, in order. Holds one chunk, and the list of all.
#[derive(Debug)]
pub struct FileReader<'a> {
    reader: &'a GroupReader,
    chunks: std::vec::IntoIter<ChunkId>,
    chunk: Vec<u8>,
    used: usize,
    /// Pieces still to come: bytes of a hole, then bytes of data; the first one last.
    pieces: Vec<(u64, u64)>,
}

impl<'a> FileReader<'a> {
    /// A reader of the file `entry`.
    ///
    /// # Errors
    /// Where the list of its chunks is missing or damaged, or it is no file.
    pub fn new(reader: &'a GroupReader, entry: &TreeEntry) -> Result<Self> {
        let EntryKind::File { size, data_ranges, .. } = &entry.entry.kind else {
            return Err(VaultError::Invalid("it is no regular file".into()));
        };
        let mut pieces = Vec::new();
        match data_ranges {
            None => pieces.push((0, *size)),
            Some(ranges) => {
                let mut end = 0;
                for (offset, len) in ranges {
                    pieces.push((offset - end, *len));
                    end = offset + len;
                }
                pieces.push((size - end, 0));
            }
        }
        pieces.reverse();
        let chunks = file_chunks(reader, entry)?.into_iter();
        Ok(Self { reader, chunks, chunk: Vec::new(), used: 0, pieces })
    }

    /// The next piece of content into `buffer`: how much; 0 at the end.
    ///
    /// # Errors
    /// Where content is missing or damaged, or does not add up to the length of the file.
    pub fn next(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let Some((hole, data)) = self.pieces.last_mut() else {
                return match self.used == self.chunk.len() && self.chunks.next().is_none() {
                    true => Ok(0),
                    false => Err(VaultError::damaged("a file", "file", Damage::TrailingBytes)),
                };
            };
            if *hole > 0 {
                let len = usize::try_from(*hole).unwrap_or(usize::MAX).min(buffer.len());
                buffer[..len].fill(0);
                *hole -= len as u64;
                return Ok(len);
            }
            if *data == 0 {
                self.pieces.pop();
                continue;
            }
            if self.used == self.chunk.len() {
                let id = self.chunks.next();
                let id = id.ok_or_else(|| VaultError::damaged("a file", "file", Damage::Truncated))?;
                self.chunk = self.reader.read_chunk(ChunkKind::Data, &id)?;
                self.used = 0;
                continue;
            }
            let left = &self.chunk[self.used..];
            let len = usize::try_from(*data).unwrap_or(usize::MAX).min(buffer.len()).min(left.len());
            buffer[..len].copy_from_slice(&left[..len]);
            self.used += len;
            *data -= len as u64;
            return Ok(len);
        }
    }
}

impl Read for FileReader<'_> {
    /// The error of the vault is inside the [`io::Error`].
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(io::Error::other)
    }
}
