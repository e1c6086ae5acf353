//! What can be wrong with an object.

use thiserror::Error;

/// The kind of damage found in an object.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Damage {
    /// The bytes end before the object does.
    #[error("it is cut short")]
    Truncated,
    /// Bytes follow the end of the object.
    #[error("bytes follow its end")]
    TrailingBytes,
    /// The object does not start as its kind must.
    #[error("it is not a Strongroom object of this kind")]
    Magic,
    /// The object was written by a format version that this program does not know.
    #[error("its format version {0} is not supported by this program")]
    Version(u8),
    /// A field holds a value that the format forbids.
    #[error("field `{0}` holds a value that the format forbids")]
    Field(&'static str),
    /// A size or count is above its limit.
    #[error("`{0}` is above its limit")]
    Limit(&'static str),
    /// The seal does not open: wrong key, or changed bytes.
    #[error("its seal does not open: the bytes were changed, or it belongs elsewhere")]
    Seal,
    /// The content does not have the hash by which it was asked for.
    #[error("its content does not match its name")]
    Hash,
    /// A signature does not verify.
    #[error("its signature does not verify")]
    Signature,
    /// The object belongs to another vault or dataset.
    #[error("it belongs to another vault or dataset")]
    Foreign,
    /// Compressed content does not decompress to what was announced.
    #[error("its compressed content is damaged")]
    Compression,
    /// A JSON document is malformed.
    #[error("its document is malformed: {0}")]
    Document(String),
}

/// An object that could not be decoded, with what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{object}: {damage}")]
pub struct FormatError {
    /// The kind of object, such as `pack directory`.
    pub object: &'static str,
    /// What is wrong with it.
    pub damage: Damage,
}

impl FormatError {
    /// An error about `object`.
    #[must_use]
    pub fn new(object: &'static str, damage: Damage) -> Self {
        Self { object, damage }
    }
}

/// The result of decoding.
pub type Result<T, E = FormatError> = std::result::Result<T, E>;
