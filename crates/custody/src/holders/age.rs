//! Keyholders of the kind `age` (C2SP age): wrapping needs only public recipients, unwrapping an identity.
//!
//! Public parameter: `recipients`, a list of `age1...`, `ssh-ed25519 ...`, `ssh-rsa ...`, and recipients of
//! plugins, which are found as `age-plugin-*` on the path. A wrap is a binary age file of 64 bytes: the BLAKE3
//! hash of the canonical context, then the key `[V-4.5]`. Age does not authenticate the context, and anyone can
//! wrap to a recipient: the commitment in the signed document is what makes the key the right one.

mod armored;

pub(crate) use armored::open_armored;

use super::{
    blocking,
    identities::{AgeCallbacks, Identities, Identity},
    known_parameters,
};
use crate::{
    holder::{Effort, HolderError, Keyholder, Operation, Reply},
    secrets::{Prompts, Secrets},
};
use age::armor::{ArmoredWriter, Format};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use strongroom_format::{
    Secret32,
    context::Context,
    keyring::{KeyholderSpec, Parameter, WRAP_MAX},
};
use zeroize::Zeroizing;

/// The kind's name in keyrings.
pub const KIND: &str = "age";
const PLAIN_LEN: usize = 64;
/// Most recipients of one keyholder.
const RECIPIENTS_MAX: usize = 32;

/// What a keyring says of a new keyholder with these recipients. Comments of SSH keys are dropped.
///
/// # Errors
/// [`HolderError::Malformed`] where one is no recipient, comes twice, or there are none.
pub fn create<S: AsRef<str>>(recipients: &[S]) -> Result<KeyholderSpec, HolderError> {
    let parsed = parse_recipients(recipients)?;
    let list = Parameter::List(parsed.iter().map(Recipient::text).collect());
    Ok(KeyholderSpec { kind: KIND.into(), parameters: BTreeMap::from([("recipients".into(), list)]) })
}

#[derive(Clone)]
enum Recipient {
    Native(age::x25519::Recipient),
    Plugin(age::plugin::Recipient),
    Ssh(age::ssh::Recipient),
}

impl Recipient {
    fn parse(text: &str) -> Result<Self, HolderError> {
        let text = text.trim();
        let native = text.parse().map(Self::Native).ok();
        let ssh = || text.parse().map(Self::Ssh).ok();
        let plugin = || text.parse().map(Self::Plugin).ok();
        native.or_else(ssh).or_else(plugin).ok_or_else(|| {
            // What is no recipient may be a secret, given by mistake: it is not repeated.
            let public = text.starts_with("age1") || text.starts_with("ssh-");
            let what = if public { format!("`{text}`") } else { "a recipient".to_owned() };
            HolderError::Malformed(format!(
                "{what} is no recipient that age knows: age1..., ssh-ed25519 ..., ssh-rsa ... (2048 bits or more)"
            ))
        })
    }

    fn text(&self) -> String {
        match self {
            Self::Native(recipient) => recipient.to_string(),
            Self::Plugin(recipient) => recipient.to_string(),
            Self::Ssh(recipient) => recipient.to_string(),
        }
    }
}

fn parse_recipients<S: AsRef<str>>(texts: &[S]) -> Result<Vec<Recipient>, HolderError> {
    if texts.is_empty() || texts.len() > RECIPIENTS_MAX {
        return Err(HolderError::Malformed(format!("an age keyholder has 1 to {RECIPIENTS_MAX} recipients")));
    }
    let parsed: Vec<Recipient> =
        texts.iter().map(|text| Recipient::parse(text.as_ref())).collect::<Result<_, _>>()?;
    let mut seen = BTreeSet::new();
    match parsed.iter().find(|recipient| !seen.insert(recipient.text())) {
        None => Ok(parsed),
        Some(twice) => Err(HolderError::Malformed(format!("recipient `{}` comes twice", twice.text()))),
    }
}

/// A keyholder of the kind `age`.
#[derive(Clone)]
pub struct AgeKeyholder {
    label: String,
    recipients: Vec<Recipient>,
    /// All identity files.
    paths: Vec<PathBuf>,
    prompts: Arc<dyn Prompts>,
    identities: Arc<Mutex<Identities>>,
}

impl AgeKeyholder {
    /// The keyholder `label` as the keyring describes it.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] for parameters that this kind does not allow.
    pub fn new(label: &str, spec: &KeyholderSpec, secrets: &Secrets) -> Result<Self, HolderError> {
        known_parameters(spec, &["recipients"])?;
        let Some(Parameter::List(recipients)) = spec.parameters.get("recipients") else {
            return Err(HolderError::Malformed("parameter `recipients` is missing or no list".into()));
        };
        Ok(Self {
            label: label.to_owned(),
            recipients: parse_recipients(recipients)?,
            paths: secrets.identities.clone(),
            prompts: secrets.prompts.clone(),
            identities: Arc::new(Mutex::new(Identities {
                known: Vec::new(),
                unread: secrets.identities.clone(),
            })),
        })
    }

