//! Directories of a snapshot as tar (POSIX pax) or zip, written in one pass.

use crate::browse::{modified, unpack};
use crate::error::CliError;
use crate::escape;
use std::collections::HashMap;
use std::io::{self, Write};
use strongroom_format::RefsId;
use strongroom_format::tree::{Entry, EntryKind, LinkId, Timestamp};
use strongroom_vault::browse::{FileReader, Next, walk};
use strongroom_vault::groups::GroupReader;
use strongroom_vault::tree::TreeEntry;
use tar::{Builder, EntryType, Header};
use zip::write::{SimpleFileOptions, ZipWriter};

/// From this length on, zip needs its 64-bit fields; compression may add a little.
const LARGE: u64 = 0xf000_0000;

/// What an archive is made of.
pub struct Entries<'a> {
    /// Reads the tree.
    pub reader: &'a GroupReader,
    /// The directory.
    pub directory: RefsId,
    /// Its absolute path.
    pub path: &'a [u8],
    /// Its own entry; none for the root.
    pub itself: Option<&'a Entry>,
    /// Told what an archive cannot hold.
    pub warn: &'a dyn Fn(&str),
}

impl Entries<'_> {
    /// The name in the archive: from the parent of the directory on, so that it unpacks as one directory.
    fn name<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        let parent = self.path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        path.get(parent + 1..).unwrap_or_default()
    }
}

fn failed(error: io::Error) -> CliError {
    unpack(error, "the archive cannot be written")
}

/// Writes a tar archive: extended attributes and ACLs as GNU tar and star do, hard links as links, holes as
/// zeros.
///
/// # Errors
/// Where something is damaged or cannot be written.
pub fn tar(entries: &Entries<'_>, writer: &mut dyn Write) -> Result<(), CliError> {
    let mut tar = Tar { builder: Builder::new(writer), links: HashMap::new(), entries };
    if let Some(itself) = entries.itself {
        tar.add(
            entries.path,
            &TreeEntry { entry: itself.clone(), refs: strongroom_vault::tree::EntryRefs::None },
        )?;
    }
    walk(entries.reader, &entries.directory, entries.path, &mut |path, entry| {
        tar.add(path, entry)?;
        Ok::<_, CliError>(Next::Enter)
    })?;
    tar.builder.finish().map_err(failed)
}

struct Tar<'a, 'w> {
    builder: Builder<&'w mut dyn Write>,
    /// The first name of each file that has several.
    links: HashMap<LinkId, Vec<u8>>,
    entries: &'a Entries<'a>,
}

impl Tar<'_, '_> {
    fn add(&mut self, path: &[u8], entry: &TreeEntry) -> Result<(), CliError> {
        let mut name = self.entries.name(path).to_vec();
        let mut link = Vec::new();
        let mut size = 0;
        let kind = match &entry.entry.kind {
            EntryKind::File { size: len, .. } => {
                size = *len;
                EntryType::Regular
            }
            EntryKind::Directory => {
                name.push(b'/');
                EntryType::Directory
            }
            EntryKind::Symlink { target } => {
                link.clone_from(target);
                EntryType::Symlink
            }
            EntryKind::Fifo => EntryType::Fifo,
            EntryKind::CharDevice { .. } => EntryType::Char,
            EntryKind::BlockDevice { .. } => EntryType::Block,
            EntryKind::Socket => {
                (self.entries.warn)(&format!("{} is a socket, which tar cannot hold", escape::path(path)));
                return Ok(());
            }
        };
        let mut kind = kind;
        if let (Some(id), false) = (entry.entry.hard_link, kind == EntryType::Directory) {
            match self.links.get(&id) {
                Some(first) => {
                    link.clone_from(first);
                    size = 0;
                    kind = EntryType::Link;
                }
                None => {
                    self.links.insert(id, name.clone());
                }
            }
        }
        let header = self.header(kind, &entry.entry, &name, &link, size).map_err(failed)?;
        if kind == EntryType::Regular {
            let content = FileReader::new(self.entries.reader, entry)?;
            self.builder.append(&header, content).map_err(failed)
        } else {
            self.builder.append(&header, io::empty()).map_err(failed)
        }
    }

