//! `strongroom init`: a new vault, its keyholders and its first dataset.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::keys;
use crate::secrets::{self, Use};
use crate::session::{self, open_store, runtime};
use crate::units::ByteSize;
use clap::Args;
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use strongroom_custody::holders::{age, file, key_file, passphrase};
use strongroom_custody::{Custody, HolderError, ReasonCode, policy};
use strongroom_format::context::valid_label;
use strongroom_format::keyring::{KeyholderSpec, PolicyTree};
use strongroom_format::{Entropy as _, SystemEntropy};
use strongroom_vault::access::{NewDataset, NewVault, Vault};
use strongroom_vault::handle::Layout;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom init -r /srv/vault\n\
    \x20 strongroom init -r /srv/vault --keyholder host=file --keyholder paper=passphrase \\\n\
    \x20     --read-policy paper --write-policy 'any(host, paper)'\n\
    \x20 strongroom init -r s3://backups/main --keyholder host=file --keyholder ops=age:age1qx... \\\n\
    \x20     --keyholder dr=file:/media/dr.key --read-policy 'any(ops, dr)' --write-policy host";

/// Make a new vault
///
/// The first dataset is the one of --dataset. Backups seal to a public key: this machine can write
/// them without being able to read them, once the read keyholders are elsewhere.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct InitArgs {
    /// Keyholder NAME of kind file[:PATH], passphrase or age:RECIPIENT[,RECIPIENT]; may be repeated
    ///
    /// One keyholder that is lost takes every backup with it: name at least two that do not share a
    /// place. A file without a PATH is made in the config directory; one that exists is used.
    /// Without this option there are two, `read` and `write`, each a new file in the config directory.
    #[arg(long, value_name = "NAME=KIND[:ARGS]", help_heading = "Keys")]
    pub keyholder: Vec<String>,

    /// Who can open backups, such as "any(office, paper)" [default: any keyholder]
    #[arg(long, value_name = "POLICY", help_heading = "Keys")]
    pub read_policy: Option<String>,

    /// Who can write backups [default: any keyholder]
    #[arg(long, value_name = "POLICY", help_heading = "Keys")]
    pub write_policy: Option<String>,

    /// Days until a dataset seals to a new read key
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3660), help_heading = "Keys")]
    pub epoch_days: u32,

    /// Average size of chunks
    #[arg(long, value_name = "SIZE", default_value = "256KiB", help_heading = "Layout")]
    pub chunk_size: ByteSize,

    /// Size that packs are filled to
    #[arg(long, value_name = "SIZE", default_value = "32MiB", help_heading = "Layout")]
    pub pack_size: ByteSize,
}

/// Smallest and largest average chunk, in bytes.
const CHUNK_SIZES: std::ops::RangeInclusive<u64> = (16 << 10)..=(8 << 20);
/// Smallest and largest pack, in bytes.
const PACK_SIZES: std::ops::RangeInclusive<u64> = (1 << 20)..=(256 << 20);

/// How a keyholder is given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A key file: at this path, or in the config directory.
    File(Option<PathBuf>),
    Passphrase,
    Age(Vec<String>),
}

