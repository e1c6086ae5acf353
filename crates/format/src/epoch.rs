//! Epochs: a dataset's read key pair for a time. The public half lies open; the private half is wrapped `[V-4.6]`.

use crate::{
    error::{Damage, FormatError, Result},
    group::Owner,
    keyring::{WrappedKey, is_utc_time},
    keys::{EpochPublicKey, SEALED_SECRET_LEN, SealedFor, SealedSecret, WriteKeys},
    limits::DOCUMENT_MAX,
    wire::{Reader, Writer},
};
use serde::{Deserialize, Serialize};

const OBJECT: &str = "epoch";
const MAGIC: &[u8; 4] = b"SREP";
const VERSION: u8 = 1;
const TAG_INFO: &str = "strongroom v1 epoch document";
const TAG_LEN: usize = 32;

/// One generation of an epoch's document. A later generation has the same key pair under other wraps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// The vault and dataset.
    pub owner: Owner,
    /// The epoch's number, from 1.
    pub number: u32,
    /// The generation, from 0.
    pub generation: u32,
    /// When the epoch was opened: RFC 3339, UTC.
    pub opened: String,
    /// The public read key.
    pub public_key: EpochPublicKey,
    /// The dataset's write key, sealed to the public read key: whoever reads can find his way.
    pub write_key: Box<SealedSecret>,
    /// The private read key, wrapped under the read policy.
    pub read_key: WrappedKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    vault: crate::VaultId,
    dataset: crate::DatasetId,
    epoch: u32,
    generation: u32,
    opened: String,
    public_key: String,
    write_key: String,
    read_key: WrappedKey,
}

impl Epoch {
    /// What HPKE seals of this epoch are bound to.
    #[must_use]
    pub fn sealed_for(&self) -> SealedFor {
        SealedFor { vault: self.owner.vault, dataset: self.owner.dataset, epoch: self.number }
    }

    /// Encodes the document and authenticates it with the write key.
    ///
    /// # Panics
    /// Never: the document has string keys only.
    #[must_use]
    pub fn encode(&self, keys: &WriteKeys) -> Vec<u8> {
        let base64 = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
        let json = serde_json::to_vec(&Document {
            vault: self.owner.vault,
            dataset: self.owner.dataset,
            epoch: self.number,
            generation: self.generation,
            opened: self.opened.clone(),
            public_key: base64(&self.public_key.to_bytes()),
            write_key: base64(self.write_key.as_slice()),
            read_key: self.read_key.clone(),
        })
        .expect("documents have string keys only");
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&[VERSION, 0, 0, 0]);
        out.put_u32(json.len() as u32);
        out.extend_from_slice(&json);
        let tag = keys.document_tag(TAG_INFO, &out);
        out.extend_from_slice(&tag);
        out
    }

    /// Decodes a document without believing it: [`Epoch::verify`] must follow before its public key is used.
    ///
    /// # Errors
    /// Any damage to the encoding, or where it belongs to another dataset.
    pub fn decode(bytes: &[u8], owner: &Owner) -> Result<Self> {
        let error = |damage| FormatError::new(OBJECT, damage);
        if bytes.len() > DOCUMENT_MAX {
            return Err(error(Damage::Limit("document")));
        }
        let mut r = Reader::new(OBJECT, bytes);
        if r.array::<4>()? != *MAGIC {
            return Err(error(Damage::Magic));
        }
        match r.array()? {
            [VERSION, 0, 0, 0] => {}
            [VERSION, ..] => return Err(error(Damage::Field("reserved"))),
            [version, ..] => return Err(error(Damage::Version(version))),
        }
        let len = r.u32()? as usize;
        let json = r.bytes(len)?;
        r.bytes(TAG_LEN)?;
        r.finish()?;
        let document: Document =
            serde_json::from_slice(json).map_err(|e| error(Damage::Document(e.to_string())))?;
        let found = Owner { vault: document.vault, dataset: document.dataset };
        if found != *owner {
            return Err(error(Damage::Foreign));
        }
        if document.epoch == 0 {
            return Err(error(Damage::Field("epoch")));
        }
        if !is_utc_time(&document.opened) {
            return Err(error(Damage::Field("opened")));
        }
        document.read_key.check(OBJECT)?;
        let base64 = |text: &str, field| {
            data_encoding::BASE64.decode(text.as_bytes()).map_err(|_| error(Damage::Field(field)))
        };
        let write_key: [u8; SEALED_SECRET_LEN] = base64(&document.write_key, "write key")?
            .try_into()
            .map_err(|_| error(Damage::Field("write key")))?;
        Ok(Self {
            owner: found,
            number: document.epoch,
            generation: document.generation,
            opened: document.opened,
            public_key: EpochPublicKey::from_bytes(&base64(&document.public_key, "public key")?)?,
            write_key: Box::new(write_key),
            read_key: document.read_key,
        })
    }

    /// Checks the bytes that this document was decoded from against the dataset's write key, and that it
    /// stands under the right name.
    ///
    /// # Errors
    /// [`Damage::Signature`] where somebody without the write key made it.
    pub fn verify(&self, bytes: &[u8], keys: &WriteKeys, number: u32, generation: u32) -> Result<()> {
        let error = |damage| FormatError::new(OBJECT, damage);
        let (document, tag) = bytes.split_last_chunk::<TAG_LEN>().ok_or(error(Damage::Truncated))?;
        // Comparison of BLAKE3 hashes takes constant time.
        if blake3::Hash::from_bytes(keys.document_tag(TAG_INFO, document)) != blake3::Hash::from_bytes(*tag) {
            return Err(error(Damage::Signature));
        }
        if (self.number, self.generation) != (number, generation) {
            return Err(error(Damage::Field("epoch number")));
        }
        Ok(())
    }
}
