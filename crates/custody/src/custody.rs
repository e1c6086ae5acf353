//! Wrapping and unwrapping under a policy, and the one function in which a keyholder is called.

use crate::{
    holder::{HolderError, HolderState, Keyholder, Operation},
    holders::{self, left_out::LeftOut},
    observer::{KeyUse, Observer, Outcome, Refusal},
    opening::Opening,
    policy::{self, PolicyError},
    reason::Reason,
    seats,
    secrets::Secrets,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use strongroom_format::{
    FormatError, Secret32,
    context::{Context, WHOLE_VAULT, valid_label},
    keyring::{KeyholderSpec, PolicyTree, Wrap, WrappedKey},
};
use thiserror::Error;

/// How one keyholder failed.
#[derive(Debug)]
pub struct Failure {
    /// Its label.
    pub holder: String,
    /// Its kind.
    pub kind: String,
    /// Why.
    pub error: HolderError,
}

impl fmt::Display for Failure {
    /// In words, the cause included, because a list of failures has no chain of causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.holder, self.kind, self.error)?;
        let mut source = std::error::Error::source(&self.error);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Why a key was not wrapped or unwrapped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CustodyError {
    /// No keyholder, or not every one that was needed, did what it was asked.
    #[error("the {} could not be {}:{}", Named(context), past(*operation), Listed(failures))]
    Refused {
        /// What was asked.
        operation: Operation,
        /// Which key.
        context: Box<Context>,
        /// Every keyholder tried or passed over, in order, and why.
        failures: Vec<Failure>,
    },
    /// A keyholder gave back another key than the one that was wrapped, or several gave shares of another one.
    #[error("`{holder}` opened the {}, but it is not the key that the vault names", Named(context))]
    Integrity {
        /// The keyholder's label, or the part of the policy that was put together.
        holder: String,
        /// Which key.
        context: Box<Context>,
    },
    /// The key use could not be recorded, or was forbidden; no key was handed out.
    #[error("the use of keyholder `{holder}` was stopped because it could not be recorded")]
    Unrecorded {
        /// Its label.
        holder: String,
        /// Why.
        #[source]
        source: Refusal,
    },
    /// The policy cannot be used here.
    #[error("the policy cannot be used")]
    Policy(#[source] PolicyError),
    /// The wrapped key breaks a rule of the format.
    #[error("the {} is malformed", Named(context))]
    Malformed {
        /// Which key.
        context: Box<Context>,
        /// What is wrong.
        #[source]
        source: FormatError,
    },
    /// A request or an approval is of no use.
    #[error(transparent)]
    Quorum(#[from] crate::quorum::QuorumError),
    /// The dataset in a context has no valid name.
    #[error("`{0:?}` is no dataset name")]
    Context(String),
}

impl CustodyError {
    /// How each keyholder failed, where keyholders were tried.
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        match self {
            Self::Refused { failures, .. } => failures,
            _ => &[],
        }
    }
}

fn past(operation: Operation) -> &'static str {
    match operation {
        Operation::Unwrap => "opened",
        Operation::Wrap => "wrapped",
    }
}

/// `read key of dataset home, epoch 3`.
struct Named<'a>(&'a Context);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Context { dataset, purpose, epoch, .. } = self.0;
        if dataset == WHOLE_VAULT {
            write!(f, "{purpose} key of the whole vault")?;
        } else {
            write!(f, "{purpose} key of dataset `{dataset}`")?;
        }
        if *epoch > 0 { write!(f, ", epoch {epoch}") } else { Ok(()) }
    }
}

struct Listed<'a>(&'a [Failure]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|failure| write!(f, "\n  {failure}"))
    }
}

/// How a keyholder that cannot be reached is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Most calls of one keyholder for one key.
    pub attempts: u32,
    /// The pause before the second call; it doubles before each further one.
    pub pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 4, pause: Duration::from_millis(250) }
    }
}

/// What a keyholder is asked to do, and with what.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// Open what it wrapped.
    Unwrap(&'a [u8]),
    /// Wrap this key.
    Wrap(&'a Secret32),
}

impl Work<'_> {
    fn operation(self) -> Operation {
        match self {
            Self::Unwrap(_) => Operation::Unwrap,
            Self::Wrap(_) => Operation::Wrap,
        }
    }
}

