//! A store that fails when it is told to.

use super::at;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use strongroom_vault::store::{ObjectInfo, Operation, Put, Store, StoreError};

/// Whether the operation that fails takes effect. Its caller cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The operation is done, and its answer is lost.
    Done,
    /// The operation is not done.
    None,
}

/// What the caller of the operation that fails is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failure {
    /// [`StoreError::Unreachable`].
    #[default]
    Unreachable,
    /// [`StoreError::Full`].
    Full,
    /// [`StoreError::Denied`].
    Denied,
}

/// Which operation fails, and what happens afterwards.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The kinds that are counted and can fail; empty means all mutations.
    pub operations: Vec<Operation>,
    /// How many of them succeed first.
    pub after: u64,
    /// Whether the one that fails takes effect.
    pub effect: Effect,
    /// Whether every later operation of any kind fails too, without effect, as for a host that has crashed.
    pub crash: bool,
    /// With which error.
    pub failure: Failure,
}

/// A store with at most one planned [`Fault`].
#[derive(Debug)]
pub struct FaultStore {
    inner: Arc<dyn Store>,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    fault: Option<Fault>,
    seen: u64,
    fired: bool,
}

enum Fate {
    Fine,
    FailsAfter,
    FailsBefore,
}

impl FaultStore {
    /// Wraps a store; nothing fails yet.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// Plans a fault in the place of the last one, and counts from zero.
    pub fn arm(&self, fault: Fault) {
        *self.plan() = Plan { fault: Some(fault), seen: 0, fired: false };
    }

    /// Plans nothing any more: the host is up again.
    pub fn heal(&self) {
        *self.plan() = Plan::default();
    }

    /// Whether the planned fault has happened. A sweep over `after` ends when it has not.
    #[must_use]
    pub fn fired(&self) -> bool {
        self.plan().fired
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self, operation: Operation) -> Fate {
        let mut plan = self.plan();
        let Some(fault) = plan.fault.clone() else { return Fate::Fine };
        if plan.fired {
            return if fault.crash { Fate::FailsBefore } else { Fate::Fine };
        }
        let counted = if fault.operations.is_empty() {
            operation.is_mutation()
        } else {
            fault.operations.contains(&operation)
        };
        if !counted {
            return Fate::Fine;
        }
        plan.seen += 1;
        if plan.seen <= fault.after {
            return Fate::Fine;
        }
        plan.fired = true;
        match fault.effect {
            Effect::Done => Fate::FailsAfter,
            Effect::None => Fate::FailsBefore,
        }
    }

    async fn run<T: Send>(
        &self,
        operation: Operation,
        name: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let fate = self.fate(operation);
        let kind = self.plan().fault.as_ref().map(|fault| fault.failure).unwrap_or_default();
        let failure = || {
            let (at, reason) = (at(&*self.inner, operation, name), "planned by the test".to_owned());
            match kind {
                Failure::Unreachable => StoreError::Unreachable { at, attempts: 1, reason, source: None },
                Failure::Full => StoreError::Full { at, reason, source: None },
                Failure::Denied => StoreError::Denied { at, reason, source: None },
            }
        };
        match fate {
            Fate::Fine => work.await,
            Fate::FailsBefore => Err(failure()),
            Fate::FailsAfter => {
                work.await?;
                Err(failure())
            }
        }
    }
}

#[async_trait]
impl Store for FaultStore {
    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put, StoreError> {
        self.run(Operation::PutNew, name, self.inner.put_new(name, bytes)).await
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.run(Operation::Put, name, self.inner.put(name, bytes)).await
    }

    async fn get(&self, name: &str, max_len: u64) -> Result<Bytes, StoreError> {
        self.run(Operation::Get, name, self.inner.get(name, max_len)).await
    }

    async fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        self.run(Operation::GetRange, name, self.inner.get_range(name, offset, len)).await
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectInfo>, StoreError> {
        self.run(Operation::Stat, name, self.inner.stat(name)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        self.run(Operation::List, prefix, self.inner.list(prefix)).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.run(Operation::Delete, name, self.inner.delete(name)).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