fn parse_keyholder(text: &str) -> Result<(String, Kind), CliError> {
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
#[derive(Default)]
struct MadeFiles {
    /// Label and path.
    files: Vec<(String, PathBuf)>,
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
    fn settle(&mut self, context: &Context, vault: &Vault) {
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

/// Makes a keyholder; its key file, where it has one, is added to `secrets`.
fn make_keyholder(
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

fn layout(args: &InitArgs) -> Result<Layout, CliError> {
    let bad = |what: &str, range: &std::ops::RangeInclusive<u64>| {
        let (least, most) = (crate::units::bytes(*range.start()), crate::units::bytes(*range.end()));
        CliError::new(ErrorKind::Usage, format!("{what} must be from {least} to {most}"))
    };
    if !CHUNK_SIZES.contains(&args.chunk_size.0) {
        return Err(bad("--chunk-size", &CHUNK_SIZES));
    }
    if !PACK_SIZES.contains(&args.pack_size.0) {
        return Err(bad("--pack-size", &PACK_SIZES));
    }
    // The chunker cuts evenly between its bounds: their mean is the average.
    let average = args.chunk_size.0 as usize;
    Ok(Layout { chunk_min: average / 4, chunk_max: average / 4 * 7, pack_size: args.pack_size.0 as usize })
}

type Policies = (PolicyTree, PolicyTree);

fn policies(args: &InitArgs, labels: &[String], by_default: bool) -> Result<Policies, CliError> {
    let any = |labels: &[String]| match labels {
        [one] => PolicyTree::Keyholder(one.clone()),
        many => PolicyTree::Any(many.iter().cloned().map(PolicyTree::Keyholder).collect()),
    };
    let policy = |given: &Option<String>, default: PolicyTree| -> Result<PolicyTree, CliError> {
        let tree = match given {
            Some(text) => policy::parse(text)?,
            None => default,
        };
        policy::validate(&tree, labels.iter().map(String::as_str))?;
        Ok(tree)
    };
    let (read, write) = match by_default {
        true => (any(&["read".to_owned()]), any(&["write".to_owned()])),
        false => (any(labels), any(labels)),
    };
    Ok((policy(&args.read_policy, read)?, policy(&args.write_policy, write)?))
}

/// Makes a vault.
///
/// # Errors
/// Where there is one, a keyholder cannot be made, or the storage fails. Nothing is left behind then but
/// key files that existed before.
pub fn run(args: &InitArgs, context: &Context) -> Result<(), CliError> {
    let location = context.settings.require_location()?;
    let layout = layout(args)?;
    let by_default = args.keyholder.is_empty();
    let given = match by_default {
        true => vec!["read=file".to_owned(), "write=file".to_owned()],
        false => args.keyholder.clone(),
    };
    let kinds = given.iter().map(|text| parse_keyholder(text)).collect::<Result<Vec<_>, _>>()?;
    let labels: Vec<String> = kinds.iter().map(|(label, _)| label.clone()).collect();
    if let Some(twice) = labels.iter().enumerate().find(|(nth, label)| labels[..*nth].contains(label)) {
        return Err(CliError::new(ErrorKind::Usage, format!("keyholder `{}` is named twice", twice.1)));
    }
    let (read_policy, write_policy) = policies(args, &labels, by_default)?;
    let dataset = context.settings.dataset.value.clone();
    if !valid_label(&dataset) {
        return Err(CliError::new(
            ErrorKind::Usage,
            format!(
                "`{dataset}` cannot name a dataset: use 1 to 64 of a-z 0-9 . _ -, starting with a letter or digit"
            ),
        ));
    }

    let runtime = runtime()?;
    let store = open_store(&runtime, location)?;
    // Before keys are made, and passphrases asked for, in vain.
    if runtime.block_on(store.stat(strongroom_format::names::VAULT))?.is_some() {
        return Err(strongroom_vault::VaultError::VaultExists { location: store.describe() }.into());
    }
    let mut made = MadeFiles::default();
    let mut secrets = keys::given(context);
    let mut keyholders = BTreeMap::new();
    for (label, kind) in kinds {
        let spec = make_keyholder(context, &label, kind, &mut made, &mut secrets.key_files)?;
        keyholders.insert(label, spec);
    }
    let custody = Custody::new(&keyholders, secrets, keys::observer(context));
    let new = NewVault {
        keyholders,
        read_policy,
        write_policy,
        dataset: NewDataset { layout, epoch_days: args.epoch_days, ..NewDataset::new(dataset.clone()) },
    };
    let reason = session::reason(context, ReasonCode::Admin);
    let vault = runtime.block_on(Vault::create(store, new, &custody, &reason))?;
    made.settle(context, &vault);
    tell(context, &dataset, &vault, &made.files)
}

fn tell(context: &Context, dataset: &str, vault: &Vault, made: &[(String, PathBuf)]) -> Result<(), CliError> {
    let keyring = vault.keyring();
    if context.output.is_json() {
        let shown = |path: &Path| crate::escape::path(path.as_os_str().as_encoded_bytes());
        let files: BTreeMap<&String, String> =
            made.iter().map(|(label, path)| (label, shown(path))).collect();
        context.output.json(&serde_json::json!({
            "message_type": "initialized",
            "id": keyring.vault,
            "vault": vault.store().describe(),
            "dataset": dataset,
            "read_policy": keyring.read_policy.to_string(),
            "write_policy": keyring.write_policy.to_string(),
            "key_files": files,
        }))?;
    } else {
        let output = &context.output;
        output.line(&format!("Made vault {} at {}", keyring.vault, vault.store().describe()))?;
        output.line(&format!("  dataset        {dataset}"))?;
        output.line(&format!("  read policy    {}", keyring.read_policy))?;
        output.line(&format!("  write policy   {}", keyring.write_policy))?;
        for (label, path) in made {
            let path = crate::escape::path(path.as_os_str().as_encoded_bytes());
            output.line(&format!("  key of {label:<8}{path}"))?;
        }
    }
    keys::standing_warnings(context, keyring, dataset, &|text| context.messages.warn(text));
    if !made.is_empty() {
        context
            .messages
            .note("keep copies of the key files elsewhere: without them, nobody can open this vault");
    }
    Ok(())
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
