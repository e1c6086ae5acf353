//! Keyholders of the kind `passphrase`: an X-Wing key pair, whose seed Argon2id (RFC 9106, version 0x13) makes
//! from a passphrase.
//!
//! Public parameters: `memory` (KiB), `passes`, `lanes`, `salt` (base64), and `public_key` (base64), to which any
//! machine can wrap, and by which a wrong passphrase is told from a changed wrap; a guess at it costs what a guess
//! at a wrap costs.

use super::{blocking, known_parameters, number, sealed, text};
use crate::{
    holder::{Effort, HolderError, Keyholder, Operation, Reply},
    secrets::{PassphraseSource, Secrets},
};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use async_trait::async_trait;
use data_encoding::BASE64;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use strongroom_format::{
    Entropy, Secret32, SystemEntropy,
    context::Context,
    keyring::{KeyholderSpec, Parameter},
    xwing::{OpeningKey, SealingKey},
};
use zeroize::{Zeroize, Zeroizing};

/// The kind's name in keyrings.
pub const KIND: &str = "passphrase";
/// Longest passphrase, in bytes.
const PASSPHRASE_MAX: usize = 64 << 10;
/// How often a passphrase is asked for.
const ATTEMPTS: u32 = 3;

/// What one guess costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB: 8 MiB to 1 GiB.
    pub memory: u32,
    /// Passes over the memory: 1 to 64.
    pub passes: u32,
    /// Lanes: 1 to 64.
    pub lanes: u32,
}

impl Cost {
    const MEMORY: (u32, u32) = (8 << 10, 1 << 20);
    const PASSES: (u32, u32) = (1, 64);
    const LANES: (u32, u32) = (1, 64);

    /// The least that is accepted: for tests.
    pub const LEAST: Self = Self { memory: Self::MEMORY.0, passes: 1, lanes: 1 };

    fn read(spec: &KeyholderSpec) -> Result<Self, HolderError> {
        Ok(Self {
            memory: number(spec, "memory", Self::MEMORY.0, Self::MEMORY.1)?,
            passes: number(spec, "passes", Self::PASSES.0, Self::PASSES.1)?,
            lanes: number(spec, "lanes", Self::LANES.0, Self::LANES.1)?,
        })
    }
}

impl Default for Cost {
    /// The second recommendation of RFC 9106, section 4: 64 MiB, 3 passes, 4 lanes.
    fn default() -> Self {
        Self { memory: 64 << 10, passes: 3, lanes: 4 }
    }
}

/// What a keyring says of a new keyholder with this passphrase, which is used byte for byte. Takes the time
/// and memory of one guess.
///
/// # Errors
/// [`HolderError::Malformed`] for an empty passphrase or a cost out of bounds.
pub fn create(passphrase: &str, cost: Cost) -> Result<KeyholderSpec, HolderError> {
    let salt: [u8; 16] = SystemEntropy.array();
    let number = |value: u32| Parameter::Number(value.into());
    let mut spec = KeyholderSpec {
        kind: KIND.into(),
        parameters: BTreeMap::from([
            ("lanes".into(), number(cost.lanes)),
            ("memory".into(), number(cost.memory)),
            ("passes".into(), number(cost.passes)),
            ("salt".into(), Parameter::Text(BASE64.encode(&salt))),
        ]),
    };
    let key = stretch(passphrase, &salt, Cost::read(&spec)?)?;
    spec.parameters.extend([sealed::public_parameter(&key.public())]);
    Ok(spec)
}

fn stretch(passphrase: &str, salt: &[u8], cost: Cost) -> Result<OpeningKey, HolderError> {
    if passphrase.is_empty() || passphrase.len() > PASSPHRASE_MAX {
        return Err(HolderError::Malformed("the passphrase is empty or far too long".into()));
    }
    let malformed = |error: argon2::Error| HolderError::Malformed(format!("Argon2id: {error}"));
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(32)).map_err(malformed)?;
    let mut memory: Vec<Block> = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| {
        let mib = cost.memory >> 10;
        HolderError::io(format!("Argon2id needs {mib} MiB of memory"), std::io::ErrorKind::OutOfMemory.into())
    })?;
    memory.resize(params.block_count(), Block::new());
    let mut out = Zeroizing::new([0; 32]);
    let result = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        passphrase.as_bytes(),
        salt,
        out.as_mut_slice(),
        &mut memory,
    );
    memory.zeroize();
    result.map_err(malformed)?;
    Ok(OpeningKey::from_seed(Secret32::new(*out)))
}

