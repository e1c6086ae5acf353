//! Keyholders of the kind `file`: an X-Wing key pair, whose seed is the key in a [key file](super::key_file).
//!
//! Public parameter: `public_key` (base64), to which any machine can wrap, and by which a wrong key file is
//! told from a changed wrap.

use super::{blocking, key_file, known_parameters, sealed};
use crate::{
    holder::{Effort, HolderError, Keyholder, Operation, Reply},
    secrets::Secrets,
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use strongroom_format::{
    Secret32, SystemEntropy,
    context::Context,
    keyring::KeyholderSpec,
    xwing::{OpeningKey, SealingKey},
};

/// The kind's name in keyrings.
pub const KIND: &str = "file";

/// Makes a new key pair, writes its seed to a new file at `path`, and returns what the keyring says of its keyholder.
///
/// # Errors
/// As [`key_file::create`].
pub fn create(path: &Path, label: &str) -> Result<KeyholderSpec, HolderError> {
    let seed = Secret32::random(&mut SystemEntropy);
    key_file::create(path, label, &seed)?;
    Ok(spec(&seed))
}

/// What a keyring says of the keyholder with this seed, which is what a key file holds.
#[must_use]
pub fn spec(seed: &Secret32) -> KeyholderSpec {
    let public = OpeningKey::from_seed(seed.clone()).public();
    KeyholderSpec { kind: KIND.into(), parameters: BTreeMap::from([sealed::public_parameter(&public)]) }
}

/// A keyholder of the kind `file`.
#[derive(Debug, Clone)]
pub struct FileKeyholder {
    label: String,
    public_key: SealingKey,
    /// Files that may hold the seed.
    paths: Vec<PathBuf>,
}

impl FileKeyholder {
    /// The keyholder `label` as the keyring describes it.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] for parameters that this kind does not allow.
    pub fn new(label: &str, spec: &KeyholderSpec, secrets: &Secrets) -> Result<Self, HolderError> {
        known_parameters(spec, &[sealed::PUBLIC_KEY])?;
        let paths = match secrets.key_files.get(label) {
            Some(path) => vec![path.clone()],
            None => secrets.unlabelled_key_files.clone(),
        };
        Ok(Self { label: label.to_owned(), public_key: sealed::public_key(spec)?, paths })
    }

    /// The private key, from the first of the files that holds it.
    fn key(&self) -> Result<OpeningKey, HolderError> {
        self.ready_to_unwrap()?;
        let mut first_failure = None;
        for path in &self.paths {
            match key_file::read(path).map(OpeningKey::from_seed) {
                Ok(key) if key.public() == self.public_key => return Ok(key),
                Ok(_) => {}
                Err(failure) => {
                    first_failure.get_or_insert(failure);
                }
            }
        }
        Err(first_failure.unwrap_or_else(|| {
            let paths: Vec<String> = self.paths.iter().map(|path| format!("`{}`", path.display())).collect();
            HolderError::WrongSecret(format!("{} is the key file of another keyholder", paths.join(", ")))
        }))
    }

    fn ready_to_unwrap(&self) -> Result<(), HolderError> {
        if self.paths.is_empty() {
            return Err(HolderError::NoSecret("no key file was given for it".into()));
        }
        if let [path] = self.paths.as_slice()
            && let Ok(false) = path.try_exists()
        {
            return Err(HolderError::NoSecret(format!("there is no key file `{}`", path.display())));
        }
        Ok(())
    }
}

#[async_trait]
impl Keyholder for FileKeyholder {
    fn label(&self) -> &str {
        &self.label
    }

    fn kind(&self) -> &str {
        KIND
    }

    fn effort(&self) -> Effort {
        Effort::Local
    }

    fn ready(&self, operation: Operation) -> Result<(), HolderError> {
        match operation {
            Operation::Unwrap => self.ready_to_unwrap(),
            Operation::Wrap => Ok(()),
        }
    }

    async fn wrap(&self, context: &Context, key: &Secret32) -> Result<Reply<Vec<u8>>, HolderError> {
        Ok(Reply::local(sealed::seal(&self.public_key, KIND, context, key)))
    }

    async fn unwrap(&self, context: &Context, blob: &[u8]) -> Result<Reply<Secret32>, HolderError> {
        let sealed = sealed::parse(blob)?;
        let this = self.clone();
        let key = blocking(move || this.key()).await?;
        sealed::open(&key, KIND, context, sealed).map(Reply::local)
    }
}
