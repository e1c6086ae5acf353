//! A share, sealed so that only its custodian can open it.

use super::{
    shares::Share,
    transcript::{read_transcript, transcript},
};
use crate::{holder::HolderError, holders::age, secrets::Prompts};
use std::{path::PathBuf, sync::Arc};

/// Longest sealed share that is read, in bytes.
const SEALED_MAX: usize = 256 << 10;
/// Longest text inside.
const TEXT_MAX: usize = 64 << 10;

/// The text of `share` as an age file with ASCII armor, which any one of `recipients` opens, with `age --decrypt` for
/// example. Blocks where a plugin asks; `prompts` is how it does.
///
/// # Errors
/// [`HolderError::Malformed`] for what is no recipient; others where age or a plugin fails.
pub fn seal_share_to_age<S: AsRef<str>>(
    share: &Share,
    recipients: &[S],
    prompts: &Arc<dyn Prompts>,
) -> Result<String, HolderError> {
    age::encrypt_armored(recipients, prompts, transcript(share).as_bytes())
}

/// Opens what [`seal_share_to_age`] made, with one of the identities in these files. Blocks where a person is asked.
///
/// # Errors
/// [`HolderError::Tampered`] where the file was changed, [`HolderError::NoSecret`] where no identity opens it,
/// [`HolderError::Malformed`] where there is no share in it; others where a plugin fails.
pub fn open_sealed_share(
    sealed: &[u8],
    identities: &[PathBuf],
    prompts: &Arc<dyn Prompts>,
) -> Result<Share, HolderError> {
    if sealed.len() > SEALED_MAX {
        return Err(HolderError::Malformed("the sealed share is too large".into()));
    }
    let plain = age::open_armored(sealed, identities, prompts, TEXT_MAX)?;
    let text = std::str::from_utf8(&plain).map_err(|_| HolderError::Malformed("it holds no text".into()))?;
    read_transcript(text).map_err(|error| HolderError::Malformed(format!("it holds no share: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ceremony::{read_transcript, split},
        secrets::NobodyThere,
    };
    use std::io::Read;
    use strongroom_format::SystemEntropy;

    #[test]
    fn only_the_custodian_opens_a_sealed_share() {
        let (custodian, other) = (::age::x25519::Identity::generate(), ::age::x25519::Identity::generate());
        let share = split(&[3; 32], 2, 2, &mut SystemEntropy).unwrap().remove(0);
        let prompts: Arc<dyn Prompts> = Arc::new(NobodyThere);
        let sealed = seal_share_to_age(&share, &[custodian.to_public().to_string()], &prompts).unwrap();
        assert!(sealed.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));

        let open = |identity: &::age::x25519::Identity| {
            let armored = ::age::armor::ArmoredReader::new(sealed.as_bytes());
            let decryptor = ::age::Decryptor::new_buffered(armored).unwrap();
            let mut text = String::new();
            let mut reader = decryptor.decrypt(std::iter::once(identity as &dyn ::age::Identity)).ok()?;
            reader.read_to_string(&mut text).unwrap();
            Some(text)
        };
        assert_eq!(read_transcript(&open(&custodian).unwrap()).unwrap().encode(), share.encode());
        assert!(open(&other).is_none());
        let error = seal_share_to_age(&share, &["nobody"], &prompts).unwrap_err();
        assert!(matches!(error, HolderError::Malformed(_)), "{error}");
    }
}
