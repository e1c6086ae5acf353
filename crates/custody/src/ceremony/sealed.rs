//! A share, sealed so that only its custodian can open it.

use super::{shares::Share, transcript::transcript};
use crate::{holder::HolderError, holders::age, secrets::Prompts};
use std::sync::Arc;

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
