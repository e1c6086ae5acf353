//! Snapshot headers: what can be known of a snapshot with the write key alone `[V-7.3]`.

use crate::{
    control::{self, DocumentKind},
    entropy::Entropy,
    error::Result,
    group::Owner,
    ids::{ObjectHash, RefsId},
    keys::WriteKeys,
};
use serde::{Deserialize, Serialize};

/// One backed-up state of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// When the backup started: RFC 3339 in UTC with nine decimals, so that text order is time order.
    pub time: String,
    /// The host.
    pub host: String,
    /// The user who ran it.
    pub user: String,
    /// The paths that were asked for, escaped as [`escape_path`] does.
    pub paths: Vec<String>,
    /// Tags, sorted.
    pub tags: Vec<String>,
    /// The root directory.
    pub root: RefsId,
    /// The snapshot that unchanged files were taken from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<ObjectHash>,
    /// The first form of this snapshot, where its tags were changed or it was copied or repaired.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub original: Option<ObjectHash>,
    /// The program and version that wrote it.
    pub program: String,
    /// What the backup found and stored.
    pub summary: Summary,
}

/// What a backup found and stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Everything else.
    pub others: u64,
    /// Length of all files together, in bytes.
    pub bytes: u64,
    /// Files that the parent did not have.
    pub files_new: u64,
    /// Files that differ from the parent's.
    pub files_changed: u64,
    /// Files taken over from the parent.
    pub files_unchanged: u64,
    /// New chunks stored, of all kinds.
    pub chunks_added: u64,
    /// Their length before compression, in bytes.
    pub bytes_added: u64,
    /// What was written to the vault, in bytes.
    pub bytes_stored: u64,
    /// Entries that could not be read, or changed while they were read.
    pub problems: u64,
    /// Wall time, in milliseconds.
    pub milliseconds: u64,
}

impl Snapshot {
    /// Seals the header; its name is the hash of the bytes together with `epoch`.
    pub fn seal(&self, epoch: u32, owner: &Owner, keys: &WriteKeys, entropy: &mut dyn Entropy) -> Vec<u8> {
        control::seal_json(DocumentKind::Snapshot, epoch, owner, keys, self, entropy)
    }

    /// Opens a header: the epoch of its session, and the snapshot.
    ///
    /// # Errors
    /// Any damage.
    pub fn open(bytes: &[u8], owner: &Owner, keys: &WriteKeys) -> Result<(u32, Self)> {
        control::open_json(DocumentKind::Snapshot, owner, keys, bytes)
    }
}

/// A path as text: bytes that are not UTF-8, control characters and `%` become `%XX`.
#[must_use]
pub fn escape_path(path: &[u8]) -> String {
    let mut out = String::new();
    for part in path.utf8_chunks() {
        for c in part.valid().chars() {
            if c == '%' || c.is_control() {
                let mut utf8 = [0; 4];
                escape_bytes(c.encode_utf8(&mut utf8).as_bytes(), &mut out);
            } else {
                out.push(c);
            }
        }
        escape_bytes(part.invalid(), &mut out);
    }
    out
}

fn escape_bytes(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        out.push('%');
        out.push_str(&data_encoding::HEXUPPER.encode(&[*byte]));
    }
}

/// The bytes of an escaped path; `None` where an escape is malformed.
#[must_use]
pub fn unescape_path(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let (hex, tail) = tail.split_at_checked(2)?;
            out.extend(data_encoding::HEXUPPER.decode(hex).ok()?);
            rest = tail;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    Some(out)
}
