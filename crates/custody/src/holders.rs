//! The kinds of keyholders.

pub mod age;
#[cfg(feature = "aws-kms")]
pub mod aws_kms;
pub mod file;
pub(crate) mod left_out;
pub mod passphrase;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
pub mod transit;

mod identities;
pub mod key_file;
mod sealed;

use crate::{
    holder::{HolderError, Keyholder},
    secrets::Secrets,
};
use std::sync::Arc;
use strongroom_format::keyring::{KeyholderSpec, Parameter};

/// Makes the keyholder `label` from what the keyring says of it and what this machine has.
///
/// # Errors
/// [`HolderError::UnknownKind`], or [`HolderError::Malformed`] for parameters that the kind does not allow.
pub fn build(
    label: &str,
    spec: &KeyholderSpec,
    secrets: &Secrets,
) -> Result<Arc<dyn Keyholder>, HolderError> {
    match spec.kind.as_str() {
        age::KIND => Ok(Arc::new(age::AgeKeyholder::new(label, spec, secrets)?)),
        #[cfg(feature = "aws-kms")]
        aws_kms::KIND => Ok(Arc::new(aws_kms::AwsKmsKeyholder::new(label, spec, secrets)?)),
        file::KIND => Ok(Arc::new(file::FileKeyholder::new(label, spec, secrets)?)),
        passphrase::KIND => Ok(Arc::new(passphrase::PassphraseKeyholder::new(label, spec, secrets)?)),
        transit::KIND => Ok(Arc::new(transit::TransitKeyholder::new(label, spec, secrets)?)),
        #[cfg(feature = "pkcs11")]
        pkcs11::KIND => Ok(Arc::new(pkcs11::Pkcs11Keyholder::new(label, spec, secrets)?)),
        other => Err(HolderError::UnknownKind(other.to_owned())),
    }
}

/// Refuses parameters other than these, which a later version may have added for a reason.
fn known_parameters(spec: &KeyholderSpec, known: &[&str]) -> Result<(), HolderError> {
    match spec.parameters.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(HolderError::Malformed(format!("parameter `{name}` is not known to this program"))),
    }
}

fn text<'a>(spec: &'a KeyholderSpec, name: &str) -> Result<&'a str, HolderError> {
    match spec.parameters.get(name) {
        Some(Parameter::Text(text)) => Ok(text),
        _ => Err(HolderError::Malformed(format!("parameter `{name}` is missing or no text"))),
    }
}

fn number(spec: &KeyholderSpec, name: &str, least: u32, most: u32) -> Result<u32, HolderError> {
    let number = match spec.parameters.get(name) {
        Some(Parameter::Number(number)) => u32::try_from(*number).ok(),
        _ => None,
    };
    number.filter(|number| (least..=most).contains(number)).ok_or_else(|| {
        HolderError::Malformed(format!("parameter `{name}` is no number from {least} to {most}"))
    })
}

/// Runs work that blocks (files, Argon2, plugins, people) where it holds up nobody else.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HolderError> + Send + 'static,
) -> Result<T, HolderError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(stopped) => {
            Err(HolderError::io("its work was stopped", std::io::Error::other(stopped.to_string())))
        }
    }
}
