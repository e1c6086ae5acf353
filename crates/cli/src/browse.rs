//! Looking into snapshots, and how their entries are shown.

use crate::catalog::Known;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::reading::Reading;
use crate::snapshot_spec::{SnapshotSelector, SnapshotSpec};
use crate::units;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use strongroom_custody::ReasonCode;
use strongroom_format::RefsId;
use strongroom_format::snapshot::escape_path;
use strongroom_format::tree::{Entry, EntryKind};
use strongroom_vault::VaultError;
use strongroom_vault::groups::GroupReader;
use strongroom_vault::tree::{EntryRefs, TreeEntry, find_path};

/// A dataset whose snapshots are looked into.
pub struct Browsing {
    /// The dataset.
    pub reading: Reading,
    /// What reads it.
    pub reader: GroupReader,
}

impl Browsing {
    /// Opens the dataset of the settings with a read key, as [`Reading::open`] does.
    ///
    /// # Errors
    /// Where there is no vault or dataset, or custody refuses.
    pub fn open(
        context: &Context,
        code: ReasonCode,
        selector: Option<&SnapshotSelector>,
    ) -> Result<Self, CliError> {
        let reading = Reading::open(context, code, selector)?;
        let reader = reading.reader(context)?;
        Ok(Self { reading, reader })
    }

    /// A path in a snapshot; the root, where there is none.
    ///
    /// # Errors
    /// Where the snapshot does not hold it.
    pub fn at(&self, known: &Known, path: Option<&[u8]>) -> Result<Place, CliError> {
        let path = path.unwrap_or(b"/");
        let entry = find_path(&self.reader, &known.snapshot.root, path)?;
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
        let path: Vec<u8> = names.flat_map(|name| [b"/", name].concat()).collect();
        let path = if path.is_empty() { b"/".to_vec() } else { path };
        Ok(Place { root: known.snapshot.root, path, entry })
    }

    /// The snapshot and the path in it that a user named.
    ///
    /// # Errors
    /// As [`Reading::snapshot`] and [`Self::at`].
    pub fn find(&self, context: &Context, spec: &SnapshotSpec) -> Result<(Known, Place), CliError> {
        let known = self.reading.snapshot(context, &spec.selector)?;
        let place = self.at(&known, spec.path.as_deref().map(str::as_bytes))?;
        Ok((known, place))
    }
}

/// Something in a snapshot.
#[derive(Debug)]
pub struct Place {
    /// The root of the snapshot.
    pub root: RefsId,
    /// Its absolute path.
    pub path: Vec<u8>,
    /// The entry; none for the root.
    pub entry: Option<TreeEntry>,
}

impl Place {
    /// The directory that it is.
    #[must_use]
    pub fn directory(&self) -> Option<RefsId> {
        match &self.entry {
            None => Some(self.root),
            Some(TreeEntry { refs: EntryRefs::Directory(id), .. }) => Some(*id),
            Some(_) => None,
        }
    }

    /// The directory that it must be.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn require_directory(&self) -> Result<RefsId, CliError> {
        self.directory().ok_or_else(|| {
            CliError::new(ErrorKind::PathMissing, format!("{} is no directory", escape::path(&self.path)))
                .hint("")
        })
    }
}

impl From<&Place> for String {
    fn from(place: &Place) -> Self {
        escape::path(&place.path)
    }
}

/// The kind in JSON, in restic's words.
#[must_use]
pub fn kind(entry: &Entry) -> &'static str {
    match entry.kind {
        EntryKind::File { .. } => "file",
        EntryKind::Directory => "dir",
        EntryKind::Symlink { .. } => "symlink",
        EntryKind::Fifo => "fifo",
        EntryKind::Socket => "socket",
        EntryKind::CharDevice { .. } => "chardev",
        EntryKind::BlockDevice { .. } => "dev",
    }
}

