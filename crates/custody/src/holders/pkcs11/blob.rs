//! The wraps `[V-4.5]`, and the calls of the token that make and open them.

use super::{
    error::{Verdict, classify, verdict},
    spec::WrapMechanism,
    token::{Key, Token},
};
use crate::holder::HolderError;
use cryptoki::{
    error::Error,
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
};
use strongroom_format::{
    Entropy, Secret32, SystemEntropy,
    context::Context,
    seal::{SealKey, TAG_LEN},
};
use zeroize::{Zeroize, Zeroizing};

const IV_LEN: usize = 12;
const SEALED_LEN: usize = 32 + TAG_LEN;
/// RFC 3394 adds eight bytes.
const WRAPPED_LEN: usize = 32 + 8;
const TAG_BITS: std::ffi::c_ulong = 8 * TAG_LEN as std::ffi::c_ulong;

/// A wrap, its form checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Blob {
    /// Version 1.
    AesGcm { iv: [u8; IV_LEN], sealed: [u8; SEALED_LEN] },
    /// Version 2.
    AesKw { wrapped: [u8; WRAPPED_LEN], sealed: [u8; SEALED_LEN] },
}

impl Blob {
    fn version(mechanism: WrapMechanism) -> u8 {
        match mechanism {
            WrapMechanism::AesGcm => 1,
            WrapMechanism::AesKw => 2,
        }
    }

    /// Checks the form, before anybody is asked for a PIN.
    pub(super) fn parse(mechanism: WrapMechanism, blob: &[u8]) -> Result<Self, HolderError> {
        let Some((&version, rest)) = blob.split_first() else {
            return Err(HolderError::Malformed("the wrapped key is empty".into()));
        };
        if version != Self::version(mechanism) {
            return Err(HolderError::Malformed(format!(
                "wrapped key of version {version}, which is not that of {mechanism}"
            )));
        }
        let parsed = match mechanism {
            WrapMechanism::AesGcm => {
                split(rest).map(|(iv, sealed)| Self::AesGcm { iv: *iv, sealed: *sealed })
            }
            WrapMechanism::AesKw => {
                split(rest).map(|(wrapped, sealed)| Self::AesKw { wrapped: *wrapped, sealed: *sealed })
            }
        };
        parsed.ok_or_else(|| HolderError::Malformed(format!("the wrapped key has {} bytes", blob.len())))
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::AesGcm { iv, sealed } => [&[1][..], iv, sealed].concat(),
            Self::AesKw { wrapped, sealed } => [&[2][..], wrapped, sealed].concat(),
        }
    }
}

fn split<const N: usize, const M: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; M])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((first, rest.try_into().ok()?))
}

/// Wraps `secret` by `key`.
pub(super) fn wrap(
    key: &Key<'_>,
    mechanism: WrapMechanism,
    context: &Context,
    secret: &Secret32,
) -> Result<Vec<u8>, HolderError> {
    let blob = match mechanism {
        WrapMechanism::AesGcm => seal_by_token(key, &context.canonical(), secret)?,
        WrapMechanism::AesKw => seal_by_wrapped_key(key, &context.canonical(), secret)?,
    };
    Ok(blob.encode())
}

/// Opens what [`wrap`] made.
pub(super) fn unwrap(key: &Key<'_>, blob: Blob, context: &Context) -> Result<Secret32, HolderError> {
    let aad = context.canonical();
    match blob {
        Blob::AesGcm { iv, sealed } => open_by_token(key, iv, &sealed, &aad),
        Blob::AesKw { wrapped, sealed } => open_by_wrapped_key(key, &wrapped, &sealed, &aad),
    }
}

fn seal_by_token(key: &Key<'_>, aad: &[u8], secret: &Secret32) -> Result<Blob, HolderError> {
    let mut iv = SystemEntropy.array::<IV_LEN>();
    let sealed = {
        let mechanism =
            GcmParams::new(&mut iv, aad, TAG_BITS.into()).map(Mechanism::AesGcm).map_err(classify)?;
        key.token.session.encrypt(&mechanism, key.handle, secret.expose()).map_err(classify)?
    };
    // Some tokens use an IV of their own, which they leave in the buffer.
    let sealed = exactly("C_Encrypt", sealed)?;
    Ok(Blob::AesGcm { iv, sealed })
}

fn open_by_token(
    key: &Key<'_>,
    iv: [u8; IV_LEN],
    sealed: &[u8],
    aad: &[u8],
) -> Result<Secret32, HolderError> {
    let opened = surely(key.token, || {
        let mut iv = iv;
        let mechanism = GcmParams::new(&mut iv, aad, TAG_BITS.into()).map(Mechanism::AesGcm)?;
        key.token.session.decrypt(&mechanism, key.handle, sealed)
    })?;
    let plain = Zeroizing::new(opened);
    Secret32::from_slice(&plain).ok_or(HolderError::Tampered)
}

