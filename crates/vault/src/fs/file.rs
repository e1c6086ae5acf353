//! Regular files to read from.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::SeekFrom,
    io::{Errno, retry_on_intr},
};

use super::{
    stat::Stat,
    xattr::{self, Xattrs},
};

/// Most ranges that are told apart in one file; what follows counts as data, holes and all.
const RANGES_MAX: usize = 1 << 16;

/// A regular file, open for reading.
#[derive(Debug)]
pub struct OpenFile {
    fd: OwnedFd,
    stat: Stat,
}

impl OpenFile {
    pub(super) fn new(fd: OwnedFd, stat: Stat) -> Self {
        Self { fd, stat }
    }

    /// The attributes when it was opened.
    #[must_use]
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// The attributes now: differing times tell that the file changed while it was read.
    ///
    /// # Errors
    /// As `fstat(2)`.
    pub fn stat_now(&self) -> io::Result<Stat> {
        Stat::from_raw(&rustix::fs::fstat(&self.fd)?)
    }

    /// Reads from `offset` as much as one call gives; 0 at the end of the file.
    ///
    /// # Errors
    /// As `pread(2)`.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::pread(&self.fd, &mut *buffer, offset))?)
    }

    /// Reads from `offset` until `buffer` is full or the file ends. Returns the bytes read.
    ///
    /// # Errors
    /// As `pread(2)`.
    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], offset.saturating_add(done as u64))? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }

    /// The ranges that hold data, `(offset, length)`, ascending and apart, within the first `size` bytes.
    /// `None` where the file has no holes there, or the file system does not tell.
    ///
    /// # Errors
    /// As `lseek(2)` with `SEEK_DATA` and `SEEK_HOLE`.
    pub fn data_ranges(&self, size: u64) -> io::Result<Option<Vec<(u64, u64)>>> {
        if size == 0 || self.stat.blocks.saturating_mul(512) >= size {
            return Ok(None);
        }
        let mut ranges = Vec::new();
        let mut at = 0;
        while at < size {
            let start = match rustix::fs::seek(&self.fd, SeekFrom::Data(at)) {
                Ok(start) if start < size => start,
                // ENXIO: no data from here to the end.
                Ok(_) | Err(Errno::NXIO) => break,
                Err(Errno::INVAL | Errno::OPNOTSUPP) if at == 0 => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let end = if ranges.len() + 1 == RANGES_MAX {
                size
            } else {
                match rustix::fs::seek(&self.fd, SeekFrom::Hole(start)) {
                    Ok(end) => end.min(size),
                    // The file shrank below `start` in between.
                    Err(Errno::NXIO) => break,
                    Err(error) => return Err(error.into()),
                }
            };
            if end <= start {
                break;
            }
            ranges.push((start, end - start));
            at = end;
        }
        Ok(if ranges == [(0, size)] { None } else { Some(ranges) })
    }

    /// The extended attributes.
    ///
    /// # Errors
    /// As `flistxattr(2)`; none where the file system has no attributes.
    pub fn xattrs(&self) -> io::Result<Xattrs> {
        xattr::read_fd(self.fd.as_fd())
    }
}

impl AsFd for OpenFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
