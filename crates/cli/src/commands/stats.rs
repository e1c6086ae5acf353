//! `strongroom stats`: how much there is.

use crate::args::SnapshotFilter;
use crate::catalog::{Catalog, Known};
use crate::commands::Context;
use crate::error::CliError;
use crate::operation::watched;
use crate::session::Session;
use crate::units;
use clap::Args;
use clap::ValueEnum;
use strongroom_custody::ReasonCode;
use strongroom_vault::handle::DatasetHandle;
use strongroom_vault::snapshots::StoredSnapshot;
use strongroom_vault::stats;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom stats latest\n\
    \x20 strongroom stats --mode stored";

/// Show how much is stored
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct StatsArgs {
    /// Only these snapshots
    #[arg(value_name = "SNAPSHOT")]
    pub snapshots: Vec<String>,

    /// What to count
    #[arg(long, value_name = "MODE", value_enum, default_value_t = StatsMode::RestoreSize)]
    pub mode: StatsMode,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,
}

/// What to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatsMode {
    /// Size of all files when restored.
    RestoreSize,
    /// Size of distinct content, before compression.
    Distinct,
    /// Bytes in the vault, and what they are made of.
    Stored,
}

/// Counts.
///
/// # Errors
/// Where the vault cannot be read.
pub fn run(args: &StatsArgs, context: &Context) -> Result<(), CliError> {
    let session = Session::open(context, ReasonCode::List)?;
    let handle = session.metadata()?;
    let catalog = Catalog::load(&handle, &context.messages)?;
    let chosen: Vec<StoredSnapshot> = catalog
        .choose(&args.snapshots, &args.filter)?
        .into_iter()
        .map(|known| stored(&handle, known))
        .collect();
    context.watch_signals();
    match args.mode {
        StatsMode::RestoreSize => {
            let size = stats::restore_size(&chosen);
            if context.output.is_json() {
                return context.output.json(&serde_json::json!({
                    "mode": "restore-size", "snapshots": size.snapshots, "files": size.files,
                    "directories": size.directories, "others": size.others, "bytes": size.bytes,
                }));
            }
            context.output.line(&format!("snapshots    {}", units::count(size.snapshots)))?;
            context.output.line(&format!("files        {}", units::count(size.files)))?;
            context.output.line(&format!("directories  {}", units::count(size.directories)))?;
            context.output.line(&format!("restored     {}", units::bytes(size.bytes)))
        }
        StatsMode::Distinct => {
            let threads = context.settings.threads.value;
            let size = watched(context, "counting", |monitor| {
                stats::distinct_size(&handle, &chosen, threads, monitor)
            })?;
            let kinds =
                [("data", size.data), ("meta", size.meta), ("refs", size.refs), ("total", size.total())];
            if context.output.is_json() {
                let kinds: serde_json::Map<_, _> = kinds
                    .iter()
                    .map(|(name, kind)| {
                        let kind = serde_json::json!({"chunks": kind.chunks, "bytes": kind.bytes, "stored_bytes": kind.stored});
                        ((*name).to_owned(), kind)
                    })
                    .collect();
                return context.output.json(&serde_json::json!({"mode": "distinct", "kinds": kinds}));
            }
            for (name, kind) in kinds {
                context.output.line(&format!(
                    "{name:<6} {:>10} chunks {:>12}, about {} as stored",
                    units::count(kind.chunks),
                    units::bytes(kind.bytes),
                    units::bytes(kind.stored),
                ))?;
            }
            Ok(())
        }
        StatsMode::Stored => show_stored(&handle, &chosen, context),
    }
}

fn stored(handle: &DatasetHandle, known: &Known) -> StoredSnapshot {
    StoredSnapshot {
        id: known.id,
        epoch: known.epoch,
        object: handle.names.snapshot(known.epoch, &known.id),
        snapshot: known.snapshot.clone(),
    }
}

fn show_stored(handle: &DatasetHandle, chosen: &[StoredSnapshot], context: &Context) -> Result<(), CliError> {
    let size = stats::stored_size(handle)?;
    let restorable = stats::restore_size(chosen);
    let kinds = [("data", &size.data), ("meta", &size.meta), ("refs", &size.refs)];
    if context.output.is_json() {
        let kinds: serde_json::Map<_, _> = kinds
            .iter()
            .map(|(name, kind)| {
                let kind = serde_json::json!({
                    "packs": kind.packs.count, "bytes": kind.packs.bytes, "chunks": kind.chunks, "raw_bytes": kind.raw_bytes,
                });
                ((*name).to_owned(), kind)
            })
            .collect();
        return context.output.json(&serde_json::json!({
            "mode": "stored", "bytes": size.bytes(), "kinds": kinds,
            "orphan_packs": size.orphans.count, "orphan_bytes": size.orphans.bytes,
            "index_bytes": size.segments.bytes, "snapshot_bytes": size.snapshots.bytes,
            "compression_ratio": size.compression_ratio(), "dedup_ratio": size.dedup_ratio(&restorable),
        }));
    }
    for (name, kind) in kinds {
        context.output.line(&format!(
            "{name:<10}{:>8} packs {:>12}, {} chunks of {}",
            units::count(kind.packs.count),
            units::bytes(kind.packs.bytes),
            units::count(kind.chunks),
            units::bytes(kind.raw_bytes),
        ))?;
    }
    for (name, objects) in
        [("orphans", size.orphans), ("index", size.segments), ("snapshots", size.snapshots)]
    {
        let line =
            format!("{name:<10}{:>8}       {:>12}", units::count(objects.count), units::bytes(objects.bytes));
        context.output.line(&line)?;
    }
    context.output.line(&format!("in all    {:>27}", units::bytes(size.bytes())))?;
    if let Some(ratio) = size.compression_ratio() {
        context.output.line(&format!("compressed {ratio:.2} times"))?;
    }
    if let Some(ratio) = size.dedup_ratio(&restorable) {
        context.output.line(&format!("deduplicated {ratio:.2} times"))?;
    }
    Ok(())
}
