//! Sealed objects under the write key other than packs: the frame that snapshots, index segments,
//! condemnations and session markers share `[V-7]`, and the last two themselves `[V-8]`.

use crate::{
    entropy::Entropy,
    error::{Damage, FormatError, Result},
    group::Owner,
    ids::{DatasetId, ObjectHash, VaultId},
    keys::WriteKeys,
    limits::DOCUMENT_MAX,
    seal::{SALT_LEN, TAG_LEN, padded_len},
    wire::{Reader, Writer},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const VERSION: u8 = 1;
/// Length of the frame's header.
pub const HEADER_LEN: usize = 44;

/// The kinds of sealed objects under the write key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// A snapshot header.
    Snapshot,
    /// An index segment.
    Segment,
    /// A condemnation.
    Condemnation,
    /// A session marker.
    Session,
}

impl DocumentKind {
    fn magic(self) -> &'static [u8; 4] {
        match self {
            Self::Snapshot => b"SRSN",
            Self::Segment => b"SRIX",
            Self::Condemnation => b"SRCD",
            Self::Session => b"SRSE",
        }
    }

    fn info(self) -> &'static str {
        match self {
            Self::Snapshot => "strongroom v1 snapshot",
            Self::Segment => "strongroom v1 index segment",
            Self::Condemnation => "strongroom v1 condemnation",
            Self::Session => "strongroom v1 session marker",
        }
    }

    fn object(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Segment => "index segment",
            Self::Condemnation => "condemnation",
            Self::Session => "session marker",
        }
    }
}

/// Seals `plain` into a framed object `[V-7.2]`.
#[must_use]
pub(crate) fn seal_bytes(
    kind: DocumentKind,
    epoch: u32,
    owner: &Owner,
    keys: &WriteKeys,
    plain: Vec<u8>,
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN + SALT_LEN + 4 + plain.len() + TAG_LEN);
    out.extend_from_slice(kind.magic());
    out.extend_from_slice(&[VERSION, 0, 0, 0]);
    out.extend_from_slice(owner.vault.as_bytes());
    out.extend_from_slice(owner.dataset.as_bytes());
    out.put_u32(epoch);
    let mut salt = [0; SALT_LEN];
    entropy.fill(&mut salt);
    let mut body = Vec::with_capacity(4 + plain.len() + TAG_LEN);
    body.put_u32(plain.len() as u32);
    body.extend_from_slice(&plain);
    body.resize(padded_len(body.len()), 0);
    keys.document_key(&salt, kind.info()).seal(0, &out, &mut body);
    out.extend_from_slice(&salt);
    out.extend_from_slice(&body);
    out
}

/// Opens a framed object of `kind`: its epoch and content.
pub(crate) fn open_bytes(
    kind: DocumentKind,
    max: usize,
    owner: &Owner,
    keys: &WriteKeys,
    bytes: &[u8],
) -> Result<(u32, Vec<u8>)> {
    let error = |damage| FormatError::new(kind.object(), damage);
    if bytes.len() > max {
        return Err(error(Damage::Limit("object length")));
    }
    let mut r = Reader::new(kind.object(), bytes);
    if r.array::<4>()? != *kind.magic() {
        return Err(error(Damage::Magic));
    }
    let version = r.u8()?;
    if version != VERSION {
        return Err(error(Damage::Version(version)));
    }
    if r.array::<3>()? != [0; 3] {
        return Err(error(Damage::Field("reserved")));
    }
    let found = Owner { vault: VaultId(r.array()?), dataset: DatasetId(r.array()?) };
    if found != *owner {
        return Err(error(Damage::Foreign));
    }
    let epoch = r.u32()?;
    let salt = r.array::<SALT_LEN>()?;
    let mut body = r.bytes(r.remaining())?.to_vec();
    let key = keys.document_key(&salt, kind.info());
    let plain = key.open(0, &bytes[..HEADER_LEN], &mut body).map_err(error)?;
    let mut r = Reader::new(kind.object(), plain);
    let len = r.u32()? as usize;
    let content = r.bytes(len)?.to_vec();
    if r.bytes(r.remaining())?.iter().any(|byte| *byte != 0) {
        return Err(error(Damage::TrailingBytes));
    }
    Ok((epoch, content))
}

/// Seals a JSON document.
pub(crate) fn seal_json(
    kind: DocumentKind,
    epoch: u32,
    owner: &Owner,
    keys: &WriteKeys,
    document: &impl Serialize,
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let json = serde_json::to_vec(document).expect("documents have string keys only");
    seal_bytes(kind, epoch, owner, keys, json, entropy)
}

/// Opens a JSON document.
pub(crate) fn open_json<T: DeserializeOwned>(
    kind: DocumentKind,
    owner: &Owner,
    keys: &WriteKeys,
    bytes: &[u8],
) -> Result<(u32, T)> {
    let (epoch, json) = open_bytes(kind, DOCUMENT_MAX, owner, keys, bytes)?;
    let document = serde_json::from_slice(&json)
        .map_err(|e| FormatError::new(kind.object(), Damage::Document(e.to_string())))?;
    Ok((epoch, document))
}

/// What prune has decided to delete: written before the deletion, so that every backup that starts
/// later keeps off these packs `[V-8.3]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condemnation {
    /// When, in RFC 3339 UTC, for people; decisions rest on the store's own clock.
    pub time: String,
    /// The packs that will be deleted.
    pub packs: Vec<ObjectHash>,
}

impl Condemnation {
    /// Seals the condemnation.
    pub fn seal(&self, owner: &Owner, keys: &WriteKeys, entropy: &mut dyn Entropy) -> Vec<u8> {
        seal_json(DocumentKind::Condemnation, 0, owner, keys, self, entropy)
    }

    /// Opens a condemnation.
    ///
    /// # Errors
    /// Any damage.
    pub fn open(bytes: &[u8], owner: &Owner, keys: &WriteKeys) -> Result<Self> {
        open_json(DocumentKind::Condemnation, owner, keys, bytes).map(|(_, document)| document)
    }
}

/// A sign that a backup is running `[V-8.1]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionMarker {
    /// When it started, in RFC 3339 UTC, for people.
    pub started: String,
    /// The host it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
}

impl SessionMarker {
    /// Seals the marker.
    pub fn seal(&self, owner: &Owner, keys: &WriteKeys, entropy: &mut dyn Entropy) -> Vec<u8> {
        seal_json(DocumentKind::Session, 0, owner, keys, self, entropy)
    }

    /// Opens a marker.
    ///
    /// # Errors
    /// Any damage.
    pub fn open(bytes: &[u8], owner: &Owner, keys: &WriteKeys) -> Result<Self> {
        open_json(DocumentKind::Session, owner, keys, bytes).map(|(_, document)| document)
    }
}
