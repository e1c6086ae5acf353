//! A store that fails at one call of the caller's choice, before or after it took effect, and then is gone for good
//! or comes back.

use async_trait::async_trait;
use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use strongroom_ledger::store::{
    Cause, Created, LedgerStore, StoreError, Stored, Swapped, Version, memory::Memory,
};

/// What happens to the call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It has no effect; nor has any later one: the process died.
    DiesBefore,
    /// It takes effect, and nobody learns of it; nothing works afterwards.
    DiesAfter,
    /// It has no effect; later ones work.
    LostRequest,
    /// It takes effect, and nobody learns of it; later ones work.
    LostAnswer,
}

impl Fault {
    pub(crate) const ALL: [Self; 4] =
        [Self::DiesBefore, Self::DiesAfter, Self::LostRequest, Self::LostAnswer];
}

#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) inner: Arc<Memory>,
    calls: AtomicU64,
    at: u64,
    fault: Fault,
    dead: AtomicBool,
}

impl Faulty {
    pub(crate) fn new(inner: Arc<Memory>, at: u64, fault: Fault) -> Self {
        Self { inner, calls: AtomicU64::new(0), at, fault, dead: AtomicBool::new(false) }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn error(name: &str) -> StoreError {
        StoreError {
            cause: Cause::Unreachable,
            operation: "do anything with",
            name: name.into(),
            store: "a faulty store".into(),
            source: None,
        }
    }

    /// Whether this call is to take effect, and whether its caller learns of it.
    fn next(&self) -> (bool, bool) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.dead.load(Ordering::SeqCst) {
            return (false, false);
        }
        if call != self.at {
            return (true, true);
        }
        self.dead.store(matches!(self.fault, Fault::DiesBefore | Fault::DiesAfter), Ordering::SeqCst);
        (matches!(self.fault, Fault::DiesAfter | Fault::LostAnswer), false)
    }

    async fn call<T>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        // Others come in between.
        tokio::task::yield_now().await;
        let (effect, told) = self.next();
        if !effect {
            return Err(Self::error(name));
        }
        let done = work.await;
        if told { done } else { Err(Self::error(name)) }
    }
}

#[async_trait]
impl LedgerStore for Faulty {
    async fn get(&self, name: &str, max_len: usize) -> Result<Option<Stored>, StoreError> {
        self.call(name, self.inner.get(name, max_len)).await
    }

    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        self.call(name, self.inner.put_new(name, bytes)).await
    }

    async fn swap(
        &self,
        name: &str,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Swapped, StoreError> {
        self.call(name, self.inner.swap(name, expected, bytes)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.call(prefix, self.inner.list(prefix)).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.call(name, self.inner.delete(name)).await
    }

    fn describe(&self) -> String {
        "a faulty store".into()
    }
}
