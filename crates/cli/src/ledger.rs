//! The ledger of a vault from the command's side: which one, its key, what this machine remembers of it, and what is
//! written when a command ends.

mod place;
mod settle;

pub use place::{LedgerPlace, Remembered};

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::provider_keys;
use crate::whoami;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use strongroom_custody::Reason;
use strongroom_custody::observer::Observer;
use strongroom_format::keyring::{KeyholderSpec, Keyring};
use strongroom_format::{Entropy as _, SystemEntropy};
use strongroom_ledger::checkpoint::Identity;
use strongroom_ledger::entry::{Decision, OperationId, OutcomeResult, Verb, Verdict, What};
use strongroom_ledger::note::{Algorithm, SigningKey};
use strongroom_ledger::{Ledger, Options};
use strongroom_vault::ledger::{Actor, Recorder, Run, Sink, new_origin, write_identity};
use tokio::runtime::Runtime;

/// A ledger that a command has opened.
struct Opened {
    recorder: Arc<Recorder>,
    ledger: Option<Arc<Ledger>>,
    place: LedgerPlace,
    runtime: Arc<Runtime>,
    reason: Reason,
    vault: Option<String>,
    dataset: String,
}

/// The ledgers that a command has opened, and what it has done; written when it ends.
#[derive(Clone, Default)]
pub struct Ledgers(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    opened: Vec<Opened>,
    verb: Option<Verb>,
    details: BTreeMap<String, String>,
    run: Run,
}

impl std::fmt::Debug for Ledgers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledgers").field("opened", &self.inner().opened.len()).finish()
    }
}

impl Ledgers {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id that all entries of this run of the program share.
    #[must_use]
    pub fn operation(&self) -> OperationId {
        self.inner().run.operation()
    }

    /// Where the ledger is that was opened first, and its key.
    #[must_use]
    pub fn place(&self) -> Option<(String, PathBuf)> {
        let inner = self.inner();
        let opened = inner.opened.first()?;
        Some((opened.place.store().describe(), opened.place.key_path().to_owned()))
    }

    /// What this command does, which is written when it ends.
    pub fn doing(&self, verb: Verb) {
        self.inner().verb = Some(verb);
    }

    /// Something that belongs to it, such as the id of a snapshot. Nothing personal.
    pub fn detail(&self, name: &str, value: impl Into<String>) {
        self.inner().details.insert(name.to_owned(), value.into());
    }
}

/// What a recorder is to know about the vault.
pub struct Subject<'a> {
    /// Its keyring, where there is one already.
    pub keyring: Option<&'a Keyring>,
    /// Its keyholders.
    pub keyholders: &'a BTreeMap<String, KeyholderSpec>,
    /// The dataset to work on.
    pub dataset: &'a str,
    /// Why keys are used.
    pub reason: &'a Reason,
}

fn actor(context: &Context) -> Actor {
    let host = context.settings.host.as_ref().map_or_else(whoami::host, |host| host.value.clone());
    Actor {
        human: Some(whoami::user()),
        host: Some(host),
        workload: None,
        program: format!("strongroom/{}", env!("CARGO_PKG_VERSION")),
    }
}

/// Makes the ledger of a vault that is about to be made, and the observer that writes into it.
///
/// # Errors
/// Where the key cannot be kept, or the store fails.
pub fn create(
    context: &Context,
    runtime: &Arc<Runtime>,
    location: &str,
    next: Arc<dyn Observer>,
    subject: &Subject<'_>,
) -> Result<Arc<dyn Observer>, CliError> {
    let place = LedgerPlace::of(context, runtime, location)?;
    if let Some(identity) = runtime.block_on(place.read_identity())? {
        // An `init` that was interrupted, or a ledger that outlived its vault: it goes on.
        let remembered = place.remembered()?;
        return open_known(context, runtime, place, Known { identity, remembered }, next, subject);
    }
    let origin = new_origin(&mut SystemEntropy);
    let seed: [u8; 32] = SystemEntropy.array();
    let key = SigningKey::from_seed(&origin, Algorithm::Ed25519, &seed)
        .map_err(|error| CliError::new(ErrorKind::Bug, "a ledger key cannot be made").caused_by(&error))?;
    let identity = Identity::new(origin, vec![key.public().clone()]);
    place.write_key(&key)?;
    let made = runtime.block_on(async {
        Ledger::create(Arc::clone(place.store()), identity.clone(), key, Options::default()).await
    });
    made?;
    runtime.block_on(write_identity(place.store().as_ref(), &identity)).map_err(|error| {
        CliError::new(ErrorKind::LedgerUnwritable, error.to_string()).with_causes_of(&error)
    })?;
    let known = Known { remembered: Some(Remembered::new(&identity, None)), identity };
    place.remember(context, &Remembered::new(&known.identity, None));
    open_known(context, runtime, place, known, next, subject)
}

/// Whose ledger it is, and what this machine remembers of it.
struct Known {
    identity: Identity,
    remembered: Option<Remembered>,
}

impl Known {
    /// `None` where there is no ledger, and was none.
    fn of(runtime: &Runtime, place: &LedgerPlace) -> Result<Option<Self>, CliError> {
        let remembered = place.remembered()?;
        let identity = match &remembered {
            Some(remembered) => Some(remembered.identity()?),
            None => runtime.block_on(place.read_identity())?,
        };
        Ok(identity.map(|identity| Self { identity, remembered }))
    }

