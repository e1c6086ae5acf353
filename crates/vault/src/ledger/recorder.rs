//! Key uses become entries: an intent before, an outcome after.
//!
//! The intent is durable before the keyholder is called. The outcome is handed to the ledger at once and committed
//! without anybody waiting for it; [`Recorder::finish`] waits. A program that dies between the two leaves an intent
//! without an outcome, which says so.

use jiff::Timestamp;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use strongroom_custody::{
    HolderError, Operation, Reason,
    observer::{KeyUse, Observer, Outcome as Ended, Refusal},
};
use strongroom_format::{Entropy, SystemEntropy, context::Context};
use strongroom_ledger::{
    Ledger, LedgerError,
    checkpoint::SignedCheckpoint,
    entry::{
        Code, Decision, Entry, KeyContext, OperationId, Outcome, OutcomeResult, Phase, SCHEMA, Ticket, Time,
        Verb, What, Who, Why,
    },
    personal::{Field, Opening},
    sha256_hex,
    spool::Spool,
};

/// Where entries go.
#[derive(Debug)]
pub enum Sink {
    /// Nowhere: every key use is refused, for this reason.
    Closed(String),
    /// To a ledger.
    Ledger(Arc<Ledger>),
    /// To a ledger, or to a spool where it cannot be reached.
    LedgerOrSpool(Arc<Ledger>, Spool),
    /// To a spool.
    Spool(Spool),
}

/// Who acts, and with what.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    /// The person.
    pub human: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The workload, which is not personal.
    pub workload: Option<String>,
    /// The program and its version.
    pub program: String,
}

/// One run of a program: what its recorders share. Clones are the same run.
#[derive(Debug, Clone)]
pub struct Run {
    operation: OperationId,
    steps: Arc<AtomicU32>,
}

impl Run {
    /// A new run, which begins now.
    #[must_use]
    pub fn new() -> Self {
        let mut random = [0; 10];
        SystemEntropy.fill(&mut random);
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
        Self { operation: OperationId::new(now, random), steps: Arc::default() }
    }

    /// The id that all its entries share.
    #[must_use]
    pub fn operation(&self) -> OperationId {
        self.operation
    }
}

impl Default for Run {
    fn default() -> Self {
        Self::new()
    }
}

type Use = (Operation, String, Context);

/// Writes key uses and acts into a ledger. One for each run of a program.
pub struct Recorder {
    sink: Sink,
    next: Arc<dyn Observer>,
    run: Run,
    who: Who,
    openings: Mutex<Vec<Opening>>,
    salt: [u8; 32],
    key_ids: BTreeMap<String, String>,
    decision: Option<Decision>,
    running: Mutex<HashMap<Use, u32>>,
    spooled: AtomicBool,
    used: AtomicBool,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("sink", &self.sink).field("run", &self.run).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn verb(operation: Operation) -> Verb {
    match operation {
        Operation::Unwrap => Verb::Unwrap,
        Operation::Wrap => Verb::Wrap,
    }
}

/// A failure's class, and whether somebody refused.
fn class(error: &HolderError) -> (&'static str, OutcomeResult) {
    use OutcomeResult::{Failed, Refused};
    match error {
        HolderError::Denied(_) => ("denied", Refused),
        HolderError::Disabled(_) => ("disabled", Refused),
        HolderError::PendingDeletion(_) => ("pending-deletion", Refused),
        HolderError::Deleted(_) => ("deleted", Refused),
        HolderError::Throttled(_) => ("throttled", Failed),
        HolderError::Unreachable(_) => ("unreachable", Failed),
        HolderError::NotAsked => ("not-asked", Failed),
        HolderError::WrongSecret(_) => ("wrong-secret", Failed),
        HolderError::NoSecret(_) => ("no-secret", Failed),
        HolderError::WrongContext => ("wrong-context", Refused),
        HolderError::Tampered => ("tampered", Refused),
        _ => ("failed", Failed),
    }
}

fn refusal(error: LedgerError) -> Refusal {
    Refusal { what: "the key use could not be written into the ledger".into(), source: Some(Box::new(error)) }
}

impl Recorder {
    /// A recorder; `next` is told of every key use as well.
    #[must_use]
    pub fn new(sink: Sink, actor: Actor, next: Arc<dyn Observer>) -> Self {
        let mut entropy = SystemEntropy;
        let mut salt = [0; 32];
        entropy.fill(&mut salt);
        let mut openings = Vec::new();
        let mut hide = |field, value: Option<String>| {
            let opening = Opening::new(field, value?, salt);
            let commitment = opening.commitment();
            openings.push(opening);
            Some(commitment)
        };
        let human = hide(Field::Human, actor.human);
        let host = hide(Field::Host, actor.host);
        let who = Who { human, workload: actor.workload, host, program: actor.program };
        Self {
            sink,
            next,
            run: Run::new(),
            who,
            openings: Mutex::new(openings),
            salt,
            key_ids: BTreeMap::new(),
            decision: None,
            running: Mutex::default(),
            spooled: AtomicBool::new(false),
            used: AtomicBool::new(false),
        }
    }