/// What a keyholder returned.
#[derive(Debug)]
pub enum Product {
    /// The key that it opened.
    Key(Secret32),
    /// What it wrapped the key into.
    Wrapped(Vec<u8>),
}

enum Slot {
    Usable(Arc<dyn Keyholder>),
    /// It cannot be used, for a reason that [`holders::build`] gives each time.
    Unusable(KeyholderSpec),
}

/// The keyholders of a vault, with what this machine has to use them.
pub struct Custody {
    slots: BTreeMap<String, Slot>,
    secrets: Secrets,
    observer: Arc<dyn Observer>,
    retry: Retry,
    lease: Duration,
}

/// How long an unwrapped read key lives where nothing else is said.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(300);

impl Custody {
    /// The keyholders that a keyring describes. One that this program cannot use is no failure until it is needed.
    #[must_use]
    pub fn new(
        specs: &BTreeMap<String, KeyholderSpec>,
        secrets: Secrets,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let slot = |(label, spec): (&String, &KeyholderSpec)| {
            let slot = match holders::build(label, spec, &secrets) {
                Ok(holder) => Slot::Usable(holder),
                Err(_) => Slot::Unusable(spec.clone()),
            };
            (label.clone(), slot)
        };
        let slots = specs.iter().map(slot).collect();
        Self { slots, secrets, observer, retry: Retry::default(), lease: DEFAULT_LEASE }
    }

    /// These keyholders.
    #[must_use]
    pub fn from_holders(
        holders: impl IntoIterator<Item = Arc<dyn Keyholder>>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let slots =
            holders.into_iter().map(|holder| (holder.label().to_owned(), Slot::Usable(holder))).collect();
        Self { slots, secrets: Secrets::none(), observer, retry: Retry::default(), lease: DEFAULT_LEASE }
    }

    /// The same, asking unreachable keyholders again in this way.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// The same, with unwrapped read keys that live this long.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// The same with one keyholder alone: the others are left out, whatever this machine has for them.
    #[must_use]
    pub fn only(&self, label: &str) -> Self {
        let kept = |(name, slot): (&String, &Slot)| {
            let slot = match slot {
                Slot::Usable(holder) if name == label => Slot::Usable(Arc::clone(holder)),
                Slot::Unusable(spec) if name == label => Slot::Unusable(spec.clone()),
                Slot::Usable(holder) => Slot::Usable(LeftOut::in_place_of(name, holder.kind())),
                Slot::Unusable(spec) => Slot::Usable(LeftOut::in_place_of(name, &spec.kind)),
            };
            (name.clone(), slot)
        };
        Self {
            slots: self.slots.iter().map(kept).collect(),
            secrets: self.secrets.clone(),
            observer: Arc::clone(&self.observer),
            retry: self.retry,
            lease: self.lease,
        }
    }

    /// How long a read key may be kept once it was unwrapped. Who needs it for longer asks the keyholders again, which
    /// shows in their logs, and which they can refuse.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// The keyholder with this label, where this program knows its kind.
    #[must_use]
    pub fn holder(&self, label: &str) -> Option<&Arc<dyn Keyholder>> {
        match self.slots.get(label) {
            Some(Slot::Usable(holder)) => Some(holder),
            _ => None,
        }
    }

    /// What a keyholder could do now, told without using its key.
    pub async fn state(&self, label: &str) -> HolderState {
        match self.slots.get(label) {
            Some(Slot::Usable(holder)) => holder.state().await,
            Some(Slot::Unusable(spec)) => match holders::build(label, spec, &self.secrets) {
                Err(error) => HolderState::Unknown(error.to_string()),
                Ok(holder) => holder.state().await,
            },
            None => HolderState::Unknown("the keyring does not know it".into()),
        }
    }

    /// The labels of all keyholders.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }

