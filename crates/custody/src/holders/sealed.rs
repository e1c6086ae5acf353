//! Wraps by keyholders that are an X-Wing key pair `[V-4.5]`: version 1, then the key, sealed to the
//! keyholder's public key by HPKE and bound to the context by its `info`.
//!
//! Anyone can wrap to a public key: the commitment in the signed document is what makes the key the right one.

use super::text;
use crate::holder::HolderError;
use data_encoding::BASE64;
use strongroom_format::{
    Secret32, SystemEntropy,
    context::Context,
    keyring::{KeyholderSpec, Parameter},
    xwing::{OpeningKey, SEALED_SECRET_LEN, SealedSecret, SealingKey},
};

/// The parameter with the public key in base64.
pub(super) const PUBLIC_KEY: &str = "public_key";
const VERSION: u8 = 1;
const LEN: usize = 1 + SEALED_SECRET_LEN;

pub(super) fn public_parameter(key: &SealingKey) -> (String, Parameter) {
    (PUBLIC_KEY.into(), Parameter::Text(BASE64.encode(&key.to_bytes())))
}

pub(super) fn public_key(spec: &KeyholderSpec) -> Result<SealingKey, HolderError> {
    let decoded = BASE64.decode(text(spec, PUBLIC_KEY)?.as_bytes()).ok();
    decoded.and_then(|bytes| SealingKey::from_bytes(&bytes)).ok_or_else(|| {
        HolderError::Malformed(format!("parameter `{PUBLIC_KEY}` is no X-Wing public key in base64"))
    })
}

/// `kind` is the name of the kind of keyholder, so that one key never serves two kinds.
fn info(kind: &str, context: &Context) -> Vec<u8> {
    let mut info = format!("strongroom v1 {kind} keyholder\0").into_bytes();
    info.extend_from_slice(&context.canonical());
    info
}

pub(super) fn seal(to: &SealingKey, kind: &str, context: &Context, key: &Secret32) -> Vec<u8> {
    let mut out = Vec::with_capacity(LEN);
    out.push(VERSION);
    out.extend_from_slice(&to.seal(&info(kind, context), key, &mut SystemEntropy));
    out
}

/// Checks the form of a wrap, before anyone is troubled for the key that opens it.
pub(super) fn parse(blob: &[u8]) -> Result<&SealedSecret, HolderError> {
    match blob.split_first() {
        Some((&VERSION, sealed)) => sealed.try_into().map_err(|_| {
            HolderError::Malformed(format!("the wrapped key has {} bytes, not {LEN}", blob.len()))
        }),
        Some((version, _)) => {
            Err(HolderError::Malformed(format!("wrapped key of version {version}, not known here")))
        }
        None => Err(HolderError::Malformed("the wrapped key is empty".into())),
    }
}

pub(super) fn open(
    with: &OpeningKey,
    kind: &str,
    context: &Context,
    sealed: &SealedSecret,
) -> Result<Secret32, HolderError> {
    with.open(&info(kind, context), sealed).ok_or(HolderError::Tampered)
}
