//! The keys of a dataset: the write key and what is derived from it, epoch key pairs, session keys `[V-2]`.

use crate::{
    entropy::Entropy,
    error::{Damage, FormatError, Result},
    ids::{ChunkId, DatasetId, VaultId},
    seal::{self, SealKey},
    secret::Secret32,
    xwing::{OpeningKey, SealingKey},
};

pub use crate::xwing::{ENCAPSULATED_LEN, PUBLIC_KEY_LEN, SEALED_SECRET_LEN, SealedSecret};

/// What a chunk holds, which decides the key of its id and of its seal `[V-2.4]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ChunkKind {
    /// A piece of a file.
    Data = 1,
    /// A meta page.
    Meta = 2,
    /// A refs node.
    Refs = 3,
}

impl ChunkKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Data, Self::Meta, Self::Refs];

    /// The kind with this number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// Everything that is derived from a dataset's write key `[V-2.4]`.
pub struct WriteKeys {
    secret: Secret32,
    ids: [blake3::Hasher; 3],
}

impl WriteKeys {
    /// Derives the keys of a dataset.
    #[must_use]
    pub fn new(secret: &Secret32) -> Self {
        let id_key = |info| blake3::Hasher::new_keyed(seal::derive(secret, b"", info).expose());
        Self {
            secret: secret.clone(),
            ids: [
                id_key("strongroom v1 data chunk id"),
                id_key("strongroom v1 meta chunk id"),
                id_key("strongroom v1 refs chunk id"),
            ],
        }
    }

    /// The id of a chunk with this content.
    #[must_use]
    pub fn chunk_id(&self, kind: ChunkKind, content: &[u8]) -> ChunkId {
        let [data, meta, refs] = &self.ids;
        let hasher = match kind {
            ChunkKind::Data => data,
            ChunkKind::Meta => meta,
            ChunkKind::Refs => refs,
        };
        ChunkId(*hasher.clone().update(content).finalize().as_bytes())
    }

    /// The secret that stands in for the session key where groups hold refs nodes.
    #[must_use]
    pub fn refs_secret(&self) -> Secret32 {
        seal::derive(&self.secret, b"", "strongroom v1 refs groups")
    }

    /// The seal of one document or directory of the kind `info`, under its own salt.
    #[must_use]
    pub fn document_key(&self, salt: &[u8; seal::SALT_LEN], info: &'static str) -> SealKey {
        SealKey::new(&seal::derive(&self.secret, salt, info))
    }

    /// The parameters of the chunker: multiplier (odd) and addend `[V-5.2]`.
    #[must_use]
    pub fn chunker_seed(&self) -> (u32, u32) {
        let seed = seal::derive(&self.secret, b"", "strongroom v1 chunker");
        let [a, b, c, d, e, f, g, h, ..] = *seed.expose();
        (u32::from_le_bytes([a, b, c, d]) | 1, u32::from_le_bytes([e, f, g, h]))
    }

    /// A key for values that never leave this machine, such as those of the change cache.
    #[must_use]
    pub fn local_key(&self) -> [u8; 32] {
        *seal::derive(&self.secret, b"", "strongroom v1 local cache").expose()
    }

    /// Authenticates a document that lies in the open, such as an epoch's.
    #[must_use]
    pub fn document_tag(&self, info: &'static str, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(seal::derive(&self.secret, b"", info).expose(), bytes).as_bytes()
    }

    /// The write key itself, for wrapping.
    #[must_use]
    pub fn secret(&self) -> &Secret32 {
        &self.secret
    }
}

impl std::fmt::Debug for WriteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WriteKeys(..)")
    }
}

/// What an HPKE seal is bound to `[V-2.5]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedFor {
    /// The vault.
    pub vault: VaultId,
    /// The dataset.
    pub dataset: DatasetId,
    /// The epoch whose public key it is sealed to.
    pub epoch: u32,
}

impl SealedFor {
    fn info(&self, what: &str) -> Vec<u8> {
        let mut info = format!("strongroom v1 {what}\0").into_bytes();
        info.extend_from_slice(self.vault.as_bytes());
        info.extend_from_slice(self.dataset.as_bytes());
        info.extend_from_slice(&self.epoch.to_le_bytes());
        info
    }
}

/// An epoch's public read key: all that a backup needs.
#[derive(Clone, PartialEq, Eq)]
pub struct EpochPublicKey(SealingKey);

impl EpochPublicKey {
    /// Parses a public key.
    ///
    /// # Errors
    /// [`Damage::Field`] where the bytes are no X-Wing public key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        SealingKey::from_bytes(bytes).map(Self).ok_or(FormatError::new("epoch", Damage::Field("public key")))
    }

    /// The encoded public key.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Seals a session key.
    pub fn seal_session_key(
        &self,
        key: &Secret32,
        to: &SealedFor,
        entropy: &mut dyn Entropy,
    ) -> SealedSecret {
        self.0.seal(&to.info("session key"), key, entropy)
    }

    /// Seals the dataset's write key, so that whoever holds the read key can find his way.
    pub fn seal_write_key(&self, key: &Secret32, to: &SealedFor, entropy: &mut dyn Entropy) -> SealedSecret {
        self.0.seal(&to.info("write key"), key, entropy)
    }
}

impl std::fmt::Debug for EpochPublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EpochPublicKey({})", &blake3::hash(&self.to_bytes()).to_hex()[..16])
    }
}

/// An epoch's private read key: the 32-byte X-Wing seed. Only this is wrapped under the read policy.
#[derive(Debug, Clone)]
pub struct EpochPrivateKey(OpeningKey);

impl EpochPrivateKey {
    /// A new key pair.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self::from_secret(Secret32::random(entropy))
    }

    /// The key pair with this seed.
    #[must_use]
    pub fn from_secret(seed: Secret32) -> Self {
        Self(OpeningKey::from_seed(seed))
    }

    /// The seed, for wrapping.
    #[must_use]
    pub fn secret(&self) -> &Secret32 {
        self.0.seed()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> EpochPublicKey {
        EpochPublicKey(self.0.public())
    }

    /// Opens a session key.
    ///
    /// # Errors
    /// [`Damage::Seal`] where it was sealed to another key, or for another vault, dataset or epoch.
    pub fn open_session_key(&self, sealed: &SealedSecret, to: &SealedFor) -> Result<Secret32> {
        self.open("session key", sealed, to)
    }

    /// Opens the dataset's write key.
    ///
    /// # Errors
    /// As [`EpochPrivateKey::open_session_key`].
    pub fn open_write_key(&self, sealed: &SealedSecret, to: &SealedFor) -> Result<Secret32> {
        self.open("write key", sealed, to)
    }

    fn open(&self, what: &str, sealed: &SealedSecret, to: &SealedFor) -> Result<Secret32> {
        self.0.open(&to.info(what), sealed).ok_or(FormatError::new("sealed key", Damage::Seal))
    }
}
