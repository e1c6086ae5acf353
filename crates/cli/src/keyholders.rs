//! Keyholders as they are given on the command line, and how they are made.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::keys;
use crate::secrets::{self, Use};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use strongroom_custody::holders::transit::TransitKey;
use strongroom_custody::holders::{age, aws_kms, file, key_file, passphrase, pkcs11, transit};
use strongroom_custody::{HolderError, Secrets};
use strongroom_format::context::valid_label;
use strongroom_format::keyring::KeyholderSpec;
use strongroom_format::{Entropy as _, SystemEntropy};
use strongroom_vault::access::Vault;
use tokio::runtime::Runtime;

/// How a keyholder is given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A key file: at this path, or in the config directory.
    File(Option<PathBuf>),
    /// A passphrase, which is asked for.
    Passphrase,
    /// Recipients of age.
    Age(Vec<String>),
    /// A key of AWS KMS: its ARN, id or alias.
    AwsKms(String),
    /// A Transit key.
    Transit(TransitKey),
    /// A key on a token, by their labels.
    Pkcs11 {
        /// The token's label.
        token: String,
        /// The key's label.
        key: String,
    },
}

const KINDS: &str = "write NAME=file, NAME=file:PATH, NAME=passphrase, NAME=age:RECIPIENT, NAME=aws-kms:KEY, \
                     NAME=transit:https://HOST/MOUNT/KEY or NAME=pkcs11:TOKEN/KEY";

/// `https://host:8200/transit/backup?namespace=team`: the last part of the path is the key.
fn parse_transit(text: &str) -> Option<TransitKey> {
    let (text, namespace) = match text.split_once("?namespace=") {
        Some((text, namespace)) => (text, Some(namespace.to_owned())),
        None => (text, None),
    };
    let (scheme, rest) = text.split_once("://")?;
    let (host, path) = rest.split_once('/')?;
    let (mount, key) = path.trim_matches('/').rsplit_once('/').unwrap_or(("", path.trim_matches('/')));
    let complete = !host.is_empty() && !key.is_empty();
    complete.then(|| TransitKey {
        address: format!("{scheme}://{host}"),
        mount: mount.to_owned(),
        key: key.to_owned(),
        namespace,
    })
}

/// Reads `NAME=KIND[:ARGS]`.
///
/// # Errors
/// [`ErrorKind::Usage`], with what can be written.
pub fn parse_keyholder(text: &str) -> Result<(String, Kind), CliError> {
    let bad = |why: String| CliError::new(ErrorKind::Usage, why).hint(KINDS);
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
        ("aws-kms", Some(key)) if !key.is_empty() => Kind::AwsKms(key.to_owned()),
        ("aws-kms", _) => {
            return Err(bad(format!("keyholder `{name}` names no key: an ARN, an id or an alias")));
        }
        ("transit", Some(key)) => {
            let what = || bad(format!("keyholder `{name}` names no Transit key: https://HOST/MOUNT/KEY"));
            Kind::Transit(parse_transit(key).ok_or_else(what)?)
        }
        ("pkcs11", Some(path)) => match path.split_once('/') {
            Some((token, key)) if !token.is_empty() && !key.is_empty() => {
                Kind::Pkcs11 { token: token.to_owned(), key: key.to_owned() }
            }
            _ => return Err(bad(format!("keyholder `{name}` names no token and key: TOKEN/KEY"))),
        },
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
    use HolderError::{Deleted, Denied, Disabled, PendingDeletion};
    let kind = match error {
        HolderError::Malformed(_) => ErrorKind::Usage,
        HolderError::Exposed { .. } | HolderError::WrongSecret(_) => ErrorKind::WrongKey,
        HolderError::NoSecret(_) => ErrorKind::SecretMissing,
        Denied(_) | Disabled(_) | PendingDeletion(_) | Deleted(_) => ErrorKind::CustodyRefused,
        passing if passing.is_passing() => ErrorKind::KeyholderUnreachable,
        _ => ErrorKind::LocalFile,
    };
    let made = CliError::new(kind, format!("keyholder `{label}` cannot be set up")).caused_by(error);
    match error {
        HolderError::Exposed { .. } => made.hint("make the file readable by its owner only: chmod 600"),
        HolderError::NoSecret(_) => made.hint(
            "how each provider is reached is set as docs/configuration.md says, or as for its own tools",
        ),
        _ => made,
    }
}

/// Makes a keyholder; its key file, where it has one, is added to `secrets`. Providers are asked about their keys.
///
/// # Errors
/// Where its key file cannot be made or read, what was given is malformed, or its provider refuses.
pub fn make_keyholder(
    context: &Context,
    runtime: &Runtime,
    label: &str,
    kind: Kind,
    made: &mut MadeFiles,
    secrets: &mut Secrets,
) -> Result<KeyholderSpec, CliError> {
    let failed = |error: HolderError| holder_failed(label, &error);
    match kind {
        Kind::Age(recipients) => age::create(&recipients).map_err(failed),
        Kind::AwsKms(key) => {
            runtime.block_on(aws_kms::describe(&key, secrets.aws_access(label))).map_err(failed)
        }
        Kind::Transit(key) => {
            let described = runtime.block_on(transit::describe(&key, &secrets.transit)).map_err(failed)?;
            for warning in &described.warnings {
                context.messages.warn(&format!("keyholder `{label}`: {warning}"));
            }
            Ok(described.spec)
        }
        Kind::Pkcs11 { token, key } => {
            let wanted = pkcs11::Wanted { token, key: pkcs11::KeyName::label(key), mechanism: None };
            pkcs11::describe(label, &wanted, secrets).map_err(failed)
        }
        Kind::Passphrase => {
            let source = &context.settings.passphrase.value;
            let secret = secrets::passphrase(source, label, Use::Create, &context.env)?;
            passphrase::create(&secret, passphrase::Cost::default()).map_err(failed)
        }
        Kind::File(Some(path)) if path.exists() => {
            let key = key_file::read(&path).map_err(failed)?;
            context.messages.note(&format!("keyholder `{label}` uses the key in {}", path.display()));
            secrets.key_files.insert(label.to_owned(), path);
            Ok(file::spec(&key))
        }
        Kind::File(path) => {
            let path = match path {
                Some(path) => path,
                None => made.waiting_directory(context)?.join(format!("{label}.key")),
            };
            let spec = file::create(&path, label).map_err(failed)?;
            made.files.push((label.to_owned(), path.clone()));
            secrets.key_files.insert(label.to_owned(), path);
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
        assert_eq!(read("a=aws-kms:alias/backup").unwrap(), Kind::AwsKms("alias/backup".into()));
        let key = |address: &str, mount: &str, namespace: Option<&str>| {
            let namespace = namespace.map(str::to_owned);
            Kind::Transit(TransitKey {
                address: address.into(),
                mount: mount.into(),
                key: "backup".into(),
                namespace,
            })
        };
        assert_eq!(
            read("a=transit:https://bao.example:8200/kms/transit/backup?namespace=team/a").unwrap(),
            key("https://bao.example:8200", "kms/transit", Some("team/a"))
        );
        assert_eq!(
            read("a=transit:https://bao.example/backup").unwrap(),
            key("https://bao.example", "", None)
        );
        let (token, key) = ("byok".to_owned(), "kek".to_owned());
        assert_eq!(read("a=pkcs11:byok/kek").unwrap(), Kind::Pkcs11 { token, key });
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
            "a=aws-kms:",
            "a=transit:bao.example/transit/key",
            "a=transit:https://bao.example/",
            "a=pkcs11:token",
            "a=passphrase:secret",
        ] {
            assert_eq!(read(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }
}
