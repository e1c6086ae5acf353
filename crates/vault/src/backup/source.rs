//! What a backup is of: paths of the file system, or a stream.

use crate::error::{Result, VaultError};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

/// What to back up.
pub enum Source {
    /// Files and directories.
    Paths(Vec<PathBuf>),
    /// One stream, stored as a file.
    Stream {
        /// The name of the file, without `/`.
        name: Vec<u8>,
        /// Where its content comes from.
        reader: Box<dyn Read + Send>,
    },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paths(paths) => f.debug_tuple("Paths").field(paths).finish(),
            Self::Stream { .. } => f.write_str("Stream(..)"),
        }
    }
}

/// Which entries of a directory are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// All that the filter keeps: inside a target.
    All,
    /// These only: above the targets.
    Only(BTreeMap<Vec<u8>, Selection>),
}

/// Makes paths absolute and removes `.` and `..` by the text, without following links.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(path).map_err(|e| VaultError::local("resolve", path, e))?;
    let mut clean = PathBuf::from("/");
    for component in whole.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(clean)
}

/// The selection from the root that contains exactly these absolute paths.
pub(super) fn select(paths: &[PathBuf]) -> Selection {
    let mut root = Selection::Only(BTreeMap::new());
    for path in paths {
        let mut at = &mut root;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let Selection::Only(children) = at else { break };
            at = children.entry(name.as_bytes().to_vec()).or_insert_with(|| Selection::Only(BTreeMap::new()));
        }
        // A target takes in whatever was selected below it.
        *at = Selection::All;
    }
    root
}

/// Appends a name to a path.
pub(super) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(path.len() + 1 + name.len());
    joined.extend_from_slice(path);
    if !path.ends_with(b"/") {
        joined.push(b'/');
    }
    joined.extend_from_slice(name);
    joined
}

/// The bytes of a path.
pub(super) fn path_bytes(path: &Path) -> &[u8] {
    OsStr::as_bytes(path.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_takes_in_the_targets_below_it() {
        let paths = ["/a/b", "/a/b/c", "/d"].map(PathBuf::from);
        let reversed = ["/d", "/a/b/c", "/a/b"].map(PathBuf::from);
        assert_eq!(select(&paths), select(&reversed));
        let Selection::Only(root) = select(&paths) else { panic!("the root is no target") };
        assert_eq!(root[b"d".as_slice()], Selection::All);
        let Selection::Only(a) = &root[b"a".as_slice()] else { panic!("/a is no target") };
        assert_eq!(a[b"b".as_slice()], Selection::All);
        assert_eq!(select(&[PathBuf::from("/")]), Selection::All);
    }

    #[test]
    fn paths_are_cleaned_by_their_text() {
        assert_eq!(absolute(Path::new("/a/./b/../c//d/")).unwrap(), PathBuf::from("/a/c/d"));
        assert_eq!(absolute(Path::new("/../..")).unwrap(), PathBuf::from("/"));
    }
}
