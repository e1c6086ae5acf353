//! The place in each trail, what was told, and what still has to be delivered: one small file.

use super::alert::Alert;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::local_files;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use strongroom_format::ObjectHash;
use strongroom_trail::detect::Detection;
use strongroom_trail::event::Event;

/// Largest file that is read, in bytes.
const SIZE_MAX: u64 = 256 << 20;
/// Most alerts that wait for a receiver that cannot be reached; the oldest are dropped, with a warning.
const OUTBOX_MAX: usize = 10_000;
/// For how long what was told is remembered.
const TOLD_DAYS: i64 = 30;

/// A place in a file that grows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tail {
    /// The file's number in its file system: another one after a rotation.
    pub(super) inode: u64,
    /// Up to here it was read.
    pub(super) offset: u64,
    /// Requests that had no answer yet, with the number of looks since.
    pub(super) open: Vec<(String, u32)>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// Sizes of the files of directories.
    #[serde(default)]
    files: BTreeMap<PathBuf, u64>,
    #[serde(default)]
    tails: BTreeMap<PathBuf, Tail>,
    /// What was told, and when.
    #[serde(default)]
    told: BTreeMap<String, Timestamp>,
    /// Receivers, each with an alert that it has not taken.
    #[serde(default)]
    outbox: Vec<(String, Alert)>,
}

/// The place.
#[derive(Debug)]
pub(super) struct Position {
    path: PathBuf,
    kept: Kept,
}

impl Position {
    /// Reads the file; everything is new where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::LocalFile`] where it cannot be read, [`ErrorKind::Usage`] where nobody knows where it is.
    pub(super) fn load(path: Option<&Path>, context: &Context) -> Result<Self, CliError> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_path(context)?,
        };
        let kept = match local_files::read_if_there(&path, SIZE_MAX)? {
            None => Kept::default(),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                CliError::file("read", &path, &error.into())
                    .hint("remove the file: the trails are then looked at from their beginning")
            })?,
        };
        Ok(Self { path, kept })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`ErrorKind::LocalFile`].
    pub(super) fn save(&self) -> Result<(), CliError> {
        let written = serde_json::to_vec(&self.kept).map_err(Into::into);
        let written = written.and_then(|bytes| local_files::replace_private(&self.path, &bytes));
        written.map_err(|error| CliError::file("written", &self.path, &error))
    }

    /// Whether a file of a directory was not read yet in this size.
    pub(super) fn is_file_new(&self, path: &Path, size: u64) -> bool {
        self.kept.files.get(path) != Some(&size)
    }

    /// Says that a file was read, in this size.
    pub(super) fn file_read(&mut self, path: PathBuf, size: u64) {
        self.kept.files.insert(path, size);
    }

    /// Forgets files below `root` that are there no more.
    pub(super) fn keep_files(&mut self, root: &Path, is_there: impl Fn(&Path) -> bool) {
        self.kept.files.retain(|path, _| !path.starts_with(root) || is_there(path));
    }

    /// The place in a file that grows.
    pub(super) fn tail(&mut self, path: &Path) -> &mut Tail {
        self.kept.tails.entry(path.to_owned()).or_default()
    }

    /// Whether this was not told before; it counts as told from now on.
    pub(super) fn is_new(&mut self, found: &Detection, event: &Event, now: Timestamp) -> bool {
        let id = [found.rule.id, event.provider.as_str(), &event.account, &event.id].join("\n");
        let id: String = ObjectHash::of(id.as_bytes()).to_hex().chars().take(32).collect();
        self.kept.told.insert(id, now).is_none()
    }

    /// Puts an alert before each receiver.
    pub(super) fn enqueue(&mut self, sinks: &[String], alert: &Alert) {
        self.kept.outbox.extend(sinks.iter().map(|sink| (sink.clone(), alert.clone())));
    }

    /// How many deliveries are due.
    pub(super) fn waiting(&self) -> usize {
        self.kept.outbox.len()
    }

    /// Delivers what is due; why what could not be delivered could not. After a failure a receiver is left alone until
    /// the next look, so that alerts stay in order.
    pub(super) fn deliver(
        &mut self,
        mut send: impl FnMut(&str, &Alert) -> Result<(), String>,
    ) -> Vec<String> {
        let mut failed: BTreeMap<String, String> = BTreeMap::new();
        self.kept.outbox.retain(|(sink, alert)| {
            if failed.contains_key(sink) {
                return true;
            }
            match send(sink, alert) {
                Ok(()) => false,
                Err(error) => {
                    failed.insert(sink.clone(), error);
                    true
                }
            }
        });
        let mut said: Vec<String> = failed
            .into_iter()
            .map(|(sink, error)| format!("{sink} did not take an alert: {error}"))
            .collect();
        let excess = self.kept.outbox.len().saturating_sub(OUTBOX_MAX);
        if excess > 0 {
            self.kept.outbox.drain(..excess);
            said.push(format!("{excess} alerts were dropped: too many wait for receivers"));
        }
        said
    }

    /// Forgets what nobody can tell again.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let from = now.saturating_sub(SignedDuration::from_hours(24 * TOLD_DAYS)).unwrap_or(Timestamp::MIN);
        self.kept.told.retain(|_, told| *told >= from);
    }
}

fn default_path(context: &Context) -> Result<PathBuf, CliError> {
    let vault = context.settings.location.as_ref().map_or("", |location| location.value.as_str());
    let name: String = ObjectHash::of(vault.as_bytes()).to_hex().chars().take(32).collect();
    let dir = context.env.xdg("XDG_STATE_HOME", ".local/state").ok_or_else(|| {
        CliError::new(ErrorKind::Usage, "there is no home directory to keep the place in")
            .hint("give --state FILE")
    })?;
    Ok(dir.join("strongroom/watch").join(format!("{name}.json")))
}
