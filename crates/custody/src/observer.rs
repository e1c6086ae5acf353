//! Who is told of every key use, before and after.

use crate::{
    holder::{HolderError, Operation},
    reason::Reason,
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use strongroom_format::context::Context;
use thiserror::Error;

/// One call of one keyholder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyUse {
    /// Wrap or unwrap.
    pub operation: Operation,
    /// The keyholder's label.
    pub holder: String,
    /// The keyholder's kind.
    pub kind: String,
    /// What the key is for.
    pub context: Context,
    /// Why it is used.
    pub reason: Reason,
    /// 1 for the first call; more where a keyholder that could not be reached is asked again.
    pub attempt: u32,
}

/// How a call of a keyholder ended.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// How long the call took.
    pub duration: Duration,
    /// The provider's id of the request, where there is one.
    pub request_id: Option<&'a str>,
    /// The failure, if it was one.
    pub failure: Option<&'a HolderError>,
}

/// An observer could not record a key use, or forbids it.
#[derive(Debug, Error)]
#[error("{what}")]
pub struct Refusal {
    /// What went wrong.
    pub what: String,
    /// Why.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Refusal {
    /// A refusal without a deeper cause.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }
}

/// Is told of every key use. No record, no key use.
#[async_trait]
pub trait Observer: Send + Sync {
    /// Called before the keyholder is.
    ///
    /// # Errors
    /// [`Refusal`]: the keyholder is not called.
    async fn before(&self, key_use: &KeyUse) -> Result<(), Refusal>;

    /// Called after the keyholder was.
    ///
    /// # Errors
    /// [`Refusal`]: what the keyholder returned is wiped and not handed out.
    async fn after(&self, key_use: &KeyUse, outcome: &Outcome<'_>) -> Result<(), Refusal>;
}

/// Records nothing: for a vault without a ledger.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

#[async_trait]
impl Observer for Unobserved {
    async fn before(&self, _: &KeyUse) -> Result<(), Refusal> {
        Ok(())
    }

    async fn after(&self, _: &KeyUse, _: &Outcome<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Remembers every key use, so that tests can count what a command costs.
#[derive(Debug, Default)]
pub struct CountingObserver {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    intents: Vec<KeyUse>,
    outcomes: Vec<(KeyUse, bool)>,
}

impl CountingObserver {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every key use that was announced, in order.
    #[must_use]
    pub fn intents(&self) -> Vec<KeyUse> {
        self.seen().intents.clone()
    }

    /// Every key use that ended, in order, and whether it succeeded.
    #[must_use]
    pub fn outcomes(&self) -> Vec<(KeyUse, bool)> {
        self.seen().outcomes.clone()
    }

    /// How often keyholders were called for `operation`, failures included.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> usize {
        self.seen().intents.iter().filter(|intent| intent.operation == operation).count()
    }

    /// How often each keyholder was called for `operation`.
    #[must_use]
    pub fn calls_by_holder(&self, operation: Operation) -> BTreeMap<String, usize> {
        let mut calls = BTreeMap::new();
        for intent in self.seen().intents.iter().filter(|intent| intent.operation == operation) {
            *calls.entry(intent.holder.clone()).or_default() += 1;
        }
        calls
    }

    /// Forgets everything.
    pub fn reset(&self) {
        *self.seen() = Seen::default();
    }
}

#[async_trait]
impl Observer for CountingObserver {
    async fn before(&self, key_use: &KeyUse) -> Result<(), Refusal> {
        self.seen().intents.push(key_use.clone());
        Ok(())
    }

    async fn after(&self, key_use: &KeyUse, outcome: &Outcome<'_>) -> Result<(), Refusal> {
        self.seen().outcomes.push((key_use.clone(), outcome.failure.is_none()));
        Ok(())
    }
}