    /// Wraps `key` by every keyholder of the policy.
    ///
    /// # Errors
    /// [`CustodyError::Refused`] where one of them cannot; none is called where this machine lacks
    /// what one of them needs. Others as [`CustodyError`] says.
    pub async fn wrap_key(
        &self,
        policy: &PolicyTree,
        context: &Context,
        key: &Secret32,
        reason: &Reason,
    ) -> Result<WrappedKey, CustodyError> {
        check_context(context)?;
        policy::validate(policy, self.labels()).map_err(CustodyError::Policy)?;
        let refused = |failures| CustodyError::Refused {
            operation: Operation::Wrap,
            context: Box::new(context.clone()),
            failures,
        };
        let mut seats = Vec::new();
        let mut failures = Vec::new();
        for seat in seats::deal(policy, key) {
            match self.usable(seat.label, Operation::Wrap) {
                Ok(holder) => seats.push((holder, seat)),
                Err(failure) => failures.push(*failure),
            }
        }
        if !failures.is_empty() {
            return Err(refused(failures));
        }
        let mut wraps = Vec::new();
        for (holder, seat) in seats {
            match self.ask(Work::Wrap(&seat.secret), &**holder, context, reason).await? {
                Ok(Product::Wrapped(blob)) => wraps.push(Wrap {
                    holder: seat.label.to_owned(),
                    commitment: seat.is_share.then(|| seat.secret.commitment()),
                    blob,
                }),
                Ok(Product::Key(_)) => {}
                Err(error) => return Err(refused(vec![failure(&**holder, error)])),
            }
        }
        let wrapped = WrappedKey { policy: policy.clone(), commitment: key.commitment(), wraps };
        check_wrapped(&wrapped, context)?;
        Ok(wrapped)
    }

    /// Opens `wrapped`: asks as few keyholders as the policy needs, of those that this machine can use the
    /// cheapest first. None is asked where they do not suffice.
    ///
    /// # Errors
    /// [`CustodyError::Refused`] with every keyholder and its failure; [`CustodyError::Integrity`] where what was
    /// opened is not the key or the share that `wrapped` commits to. Others as [`CustodyError`] says.
    pub async fn unwrap_key(
        &self,
        wrapped: &WrappedKey,
        context: &Context,
        reason: &Reason,
    ) -> Result<Secret32, CustodyError> {
        check_context(context)?;
        check_wrapped(wrapped, context)?;
        Opening::new(self, wrapped, context, reason).run().await
    }

    /// The same, with these keyholders in the place of those that have their labels.
    #[must_use]
    pub fn with_holders(mut self, holders: impl IntoIterator<Item = Arc<dyn Keyholder>>) -> Self {
        for holder in holders {
            self.add_holder(holder);
        }
        self
    }

    /// Adds a keyholder.
    pub fn add_holder(&mut self, holder: Arc<dyn Keyholder>) {
        self.slots.insert(holder.label().to_owned(), Slot::Usable(holder));
    }

    /// Lets one keyholder open its part of `wrapped`, and throws away what it opened: a proof that it can.
    ///
    /// # Errors
    /// [`CustodyError::Refused`] with its failure; [`CustodyError::Integrity`] where it opened something else.
    pub async fn test_holder(
        &self,
        label: &str,
        wrapped: &WrappedKey,
        context: &Context,
        reason: &Reason,
    ) -> Result<(), CustodyError> {
        self.open_part(label, wrapped, context, reason).await.map(drop)
    }

    /// Lets one keyholder open its part of `wrapped`: the key itself, or a share of it.
    ///
    /// # Errors
    /// As [`Custody::test_holder`].
    pub(crate) async fn open_part(
        &self,
        label: &str,
        wrapped: &WrappedKey,
        context: &Context,
        reason: &Reason,
    ) -> Result<Secret32, CustodyError> {
        check_context(context)?;
        check_wrapped(wrapped, context)?;
        let refused = |failure| CustodyError::Refused {
            operation: Operation::Unwrap,
            context: Box::new(context.clone()),
            failures: vec![failure],
        };
        let holder = self.usable(label, Operation::Unwrap).map_err(|failure| refused(*failure))?;
        let Some(wrap) = wrapped.wrap_of(label) else {
            let error = HolderError::Malformed("it has no part in this key".into());
            return Err(refused(failure(&**holder, error)));
        };
        match self.ask(Work::Unwrap(&wrap.blob), &**holder, context, reason).await? {
            Ok(Product::Key(secret)) if secret.commitment() == wrapped.commitment_of(wrap) => Ok(secret),
            Ok(_) => {
                Err(CustodyError::Integrity { holder: label.to_owned(), context: Box::new(context.clone()) })
            }
            Err(error) => Err(refused(failure(&**holder, error))),
        }
    }

