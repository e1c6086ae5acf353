//! Appending, by many processes at once.
//!
//! The protocol:
//! 1. Entries that wait are taken together.
//! 2. The lock object is replaced, where it still has the version that was read: this is the commit. It holds the new
//!    signed checkpoint and the entries.
//! 3. Whoever lost reads the lock anew and continues from there: its entries come after the winner's.
//! 4. Tiles, bundles and the public checkpoint follow, when the lock has grown or when the writer flushes. Only what
//!    was committed is ever written there, so two writers can only write the same.
//!
//! A replacement without an answer is never repeated blindly: the lock is read anew, and entries that are found in the
//! ledger since are not written again.

use crate::{
    checkpoint::{Checkpoint, Identity, SignedCheckpoint},
    entry::EntryError,
    error::LedgerError,
    hash::Hash,
    limits::{BATCH_MAX, ENTRY_MAX, LOCK_MAX, UNPUBLISHED_MAX},
    lock::{Head, LOCK},
    note::SigningKey,
    personal::Opening,
    publish::publish,
    reader::Reader,
    store::{LedgerStore, StoreError, Swapped, Version},
    tile::{TileId, TileKind},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Mutex as AsyncMutex, oneshot};

/// How a ledger is written.
#[derive(Debug, Clone)]
pub struct Options {
    /// Under load, commits begin at least this far apart, so that each takes more entries.
    pub commit_interval: Duration,
    /// How often other writers may come first, or a write go without an answer, before this one gives up.
    pub attempts: u32,
    /// The newest checkpoint that was seen before; what does not continue it is refused.
    pub remembered: Option<Checkpoint>,
}

impl Default for Options {
    fn default() -> Self {
        Self { commit_interval: Duration::from_millis(200), attempts: 100, remembered: None }
    }
}

/// Where an entry is, durably.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its place.
    pub index: u64,
    /// A checkpoint that covers it.
    pub checkpoint: Checkpoint,
}

type Answer = Result<Receipt, LedgerError>;

struct Waiting {
    entry: Arc<[u8]>,
    answer: Option<oneshot::Sender<Answer>>,
}

/// A replacement of the lock that got no answer.
struct Uncertain {
    expected: Option<Version>,
    from: u64,
    to: u64,
}

#[derive(Default)]
struct Committer {
    head: Option<Head>,
    uncertain: Vec<Uncertain>,
    remembered: Option<Checkpoint>,
    /// When the last commit began that more than one caller waited for.
    busy: Option<Instant>,
}

/// A ledger that is open for appending. Appends may run at once; they share commits.
pub struct Ledger {
    store: Arc<dyn LedgerStore>,
    identity: Identity,
    key: SigningKey,
    options: Options,
    queue: Mutex<VecDeque<Waiting>>,
    committer: AsyncMutex<Committer>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("store", &self.store)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Makes an empty ledger.
    ///
    /// # Errors
    /// [`LedgerError::Exists`], [`LedgerError::Store`].
    pub async fn create(
        store: Arc<dyn LedgerStore>,
        identity: Identity,
        key: SigningKey,
        options: Options,
    ) -> Result<Self, LedgerError> {
        let mut head = Head::empty(&identity, &key);
        match store.swap(LOCK, None, head.encode()).await.map_err(LedgerError::store)? {
            Swapped::Done(version) => head.version = Some(version),
            Swapped::Lost => return Err(LedgerError::Exists(store.describe())),
        }
        publish(&store, &identity, &head).await?;
        let ledger = Self::open(store, identity, key, options);
        ledger.committer.lock().await.head = Some(head);
        Ok(ledger)
    }

    /// Opens a ledger. Asks nothing of the store yet.
    #[must_use]
    pub fn open(store: Arc<dyn LedgerStore>, identity: Identity, key: SigningKey, options: Options) -> Self {
        let committer = Committer { remembered: options.remembered.clone(), ..Committer::default() };
        let queue = Mutex::default();
        Self { store, identity, key, options, queue, committer: AsyncMutex::new(committer) }
    }