    /// What does not fit into the plain header goes before it, as POSIX wants it.
    fn header(
        &mut self,
        kind: EntryType,
        entry: &Entry,
        name: &[u8],
        link: &[u8],
        size: u64,
    ) -> io::Result<Header> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(u32::from(entry.mode));
        header.set_uid(u64::from(entry.uid));
        header.set_gid(u64::from(entry.gid));
        header.set_size(size);
        header.set_mtime(u64::try_from(entry.mtime.secs).unwrap_or(0));
        if let EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } = entry.kind {
            header.set_device_major(major)?;
            header.set_device_minor(minor)?;
        }
        let mut extensions: Vec<(String, Vec<u8>)> = Vec::new();
        let old = header.as_old_mut();
        for (key, text, field) in [("path", name, &mut old.name), ("linkpath", link, &mut old.linkname)] {
            let len = text.len().min(field.len());
            field[..len].copy_from_slice(&text[..len]);
            if text.len() > len {
                extensions.push((key.into(), text.to_vec()));
            }
        }
        if entry.mtime.nanos != 0 || entry.mtime.secs < 0 {
            extensions.push(("mtime".into(), decimal(entry.mtime).into_bytes()));
        }
        if kind != EntryType::Link {
            for (name, value) in &entry.xattrs {
                extensions.push((format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value.clone()));
            }
        }
        self.builder
            .append_pax_extensions(extensions.iter().map(|(key, value)| (key.as_str(), value.as_slice())))?;
        header.set_cksum();
        Ok(header)
    }
}

/// Seconds with a fraction: `-1.5`.
fn decimal(time: Timestamp) -> String {
    let nanos = i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos);
    let (sign, nanos) = if nanos < 0 { ("-", -nanos) } else { ("", nanos) };
    format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// Writes a zip archive: hard links as copies, no extended attributes, no devices, pipes and sockets.
///
/// # Errors
/// Where something is damaged or cannot be written.
pub fn zip(entries: &Entries<'_>, writer: &mut dyn Write) -> Result<(), CliError> {
    let mut zip = ZipWriter::new_stream(writer);
    let failed = |error: zip::result::ZipError| match error {
        zip::result::ZipError::Io(error) => failed(error),
        other => failed(io::Error::other(other.to_string())),
    };
    walk(entries.reader, &entries.directory, entries.path, &mut |path, entry| {
        let name = entries.name(path);
        let name = match std::str::from_utf8(name) {
            Ok(name) => name.to_owned(),
            Err(_) => {
                let shown = escape::path(name);
                (entries.warn)(&format!("a name that is not UTF-8 is stored as {shown}"));
                shown
            }
        };
        let options = options(&entry.entry);
        match &entry.entry.kind {
            EntryKind::Directory => zip.add_directory(name, options).map_err(failed)?,
            EntryKind::Symlink { target } => {
                zip.add_symlink(name, String::from_utf8_lossy(target), options).map_err(failed)?;
            }
            EntryKind::File { .. } => {
                zip.start_file(name, options).map_err(failed)?;
                io::copy(&mut FileReader::new(entries.reader, entry)?, &mut zip).map_err(self::failed)?;
            }
            _ => (entries.warn)(&format!("{} is a special file, which zip cannot hold", escape::path(path))),
        }
        Ok::<_, CliError>(Next::Enter)
    })?;
    zip.finish().map_err(failed)?.into_inner().flush().map_err(self::failed)
}

fn options(entry: &Entry) -> SimpleFileOptions {
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .unix_permissions(u32::from(entry.mode))
        .large_file(crate::browse::size(entry) >= LARGE);
    let part = |number: i8| u8::try_from(number).unwrap_or(0);
    let time = modified(entry).and_then(|time| {
        let at = time.to_zoned_datetime(crate::units::local_zone());
        let (date, clock) = (at.date(), at.time());
        let year = u16::try_from(date.year()).ok()?;
        let (month, day) = (part(date.month()), part(date.day()));
        let (hour, minute, second) = (part(clock.hour()), part(clock.minute()), part(clock.second()));
        zip::DateTime::from_date_and_time(year, month, day, hour, minute, second).ok()
    });
    match time {
        Some(time) => options.last_modified_time(time),
        None => options,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_have_a_sign() {
        let show = |secs, nanos| decimal(Timestamp { secs, nanos });
        assert_eq!(show(-2, 500_000_000), "-1.500000000");
        assert_eq!(show(7, 5), "7.000000005");
    }
}
