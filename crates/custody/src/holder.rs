//! What a keyholder is, and how it can fail.

use async_trait::async_trait;
use std::path::PathBuf;
use strongroom_format::{Secret32, context::Context};
use thiserror::Error;

/// What a keyholder is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Opens a wrapped key.
    Unwrap,
    /// Wraps a key.
    Wrap,
}

impl Operation {
    /// `wrap` or `unwrap`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unwrap => "unwrap",
            Self::Wrap => "wrap",
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an unwrap costs; the cheapest keyholder is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    /// A secret on this machine, and nothing else.
    Local,
    /// Perhaps a device or a service, perhaps a touch or a PIN.
    Device,
    /// A person must type.
    Person,
}

/// Wraps and unwraps keys. Called through [`crate::Custody::key_use`] only.
#[async_trait]
pub trait Keyholder: Send + Sync {
    /// Its label in the keyring.
    fn label(&self) -> &str;

    /// Its kind, such as `age`.
    fn kind(&self) -> &str;

    /// What an unwrap costs.
    fn effort(&self) -> Effort;

    /// Whether this machine has what `operation` needs, as far as can be seen without using any key.
    ///
    /// # Errors
    /// [`HolderError::NoSecret`], with where it was looked for.
    fn ready(&self, operation: Operation) -> Result<(), HolderError>;

    /// Wraps `key`, bound to `context`.
    ///
    /// # Errors
    /// [`HolderError`].
    async fn wrap(&self, context: &Context, key: &Secret32) -> Result<Vec<u8>, HolderError>;

    /// Opens what [`Keyholder::wrap`] made for the same context.
    ///
    /// # Errors
    /// [`HolderError`].
    async fn unwrap(&self, context: &Context, blob: &[u8]) -> Result<Secret32, HolderError>;
}

/// Why a keyholder did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HolderError {
    /// It said no. Asking again does not help.
    #[error("it refused: {0}")]
    Denied(String),
    /// It could not be asked. Asking again may help.
    #[error("it could not be reached: {0}")]
    Unreachable(String),
    /// The secret that was given is not the one that it was made with.
    #[error("wrong secret: {0}")]
    WrongSecret(String),
    /// This machine has no secret for it.
    #[error("no secret for it here: {0}")]
    NoSecret(String),
    /// The wrapped key belongs to another vault, dataset, purpose or epoch.
    #[error("the wrapped key belongs to another vault, dataset, purpose or epoch")]
    WrongContext,
    /// The wrapped key was changed, or belongs to another vault, dataset, purpose or epoch.
    #[error(
        "the wrapped key does not open: it was changed, or belongs to another vault, dataset, purpose or epoch"
    )]
    Tampered,
    /// A key file that others can read.
    #[error("`{path}` can be read by others (mode {mode:03o}, must be 600 or 400)", path = .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Something does not have the form that it must have.
    #[error("malformed: {0}")]
    Malformed(String),
    /// This program does not know the kind of keyholder.
    #[error("keyholders of kind `{0}` are not known to this program")]
    UnknownKind(String),
    /// A file or a plugin could not be used.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// How it failed.
        #[source]
        source: std::io::Error,
    },
}

impl HolderError {
    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}
