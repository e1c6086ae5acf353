//! `strongroom key rekey`: a new epoch now, and a report of what older read keys still open.

use crate::commands::{Context, backup};
use crate::error::{CliError, ErrorKind};
use crate::operation::watched;
use crate::output::{Align, Table};
use crate::session::Session;
use crate::units::{self, ByteSize};
use clap::Args;
use strongroom_custody::ReasonCode;
use strongroom_vault::handle::DatasetHandle;
use strongroom_vault::prune::{self, Compaction, Limit, PruneOptions};
use strongroom_vault::shred;

/// Options of `key rekey`.
#[derive(Args, Clone, Debug)]
pub struct RekeyArgs {
    /// Rewrite everything that snapshots need under the new read key; needs the read keys
    #[arg(long)]
    pub rewrite: bool,

    /// Rewrite into the newest epoch there is, for a rewrite that was interrupted
    #[arg(long, requires = "rewrite")]
    pub resume: bool,

    /// Rewrite about this much before old packs are deleted
    #[arg(long, value_name = "SIZE", default_value = "1GiB", requires = "rewrite")]
    pub round: ByteSize,
}

/// Smallest round: a pack is moved as a whole.
const ROUND_MIN: u64 = 512 << 20;

/// Opens an epoch, rewrites where that is asked for, and reports.
///
/// # Errors
/// Where custody refuses, the storage fails, or packs are damaged.
pub(super) fn run(args: &RekeyArgs, context: &Context) -> Result<(), CliError> {
    let session = Session::open(context, ReasonCode::Admin)?;
    let handle = match args.rewrite {
        true => {
            let (handle, keys) = session.read(None)?;
            let number = new_epoch(args, context, &session, &handle)?;
            let key = session.session_key(&handle, context)?;
            let compression = backup::compression(context.settings.compression.value);
            context.watch_signals();
            rewrite(args, context, &handle, number, &Compaction { keys, session: key, compression })?;
            handle
        }
        false => {
            let handle = session.metadata()?;
            new_epoch(args, context, &session, &handle)?;
            handle
        }
    };
    report(context, &session, &handle)
}

fn new_epoch(
    args: &RekeyArgs,
    context: &Context,
    session: &Session,
    handle: &DatasetHandle,
) -> Result<u32, CliError> {
    let vault = &session.vault;
    if args.resume {
        let newest = session.block_on(vault.newest_epoch(handle))?;
        return Ok(newest);
    }
    let number = session.block_on(vault.rotate(handle, &session.custody, &session.reason))?;
    if context.output.is_json() {
        context.output.json(&serde_json::json!({
            "message_type": "epoch_opened", "dataset": session.dataset, "epoch": number,
        }))?;
    } else {
        context.output.line(&format!("Opened epoch {number} of dataset {}", session.dataset))?;
    }
    Ok(number)
}

fn rewrite(
    args: &RekeyArgs,
    context: &Context,
    handle: &DatasetHandle,
    number: u32,
    compaction: &Compaction,
) -> Result<(), CliError> {
    let options = PruneOptions {
        max_unused: Limit::Unlimited,
        max_repack: Some(args.round.0.max(ROUND_MIN)),
        rewrite_before: Some(number),
        threads: context.settings.threads.value,
        ..PruneOptions::default()
    };
    loop {
        let plan = watched(context, "marking", |monitor| prune::plan(handle, &options, monitor))?;
        if plan.summary().repacked.count == 0 {
            return Ok(());
        }
        let outcome = watched(context, "rewriting", |monitor| plan.execute(Some(compaction), monitor))?;
        if context.output.is_json() {
            context.output.json(&serde_json::json!({
                "message_type": "rewritten",
                "written_bytes": outcome.written.bytes,
                "deleted_packs": outcome.deleted.count,
                "waiting_packs": outcome.waiting.as_ref().map_or(0, |waiting| waiting.packs.count),
            }))?;
        } else {
            context.output.line(&format!(
                "rewrote {}, deleted {} packs",
                units::bytes(outcome.written.bytes),
                units::count(outcome.deleted.count)
            ))?;
        }
        for (object, damage) in &outcome.damaged {
            context.messages.warn(&format!("{object} is damaged and stays as it is: {damage}"));
        }
        if !outcome.damaged.is_empty() {
            return Err(CliError::new(ErrorKind::Damaged, "some packs are damaged and were not rewritten"));
        }
    }
}

/// What each read key opens of what is stored.
fn report(context: &Context, session: &Session, handle: &DatasetHandle) -> Result<(), CliError> {
    let newest = session.block_on(session.vault.newest_epoch(handle))?;
    let exposed = shred::exposure(handle)?;
    if context.output.is_json() {
        for epoch in &exposed {
            context.output.json(&serde_json::json!({
                "message_type": "exposure",
                "dataset": session.dataset,
                "epoch": epoch.number,
                "is_newest": epoch.number == newest,
                "bytes": epoch.bytes,
                "snapshots": epoch.snapshots,
            }))?;
        }
    } else {
        let columns =
            [("Read key", Align::Left), ("Opens", Align::Right), ("Snapshots that need it", Align::Right)];
        let mut table = Table::new(&columns);
        for epoch in &exposed {
            let name = match epoch.number == newest {
                true => format!("epoch {} (new)", epoch.number),
                false => format!("epoch {}", epoch.number),
            };
            table.row([name, units::bytes(epoch.bytes), units::count(epoch.snapshots)]);
        }
        context.output.table(&table)?;
    }
    let old: u64 = exposed.iter().filter(|epoch| epoch.number != newest).map(|epoch| epoch.bytes).sum();
    context.messages.note(&match old {
        0 => "the older read keys open nothing that is in the vault now; copies of it that were made before, and older \
              versions that the storage keeps, they still open"
            .to_owned(),
        old => format!(
            "whoever has the older read keys still opens {} in this vault; `strongroom key rekey --rewrite` moves it",
            units::bytes(old)
        ),
    });
    Ok(())
}
