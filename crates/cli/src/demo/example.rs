//! The example organisation, which is part of the program.

use crate::error::CliError;
use std::path::Path;

/// Names below the directory, and contents.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/example_organisation.rs"));

/// Writes it into a directory that is made; returns how many files it has.
pub(super) fn write(into: &Path) -> Result<usize, CliError> {
    for (name, bytes) in FILES {
        let path = into.join(name);
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(into))?;
            std::fs::write(&path, bytes)
        };
        write().map_err(|error| CliError::file("written", &path, &error))?;
    }
    Ok(FILES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write(dir.path()).unwrap() >= 200);
        assert!(dir.path().join("100000000001/organizations/describe-organization.json").is_file());
    }
}
