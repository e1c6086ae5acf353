//! Where a ledger, its key, its spool and this machine's memory of it are.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::local_files;
use crate::session::open_store_error;
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use strongroom_format::{Entropy as _, ObjectHash, SystemEntropy};
use strongroom_ledger::checkpoint::{Checkpoint, Identity};
use strongroom_ledger::hash::Hash;
use strongroom_ledger::note::{Algorithm, SigningKey, VerifierKey};
use strongroom_ledger::spool::Spool;
use strongroom_ledger::store::LedgerStore;
use strongroom_vault::ledger::{FOLDER, IdentityError, read_identity};
use strongroom_vault::store::{self, Location};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

const SIZE_LIMIT: u64 = 64 << 10;

/// What this machine remembers of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    origin: String,
    keys: Vec<String>,
    size: u64,
    root: String,
}

impl Remembered {
    /// A ledger that was seen, with its newest checkpoint.
    #[must_use]
    pub fn new(identity: &Identity, checkpoint: Option<&Checkpoint>) -> Self {
        Self {
            origin: identity.origin().to_owned(),
            keys: identity.keys().iter().map(ToString::to_string).collect(),
            size: checkpoint.map_or(0, |checkpoint| checkpoint.size),
            root: checkpoint.map_or(Hash::EMPTY_ROOT, |checkpoint| checkpoint.root).to_base64(),
        }
    }

    /// Whose ledger it is.
    ///
    /// # Errors
    /// [`ErrorKind::LocalFile`] where the file holds no keys.
    pub fn identity(&self) -> Result<Identity, CliError> {
        let keys = self.keys.iter().map(|key| VerifierKey::parse(key)).collect::<Result<_, _>>();
        let keys = keys.map_err(|error| {
            CliError::new(ErrorKind::LocalFile, "what this machine remembers of the ledger is damaged")
                .caused_by(&error)
        })?;
        Ok(Identity::new(self.origin.clone(), keys))
    }

    /// The newest checkpoint that was seen.
    #[must_use]
    pub fn checkpoint(&self, identity: &Identity) -> Option<Checkpoint> {
        Some(Checkpoint::new(identity.origin(), self.size, Hash::from_base64(&self.root)?))
    }
}

/// Where a ledger is.
#[derive(Debug)]
pub struct LedgerPlace {
    store: Arc<dyn LedgerStore>,
    state: Option<PathBuf>,
    key: PathBuf,
    spool: Option<PathBuf>,
}

impl LedgerPlace {
    /// The ledger of the settings, for the vault at a location.
    ///
    /// # Errors
    /// Where the location makes no sense, or there is no home directory.
    pub fn of(context: &Context, runtime: &Runtime, vault: &str) -> Result<Self, CliError> {
        match &context.settings.ledger {
            Some(ledger) => Self::at(context, runtime, &ledger.value, ""),
            None => Self::at(context, runtime, vault, FOLDER),
        }
    }

    /// The ledger in a folder of a location.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn at(context: &Context, runtime: &Runtime, location: &str, folder: &str) -> Result<Self, CliError> {
        let settings = &context.settings;
        let parsed: Location = location.parse()?;
        let store = runtime.block_on(store::open_ledger(&parsed, folder)).map_err(open_store_error)?;
        let name: String = ObjectHash::of(store.describe().as_bytes()).to_hex().chars().take(32).collect();
        let state = context.env.xdg("XDG_STATE_HOME", ".local/state");
        let state = state.map(|dir| dir.join("strongroom/ledgers").join(format!("{name}.json")));
        let key = match &settings.ledger_key {
            Some(key) => key.value.clone(),
            None => context
                .env
                .xdg("XDG_CONFIG_HOME", ".config")
                .map(|dir| dir.join("strongroom/ledgers").join(format!("{name}.key")))
                .ok_or_else(|| {
                    CliError::new(ErrorKind::Usage, "there is no home directory to keep the ledger's key in")
                        .hint("set HOME or XDG_CONFIG_HOME, or STRONGROOM_LEDGER_KEY")
                })?,
        };
        let spool = settings.ledger_spool.as_ref().map(|spool| spool.value.clone());
        Ok(Self { store, state, key, spool })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn LedgerStore> {
        &self.store
    }

    /// Where the key is, or should be.
    #[must_use]
    pub fn key_path(&self) -> &Path {
        &self.key
    }

    /// The identity in the store; `None` where there is no ledger.
    ///
    /// # Errors
    /// Where the store fails, or the identity is malformed.
    pub async fn read_identity(&self) -> Result<Option<Identity>, CliError> {
        read_identity(self.store.as_ref()).await.map_err(|error| {
            let kind = match error {
                IdentityError::Malformed(_) => ErrorKind::LedgerForged,
                _ => ErrorKind::LedgerUnwritable,
            };
            CliError::new(kind, error.to_string()).with_causes_of(&error)
        })
    }

