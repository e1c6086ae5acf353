//! `strongroom repair`: makes the best of a damaged vault.

use crate::catalog::{self, Catalog};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::operation::watched;
use crate::reading::Reading;
use crate::session::Session;
use crate::units;
use crate::whoami;
use clap::{Args, Subcommand};
use strongroom_custody::ReasonCode;
use strongroom_vault::repair::{self, RepairOptions};

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom repair index\n\
    \x20 strongroom repair snapshots --dry-run";

/// Mend a vault that `check` found damaged
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RepairArgs {
    /// What to mend.
    #[command(subcommand)]
    pub what: RepairWhat,
}

/// What to mend.
#[derive(Clone, Debug, Subcommand)]
pub enum RepairWhat {
    /// Build the index anew from the packs
    Index(RepairIndexArgs),
    /// Replace snapshots that lost content by ones without it; needs the read key
    Snapshots(RepairSnapshotsArgs),
}

/// Options of `repair index`.
#[derive(Args, Clone, Debug)]
pub struct RepairIndexArgs {
    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Options of `repair snapshots`.
#[derive(Args, Clone, Debug)]
pub struct RepairSnapshotsArgs {
    /// Only these snapshots
    #[arg(value_name = "SNAPSHOT")]
    pub snapshots: Vec<String>,

    /// Remove the damaged snapshots afterwards
    #[arg(long)]
    pub forget: bool,

    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Repairs.
///
/// # Errors
/// [`ErrorKind::Problems`] where something is lost for good; where the vault fails.
pub fn run(args: &RepairArgs, context: &Context) -> Result<(), CliError> {
    match &args.what {
        RepairWhat::Index(args) => index(args, context),
        RepairWhat::Snapshots(args) => snapshots(args, context),
    }
}

fn index(args: &RepairIndexArgs, context: &Context) -> Result<(), CliError> {
    let session = Session::open(context, ReasonCode::Admin)?;
    let handle = session.metadata()?;
    context.watch_signals();
    let repaired = watched(context, "reading packs", |monitor| {
        repair::repair_index(&handle, &whoami::host(), args.dry_run, monitor)
    })?;
    if context.output.is_json() {
        let lost: Vec<_> = repaired.lost.iter().map(|lost| lost.object.clone()).collect();
        context.output.json(&serde_json::json!({
            "message_type": "repaired_index", "dry_run": args.dry_run, "packs_added": repaired.packs_added,
            "packs_removed": repaired.packs_removed, "segments_replaced": repaired.segments_replaced,
            "segments_written": repaired.segments_written, "lost": lost,
        }))?;
    } else {
        context.output.line(&format!(
            "{}{} packs added to the index, {} that are gone removed, {} segments replaced, {} written",
            if args.dry_run { "would be: " } else { "" },
            units::count(repaired.packs_added),
            repaired.packs_removed.len(),
            repaired.segments_replaced.len(),
            units::count(repaired.segments_written),
        ))?;
        for lost in &repaired.lost {
            context.output.line(&format!("lost  {}: {}", escape::text(&lost.object), lost.error))?;
        }
    }
    if repaired.lost.is_empty() {
        return Ok(());
    }
    Err(CliError::new(ErrorKind::Problems, "some packs cannot be read").hint(
        "`strongroom repair snapshots` replaces the snapshots that need them by ones without what is lost",
    ))
}

fn snapshots(args: &RepairSnapshotsArgs, context: &Context) -> Result<(), CliError> {
    let reading = Reading::open(context, ReasonCode::Admin, None)?;
    let catalog = Catalog::load(&reading.handle, &context.messages)?;
    let only = if args.snapshots.is_empty() {
        Vec::new()
    } else {
        let chosen = catalog.choose(&args.snapshots, &crate::args::SnapshotFilter::default())?;
        chosen.iter().map(|known| known.id).collect()
    };
    let options = RepairOptions {
        only,
        read_data: true,
        forget: args.forget,
        dry_run: args.dry_run,
        host: whoami::host(),
        compression: super::backup::compression(context.settings.compression.value),
        threads: context.settings.threads.value,
    };
    let key = reading.session.session_key(&reading.handle, context)?;
    context.watch_signals();
    let repaired = watched(context, "verifying", |monitor| {
        repair::repair_snapshots(&reading.handle, &reading.keys, key, &options, monitor)
    })?;
    if context.output.is_json() {
        let list: Vec<_> = repaired
            .repaired
            .iter()
            .map(|snapshot| {
                let lost: Vec<_> = snapshot
                    .lost
                    .iter()
                    .map(|lost| strongroom_format::snapshot::escape_path(&lost.path))
                    .collect();
                serde_json::json!({"old": snapshot.old.id, "new": snapshot.new, "lost": lost, "removed": snapshot.removed})
            })
            .collect();
        let unreadable: Vec<_> = repaired.unreadable.iter().map(|damaged| damaged.object.clone()).collect();
        context.output.json(&serde_json::json!({
            "message_type": "repaired_snapshots", "dry_run": args.dry_run, "snapshots": list, "unreadable": unreadable,
        }))?;
    } else {
        for snapshot in &repaired.repaired {
            let old = catalog::short(&snapshot.old.id);
            let new = snapshot.new.map_or("nothing yet (dry run)".into(), |new| catalog::short(&new));
            context.output.line(&format!("{old} is replaced by {new}; lost:"))?;
            for lost in &snapshot.lost {
                let partly = if lost.partly { " (its extended attributes or part of it)" } else { "" };
                context.output.line(&format!("    {}{partly}", escape::path(&lost.path)))?;
            }
        }
        for damaged in &repaired.unreadable {
            context.output.line(&format!(
                "cannot be read at all: {}: {}",
                escape::text(&damaged.object),
                damaged.error
            ))?;
        }
    }
    if repaired.repaired.is_empty() && repaired.unreadable.is_empty() {
        context.messages.note("no snapshot misses anything");
        return Ok(());
    }
    Err(CliError::new(ErrorKind::Problems, "some content is lost; everything else is kept")
        .hint("the list above names it; another copy of the vault may have it"))
}
