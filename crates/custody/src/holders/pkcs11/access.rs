//! What a client brings along to reach tokens: the module's path and where the PIN comes from.

use crate::{
    holder::HolderError,
    holders::key_file,
    secrets::{PassphraseSource, Prompts, Secrets},
};
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};
use zeroize::Zeroizing;

/// Longest PIN, in bytes.
const PIN_MAX: usize = 255;

/// How this machine reaches tokens. Nothing of it ever comes from a keyring.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// For every keyholder that `by_label` does not name.
    pub everywhere: Option<TokenAccess>,
    /// For single keyholders, by label: tokens of several makers need a module each.
    pub by_label: BTreeMap<String, TokenAccess>,
}

impl Access {
    /// The same module and PIN for every keyholder.
    #[must_use]
    pub fn everywhere(access: TokenAccess) -> Self {
        Self { everywhere: Some(access), by_label: BTreeMap::new() }
    }

    /// With another module or PIN for the keyholder `label`.
    #[must_use]
    pub fn with_holder(mut self, label: impl Into<String>, access: TokenAccess) -> Self {
        self.by_label.insert(label.into(), access);
        self
    }

    /// What there is for the keyholder `label`.
    #[must_use]
    pub fn of(&self, label: &str) -> Option<&TokenAccess> {
        self.by_label.get(label).or(self.everywhere.as_ref())
    }
}

/// How one token is reached.
#[derive(Debug, Clone)]
pub struct TokenAccess {
    /// The PKCS#11 module: a shared library, by its path.
    pub module: PathBuf,
    /// Where the user's PIN comes from.
    pub pin: PinSource,
}

/// Where the user's PIN comes from. It is used only where the token asks for one.
#[derive(Clone)]
pub enum PinSource {
    /// The first line of a file that only its owner can read.
    File(PathBuf),
    /// This, such as the value of an environment variable.
    Value(Zeroizing<String>),
    /// A person, through the client's [`Prompts`], or the token's own keypad where it has one.
    Person,
    /// The client's source of passphrases, under the keyholder's label.
    Passphrases,
}

impl fmt::Debug for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Value(_) => f.write_str("Value(..)"),
            Self::Person => f.write_str("Person"),
            Self::Passphrases => f.write_str("Passphrases"),
        }
    }
}

/// The access of one keyholder, with the ways to ask for its PIN.
#[derive(Clone)]
pub(super) struct Door {
    holder: String,
    pub(super) access: TokenAccess,
    passphrases: Option<Arc<dyn PassphraseSource>>,
    prompts: Arc<dyn Prompts>,
}

impl Door {
    pub(super) fn find(holder: &str, secrets: &Secrets) -> Option<Self> {
        let access = secrets.pkcs11.of(holder)?.clone();
        Some(Self {
            holder: holder.to_owned(),
            access,
            passphrases: secrets.passphrases.clone(),
            prompts: secrets.prompts.clone(),
        })
    }

    /// Whether somebody may have to type, who takes the time that it takes.
    pub(super) fn asks_somebody(&self) -> bool {
        matches!(self.access.pin, PinSource::Person | PinSource::Passphrases)
    }

    /// Whether what it names is there.
    pub(super) fn ready(&self) -> Result<(), HolderError> {
        if let Ok(false) = self.access.module.try_exists() {
            return Err(self.no_module());
        }
        match &self.access.pin {
            PinSource::File(path) if matches!(path.try_exists(), Ok(false)) => {
                Err(HolderError::NoSecret(format!("there is no PIN file `{}`", path.display())))
            }
            PinSource::Passphrases if self.passphrases.is_none() => {
                Err(HolderError::NoSecret("there is no source of its PIN".into()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn no_module(&self) -> HolderError {
        HolderError::NoSecret(format!("there is no PKCS#11 module `{}`", self.access.module.display()))
    }

    /// The PIN for `token`.
    pub(super) fn pin(&self, token: &str) -> Result<Zeroizing<String>, HolderError> {
        let given = match &self.access.pin {
            PinSource::File(path) => {
                let text = key_file::read_private("PIN file", path)?;
                Some(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
            }
            PinSource::Value(pin) => Some(pin.clone()),
            PinSource::Person => self.prompts.secret(&format!("PIN of token `{token}`")),
            PinSource::Passphrases => match &self.passphrases {
                // Once: a wrong PIN counts on the token, and too many lock it.
                Some(source) => source
                    .passphrase(&self.holder, 1)
                    .map_err(|error| HolderError::io("cannot get the PIN", error))?,
                None => None,
            },
        };
        match given {
            None => Err(HolderError::NoSecret(format!("no PIN was given for token `{token}`"))),
            Some(pin) if pin.is_empty() || pin.len() > PIN_MAX => {
                Err(HolderError::NoSecret(format!("the PIN for token `{token}` is empty or too long")))
            }
            Some(pin) => Ok(pin),
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("access", &self.access).finish_non_exhaustive()
    }
}
