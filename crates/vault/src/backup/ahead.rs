//! Counts what a backup will find, ahead of it, so that a display can tell how much is left.

use super::source::{absolute, join, path_bytes};
use crate::{
    fs::{Crossing, Decision, Dir, FileKind, Filter, ListBuffer, Stat},
    progress::Cancel,
};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path, path::PathBuf};

/// Counts the files and their bytes below `paths`, by the rules that a backup goes by. What cannot be read
/// is not counted. `None` where it was cancelled. Costs a listing and a stat call for each entry.
#[must_use]
pub fn count_ahead(paths: &[PathBuf], filter: &Filter, cancel: &Cancel) -> Option<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let mut count = |stat: &Stat| {
        files += 1;
        bytes += stat.size;
    };
    let mut buffer = ListBuffer::default();
    for path in paths {
        let Ok(path) = absolute(path) else { continue };
        let root = path_bytes(&path).to_vec();
        let Ok(dir) = Dir::open_path(&path) else {
            if let Ok(metadata) = std::fs::symlink_metadata(&path)
                && metadata.is_file()
            {
                count(&Stat { size: metadata.len(), ..Stat::stream(Default::default()) });
            }
            continue;
        };
        let Ok(device) = dir.stat().map(|stat| stat.dev) else { continue };
        drop(dir);
        let mut waiting = vec![root];
        while let Some(path) = waiting.pop() {
            if cancel.is_requested() {
                return None;
            }
            let Ok(dir) = Dir::open_path(Path::new(OsStr::from_bytes(&path))) else { continue };
            let Ok(listing) = dir.list(&mut buffer) else { continue };
            if matches!(filter.marker(&dir, &listing), Ok(Some(_))) {
                continue;
            }
            for listed in &listing.entries {
                let path = join(&path, &listed.name);
                let crossing = filter.crossing(device, &listed.stat);
                if filter.decide(&path) == Decision::Skip
                    || filter.decide_size(&listed.stat) == Decision::Skip
                {
                    continue;
                }
                match (listed.stat.kind, crossing) {
                    (FileKind::Directory, Crossing::Inside) => waiting.push(path),
                    (FileKind::File, Crossing::Inside) => count(&listed.stat),
                    _ => {}
                }
            }
        }
    }
    Some((files, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_counted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/one"), [0; 10]).unwrap();
        std::fs::write(dir.path().join("a/b/two"), [0; 20]).unwrap();
        std::fs::write(dir.path().join("a/b/three.tmp"), [0; 40]).unwrap();
        let filter = Filter::builder().exclude("*.tmp").build().unwrap();
        let paths = [dir.path().join("a"), dir.path().join("missing")];
        assert_eq!(count_ahead(&paths, &filter, &Cancel::new()), Some((2, 30)));
        assert_eq!(count_ahead(&[dir.path().join("a/one")], &filter, &Cancel::new()), Some((1, 10)));
        let cancel = Cancel::new();
        cancel.request();
        assert_eq!(count_ahead(&paths, &filter, &cancel), None);
    }
}