    /// The ledger to write into; `None` where this host has no key for it.
    fn writer(&self, place: &LedgerPlace) -> Result<Option<Arc<Ledger>>, CliError> {
        let Some(key) = place.read_key(&self.identity)? else { return Ok(None) };
        let remembered =
            self.remembered.as_ref().and_then(|remembered| remembered.checkpoint(&self.identity));
        let options = Options { remembered, ..Options::default() };
        Ok(Some(Arc::new(Ledger::open(Arc::clone(place.store()), self.identity.clone(), key, options))))
    }
}

fn no_key(place: &LedgerPlace) -> String {
    format!("this host has no key for the vault's ledger: {} is missing", place.key_path().display())
}

/// Forgets what this machine remembers of the ledger of the vault at a location, so that it is taken as it stands; what
/// was remembered is kept beside it, as evidence.
///
/// # Errors
/// [`ErrorKind::LocalFile`].
pub fn trust(context: &Context, runtime: &Runtime, location: &str) -> Result<(), CliError> {
    LedgerPlace::of(context, runtime, location)?.distrust_memory(context)
}

/// The observer for a vault: it writes into the vault's ledger, where there is one.
///
/// # Errors
/// Where the ledger is not the one that was seen here before, or is gone.
pub fn observe(
    context: &Context,
    runtime: &Arc<Runtime>,
    location: &str,
    next: Arc<dyn Observer>,
    subject: &Subject<'_>,
) -> Result<Arc<dyn Observer>, CliError> {
    let place = LedgerPlace::of(context, runtime, location)?;
    match Known::of(runtime, &place)? {
        Some(known) => open_known(context, runtime, place, known, next, subject),
        None => {
            context.messages.warn(
                "this vault has no ledger: nothing records who uses its keys; it was made before ledgers were",
            );
            Ok(next)
        }
    }
}

/// Writes at once that something was done, into the ledger of the vault at a location.
///
/// # Errors
/// Where there is no ledger, this host has no key for it, or it cannot be written.
pub fn record(
    context: &Context,
    runtime: &Runtime,
    location: &str,
    what: What,
    reason: &Reason,
    (result, class): (OutcomeResult, Option<String>),
) -> Result<(), CliError> {
    let place = LedgerPlace::of(context, runtime, location)?;
    let known = Known::of(runtime, &place)?
        .ok_or_else(|| CliError::new(ErrorKind::LedgerMissing, "this vault has no ledger"))?;
    let ledger =
        known.writer(&place)?.ok_or_else(|| CliError::new(ErrorKind::LedgerUnwritable, no_key(&place)))?;
    let recorder = Recorder::new(Sink::Ledger(ledger), actor(context), crate::keys::observer(context))
        .in_run(context.ledgers.inner().run.clone());
    recorder.event(what, reason, result, class, std::time::Duration::ZERO)?;
    if let Some(head) = runtime.block_on(recorder.finish())? {
        place.remember(context, &Remembered::new(&known.identity, Some(&head.checkpoint)));
    }
    Ok(())
}

fn open_known(
    context: &Context,
    runtime: &Arc<Runtime>,
    place: LedgerPlace,
    known: Known,
    next: Arc<dyn Observer>,
    subject: &Subject<'_>,
) -> Result<Arc<dyn Observer>, CliError> {
    if known.remembered.is_none() {
        place.remember(context, &Remembered::new(&known.identity, None));
    }
    let spool = place.spool(context)?;
    let ledger = known.writer(&place)?;
    if let Some(ledger) = ledger.clone() {
        // Asked for now, so that it has arrived when the first key is used. What fails here fails there again.
        runtime.spawn(async move { drop(ledger.prepare().await) });
    }
    let sink = match (&ledger, spool) {
        (Some(ledger), None) => Sink::Ledger(Arc::clone(ledger)),
        (Some(ledger), Some(spool)) => Sink::LedgerOrSpool(Arc::clone(ledger), spool),
        (None, Some(spool)) => Sink::Spool(spool),
        (None, None) => Sink::Closed(no_key(&place)),
    };
    let mut recorder = Recorder::new(sink, actor(context), next)
        .in_run(context.ledgers.inner().run.clone())
        .with_key_ids(provider_keys::by_label(subject.keyholders));
    if let Some((keyring, record)) =
        subject.keyring.and_then(|keyring| Some((keyring, keyring.dataset(subject.dataset)?)))
    {
        recorder = recorder.with_decision(Decision {
            policy: format!("read: {}; write: {}", record.read_policy, record.write_policy),
            keyring: keyring.version,
            verdict: Verdict::Allowed,
            approvals: Vec::new(),
        });
    }
    let recorder = Arc::new(recorder);
    context.ledgers.inner().opened.push(Opened {
        recorder: Arc::clone(&recorder),
        ledger,
        place,
        runtime: Arc::clone(runtime),
        reason: subject.reason.clone(),
        vault: subject.keyring.map(|keyring| keyring.vault.to_hex()),
        dataset: subject.dataset.to_owned(),
    });
    Ok(recorder)
}
