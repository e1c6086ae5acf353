//! The snapshots of a dataset: read, filtered, chosen.

use crate::args::SnapshotFilter;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::messages::Messages;
use crate::retention::SnapshotFacts;
use crate::snapshot_spec::{SelectError, SnapshotSelector, SnapshotSpec, TimeFilter, parse_time};
use crate::units;
use jiff::Timestamp;
use std::os::unix::ffi::OsStrExt as _;
use strongroom_format::ObjectHash;
use strongroom_format::snapshot::{Snapshot, escape_path};
use strongroom_vault::VaultError;
use strongroom_vault::handle::DatasetHandle;
use strongroom_vault::snapshots::{self, StoredSnapshot};

/// A snapshot of the dataset.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its id: the hash of its header.
    pub id: ObjectHash,
    /// The epoch whose read key opens its newest content.
    pub epoch: u32,
    /// When its backup began.
    pub time: Timestamp,
    /// Its header.
    pub snapshot: Snapshot,
}

impl Known {
    /// The first eight digits of its id.
    #[must_use]
    pub fn short(&self) -> String {
        short(&self.id)
    }

    /// What retention rules look at.
    #[must_use]
    pub fn facts(&self) -> SnapshotFacts {
        SnapshotFacts {
            id: self.id.to_hex(),
            time: self.time,
            host: self.snapshot.host.clone(),
            paths: self.snapshot.paths.clone(),
            tags: self.snapshot.tags.clone(),
        }
    }

    /// `4f3c2a10 of 2026-11-23 18:49:06 by host-a`.
    #[must_use]
    pub fn describe(&self) -> String {
        let host = escape::path(self.snapshot.host.as_bytes());
        format!("{} of {} by {host}", self.short(), units::time(self.time, &units::local_zone()))
    }

    /// The whole header as JSON, with its id.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(&self.snapshot).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.insert("id".into(), self.id.to_hex().into());
            object.insert("short_id".into(), self.short().into());
            object.insert("epoch".into(), self.epoch.into());
        }
        value
    }
}

/// The first eight digits of an id.
#[must_use]
pub fn short(id: &ObjectHash) -> String {
    id.to_hex().chars().take(8).collect()
}

/// All snapshots that can be read, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The snapshots.
    pub snapshots: Vec<Known>,
}

impl Catalog {
    /// Reads all headers. Damaged ones are told as warnings, and left out.
    ///
    /// # Errors
    /// Where the storage fails.
    pub fn load(handle: &DatasetHandle, messages: &Messages) -> Result<Self, CliError> {
        let loaded = snapshots::load(handle)?;
        let damaged = loaded.damaged.into_iter().map(|damaged| damaged.error);
        let (good, odd): (Vec<_>, Vec<_>) = loaded.good.into_iter().map(known).partition(Result::is_ok);
        for error in damaged.chain(odd.into_iter().filter_map(Result::err)) {
            messages.warn(&format!("a snapshot is left out: {error}"));
        }
        let mut snapshots: Vec<Known> = good.into_iter().filter_map(Result::ok).collect();
        snapshots.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.id.cmp(&b.id)));
        Ok(Self { snapshots })
    }

    /// The snapshots that match, the oldest first.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a time that cannot be read.
    pub fn filter(&self, filter: &SnapshotFilter) -> Result<Vec<&Known>, CliError> {
        let filter = Rules::new(filter)?;
        Ok(self.snapshots.iter().filter(|known| filter.matches(known)).collect())
    }

    /// The snapshots with these ids; without ids, those that match the filter.
    ///
    /// # Errors
    /// Where an id names none or several.
    pub fn choose(&self, ids: &[String], filter: &SnapshotFilter) -> Result<Vec<&Known>, CliError> {
        let candidates = self.filter(filter)?;
        if ids.is_empty() {
            return Ok(candidates);
        }
        let mut chosen: Vec<&Known> = Vec::new();
        for id in ids {
            let spec: SnapshotSpec =
                id.parse().map_err(|why: String| CliError::new(ErrorKind::Usage, why))?;
            if spec.path.is_some() {
                return Err(CliError::new(ErrorKind::Usage, format!("`{id}`: a path makes no sense here")));
            }
            let known = pick(&candidates, &spec.selector)?;
            if chosen.iter().all(|other| other.id != known.id) {
                chosen.push(known);
            }
        }
        Ok(chosen)
    }

    /// The one snapshot that is meant.
    ///
    /// # Errors
    /// Where none or several are.
    pub fn select(&self, selector: &SnapshotSelector) -> Result<&Known, CliError> {
        pick(&self.snapshots.iter().collect::<Vec<_>>(), selector)
    }
}

fn pick<'k>(candidates: &[&'k Known], selector: &SnapshotSelector) -> Result<&'k Known, CliError> {
    let ids: Vec<(String, Timestamp)> =
        candidates.iter().map(|known| (known.id.to_hex(), known.time)).collect();
    let chosen = selector.select(&ids).map_err(|error| {
        let kind = match error {
            SelectError::Ambiguous { .. } => ErrorKind::SnapshotAmbiguous,
            _ => ErrorKind::SnapshotMissing,
        };
        CliError::new(kind, error.to_string())
    })?;
    candidates.get(chosen).copied().ok_or_else(|| CliError::new(ErrorKind::Bug, "a choice is out of bounds"))
}

/// Reads one header.
///
/// # Errors
/// Where it is missing or damaged.
pub fn read(handle: &DatasetHandle, epoch: u32, id: ObjectHash) -> Result<Known, VaultError> {
    known(snapshots::read(handle, epoch, &id)?)
}

fn known(stored: StoredSnapshot) -> Result<Known, VaultError> {
    let StoredSnapshot { id, epoch, object, snapshot } = stored;
    match snapshot.time.parse() {
        Ok(time) => Ok(Known { id, epoch, time, snapshot }),
        Err(_) => Err(VaultError::damaged(object, "snapshot", strongroom_format::Damage::Field("time"))),
    }
}

struct Rules<'f> {
    filter: &'f SnapshotFilter,
    tags: Vec<Vec<&'f str>>,
    paths: Vec<String>,
    time: TimeFilter,
}

impl<'f> Rules<'f> {
    fn new(filter: &'f SnapshotFilter) -> Result<Self, CliError> {
        let zone = units::local_zone();
        let time = |text: &Option<String>, end| {
            let read = |text: &String| parse_time(text, &zone, end);
            text.as_ref().map(read).transpose().map_err(|why| CliError::new(ErrorKind::Usage, why))
        };
        Ok(Self {
            filter,
            tags: filter.tag.iter().map(|list| list.split(',').map(str::trim).collect()).collect(),
            paths: filter.path.iter().map(|path| escape_path(path.as_os_str().as_bytes())).collect(),
            time: TimeFilter { since: time(&filter.since, false)?, until: time(&filter.until, true)? },
        })
    }

    fn matches(&self, known: &Known) -> bool {
        let snapshot = &known.snapshot;
        let has_tags = |list: &Vec<&str>| list.iter().all(|tag| snapshot.tags.iter().any(|has| has == tag));
        (self.filter.host.is_empty() || self.filter.host.contains(&snapshot.host))
            && (self.tags.is_empty() || self.tags.iter().any(has_tags))
            && self.paths.iter().all(|path| snapshot.paths.contains(path))
            && self.time.matches(known.time)
    }
}
