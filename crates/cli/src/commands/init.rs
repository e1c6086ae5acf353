//! `strongroom init`: a new vault, its keyholders and its first dataset.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::keyholders::{MadeFiles, make_keyholder, parse_keyholder};
use crate::keys;
use crate::ledger::{self, Subject};
use crate::pins;
use crate::policies;
use crate::session::{self, open_store, runtime};
use crate::units::ByteSize;
use clap::Args;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use strongroom_custody::{Custody, ReasonCode};
use strongroom_format::context::valid_label;
use strongroom_format::keyring::PolicyTree;
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
    /// Keyholder NAME of kind file[:PATH], passphrase, age:RECIPIENT[,RECIPIENT], aws-kms:KEY,
    /// transit:https://HOST/MOUNT/KEY or pkcs11:TOKEN/KEY; may be repeated
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

    /// Hours that dangerous changes wait: removing a keyholder, lowering a threshold, shredding
    #[arg(long, value_name = "HOURS", default_value_t = strongroom_format::change::TIME_LOCK_DEFAULT, value_parser = clap::value_parser!(u32).range(0..=i64::from(strongroom_format::change::TIME_LOCK_MAX)), help_heading = "Keys")]
    pub time_lock: u32,

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

fn both_policies(
    args: &InitArgs,
    context: &Context,
    labels: &[String],
    by_default: bool,
) -> Result<Policies, CliError> {
    let any = |labels: &[String]| match labels {
        [one] => PolicyTree::Keyholder(one.clone()),
        many => PolicyTree::Any(many.iter().cloned().map(PolicyTree::Keyholder).collect()),
    };
    let policy = |given: &Option<String>, default: PolicyTree| -> Result<PolicyTree, CliError> {
        match given {
            Some(text) => policies::read(context, text, labels.iter().map(String::as_str)),
            None => Ok(default),
        }
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
    let (read_policy, write_policy) = both_policies(args, context, &labels, by_default)?;
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
        let spec = make_keyholder(context, &runtime, &label, kind, &mut made, &mut secrets)?;
        keyholders.insert(label, spec);
    }
    policies::check_seats([&read_policy, &write_policy], &keyholders)?;
    let reason = session::reason(context, ReasonCode::Admin);
    let subject = Subject { keyring: None, keyholders: &keyholders, dataset: &dataset, reason: &reason };
    let observer = ledger::create(context, &runtime, location, keys::observer(context), &subject)?;
    let custody = Custody::new(&keyholders, secrets, observer);
    let new = NewVault {
        keyholders,
        read_policy,
        write_policy,
        dataset: NewDataset { layout, epoch_days: args.epoch_days, ..NewDataset::new(dataset.clone()) },
        time_lock: Some(args.time_lock),
    };
    let vault = runtime.block_on(Vault::create(store, new, &custody, &reason))?;
    made.settle(context, &vault);
    pins::remember(context, vault.store().as_ref(), &vault.pin());
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
            "ledger": context.ledgers.place().map(|(place, key)| serde_json::json!({"place": place, "key": key})),
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
        if let Some((place, key)) = context.ledgers.place() {
            output.line(&format!("  ledger         {}", crate::escape::text(&place)))?;
            output.line(&format!(
                "  ledger key     {}",
                crate::escape::path(key.as_os_str().as_encoded_bytes())
            ))?;
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
