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
    /// A call of a service.
    Service,
    /// Perhaps a device, perhaps a touch or a PIN.
    Device,
    /// A person must type.
    Person,
}

/// What a keyholder returned, and how its provider calls the request.
#[derive(Debug)]
pub struct Reply<T> {
    /// What was asked for.
    pub value: T,
    /// The provider's id of the request, by which its own log names it; none where there is no provider.
    pub request_id: Option<String>,
}

impl<T> Reply<T> {
    /// From something on this machine, without a provider.
    pub fn local(value: T) -> Self {
        Self { value, request_id: None }
    }

    /// From a provider.
    pub fn from_provider(value: T, request_id: Option<String>) -> Self {
        Self { value, request_id }
    }

    /// The same reply with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reply<U> {
        Reply { value: change(self.value), request_id: self.request_id }
    }
}

/// What a keyholder could do now, as far as can be told without using its key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HolderState {
    /// It can open what it wrapped.
    CanOpen,
    /// It can wrap; to open, something is needed that is not here, such as a person.
    Away(String),
    /// The provider says no to this caller.
    Denied(String),
    /// The provider cannot be reached.
    Unreachable(String),
    /// The key is switched off, and can be switched on again.
    Disabled,
    /// The key will be deleted, and cannot be used meanwhile. When, where the provider says so: RFC 3339, UTC.
    PendingDeletion(Option<String>),
    /// The key is gone for ever.
    Deleted,
    /// Nothing is known, and why.
    Unknown(String),
}

impl std::fmt::Display for HolderState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::CanOpen => f.write_str("can open"),
            Self::Away(what) => write!(f, "not here: {what}"),
            Self::Denied(what) => write!(f, "denied: {what}"),
            Self::Unreachable(what) => write!(f, "unreachable: {what}"),
            Self::Disabled => f.write_str("disabled"),
            Self::PendingDeletion(Some(until)) => write!(f, "pending deletion until {until}"),
            Self::PendingDeletion(None) => f.write_str("pending deletion"),
            Self::Deleted => f.write_str("deleted"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// A provider's switch for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// The key can be used again.
    On,
    /// The key cannot be used until it is switched on.
    Off,
}

/// Why a key was not switched.
#[derive(Debug, Error)]
pub enum SwitchError {
    /// Nothing switches this keyholder; what a person can do instead.
    #[error("this program cannot switch it: {0}")]
    ByHand(String),
    /// The provider did not do it; what a person with the right can do instead.
    #[error("the provider did not do it; somebody who may can run: {command}")]
    Refused {
        /// A command line, without secrets.
        command: String,
        /// How it failed.
        #[source]
        source: HolderError,
    },
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
    async fn wrap(&self, context: &Context, key: &Secret32) -> Result<Reply<Vec<u8>>, HolderError>;

    /// Opens what [`Keyholder::wrap`] made for the same context.
    ///
    /// # Errors
    /// [`HolderError`].
    async fn unwrap(&self, context: &Context, blob: &[u8]) -> Result<Reply<Secret32>, HolderError>;

    /// What it could do now, told without using its key.
    async fn state(&self) -> HolderState {
        match self.ready(Operation::Unwrap) {
            Ok(()) => HolderState::CanOpen,
            Err(HolderError::NoSecret(what)) => HolderState::Away(what),
            Err(error) => HolderState::Unknown(error.to_string()),
        }
    }

    /// Switches the key on or off at its provider.
    ///
    /// # Errors
    /// [`SwitchError`], with what a person can do instead.
    async fn switch(&self, _to: Switch) -> Result<(), SwitchError> {
        Err(SwitchError::ByHand("take its secret away from whoever has it".into()))
    }

    /// Whose loss takes this keyholder away together with others: a provider account, a device, a person;
    /// none where it stands for itself.
    fn custodian(&self) -> Option<String> {
        None
    }
}

/// What a provider said when it did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Its own code, such as `AccessDeniedException`.
    pub code: Option<String>,
    /// Its own words. Never key material.
    pub said: String,
    /// Its id of the request.
    pub request_id: Option<String>,
}

impl Answer {
    /// An answer in words alone.
    #[must_use]
    pub fn said(said: impl Into<String>) -> Self {
        Self { said: said.into(), ..Self::default() }
    }
}

impl From<String> for Answer {
    fn from(said: String) -> Self {
        Self::said(said)
    }
}

impl From<&str> for Answer {
    fn from(said: &str) -> Self {
        Self::said(said)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.code, self.said.is_empty()) {
            (Some(code), true) => f.write_str(code)?,
            (Some(code), false) => write!(f, "{code}: {}", self.said)?,
            (None, _) => f.write_str(&self.said)?,
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

/// Why a keyholder did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HolderError {
    /// It said no to this caller. Asking again does not help.
    #[error("it refused: {0}")]
    Denied(Answer),
    /// The key is switched off at its provider.
    #[error("its key is disabled: {0}")]
    Disabled(Answer),
    /// The key is about to be deleted at its provider, which already stops every use of it.
    #[error("its key is pending deletion: {0}")]
    PendingDeletion(Answer),
    /// The provider has no such key, or no longer.
    #[error("its key does not exist: {0}")]
    Deleted(Answer),
    /// The provider wants fewer calls. Asking again later helps.
    #[error("it wants fewer calls: {0}")]
    Throttled(Answer),
    /// It could not be asked, or did not answer in time. Asking again may help.
    #[error("it could not be reached: {0}")]
    Unreachable(Answer),
    /// Too few of the others that the policy needs beside it can be asked, so it was not.
    #[error("it was not asked, because too few of the others can open")]
    NotAsked,
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
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled(_) | Self::Unreachable(_))
    }

    /// The provider's id of the request that failed, where it has one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Denied(answer)
            | Self::Disabled(answer)
            | Self::PendingDeletion(answer)
            | Self::Deleted(answer)
            | Self::Throttled(answer)
            | Self::Unreachable(answer) => answer.request_id.as_deref(),
            _ => None,
        }
    }

    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}
