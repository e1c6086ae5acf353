//! `strongroom key shred`: every wrap of epochs, of a dataset or of the vault destroyed, after a wait.

use super::changes;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::operation::watched;
use crate::session::Session;
use crate::units;
use clap::Args;
use std::collections::BTreeSet;
use strongroom_custody::ReasonCode;
use strongroom_format::change::{Certificate, Shred, What};
use strongroom_format::names::DatasetNames;
use strongroom_vault::VaultError;
use strongroom_vault::changes::Standing;
use strongroom_vault::handle::DatasetHandle;
use strongroom_vault::shred;

/// Options of `key shred`.
#[derive(Args, Clone, Debug)]
#[group(id = "scope", required = true, multiple = true)]
pub struct ShredArgs {
    /// Shred this epoch of the dataset; may be repeated
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..), group = "scope")]
    pub epoch: Vec<u32>,

    /// Shred the dataset of --dataset, with its write key
    #[arg(long, conflicts_with = "epoch", group = "scope")]
    pub whole_dataset: bool,

    /// Shred the vault
    #[arg(long, conflicts_with_all = ["epoch", "whole_dataset"], group = "scope")]
    pub whole_vault: bool,

    /// Show what would die, and propose nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Shows what dies, and proposes the shred.
///
/// # Errors
/// Where there is no such epoch, custody refuses, or the storage fails.
pub(super) fn run(args: &ShredArgs, context: &Context) -> Result<(), CliError> {
    let session = Session::open(context, ReasonCode::Admin)?;
    let what = scope(args, &session)?;
    show(context, &session, &what)?;
    if args.dry_run {
        return Ok(());
    }
    changes::propose(context, &session, What::Shred(what)).map(drop)
}

fn scope(args: &ShredArgs, session: &Session) -> Result<Shred, CliError> {
    if args.whole_vault {
        return Ok(Shred::Vault);
    }
    let keyring = session.vault.keyring();
    let record = keyring.dataset(&session.dataset).ok_or_else(|| VaultError::NoDataset {
        name: session.dataset.clone(),
        known: keyring.datasets.iter().map(|dataset| dataset.name.clone()).collect(),
    })?;
    let (name, id) = (record.name.clone(), record.id);
    if args.whole_dataset {
        return Ok(Shred::Dataset { name, id });
    }
    let known: BTreeSet<u32> =
        session.block_on(session.vault.epochs(record))?.into_iter().map(|(number, _)| number).collect();
    let epochs: BTreeSet<u32> = args.epoch.iter().copied().collect();
    if let Some(unknown) = epochs.difference(&known).next() {
        let known: Vec<String> = known.iter().map(u32::to_string).collect();
        return Err(CliError::new(ErrorKind::Usage, format!("dataset {name} has no epoch {unknown}"))
            .hint(format!("it has: {}", known.join(", "))));
    }
    Ok(Shred::Epochs { name, id, epochs })
}

/// What dies: all snapshots of what is shredded, and those that share chunks with them.
fn show(context: &Context, session: &Session, what: &Shred) -> Result<(), CliError> {
    let Shred::Epochs { epochs, .. } = what else { return show_whole(context, session, what) };
    let dead = shred::preview(&session.metadata()?, epochs)?;
    let ids = |stored: &[strongroom_vault::snapshots::StoredSnapshot]| {
        stored.iter().map(|stored| stored.id.to_hex()).collect::<Vec<_>>()
    };
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "shred_preview",
            "snapshots": ids(&dead.of_these),
            "snapshots_sharing": ids(&dead.sharing),
            "bytes": dead.bytes,
        }));
    }
    let zone = units::local_zone();
    let output = &context.output;
    output.line(&format!(
        "{} snapshots of these epochs die, and {} of others that share chunks with them; {} in packs can no longer be read",
        dead.of_these.len(),
        dead.sharing.len(),
        units::bytes(dead.bytes)
    ))?;
    for (stored, why) in
        dead.of_these.iter().map(|s| (s, "")).chain(dead.sharing.iter().map(|s| (s, "  shares chunks")))
    {
        let time = stored
            .snapshot
            .time
            .parse()
            .map_or_else(|_| stored.snapshot.time.clone(), |at| units::time(at, &zone));
        let id: String = stored.id.to_hex().chars().take(12).collect();
        output.line(&format!("  {id}  epoch {}  {time}{why}", stored.epoch))?;
    }
    if !dead.sharing.is_empty() {
        context.messages.note(
            "`strongroom key rekey --rewrite` moves what later snapshots share into a new epoch; they survive a shred then",
        );
    }
    Ok(())
}

fn show_whole(context: &Context, session: &Session, what: &Shred) -> Result<(), CliError> {
    let keyring = session.vault.keyring();
    let dies = |name: &str| match what {
        Shred::Dataset { name: dead, .. } => dead == name,
        _ => true,
    };
    let mut count = 0;
    for dataset in keyring.datasets.iter().filter(|dataset| dies(&dataset.name)) {
        let folder = DatasetNames(dataset.id).snapshots();
        let snapshots = session.block_on(session.vault.store().list(&folder))?.len();
        count += snapshots;
        if !context.output.is_json() {
            context.output.line(&format!("dataset {}: all {snapshots} snapshots die", dataset.name))?;
        }
    }
    if context.output.is_json() {
        context
            .output
            .json(&serde_json::json!({"message_type": "shred_preview", "snapshot_count": count}))?;
    }
    Ok(())
}

/// Carries out a shred whose time has come.
pub(super) fn carry_out(
    context: &Context,
    session: &mut Session,
    standing: &Standing,
) -> Result<Certificate, CliError> {
    let What::Shred(what) = &standing.change.what else {
        return Err(CliError::new(ErrorKind::Bug, "a change that shreds nothing was to be shredded"));
    };
    show(context, session, what)?;
    let (custody, reason, runtime) =
        (session.custody.clone(), session.reason.clone(), session.runtime().clone());
    let Shred::Epochs { name, .. } = what else {
        return Ok(runtime.block_on(session.vault.shred(standing, &custody, &reason))?);
    };
    let handle: DatasetHandle = session.of_dataset(name).metadata()?;
    let vault = &session.vault;
    Ok(watched(context, "shredding", |monitor| {
        shred::shred_epochs(vault, standing, &handle, &custody, &reason, monitor)
    })?)
}