    /// The same, with the providers' names of keyholders' keys, by labels.
    #[must_use]
    pub fn with_key_ids(self, key_ids: BTreeMap<String, String>) -> Self {
        Self { key_ids, ..self }
    }

    /// The same, as a part of this run.
    #[must_use]
    pub fn in_run(self, run: Run) -> Self {
        Self { run, ..self }
    }

    /// The same, under this decision.
    #[must_use]
    pub fn with_decision(self, decision: Decision) -> Self {
        Self { decision: Some(decision), ..self }
    }

    /// The id that all entries of this run share.
    #[must_use]
    pub fn operation(&self) -> OperationId {
        self.run.operation
    }

    /// Whether entries went to a spool.
    #[must_use]
    pub fn has_spooled(&self) -> bool {
        self.spooled.load(Ordering::Relaxed)
    }

    /// Whether anything was recorded.
    #[must_use]
    pub fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    fn why(&self, reason: &Reason) -> Option<Why> {
        let code = Code::parse(reason.code.as_str())?;
        let ticket = reason.text.as_deref().and_then(Ticket::parse);
        let words = match (&reason.text, &ticket) {
            (Some(text), None) => {
                let opening = Opening::new(Field::Words, text.clone(), self.salt);
                let commitment = opening.commitment();
                let mut openings = lock(&self.openings);
                if !openings.contains(&opening) && !self.was_used() {
                    openings.push(opening);
                }
                Some(commitment)
            }
            _ => None,
        };
        Some(Why { code, ticket, words })
    }

    fn entry(&self, phase: Phase, what: What, reason: &Reason) -> Result<Entry, LedgerError> {
        let malformed = || {
            LedgerError::Entry(strongroom_ledger::entry::EntryError::Malformed(
                "its reason has no valid code".into(),
            ))
        };
        Ok(Entry {
            schema: SCHEMA.into(),
            phase,
            operation: self.run.operation,
            time: Time::new(Timestamp::now()),
            who: self.who.clone(),
            what,
            why: self.why(reason).ok_or_else(malformed)?,
            decision: self.decision.clone(),
            step: 0,
            attempt: 0,
            outcome: None,
            spooled: None,
        })
    }

    fn key_use(&self, phase: Phase, key_use: &KeyUse) -> Result<Entry, LedgerError> {
        let context = &key_use.context;
        let what = What {
            keyholder: Some(key_use.holder.clone()),
            kind: Some(key_use.kind.clone()),
            key_id: self.key_ids.get(&key_use.holder).cloned(),
            context: Some(KeyContext {
                hash: sha256_hex(&context.canonical()),
                vault: context.vault.to_hex(),
                dataset: context.dataset.clone(),
                purpose: context.purpose.to_string(),
                epoch: context.epoch,
            }),
            ..What::new(verb(key_use.operation))
        };
        let id = (key_use.operation, key_use.holder.clone(), context.clone());
        let step = match phase {
            Phase::Intent if key_use.attempt <= 1 => {
                let step = self.run.steps.fetch_add(1, Ordering::Relaxed) + 1;
                lock(&self.running).insert(id, step);
                step
            }
            _ => lock(&self.running).get(&id).copied().unwrap_or(0),
        };
        let entry = self.entry(phase, what, &key_use.reason)?;
        Ok(Entry { step, attempt: key_use.attempt, ..entry })
    }

    /// Keeps what commitments hide. That it could not be kept loses no evidence, only a name.
    async fn keep_openings(&self, ledger: &Ledger) {
        let openings = std::mem::take(&mut *lock(&self.openings));
        for opening in openings {
            let _ = ledger.keep_opening(&opening).await;
        }
    }

    fn to_spool(&self, spool: &Spool, entry: Entry) -> Result<(), LedgerError> {
        self.spooled.store(true, Ordering::Relaxed);
        spool.append(entry)
    }

