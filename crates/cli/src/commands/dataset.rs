//! `strongroom dataset`: the datasets of a vault.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::keys;
use crate::output::{Align, Table};
use crate::policies;
use crate::session::Session;
use clap::{Args, Subcommand};
use strongroom_custody::ReasonCode;
use strongroom_format::context::valid_label;
use strongroom_format::keyring::PolicyTree;
use strongroom_ledger::entry::Verb;
use strongroom_vault::access::NewDataset;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom dataset list\n\
    \x20 strongroom dataset add laptops --read-policy 'any(office, paper)'";

/// Add and list datasets
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DatasetArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: DatasetAction,
}

/// What to do with datasets.
#[derive(Clone, Debug, Subcommand)]
pub enum DatasetAction {
    /// Add a dataset, with keys of its own
    Add(DatasetAddArgs),
    /// List the datasets of the vault
    List,
}

impl DatasetArgs {
    /// What the ledger calls this; `None` for what only looks.
    #[must_use]
    pub fn verb(&self) -> Option<Verb> {
        matches!(self.action, DatasetAction::Add(_)).then_some(Verb::Init)
    }
}

/// Options of `dataset add`.
#[derive(Args, Clone, Debug)]
pub struct DatasetAddArgs {
    /// Name of the new dataset
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Who can open its backups [default: as for the vault]
    #[arg(long, value_name = "POLICY")]
    pub read_policy: Option<String>,

    /// Who can write its backups [default: as for the vault]
    #[arg(long, value_name = "POLICY")]
    pub write_policy: Option<String>,
}

/// Adds or lists datasets.
///
/// # Errors
/// Where the name is taken, custody refuses, or the storage fails.
pub fn run(args: &DatasetArgs, context: &Context) -> Result<(), CliError> {
    match &args.action {
        DatasetAction::Add(args) => add(args, context),
        DatasetAction::List => list(context),
    }
}

fn add(args: &DatasetAddArgs, context: &Context) -> Result<(), CliError> {
    if !valid_label(&args.name) {
        return Err(CliError::new(
            ErrorKind::Usage,
            format!(
                "`{}` cannot name a dataset: use 1 to 64 of a-z 0-9 . _ -, starting with a letter or digit",
                args.name
            ),
        ));
    }
    let mut session = Session::open(context, ReasonCode::Admin)?;
    let keyring = session.vault.keyring();
    let read = |text: &Option<String>| -> Result<Option<PolicyTree>, CliError> {
        let Some(text) = text else { return Ok(None) };
        let tree = policies::read(context, text, keyring.keyholders.keys().map(String::as_str))?;
        policies::check_seats([&tree], &keyring.keyholders)?;
        Ok(Some(tree))
    };
    let mut new = NewDataset::new(args.name.clone());
    new.read_policy = read(&args.read_policy)?;
    new.write_policy = read(&args.write_policy)?;
    let (custody, reason, runtime) =
        (session.custody.clone(), session.reason.clone(), session.runtime().clone());
    runtime.block_on(session.vault.add_dataset(&new, &custody, &reason))?;
    let keyring = session.vault.keyring();
    if context.output.is_json() {
        let record = keyring.dataset(&args.name);
        let id = record.map(|record| record.id);
        context.output.json(
            &serde_json::json!({"message_type": "dataset_added", "name": args.name, "id": id, "keyring": keyring.version}),
        )?;
    } else {
        context.output.line(&format!("Added dataset {} to vault {}", args.name, keyring.vault))?;
    }
    keys::standing_warnings(context, keyring, &args.name, &|text| context.messages.warn(text));
    Ok(())
}

fn list(context: &Context) -> Result<(), CliError> {
    let session = Session::open(context, ReasonCode::List)?;
    let keyring = session.vault.keyring();
    if context.output.is_json() {
        return keyring.datasets.iter().try_for_each(|dataset| {
            context.output.json(&serde_json::json!({
                "message_type": "dataset",
                "name": dataset.name,
                "id": dataset.id,
                "created": dataset.created,
                "read_policy": dataset.read_policy.to_string(),
                "write_policy": dataset.write_policy.to_string(),
                "epoch_days": dataset.epoch_days,
                "chunk_min": dataset.chunk_min,
                "chunk_max": dataset.chunk_max,
                "pack_size": dataset.pack_size,
            }))
        });
    }
    let columns =
        ["Dataset", "Created", "Read policy", "Write policy", "Epoch"].map(|name| (name, Align::Left));
    let mut table = Table::new(&columns);
    for dataset in &keyring.datasets {
        table.row([
            dataset.name.clone(),
            dataset.created.chars().take(10).collect(),
            dataset.read_policy.to_string(),
            dataset.write_policy.to_string(),
            format!("{} days", dataset.epoch_days),
        ]);
    }
    context.output.table(&table)?;
    for dataset in &keyring.datasets {
        keys::standing_warnings(context, keyring, &dataset.name, &|text| context.messages.warn(text));
    }
    Ok(())
}
