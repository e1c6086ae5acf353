//! Keyholders as they are given on the command line, and how they are made.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::keys;
use crate::secrets::{self, Use};
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use strongroom_custody::HolderError;
use strongroom_custody::holders::{age, file, key_file, passphrase};
use strongroom_format::context::valid_label;
use strongroom_format::keyring::KeyholderSpec;
use strongroom_format::{Entropy as _, SystemEntropy};
use strongroom_vault::access::Vault;

/// How a keyholder is given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A key file: at this path, or in the config directory.
    File(Option<PathBuf>),
    /// A passphrase, which is asked for.
    Passphrase,
    /// Recipients of age.
    Age(Vec<String>),
}

/// Reads `NAME=KIND[:ARGS]`.
///
/// # Errors
/// [`ErrorKind::Usage`], with what can be written.
pub fn parse_keyholder(text: &str) -> Result<(String, Kind), CliError> {
    let bad = |why: String| {
        CliError::new(ErrorKind::Usage, why)
            .hint("write NAME=file, NAME=file:PATH, NAME=passphrase or NAME=age:RECIPIENT")
    };
    let (name, kind) = text.split_once('=').ok_or_else(|| bad(format!("`{text}` is not NAME=KIND")))?;
    if !valid_label(name) {
        return Err(bad(format!(
            "`{name}` cannot name a keyholder: use 1 to 64 of a-z 0-9 . _ -, starting with a letter or digit"
        )));
    }
    let (kind, rest) = match kind.split_once(':') {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (kind, None),
    };
    let kind = match (kind, rest) {
        ("file", Some("")) => return Err(bad(format!("keyholder `{name}` names no file"))),
        ("file", path) => Kind::File(path.map(PathBuf::from)),
        ("passphrase", None) => Kind::Passphrase,
        ("age", Some(list)) if !list.is_empty() => Kind::Age(list.split(',').map(str::to_owned).collect()),
        ("age", _) => return Err(bad(format!("keyholder `{name}` names no recipient"))),
        _ => return Err(bad(format!("`{kind}` is no kind of keyholder that this version knows"))),
    };
    Ok((name.to_owned(), kind))
}

/// Key files that this run has made, which are worth nothing until the vault is there.
#[derive(Debug, Default)]
pub struct MadeFiles {
    /// Label and path.
    pub files: Vec<(String, PathBuf)>,
    /// The directory of those that have no place of their own, until the vault has an id.
    waiting: Option<PathBuf>,
    keep: bool,
}

impl MadeFiles {
    fn waiting_directory(&mut self, context: &Context) -> Result<PathBuf, CliError> {
        if let Some(directory) = &self.waiting {
            return Ok(directory.clone());
        }
        let nonce: [u8; 4] = SystemEntropy.array();
        let directory =
            keys::key_directory(&context.env)?.join(format!("new-{:08x}", u32::from_be_bytes(nonce)));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| CliError::file("created", &directory, &error))?;
        self.waiting = Some(directory.clone());
        Ok(directory)
    }

    /// Gives the waiting key files their place.
    pub fn settle(&mut self, context: &Context, vault: &Vault) {
        self.keep = true;
        let Some(waiting) = self.waiting.take() else { return };
        let Ok(directory) = keys::key_directory(&context.env) else { return };
        let place = directory.join(vault.keyring().vault.to_hex());
        match std::fs::rename(&waiting, &place) {
            Ok(()) => {
                for (_, path) in &mut self.files {
                    if let Ok(name) = path.strip_prefix(&waiting) {
                        *path = place.join(name);
                    }
                }
            }
            // Another keyholder of this vault has its file there already.
            Err(_) if place.is_dir() => {
                for (_, path) in &mut self.files {
                    let name = path.strip_prefix(&waiting).map(PathBuf::from);
                    if let Ok(name) = name
                        && !place.join(&name).exists()
                        && std::fs::rename(&*path, place.join(&name)).is_ok()
                    {
                        *path = place.join(name);
                    }
                }
                let _ = std::fs::remove_dir(&waiting);
            }
            Err(error) => context.messages.warn(&format!(
                "the key files stay in {} because they cannot be moved to {}: {error}; give them with --key-file",
                waiting.display(),
                place.display()
            )),
        }
    }
}

impl Drop for MadeFiles {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        for (_, path) in &self.files {
            let _ = std::fs::remove_file(path);
        }
        if let Some(directory) = &self.waiting {
            let _ = std::fs::remove_dir(directory);
        }
    }
}

fn holder_failed(label: &str, error: &HolderError) -> CliError {
    let kind = match error {
        HolderError::Malformed(_) => ErrorKind::Usage,
        HolderError::Exposed { .. } | HolderError::WrongSecret(_) => ErrorKind::WrongKey,
        _ => ErrorKind::LocalFile,
    };
    let made = CliError::new(kind, format!("keyholder `{label}` cannot be set up")).caused_by(error);
    match error {
        HolderError::Exposed { .. } => made.hint("make the file readable by its owner only: chmod 600"),
        _ => made,
    }
}

/// Makes a keyholder; its key file, where it has one, is added to `key_files`.
///
/// # Errors
/// Where its key file cannot be made or read, or what was given is malformed.
pub fn make_keyholder(
    context: &Context,
    label: &str,
    kind: Kind,
    made: &mut MadeFiles,
    key_files: &mut BTreeMap<String, PathBuf>,
) -> Result<KeyholderSpec, CliError> {
    let failed = |error: HolderError| holder_failed(label, &error);
    match kind {
        Kind::Age(recipients) => age::create(&recipients).map_err(failed),
        Kind::Passphrase => {
            let source = &context.settings.passphrase.value;
            let secret = secrets::passphrase(source, label, Use::Create, &context.env)?;
            passphrase::create(&secret, passphrase::Cost::default()).map_err(failed)
        }
        Kind::File(Some(path)) if path.exists() => {
            let key = key_file::read(&path).map_err(failed)?;
            context.messages.note(&format!("keyholder `{label}` uses the key in {}", path.display()));
            key_files.insert(label.to_owned(), path);
            Ok(file::spec(&key))
        }
        Kind::File(path) => {
            let path = match path {
                Some(path) => path,
                None => made.waiting_directory(context)?.join(format!("{label}.key")),
            };
            let spec = file::create(&path, label).map_err(failed)?;
            made.files.push((label.to_owned(), path.clone()));
            key_files.insert(label.to_owned(), path);
            Ok(spec)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyholders_are_read() {
        let read = |text: &str| parse_keyholder(text).map(|(_, kind)| kind);
        assert_eq!(read("a=file").unwrap(), Kind::File(None));
        assert_eq!(read("a=file:/x:y=z").unwrap(), Kind::File(Some("/x:y=z".into())));
        assert_eq!(read("a=passphrase").unwrap(), Kind::Passphrase);
        assert_eq!(read("a=age:age1x,age1y").unwrap(), Kind::Age(vec!["age1x".into(), "age1y".into()]));
        for text in [
            "a",
            "=file",
            "../x=file",
            "A=file",
            "a=file:",
            "a=age",
            "a=age:",
            "a=kms:x",
            "a=passphrase:secret",
        ] {
            assert_eq!(read(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }
}
