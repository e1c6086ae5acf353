//! The files below a directory, without following anything.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Limits;
use super::limits::LARGEST_FILE;
use crate::estate::{Problem, ProblemKind};

/// A file to read.
pub(crate) struct Found {
    /// Its path below the directory, with `/` between parts.
    pub(crate) name: Arc<str>,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// Lists the files below `root`, ordered by name. Hidden files and directories (`.git`) are passed over.
pub(crate) fn files(root: &Path, limits: &Limits, problems: &mut Vec<Problem>) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut open = vec![(root.to_path_buf(), String::new(), 0usize)];
    let mut first = true;
    while let Some((directory, prefix, depth)) = open.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if first => return Err(error),
            Err(error) => {
                problems.push(problem(&prefix, ProblemKind::Unreadable, error.to_string()));
                continue;
            }
        };
        first = false;
        for entry in entries {
            let (entry, kind) = match entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind))) {
                Ok(entry) => entry,
                Err(error) => {
                    problems.push(problem(&prefix, ProblemKind::Unreadable, error.to_string()));
                    continue;
                }
            };
            let own = entry.file_name().to_string_lossy().into_owned();
            if own.starts_with('.') {
                continue;
            }
            let name = if prefix.is_empty() { own } else { format!("{prefix}/{own}") };
            if kind.is_dir() {
                if depth >= limits.directories {
                    let detail = format!("directories go deeper than {} levels", limits.directories);
                    problems.push(problem(&name, ProblemKind::TooDeep, detail));
                } else {
                    open.push((entry.path(), name, depth + 1));
                }
            } else if !kind.is_file() {
                let what = if kind.is_symlink() {
                    "a link; links are not followed"
                } else {
                    "a device, pipe or socket"
                };
                problems.push(problem(&name, ProblemKind::NotAFile, what.into()));
            } else if found.len() >= limits.files {
                let detail =
                    format!("more than {} files; this one and those after it are not read", limits.files);
                problems.push(problem(&name, ProblemKind::TooMany, detail));
                open.clear();
                break;
            } else {
                match entry.metadata() {
                    Ok(metadata) => {
                        found.push(Found { name: name.into(), path: entry.path(), bytes: metadata.len() });
                    }
                    Err(error) => problems.push(problem(&name, ProblemKind::Unreadable, error.to_string())),
                }
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Reads a file that [`files`] found, unless it grew beyond the limit or is no file any more.
pub(crate) fn read(found: &Found, limits: &Limits) -> Result<Vec<u8>, Problem> {
    let most = limits.file_bytes.min(LARGEST_FILE);
    let too_large = || problem(&found.name, ProblemKind::TooLarge, format!("more than {most} bytes"));
    if found.bytes > most {
        return Err(too_large());
    }
    let unreadable = |error: io::Error| problem(&found.name, ProblemKind::Unreadable, error.to_string());
    let file = File::open(&found.path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(problem(&found.name, ProblemKind::NotAFile, "it was a file before".into()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.bytes).unwrap_or_default() + 1);
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(too_large());
    }
    Ok(bytes)
}

fn problem(name: &str, kind: ProblemKind, detail: String) -> Problem {
    Problem { file: name.into(), place: None, kind, detail: detail.into() }
}
