//! Keyholders of the kind `file`: a random key in a [key file](super::key_file).
//!
//! Public parameter: `commitment`, by which a wrong key file is told from a changed wrap.

use super::{blocking, commitment, key_file, known_parameters, sealed};
use crate::{
    holder::{Effort, HolderError, Keyholder, Operation},
    secrets::Secrets,
};
use async_trait::async_trait;
use data_encoding::HEXLOWER;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use strongroom_format::{
    Secret32, SystemEntropy,
    context::Context,
    keyring::{KeyholderSpec, Parameter},
};

/// The kind's name in keyrings.
pub const KIND: &str = "file";
const INFO: &str = "strongroom v1 file keyholder";

/// Makes a new key, writes it to a new file at `path`, and returns what the keyring says of its keyholder.
///
/// # Errors
/// As [`key_file::create`].
pub fn create(path: &Path, label: &str) -> Result<KeyholderSpec, HolderError> {
    let key = Secret32::random(&mut SystemEntropy);
    key_file::create(path, label, &key)?;
    Ok(spec(&key))
}

/// What a keyring says of the keyholder with this key.
#[must_use]
pub fn spec(key: &Secret32) -> KeyholderSpec {
    let commitment = Parameter::Text(HEXLOWER.encode(&key.commitment()));
    KeyholderSpec { kind: KIND.into(), parameters: BTreeMap::from([("commitment".into(), commitment)]) }
}

/// A keyholder of the kind `file`.
#[derive(Debug, Clone)]
pub struct FileKeyholder {
    label: String,
    commitment: [u8; 32],
    /// Files that may hold the key.
    paths: Vec<PathBuf>,
}

impl FileKeyholder {
    /// The keyholder `label` as the keyring describes it.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] for parameters that this kind does not allow.
    pub fn new(label: &str, spec: &KeyholderSpec, secrets: &Secrets) -> Result<Self, HolderError> {
        known_parameters(spec, &["commitment"])?;
        let paths = match secrets.key_files.get(label) {
            Some(path) => vec![path.clone()],
            None => secrets.unlabelled_key_files.clone(),
        };
        Ok(Self { label: label.to_owned(), commitment: commitment(spec)?, paths })
    }

    /// The key, from the first of the files that holds it.
    fn key(&self) -> Result<Secret32, HolderError> {
        self.ready_to_read()?;
        let mut first_failure = None;
        for path in &self.paths {
            match key_file::read(path) {
                Ok(key) if key.commitment() == self.commitment => return Ok(key),
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

    fn ready_to_read(&self) -> Result<(), HolderError> {
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

    fn ready(&self, _: Operation) -> Result<(), HolderError> {
        self.ready_to_read()
    }

    async fn wrap(&self, context: &Context, key: &Secret32) -> Result<Vec<u8>, HolderError> {
        let this = self.clone();
        let root = blocking(move || this.key()).await?;
        Ok(sealed::seal(&root, INFO, context, key))
    }

    async fn unwrap(&self, context: &Context, blob: &[u8]) -> Result<Secret32, HolderError> {
        let this = self.clone();
        let root = blocking(move || this.key()).await?;
        sealed::open(&root, INFO, context, blob)
    }
}
