//! Cosignatures: what witnesses say about a checkpoint. C2SP `tlog-cosignature`, version 1 (Ed25519).

use crate::note::{Algorithm, Signature, SigningKey, VerifierKey};

const LEN: usize = 8 + 64;

fn message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// The witness `key`'s signature line over a checkpoint's `text`, at `time` in seconds since 1970.
#[must_use]
pub fn cosign(key: &SigningKey, text: &str, time: u64) -> Signature {
    let mut bytes = time.to_be_bytes().to_vec();
    bytes.extend_from_slice(&key.sign(&message(time, text)));
    Signature { name: key.public().name().to_owned(), id: key.public().id(), bytes }
}

/// When `key` cosigned `text` with this line, in seconds since 1970; `None` where it did not.
#[must_use]
pub fn verify(key: &VerifierKey, text: &str, signature: &Signature) -> Option<u64> {
    if key.algorithm() != Algorithm::Cosignature || !signature.claims(key) || signature.bytes.len() != LEN {
        return None;
    }
    let (time, bytes) = signature.bytes.split_first_chunk()?;
    let time = u64::from_be_bytes(*time);
    (time <= i64::MAX as u64 && key.verifies(&message(time, text), bytes)).then_some(time)
}
