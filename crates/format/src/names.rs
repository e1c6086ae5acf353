//! Where each object lives in a vault `[V-3]`.

use crate::ids::{DatasetId, ObjectHash, SessionId};

/// The vault document.
pub const VAULT: &str = "vault";
/// The folder of keyring documents.
pub const KEYRING: &str = "keyring/";

/// The folder of requests that wait for custodians `[Q-5]`.
pub const REQUESTS: &str = "requests/";

/// The name of a request.
#[must_use]
pub fn request(id: &ObjectHash) -> String {
    format!("{REQUESTS}{id}")
}

/// Reads the id from a request's name; none for what only lies beside it.
#[must_use]
pub fn parse_request(name: &str) -> Option<ObjectHash> {
    name.strip_prefix(REQUESTS).and_then(ObjectHash::from_hex)
}

/// The folder of the approvals of a request `[Q-5]`.
#[must_use]
pub fn approvals(request: &ObjectHash) -> String {
    format!("approvals/{request}/")
}

/// The name of an approval.
#[must_use]
pub fn approval(request: &ObjectHash, hash: &ObjectHash) -> String {
    format!("{}{hash}", approvals(request))
}

/// The folder of changes that wait `[V-14]`.
pub const CHANGES: &str = "changes/";
/// The folder of certificates of what was done `[V-14]`.
pub const CERTIFICATES: &str = "certificates/";

/// The name of a change.
#[must_use]
pub fn change(id: &ObjectHash) -> String {
    format!("{CHANGES}{id}")
}

/// Reads the id from a change's name; none for what only lies beside it.
#[must_use]
pub fn parse_change(name: &str) -> Option<ObjectHash> {
    name.strip_prefix(CHANGES).and_then(ObjectHash::from_hex)
}

/// The folder of the cancellations of a change.
#[must_use]
pub fn cancellations(change: &ObjectHash) -> String {
    format!("cancellations/{change}/")
}

/// The name of a cancellation.
#[must_use]
pub fn cancellation(change: &ObjectHash, hash: &ObjectHash) -> String {
    format!("{}{hash}", cancellations(change))
}

/// The name of the certificate of a change.
#[must_use]
pub fn certificate(change: &ObjectHash) -> String {
    format!("{CERTIFICATES}{change}")
}

/// The folder of all datasets.
pub const DATASETS: &str = "datasets/";

/// The name of a version of the keyring.
#[must_use]
pub fn keyring(version: u32) -> String {
    format!("{KEYRING}{version:08x}")
}

/// Reads the version from a keyring's name; none for what only lies beside it.
#[must_use]
pub fn parse_keyring(name: &str) -> Option<u32> {
    name.strip_prefix(KEYRING).and_then(parse_u32)
}

/// The names of one dataset's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatasetNames(pub DatasetId);

impl DatasetNames {
    /// The folder of everything of the dataset.
    #[must_use]
    pub fn everything(self) -> String {
        format!("{DATASETS}{}/", self.0)
    }

    fn folder(self, kind: &str) -> String {
        format!("{DATASETS}{}/{kind}/", self.0)
    }

    /// The folder of epochs.
    #[must_use]
    pub fn epochs(self) -> String {
        self.folder("epochs")
    }

    /// A generation of an epoch's document.
    #[must_use]
    pub fn epoch(self, epoch: u32, generation: u32) -> String {
        format!("{}{epoch:08x}.{generation:08x}", self.epochs())
    }

    /// The folder of packs.
    #[must_use]
    pub fn packs(self) -> String {
        self.folder("packs")
    }

    /// A pack.
    #[must_use]
    pub fn pack(self, hash: &ObjectHash) -> String {
        let hex = hash.to_hex();
        format!("{}{}/{hex}", self.packs(), &hex[..2])
    }

    /// The folder of index segments.
    #[must_use]
    pub fn index(self) -> String {
        self.folder("index")
    }

    /// An index segment.
    #[must_use]
    pub fn segment(self, hash: &ObjectHash) -> String {
        format!("{}{hash}", self.index())
    }

    /// The folder of snapshots.
    #[must_use]
    pub fn snapshots(self) -> String {
        self.folder("snapshots")
    }

    /// A snapshot.
    #[must_use]
    pub fn snapshot(self, epoch: u32, hash: &ObjectHash) -> String {
        format!("{}{epoch:08x}-{hash}", self.snapshots())
    }

    /// The folder of session markers.
    #[must_use]
    pub fn sessions(self) -> String {
        self.folder("sessions")
    }

    /// The `sequence`th sign of life of a running session.
    #[must_use]
    pub fn session(self, id: &SessionId, sequence: u32) -> String {
        format!("{}{id}.{sequence:08x}", self.sessions())
    }

    /// The sign that a session has ended.
    #[must_use]
    pub fn session_end(self, id: &SessionId) -> String {
        format!("{}{id}.end", self.sessions())
    }

    /// The folder of condemnations.
    #[must_use]
    pub fn condemned(self) -> String {
        self.folder("condemned")
    }

    /// A condemnation.
    #[must_use]
    pub fn condemnation(self, hash: &ObjectHash) -> String {
        format!("{}{hash}", self.condemned())
    }
}

/// Reads the hash at the end of the name of an object that is named by its hash.
#[must_use]
pub fn hash_of(name: &str) -> Option<ObjectHash> {
    ObjectHash::from_hex(name.get(name.len().checked_sub(64)?..)?)
}

/// Reads the epoch and hash from a snapshot's name.
#[must_use]
pub fn parse_snapshot(name: &str) -> Option<(u32, ObjectHash)> {
    let (epoch, hash) = name.rsplit('/').next()?.split_once('-')?;
    Some((parse_u32(epoch)?, ObjectHash::from_hex(hash)?))
}

/// Reads the epoch and generation from an epoch's name.
#[must_use]
pub fn parse_epoch(name: &str) -> Option<(u32, u32)> {
    let (epoch, generation) = name.rsplit('/').next()?.split_once('.')?;
    Some((parse_u32(epoch)?, parse_u32(generation)?))
}

/// Reads the session and its sequence (`None` at its end) from a marker's name.
#[must_use]
pub fn parse_session(name: &str) -> Option<(SessionId, Option<u32>)> {
    let (id, what) = name.rsplit('/').next()?.split_once('.')?;
    let sequence = if what == "end" { None } else { Some(parse_u32(what)?) };
    Some((SessionId::from_hex(id)?, sequence))
}

/// Reads eight lower-case hexadecimal digits.
#[must_use]
pub fn parse_u32(text: &str) -> Option<u32> {
    let canonical = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if canonical { u32::from_str_radix(text, 16).ok() } else { None }
}
