//! Documents of JSON under an Ed25519 signature `[V-14.1]`: one frame, told apart by their magic.

use crate::{
    error::{Damage, FormatError, Result},
    keyring::{SIGNATURE_LEN, SigningPublicKey, sign},
    limits,
    secret::Secret32,
    wire::{Reader, Writer},
};
use serde::{Serialize, de::DeserializeOwned};

const VERSION: u8 = 1;
/// Magic, version, three zero bytes, length.
const HEADER_LEN: usize = 12;

/// What a kind of signed document is called, and its magic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) object: &'static str,
    pub(crate) magic: &'static [u8; 4],
}

/// A document whose signature has not been looked at.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    kind: Kind,
    json: &'a [u8],
    signed: &'a [u8],
    signature: [u8; SIGNATURE_LEN],
}

impl Kind {
    /// Encodes and signs.
    pub(crate) fn seal(self, document: &impl Serialize, seed: &Secret32) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(document)
            .map_err(|error| FormatError::new(self.object, Damage::Document(error.to_string())))?;
        let len = u32::try_from(json.len())
            .ok()
            .filter(|_| HEADER_LEN + json.len() + SIGNATURE_LEN <= limits::DOCUMENT_MAX)
            .ok_or(FormatError::new(self.object, Damage::Limit("document")))?;
        let mut out = Vec::with_capacity(HEADER_LEN + json.len() + SIGNATURE_LEN);
        out.extend_from_slice(self.magic);
        out.extend_from_slice(&[VERSION, 0, 0, 0]);
        out.put_u32(len);
        out.extend_from_slice(&json);
        let signature = sign(seed, &out);
        out.extend_from_slice(&signature);
        Ok(out)
    }

    /// Takes the frame apart.
    pub(crate) fn open(self, bytes: &[u8]) -> Result<Unverified<'_>> {
        if bytes.len() > limits::DOCUMENT_MAX {
            return Err(FormatError::new(self.object, Damage::Limit("document")));
        }
        let mut reader = Reader::new(self.object, bytes);
        if &reader.array()? != self.magic {
            return Err(reader.error(Damage::Magic));
        }
        match reader.array()? {
            [VERSION, 0, 0, 0] => {}
            [VERSION, ..] => return Err(reader.error(Damage::Field("reserved"))),
            [version, ..] => return Err(reader.error(Damage::Version(version))),
        }
        let len = reader.u32()? as usize;
        let json = reader.bytes(len)?;
        let signature = reader.array::<SIGNATURE_LEN>()?;
        reader.finish()?;
        Ok(Unverified { kind: self, json, signed: &bytes[..HEADER_LEN + len], signature })
    }
}

impl Unverified<'_> {
    /// Reads what is needed to know whose signature to ask for.
    pub(crate) fn unverified<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.json)
            .map_err(|error| FormatError::new(self.kind.object, Damage::Document(error.to_string())))
    }

    /// The document, where `key` signed it.
    pub(crate) fn verified<T: DeserializeOwned>(&self, key: &SigningPublicKey) -> Result<T> {
        if !key.verifies(self.signed, &self.signature) {
            return Err(FormatError::new(self.kind.object, Damage::Signature));
        }
        self.unverified()
    }
}
