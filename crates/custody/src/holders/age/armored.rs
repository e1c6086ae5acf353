//! Opening an age file whose recipients are not known: with each identity that there is.

use super::{
    super::identities::{AgeCallbacks, Identities, Identity},
    decrypt_error,
};
use crate::{holder::HolderError, secrets::Prompts};
use age::armor::ArmoredReader;
use std::{io::Read, path::PathBuf, sync::Arc};
use zeroize::Zeroizing;

/// What is in an age file, with or without armor, of at most `most` bytes. Locked identities are tried last.
pub(crate) fn open_armored(
    sealed: &[u8],
    paths: &[PathBuf],
    prompts: &Arc<dyn Prompts>,
    most: usize,
) -> Result<Zeroizing<Vec<u8>>, HolderError> {
    if paths.is_empty() {
        return Err(HolderError::NoSecret("no identity file was given".into()));
    }
    let mut identities = Identities { known: Vec::new(), unread: paths.to_vec() };
    let mut failure = identities.read().into_iter().next();
    let mut waiting = identities.known;
    waiting.reverse();
    while let Some(identity) = waiting.pop() {
        match identity.unlock(&**prompts) {
            Some(Ok(unlocked)) => waiting.extend(unlocked.into_iter().rev()),
            Some(Err(error)) => failure = Some(error),
            None => match try_open(&identity, sealed, prompts, most) {
                Ok(plain) => return Ok(plain),
                Err(age::DecryptError::NoMatchingKeys) => {}
                Err(error) => failure = Some(decrypt_error(error)),
            },
        }
    }
    Err(failure.unwrap_or_else(|| {
        let paths: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
        HolderError::NoSecret(format!("no identity in {} opens it", paths.join(", ")))
    }))
}

fn try_open(
    identity: &Identity,
    sealed: &[u8],
    prompts: &Arc<dyn Prompts>,
    most: usize,
) -> Result<Zeroizing<Vec<u8>>, age::DecryptError> {
    let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(sealed))?;
    let reader = match identity {
        Identity::Native(key) => decryptor.decrypt(std::iter::once(key as &dyn age::Identity))?,
        Identity::Ssh { key, .. } => decryptor.decrypt(std::iter::once(key as &dyn age::Identity))?,
        Identity::Plugin(identity) => {
            let plugin = age::plugin::IdentityPluginV1::new(
                identity.plugin(),
                std::slice::from_ref(identity),
                AgeCallbacks(prompts.clone()),
            )?;
            decryptor.decrypt(std::iter::once(&plugin as &dyn age::Identity))?
        }
        Identity::LockedFile { .. } | Identity::LockedSsh { .. } => {
            return Err(age::DecryptError::NoMatchingKeys);
        }
    };
    // Room for all of it, so that nothing is left behind where it grew.
    let mut plain = Zeroizing::new(Vec::with_capacity(most + 1));
    reader.take(most as u64 + 1).read_to_end(&mut plain).map_err(|_| age::DecryptError::DecryptionFailed)?;
    if plain.len() > most { Err(age::DecryptError::DecryptionFailed) } else { Ok(plain) }
}