/// A keyholder of the kind `passphrase`.
#[derive(Clone)]
pub struct PassphraseKeyholder {
    label: String,
    cost: Cost,
    salt: Vec<u8>,
    public_key: SealingKey,
    source: Option<Arc<dyn PassphraseSource>>,
    /// The private key, once the right passphrase was given.
    key: Arc<Mutex<Option<OpeningKey>>>,
}

impl PassphraseKeyholder {
    /// The keyholder `label` as the keyring describes it.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] for parameters that this kind does not allow, or that would
    /// take more memory or time than it allows.
    pub fn new(label: &str, spec: &KeyholderSpec, secrets: &Secrets) -> Result<Self, HolderError> {
        known_parameters(spec, &["lanes", "memory", "passes", sealed::PUBLIC_KEY, "salt"])?;
        let salt = BASE64
            .decode(text(spec, "salt")?.as_bytes())
            .ok()
            .filter(|salt| (16..=64).contains(&salt.len()))
            .ok_or_else(|| {
                HolderError::Malformed("parameter `salt` is not 16 to 64 bytes in base64".into())
            })?;
        Ok(Self {
            label: label.to_owned(),
            cost: Cost::read(spec)?,
            salt,
            public_key: sealed::public_key(spec)?,
            source: secrets.passphrases.clone(),
            key: Arc::default(),
        })
    }

    /// The private key; asks for the passphrase the first time.
    fn key(&self) -> Result<OpeningKey, HolderError> {
        // Held while asking, so that tasks that need the same key at the same time ask once.
        let mut cached = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = cached.as_ref() {
            return Ok(key.clone());
        }
        let source = self.source.as_ref().ok_or_else(no_source)?;
        for attempt in 1..=ATTEMPTS {
            let given = source
                .passphrase(&self.label, attempt)
                .map_err(|error| HolderError::io("cannot get the passphrase", error))?;
            let Some(passphrase) = given else {
                if attempt == 1 {
                    return Err(HolderError::NoSecret("no passphrase was given".into()));
                }
                break;
            };
            if passphrase.is_empty() {
                continue;
            }
            let key = stretch(&passphrase, &self.salt, self.cost)?;
            if key.public() == self.public_key {
                return Ok(cached.insert(key).clone());
            }
        }
        Err(HolderError::WrongSecret("the passphrase is not right".into()))
    }
}

fn no_source() -> HolderError {
    HolderError::NoSecret("there is nobody to ask for the passphrase, and no other source of it".into())
}

impl std::fmt::Debug for PassphraseKeyholder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PassphraseKeyholder").field("label", &self.label).finish_non_exhaustive()
    }
}

#[async_trait]
impl Keyholder for PassphraseKeyholder {
    fn label(&self) -> &str {
        &self.label
    }

    fn kind(&self) -> &str {
        KIND
    }

    fn effort(&self) -> Effort {
        Effort::Person
    }

    fn ready(&self, operation: Operation) -> Result<(), HolderError> {
        match operation {
            Operation::Unwrap if self.source.is_none() => Err(no_source()),
            Operation::Unwrap | Operation::Wrap => Ok(()),
        }
    }

    async fn wrap(&self, context: &Context, key: &Secret32) -> Result<Reply<Vec<u8>>, HolderError> {
        Ok(Reply::local(sealed::seal(&self.public_key, KIND, context, key)))
    }

    async fn unwrap(&self, context: &Context, blob: &[u8]) -> Result<Reply<Secret32>, HolderError> {
        let sealed = sealed::parse(blob)?;
        let this = self.clone();
        let key = blocking(move || this.key()).await?;
        sealed::open(&key, KIND, context, sealed).map(Reply::local)
    }
}