    fn callbacks(&self) -> AgeCallbacks {
        AgeCallbacks(self.prompts.clone())
    }

    fn seal(&self, plain: &[u8; PLAIN_LEN]) -> Result<Vec<u8>, HolderError> {
        let encryptor = encryptor(&self.recipients, &self.prompts)?;
        let write = || -> std::io::Result<Vec<u8>> {
            let mut writer = encryptor.wrap_output(Vec::new())?;
            writer.write_all(plain)?;
            writer.finish()
        };
        write().map_err(could_not_encrypt)
    }

    fn open(&self, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, HolderError> {
        // Held while asking, so that tasks that need the same identity at the same time ask once.
        let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failures = identities.read();
        let mut waiting = std::mem::take(&mut identities.known);
        let mine: Vec<String> = self.recipients.iter().map(Recipient::text).collect();
        let mut tried = Vec::new();
        let mut opened = None;
        waiting.reverse();
        while opened.is_none()
            && let Some(identity) = waiting.pop()
        {
            let recipient = identity.recipient();
            let matches = recipient.as_ref().is_some_and(|recipient| mine.contains(recipient));
            if recipient.is_some() && !matches {
                tried.push(identity);
                continue;
            }
            match identity.unlock(&*self.prompts) {
                Some(Ok(unlocked)) => {
                    waiting.extend(unlocked.into_iter().rev());
                    continue;
                }
                Some(Err(failure)) => failures.push(failure),
                None => match self.try_open(&identity, blob) {
                    Ok(plain) => opened = Some(plain),
                    Err(age::DecryptError::NoMatchingKeys) if !matches => {}
                    Err(error) => failures.push(decrypt_error(error)),
                },
            }
            tried.push(identity);
        }
        tried.extend(waiting.into_iter().rev());
        identities.known = tried;
        opened.ok_or_else(|| self.worst(failures))
    }

    fn try_open(&self, identity: &Identity, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, age::DecryptError> {
        let decryptor = age::Decryptor::new_buffered(blob)?;
        let reader = match identity {
            Identity::Native(key) => decryptor.decrypt(std::iter::once(key as &dyn age::Identity))?,
            Identity::Ssh { key, .. } => decryptor.decrypt(std::iter::once(key as &dyn age::Identity))?,
            Identity::Plugin(identity) => {
                let plugin = age::plugin::IdentityPluginV1::new(
                    identity.plugin(),
                    std::slice::from_ref(identity),
                    self.callbacks(),
                )?;
                decryptor.decrypt(std::iter::once(&plugin as &dyn age::Identity))?
            }
            Identity::LockedFile { .. } | Identity::LockedSsh { .. } => {
                return Err(age::DecryptError::NoMatchingKeys);
            }
        };
        let mut plain = Zeroizing::new(Vec::with_capacity(PLAIN_LEN + 1));
        reader.take(PLAIN_LEN as u64 + 1).read_to_end(&mut plain).map_err(|error| match error.kind() {
            // What a changed or shortened payload looks like.
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                age::DecryptError::DecryptionFailed
            }
            _ => age::DecryptError::Io(error),
        })?;
        Ok(plain)
    }

    /// The failure that tells a person most.
    fn worst(&self, failures: Vec<HolderError>) -> HolderError {
        let weight = |failure: &HolderError| match failure {
            HolderError::Tampered => 5,
            HolderError::Denied(_) => 4,
            HolderError::WrongSecret(_) => 3,
            HolderError::NoSecret(_) => 1,
            _ => 2,
        };
        failures.into_iter().rev().max_by_key(weight).unwrap_or_else(|| {
            let paths: Vec<String> = self.paths.iter().map(|path| format!("`{}`", path.display())).collect();
            HolderError::NoSecret(format!("no identity in {} is one of its recipients", paths.join(", ")))
        })
    }

    fn ready_to_unwrap(&self) -> Result<(), HolderError> {
        if self.paths.is_empty() {
            return Err(HolderError::NoSecret("no identity file was given".into()));
        }
        if self.paths.iter().all(|path| matches!(path.try_exists(), Ok(false))) {
            let paths: Vec<String> = self.paths.iter().map(|path| format!("`{}`", path.display())).collect();
            return Err(HolderError::NoSecret(format!("there is no identity file {}", paths.join(", "))));
        }
        Ok(())
    }
}

fn encryptor(recipients: &[Recipient], prompts: &Arc<dyn Prompts>) -> Result<age::Encryptor, HolderError> {
    let mut plugins = Vec::new();
    let mut all: Vec<Box<dyn age::Recipient>> = Vec::new();
    for recipient in recipients {
        match recipient {
            Recipient::Native(recipient) => all.push(Box::new(recipient.clone())),
            Recipient::Plugin(recipient) => plugins.push(recipient.clone()),
            Recipient::Ssh(recipient) => all.push(Box::new(recipient.clone())),
        }
    }
    let names: BTreeSet<&str> = plugins.iter().map(age::plugin::Recipient::plugin).collect();
    for name in names {
        let callbacks = AgeCallbacks(prompts.clone());
        let plugin = age::plugin::RecipientPluginV1::new(name, &plugins, &[], callbacks);
        all.push(Box::new(plugin.map_err(encrypt_error)?));
    }
    age::Encryptor::with_recipients(all.iter().map(|recipient| &**recipient as _)).map_err(encrypt_error)
}

/// An age file with ASCII armor that any of these recipients can open. Blocks where one is of a plugin.
pub(crate) fn encrypt_armored<S: AsRef<str>>(
    recipients: &[S],
    prompts: &Arc<dyn Prompts>,
    plain: &[u8],
) -> Result<String, HolderError> {
    let encryptor = encryptor(&parse_recipients(recipients)?, prompts)?;
    let write = || -> std::io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(plain)?;
        writer.finish()?.finish()
    };
    let armored = write().map_err(could_not_encrypt)?;
    String::from_utf8(armored).map_err(|_| HolderError::Malformed("age made no text".into()))
}