    /// What this machine remembers.
    ///
    /// # Errors
    /// [`ErrorKind::LocalFile`] where it cannot be read.
    pub fn remembered(&self) -> Result<Option<Remembered>, CliError> {
        let Some(path) = &self.state else { return Ok(None) };
        let Some(bytes) = local_files::read_if_there(path, SIZE_LIMIT)? else { return Ok(None) };
        let remembered = serde_json::from_slice(&bytes).map_err(|error| {
            CliError::file("read", path, &error.into()).hint(
                "if nobody attacked this machine, remove the file: the ledger is then trusted as it stands",
            )
        })?;
        Ok(Some(remembered))
    }

    /// Remembers. Where that fails, a warning says what it means.
    pub fn remember(&self, context: &Context, remembered: &Remembered) {
        let Some(path) = &self.state else { return };
        let newer = |old: &Remembered| old.origin == remembered.origin && old.size > remembered.size;
        if self.remembered().ok().flatten().as_ref().is_some_and(newer) {
            return;
        }
        let bytes = serde_json::to_vec(remembered).unwrap_or_default();
        if let Err(error) = local_files::replace_private(path, &bytes) {
            context.messages.warn(&format!(
                "this machine cannot remember the ledger in {}, so a rolled-back or forked ledger would not be \
                 noticed: {error}",
                path.display()
            ));
        }
    }

    /// Puts aside what this machine remembers.
    ///
    /// # Errors
    /// [`ErrorKind::LocalFile`].
    pub fn distrust_memory(&self, context: &Context) -> Result<(), CliError> {
        let Some(path) = &self.state else { return Ok(()) };
        let aside = path.with_extension("replaced.json");
        match std::fs::rename(path, &aside) {
            Ok(()) => context.messages.note(&format!(
                "the ledger is taken as it stands; what this machine remembered of it is kept in {}",
                aside.display()
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(CliError::file("moved", path, &error)),
        }
        Ok(())
    }

    /// The key that signs, where this host has it.
    ///
    /// # Errors
    /// [`ErrorKind::WrongKey`] where the file holds another key, or others can read it.
    pub fn read_key(&self, identity: &Identity) -> Result<Option<SigningKey>, CliError> {
        let Some(key) = read_key(&self.key)? else { return Ok(None) };
        if identity.keys().contains(key.public()) {
            return Ok(Some(key));
        }
        let message = format!("{} is not the key of this vault's ledger", self.key.display());
        Err(CliError::new(ErrorKind::WrongKey, message).hint(
            "use no key here until you know who changed the ledger, or give its key by STRONGROOM_LEDGER_KEY",
        ))
    }

    /// Keeps the key of a new ledger.
    ///
    /// # Errors
    /// [`ErrorKind::LocalFile`]; an existing file is left alone.
    pub fn write_key(&self, key: &SigningKey) -> Result<(), CliError> {
        let text = Zeroizing::new(format!("{}\n", *key.to_secret_text()));
        local_files::write_new_private(&self.key, text.as_bytes())
    }

    /// The spool of the settings, with a key of its own beside it.
    ///
    /// # Errors
    /// [`ErrorKind::LocalFile`], [`ErrorKind::WrongKey`].
    pub fn spool(&self, context: &Context) -> Result<Option<Spool>, CliError> {
        let Some(path) = &self.spool else { return Ok(None) };
        let mut key_path = path.clone().into_os_string();
        key_path.push(".key");
        let key_path = PathBuf::from(key_path);
        let key = match read_key(&key_path)? {
            Some(key) => key,
            None => {
                let (seed, id): ([u8; 32], [u8; 8]) = (SystemEntropy.array(), SystemEntropy.array());
                let name = format!("strongroom.spool/{:016x}", u64::from_be_bytes(id));
                let key = SigningKey::from_seed(&name, Algorithm::Ed25519, &seed).map_err(|error| {
                    CliError::new(ErrorKind::Bug, "a key cannot be made").caused_by(&error)
                })?;
                let text = Zeroizing::new(format!("{}\n", *key.to_secret_text()));
                local_files::write_new_private(&key_path, text.as_bytes())?;
                key
            }
        };
        context
            .messages
            .detail(&format!("key uses go to the spool {} where the ledger is away", path.display()));
        Ok(Some(Spool::new(path, key)))
    }
}

fn read_key(path: &Path) -> Result<Option<SigningKey>, CliError> {
    let Some(bytes) = local_files::read_if_there(path, SIZE_LIMIT)? else { return Ok(None) };
    let wrong = |what: &str| CliError::new(ErrorKind::WrongKey, format!("{} {what}", path.display()));
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 != 0) {
        return Err(
            wrong("can be read by others").hint("make the file readable by its owner only: chmod 600")
        );
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is no ledger key"))?;
    SigningKey::parse(text.trim_end()).map(Some).map_err(|_| wrong("is no ledger key"))
}
