//! How long unwrapped read keys live: a lease for each epoch, at whose end the epoch's key and every key that was
//! opened with it are wiped, whether or not anybody asks.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use strongroom_format::{keys::EpochPrivateKey, seal::SealKey};

/// The open keys of a dataset.
pub(crate) struct Leases {
    shared: Arc<Shared>,
}

struct Shared {
    opened: Mutex<Opened>,
    /// Something was opened, or nobody is left who could use it.
    changed: Condvar,
}

/// What is open, by epoch.
pub(crate) struct Opened {
    lease: Duration,
    epochs: HashMap<u32, Epoch>,
    /// The last user is gone.
    is_over: bool,
    /// A thread ends the leases.
    is_watched: bool,
}

struct Epoch {
    until: Instant,
    private: EpochPrivateKey,
    groups: HashMap<[u8; 32], Arc<SealKey>>,
}

impl Leases {
    pub(crate) fn new(lease: Duration) -> Self {
        let opened = Opened { lease, epochs: HashMap::new(), is_over: false, is_watched: false };
        Self { shared: Arc::new(Shared { opened: Mutex::new(opened), changed: Condvar::new() }) }
    }

    /// What is open now, for one thread at a time.
    pub(crate) fn opened(&self) -> Locked<'_> {
        let mut opened = self.shared.lock();
        opened.end_leases(Instant::now());
        Locked { opened, shared: &self.shared }
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        let mut opened = self.shared.lock();
        opened.is_over = true;
        opened.epochs.clear();
        self.shared.changed.notify_all();
    }
}

/// What is open, while no other thread changes it.
pub(crate) struct Locked<'l> {
    opened: MutexGuard<'l, Opened>,
    shared: &'l Arc<Shared>,
}

impl Locked<'_> {
    pub(crate) fn private(&self, epoch: u32) -> Option<&EpochPrivateKey> {
        self.opened.epochs.get(&epoch).map(|epoch| &epoch.private)
    }

    pub(crate) fn group(&self, epoch: u32, salt: &[u8; 32]) -> Option<Arc<SealKey>> {
        self.opened.epochs.get(&epoch)?.groups.get(salt).cloned()
    }

    /// Keeps an epoch's key for one lease, which begins now.
    pub(crate) fn keep(&mut self, epoch: u32, private: EpochPrivateKey) {
        let until = Instant::now() + self.opened.lease;
        self.opened.epochs.insert(epoch, Epoch { until, private, groups: HashMap::new() });
        if !self.opened.is_watched {
            let shared = Arc::clone(self.shared);
            // Without a thread the leases still end, when the keys are asked for next.
            self.opened.is_watched =
                thread::Builder::new().name("leases".into()).spawn(move || shared.watch()).is_ok();
        }
        self.shared.changed.notify_all();
    }

    /// Keeps the key of a group as long as that of its epoch.
    pub(crate) fn keep_group(&mut self, epoch: u32, salt: [u8; 32], key: &Arc<SealKey>) {
        if let Some(epoch) = self.opened.epochs.get_mut(&epoch) {
            epoch.groups.insert(salt, Arc::clone(key));
        }
    }
}

impl Opened {
    fn end_leases(&mut self, now: Instant) {
        self.epochs.retain(|_, epoch| now < epoch.until);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut opened = self.lock();
        while !opened.is_over {
            let now = Instant::now();
            opened.end_leases(now);
            opened = match opened.epochs.values().map(|epoch| epoch.until).min() {
                Some(until) => {
                    let waited = self.changed.wait_timeout(opened, until.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(opened).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}
