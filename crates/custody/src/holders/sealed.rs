//! Wraps by keyholders that have a secret key of 32 bytes `[V-4.5]`:
//! version 1, a 32-byte salt, the sealed key, its tag. The context is associated data.

use crate::holder::HolderError;
use strongroom_format::{
    Entropy, Secret32, SystemEntropy,
    context::Context,
    seal::{SALT_LEN, SealKey, TAG_LEN, derive},
};
use zeroize::Zeroize;

const VERSION: u8 = 1;
const LEN: usize = 1 + SALT_LEN + 32 + TAG_LEN;

pub(super) fn seal(root: &Secret32, info: &str, context: &Context, key: &Secret32) -> Vec<u8> {
    let salt: [u8; SALT_LEN] = SystemEntropy.array();
    let mut sealed = *key.expose();
    // The salt makes the derived key one of a kind, so number 0 is used once.
    let tag = SealKey::new(&derive(root, &salt, info)).seal_detached(0, &context.canonical(), &mut sealed);
    let mut out = Vec::with_capacity(LEN);
    out.push(VERSION);
    out.extend_from_slice(&salt);
    out.extend_from_slice(&sealed);
    out.extend_from_slice(&tag);
    out
}

pub(super) fn open(
    root: &Secret32,
    info: &str,
    context: &Context,
    blob: &[u8],
) -> Result<Secret32, HolderError> {
    match blob.first() {
        Some(&VERSION) => {}
        Some(version) => {
            return Err(HolderError::Malformed(format!("wrapped key of version {version}, not known here")));
        }
        None => return Err(HolderError::Malformed("the wrapped key is empty".into())),
    }
    if blob.len() != LEN {
        let found = blob.len();
        return Err(HolderError::Malformed(format!("the wrapped key has {found} bytes, not {LEN}")));
    }
    let (salt, sealed) = blob[1..].split_at(SALT_LEN);
    let mut opened = sealed.to_vec();
    let key = SealKey::new(&derive(root, salt, info))
        .open(0, &context.canonical(), &mut opened)
        .ok()
        .and_then(|opened| Secret32::from_slice(opened));
    opened.zeroize();
    key.ok_or(HolderError::Tampered)
}
