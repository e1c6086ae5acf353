//! Comparing directories without the engine, and looking for plaintext in a vault.

use crate::error::{CliError, ErrorKind};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Shorter needles could turn up by chance.
const NEEDLE_MIN: usize = 12;
/// Length of a piece of content that is looked for.
const PIECE_LEN: usize = 24;
/// Most needles of each kind.
const NEEDLES_MAX: usize = 20_000;
const KEY_LEN: usize = 8;

/// The regular files below a directory with their lengths; what cannot be listed is passed over, as the
/// backup reports it.
pub(super) fn files(root: &Path) -> Result<Vec<(PathBuf, u64)>, CliError> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let len = entry.metadata().map_or(0, |metadata| metadata.len());
                found.push((entry.path(), len));
            }
        }
    }
    Ok(found)
}

/// Reads every file of both directories and compares them; returns how many there were.
pub(super) fn compare(left: &Path, right: &Path) -> Result<usize, CliError> {
    let differ = |path: &Path, how: &str| {
        let path = crate::escape::path(path.as_os_str().as_bytes());
        CliError::new(ErrorKind::Damaged, format!("{path} {how}"))
    };
    let below = |root: &Path| -> Result<Vec<PathBuf>, CliError> {
        let mut all: Vec<_> = files(root)?
            .into_iter()
            .filter_map(|(path, _)| Some(path.strip_prefix(root).ok()?.to_owned()))
            .collect();
        all.sort();
        Ok(all)
    };
    let (ours, theirs) = (below(left)?, below(right)?);
    let mut compared = 0;
    for path in &ours {
        // What the backup could not read is not there to compare.
        let (Ok(one), Ok(other)) = (File::open(left.join(path)), File::open(right.join(path))) else {
            if theirs.binary_search(path).is_err() && File::open(left.join(path)).is_ok() {
                return Err(differ(path, "was not restored"));
            }
            continue;
        };
        if !same_content(one, other).map_err(|error| CliError::file("compared", path, &error))? {
            return Err(differ(path, "differs from what was backed up"));
        }
        compared += 1;
    }
    Ok(compared)
}

fn same_content(mut one: File, mut other: File) -> std::io::Result<bool> {
    let (mut left, mut right) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    loop {
        let read = fill(&mut one, &mut left)?;
        if fill(&mut other, &mut right)? != read || left[..read] != right[..read] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read(&mut buffer[done..])? {
            0 => break,
            read => done += read,
        }
    }
    Ok(done)
}

/// What is looked for, by its first eight bytes.
pub(super) struct Needles {
    by_key: HashMap<[u8; KEY_LEN], Vec<Vec<u8>>>,
    names: usize,
    pieces: usize,
}

impl Needles {
    /// Names and pieces of content of the files below a directory.
    pub(super) fn collect(directory: &Path) -> Result<Self, CliError> {
        let mut needles = Self { by_key: HashMap::new(), names: 0, pieces: 0 };
        for (path, len) in files(directory)? {
            let name = path.file_name().map(|name| name.as_bytes().to_vec()).unwrap_or_default();
            if name.len() >= NEEDLE_MIN && needles.names < NEEDLES_MAX {
                needles.names += usize::from(needles.add(name));
            }
            if len >= PIECE_LEN as u64 && needles.pieces < NEEDLES_MAX {
                let mut piece = [0; PIECE_LEN];
                let read = File::open(&path).and_then(|mut file| file.read_exact(&mut piece));
                // A run of one byte, such as zeros, is no content to recognise.
                if read.is_ok() && piece.iter().any(|byte| *byte != piece[0]) {
                    needles.pieces += usize::from(needles.add(piece.to_vec()));
                }
            }
        }
        Ok(needles)
    }

    fn add(&mut self, needle: Vec<u8>) -> bool {
        let Some(key) = needle.first_chunk::<KEY_LEN>() else { return false };
        let known = self.by_key.entry(*key).or_default();
        let new = !known.contains(&needle);
        if new {
            known.push(needle);
        }
        new
    }

    pub(super) fn names(&self) -> usize {
        self.names
    }

    pub(super) fn pieces(&self) -> usize {
        self.pieces
    }

    fn count_in(&self, bytes: &[u8]) -> usize {
        let at = |start: usize| {
            let key: [u8; KEY_LEN] = *bytes[start..].first_chunk()?;
            let needles = self.by_key.get(&key)?;
            Some(needles.iter().filter(|needle| bytes[start..].starts_with(needle)).count())
        };
        (0..bytes.len()).filter_map(at).sum()
    }
}

/// What a search came to.
pub(super) struct Found {
    pub(super) bytes: u64,
    pub(super) hits: usize,
}

/// Looks for the needles in every object of the vault's datasets.
pub(super) fn search(vault: &Path, needles: &Needles) -> Result<Found, CliError> {
    let mut found = Found { bytes: 0, hits: 0 };
    for (path, _) in files(&vault.join("datasets"))? {
        // Epochs are public documents: their words are the format's own.
        if path.components().any(|part| part.as_os_str() == "epochs") {
            continue;
        }
        let object = std::fs::read(&path).map_err(|error| CliError::file("read", &path, &error))?;
        found.bytes += object.len() as u64;
        found.hits += needles.count_in(&object);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_what_is_there() {
        let source = tempfile::tempdir().unwrap();
        std::fs::write(source.path().join("a-long-file-name.txt"), "content that can be recognised").unwrap();
        let needles = Needles::collect(source.path()).unwrap();
        assert_eq!((needles.names(), needles.pieces()), (1, 1));
        let vault = tempfile::tempdir().unwrap();
        let folder = vault.path().join("datasets/x/packs");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("clean"), [0x5a; 4096]).unwrap();
        assert_eq!(search(vault.path(), &needles).unwrap().hits, 0);
        std::fs::write(folder.join("leak"), b"..content that can be recognised..a-long-file-name.txt")
            .unwrap();
        assert_eq!(search(vault.path(), &needles).unwrap().hits, 2);
    }

    #[test]
    fn the_comparison_sees_every_difference() {
        let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(left.path().join("file"), "one").unwrap();
        assert!(compare(left.path(), right.path()).is_err(), "missing");
        std::fs::write(right.path().join("file"), "two").unwrap();
        assert!(compare(left.path(), right.path()).is_err(), "different");
        std::fs::write(right.path().join("file"), "one").unwrap();
        assert_eq!(compare(left.path(), right.path()).unwrap(), 1);
    }
}
