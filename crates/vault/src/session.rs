//! How backups and prune keep out of each other's way without a coordinator `[V-8]`.
//!
//! A backup shows itself with a marker before it looks at what it may build on; prune condemns packs before
//! it deletes them, and deletes only what every backup that may still build on them has had time to see.

use crate::{
    error::{Result, VaultError},
    handle::DatasetHandle,
    store::ObjectInfo,
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, SystemTime},
};
use strongroom_format::{
    Entropy, ObjectHash, SessionId, SystemEntropy,
    control::{Condemnation, SessionMarker},
    limits::DOCUMENT_MAX,
    names,
};

/// A running backup gives a sign of life this often.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30 * 60);
/// A backup that was silent for this long (a suspended machine) gives up before it makes its snapshot.
const SILENT_MAX: Duration = Duration::from_secs(12 * 3600);
/// Prune takes a backup for dead after this silence, by the store's clock. The distance to [`SILENT_MAX`]
/// covers differences between clocks.
pub const DEAD_AFTER: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug)]
struct Life {
    ended: Mutex<bool>,
    changed: Condvar,
    last_sign: Mutex<SystemTime>,
}

/// A backup that has shown itself.
#[derive(Debug)]
pub struct Session {
    handle: DatasetHandle,
    id: SessionId,
    life: Arc<Life>,
    pulse: Option<JoinHandle<u32>>,
}

impl Session {
    /// Shows a backup. A dry run builds on nothing and stays unseen.
    ///
    /// # Errors
    /// Where the marker cannot be written.
    pub fn start(handle: &DatasetHandle, host: &str, dry_run: bool) -> Result<Self> {
        let id = SessionId(SystemEntropy.array());
        let life = Arc::new(Life {
            ended: Mutex::new(false),
            changed: Condvar::new(),
            last_sign: Mutex::new(SystemTime::now()),
        });
        let mut session = Self { handle: handle.clone(), id, life: Arc::clone(&life), pulse: None };
        if !dry_run {
            let marker = SessionMarker {
                started: crate::backup::format_time(Timestamp::now()),
                host: host.to_owned(),
                pid: std::process::id(),
            };
            write_marker(handle, &id, 0, &marker)?;
            let handle = handle.clone();
            session.pulse = Some(std::thread::spawn(move || keep_alive(&handle, &id, &marker, &life)));
        }
        Ok(session)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The packs that prune means to delete: this backup must not build on them.
    ///
    /// # Errors
    /// Where the vault cannot be read.
    pub fn condemned(&self) -> Result<HashSet<ObjectHash>> {
        let condemnations = read_condemnations(&self.handle)?;
        Ok(condemnations.into_iter().flat_map(|(_, condemnation)| condemnation.packs).collect())
    }

    /// Fails where this backup was silent for so long that prune may have taken it for dead.
    ///
    /// # Errors
    /// [`VaultError::SessionStale`].
    pub fn still_alive(&self) -> Result<()> {
        let last = *self.life.last_sign.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = SystemTime::now().duration_since(last).unwrap_or_default();
        if silent > SILENT_MAX {
            return Err(VaultError::SessionStale { hours: silent.as_secs() / 3600 });
        }
        Ok(())
    }

    /// Shows that the backup has ended. What cannot be removed is marked as ended instead.
    pub fn end(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        let Some(pulse) = self.pulse.take() else { return };
        *self.life.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.life.changed.notify_all();
        let signs = pulse.join().unwrap_or(1);
        let removed = (0..signs)
            .all(|sequence| self.handle.store.delete(&self.handle.names.session(&self.id, sequence)).is_ok());
        if !removed {
            // At worst, prune waits for this backup until it counts as dead.
            let _ = self.handle.put(&self.handle.names.session_end(&self.id), Bytes::new());
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.finish();
    }
}

fn write_marker(handle: &DatasetHandle, id: &SessionId, sequence: u32, marker: &SessionMarker) -> Result<()> {
    let bytes = marker.seal(&handle.owner, &handle.keys, &mut SystemEntropy);
    handle.put(&handle.names.session(id, sequence), Bytes::from(bytes))?;
    Ok(())
}

/// Gives signs of life until the session ends; returns how many there were.
fn keep_alive(handle: &DatasetHandle, id: &SessionId, marker: &SessionMarker, life: &Life) -> u32 {
    let mut sequence = 1;
    let mut ended = life.ended.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if *ended {
            return sequence;
        }
        let (guard, wait) =
            life.changed.wait_timeout(ended, SIGN_OF_LIFE).unwrap_or_else(PoisonError::into_inner);
        ended = guard;
        if wait.timed_out() && !*ended {
            drop(ended);
            if write_marker(handle, id, sequence, marker).is_ok() {
                sequence += 1;
                *life.last_sign.lock().unwrap_or_else(PoisonError::into_inner) = SystemTime::now();
            }
            ended = life.ended.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// All condemnations, with the objects that they stand in.
///
/// # Errors
/// Where the vault cannot be read, or one is damaged.
pub fn read_condemnations(handle: &DatasetHandle) -> Result<Vec<(ObjectInfo, Condemnation)>> {
    let mut found = Vec::new();
    for object in handle.store.list(&handle.names.condemned())? {
        let bytes = match handle.store.get(&object.name, DOCUMENT_MAX as u64) {
            Ok(bytes) => bytes,
            // Prune has just lifted it.
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error.into()),
        };
        let condemnation = Condemnation::open(&bytes, &handle.owner, &handle.keys)
            .map_err(|error| VaultError::format(&object.name, error))?;
        found.push((object, condemnation));
    }
    Ok(found)
}

/// A backup that has not ended, as its markers show it.
#[derive(Debug, Clone)]
pub struct RunningSession {
    /// Its id.
    pub id: SessionId,
    /// Its first marker, by the store's clock.
    pub started: Timestamp,
    /// Its last sign of life, by the store's clock.
    pub last_sign: Timestamp,
    /// What the first marker says; `None` where it cannot be opened.
    pub marker: Option<SessionMarker>,
}

/// The backups that may still be running, and the names of markers of those that have ended or are dead
/// at `now`.
///
/// # Errors
/// Where the vault cannot be listed.
pub fn read_sessions(handle: &DatasetHandle, now: Timestamp) -> Result<(Vec<RunningSession>, Vec<String>)> {
    let mut by_id: BTreeMap<SessionId, (bool, Vec<ObjectInfo>)> = BTreeMap::new();
    for object in handle.store.list(&handle.names.sessions())? {
        if let Some((id, sequence)) = names::parse_session(&object.name) {
            let (ended, objects) = by_id.entry(id).or_default();
            *ended |= sequence.is_none();
            objects.push(object);
        }
    }
    let (mut running, mut over) = (Vec::new(), Vec::new());
    for (id, (ended, objects)) in by_id {
        let times = || objects.iter().map(|object| object.modified);
        let (Some(started), Some(last_sign)) = (times().min(), times().max()) else { continue };
        if ended || now.duration_since(last_sign) > DEAD_AFTER {
            over.extend(objects.into_iter().map(|object| object.name));
            continue;
        }
        let marker = handle
            .store
            .get(&handle.names.session(&id, 0), DOCUMENT_MAX as u64)
            .ok()
            .and_then(|bytes| SessionMarker::open(&bytes, &handle.owner, &handle.keys).ok());
        running.push(RunningSession { id, started, last_sign, marker });
    }
    Ok((running, over))
}
