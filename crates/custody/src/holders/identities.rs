//! Files of age, SSH and plugin identities, unlocked only when an identity in them is needed.

use crate::{holder::HolderError, secrets::Prompts};
use age::secrecy::SecretString;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// Largest identity file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;
/// Largest scrypt work factor of a locked identity file; age itself writes 18.
const WORK_FACTOR_MAX: u8 = 22;

/// [`Prompts`] as the age crate wants them.
#[derive(Clone)]
pub(super) struct AgeCallbacks(pub(super) Arc<dyn Prompts>);

impl age::Callbacks for AgeCallbacks {
    fn display_message(&self, message: &str) {
        self.0.message(message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.0.confirm(message, yes, no)
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.0.public(description)
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.0.secret(description).map(|mut secret| SecretString::from(std::mem::take(&mut *secret)))
    }
}

/// An identity, in the order in which they are tried.
pub(super) enum Identity {
    Native(age::x25519::Identity),
    Ssh { key: age::ssh::Identity, recipient: String },
    Plugin(age::plugin::Identity),
    LockedSsh { key: age::ssh::EncryptedKey, recipient: String, path: PathBuf },
    LockedFile { path: PathBuf, bytes: Zeroizing<Vec<u8>> },
}

impl Identity {
    fn rank(&self) -> u8 {
        match self {
            Self::Native(_) => 0,
            Self::Ssh { .. } => 1,
            Self::Plugin(_) => 2,
            Self::LockedSsh { .. } => 3,
            Self::LockedFile { .. } => 4,
        }
    }

    /// The recipient that belongs to it, where that can be told.
    pub(super) fn recipient(&self) -> Option<String> {
        match self {
            Self::Native(key) => Some(key.to_public().to_string()),
            Self::Ssh { recipient, .. } | Self::LockedSsh { recipient, .. } => Some(recipient.clone()),
            Self::LockedFile { .. } | Self::Plugin(_) => None,
        }
    }

    /// Asks for the passphrase of a locked one and returns what it locks. `None` where it is not locked.
    pub(super) fn unlock(&self, prompts: &dyn Prompts) -> Option<Result<Vec<Self>, HolderError>> {
        match self {
            Self::LockedSsh { key, recipient, path } => Some(ask(path, prompts).and_then(|secret| {
                let key = key.decrypt(secret).map_err(|_| wrong_passphrase(path))?;
                Ok(vec![Self::Ssh { key: key.into(), recipient: recipient.clone() }])
            })),
            Self::LockedFile { path, bytes } => Some(unlock_file(path, bytes, prompts)),
            Self::Native(_) | Self::Plugin(_) | Self::Ssh { .. } => None,
        }
    }
}

fn ask(path: &Path, prompts: &dyn Prompts) -> Result<SecretString, HolderError> {
    let shown = path.display();
    match prompts.secret(&format!("Passphrase of identity `{shown}`")) {
        Some(mut secret) => Ok(SecretString::from(std::mem::take(&mut *secret))),
        None => {
            let what = format!("identity `{shown}` is locked by a passphrase, which nobody gave");
            Err(HolderError::NoSecret(what))
        }
    }
}

fn wrong_passphrase(path: &Path) -> HolderError {
    HolderError::WrongSecret(format!("the passphrase of identity `{}` is not right", path.display()))
}

fn unlock_file(path: &Path, bytes: &[u8], prompts: &dyn Prompts) -> Result<Vec<Identity>, HolderError> {
    let malformed = |error: age::DecryptError| malformed(path, &error.to_string());
    let decryptor = age::Decryptor::new_buffered(age::armor::ArmoredReader::new(bytes)).map_err(malformed)?;
    if !decryptor.is_scrypt() {
        return Err(self::malformed(path, "it is an age file, but not one locked by a passphrase"));
    }
    let mut identity = age::scrypt::Identity::new(ask(path, prompts)?);
    identity.set_max_work_factor(WORK_FACTOR_MAX);
    let opened = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity));
    let reader = opened.map_err(|error| match error {
        age::DecryptError::DecryptionFailed
        | age::DecryptError::KeyDecryptionFailed
        | age::DecryptError::NoMatchingKeys => wrong_passphrase(path),
        other => malformed(other),
    })?;
    let mut plain = Zeroizing::new(Vec::with_capacity(4096));
    reader.take(FILE_MAX).read_to_end(&mut plain).map_err(|error| unreadable(path, error))?;
    parse_lines(path, &plain)
}

fn unreadable(path: &Path, error: std::io::Error) -> HolderError {
    HolderError::io(format!("cannot read identity file `{}`", path.display()), error)
}

fn malformed(path: &Path, what: &str) -> HolderError {
    HolderError::Malformed(format!("identity file `{}`: {what}", path.display()))
}

/// The identities of one keyholder.
pub(super) struct Identities {
    /// Those that were read, and unlocked where that was needed.
    pub(super) known: Vec<Identity>,
    /// Files that were not read yet, or could not be.
    pub(super) unread: Vec<PathBuf>,
}

impl Identities {
    /// Reads the files that were not read yet, and returns why those that cannot be read cannot.
    pub(super) fn read(&mut self) -> Vec<HolderError> {
        let mut failures = Vec::new();
        self.unread.retain(|path| match load_file(path) {
            Ok(found) => {
                self.known.extend(found);
                false
            }
            Err(failure) => {
                failures.push(failure);
                true
            }
        });
        self.known.sort_by_key(Identity::rank);
        failures
    }
}

fn load_file(path: &Path) -> Result<Vec<Identity>, HolderError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            HolderError::NoSecret(format!("there is no identity file `{}`", path.display()))
        }
        _ => unreadable(path, error),
    })?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 << 10));
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(malformed(path, "it is too large"));
    }
    if bytes.starts_with(b"age-encryption.org/") || bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----") {
        return Ok(vec![Identity::LockedFile { path: path.to_owned(), bytes }]);
    }
    if bytes.starts_with(b"-----BEGIN ") {
        return parse_ssh(path, &bytes).map(|identity| vec![identity]);
    }
    parse_lines(path, &bytes)
}

fn parse_ssh(path: &Path, bytes: &[u8]) -> Result<Identity, HolderError> {
    let key = age::ssh::Identity::from_buffer(bytes, None)
        .map_err(|_| malformed(path, "it is not a private key that age can use"))?;
    let recipient = age::ssh::Recipient::try_from(key.clone()).map(|recipient| recipient.to_string());
    let unsupported = "it is an SSH key of a kind that age cannot use (ssh-ed25519 and ssh-rsa are)";
    let recipient = recipient.map_err(|_| malformed(path, unsupported))?;
    match key {
        age::ssh::Identity::Encrypted(key) => {
            Ok(Identity::LockedSsh { key, recipient, path: path.to_owned() })
        }
        age::ssh::Identity::Unencrypted(_) => Ok(Identity::Ssh { key, recipient }),
        age::ssh::Identity::Unsupported(_) => Err(malformed(path, unsupported)),
    }
}

fn parse_lines(path: &Path, bytes: &[u8]) -> Result<Vec<Identity>, HolderError> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(path, "it is no text"))?;
    let mut identities = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Ok(key) = line.parse() {
            identities.push(Identity::Native(key));
        } else if let Ok(plugin) = line.parse() {
            identities.push(Identity::Plugin(plugin));
        } else {
            return Err(malformed(path, &format!("line {} is no identity", number + 1)));
        }
    }
    if identities.is_empty() {
        return Err(malformed(path, "it holds no identity"));
    }
    Ok(identities)
}