    /// Writes an entry and waits until it is durable.
    async fn durable(&self, entry: Entry) -> Result<(), LedgerError> {
        let ledger = match &self.sink {
            Sink::Closed(why) => return Err(LedgerError::Closed(why.clone())),
            Sink::Spool(spool) => return self.to_spool(spool, entry),
            Sink::LedgerOrSpool(_, spool) if self.has_spooled() => return self.to_spool(spool, entry),
            Sink::Ledger(ledger) | Sink::LedgerOrSpool(ledger, _) => ledger,
        };
        let bytes = entry.encode()?;
        let (appended, ()) = tokio::join!(ledger.append(bytes), self.keep_openings(ledger));
        match (appended, &self.sink) {
            (Err(error), Sink::LedgerOrSpool(_, spool)) if !error.is_integrity() => {
                self.to_spool(spool, entry)
            }
            (appended, _) => appended.map(drop),
        }
    }

    /// Writes an entry without waiting.
    fn soon(&self, entry: Entry) -> Result<(), LedgerError> {
        match &self.sink {
            Sink::Closed(why) => Err(LedgerError::Closed(why.clone())),
            Sink::Spool(spool) => self.to_spool(spool, entry),
            Sink::LedgerOrSpool(_, spool) if self.has_spooled() => self.to_spool(spool, entry),
            Sink::Ledger(ledger) | Sink::LedgerOrSpool(ledger, _) => {
                ledger.enqueue(entry.encode()?)?;
                let ledger = Arc::clone(ledger);
                // What fails here stays queued, and fails `finish`.
                tokio::spawn(async move { drop(ledger.commit().await) });
                Ok(())
            }
        }
    }

    /// Writes that something was done, or was tried. [`Recorder::finish`] makes it durable.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn event(
        &self,
        what: What,
        reason: &Reason,
        result: OutcomeResult,
        class: Option<String>,
        duration: Duration,
    ) -> Result<(), LedgerError> {
        let entry = self.entry(Phase::Event, what, reason)?;
        let outcome = Outcome { result, class, request_id: None, duration_us: micros(duration) };
        let entry = Entry { outcome: Some(outcome), ..entry };
        self.used.store(true, Ordering::Relaxed);
        match &self.sink {
            Sink::Closed(why) => Err(LedgerError::Closed(why.clone())),
            Sink::Spool(spool) => self.to_spool(spool, entry),
            Sink::LedgerOrSpool(_, spool) if self.has_spooled() => self.to_spool(spool, entry),
            Sink::Ledger(ledger) | Sink::LedgerOrSpool(ledger, _) => ledger.enqueue(entry.encode()?),
        }
    }

    /// Waits until everything is durable and published; the newest checkpoint. `None` where nothing was recorded, or
    /// all of it is in a spool.
    ///
    /// # Errors
    /// [`LedgerError`]: an outcome may be missing.
    pub async fn finish(&self) -> Result<Option<SignedCheckpoint>, LedgerError> {
        match &self.sink {
            Sink::Ledger(ledger) | Sink::LedgerOrSpool(ledger, _)
                if self.was_used() && !self.has_spooled() =>
            {
                self.keep_openings(ledger).await;
                ledger.flush().await.map(Some)
            }
            _ => Ok(None),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).min((1 << 53) - 1)
}

#[async_trait::async_trait]
impl Observer for Recorder {
    async fn before(&self, key_use: &KeyUse) -> Result<(), Refusal> {
        self.next.before(key_use).await?;
        if let Sink::Closed(why) = &self.sink {
            return Err(refusal(LedgerError::Closed(why.clone())));
        }
        let entry = self.key_use(Phase::Intent, key_use).map_err(refusal)?;
        let written = self.durable(entry).await.map_err(refusal);
        self.used.store(true, Ordering::Relaxed);
        written
    }

    async fn after(&self, key_use: &KeyUse, ended: &Ended<'_>) -> Result<(), Refusal> {
        self.next.after(key_use, ended).await?;
        let (class, result) = match ended.failure.map(class) {
            Some((class, result)) => (Some(class.to_owned()), result),
            None => (None, OutcomeResult::Success),
        };
        let outcome = Outcome {
            result,
            class,
            request_id: ended.request_id.map(str::to_owned),
            duration_us: micros(ended.duration),
        };
        let entry = self.key_use(Phase::Outcome, key_use).map_err(refusal)?;
        self.soon(Entry { outcome: Some(outcome), ..entry }).map_err(refusal)
    }
}