    /// Reads this ledger.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.store), self.identity.clone())
    }

    /// Reads where the ledger stands, so that the first append has one round trip less to wait for.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn prepare(&self) -> Result<Checkpoint, LedgerError> {
        let mut committer = self.committer.lock().await;
        let head = match committer.head.take() {
            Some(head) => head,
            None => self.load(&mut committer).await?,
        };
        let checkpoint = head.signed.checkpoint.clone();
        committer.head = Some(head);
        Ok(checkpoint)
    }

    /// Appends an entry and waits until it is durable.
    ///
    /// # Errors
    /// [`LedgerError`]. [`LedgerError::Unknown`] where it may have been written nevertheless.
    pub async fn append(&self, entry: Vec<u8>) -> Result<Receipt, LedgerError> {
        let (answer, mut receipt) = oneshot::channel();
        self.push(entry, Some(answer))?;
        loop {
            tokio::select! {
                biased;
                answered = &mut receipt => return answered.unwrap_or(Err(LedgerError::Stopped)),
                mut committer = self.committer.lock() => {
                    if let Ok(answered) = receipt.try_recv() {
                        return answered;
                    }
                    self.pause(&committer).await;
                    self.commit_waiting(&mut committer).await;
                }
            }
        }
    }

    /// Takes an entry that the next commit carries along. Nothing is durable yet: [`Ledger::flush`] makes it so.
    ///
    /// # Errors
    /// [`LedgerError::Entry`].
    pub fn enqueue(&self, entry: Vec<u8>) -> Result<(), LedgerError> {
        self.push(entry, None)
    }

    /// Keeps what a commitment hides, beside the ledger.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn keep_opening(&self, opening: &Opening) -> Result<(), LedgerError> {
        let name = opening.commitment().opening_name();
        self.store.put_new(&name, opening.encode().into()).await.map(drop).map_err(LedgerError::store)
    }

    /// Commits what waits, and publishes nothing.
    ///
    /// # Errors
    /// [`LedgerError`]; what nobody waited for is still queued.
    pub async fn commit(&self) -> Result<(), LedgerError> {
        let mut committer = self.committer.lock().await;
        self.commit_queue(&mut committer).await
    }

    async fn commit_queue(&self, committer: &mut Committer) -> Result<(), LedgerError> {
        while !self.queue().is_empty() {
            if let Some(error) = self.commit_waiting(committer).await {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Commits what waits, and publishes everything that is committed.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn flush(&self) -> Result<SignedCheckpoint, LedgerError> {
        let mut committer = self.committer.lock().await;
        self.commit_queue(&mut committer).await?;
        let mut head = match committer.head.take() {
            Some(head) => head,
            None => self.load(&mut committer).await?,
        };
        if !head.pending.is_empty() {
            publish(&self.store, &self.identity, &head).await?;
            head.mark_published();
            // Only so that nobody publishes the same again: no harm where it does not work.
            match self.store.swap(LOCK, head.version.as_ref(), head.encode()).await {
                Ok(Swapped::Done(version)) => head.version = Some(version),
                Ok(Swapped::Lost) | Err(_) => return Ok(head.signed),
            }
        }
        let signed = head.signed.clone();
        committer.head = Some(head);
        Ok(signed)
    }

    fn push(&self, entry: Vec<u8>, answer: Option<oneshot::Sender<Answer>>) -> Result<(), LedgerError> {
        if entry.len() > ENTRY_MAX {
            return Err(EntryError::TooLong(entry.len()).into());
        }
        self.queue().push_back(Waiting { entry: entry.into(), answer });
        Ok(())
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pause(&self, committer: &Committer) {
        if let Some(rest) =
            committer.busy.and_then(|busy| self.options.commit_interval.checked_sub(busy.elapsed()))
        {
            tokio::time::sleep(rest).await;
        }
    }

    /// Commits what waits, as much as one commit takes. Whoever waits is told; the error is for who does not.
    async fn commit_waiting(&self, committer: &mut Committer) -> Option<LedgerError> {
        let mut batch = Vec::new();
        let mut len = 0;
        {
            let mut queue = self.queue();
            while let Some(next) = queue.front() {
                len += next.entry.len();
                if len > BATCH_MAX && !batch.is_empty() {
                    break;
                }
                batch.extend(queue.pop_front());
            }
        }
        let waiters = batch.iter().filter(|waiting| waiting.answer.is_some()).count();
        committer.busy = (waiters > 1).then(Instant::now);
        let entries: Vec<_> = batch.iter().map(|waiting| Arc::clone(&waiting.entry)).collect();
        match self.commit_entries(committer, &entries).await {
            Ok((places, checkpoint)) => {
                for (waiting, index) in batch.into_iter().zip(places) {
                    if let Some(answer) = waiting.answer {
                        let _ = answer.send(Ok(Receipt { index, checkpoint: checkpoint.clone() }));
                    }
                }
                None
            }
            Err(error) => {
                let mut kept = Vec::new();
                for mut waiting in batch {
                    match waiting.answer.take() {
                        Some(answer) => drop(answer.send(Err(error.clone()))),
                        None => kept.push(waiting),
                    }
                }
                let mut queue = self.queue();
                kept.into_iter().rev().for_each(|waiting| queue.push_front(waiting));
                Some(error)
            }
        }
    }

    /// Commits these entries; where each is, and a checkpoint that covers them all.
    async fn commit_entries(
        &self,
        committer: &mut Committer,
        entries: &[Arc<[u8]>],
    ) -> Result<(Vec<u64>, Checkpoint), LedgerError> {
        let mut places: Vec<Option<u64>> = vec![None; entries.len()];
        let mut failed = None;
        for attempt in 0..self.options.attempts {
            let mut head = match committer.head.take() {
                Some(head) => head,
                None => {
                    let head = self.load(committer).await.map_err(|error| match (&failed, error) {
                        (Some(first), LedgerError::Store(_)) => LedgerError::Unknown(Arc::clone(first)),
                        (_, error) => error,
                    })?;
                    self.find_uncertain(committer, &head, entries, &mut places).await?;
                    head
                }
            };
            let missing: Vec<_> = entries
                .iter()
                .zip(&places)
                .filter(|(_, place)| place.is_none())
                .map(|(entry, _)| Arc::clone(entry))
                .collect();
            if missing.is_empty() {
                let checkpoint = head.signed.checkpoint.clone();
                committer.head = Some(head);
                return Ok((places.into_iter().flatten().collect(), checkpoint));
            }
            let bytes: usize = missing.iter().map(|entry| entry.len()).sum();
            if !head.pending.is_empty() && head.pending_bytes() + bytes > UNPUBLISHED_MAX {
                publish(&self.store, &self.identity, &head).await?;
                head.mark_published();
            }
            let mut next = head.append(&missing, &self.key);
            // Noted before, so that it is not forgotten where nobody waits for the answer any more.
            let (from, to) = (head.size(), next.size());
            committer.uncertain.push(Uncertain { expected: head.version.clone(), from, to });
            match self.store.swap(LOCK, head.version.as_ref(), next.encode()).await {
                Ok(Swapped::Done(version)) => {
                    committer.uncertain.clear();
                    let free = places.iter_mut().filter(|place| place.is_none());
                    free.zip(head.size()..).for_each(|(place, index)| *place = Some(index));
                    next.version = Some(version);
                    let checkpoint = next.signed.checkpoint.clone();
                    committer.remembered = Some(checkpoint.clone());
                    committer.head = Some(next);
                    return Ok((places.into_iter().flatten().collect(), checkpoint));
                }
                Ok(Swapped::Lost) => drop(committer.uncertain.pop()),
                Err(error) => {
                    failed.get_or_insert_with(|| Arc::new(error));
                }
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
        Err(failed.map_or(LedgerError::Crowded(self.options.attempts), LedgerError::Unknown))
    }

    /// Reads the lock, and refuses what does not continue what was seen before.
    async fn load(&self, committer: &mut Committer) -> Result<Head, LedgerError> {
        let stored = self.store.get(LOCK, LOCK_MAX).await.map_err(LedgerError::store)?;
        let stored = stored.ok_or_else(|| LedgerError::Missing(self.store.describe()))?;
        let head = Head::decode(&stored.bytes, stored.version, &self.identity)?;
        let found = &head.signed.checkpoint;
        if let Some(remembered) = &committer.remembered {
            if found.size < remembered.size {
                let (found, remembered) = (Box::new(found.clone()), Box::new(remembered.clone()));
                return Err(LedgerError::Rollback { found, remembered });
            }
            match head.root_at(remembered.size) {
                Some(root) if root == remembered.root => {}
                Some(_) => {
                    let (found, remembered) = (Box::new(found.clone()), Box::new(remembered.clone()));
                    return Err(LedgerError::Fork { found, remembered });
                }
                None => {
                    let size = head.published.size();
                    let published = Checkpoint::new(&found.origin, size, head.published.root());
                    self.reader().check_continues(&published, remembered).await?;
                }
            }
        }
        committer.remembered = Some(found.clone());
        Ok(head)
    }

    /// Finds the entries that replacements without an answer have written after all.
    async fn find_uncertain(
        &self,
        committer: &mut Committer,
        head: &Head,
        entries: &[Arc<[u8]>],
        places: &mut [Option<u64>],
    ) -> Result<(), LedgerError> {
        if committer.uncertain.is_empty() {
            return Ok(());
        }
        let mut leaves = HashMap::new();
        for uncertain in &committer.uncertain {
            for index in uncertain.from..uncertain.to.min(head.size()) {
                leaves.insert(self.leaf(head, index).await?, index);
            }
        }
        for (entry, place) in entries.iter().zip(places) {
            if place.is_none() {
                *place = leaves.get(&Hash::of_leaf(entry)).copied();
            }
        }
        // Where the lock still has the version that a replacement expected, it may yet take effect.
        committer.uncertain.retain(|uncertain| uncertain.expected == head.version);
        Ok(())
    }

    async fn leaf(&self, head: &Head, index: u64) -> Result<Hash, LedgerError> {
        let published = head.published.size();
        if let Some(pending) = index.checked_sub(published) {
            let entry = usize::try_from(pending).ok().and_then(|pending| head.pending.get(pending));
            return entry.map(|entry| Hash::of_leaf(entry)).ok_or(LedgerError::Stopped);
        }
        let id = TileId::within(TileKind::Hashes(0), index / 256, published).ok_or(LedgerError::Stopped)?;
        Ok(self.reader().hashes(id).await?[(index % 256) as usize])
    }
}

/// A pause that grows, and differs from one writer to the next.
fn backoff(attempt: u32) -> Duration {
    let mut random = [0; 1];
    let _ = aws_lc_rs::rand::fill(&mut random);
    Duration::from_millis(u64::from(random[0]) % (4 << attempt.min(6)) + 1)
}

impl From<StoreError> for LedgerError {
    fn from(error: StoreError) -> Self {
        Self::store(error)
    }
}