    /// Calls a keyholder: the only place where that is done. The observer is told before and after, and
    /// where it refuses, the keyholder is not called, or what it returned is not handed out.
    ///
    /// # Errors
    /// [`CustodyError::Unrecorded`] where the observer refuses. The inner error is the keyholder's own.
    pub async fn key_use(
        &self,
        work: Work<'_>,
        holder: &dyn Keyholder,
        context: &Context,
        reason: &Reason,
        attempt: u32,
    ) -> Result<Result<Product, HolderError>, CustodyError> {
        let key_use = KeyUse {
            operation: work.operation(),
            holder: holder.label().to_owned(),
            kind: holder.kind().to_owned(),
            context: context.clone(),
            reason: reason.clone(),
            attempt,
        };
        let unrecorded = |source| CustodyError::Unrecorded { holder: holder.label().to_owned(), source };
        self.observer.before(&key_use).await.map_err(unrecorded)?;
        let started = Instant::now();
        let result = match work {
            Work::Unwrap(blob) => holder.unwrap(context, blob).await.map(|reply| reply.map(Product::Key)),
            Work::Wrap(key) => holder.wrap(context, key).await.map(|reply| reply.map(Product::Wrapped)),
        };
        let request_id = match &result {
            Ok(reply) => reply.request_id.as_deref(),
            Err(error) => error.request_id(),
        };
        let outcome = Outcome { duration: started.elapsed(), request_id, failure: result.as_ref().err() };
        self.observer.after(&key_use, &outcome).await.map_err(unrecorded)?;
        Ok(result.map(|reply| reply.value))
    }

    /// [`Custody::key_use`], again where the keyholder cannot be reached.
    pub(crate) async fn ask(
        &self,
        work: Work<'_>,
        holder: &dyn Keyholder,
        context: &Context,
        reason: &Reason,
    ) -> Result<Result<Product, HolderError>, CustodyError> {
        let mut pause = self.retry.pause;
        let mut attempt = 1;
        loop {
            let result = self.key_use(work, holder, context, reason, attempt).await?;
            let passing = result.as_ref().is_err_and(HolderError::is_passing);
            if attempt >= self.retry.attempts || !passing {
                return Ok(result);
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
            attempt += 1;
        }
    }

    /// The keyholder, where this machine has what it needs.
    pub(crate) fn usable(
        &self,
        label: &str,
        operation: Operation,
    ) -> Result<&Arc<dyn Keyholder>, Box<Failure>> {
        match self.slots.get(label) {
            Some(Slot::Usable(holder)) => match holder.ready(operation) {
                Ok(()) => Ok(holder),
                Err(error) => Err(Box::new(failure(&**holder, error))),
            },
            Some(Slot::Unusable(spec)) => {
                let error = match holders::build(label, spec, &self.secrets) {
                    Err(error) => error,
                    Ok(_) => HolderError::Unreachable("it could not be set up before".into()),
                };
                Err(Box::new(Failure { holder: label.to_owned(), kind: spec.kind.clone(), error }))
            }
            None => Err(Box::new(Failure {
                holder: label.to_owned(),
                kind: "unknown".into(),
                error: HolderError::Malformed("the keyring does not know it".into()),
            })),
        }
    }
}

impl fmt::Debug for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custody")
            .field("holders", &self.slots.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

pub(crate) fn failure(holder: &dyn Keyholder, error: HolderError) -> Failure {
    Failure { holder: holder.label().to_owned(), kind: holder.kind().to_owned(), error }
}

/// A dataset's name with a line feed in it would let one context pass for another.
fn check_context(context: &Context) -> Result<(), CustodyError> {
    if context.dataset == WHOLE_VAULT || valid_label(&context.dataset) {
        Ok(())
    } else {
        Err(CustodyError::Context(context.dataset.clone()))
    }
}

fn check_wrapped(wrapped: &WrappedKey, context: &Context) -> Result<(), CustodyError> {
    let malformed = |source| CustodyError::Malformed { context: Box::new(context.clone()), source };
    wrapped.check("wrapped key").map_err(malformed)
}
