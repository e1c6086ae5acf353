//! Extended attributes, POSIX ACLs among them.

use std::{io, os::fd::BorrowedFd};

use rustix::io::Errno;
use strongroom_format::limits::{NAME_MAX, XATTR_VALUE_MAX, XATTRS_MAX};

/// The ACL that says who may use the entry.
pub(super) const ACL_ACCESS: &[u8] = b"system.posix_acl_access";
/// The ACL that new entries of a directory inherit.
pub(super) const ACL_DEFAULT: &[u8] = b"system.posix_acl_default";

/// Room for the names of most files' attributes: one call tells that there are none.
const LIST_GUESS: usize = 512;
/// Room for most values.
const VALUE_GUESS: usize = 256;

/// Names and values of one entry together: what is far above any use, and far below what a page can hold.
const TOTAL_MAX: usize = 4 << 20;

/// The extended attributes of one entry.
#[derive(Debug, Default)]
pub struct Xattrs {
    /// Names and values, sorted by name: all that the kernel lists to this process.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Names whose values could not be read, or that are above the format's limits.
    pub failed: Vec<(Vec<u8>, io::Error)>,
}

/// The extended attributes of an open file or directory.
pub(super) fn read_fd(fd: BorrowedFd<'_>) -> io::Result<Xattrs> {
    read(|buffer| rustix::fs::flistxattr(fd, buffer), |name, buffer| rustix::fs::fgetxattr(fd, name, buffer))
}

/// The extended attributes of what `path` names; a link in its last component is not followed.
pub(super) fn read_path(path: &[u8]) -> io::Result<Xattrs> {
    read(
        |buffer| rustix::fs::llistxattr(path, buffer),
        |name, buffer| rustix::fs::lgetxattr(path, name, buffer),
    )
}

fn read(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    value: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Xattrs> {
    let mut stack = [0; LIST_GUESS];
    let heap;
    let names = match list(&mut stack) {
        Ok(len) => &stack[..len],
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Xattrs::default()),
        Err(Errno::RANGE) => {
            heap = grow(LIST_GUESS, &list)?;
            &heap
        }
        Err(error) => return Err(error.into()),
    };
    let mut xattrs = Xattrs::default();
    let mut total = 0;
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let limit = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        if xattrs.attributes.len() == XATTRS_MAX || name.len() > NAME_MAX {
            xattrs
                .failed
                .push((name.to_vec(), limit("the entry has too many attributes, or too long names")));
            continue;
        }
        match grow(VALUE_GUESS, |buffer| value(name, buffer)) {
            Ok(value) if value.len() > XATTR_VALUE_MAX => {
                xattrs.failed.push((name.to_vec(), limit("the attribute's value is too large")));
            }
            Ok(value) if total + name.len() + value.len() > TOTAL_MAX => {
                xattrs.failed.push((name.to_vec(), limit("the entry's attributes are too large together")));
            }
            Ok(value) => {
                total += name.len() + value.len();
                xattrs.attributes.push((name.to_vec(), value));
            }
            // Removed between the two calls.
            Err(Errno::NODATA) => {}
            Err(error) => xattrs.failed.push((name.to_vec(), error.into())),
        }
    }
    xattrs.attributes.sort_unstable();
    Ok(xattrs)
}

/// Calls `read` with ever larger buffers until the result fits.
fn grow(first: usize, read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; first];
    loop {
        match read(&mut buffer) {
            Ok(len) => {
                buffer.truncate(len);
                return Ok(buffer);
            }
            // One step above the limit of values, so that a value above it is seen as such.
            Err(Errno::RANGE) if buffer.len() <= XATTR_VALUE_MAX => {
                let larger = buffer.len() * 8;
                buffer.resize(larger, 0);
            }
            Err(error) => return Err(error),
        }
    }
}