/// `-rwsr-xr-x`.
#[must_use]
pub fn permissions(entry: &Entry) -> String {
    let kind = match entry.kind {
        EntryKind::File { .. } => '-',
        EntryKind::Directory => 'd',
        EntryKind::Symlink { .. } => 'l',
        EntryKind::Fifo => 'p',
        EntryKind::Socket => 's',
        EntryKind::CharDevice { .. } => 'c',
        EntryKind::BlockDevice { .. } => 'b',
    };
    let bit = |mask: u16, c: char| if entry.mode & mask != 0 { c } else { '-' };
    let run = |run: u16, special: u16, both: char, alone: char| match (
        entry.mode & special != 0,
        entry.mode & run != 0,
    ) {
        (false, false) => '-',
        (false, true) => 'x',
        (true, true) => both,
        (true, false) => alone,
    };
    [
        kind,
        bit(0o400, 'r'),
        bit(0o200, 'w'),
        run(0o100, 0o4000, 's', 'S'),
        bit(0o040, 'r'),
        bit(0o020, 'w'),
        run(0o010, 0o2000, 's', 'S'),
        bit(0o004, 'r'),
        bit(0o002, 'w'),
        run(0o001, 0o1000, 't', 'T'),
    ]
    .into_iter()
    .collect()
}

/// The time of last change, where it is one that calendars reach.
#[must_use]
pub fn modified(entry: &Entry) -> Option<Timestamp> {
    Timestamp::new(entry.mtime.secs, i32::try_from(entry.mtime.nanos).ok()?).ok()
}

/// The length in bytes; 0 for all but regular files.
#[must_use]
pub fn size(entry: &Entry) -> u64 {
    match entry.kind {
        EntryKind::File { size, .. } => size,
        _ => 0,
    }
}

/// An entry as people see it.
#[derive(Clone, Debug)]
pub struct Lines {
    /// Mode, owner, size and time before the path.
    pub long: bool,
    /// Sizes in KiB, MiB and so on.
    pub human: bool,
    /// The zone of times.
    pub zone: TimeZone,
}

impl Lines {
    /// One line, safe for a terminal.
    #[must_use]
    pub fn line(&self, path: &[u8], entry: &Entry) -> String {
        let mut shown = escape::path(path);
        if !self.long {
            return shown;
        }
        if let EntryKind::Symlink { target } = &entry.kind {
            shown = format!("{shown} -> {}", escape::path(target));
        }
        let size = match (&entry.kind, self.human) {
            (EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor }, _) => {
                format!("{major}, {minor}")
            }
            (_, true) => units::bytes(size(entry)),
            (_, false) => size(entry).to_string(),
        };
        let time = modified(entry).map_or_else(|| "-".into(), |time| units::time(time, &self.zone));
        format!("{} {:>5} {:>5} {size:>12} {time:<19} {shown}", permissions(entry), entry.uid, entry.gid)
    }
}

/// An entry as programs see it; names are escaped like paths of snapshots: `%XX` for bytes that are not
/// UTF-8, control characters and `%`.
#[derive(Debug, Serialize)]
pub struct Node {
    message_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<String>,
    path: String,
    #[serde(rename = "type")]
    kind: &'static str,
    mode: u16,
    permissions: String,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

impl Node {
    /// The entry at a path, as a message of this type.
    #[must_use]
    pub fn new(message_type: &'static str, snapshot: Option<&Known>, path: &[u8], entry: &Entry) -> Self {
        Self {
            message_type,
            snapshot: snapshot.map(|known| known.id.to_hex()),
            path: escape_path(path),
            kind: kind(entry),
            mode: entry.mode,
            permissions: permissions(entry),
            uid: entry.uid,
            gid: entry.gid,
            size: matches!(entry.kind, EntryKind::File { .. }).then(|| size(entry)),
            mtime: modified(entry).map(|time| time.to_string()),
            target: match &entry.kind {
                EntryKind::Symlink { target } => Some(escape_path(target)),
                _ => None,
            },
        }
    }
}

/// The vault's error inside an [`std::io::Error`], or the error itself.
#[must_use]
pub fn unpack(error: std::io::Error, what: &str) -> CliError {
    match error.downcast::<VaultError>() {
        Ok(error) => error.into(),
        Err(error) => match error.downcast::<CliError>() {
            Ok(error) => error,
            Err(error) => CliError::new(ErrorKind::LocalFile, what).caused_by(&error),
        },
    }
}
