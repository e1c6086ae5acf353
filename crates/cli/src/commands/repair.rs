//! `strongroom repair`: its options.

use clap::{Args, Subcommand};

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
