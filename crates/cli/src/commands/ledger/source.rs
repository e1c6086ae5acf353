//! From the settings to a ledger that can be read.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::ledger::{LedgerPlace, Remembered};
use crate::local_files;
use crate::session;
use clap::Args;
use std::path::Path;
use std::sync::Arc;
use strongroom_ledger::checkpoint::{Checkpoint, Identity, SignedCheckpoint};
use strongroom_ledger::limits::CHECKPOINT_MAX;
use strongroom_ledger::note::VerifierKey;
use strongroom_ledger::reader::Reader;
use tokio::runtime::Runtime;

/// Whose ledger is expected.
#[derive(Args, Clone, Debug)]
pub struct IdentityArgs {
    /// Believe this key of the ledger and no other; may be repeated [default: what this machine saw first]
    ///
    /// `ledger verify` prints it. An auditor gets it by another way than the ledger's own storage.
    #[arg(long = "vkey", value_name = "VKEY")]
    pub keys: Vec<String>,
}

/// A ledger that can be read.
pub(crate) struct Source {
    /// The ledger.
    pub reader: Reader,
    /// The checkpoint that this machine saw last.
    pub remembered: Option<Checkpoint>,
    place: LedgerPlace,
    runtime: Arc<Runtime>,
}

/// The identity that the options give; `None` where they give none.
pub(crate) fn given_identity(args: &IdentityArgs) -> Result<Option<Identity>, CliError> {
    let parse = |text: &String| {
        VerifierKey::parse(text).map_err(|error| {
            CliError::new(ErrorKind::Usage, "this is no key of a ledger").caused_by(&error).hint(
                "it looks like strongroom.ledger/NAME+HASH+BASE64; `strongroom ledger verify` prints it",
            )
        })
    };
    let keys = args.keys.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let Some(origin) = keys.first().map(|key| key.name().to_owned()) else { return Ok(None) };
    if let Some(other) = keys.iter().find(|key| key.name() != origin) {
        let message = format!("the keys are of two ledgers: {origin} and {}", other.name());
        return Err(CliError::new(ErrorKind::Usage, message));
    }
    Ok(Some(Identity::new(origin, keys)))
}

/// Reads a checkpoint, with its signatures, from a file.
pub(crate) fn read_checkpoint(path: &Path, identity: &Identity) -> Result<SignedCheckpoint, CliError> {
    let bytes = local_files::read(path, CHECKPOINT_MAX as u64)?;
    identity.open(&bytes).map_err(|error| {
        let message = format!("{} is no checkpoint of this ledger", path.display());
        CliError::new(ErrorKind::LedgerForged, message).caused_by(&error)
    })
}

impl Source {
    /// The ledger of the settings.
    ///
    /// # Errors
    /// [`ErrorKind::LedgerMissing`] where there is none.
    pub(crate) fn open(context: &Context, identity: &IdentityArgs) -> Result<Self, CliError> {
        Self::open_at(context, identity, None)
    }

    /// The ledger at a location; that of the settings where none is given.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_at(
        context: &Context,
        identity: &IdentityArgs,
        location: Option<&str>,
    ) -> Result<Self, CliError> {
        let runtime = session::runtime()?;
        let place = match (location, &context.settings.ledger) {
            (Some(location), _) => LedgerPlace::at(context, &runtime, location, "")?,
            (None, Some(_)) => LedgerPlace::of(context, &runtime, "")?,
            (None, None) => LedgerPlace::of(context, &runtime, context.settings.require_location()?)?,
        };
        let remembered = place.remembered()?;
        let (identity, seen) = match (given_identity(identity)?, remembered) {
            (Some(given), Some(remembered)) => {
                // What was seen of another ledger says nothing about this one.
                let known = remembered.identity()?;
                let seen =
                    (known.origin() == given.origin()).then(|| remembered.checkpoint(&known)).flatten();
                (given, seen)
            }
            (Some(given), None) => (given, None),
            (None, Some(remembered)) => {
                let known = remembered.identity()?;
                let seen = remembered.checkpoint(&known);
                (known, seen)
            }
            (None, None) => match runtime.block_on(place.read_identity())? {
                Some(identity) => (identity, None),
                None => {
                    let message = format!("there is no ledger in {}", place.store().describe());
                    return Err(CliError::new(ErrorKind::LedgerMissing, message));
                }
            },
        };
        let reader = Reader::new(Arc::clone(place.store()), identity);
        Ok(Self { reader, remembered: seen, place, runtime })
    }

    /// The newest published checkpoint; it continues what this machine remembers.
    ///
    /// # Errors
    /// Where it cannot be reached or is not to be believed.
    pub(crate) fn head(&self) -> Result<SignedCheckpoint, CliError> {
        self.block_on(async {
            let head = self.reader.checkpoint().await?;
            if let Some(remembered) = &self.remembered {
                self.reader.check_continues(&head.checkpoint, remembered).await?;
            }
            Ok(head)
        })
    }

    /// Remembers a checkpoint that was verified.
    pub(crate) fn remember(&self, context: &Context, head: &Checkpoint) {
        self.place.remember(context, &Remembered::new(self.reader.identity(), Some(head)));
    }

    /// Waits for asynchronous work.
    pub(crate) fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }
}
