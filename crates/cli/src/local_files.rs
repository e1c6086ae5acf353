//! Small files of this machine: read with a limit, made once, or replaced whole.

use crate::error::CliError;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// A file of at most `max` bytes, wiped when it is dropped; `None` where there is none.
///
/// # Errors
/// [`crate::error::ErrorKind::LocalFile`].
pub(crate) fn read_if_there(path: &Path, max: u64) -> Result<Option<Zeroizing<Vec<u8>>>, CliError> {
    let failed = |error: &io::Error| CliError::file("read", path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > max {
        return Err(failed(&io::Error::other("it is too large")));
    }
    Ok(Some(bytes))
}

/// A file of at most `max` bytes.
///
/// # Errors
/// [`crate::error::ErrorKind::LocalFile`].
pub(crate) fn read(path: &Path, max: u64) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let missing = || {
        CliError::file("read", path, &io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error()))
    };
    read_if_there(path, max)?.ok_or_else(missing)
}

/// Writes a file that must not exist.
///
/// # Errors
/// [`crate::error::ErrorKind::LocalFile`].
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    create(OpenOptions::new(), path, bytes).map_err(|error| CliError::file("written", path, &error))
}

/// Writes a file that must not exist, which its owner alone can read, and the directories above it.
///
/// # Errors
/// [`crate::error::ErrorKind::LocalFile`].
pub(crate) fn write_new_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let write = || {
        let folder = make_folder(path)?;
        let mut options = OpenOptions::new();
        options.mode(0o600);
        create(options, path, bytes)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| CliError::file("written", path, &error))
}

/// Replaces a file, which its owner alone can read, as a whole, and makes the directories above it.
///
/// # Errors
/// What the system says.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_folder(path)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

fn create(mut options: OpenOptions, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = options.write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn make_folder(path: &Path) -> io::Result<&Path> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn limits_and_modes_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        assert!(read_if_there(&path, 10).unwrap().is_none());
        assert!(read(&path, 10).unwrap_err().to_string().contains("cannot be read"));
        replace_private(&path, b"0123456789").unwrap();
        replace_private(&path, b"0123456789").unwrap();
        assert_eq!(**read(&path, 10).unwrap(), *b"0123456789");
        assert!(read(&path, 9).is_err());
        assert!(write_new(&path, b"x").is_err() && write_new_private(&path, b"x").is_err());
        let other = dir.path().join("c/d");
        write_new_private(&other, b"x").unwrap();
        for path in [&path, &other] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