fn seal_by_wrapped_key(key: &Key<'_>, aad: &[u8], secret: &Secret32) -> Result<Blob, HolderError> {
    let fresh = Secret32::random(&mut SystemEntropy);
    let wrapped = {
        let object = Temporary::create(key.token, &fresh)?;
        key.token.session.wrap_key(&Mechanism::AesKeyWrap, key.handle, object.handle).map_err(classify)?
    };
    let mut sealed = secret.expose().to_vec();
    // The key is used once, so any number does.
    SealKey::new(&fresh).seal(0, aad, &mut sealed);
    Ok(Blob::AesKw { wrapped: exactly("C_WrapKey", wrapped)?, sealed: exactly("AES-256-GCM", sealed)? })
}

fn open_by_wrapped_key(
    key: &Key<'_>,
    wrapped: &[u8],
    sealed: &[u8],
    aad: &[u8],
) -> Result<Secret32, HolderError> {
    let fresh = Temporary::unwrap(key, wrapped)?.value()?;
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let plain = SealKey::new(&fresh).open(0, aad, &mut sealed).map_err(|_| HolderError::Tampered)?;
    Secret32::from_slice(plain).ok_or(HolderError::Tampered)
}

/// A key in the session only, destroyed when dropped.
struct Temporary<'a> {
    token: &'a Token,
    handle: ObjectHandle,
}

impl<'a> Temporary<'a> {
    fn template() -> Vec<Attribute> {
        vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ]
    }

    fn create(token: &'a Token, secret: &Secret32) -> Result<Self, HolderError> {
        let mut template = Self::template();
        template.push(Attribute::Value(secret.expose().to_vec()));
        let created = token.session.create_object(&template);
        if let Some(Attribute::Value(value)) = template.last_mut() {
            value.zeroize();
        }
        Ok(Self { token, handle: created.map_err(classify)? })
    }

    fn unwrap(key: &Key<'a>, wrapped: &[u8]) -> Result<Self, HolderError> {
        let token = key.token;
        let template = Self::template();
        let handle = surely(token, || {
            token.session.unwrap_key(&Mechanism::AesKeyWrap, key.handle, wrapped, &template)
        })?;
        Ok(Self { token, handle })
    }

    fn value(&self) -> Result<Secret32, HolderError> {
        let read = self.token.session.get_attributes(self.handle, &[AttributeType::Value]);
        for attribute in read.map_err(classify)? {
            if let Attribute::Value(mut value) = attribute {
                let secret = Secret32::from_slice(&value);
                value.zeroize();
                return secret.ok_or(HolderError::Tampered);
            }
        }
        Err(HolderError::Malformed("the token does not give the unwrapped key".into()))
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // Where it fails, the object goes with its session.
        let _ = self.token.session.destroy_object(self.handle);
    }
}

/// Opens, and tells a changed wrap from a token that fails. Where the token gives one code for both, it is asked a
/// second time: what was changed fails again.
fn surely<T>(token: &Token, open: impl Fn() -> cryptoki::error::Result<T>) -> Result<T, HolderError> {
    let unclear = |error: &Error| verdict(error) == Verdict::ChangedIfTokenLives;
    let opened = match open() {
        Err(error) if unclear(&error) => open(),
        other => other,
    };
    opened.map_err(|error| match verdict(&error) {
        Verdict::Changed => HolderError::Tampered,
        Verdict::ChangedIfTokenLives if token.is_well() => HolderError::Tampered,
        Verdict::ChangedIfTokenLives | Verdict::Nothing => classify(error),
    })
}

fn exactly<const N: usize>(call: &str, bytes: Vec<u8>) -> Result<[u8; N], HolderError> {
    let len = bytes.len();
    bytes
        .try_into()
        .map_err(|_| HolderError::Malformed(format!("{call} returned {len} bytes where {N} are due")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_checked_before_the_token_is_asked() {
        for (mechanism, len) in [(WrapMechanism::AesGcm, 61), (WrapMechanism::AesKw, 89)] {
            let mut blob = vec![7; len];
            blob[0] = Blob::version(mechanism);
            assert_eq!(Blob::parse(mechanism, &blob).unwrap().encode(), blob);
            for bad in
                [&[][..], &blob[..1], &blob[..len - 1], &[&blob[..], &[0]].concat(), &vec![1; 70 << 10]]
            {
                assert!(matches!(Blob::parse(mechanism, bad), Err(HolderError::Malformed(_))));
            }
            blob[0] = 3;
            assert!(Blob::parse(mechanism, &blob).is_err());
        }
        let mut other = vec![0; 61];
        other[0] = 1;
        assert!(Blob::parse(WrapMechanism::AesKw, &other).is_err());
    }
}