fn could_not_encrypt(error: std::io::Error) -> HolderError {
    HolderError::io("age could not encrypt", error)
}

fn encrypt_error(error: age::EncryptError) -> HolderError {
    match error {
        age::EncryptError::Io(error) => HolderError::io("an age plugin failed", error),
        age::EncryptError::MissingPlugin { binary_name } => missing_plugin(&binary_name),
        age::EncryptError::Plugin(_) => HolderError::Denied(one_line(&error).into()),
        other => HolderError::Malformed(one_line(&other)),
    }
}

fn decrypt_error(error: age::DecryptError) -> HolderError {
    match error {
        age::DecryptError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            HolderError::Tampered
        }
        age::DecryptError::Io(error) => HolderError::io("an age plugin failed", error),
        age::DecryptError::MissingPlugin { binary_name } => missing_plugin(&binary_name),
        age::DecryptError::Plugin(_) => HolderError::Denied(one_line(&error).into()),
        age::DecryptError::UnknownFormat => {
            HolderError::Malformed("the wrapped key is an age file of an unknown version".into())
        }
        _ => HolderError::Tampered,
    }
}

fn missing_plugin(binary: &str) -> HolderError {
    HolderError::NoSecret(format!("plugin `{binary}` is not on the path"))
}

fn one_line(error: &impl std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl std::fmt::Debug for AgeKeyholder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let recipients: Vec<String> = self.recipients.iter().map(Recipient::text).collect();
        f.debug_struct("AgeKeyholder")
            .field("label", &self.label)
            .field("recipients", &recipients)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Keyholder for AgeKeyholder {
    fn label(&self) -> &str {
        &self.label
    }

    fn kind(&self) -> &str {
        KIND
    }

    fn effort(&self) -> Effort {
        Effort::Device
    }

    fn ready(&self, operation: Operation) -> Result<(), HolderError> {
        match operation {
            Operation::Unwrap => self.ready_to_unwrap(),
            Operation::Wrap => Ok(()),
        }
    }

    async fn wrap(&self, context: &Context, key: &Secret32) -> Result<Reply<Vec<u8>>, HolderError> {
        let mut plain = Zeroizing::new([0; PLAIN_LEN]);
        plain[..32].copy_from_slice(blake3::hash(&context.canonical()).as_bytes());
        plain[32..].copy_from_slice(key.expose());
        let this = self.clone();
        blocking(move || this.seal(&plain)).await.map(Reply::local)
    }

    async fn unwrap(&self, context: &Context, blob: &[u8]) -> Result<Reply<Secret32>, HolderError> {
        if blob.len() > WRAP_MAX {
            return Err(HolderError::Malformed("the wrapped key is too large".into()));
        }
        self.ready_to_unwrap()?;
        let this = self.clone();
        let blob = blob.to_vec();
        let plain = blocking(move || this.open(&blob)).await?;
        let (hash, key) = plain
            .split_at_checked(32)
            .filter(|_| plain.len() == PLAIN_LEN)
            .ok_or_else(|| HolderError::Malformed(format!("the wrapped key holds no {PLAIN_LEN} bytes")))?;
        if hash != blake3::hash(&context.canonical()).as_bytes() {
            return Err(HolderError::WrongContext);
        }
        Secret32::from_slice(key).map(Reply::local).ok_or(HolderError::Tampered)
    }
}
